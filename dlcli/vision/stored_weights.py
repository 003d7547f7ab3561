"""Weights in HDF5 files, in the two layouts of Keras: opened, and listed by layer.

That of Keras 1 and 2, in which Keras publishes its own, has `layer_names` and a group a layer, in the order of the
network; that of Keras 3 (`.weights.h5`) has `layers/CLASS_N/vars/K`. Nothing in a file is run, and nothing outside of
it is read; one that nobody vouches for is read by another process.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dlcli.core import hdf5, strangers
from dlcli.core.hdf5 import Contents
from dlcli.errors import ModelError, UsageError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
RESTORE = "Fetch it anew, or take another file"

Stored = tuple[str, list[Any]]
"""The name that a layer has in a file, and its variables there."""


@contextlib.contextmanager
def opened(path: Path, *, stranger: bool) -> Iterator[Contents]:
    """Open an HDF5 file; say what it is where it is none.

    Args:
        path: of the file.
        stranger: whether nobody vouches for it; another process reads it then.

    Raises:
        UsageError: there is no such file.
        ModelError: it is damaged or unsafe.
    """
    try:
        with path.open("rb") as content:
            start = content.read(256)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", hint="Expected a file of weights") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder, expected a file of weights") from None
    if not start.startswith(SIGNATURE):
        raise ModelError(f"{path} holds no weights: expected HDF5 (.h5), got {_kind(start)}", hint=RESTORE)
    if stranger:
        with strangers.numbers(path, hint=RESTORE) as found:
            yield found
        return
    try:
        with h5py.File(path, "r") as file:
            yield hdf5.contents(file, limit=strangers.allowance(path.stat().st_size))
    except hdf5.reasons() as error:
        raise ModelError(f"{path} is damaged ({hdf5.shown(error)})", hint=RESTORE) from None


def _kind(start: bytes) -> str:
    if re.match(rb"\s*<(!doctype html|html)\b", start, re.IGNORECASE):
        return "a web page"
    if start.startswith(b"PK"):
        return "an archive (a .keras model is given as the base itself)"
    return "an empty file" if not start else "something else"


def ordered_layers(found: Contents) -> list[Stored] | None:
    """Return the layers with variables of a file of Keras 1 or 2, in the order of the network; None of another one."""
    if found.order is None:
        return None
    return [(name, [found.arrays[path] for path in paths]) for name, paths in found.order if paths]


def numbered_layers(found: Contents) -> list[Stored] | None:
    """Return the layers with variables of a file of Keras 3, by class and number; None of another file."""
    layers: dict[str, dict[int, Any]] = {}
    for path, array in found.arrays.items():
        if place := re.fullmatch(r"layers/([^/]+)/vars/(\d{1,6})", path):
            layers.setdefault(place[1], {})[int(place[2])] = array
    return [(name, [variables[key] for key in sorted(variables)]) for name, variables in layers.items()] or None


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


def read(variable: Any, path: Path, layer: Any) -> np.ndarray[Any, Any]:
    """Return the numbers of a variable, whose shape is known to be the layer's."""
    if variable.dtype.kind not in "fiu":
        raise ModelError(f"{path} is damaged (the layer {layer.name} holds no numbers)", hint=RESTORE)
    value: np.ndarray[Any, Any] = np.asarray(variable)
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise ModelError(f"{path} is damaged (the layer {layer.name} holds NaN or infinity)", hint=RESTORE)
    return value
