"""The contact sheet: what a check found, as one picture, thumbnails with their file names grouped by finding."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from dlcli.core.files import replacing
from dlcli.core.findings import Finding
from dlcli.core.parallel import parallel
from dlcli.errors import DlcliError, printable

# Pixels: a thumbnail, what is between tiles, around the sheet, and between findings.
_TILE, _GAP, _MARGIN, _SPACE = 144, 14, 36, 30
_COLUMNS = 8
# Lines of 12 pixels under a thumbnail.
_LINE, _LINES = 15, 2
# Tiles of one finding, and of a whole sheet: about 2,500 x 12,000 pixels at most.
_MOST_TILES, _MOST_IN_ALL = 48, 400
_PAPER, _INK, _PALE, _GRAY = (250, 250, 248), (32, 33, 36), (110, 113, 118), (222, 223, 225)
_RED, _AMBER, _BAND = (190, 44, 40), (176, 112, 0), (238, 239, 236)


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
    from dlcli.vision.decode import decode_native
    from dlcli.vision.raw import read_raw

    def work(item: str) -> Image.Image | None:
        try:
            image = Image.fromarray(decode_native(tf.constant(read_raw(item)), channels=3).numpy())
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
    width = 2 * _MARGIN + _COLUMNS * (_TILE + _GAP) - _GAP
    rows = [_rows(tiles) for _, tiles in groups]
    cell = _TILE + 6 + _LINES * _LINE + _GAP
    height = 2 * _MARGIN + 44 + sum(64 + len(lines) * cell + _SPACE for lines in rows)
    sheet = Image.new("RGB", (width, max(height, 160)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN - 8), _cut(pen, title, _font(22), width - 2 * _MARGIN), _INK, _font(22))
    at = _MARGIN + 44
    if not groups:
        pen.text((_MARGIN, at), "Nothing was found that a picture could show.", _PALE, _font(15))
    for (finding, _), lines in zip(groups, rows, strict=True):
        color = _RED if finding.level == "error" else _AMBER
        pen.rectangle((_MARGIN, at, width - _MARGIN, at + 44), _BAND)
        pen.rectangle((_MARGIN, at, _MARGIN + 5, at + 44), color)
        pen.text((_MARGIN + 16, at + 5), f"{finding.level}: {finding.name}", color, _font(15))
        where = ", ".join(finding.data)
        pen.text(
            (_MARGIN + 16, at + 24), _cut(pen, f"{finding.text}   ({where})", _font(13), width - 100), _INK, _font(13)
        )
        at += 58
        for line in lines:
            for column, tile in enumerate(line):
                if tile is not None:
                    _paint_tile(sheet, pen, tile, thumbnails, (_MARGIN + column * (_TILE + _GAP), at))
            at += cell
        at += _SPACE
    return sheet


def _rows(tiles: Sequence[Tile]) -> list[list[Tile | None]]:
    """Lay tiles into rows; pictures that belong together are not parted by the end of a row."""
    together: list[list[Tile]] = []
    for tile in tiles:
        if tile.joined and together:
            together[-1].append(tile)
        else:
            together.append([tile])
    rows: list[list[Tile | None]] = [[]]
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
    if tile.joined:  # A bridge to the picture that it repeats.
        pen.rectangle((x - _GAP, y + _TILE // 2 - 2, x, y + _TILE // 2 + 2), _PALE)
    pen.rectangle((x, y, x + _TILE - 1, y + _TILE - 1), _GRAY)
    if image is None:
        lines = textwrap.wrap(tile.note, 20)[:7]
        top = y + _TILE // 2 - len(lines) * 9
        for number, line in enumerate(lines):
            pen.text((x + _TILE // 2, top + number * 18), line, _PALE, _font(13), anchor="ma")
    else:
        sheet.paste(image, (x + (_TILE - image.width) // 2, y + (_TILE - image.height) // 2))
    pen.text((x, y + _TILE + 5), _cut(pen, tile.name, _font(12), _TILE, front=True), _INK, _font(12))
    note = "" if image is None else tile.note
    pen.text((x, y + _TILE + 5 + _LINE), _cut(pen, note, _font(12), _TILE), _PALE, _font(12))


def _cut(pen: ImageDraw.ImageDraw, text: str, font: Any, width: int, *, front: bool = False) -> str:
    """Cut a text to a width; with `front` its beginning, as the end of a file's name tells more."""
    if pen.textlength(text, font) <= width:
        return text
    while text and pen.textlength(f"…{text}", font) > width:
        text = text[1:] if front else text[:-1]
    return f"…{text}" if front else f"{text}…"


_fonts: dict[int, Any] = {}


def _font(size: int) -> Any:
    """Return the font that ships with Matplotlib: it has more than Latin letters, and every machine has it."""
    if size not in _fonts:
        from matplotlib import get_data_path

        _fonts[size] = ImageFont.truetype(os.path.join(get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)  # noqa: PTH118
    return _fonts[size]
