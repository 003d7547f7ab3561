"""Why a run answers what it answers: words and pixels weighed by what they do to the logit of a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dlcli.results.explain.explanation import PictureExplanation, Settings, Span, Term, TextExplanation
from dlcli.results.explain.fragments import fragment

Explanation = TextExplanation | PictureExplanation

METHODS = {
    "text": ("exact", "integrated", "occlusion"),
    "image": ("gradcam", "integrated", "gradient", "occlusion"),
}
"""The methods of a domain, by what its pipeline calls its input."""

__all__ = [
    "METHODS",
    "Explanation",
    "PictureExplanation",
    "Settings",
    "Span",
    "Term",
    "TextExplanation",
    "explainer",
    "fragment",
]


def explainer(predictor: Any, *, method: str = "auto", settings: Settings | None = None) -> Callable[..., list[Any]]:
    """Return what explains a run's answers.

    Args:
        predictor: the run: a `Predictor`, or a `BasePredictor`.
        method: one of `METHODS`, or `auto`: for texts `exact` where the model is a sum over n-grams, `occlusion` for
            an ensemble, else `integrated`; for pictures `gradcam` where the model has feature maps, else `integrated`.
        settings: what else the method is told; `method` counts before the one in there.

    Returns:
        a function of items and, for each, the number of the class to explain (None, or no numbers: the predicted one),
        which gives an explanation of each: a `TextExplanation` or a `PictureExplanation`.

    Raises:
        UsageError: the method is for another domain, or the model does not take it.
        ModelError: the model does not end in a softmax or in scores.
    """
    settings = settings or Settings()
    settings = replace(settings, method=settings.method if method == "auto" else method)
    if predictor.pipeline.input_name == "text":
        from dlcli.results.explain.texts import TextExplainer

        return TextExplainer(predictor, settings)
    from dlcli.results.explain.pictures import PictureExplainer

    return PictureExplainer(predictor, settings)
