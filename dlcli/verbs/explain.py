"""`dlcli explain`: which words of a text, or which pixels of a picture, an answer comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from dlcli.core.config import flag, option
from dlcli.core.progress import Progress
from dlcli.errors import DataError, UsageError, nearest
from dlcli.verbs import Action
from dlcli.verbs.shared.answered import AnsweredConfig
from dlcli.verbs.shared.result import Result
from dlcli.verbs.shared.trained_data import spread

if TYPE_CHECKING:
    from dlcli.core.record import RunRecord

# Items that are answered together, and counted on the terminal.
_TOGETHER = 8
# The strongest words and n-grams that a terminal shows.
_SHOWN = 10
# Characters of a text on a terminal; up to so many classes a message lists all.
_LONGEST, _LISTED = 300, 20
_ONLY = {"text": ("exact",), "vision": ("gradient", "gradcam")}
# Of a number of the heat in JSON.
_DIGITS = 4


class ExplainConfig(AnsweredConfig):
    """All settings of an explanation."""

    section = "Explanation"

    method: Literal["auto", "exact", "integrated", "occlusion", "gradient", "gradcam"] = option(
        "auto",
        "exact (texts: what each n-gram adds, for bow and ngram), integrated gradients, occlusion, and for pictures "
        "gradient (smoothed) and gradcam. auto is exact, gradcam, or where the model has no such thing integrated.",
    )
    target: str | None = option(None, "Explain this class; without it the predicted one.", metavar="CLASS")
    out: Path | None = option(
        None, "Write pictures beside what they were taken for: one PNG for all items.", metavar="FILE"
    )
    html: Path | None = option(None, "Write a page: one file, which needs no network.", metavar="FILE")
    limit: int = option(20, "Explain so many items, spread over DATA.", ge=1)
    layer: str | None = option(
        None, "For gradcam: the layer whose feature maps are weighed; without it the last convolution.", metavar="NAME"
    )
    window: int | None = option(
        None,
        "For occlusion: the side of the square that is covered, in pixels (an eighth of the picture), or how many "
        "words are left out together (1).",
        ge=1,
    )
    stride: int | None = option(
        None, "For occlusion: pixels or words from one window to the next; without it half a window, and 1.", ge=1
    )
    baseline: Literal["black", "gray", "white"] = option(
        "black", "For integrated gradients of pictures: the picture that counts as nothing."
    )
    seed: int = option(0, "Of the noise that the method gradient adds.", ge=0, lt=2**63)
    force: bool = option(False, "Replace the files at --out and --html.")


class ExplainResult(Result):
    """What was explained, and how."""

    run: Path
    method: str
    out: Path | None
    html: Path | None
    explanations: list[dict[str, Any]]
    found: list[Any] = Field(exclude=True, repr=False)

    def text(self) -> str:
        """Return the words of texts with their weights; of pictures what they were taken for, and where they are."""
        written = " and ".join(str(path) for path in (self.out, self.html) if path)
        if written and len(self.found) > 1:
            return f"{len(self.found):,} explained in {written}"
        return "\n\n".join([*map(_block, self.found), *([f"written to {written}"] if written else [])])


def explain(config: ExplainConfig, progress: Progress) -> ExplainResult:
    """Explain a run's answers for some items.

    Args:
        config: the settings.
        progress: told of stages.

    Returns:
        the explanations; also written where a file is named.
    """
    base = config.base()
    record = config.record(base)
    _require_fitting(config, record)
    if base is None:
        _target(config.target, record.labels)
    items = _items(config, record, progress)
    predictor = config.predictor(base, progress)
    target = _target(config.target, predictor.labels)
    progress.begin(f"explaining {len(items):,} {'texts' if record.domain == 'text' else 'pictures'}", len(items))
    from dlcli.core.parallel import chunks
    from dlcli.results.explain import Settings, explainer
    from dlcli.vision.screening import all_named

    settings = Settings(**{name: getattr(config, name) for name in Settings.__dataclass_fields__})
    explained = explainer(predictor, settings=settings)
    found = []
    with all_named(items if record.domain == "vision" else ()):
        for some in chunks(items, _TOGETHER):
            found += explained(some, None if target is None else [target] * len(some))
            progress.advance(len(some))
    _write(config, found)
    return ExplainResult(
        run=config.run,
        method=found[0].method,
        out=config.out,
        html=config.html,
        explanations=[_as_json(one) for one in found],
        found=found,
    )


def _require_fitting(config: ExplainConfig, record: RunRecord) -> None:
    """Find out before TensorFlow starts what does not go together.

    Raises:
        UsageError: a setting is for the other domain.
        SurroundingsError: a file is there already, or cannot be made.
    """
    from dlcli.core.files import require_free_file

    for domain, methods in _ONLY.items():
        if config.method in methods and domain != record.domain:
            kind, own = ("texts", "pictures") if domain == "text" else ("pictures", "texts")
            raise UsageError(
                f"--method {config.method} is for {kind}, and the run is of {own}",
                hint=f"Use {', '.join([*_ONLY[record.domain], 'integrated', 'occlusion'])}",
            )
    if record.domain == "text":
        for name, hint in (("out", "Use --html FILE for a page"), ("layer", "Leave it out")):
            if getattr(config, name) is not None:
                raise UsageError(f"{flag(name)} is for pictures, and the run is of texts", hint=hint)
    for name, ending in (("out", ".png"), ("html", ".html")):
        path = getattr(config, name)
        if path is not None:
            read = config.files_read(record)
            require_free_file(path, option=flag(name), endings=(ending,), force=config.force, read=read)


def _items(config: ExplainConfig, record: RunRecord, progress: Progress) -> list[str]:
    """Return the items to explain: all of a few, some of many."""
    items = [item for item, _ in config.rows(record, progress)]
    if not items:
        raise DataError(f"{config.source} has nothing to explain")
    if len(items) <= config.limit:
        return items
    progress.note(f"{config.limit:,} of {len(items):,} items; --limit takes more")
    return spread(items, config.limit)


def _target(name: str | None, labels: Sequence[str]) -> int | None:
    """Return the number of the class to explain; None for the predicted one.

    Raises:
        UsageError: there is no such class; names the nearest.
    """
    if name is None:
        return None
    if name not in labels:
        hint = nearest(name, labels, cutoff=0.6 if len(labels) <= _LISTED else 0.0)
        raise UsageError(f"--target: there is no class {name!r}", hint=hint)
    return list(labels).index(name)


def _write(config: ExplainConfig, found: Sequence[Any]) -> None:
    if config.out is not None:
        from dlcli.results.explain.overlays import draw

        draw(found, config.out)
    if config.html is not None:
        from dlcli.core.files import write_text
        from dlcli.results.explain.page import page

        write_text(config.html, page(found, run=config.run))


def _block(one: Any) -> str:
    """Return an explanation in a few lines: the item, the answer, and the strongest words and n-grams of a text."""
    answer = f"score {one.logit:.2f}" if one.probability is None else f"probability {one.probability:.4f}"
    item = " ".join(one.item.split())
    lines = [item if len(item) <= _LONGEST else f"{item[:_LONGEST]}…", f"  why {one.target}? {answer}, {one.method}"]
    if not hasattr(one, "spans"):
        return "\n".join(lines)
    words: dict[str, float] = {}
    for span in one.spans:
        word = one.item[span.start : span.stop]
        words[word] = words.get(word, 0.0) + span.weight
    terms = {term.text: term.weight for term in one.terms if " " in term.text}
    for name, weights in (("words", words), ("n-grams", terms)):
        strongest = sorted(weights.items(), key=lambda pair: -abs(pair[1]))[:_SHOWN]
        if strongest:
            lines.append(f"  {name:<7}  " + ", ".join(f"{word} {weight:+.2f}" for word, weight in strongest))
    return "\n".join(lines if words else [*lines, "  no word that the model knows"])


def _as_json(one: Any) -> dict[str, Any]:
    common = {name: getattr(one, name) for name in ("item", "target", "probability", "method", "logit", "start")}
    if hasattr(one, "spans"):
        spans = [
            {"start": span.start, "stop": span.stop, "word": one.item[span.start : span.stop], "weight": span.weight}
            for span in one.spans
        ]
        terms = [{"text": term.text, "weight": term.weight, "count": term.count} for term in one.terms]
        return common | {"words": spans, "ngrams": terms}
    return common | {"heat": [[float(f"{value:.{_DIGITS}g}") for value in row] for row in one.heat.tolist()]}


ACTION = Action(
    config=ExplainConfig,
    function=explain,
    examples=(
        'dlcli explain runs/reviews --text "not bad at all"',
        "dlcli explain runs/reviews reviews.csv --html words.html",
        "dlcli explain runs/photos cat.jpg --out saliency.png --method integrated",
        "dlcli explain base:vgg16 dog.jpg --target beagle --html dog.html",
    ),
)
