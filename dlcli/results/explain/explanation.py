"""What an explanation says: of a text weights on places in it, of a picture a weight for each pixel."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How explanations are made.

    Attributes:
        method: `auto`, or one of `METHODS` of the domain.
        layer: whose maps Grad-CAM weighs; None for the last convolution's.
        window: of an occlusion: the side of the square in pixels, or how many words are left out together; None for an
            eighth of a picture's shorter side, and for one word.
        stride: pixels or words from one window to the next; None for half a window, and for one word.
        baseline: where the path of a picture's integrated gradients begins: `black`, `gray` or `white`.
        seed: of the noise that `gradient` adds.
    """

    method: str = "auto"
    layer: str | None = None
    window: int | None = None
    stride: int | None = None
    baseline: str = "black"
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Span:
    """A word of a raw text.

    Attributes:
        start: its first character.
        stop: the place behind its last one.
        weight: towards the target, in logits; negative against it.
    """

    start: int
    stop: int
    weight: float


@dataclass(frozen=True, kw_only=True)
class Term:
    """An n-gram as the model knows it.

    Attributes:
        text: its words.
        weight: towards the target, in logits: that of all its occurrences together.
        count: how often it is in the text.
    """

    text: str
    weight: float
    count: int


@dataclass(frozen=True, kw_only=True)
class TextExplanation:
    """Why a text was, or was not, taken for a class.

    Attributes:
        item: the raw text.
        target: the class that is explained.
        probability: the run's answer for it; None where the run gives scores.
        method: `exact`, `integrated` or `occlusion`.
        spans: the words that the model reads, in their order; those that it does not know have weight 0.
        terms: the n-grams, the strongest first.
        logit: what is explained.
        start: the logit where the method begins: of no n-grams, or of words without meaning; with the weights of all
            `terms` it sums to `logit`. None for occlusion, which does not sum.
    """

    item: str
    target: str
    probability: float | None
    method: str
    spans: list[Span]
    terms: list[Term] = field(default_factory=list)
    logit: float
    start: float | None = None


@dataclass(frozen=True, kw_only=True)
class PictureExplanation:
    """Why a picture was, or was not, taken for a class.

    Attributes:
        item: its file.
        target: the class that is explained.
        probability: the run's answer for it; None where the run gives scores.
        method: `gradcam`, `integrated`, `gradient` or `occlusion`.
        pixels: uint8 (height, width, channels), as the model sees them.
        heat: float32 (height, width): towards the target; where the method is signed, below 0 against it.
        signed: whether it is.
        logit: what is explained.
        start: that of the baseline, for integrated gradients: with the sum of `heat` it is `logit`. Else None.
    """

    item: str
    target: str
    probability: float | None
    method: str
    pixels: np.ndarray[Any, Any]
    heat: np.ndarray[Any, Any]
    signed: bool
    logit: float
    start: float | None = None
