"""The weights of pretrained bases: brought to this machine and verified; read into a model, layer by layer.

Two layouts of HDF5 are read, told apart by what is in the file: that of Keras 1 and 2, in which Keras publishes its
own (`layer_names`, and a group a layer), and that of Keras 3 (`.weights.h5`: `layers/CLASS_N/vars/K`). Nothing in
a file is run, and nothing outside of it is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dlcli.core.fetch import fetch, naming_mirrors
from dlcli.core.files import write_text
from dlcli.core.progress import Progress
from dlcli.core.transfer import Remote
from dlcli.errors import ModelError, UsageError
from dlcli.vision import bases
from dlcli.vision.bases import Base, WeightsFile

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_RESTORE = "Fetch it anew, or take another file"


def obtain(base: Base, *, full: bool = False, progress: Progress, mirror: str = "") -> Path:
    """See that the published weights of a base are on this machine.

    Args:
        base: which.
        full: those with its head for the classes of ImageNet.
        progress: told of what comes.
        mirror: a base address to take them from instead.

    Returns:
        the file in the user's cache, or else in Keras' own; it has the hash that is stated.

    Raises:
        UsageError: none are published.
        SurroundingsError: they cannot be had, or are not what is stated; says which file from where goes where.
    """
    file = base.full if full else base.weights
    if file is None:
        raise UsageError(f"no weights of {base.name}{' with its head' if full else ''} are published")
    return obtain_file(file, name=f"{base.name} --full" if full else base.name, progress=progress, mirror=mirror)


def obtain_file(file: WeightsFile, *, name: str, progress: Progress, mirror: str = "", force: bool = False) -> Path:
    """See that a published file is on this machine.

    Args:
        file: which.
        name: of what it belongs to, as `dlcli pretrained fetch` takes it.
        progress: told of what comes.
        mirror: a base address to take it from instead.
        force: fetch it even if it is here.

    Raises:
        SurroundingsError: it cannot be had, or is not what is stated.
    """
    path = bases.cache() / file.name
    if not force and not path.exists() and (own := of_keras(file)):
        if vouched(file, own):
            progress.note(f"{file.name} is taken from Keras' cache, {own.parent}")
            return own
        progress.warn(f"{own} is not the file that is stated, so it is not taken")
    if force:
        path.unlink(missing_ok=True)
    recorded = record(path).get("sha256", "") if not file.hash else ""
    remote = Remote(
        address=file.address,
        size=file.size,
        hash=file.hash or recorded,
        algorithm=file.algorithm,
        source=file.hash_source or "as it was when it was fetched",
    )
    with naming_mirrors(f"dlcli pretrained fetch {name}", mirror=mirror):
        fetched = fetch(remote, path, progress=progress, mirror=mirror)
    if fetched.new or not record(path):
        _keep_record(file, path, address=fetched.address, digest=fetched.hash)
        if not file.hash:
            progress.warn(
                f"nobody states a hash for {file.name}, so it was not verified; it has {file.algorithm} {fetched.hash}"
            )
    return path


def here(file: WeightsFile) -> Path | None:
    """Return where a published file is on this machine, unverified; None where it is not."""
    path = bases.cache() / file.name
    return path if path.is_file() else of_keras(file)


def of_keras(file: WeightsFile) -> Path | None:
    """Return where Keras itself has kept a file; None where it has not."""
    own = os.environ.get("KERAS_HOME")
    with contextlib.suppress(RuntimeError):  # This user has no home directory.
        path = (Path(own) if own else Path.home() / ".keras") / "models" / file.name
        return path if path.is_file() else None
    return None


def vouched(file: WeightsFile, path: Path) -> bool:
    """Say whether a file has the hash that is stated; where none is stated, whether it looks like weights."""
    if file.hash:
        return digest(path, file.algorithm) == file.hash
    with path.open("rb") as content:
        return content.read(len(_SIGNATURE)) == _SIGNATURE


def digest(path: Path, algorithm: str) -> str:
    """Return the hash of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def record(path: Path) -> dict[str, Any]:
    """Return what was written down when a file came into the user's cache; empty where nothing was."""
    with contextlib.suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads(_record_of(path).read_text(encoding="utf-8"))
        return found
    return {}


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _keep_record(file: WeightsFile, path: Path, *, address: str, digest: str) -> None:
    about = {
        "address": address,
        "size": path.stat().st_size,
        file.algorithm: digest,
        "verified": bool(file.hash),
        "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_text(_record_of(path), json.dumps(about, indent=2) + "\n")


def load(model: Any, path: Path) -> None:
    """Read weights into a model.

    Args:
        model: a Keras model made of plain layers, none of them a model itself.
        path: an HDF5 file of either layout, whatever its name ends in.

    Raises:
        UsageError: there is no such file.
        ModelError: it is damaged, or of another network: names the first layer that does not fit, with both shapes.
            The model is as it was.
    """
    _require_published(path)
    wanted = [layer for layer in model.layers if layer.weights]
    with _opened(path) as file:
        pairs = _paired(model, wanted, file, path)
        values = [[_read(variable, path, layer) for variable in stored] for layer, stored in pairs]
    for (layer, _), arrays in zip(pairs, values, strict=True):
        for variable, value in zip(layer.weights, arrays, strict=True):
            variable.assign(value)
        if hasattr(layer, "finalize_state"):  # Normalization makes constants of its weights.
            layer.finalize_state()


def _require_published(path: Path) -> None:
    """Raise a `ModelError` when a file has the name of a published one, and another hash."""
    files = [file for _, file in bases.published(path.name) if file.hash]
    if path.is_file() and files and not any(vouched(file, path) for file in files):
        raise ModelError(
            f"{path} is not the file that is published under its name: expected {files[0].algorithm} {files[0].hash} "
            f"({files[0].hash_source}), got {digest(path, files[0].algorithm)}",
            hint=f"{_RESTORE}; weights of your own need another name",
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an HDF5 file; say what it is where it is none."""
    try:
        with path.open("rb") as content:
            start = content.read(256)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", hint="Expected a file of weights") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder, expected a file of weights") from None
    if not start.startswith(_SIGNATURE):
        raise ModelError(f"{path} holds no weights: expected HDF5 (.h5), got {_kind(start)}", hint=_RESTORE)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = "it is cut off" if "truncated" in str(error) else str(error)
        raise ModelError(f"{path} is damaged ({reason})", hint=_RESTORE) from None


def _kind(start: bytes) -> str:
    if re.match(rb"\s*<(!doctype html|html)\b", start, re.IGNORECASE):
        return "a web page"
    if start.startswith(b"PK"):
        return "an archive (a .keras model is given as the base itself)"
    return "an empty file" if not start else "something else"


_Stored = tuple[str, list[Any]]
"""The name that a layer has in a file, and its variables there."""


def _paired(model: Any, wanted: list[Any], file: Any, path: Path) -> list[tuple[Any, list[Any]]]:
    """Return each layer of a model that has variables, with those in a file, which fit.

    Raises:
        ModelError: they do not.
    """
    older = _child(file, "model_weights") if "model_weights" in file else file  # A whole model, in the older layout.
    if "layer_names" in older.attrs or "layer_names0" in older.attrs:
        found = _older(older)
        matches: list[_Stored | None] = [found[n] if n < len(found) else None for n in range(len(wanted))]
    elif "layers" in file:
        found = _newer(_child(file, "layers"))
        names = _class_names(model)
        matches = [next((stored for stored in found if stored[0] == names[layer.name]), None) for layer in wanted]
    else:
        raise ModelError(f"{path} holds no weights of a Keras model: it has neither layer names nor layers")
    for layer, match in zip(wanted, matches, strict=True):
        _require_fitting(layer, match, path)
    if more := [name for name, _ in found if name not in {match[0] for match in matches if match}]:
        raise ModelError(
            f"{path} holds weights of another network: it has {len(found)} layers with weights and {model.name} "
            f"{len(wanted)}; the first that is too much is {more[0]}",
            hint="Weights with a head for ImageNet's classes do not fit a base without one",
        )
    return [(layer, match[1]) for layer, match in zip(wanted, matches, strict=True) if match]


def _require_fitting(layer: Any, match: _Stored | None, path: Path) -> None:
    """Raise a `ModelError` when a layer's variables in a file are not of the layer's shapes."""
    expected = [tuple(variable.shape) for variable in layer.weights]
    name, found = (match[0], [tuple(variable.shape) for variable in match[1]]) if match else ("", [])
    if expected == found:
        return
    there = f"{name} there has {_shapes(found)}" if match else "the file ends before it"
    raise ModelError(
        f"{path} holds weights of another network: the layer {layer.name} takes {_shapes(expected)}, and {there}",
        hint="Take weights of this base (dlcli pretrained list)",
    )


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    return " + ".join("x".join(map(str, shape)) or "one number" for shape in shapes)


def _older(group: Any) -> list[_Stored]:
    """Return the layers of the layout of Keras 1 and 2, which have the order of the model's."""
    layers = ((name, _child(group, name)) for name in _names(group, "layer_names"))
    found = ((name, [_child(layer, variable) for variable in _names(layer, "weight_names")]) for name, layer in layers)
    return [(name, variables) for name, variables in found if variables]


def _names(group: Any, attribute: str) -> list[str]:
    """Return a list of names that is kept as an attribute, or, when it is long, as several numbered ones."""
    parts = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs and attribute not in parts:
        parts.append(f"{attribute}{len(parts)}")
    names = [name for part in parts for name in group.attrs[part]]
    return [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in names]


def _newer(group: Any) -> list[_Stored]:
    """Return the layers of Keras 3's layout, by what `_class_names` calls them."""
    layers = ((name, _child(group, f"{name}/vars")) for name in group if "vars" in group[name])
    found = ((name, [_child(layer, key) for key in sorted(layer, key=int)]) for name, layer in layers)
    return [(name, variables) for name, variables in found if variables]


def _class_names(model: Any) -> dict[str, str]:
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


def _child(group: Any, name: str) -> Any:
    """Return what is in a group; nothing that stands in another file."""
    for part in name.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{part} is missing, or a link")
        group = group[part]
    if isinstance(group, h5py.Dataset) and (group.external or group.is_virtual):
        raise ValueError(f"{name} stands in another file")
    return group


def _read(variable: Any, path: Path, layer: Any) -> np.ndarray[Any, Any]:
    """Return the numbers of a variable, whose shape is known to be the layer's."""
    if variable.dtype.kind not in "fiu":
        raise ModelError(f"{path} is damaged (the layer {layer.name} holds no numbers)", hint=_RESTORE)
    value: np.ndarray[Any, Any] = np.asarray(variable)
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise ModelError(f"{path} is damaged (the layer {layer.name} holds NaN or infinity)", hint=_RESTORE)
    return value
