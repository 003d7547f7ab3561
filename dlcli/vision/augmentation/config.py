"""Settings of augmentation: how far pictures are changed, each the bound between which every draw lies."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from dlcli.core.config import Config, option

FillMode = Literal["nearest", "reflect", "wrap", "constant"]


def _number(text: str, expected: str) -> float:
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise ValueError(f"expected {expected}, got {text!r}") from None


def _factors(value: Any) -> Any:
    """Read `0.2` as the factors from 0.8 to 1.2, and `0.8-1.2` or `0.8,1.2` as they stand."""
    expected = "a number such as 0.2, or a range of factors such as 0.8-1.2"
    if isinstance(value, str):
        low, mark, high = value.strip().replace("-", ",").partition(",")
        value = (_number(low, expected), _number(high, expected)) if mark else _number(low, expected)
    if isinstance(value, int | float):
        if not 0 <= value < 1:
            raise ValueError(f"expected {expected}; the number from 0, below 1, got {value:g}")
        value = (1 - value, 1 + value)
    found = tuple(value)
    if len(found) != 2 or not 0 <= found[0] <= found[1] <= _LARGEST_FACTOR:
        raise ValueError(f"expected {expected}; factors up to {_LARGEST_FACTOR}, the smaller one first, got {value!r}")
    return found


def _zoom(value: Any) -> Any:
    found = _factors(value)
    if found[0] < _SMALLEST_ZOOM:
        raise ValueError(f"expected factors of zoom from {_SMALLEST_ZOOM}, got {found[0]:g}")
    return found


def _shift(value: Any) -> Any:
    """Read `0.2` and `20%` as a share of the side, `10` as pixels (also when they come as text)."""
    expected = "a share below 1 such as 0.2 or 20%, or whole pixels such as 10"
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if text.isdecimal() else _number(text, expected)
    if isinstance(value, int) and 0 <= value <= _MOST_PIXELS:
        return value
    if isinstance(value, float) and 0 <= value < 1:
        return value
    raise ValueError(f"expected {expected}, got {value!r}")


# Beyond this all is white.
_LARGEST_FACTOR = 10
# A hundredth shows one pixel in a hundred on each side: nothing is left to see.
_SMALLEST_ZOOM = 0.01
_MOST_PIXELS = 4096

Factors = Annotated[tuple[float, float], BeforeValidator(_factors)]
"""A range of factors; `0.2` on the command line or in a recipe is 0.8 to 1.2."""

Zoom = Annotated[tuple[float, float], BeforeValidator(_zoom)]
"""As `Factors`, without 0."""

Shift = Annotated[int | float, BeforeValidator(_shift)]
"""A share of the picture's side, or whole pixels."""


@dataclass(frozen=True, kw_only=True)
class Strengths:
    """What an augmentation does, with its preset filled in; the defaults change nothing.

    Attributes:
        rotation: degrees, to either side.
        width_shift: share of the width (float) or pixels (int), to either side.
        height_shift: share of the height or pixels, to either side.
        shear: degrees, to either side.
        zoom: the smallest and the largest factor.
        horizontal_flip: whether one picture of two is mirrored.
        vertical_flip: whether one picture of two is turned upside down.
        brightness: the smallest and the largest factor.
        contrast: the smallest and the largest factor.
        saturation: the smallest and the largest factor.
        hue: share of the colour circle, to either side.
        channel_shift: grey levels, to either side.
        grayscale: probability.
        blur: largest standard deviation in pixels.
        noise: largest standard deviation in grey levels.
        erasing: probability.
        fill_mode: what stands beyond the edge.
        fill_value: of the fill mode `constant`.
    """

    rotation: float = 0.0
    width_shift: int | float = 0
    height_shift: int | float = 0
    shear: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    horizontal_flip: bool = False
    vertical_flip: bool = False
    brightness: tuple[float, float] = (1.0, 1.0)
    contrast: tuple[float, float] = (1.0, 1.0)
    saturation: tuple[float, float] = (1.0, 1.0)
    hue: float = 0.0
    channel_shift: float = 0.0
    grayscale: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    erasing: float = 0.0
    fill_mode: FillMode = "nearest"
    fill_value: float = 0.0

    @property
    def active(self) -> bool:
        """Whether anything is changed at all."""
        neutral = Strengths(fill_mode=self.fill_mode, fill_value=self.fill_value)
        return self != neutral


