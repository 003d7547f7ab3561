"""What the layers of a network make of one picture: their feature maps, as numbers and as a picture for each layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.backend import keras
from dlcli.errors import UsageError
from dlcli.results.inspection import structure
from dlcli.results.inspection.mosaics import ColourScale, Tile, in_rows, paint

Array = np.ndarray[Any, Any]

# Feature maps of a layer that are drawn, and of units in a row.
_MOST_MAPS, _UNITS_IN_A_ROW = 64, 32
# Layers that only hand on what they get when nothing is trained.
_IDLE = ("Dropout", "SpatialDropout2D", "Identity")


def activations(model: Any, pixels: Array, names: Sequence[str] = ()) -> dict[str, Array]:
    """Return what layers give for one picture.

    Args:
        model: of pictures.
        pixels: uint8 (1, height, width, channels).
        names: which layers; without any all that give feature maps.

    Returns:
        float32 (height, width, maps), or (units,), by the layer's name, in the network's order.

    Raises:
        UsageError: there is no such layer.
    """
    tensors = structure.outputs_of(model)
    kinds = {layer.name: layer.kind for layer in structure.layers_of(model)}
    wanted = {name: structure.output_of(model, name, option="--of") for name in names} or {
        name: tensor for name, tensor in tensors.items() if len(tensor.shape) == 4 and kinds[name] not in _IDLE
    }
    if not wanted:
        raise UsageError("the network has no feature maps to draw", hint="Name a layer with --of, such as hidden_1")
    found = keras.Model(model.input, list(wanted.values()))(pixels, training=False)
    numbers = [keras.ops.convert_to_numpy(keras.ops.cast(one, "float32"))[0] for one in found]
    return {name: numbers[place] for place, name in enumerate(wanted)}


def summaries(found: dict[str, Array]) -> Iterator[dict[str, Any]]:
    """Yield `layer`, `shape`, `mean`, `min`, `max`, `zeros` (a share) and the `strongest` maps of each layer."""
    for name, numbers in found.items():
        by_map = numbers.reshape(-1, numbers.shape[-1]).mean(axis=0)
        yield {
            "layer": name,
            "shape": list(numbers.shape),
            "mean": float(numbers.mean()),
            "min": float(numbers.min()),
            "max": float(numbers.max()),
            "zeros": float((numbers == 0).mean()),
            "strongest": np.argsort(-by_map, kind="stable")[:5].tolist(),
        }


def draw_activations(path: Path, numbers: Array, *, layer: str, pixels: Array, item: str) -> None:
    """Write a PNG of a layer's feature maps, or of its units as a bar of cells.

    Args:
        path: the file.
        numbers: float32 (height, width, maps) or (units,).
        layer: its name.
        pixels: uint8 (height, width, channels), the picture as the network sees it.
        item: its name.
    """
    scale = ColourScale.of(numbers)
    if numbers.ndim != 3:
        _draw_units(path, numbers.ravel(), layer, item, scale)
        return
    height, width, maps = numbers.shape
    drawn = min(maps, _MOST_MAPS)
    tiles = [Tile(pixels=_as_large(pixels, height, width), label="the picture")]
    tiles += [Tile(pixels=scale.colours(numbers[..., place]), label=str(place)) for place in range(drawn)]
    shown = f"maps 0 to {drawn - 1} of {maps}" if drawn < maps else f"{maps} maps"
    paint(
        path,
        in_rows(tiles, most=9 if width > 12 else 13),
        title=layer,
        subtitle=f"{shown} of {height} x {width} for {Path(item).name}; one scale for all",
        scale=scale,
    )


def _as_large(pixels: Array, height: int, width: int) -> Array:
    """Return the picture in the shape of a tile of feature maps, which may be a picture's part of another shape."""
    from PIL import Image

    from dlcli.results.inspection.mosaics import TILE

    factor = max(1, TILE // max(height, width))
    size = (width * factor, height * factor)
    coloured = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    how = Image.Resampling.NEAREST if size[0] > 2 * pixels.shape[1] else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(coloured).resize(size, how))


def _draw_units(path: Path, numbers: Array, layer: str, item: str, scale: ColourScale) -> None:
    rows = -(-len(numbers) // _UNITS_IN_A_ROW)
    columns = -(-len(numbers) // rows)
    cells: Array = np.full((rows * columns, 3), 255, np.uint8)
    cells[: len(numbers)] = scale.colours(numbers)
    paint(
        path,
        in_rows([Tile(pixels=cells.reshape(rows, columns, 3))]),
        title=layer,
        subtitle=f"{len(numbers)} units, {columns} a row from 0, for {Path(item).name}",
        scale=scale,
        side=16 * max(rows, columns),
    )
