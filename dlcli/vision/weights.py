"""The weights of pretrained bases: brought to this machine and verified; read into a model, layer by layer."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dlcli.core.fetch import fetch, naming_mirrors
from dlcli.core.files import write_text
from dlcli.core.hdf5 import Contents
from dlcli.core.progress import Progress
from dlcli.core.transfer import Remote
from dlcli.errors import ModelError, UsageError
from dlcli.vision import bases
from dlcli.vision.bases import Base, WeightsFile
from dlcli.vision.stored_weights import (
    RESTORE,
    SIGNATURE,
    Stored,
    class_names,
    numbered_layers,
    opened,
    ordered_layers,
    read,
)


def obtain(base: Base, *, full: bool = False, progress: Progress, mirror: str = "") -> Path:
    """See that the published weights of a base are on this machine.

    Args:
        base: which.
        full: those with its head for the classes of ImageNet.
        progress: told of what comes.
        mirror: a base address to take them from instead.

    Returns:
        the file in the user's cache, or else in Keras' own; it has the hash that is stated. Where only the one with the
        head is here, that: `load` reads a base out of it.

    Raises:
        UsageError: none are published.
        SurroundingsError: they cannot be had, or are not what is stated; says which file from where goes where.
    """
    file = base.full if full else base.weights
    if file is None:
        raise UsageError(f"no weights of {base.name}{' with its head' if full else ''} are published")
    if not full and base.full and here(file) is None and (whole := here(base.full)) and vouched(base.full, whole):
        progress.note(f"the base is taken out of {whole}, which has it with its head")
        return whole
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
            unverified = "" if file.hash else " (unverified: nobody states a hash for it)"
            progress.note(f"{file.name} is taken from Keras' cache, {own.parent}{unverified}")
            return own
        progress.warn(f"{own} is not the file that is stated, so it is not taken")
    kept = path.is_file() and not force
    remote = Remote(
        address=file.address,
        size=file.size,
        hash=file.hash or (record(path).get(file.algorithm, "") if kept else ""),
        algorithm=file.algorithm,
        source=file.hash_source or "as it was when it was fetched",
    )
    with naming_mirrors(f"dlcli pretrained fetch {name}", mirror=mirror), _set_aside(path, wanted=force):
        fetched = fetch(remote, path, progress=progress, mirror=mirror)
    if fetched.new or not record(path):
        keep_record(file, path, address=fetched.address)
        if not file.hash:
            progress.warn(
                f"nobody states a hash for {file.name}, so it was not verified; it has {file.algorithm} {fetched.hash}"
            )
    return path


@contextlib.contextmanager
def _set_aside(path: Path, *, wanted: bool) -> Iterator[None]:
    """Take a file out of the way during the block, where that is wanted; put it back when the block fails."""
    aside = path.with_name(f".{path.name}.old")
    if wanted and path.is_file():
        path.replace(aside)
    try:
        yield
    except BaseException:
        if wanted and aside.is_file():
            aside.replace(path)
        raise
    aside.unlink(missing_ok=True)


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
        return content.read(len(SIGNATURE)) == SIGNATURE


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


def keep_record(file: WeightsFile, path: Path, *, address: str) -> None:
    """Write down beside a file in the user's cache where it came from, and its hash.

    Args:
        file: which it is.
        path: where it lies.
        address: where it came from.
    """
    about = {
        "address": address,
        "size": path.stat().st_size,
        file.algorithm: digest(path, file.algorithm),
        "verified": bool(file.hash),
        "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_text(_record_of(path), json.dumps(about, indent=2) + "\n")


def load(model: Any, path: Path) -> None:
    """Read weights into a model.

    Args:
        model: a Keras model made of plain layers, none of them a model itself.
        path: an HDF5 file of either layout, whatever its name ends in. It may hold more layers on top, such as a head.

    Raises:
        UsageError: there is no such file.
        ModelError: it is damaged, or of another network: names the first layer that does not fit, with both shapes.
            The model is as it was.
    """
    stranger = not _is_published(path)
    wanted = [layer for layer in model.layers if layer.weights]
    with opened(path, stranger=stranger) as found:
        pairs = _paired(model, wanted, found, path)
        values = [[read(variable, path, layer) for variable in stored] for layer, stored in pairs]
    for (layer, _), arrays in zip(pairs, values, strict=True):
        for variable, value in zip(layer.weights, arrays, strict=True):
            variable.assign(value)
        if hasattr(layer, "finalize_state"):  # Normalization makes constants of its weights.
            layer.finalize_state()


def _is_published(path: Path) -> bool:
    """Say whether a file is the published one of its name; raise a `ModelError` when its hash says that it is not."""
    files = [file for _, file in bases.published(path.name) if file.hash]
    if path.is_file() and files and not any(vouched(file, path) for file in files):
        raise ModelError(
            f"{path} is not the file that is published under its name: expected {files[0].algorithm} {files[0].hash} "
            f"({files[0].hash_source}), got {digest(path, files[0].algorithm)}",
            hint=f"{RESTORE}; weights of your own need another name",
        )
    return bool(files) and path.is_file()


def _paired(model: Any, wanted: list[Any], contents: Contents, path: Path) -> list[tuple[Any, list[Any]]]:
    """Return each layer of a model that has variables, with those in a file, which fit.

    Raises:
        ModelError: they do not.
    """
    if (found := ordered_layers(contents)) is not None:
        matches: list[Stored | None] = [found[n] if n < len(found) else None for n in range(len(wanted))]
    elif (found := numbered_layers(contents)) is not None:
        names, there = class_names(model), dict(found)
        matches = [(name, there[name]) if (name := names[layer.name]) in there else None for layer in wanted]
    else:
        raise ModelError(f"{path} holds no weights of a Keras model: it has neither layer names nor layers")
    for layer, match in zip(wanted, matches, strict=True):
        _require_fitting(layer, match, path)
    return [(layer, match[1]) for layer, match in zip(wanted, matches, strict=True) if match]


def _require_fitting(layer: Any, match: Stored | None, path: Path) -> None:
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
