"""Text on pictures that Pillow paints."""

from __future__ import annotations

import os
from typing import Any

from PIL import ImageDraw, ImageFont


def cut(pen: ImageDraw.ImageDraw, text: str, face: Any, width: int, *, front: bool = False) -> str:
    """Cut a text to a width; with `front` its beginning, as the end of a file's name tells more."""
    if pen.textlength(text, face) <= width:
        return text
    while text and pen.textlength(f"…{text}", face) > width:
        text = text[1:] if front else text[:-1]
    return f"…{text}" if front else f"{text}…"


_fonts: dict[int, Any] = {}


def font(size: int) -> Any:
    """Return the font that ships with Matplotlib: it has more than Latin letters, and every machine has it."""
    if size not in _fonts:
        from matplotlib import get_data_path

        _fonts[size] = ImageFont.truetype(os.path.join(get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)  # noqa: PTH118
    return _fonts[size]
