"""Files of strangers: read by a process of their own, with little memory and time, which hands back plain numbers.

What is parsed there is HDF5, whose library is large and has had faults: one that a file provokes ends that process,
which has no environment of ours, no open files of ours and limits on memory, time and what it writes. Here arrives a
list of names, types and shapes, and bytes, which are held against each other. It is no sandbox: a file that takes that
process over can do until it ends what this user can do.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.hdf5 import BFLOAT16, FOUND, NUMBERS, Contents
from dlcli.errors import ModelError, from_os_error

# A part that is so many times larger than what is stored of it is made to fill the memory.
LARGEST_EXPANSION, SMALL = 100, 10**8
# For Python, NumPy and HDF5 themselves; the largest array comes on top.
_OWN_MEMORY = 2**30
# Seconds of the processor for a small file, and bytes that a slow machine reads in one more.
_SECONDS, _PER_SECOND = 30, 10 * 2**20
_TYPES = {f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)} - {"float8"} | {"bool"}
# What a process needs of the environment to start, on any system.
_KEPT = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LD_LIBRARY_PATH")


def allowance(stored: int) -> int:
    """Return how many bytes may come of so many stored ones."""
    return max(SMALL, LARGEST_EXPANSION * stored)


@contextlib.contextmanager
def numbers(path: Path, part: str = "", *, hint: str) -> Iterator[Contents]:
    """Have the arrays in an HDF5 file of a stranger read.

    Args:
        path: of the file, or of an archive.
        part: which part of the archive it is.
        hint: what to do about a file that is refused.

    Yields:
        them, mapped from a file that goes away with the block.

    Raises:
        ModelError: it is damaged or unsafe, or reading it took too much memory or time.
    """
    with tempfile.TemporaryDirectory(prefix="dlcli-", ignore_cleanup_errors=True) as folder:
        _run(path, part, Path(folder), hint=hint)
        try:
            yield _checked(Path(folder))
        except ValueError as error:
            raise ModelError(f"{path} is damaged ({error})", hint=hint) from None


def _run(path: Path, part: str, folder: Path, *, hint: str) -> None:
    """Run the process that reads; raise a `ModelError` when it does not end as it should, and in time."""
    limit = allowance(size := path.stat().st_size)
    seconds = _SECONDS + size // _PER_SECOND
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {
        "PYTHONPATH": os.pathsep.join(place for place in sys.path if place),
        "HDF5_PLUGIN_PRELOAD": "::",  # HDF5 loads no plugin, wherever one lies.
        "OPENBLAS_NUM_THREADS": "1",  # Each thread would take some of the memory.
    }
    command = [sys.executable, "-P", "-s", "-B", "-m", "dlcli.core.hdf5", str(path.absolute()), part, str(folder)]
    try:
        ended = subprocess.run(
            [*command, *map(str, (limit, _OWN_MEMORY + 2 * limit, seconds))],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=4 * seconds,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{path} is refused: reading it took more than {4 * seconds} seconds", hint=hint) from None
    except OSError as error:
        raise from_os_error(error, path) from error
    if ended.returncode or not (folder / FOUND).is_file():
        raise ModelError(
            f"{path} is refused: what read it ended with {ended.returncode}, by damage or for want of memory or time",
            hint=hint,
        )


def _checked(folder: Path) -> Contents:
    """Return what the other process says that it found, held against the bytes that it left.

    Raises:
        ValueError: it found something wrong, or what it left does not fit together.
    """
    try:
        found = json.loads((folder / FOUND).read_bytes())
        if "error" in found:
            raise ValueError(str(found["error"]))
        entries = [(str(name), str(kind), tuple(map(int, shape))) for name, kind, shape in found["arrays"]]
        order = found["order"] and [(str(name), list(map(str, paths))) for name, paths in found["order"]]
    except (OSError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"what read it left nothing readable: {error}") from None
    size = (folder / NUMBERS).stat().st_size
    every = np.memmap(folder / NUMBERS, np.uint8, "r") if size else np.zeros(0, np.uint8)
    arrays: dict[str, Any] = {}
    for name, kind, shape in entries:
        if kind not in _TYPES | {BFLOAT16} or any(side < 0 for side in shape):
            raise ValueError(f"{name} is no array of numbers")
        stored = np.dtype("V2" if kind == BFLOAT16 else kind)
        length = math.prod(shape) * stored.itemsize
        if length > len(every):
            raise ValueError(f"{name} is not all there")
        arrays[name] = every[:length].view(stored).reshape(shape)
        every = every[length:]
    if len(every) or (order and not all(path in arrays for _, paths in order for path in paths)):
        raise ValueError("what read it left something else than it says")
    return Contents(arrays, order)


def write_numbers(path: Path, arrays: dict[str, Any]) -> None:
    """Write arrays as a new HDF5 file, as Keras writes weights."""
    import h5py

    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            dataset = file.create_dataset(name, data=array)
            if array.dtype.kind == "V":
                dataset.attrs["dtype"] = BFLOAT16