# `book`: the seven of Chollet, Deep Learning with Python, 2017, section 5.2, less the rescaling, which is the model's.
PRESETS: dict[str, Strengths] = {
    "none": Strengths(),
    "light": Strengths(
        rotation=10.0,
        width_shift=0.05,
        height_shift=0.05,
        zoom=(0.9, 1.1),
        horizontal_flip=True,
        brightness=(0.9, 1.1),
        contrast=(0.9, 1.1),
    ),
    "book": Strengths(
        rotation=40.0, width_shift=0.2, height_shift=0.2, shear=0.2, zoom=(0.8, 1.2), horizontal_flip=True
    ),
    "strong": Strengths(
        rotation=30.0,
        width_shift=0.2,
        height_shift=0.2,
        shear=15.0,
        zoom=(0.7, 1.2),
        horizontal_flip=True,
        brightness=(0.7, 1.3),
        contrast=(0.7, 1.3),
        saturation=(0.6, 1.4),
        hue=0.03,
        grayscale=0.1,
        erasing=0.25,
        fill_mode="reflect",
    ),
}


class AugmentationConfig(Config):
    """How pictures are changed at random: one description for `augment` and for training."""

    section = "Augmentation"

    augment: Literal["none", "light", "book", "strong"] | None = option(
        None,
        "A preset, of which the options below replace parts: book has rotation 40, shifts 0.2, shear 0.2, zoom 0.2 and "
        "the horizontal flip (Chollet 2017).",
    )
    rotation: float | None = option(None, "Rotate by up to so many degrees, to either side.", ge=0, le=180)
    width_shift: Shift | None = option(
        None, "Shift sideways by up to this share of the width (0.2, 20%), or whole pixels (10).", metavar="SHIFT"
    )
    height_shift: Shift | None = option(
        None, "Shift up or down by up to this share of the height, or whole pixels.", metavar="SHIFT"
    )
    shear: float | None = option(
        None, "Shear by up to so many degrees, as ImageDataGenerator does since Keras 2.1.3.", ge=0, lt=90
    )
    zoom: Zoom | None = option(
        None,
        "Scale height and width, each by its own factor: 0.2 is 0.8-1.2; a factor over 1 makes things smaller.",
        metavar="Z|LOW-HIGH",
    )
    horizontal_flip: bool | None = option(None, "Mirror one picture of two.")
    vertical_flip: bool | None = option(None, "Turn one picture of two upside down.")
    brightness: Factors | None = option(
        None, "Multiply all channels by a factor: 0.2 is 0.8-1.2.", metavar="B|LOW-HIGH"
    )
    contrast: Factors | None = option(
        None, "Multiply the distance to each channel's mean by a factor.", metavar="C|LOW-HIGH"
    )
    saturation: Factors | None = option(
        None, "Multiply the distance to the grey of the same luma by a factor.", metavar="S|LOW-HIGH"
    )
    hue: float | None = option(None, "Turn the hue by up to this share of the colour circle.", ge=0, le=0.5)
    channel_shift: float | None = option(
        None, "Add up to so many grey levels of 255 to all channels, or take them away.", ge=0, le=255
    )
    grayscale: float | None = option(None, "Probability of losing the colours.", ge=0, le=1)
    blur: float | None = option(None, "Blur by a Gaussian of up to so many pixels of standard deviation.", ge=0, le=50)
    noise: float | None = option(
        None, "Add Gaussian noise of up to so many grey levels of 255 of standard deviation.", ge=0, le=255
    )
    erasing: float | None = option(
        None, "Probability of a rectangle of random pixels (random erasing, Zhong et al. 2020).", ge=0, le=1
    )
    fill_mode: FillMode | None = option(
        None, "What stands beyond the edge: its nearest pixel (without it), the reflection, the other side, or a value."
    )
    fill_value: float | None = option(None, "Grey level of the fill mode constant; without it 0.", ge=0, le=255)

    def strengths(self) -> Strengths:
        """Return what is done: the preset, and over it what was given."""
        given = {name: getattr(self, name) for name in _NAMES if getattr(self, name) is not None}
        return dataclasses.replace(PRESETS[self.augment or "none"], **given)

    @property
    def active(self) -> bool:
        """Whether anything is changed at all."""
        return self.strengths().active


_NAMES = [field.name for field in dataclasses.fields(Strengths)]


class MixingConfig(Config):
    """How pictures of a batch and their labels are mixed in training."""

    section = "Augmentation"

    mixup: float | None = option(
        None, "Blend pairs of pictures and labels; alpha of the Beta law, 0.2 say (Zhang et al. 2018).", ge=0, le=100
    )
    cutmix: float | None = option(
        None, "Paste a rectangle of one picture into another; alpha, 1 say (Yun et al. 2019).", ge=0, le=100
    )

    @property
    def mixes(self) -> bool:
        """Whether anything is mixed at all."""
        return bool(self.mixup or self.cutmix)
