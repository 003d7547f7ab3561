"""Models that users bring as bases: opened safely, cut to their feature maps, and described."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlcli.core.backend import keras
from dlcli.core.layers import HEAD
from dlcli.errors import ModelError, UsageError
from dlcli.vision.networks import FEATURES

# Layers that run code which stands in the file, or beside it.
_UNSAFE = {"Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer"}
_CONFIG, _WEIGHTS = "config.json", ("model.weights.h5", "model.weights.npz")
# A part that is so many times larger than what is stored of it is made to fill the memory.
_LARGEST_EXPANSION, _SMALL = 100, 10**8
# What turns feature maps into one row: the head begins there.
_POOLINGS = (keras.layers.Flatten, keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)


def open_model(path: Path) -> keras.Model:
    """Open a `.keras` file of somebody else; nothing in it is run.

    Args:
        path: of the file.

    Returns:
        the model, uncompiled; made of layers that Keras or dlcli has.

    Raises:
        UsageError: there is no such file.
        ModelError: it is damaged, no `.keras` file, or has a Lambda layer or custom code.
    """
    _require_safe(path)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{path} cannot be loaded ({reason})", hint="Save it anew with this version of Keras"
        ) from error


def _require_safe(path: Path) -> None:
    """Raise a `ModelError` unless a file is a whole archive, of layers that are known."""
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="Expected a .keras file")
    if path.is_dir() or path.suffix != ".keras":
        raise UsageError(f"{path}: expected a model as a .keras file", hint="Save it with model.save('base.keras')")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if _CONFIG not in names or not set(_WEIGHTS) & set(names):
                raise ModelError(f"{path} is no .keras model: it has no {_CONFIG}, or no weights")
            for part in archive.infolist():
                if part.file_size > max(_SMALL, _LARGEST_EXPANSION * part.compress_size):
                    raise ModelError(f"{path} is refused: {part.filename} would fill the memory")
            if damaged := archive.testzip():
                raise ModelError(f"{path} is damaged: {damaged} is not what was saved", hint="Take another copy")
            config = json.loads(archive.read(_CONFIG))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise ModelError(f"{path} is damaged, or no .keras file ({error})", hint="Take another copy") from None
    for found in _objects(config):
        _require_known(found, path)


def _require_known(part: dict[str, Any], path: Path) -> None:
    """Raise a `ModelError` when a part of a model's config is code, or not of Keras."""
    kind, module = str(part.get("class_name")), str(part.get("module") or "")
    hint = "Build it of Keras' own layers, and save it anew"
    if kind in _UNSAFE:
        what = f"{kind.strip('_')} layer {_name_of(part)!r}"
        raise ModelError(f"{path} is refused: its {what} is code, which loading it would run", hint=hint)
    package = str(part.get("registered_name") or "").rpartition(">")[0]
    if package == "dlcli":
        return
    if package or module.split(".")[0] not in ("", "keras", "builtins"):
        raise ModelError(f"{path} is refused: {kind} of {package or module} is custom code, not of Keras", hint=hint)


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yield what a model's config names by its class, at any depth; how it was compiled is not loaded."""
    pending = [config]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if "class_name" in part:
                yield part
            pending += [value for key, value in part.items() if key != "compile_config"]
        elif isinstance(part, list):
            pending += part


def _name_of(part: dict[str, Any]) -> str:
    config = part.get("config")
    return str(config.get("name", "")) if isinstance(config, dict) else ""


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
