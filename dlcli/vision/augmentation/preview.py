"""A grid that shows what an augmentation does: pictures, each operation alone, and all of them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dlcli.vision.augmentation.config import Strengths
from dlcli.vision.augmentation.draws import given
from dlcli.vision.augmentation.engine import Augmentation
from dlcli.vision.augmentation.philox import Array

# In pixels.
_CELL, _GAP, _MARGIN, _HEAD, _FOOT = 136, 10, 20, 46, 20
_INK, _FAINT, _PAPER, _FRAME = "#1b1f24", "#6b7280", "#ffffff", "#eef0f3"
# Pictures together with all operations.
_TOGETHER = 3


class Column(NamedTuple):
    """A column of the grid.

    Attributes:
        title: what is done.
        detail: how far.
        change: from a picture, its key and the row's number to the picture that is shown.
    """

    title: str
    detail: str
    change: Callable[[Array, int], Array]


def columns(strengths: Strengths, *, seed: int) -> list[Column]:
    """Return the columns of an augmentation: each operation alone, then all of them, as copies 1, 2, ... have them."""
    alone = [
        Column(name.replace("_", " "), shown_strength(name, strengths), _changer(_only(name, strengths), seed, 1))
        for name in operations(strengths)
    ]
    together = [
        Column(f"copy {copy}", "all together", _changer(strengths, seed, copy)) for copy in range(1, _TOGETHER + 1)
    ]
    return [Column("original", "", lambda picture, key: picture), *alone, *together]


def operations(strengths: Strengths) -> list[str]:
    """Return the names of the operations that change something."""
    neutral = Strengths()
    names = [field.name for field in dataclasses.fields(Strengths) if not field.name.startswith("fill_")]
    return [name for name in names if getattr(strengths, name) != getattr(neutral, name)]


def shown_strength(name: str, strengths: Strengths) -> str:
    """Return how far an operation goes, for a person."""
    value = getattr(strengths, name)
    if isinstance(value, bool):
        return "every other"
    if isinstance(value, tuple):
        return f"{value[0]:.3g} to {value[1]:.3g}"
    if name in ("grayscale", "erasing"):
        return f"{value:.0%} of copies"
    if name in ("blur", "noise"):
        return f"up to {value:g} {'pixels' if name == 'blur' else 'levels'}"
    if name.endswith("_shift"):
        unit = " levels" if name == "channel_shift" else " pixels" if isinstance(value, int) else ""
        return f"±{value:g}{unit}" if unit else f"±{value:.0%}"
    return f"±{value:g}°" if name in ("rotation", "shear") else f"±{value:.0%}"


def _only(name: str, strengths: Strengths) -> Strengths:
    """Return one operation alone; what is done to some copies is done to all, to be seen."""
    value: Any = 1.0 if name in ("grayscale", "erasing") else getattr(strengths, name)
    fill: dict[str, Any] = {"fill_mode": strengths.fill_mode, "fill_value": strengths.fill_value}
    return dataclasses.replace(Strengths(**fill), **{name: value})


def _changer(strengths: Strengths, seed: int, copy: int) -> Callable[[Array, int], Array]:
    augmentation = Augmentation(strengths, seed=seed, threads=1)
    flips = {"flip_x": strengths.horizontal_flip, "flip_y": strengths.vertical_flip}
    is_flip_alone = not dataclasses.replace(strengths, horizontal_flip=False, vertical_flip=False).active

    def change(picture: Array, key: int) -> Array:
        if is_flip_alone:  # To be seen in every row.
            return augmentation.one(picture, given([flips]), 0, item=key, epoch=copy)
        return next(augmentation.copies(picture, key=key, numbers=[copy]))[0]

    return change


def grid(pictures: Sequence[tuple[str, int, Array]], shown: Sequence[Column]) -> Image.Image:
    """Draw the grid.

    Args:
        pictures: name, key and pixels of each, one a row.
        shown: the columns.
    """
    width = 2 * _MARGIN + len(shown) * (_CELL + _GAP) - _GAP
    height = 2 * _MARGIN + _HEAD + len(pictures) * (_CELL + _FOOT)
    image = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(image)
    bold, plain = ImageFont.load_default(15), ImageFont.load_default(12)
    for number, column in enumerate(shown):
        left = _MARGIN + number * (_CELL + _GAP)
        draw.text((left, _MARGIN), column.title, _INK, font=bold)
        draw.text((left, _MARGIN + 20), column.detail, _FAINT, font=plain)
    for row, (name, key, picture) in enumerate(pictures):
        top = _MARGIN + _HEAD + row * (_CELL + _FOOT)
        for number, column in enumerate(shown):
            left = _MARGIN + number * (_CELL + _GAP)
            cell = _fitted(column.change(picture, key))
            draw.rectangle((left, top, left + _CELL - 1, top + _CELL - 1), _FRAME)
            image.paste(cell, (left + (_CELL - cell.width) // 2, top + (_CELL - cell.height) // 2))
        draw.text((_MARGIN, top + _CELL + 2), _short(name, plain), _FAINT, font=plain)
    return image


def _fitted(picture: Array) -> Image.Image:
    """Return a picture as large as its cell; of a small one the pixels are seen."""
    image = Image.fromarray(np.squeeze(picture, 2) if picture.shape[2] == 1 else picture).convert("RGB")
    scale = _CELL / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS)


def _short(name: str, font: Any) -> str:
    """Cut a name to the width of its cell; its end tells more than its beginning."""
    while len(name) > 4 and font.getlength(name) > _CELL:
        name = "…" + name[2:]
    return name
