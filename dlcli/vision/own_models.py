"""Models that users bring as bases: cut to their feature maps, and described."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlcli.core.backend import keras
from dlcli.core.layers import HEAD
from dlcli.errors import ModelError
from dlcli.vision.networks import FEATURES

# What turns feature maps into one row: the head begins there.
_POOLINGS = (keras.layers.Flatten, keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)


def require_base(model: keras.Model, *, source: Path) -> None:
    """Raise a `ModelError` unless a model takes one colour picture.

    Args:
        model: any.
        source: where it comes from, for errors.
    """
    shape: list[int | None] = list(model.inputs[0].shape) if len(model.inputs) == 1 else []
    if len(shape) != 4 or shape[-1] != 3:
        given = " and ".join(_shown(tensor.shape) for tensor in model.inputs)
        raise ModelError(
            f"{source} cannot be a base: expected one picture with three channels as its input, got {given}",
            hint="Train or save it for colour pictures (--color rgb)",
        )


def without_head(model: keras.Model) -> keras.Model:
    """Return a model up to the features that its head takes.

    Returns:
        a model with the same layers: up to what the last pooling or flattening takes that has weights before and behind
        it; else up to the layer `classes`, which ends ours; else the whole model.
    """
    layers = model.layers
    places = range(len(layers)) if len(model.outputs[0].shape) == 2 else ()
    for place in reversed(places):
        ends_maps = isinstance(layers[place], _POOLINGS) or layers[place].name == FEATURES
        if ends_maps and all(any(one.weights for one in part) for part in (layers[:place], layers[place + 1 :])):
            return keras.Model(model.inputs, layers[place].input, name=model.name)
    return keras.Model(model.inputs, layers[-1].input, name=model.name) if layers[-1].name == HEAD else model


def _shown(shape: Any) -> str:
    return "x".join("?" if side is None else str(side) for side in shape[1:]) or "one number"


def blocks_of(model: keras.Model) -> dict[str, str]:
    """Return the blocks of a model without a head, from bottom to top: a new one where the feature maps get smaller.

    Returns:
        the first layer with weights of `block1`, `block2` ...
    """
    blocks: dict[str, str] = {}
    side = None
    for layer in model.layers:
        if layer.weights and len(layer.output.shape) == 4 and layer.output.shape[1] != side:
            side = layer.output.shape[1]
            blocks[f"block{len(blocks) + 1}"] = layer.name
    return blocks


def scales_itself(model: keras.Model) -> bool:
    """Say whether a model brings pixels from 0 to 255 into the range that it was trained with."""
    scaling = (keras.layers.Rescaling, keras.layers.Normalization)
    arithmetic = any(not isinstance(operation, keras.layers.Layer) for operation in _first_operations(model))
    whole = keras.backend.standardize_dtype(model.inputs[0].dtype).startswith(("int", "uint"))
    return whole or arithmetic or any(isinstance(layer, scaling) for layer in model.layers)


def _first_operations(model: keras.Model) -> Iterator[Any]:
    """Yield what a model does before its first layer with weights, arithmetic that is no layer too."""
    for operation in getattr(model, "operations", model.layers):
        if getattr(operation, "weights", ()):
            return
        yield operation
