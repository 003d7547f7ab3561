"""An explanation as a piece of an HTML page; its styles are in `templates/explanations.css`."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.results.explain.explanation import PictureExplanation, TextExplanation

if TYPE_CHECKING:
    import markupsafe

    from dlcli.results.explain.explanation import Span

# Words that are marked at most, and the weakest of them, as a share of the strongest.
_MOST_MARKED, _WEAKEST = 150, 0.08
_MOST_TERMS = 8


def fragment(explanation: TextExplanation | PictureExplanation, *, longest: int | None = None) -> markupsafe.Markup:
    """Return an explanation as HTML.

    Args:
        explanation: of a text: its words marked by their weight, and the strongest n-grams; of a picture: it and its
            heat side by side, in at most 40 KB.
        longest: characters of a text that are shown; None for all.
    """
    return _picture(explanation) if isinstance(explanation, PictureExplanation) else _text(explanation, longest)


def _text(explanation: TextExplanation, longest: int | None) -> markupsafe.Markup:
    from markupsafe import Markup

    text = explanation.item if longest is None else explanation.item[:longest]
    parts, behind = [], 0
    strongest = max((abs(span.weight) for span in explanation.spans), default=0.0)
    for span in marked(explanation.spans):
        start, stop = max(span.start, behind), min(span.stop, len(text))
        if start >= stop:
            continue
        parts.append(escaped(text[behind:start]))
        parts.append(
            Markup('<mark class="{}" style="--w:{}" title="{}">{}</mark>').format(
                "for" if span.weight > 0 else "against",
                f"{round(100 * abs(span.weight) / strongest)}%",
                f"{span.weight:+.3g}",
                escaped(text[start:stop]),
            )
        )
        behind = stop
    parts.append(escaped(text[behind:]))
    left = len(explanation.item) - len(text)
    more = Markup(' <span class="quiet">… {} more characters</span>').format(f"{left:,}") if left else Markup()
    return Markup(
        '<div class="explanation"><p class="explained" dir="auto">{}{}</p><p class="why">{}{}</p></div>'
    ).format(Markup().join(parts), more, _answer(explanation), _terms(explanation))


def marked(spans: list[Span]) -> list[Span]:
    """Return the spans that are worth a mark, in their order: the strongest ones."""
    ranked = sorted(spans, key=lambda span: -abs(span.weight))[:_MOST_MARKED]
    least = _WEAKEST * abs(ranked[0].weight) if ranked else 0.0
    return sorted((span for span in ranked if abs(span.weight) > least), key=lambda span: span.start)


def _answer(explanation: TextExplanation | PictureExplanation) -> markupsafe.Markup:
    from markupsafe import Markup

    sure = explanation.probability
    answer = f"score {explanation.logit:.2f}" if sure is None else f"probability {sure:.4f}"
    return Markup("Why <bdi>{}</bdi> ({})? <i>{}</i>").format(escaped(explanation.target), answer, explanation.method)


def _terms(explanation: TextExplanation) -> markupsafe.Markup:
    from markupsafe import Markup

    shown = [term for term in explanation.terms if term.weight][:_MOST_TERMS]
    found = Markup(", ").join(
        Markup("<q><bdi>{}</bdi></q>&nbsp;{}").format(escaped(term.text), f"{term.weight:+.3g}") for term in shown
    )
    return Markup(": {}").format(found) if shown else Markup(": no word that it knows")


def _picture(explanation: PictureExplanation) -> markupsafe.Markup:
    from markupsafe import Markup

    from dlcli.results.explain.overlays import as_jpeg

    content, (width, height) = as_jpeg(explanation)
    name = escaped(Path(explanation.item).name)
    legend = Markup('<span class="key for">speaks for it</span>')
    if explanation.signed:
        legend += Markup(' <span class="key against">speaks against it</span>')
    return Markup(
        '<figure class="explanation"><img src="data:image/jpeg;base64,{}" width="{}" height="{}" '
        'alt="{} as the model sees it, and where {} comes from"><figcaption>{} {}</figcaption></figure>'
    ).format(
        base64.b64encode(content).decode(),
        width,
        height,
        name,
        escaped(explanation.target),
        _answer(explanation),
        legend,
    )


def escaped(text: str) -> markupsafe.Markup:
    """Return a text for HTML, without control characters and lone surrogates."""
    from markupsafe import escape

    from dlcli.errors import printable

    return escape(printable(text))
