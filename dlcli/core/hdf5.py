"""The numbers of an HDF5 file, and nothing else: no links, no other files, no plugins, no more than it can hold.

`contents` reads a file in this process. Of a stranger's file `core/strangers.py` lets a process of its own read them,
which runs this module: a fault in the HDF5 library ends that process and no other.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

# What HDF5 itself can undo: gzip, shuffled bytes, checksums, LZF. Others are code that it would look for.
_FILTERS = (1, 2, 3, 32000)
# Far more than a network has: Keras' largest have 1,500 variables, eight groups deep.
_MOST_PARTS, _DEEPEST = 50_000, 24
# bfloat16 stands in these files as two bytes without a type, with its name beside them.
BFLOAT16 = "bfloat16"
FOUND, NUMBERS, UNPACKED = "found.json", "numbers.bin", "unpacked.h5"


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
        arrays: by path, such as `layers/conv2d/vars/0`: what has a `shape` and a `dtype` and NumPy makes an array of.
        order: of a file of Keras 1 or 2 the layers, each with the paths of its variables; None of another file.
    """

    arrays: dict[str, Any]
    order: list[tuple[str, list[str]]] | None


def contents(file: Any, *, limit: int) -> Contents:
    """Find the arrays of numbers in an open file; none is read yet. What belongs to an optimizer is passed over.

    Args:
        file: an `h5py.File`.
        limit: how many bytes they may have together.

    Raises:
        ValueError: there is a link, a dataset that stands elsewhere or holds no numbers, or too much.
    """
    import h5py

    found: dict[str, Any] = {}
    seen: set[int] = set()
    start = "model_weights" if isinstance(file.get("model_weights", getlink=True), h5py.HardLink) else ""
    top = file[start] if start else file  # Of a whole model of Keras 1 or 2.
    if not isinstance(top, h5py.Group):
        raise ValueError("model_weights is no group")
    pending = [(top, "", 0)]
    while pending:
        group, path, depth = pending.pop()
        for name in group:
            if not path and name in ("optimizer", "optimizer_weights"):
                continue
            here = f"{path}/{name}" if path else name
            child = _child(group, name, here)
            address = h5py.h5o.get_info(child.id).addr
            if address in seen:
                raise ValueError(f"{here} stands there twice")
            seen.add(address)
            if len(seen) > _MOST_PARTS or depth > _DEEPEST:
                raise ValueError("it has too many parts")
            if isinstance(child, h5py.Group):
                pending.append((child, here, depth + 1))
            else:
                limit -= _size(child, here)
                found[here] = child
    if limit < 0:
        raise ValueError("its numbers would fill the memory")
    return Contents(dict(sorted(found.items())), _order(top, found))


def _child(group: Any, name: str, path: str) -> Any:
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{path} is missing, or a link")
    child = group[name]
    if not isinstance(child, (h5py.Group, h5py.Dataset)):
        raise ValueError(f"{path} is no group and no dataset")
    return child


def _size(dataset: Any, path: str) -> int:
    """Return how many bytes a dataset takes in memory, once it is known to be plain numbers in this file."""
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{path} stands in another file")
    if dataset.shape is None or (dataset.dtype.kind not in "fiub" and not is_bfloat16(dataset)):
        raise ValueError(f"{path} holds no numbers")
    settings = dataset.id.get_create_plist()
    if any(settings.get_filter(number)[0] not in _FILTERS for number in range(settings.get_nfilters())):
        raise ValueError(f"{path} is packed in a way that needs a plugin")
    return math.prod(map(int, dataset.shape)) * int(dataset.dtype.itemsize)


def is_bfloat16(dataset: Any) -> bool:
    """Say whether a dataset holds bfloat16 numbers, as Keras stores them."""
    return str(dataset.dtype) == "|V2" and dataset.attrs.get("dtype") == BFLOAT16


def _order(group: Any, found: dict[str, Any]) -> list[tuple[str, list[str]]] | None:
    if not {"layer_names", "layer_names0"} & set(group.attrs):
        return None
    order = []
    for layer in _names(group, "layer_names"):
        if layer not in group or not hasattr(group[layer], "keys"):
            raise ValueError(f"{layer} is missing, or no group")
        paths = [f"{layer}/{name}" for name in _names(group[layer], "weight_names")]
        if missing := [path for path in paths if path not in found]:
            raise ValueError(f"{missing[0]} is missing")
        order.append((layer, paths))
    return order


def _names(group: Any, attribute: str) -> list[str]:
    """Return a list of names that is kept as an attribute, or, when it is long, as several numbered ones."""
    parts = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs and attribute not in parts:
        parts.append(f"{attribute}{len(parts)}")
    names = [name for part in parts for name in group.attrs[part]]
    return [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in names]


# The process that reads a stranger's file.


def hand_over(path: Path, part: str, folder: Path, *, limit: int) -> None:
    """Write the numbers of a file one behind the other into `numbers.bin`, and what they are into `found.json`.

    Args:
        path: an HDF5 file, or an archive.
        part: of the archive; empty where `path` is the file itself.
        folder: where to write.
        limit: how many bytes of numbers there may be.
    """
    import h5py
    import numpy as np

    if part:
        with zipfile.ZipFile(path) as archive, archive.open(part) as packed:
            path = folder / UNPACKED
            with path.open("wb") as plain:
                while block := packed.read(1 << 20):
                    plain.write(block)
    entries = []
    with h5py.File(path, "r") as file, (folder / NUMBERS).open("wb") as numbers:
        found = contents(file, limit=limit)
        for name, dataset in found.arrays.items():
            array = np.asarray(dataset[()])
            bfloat16 = is_bfloat16(dataset)
            array = array.view(np.uint16) if bfloat16 else array.astype(array.dtype.newbyteorder("="))
            entries.append((name, BFLOAT16 if bfloat16 else array.dtype.name, list(array.shape)))
            numbers.write(np.ascontiguousarray(array).data)
    (folder / FOUND).write_text(json.dumps({"arrays": entries, "order": found.order}), encoding="utf-8")


def _limit(memory: int, disk: int, seconds: int) -> None:
    """Let this process have no more than it needs; where the system knows such limits."""
    with contextlib.suppress(ImportError):
        import resource

        for kind, most in (("AS", memory), ("FSIZE", disk), ("CPU", seconds), ("CORE", 0), ("NOFILE", 64)):
            with contextlib.suppress(AttributeError, ValueError, OSError):
                resource.setrlimit(getattr(resource, f"RLIMIT_{kind}"), (most, most))


def reasons() -> tuple[type[Exception], ...]:
    """Return what reading a damaged file raises."""
    return (OSError, RuntimeError, KeyError, ValueError, TypeError, EOFError, MemoryError, zipfile.BadZipFile)


def shown(error: BaseException) -> str:
    """Return in a few words what is wrong with a file."""
    text = str(error).strip("'\"") or type(error).__name__
    return "it is cut off" if "truncated" in text else text.splitlines()[0][:300]


def _main(arguments: Iterator[str]) -> None:
    path, part, folder = Path(next(arguments)), next(arguments), Path(next(arguments))
    limit, memory, seconds = map(int, arguments)
    _limit(memory, max(2 * limit, 1 << 20), seconds)
    try:
        hand_over(path, part, folder, limit=limit)
    except Exception as error:
        (folder / FOUND).write_text(json.dumps({"error": shown(error)}), encoding="utf-8")


if __name__ == "__main__":
    _main(iter(sys.argv[1:]))
