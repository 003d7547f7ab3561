"""What is done to each picture of a batch: numbers drawn as a function of (seed, epoch, item) alone."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.vision.augmentation.config import Strengths
from dlcli.vision.augmentation.philox import Array, uniforms

# Share of the area and aspect ratio of an erased rectangle: s_l, s_h and r_1 of Zhong et al. 2020, section 3.
_ERASED_AREA = (0.02, 0.4)
_ERASED_ASPECT = 0.3

# Each number has its place, so that to turn one operation on changes no other's draws.
_PLACES = (
    "rotation",
    "width_shift",
    "height_shift",
    "shear",
    "zoom_x",
    "zoom_y",
    "horizontal_flip",
    "vertical_flip",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "channel_shift",
    "grayscale",
    "blur",
    "noise",
    "erasing",
    "erased_area",
    "erased_aspect",
    "erased_top",
    "erased_left",
)


@dataclass(frozen=True, kw_only=True)
class Draws:
    """What was drawn for n pictures; one array each, with an entry a picture.

    Attributes:
        rotation: degrees.
        shift_x: pixels, of where a pixel is taken from: a positive one moves the content to the left.
        shift_y: pixels; a positive one moves the content up.
        shear: degrees.
        zoom_x: factor; above 1 makes the content smaller.
        zoom_y: factor.
        flip_x: whether left and right change places.
        flip_y: whether above and below change places.
        brightness: factor.
        contrast: factor.
        saturation: factor.
        hue: share of the colour circle.
        channel_shift: grey levels.
        grayscale: whether the colours are lost.
        blur: standard deviation in pixels.
        noise: standard deviation in grey levels.
        erased: int (n, 4), top, left, height and width of the rectangle in pixels; all 0 for none.
    """

    rotation: Array
    shift_x: Array
    shift_y: Array
    shear: Array
    zoom_x: Array
    zoom_y: Array
    flip_x: Array
    flip_y: Array
    brightness: Array
    contrast: Array
    saturation: Array
    hue: Array
    channel_shift: Array
    grayscale: Array
    blur: Array
    noise: Array
    erased: Array

    def parameters(self, number: int) -> dict[str, Any]:
        """Return what was drawn for picture `number`, what changes nothing left out; JSON takes it."""
        found: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)[number].tolist()
            if field.name == "erased":
                value = value if value[2] else None
            if value not in (_NEUTRAL.get(field.name, 0), None):
                found[field.name] = value
        return found


_NEUTRAL = {"zoom_x": 1, "zoom_y": 1, "brightness": 1, "contrast": 1, "saturation": 1}


def given(rows: list[dict[str, Any]]) -> Draws:
    """Return draws made of `parameters`: of a manifest, or chosen by hand."""
    columns: dict[str, Array] = {}
    for field in dataclasses.fields(Draws):
        neutral: Any = [0, 0, 0, 0] if field.name == "erased" else _NEUTRAL.get(field.name, 0)
        kind = {"erased": np.int64, "flip_x": np.bool_, "flip_y": np.bool_, "grayscale": np.bool_}
        values = [row.get(field.name, neutral) for row in rows]
        columns[field.name] = np.array(values, kind.get(field.name, np.float64))
    return Draws(**columns)


def draw(strengths: Strengths, items: Array, *, seed: int, epoch: int | Array, height: int, width: int) -> Draws:
    """Draw what is done to each picture of a batch.

    Args:
        strengths: between which bounds.
        items: int64 or uint64 (n,), what tells the pictures apart.
        seed: of the run.
        epoch: counted from 0, of a copy on the disk its number; or int64 (n,), one for each picture.
        height: of the pictures, for shares of it.
        width: of the pictures.
    """
    s, numbers = strengths, uniforms(items, len(_PLACES), seed=seed, epoch=epoch)
    u = {name: numbers[:, place] for place, name in enumerate(_PLACES)}

    def within(bound: float, name: str) -> Array:
        return bound * (2 * u[name] - 1)

    def between(bounds: tuple[float, float], name: str) -> Array:
        return bounds[0] + (bounds[1] - bounds[0]) * u[name]

    return Draws(
        rotation=within(s.rotation, "rotation"),
        shift_x=_shifts(s.width_shift, u["width_shift"], width),
        shift_y=_shifts(s.height_shift, u["height_shift"], height),
        shear=within(s.shear, "shear"),
        zoom_x=between(s.zoom, "zoom_x"),
        zoom_y=between(s.zoom, "zoom_y"),
        flip_x=(u["horizontal_flip"] < 0.5) & s.horizontal_flip,
        flip_y=(u["vertical_flip"] < 0.5) & s.vertical_flip,
        brightness=between(s.brightness, "brightness"),
        contrast=between(s.contrast, "contrast"),
        saturation=between(s.saturation, "saturation"),
        hue=within(s.hue, "hue"),
        channel_shift=within(s.channel_shift, "channel_shift"),
        grayscale=u["grayscale"] < s.grayscale,
        blur=s.blur * u["blur"],
        noise=s.noise * u["noise"],
        erased=_erased(s.erasing, u, height, width),
    )


def _shifts(bound: int | float, numbers: Array, side: int) -> Array:
    """Return pixels: any part of one for a share of the side, whole ones for whole pixels."""
    if isinstance(bound, int):
        whole: Array = np.floor(numbers * (2 * bound + 1)) - bound
        return whole
    return bound * side * (2 * numbers - 1)


def _erased(probability: float, u: dict[str, Array], height: int, width: int) -> Array:
    """Return the rectangles; where the paper draws again until one fits, a side that is too long is cut."""
    if not probability:
        return np.zeros((len(u["erasing"]), 4), np.int64)
    low, high = _ERASED_AREA
    area = (low + (high - low) * u["erased_area"]) * height * width
    aspect = np.exp(math.log(_ERASED_ASPECT) * (2 * u["erased_aspect"] - 1))
    heights = np.clip(np.rint(np.sqrt(area * aspect)), 1, height)
    widths = np.clip(np.rint(np.sqrt(area / aspect)), 1, width)
    tops = np.floor(u["erased_top"] * (height - heights + 1))
    lefts = np.floor(u["erased_left"] * (width - widths + 1))
    found = np.stack([tops, lefts, heights, widths], axis=1)
    chosen = (u["erasing"] < probability)[:, None]
    return np.where(chosen, found, 0).astype(np.int64)
