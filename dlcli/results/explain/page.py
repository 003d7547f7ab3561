"""A page of explanations: one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.results.explain.explanation import PictureExplanation
from dlcli.results.explain.fragments import fragment
from dlcli.results.pages import render

if TYPE_CHECKING:
    from dlcli.results.explain import Explanation

_METHODS = {
    "exact": "The model is a sum: what each n-gram adds to the logit, its weight shared between its words. Nothing is "
    "left out, and nothing is estimated.",
    "gradcam": "Grad-CAM: the feature maps of the last convolution, each times how much the logit grows with it. It "
    "shows where, as coarsely as those maps are, and only what speaks for the class.",
    "gradient": "SmoothGrad: how much the logit would change with each pixel, the mean of 50 noisy copies. It shows "
    "what the answer is sensitive to, not what speaks for the class.",
    "integrated": "Integrated gradients: the logit's way from an input without content to this one, shared out. All "
    "weights together are the difference between the two.",
    "occlusion": "Occlusion: by how much the logit falls when this part is covered or left out, and nothing else.",
}


def page(found: Sequence[Explanation], *, run: Path) -> str:
    """Return a page.

    Args:
        found: of one method, at least one.
        run: what answered.
    """
    return render(
        "explain.html",
        run=str(run),
        method=found[0].method,
        what=_METHODS[found[0].method],
        signed=getattr(found[0], "signed", True),
        pictures=isinstance(found[0], PictureExplanation),
        explanations=[(_title(one), fragment(one)) for one in found],
    )


def _title(one: Explanation) -> str:
    return Path(one.item).name if isinstance(one, PictureExplanation) else ""
