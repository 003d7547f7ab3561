"""What was found about filters, as pictures: the kernels themselves, what excites them, what was made to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlcli.errors import printable
from dlcli.results.inspection.mosaics import Row, Tile, in_rows, paint

if TYPE_CHECKING:
    from dlcli.results.inspection.ascent import Visualised
    from dlcli.results.inspection.excitation import Exciting

Array = np.ndarray[Any, Any]

# Kernels that are drawn, at most: more are no picture that a person reads.
_MOST_KERNELS = 256
# The grey of what is outside the picture.
_OUTSIDE = 226


def draw_kernels(path: Path, kernel: Array, *, layer: str) -> None:
    """Write a PNG of the kernels of a convolution that reads pixels.

    Args:
        path: the file.
        kernel: float32 (height, width, 1 or 3, filters).
        layer: its name.
    """
    most = float(np.abs(kernel[np.isfinite(kernel)]).max(initial=0)) or 1.0
    # What is no number is black, as is the smallest.
    pixels = np.round(np.nan_to_num(127.5 + 127.5 * np.clip(kernel / most, -1, 1))).astype(np.uint8)
    count = min(kernel.shape[-1], _MOST_KERNELS)
    height, width, _, filters = kernel.shape
    tiles = [Tile(pixels=pixels[..., number], label=str(number)) for number in range(count)]
    paint(
        path,
        in_rows(tiles, most=8 if count <= 64 else 16),
        title=f"{layer}: {count if count == filters else f'{count} of {filters}'} filters of {height} x {width}",
        subtitle=f"grey is 0, the strongest colour {most:.3g}, to both sides",
    )


def draw_visualised(path: Path, found: Visualised, names: Sequence[str], *, layer: str, steps: int) -> None:
    """Write a PNG of the pictures that gradient ascent made.

    Args:
        path: the file.
        found: the pictures.
        names: of the filters.
        layer: theirs.
        steps: how many were climbed.
    """
    tiles = [
        Tile(pixels=pixels, label=name, note=f"{activation:.3g}  ({noise:.2g})")
        for pixels, name, activation, noise in zip(found.pixels, names, found.activations, found.noise, strict=True)
    ]
    paint(
        path,
        in_rows(tiles),
        title=f"{layer}: what excites its filters",
        subtitle=f"{steps} steps of gradient ascent; below, the mean output for it (and for noise)",
    )


def draw_exciting(
    path: Path, best: Sequence[Sequence[Exciting]], names: Sequence[str], pipeline: Any, *, layer: str
) -> None:
    """Write a PNG of the pictures of a data set that excite filters most: what the filter sees of each.

    Args:
        path: the file.
        best: for each filter its pictures.
        names: of the filters.
        pipeline: of the run: decodes pictures.
        layer: of the filters.
    """
    items = list(dict.fromkeys(one.item for row in best for one in row))
    decoded = dict(zip(items, _decoded(pipeline, items), strict=True))
    sizes = [one.region for row in best for one in row if one.region]
    height, width = max(r[2] - r[0] for r in sizes), max(r[3] - r[1] for r in sizes)
    rows = [
        Row(
            label=f"filter {name}" if name.isdecimal() else name,
            tiles=[
                Tile(
                    pixels=_cropped(decoded[one.item], one, height, width),
                    label=f"{one.activation:.3g}",
                    note=_short(one.item),
                )
                for one in row
            ],
        )
        for row, name in zip(best, names, strict=True)
    ]
    whole = (height, width) == decoded[items[0]].shape[:2]
    seen = (
        "the whole picture"
        if whole
        else f"the {height} x {width} pixels that a filter sees (grey: outside the picture)"
    )
    paint(path, rows, title=f"{layer}: what excites its filters most", subtitle=f"{seen}; below, the filter's output")


def _decoded(pipeline: Any, items: list[str]) -> Array:
    from dlcli.core.progress import Silent

    rows = pipeline.pixels(items, Silent())
    return np.asarray(rows[np.arange(len(items))])


def _cropped(pixels: Array, one: Exciting, height: int, width: int) -> Array:
    """Return what a filter sees; at the border of the picture with grey beside it, so that all are as large."""
    assert one.region is not None, "of a picture"
    top, left, bottom, right = one.region
    found: Array = np.full((height, width, pixels.shape[2]), _OUTSIDE, np.uint8)
    down, across = (height - (bottom - top) if top == 0 else 0), (width - (right - left) if left == 0 else 0)
    found[down : down + bottom - top, across : across + right - left] = pixels[top:bottom, left:right]
    return found


def _short(item: str) -> str:
    """Return the end of a path: the folder of a picture is often its class."""
    return printable("/".join(Path(item).parts[-2:]))
