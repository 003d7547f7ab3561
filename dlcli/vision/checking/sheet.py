"""The contact sheet: what a check found, as one picture, thumbnails with their file names grouped by finding."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw

from dlcli.core.files import replacing
from dlcli.core.findings import Finding
from dlcli.core.parallel import parallel
from dlcli.errors import DlcliError, printable
from dlcli.vision.lettering import cut, font

# Pixels: a thumbnail, what is between tiles, around the sheet, and between findings.
_TILE, _GAP, _MARGIN, _SPACE = 144, 14, 36, 18
_COLUMNS = 8
# Of text: a line under a thumbnail, the title, the band that names a finding; that with what is under it; a whole tile.
_LINE, _TITLE, _BAND, _HEAD = 15, 44, 44, 58
_CELL = _TILE + 6 + 2 * _LINE + _GAP
# Tiles of one finding, and of a whole sheet: about 2,500 x 12,000 pixels at most.
_MOST_TILES, _MOST_IN_ALL = 48, 400
_PAPER, _INK, _PALE, _GRAY = (250, 250, 248), (32, 33, 36), (110, 113, 118), (222, 223, 225)
_RED, _AMBER, _PANEL = (190, 44, 40), (166, 104, 0), (236, 237, 234)


class Tile(NamedTuple):
    """One picture of a sheet.

    Attributes:
        item: as it is read; empty where there is none.
        name: of the file.
        note: what is said of it.
        broken: whether it cannot be decoded.
        joined: whether it belongs to the tile before it.
    """

    item: str
    name: str
    note: str
    broken: bool
    joined: bool


def draw(path: Path, findings: Sequence[Finding], *, title: str) -> int:
    """Draw the pictures that findings name.

    Args:
        path: a PNG to write.
        findings: in their order; those that name no picture are left out.
        title: the line above all.

    Returns:
        how many pictures are on it.

    Raises:
        SurroundingsError: the file cannot be written.
    """
    groups, room = [], _MOST_IN_ALL
    for finding in findings:
        tiles = _tiles(finding)[: min(_MOST_TILES, room)]
        room -= len(tiles)
        if tiles:
            groups.append((finding, tiles))
    thumbnails = _thumbnails(list(dict.fromkeys(tile.item for _, tiles in groups for tile in tiles if not tile.broken)))
    sheet = _painted(groups, thumbnails, title)
    with replacing(path) as temporary:
        sheet.save(temporary, "PNG", optimize=True)
    return sum(len(tiles) for _, tiles in groups)


def _tiles(finding: Finding) -> list[Tile]:
    tiles = []
    for item in finding.items:
        for number, row in enumerate(item["rows"]):
            note = item.get("what") or row.get("label") or ""
            if len({one["data"] for one in item["rows"]}) > 1:
                note = f"{Path(row['data']).name}: {note}"
            broken = bool(item.get("what")) and row["label"] is None
            name = os.path.basename(row["where"]) if row["line"] is None else row["where"]  # noqa: PTH119
            tiles.append(Tile(row["item"], printable(name), printable(note), broken, number > 0))
    return tiles


def _thumbnails(items: Sequence[str]) -> dict[str, Image.Image]:
    """Decode as a training does, whole and in their own shape."""
    if not items:
        return {}
    from dlcli.core.backend import tf
    from dlcli.vision.pixels import native_pixels

    def work(item: str) -> Image.Image | None:
        try:
            image = Image.fromarray(native_pixels(item))
        except (DlcliError, tf.errors.OpError):  # It has changed since it was checked.
            return None
        scale = _TILE / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        # Small pictures keep their pixels, that one sees what a model sees.
        how = Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS
        return image.resize(size, how)

    found = zip(items, parallel(work, items), strict=True)
    return {item: image for item, image in found if image is not None}


def _painted(
    groups: Sequence[tuple[Finding, list[Tile]]], thumbnails: dict[str, Image.Image], title: str
) -> Image.Image:
    blocks = [(finding, _rows(tiles)) for finding, tiles in groups]
    places, bottom = _places(blocks)
    width = 2 * _MARGIN + _width(_COLUMNS)
    sheet = Image.new("RGB", (width, bottom + _MARGIN), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN - 8), cut(pen, title, font(22), width - 2 * _MARGIN), _INK, font(22))
    if not blocks:
        pen.text((_MARGIN, _MARGIN + _TITLE), "Nothing was found that a picture could show.", _PALE, font(15))
    for (finding, rows), at in zip(blocks, places, strict=True):
        _paint_head(pen, finding, at, _width(_columns(rows)))
        for number, row in enumerate(rows):
            for column, tile in enumerate(row):
                x, y = at[0] + column * (_TILE + _GAP), at[1] + _HEAD + number * _CELL
                _paint_tile(sheet, pen, tile, thumbnails, (x, y))
    return sheet


def _places(blocks: Sequence[tuple[Finding, list[list[Tile]]]]) -> tuple[list[tuple[int, int]], int]:
    """Return where each finding goes, and where the last one ends: two of few tiles stand beside each other."""
    places = []
    x, y, bottom = 0, _MARGIN + _TITLE, _MARGIN + _TITLE + 2 * _LINE
    for _, rows in blocks:
        if x and x + _columns(rows) > _COLUMNS:
            x, y = 0, bottom
        places.append((_MARGIN + x * (_TILE + _GAP), y))
        bottom = max(bottom, y + _HEAD + len(rows) * _CELL + _SPACE)
        x += _columns(rows)
    return places, bottom


def _columns(rows: Sequence[Sequence[Tile]]) -> int:
    """Return over how many columns a finding goes: half of the sheet, or all of it."""
    return _COLUMNS // 2 if max(map(len, rows)) <= _COLUMNS // 2 and len(rows) == 1 else _COLUMNS


def _width(columns: int) -> int:
    return columns * (_TILE + _GAP) - _GAP


def _paint_head(pen: ImageDraw.ImageDraw, finding: Finding, at: tuple[int, int], width: int) -> None:
    (x, y), color = at, _RED if finding.level == "error" else _AMBER
    pen.rectangle((x, y, x + width, y + _BAND), _PANEL)
    pen.rectangle((x, y, x + 5, y + _BAND), color)
    pen.text((x + 16, y + 5), f"{finding.level}: {finding.name}", color, font(15))
    data = finding.data[-1]
    text = finding.text if finding.text.startswith(data) else f"{data}: {finding.text}"
    pen.text((x + 16, y + 24), cut(pen, text, font(13), width - 32), _INK, font(13))


def _rows(tiles: Sequence[Tile]) -> list[list[Tile]]:
    """Lay tiles into rows; pictures that belong together are not parted by the end of a row."""
    together: list[list[Tile]] = []
    for tile in tiles:
        if tile.joined and together:
            together[-1].append(tile)
        else:
            together.append([tile])
    rows: list[list[Tile]] = [[]]
    for group in together:
        if len(rows[-1]) + len(group) > _COLUMNS:
            rows.append([])
        rows[-1] += group
    return rows


def _paint_tile(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, tile: Tile, thumbnails: dict[str, Image.Image], at: tuple[int, int]
) -> None:
    x, y = at
    image = thumbnails.get(tile.item)
    if tile.joined:  # One strip with the picture that it repeats.
        pen.rectangle((x - _GAP, y, x, y + _TILE - 1), _GRAY)
        pen.rectangle((x - _GAP + 3, y + _TILE // 2 - 1, x - 4, y + _TILE // 2 + 1), _PALE)
    pen.rectangle((x, y, x + _TILE - 1, y + _TILE - 1), _GRAY)
    if image is None:
        lines = textwrap.wrap(tile.note, 20)[:7]
        top = y + _TILE // 2 - len(lines) * 9
        for number, line in enumerate(lines):
            pen.text((x + _TILE // 2, top + number * 18), line, _PALE, font(13), anchor="ma")
    else:
        sheet.paste(image, (x + (_TILE - image.width) // 2, y + (_TILE - image.height) // 2))
    pen.text((x, y + _TILE + 5), cut(pen, tile.name, font(12), _TILE, front=True), _INK, font(12))
    note = "" if image is None else tile.note
    pen.text((x, y + _TILE + 5 + _LINE), cut(pen, note, font(12), _TILE), _PALE, font(12))
