"""A picture and its heat, side by side: warm speaks for the class, cold against it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlcli.errors import printable

if TYPE_CHECKING:
    from PIL import Image

    from dlcli.results.explain.explanation import PictureExplanation

# Vermilion and blue are told apart by the colour-blind too (Okabe and Ito 2008).
FOR, AGAINST = (213, 94, 0), (0, 114, 178)
# Of the heat, this share of the pixels is at full strength or beyond: single pixels would leave the rest pale
# (Smilkov et al. 2017 cap at the 99th percentile).
_FULL = 0.99
# How much of the colour covers the picture where the heat is strongest, and how much of the picture is left grey there.
_COVER, _DIMMED = 0.85, 0.75
# Pixels: the side of a pane, between panes, around them, of a line of text.
_PANE, _GAP, _MARGIN, _LINE = 320, 12, 20, 20
_PAPER, _INK, _PALE = (250, 250, 248), (32, 33, 36), (95, 99, 104)
# Bytes of a picture on a page.
_MOST_BYTES, _PAGE_PANE = 40_000, 224


def panes(explanation: PictureExplanation, *, side: int, gap: int = _GAP) -> Image.Image:
    """Return a picture and, on its right, the same in grey under the colours of its heat.

    Args:
        explanation: of a picture.
        side: of a pane in pixels, the longer one; small pictures are enlarged so that their pixels show.
        gap: between the panes.
    """
    from PIL import Image

    height, width = explanation.pixels.shape[:2]
    pixels = np.broadcast_to(explanation.pixels, (height, width, 3))
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    pair = Image.new("RGB", (2 * size[0] + gap, size[1]), _PAPER)
    for place, content in enumerate((pixels, _overlay(pixels, explanation.heat))):
        pane = Image.fromarray(np.ascontiguousarray(content))
        smooth = Image.Resampling.LANCZOS if scale < 2 else Image.Resampling.NEAREST
        pair.paste(pane.resize(size, smooth), (place * (size[0] + gap), 0))
    return pair


def _overlay(pixels: np.ndarray[Any, Any], heat: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return uint8 (height, width, 3): the picture in grey, coloured by its heat."""
    gray = pixels.astype(np.float32).mean(axis=-1, keepdims=True)
    ground = 255 - _DIMMED * (255 - gray)
    strength = strengths(heat)[..., np.newaxis]
    colours = np.where(strength > 0, np.array(FOR, np.float32), np.array(AGAINST, np.float32))
    cover = _COVER * np.abs(strength)
    return np.asarray(np.round(ground * (1 - cover) + colours * cover), np.uint8)


def strengths(heat: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a heat brought to -1 ... 1, where the strongest hundredth of the pixels is at 1; zeros stay."""
    size = np.abs(heat)
    full = float(np.quantile(size, _FULL)) or float(size.max())
    return np.clip(heat / full, -1, 1) if full else np.zeros_like(heat)


def as_jpeg(explanation: PictureExplanation) -> tuple[bytes, tuple[int, int]]:
    """Return both panes as a JPEG of bounded size, and its width and height in pixels."""
    side = _PAGE_PANE
    while True:
        drawn, content = panes(explanation, side=side, gap=0), io.BytesIO()
        drawn.save(content, "JPEG", quality=82, optimize=True)
        if content.tell() <= _MOST_BYTES or side < 32:
            return content.getvalue(), drawn.size
        side = side * 3 // 4


def draw(explanations: Sequence[PictureExplanation], path: Path) -> None:
    """Write pictures under one another, each with its heat and a line that says what is explained.

    Raises:
        SurroundingsError: the file cannot be written.
    """
    from PIL import Image, ImageDraw, ImageFont

    from dlcli.core.files import replacing

    bold, plain = (ImageFont.load_default(size) for size in (15, 13))
    drawn = [panes(one, side=_PANE) for one in explanations]
    rows = [one.height + 2 * _LINE + _GAP + _MARGIN for one in drawn]
    legend = any(one.signed for one in explanations)
    width = 2 * _MARGIN + max(*(one.width for one in drawn), 2 * _PANE)
    sheet = Image.new("RGB", (width, _MARGIN + sum(rows) + 2 * _LINE), _PAPER)
    pen, top = ImageDraw.Draw(sheet), _MARGIN
    for one, pair, row in zip(explanations, drawn, rows, strict=True):
        pen.text((_MARGIN, top), _fitting(pen, _title(one), bold, width - 2 * _MARGIN), fill=_INK, font=bold)
        name = _fitting(pen, f"{one.method} · {Path(one.item).name}", plain, width - 2 * _MARGIN)
        pen.text((_MARGIN, top + _LINE), name, fill=_PALE, font=plain)
        sheet.paste(pair, (_MARGIN, top + 2 * _LINE + _GAP // 2))
        top += row
    _draw_legend(pen, (_MARGIN, top), plain, signed=legend)
    with replacing(path) as temporary:
        sheet.save(temporary, "PNG", optimize=True)


def _title(one: PictureExplanation) -> str:
    answer = f"score {one.logit:.2f}" if one.probability is None else f"probability {one.probability:.4f}"
    return f"Why {printable(one.target)}? {answer}"


def _fitting(pen: Any, text: str, font: Any, width: int) -> str:
    """Return a text on one line, cut where it is too wide."""
    text = printable(" ".join(text.encode("utf-8", "replace").decode("utf-8").split()))
    if pen.textlength(text, font=font) <= width:
        return text
    while text and pen.textlength(f"{text}…", font=font) > width:
        text = text[:-1]
    return f"{text}…"


def _draw_legend(pen: Any, place: tuple[int, int], font: Any, *, signed: bool) -> None:
    left, top = place
    for colour, name in ((FOR, "speaks for it"), *([(AGAINST, "speaks against it")] if signed else [])):
        pen.rectangle((left, top + 2, left + 14, top + 14), fill=colour)
        pen.text((left + 20, top), name, fill=_INK, font=font)
        left += 40 + int(pen.textlength(name, font=font))
