"""Pictures of many small pictures: a title, rows of tiles with what is said of each, and a scale of the colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from dlcli.core.files import replacing
from dlcli.errors import printable
from dlcli.vision.lettering import cut, font

Array = np.ndarray[Any, Any]

_PAPER, _INK, _PALE, _FRAME = "#ffffff", "#1b1f24", "#5f6670", "#e3e6ea"
# Pixels.
_MARGIN, _GAP, _LINE, _TITLE = 28, 12, 17, 54
_BAR_WIDTH, _BAR_HEIGHT = 168, 12
# The side that tiles are brought to, and the narrowest picture: its title has to go somewhere.
TILE, _NARROWEST = 120, 560


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One small picture.

    Attributes:
        pixels: uint8 (height, width, 1 or 3).
        label: what it is.
        note: more of it, in a quieter line; where it is too long its end is shown, as that of a file's name tells more.
    """

    pixels: Array
    label: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Tiles beside each other; with a label they have a line above them."""

    tiles: Sequence[Tile]
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class ColourScale:
    """How numbers become colours: from 0 upwards, or where some are below 0 to both sides of it.

    Attributes:
        most: what has the strongest colour; larger numbers have it too.
        signed: whether there are numbers below 0.
    """

    most: float
    signed: bool

    @classmethod
    def of(cls, numbers: Array) -> ColourScale:
        """Return the scale for numbers: a few outliers do not make all others pale."""
        finite = numbers[np.isfinite(numbers)]
        sizes = np.abs(finite)
        most = float(np.quantile(sizes, 0.995) or sizes.max()) if finite.size else 0.0
        return cls(most=most or 1.0, signed=bool(finite.size and finite.min() < 0))

    def colours(self, numbers: Array) -> Array:
        """Return uint8 (..., 3); what is no number is red."""
        from matplotlib import colormaps

        share = np.clip(numbers / self.most, -1, 1)
        found = colormaps["RdBu_r"](0.5 + share / 2) if self.signed else colormaps["magma"](share)
        found[~np.isfinite(numbers)] = (1, 0, 0, 1)
        return np.asarray(np.round(found[..., :3] * 255), np.uint8)


def in_rows(tiles: Sequence[Tile], *, most: int = 8) -> list[Row]:
    """Lay tiles into rows as equal as can be, of at most so many."""
    rows = -(-len(tiles) // most)
    columns = -(-len(tiles) // rows) if rows else 1
    return [Row(tiles=tiles[start : start + columns]) for start in range(0, len(tiles), columns)]


def paint(
    path: Path,
    rows: Sequence[Row],
    *,
    title: str,
    subtitle: str = "",
    scale: ColourScale | None = None,
    side: int = TILE,
) -> None:
    """Write a PNG of tiles, whole or not at all.

    Args:
        path: the file.
        rows: of tiles, all of one size.
        title: what is seen.
        subtitle: how to read it.
        scale: of the tiles' colours.
        side: what a tile's longer side is brought to, in pixels.

    Raises:
        SurroundingsError: the disk is full, or not writable.
    """
    tiles = [tile for row in rows for tile in row.tiles]
    width, height = _size(tiles[0].pixels, side)
    below = 5 + _LINE * max((bool(tile.label) + bool(tile.note) for tile in tiles), default=0)
    columns = max(len(row.tiles) for row in rows)
    full = max(columns * (width + _GAP) - _GAP, _NARROWEST)
    heads = [_LINE + 6 if row.label else 0 for row in rows]
    bottom = _MARGIN + _TITLE + sum(head + height + below + _GAP for head in heads) + (38 if scale else 0)
    sheet = Image.new("RGB", (full + 2 * _MARGIN, bottom + _MARGIN - _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN - 6), cut(pen, printable(title), font(20), full), _INK, font(20))
    pen.text((_MARGIN, _MARGIN + 23), cut(pen, printable(subtitle), font(13), full), _PALE, font(13))
    y = _MARGIN + _TITLE
    for row, head in zip(rows, heads, strict=True):
        if row.label:
            pen.text((_MARGIN, y), cut(pen, printable(row.label), font(14), full), _INK, font(14))
        for column, tile in enumerate(row.tiles):
            _paint_tile(sheet, pen, tile, (_MARGIN + column * (width + _GAP), y + head), (width, height))
        y += head + height + below + _GAP
    if scale:
        _paint_scale(sheet, pen, scale, (_MARGIN, y + 4))
    with replacing(path) as temporary:
        sheet.save(temporary, "PNG", optimize=True)


def _size(pixels: Array, side: int) -> tuple[int, int]:
    """Return the width and height of a tile: pixels that are few are whole numbers of pixels wide."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    scale = side // longest if longest <= side else side / longest
    return max(1, round(width * scale)), max(1, round(height * scale))


def _paint_tile(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, tile: Tile, at: tuple[int, int], size: tuple[int, int]
) -> None:
    (x, y), (width, height) = at, size
    pixels = np.repeat(tile.pixels, 3, axis=2) if tile.pixels.shape[2] == 1 else tile.pixels
    enlarged = max(pixels.shape[:2]) <= max(size)
    how = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
    sheet.paste(Image.fromarray(pixels).resize(size, how), at)
    pen.rectangle((x - 1, y - 1, x + width, y + height), outline=_FRAME)
    line = y + height + 4
    for text, colour in ((tile.label, _INK), (tile.note, _PALE)):
        if text:
            shown = cut(pen, printable(text), font(12), width, front=text == tile.note)
            pen.text((x, line), shown, colour, font(12))
            line += _LINE


def _paint_scale(sheet: Image.Image, pen: ImageDraw.ImageDraw, scale: ColourScale, at: tuple[int, int]) -> None:
    x, y = at
    low = -scale.most if scale.signed else 0.0
    bar = scale.colours(np.linspace(low, scale.most, _BAR_WIDTH)[np.newaxis].repeat(_BAR_HEIGHT, axis=0))
    left = f"{low:.3g}"
    start = x + round(pen.textlength(left, font(12))) + 8
    pen.text((x, y - 1), left, _PALE, font(12))
    sheet.paste(Image.fromarray(bar), (start, y))
    pen.rectangle((start - 1, y - 1, start + _BAR_WIDTH, y + _BAR_HEIGHT), outline=_FRAME)
    pen.text((start + _BAR_WIDTH + 8, y - 1), f"{scale.most:.3g}", _PALE, font(12))
