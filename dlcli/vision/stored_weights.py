"""Weights in HDF5 files, in the two layouts of Keras: opened, and listed by layer.

That of Keras 1 and 2, in which Keras publishes its own, has `layer_names` and a group a layer, in the order of the
network; that of Keras 3 (`.weights.h5`) has `layers/CLASS_N/vars/K`. Nothing in a file is run, and nothing outside of
it is read.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dlcli.errors import ModelError, UsageError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
RESTORE = "Fetch it anew, or take another file"

Stored = tuple[str, list[Any]]
"""The name that a layer has in a file, and its variables there."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open an HDF5 file; say what it is where it is none."""
    try:
        with path.open("rb") as content:
            start = content.read(256)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", hint="Expected a file of weights") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder, expected a file of weights") from None
    if not start.startswith(SIGNATURE):
        raise ModelError(f"{path} holds no weights: expected HDF5 (.h5), got {_kind(start)}", hint=RESTORE)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = "it is cut off" if "truncated" in str(error) else str(error)
        raise ModelError(f"{path} is damaged ({reason})", hint=RESTORE) from None


def _kind(start: bytes) -> str:
    if re.match(rb"\s*<(!doctype html|html)\b", start, re.IGNORECASE):
        return "a web page"
    if start.startswith(b"PK"):
        return "an archive (a .keras model is given as the base itself)"
    return "an empty file" if not start else "something else"


def ordered_layers(file: Any) -> list[Stored] | None:
    """Return the layers with variables of a file of Keras 1 or 2, in the order of the network; None of another one."""
    group = _group(file, "model_weights") if "model_weights" in file else file  # A whole model.
    if not {"layer_names", "layer_names0"} & set(group.attrs):
        return None
    layers = ((name, _group(group, name)) for name in _names(group, "layer_names"))
    found = ((name, [_variable(layer, stored) for stored in _names(layer, "weight_names")]) for name, layer in layers)
    return [(name, variables) for name, variables in found if variables]


def numbered_layers(file: Any) -> list[Stored] | None:
    """Return the layers with variables of a file of Keras 3, by class and number; None of another file."""
    if "layers" not in file:
        return None
    group = _group(file, "layers")
    layers = ((name, _group(group, f"{name}/vars")) for name in group if "vars" in _group(group, name))
    found = ((name, [_variable(layer, key) for key in sorted(layer, key=int)]) for name, layer in layers)
    return [(name, variables) for name, variables in found if variables]


def class_names(model: Any) -> dict[str, str]:
    """Return what Keras 3 calls each layer in a file: its class, and how many of that class came before."""
    counts: dict[str, int] = {}
    names = {}
    for layer in model.layers:
        kind = snake_case(type(layer).__name__)
        counts[kind] = counts.get(kind, -1) + 1
        names[layer.name] = f"{kind}_{counts[kind]}" if counts[kind] else kind
    return names


def snake_case(name: str) -> str:
    """Return the name of a class as Keras writes it in files and layer names: `conv2d`, `max_pooling2d`."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def _names(group: Any, attribute: str) -> list[str]:
    """Return a list of names that is kept as an attribute, or, when it is long, as several numbered ones."""
    parts = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs and attribute not in parts:
        parts.append(f"{attribute}{len(parts)}")
    names = [name for part in parts for name in group.attrs[part]]
    return [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in names]


def _group(parent: Any, name: str) -> Any:
    """Return a group in a group; none that stands in another file."""
    return _child(parent, name, h5py.Group)


def _variable(parent: Any, name: str) -> Any:
    """Return a dataset in a group; none whose numbers stand in another file."""
    found = _child(parent, name, h5py.Dataset)
    if found.external or found.is_virtual:
        raise ValueError(f"{name} stands in another file")
    return found


def _child(parent: Any, name: str, kind: type) -> Any:
    found = parent
    for part in name.split("/"):
        if not isinstance(found, h5py.Group) or not isinstance(found.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{part} is missing, or a link")
        found = found[part]
    if not isinstance(found, kind):
        raise ValueError(f"{name} is no {kind.__name__.lower()}")
    return found


def read(variable: Any, path: Path, layer: Any) -> np.ndarray[Any, Any]:
    """Return the numbers of a variable, whose shape is known to be the layer's."""
    if variable.dtype.kind not in "fiu":
        raise ModelError(f"{path} is damaged (the layer {layer.name} holds no numbers)", hint=RESTORE)
    value: np.ndarray[Any, Any] = np.asarray(variable)
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise ModelError(f"{path} is damaged (the layer {layer.name} holds NaN or infinity)", hint=RESTORE)
    return value
