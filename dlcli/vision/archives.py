"""Data sets of pictures in arrays: Keras' `.npz`, the IDX files of MNIST, the binary version of CIFAR-10.

Nothing in an archive is run (`allow_pickle=False`), and what its header promises must be there.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import threading
import zipfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dlcli.core.unpack import allowance
from dlcli.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

_NPZ_PAIRS = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels")),
    "val": (("x_val", "y_val"), ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
    "": (("x", "y"), ("images", "labels"), ("data", "labels")),
}
_IDX = re.compile(r"(?P<part>.*)images(?P<dot>[-.])idx3-ubyte(?P<gz>\.gz)?", re.IGNORECASE)
_CIFAR = {"train": re.compile(r"data_batch_\d+\.bin"), "test": re.compile(r"test_batch\.bin")}
_CIFAR_NAMES = "batches.meta.txt"
# A label, then 32x32 pixels of red, of green, of blue.
_CIFAR_RECORD = 1 + 3 * 32 * 32
_HINT = "Copy or download it again"


class ArchivePart(NamedTuple):
    """The pictures of one array of an archive: number `first` and following, with the label of each."""

    path: Path
    part: str
    first: int
    labels: list[str]


def is_archive(path: Path) -> bool:
    """Say whether a file holds pictures in arrays, by its name."""
    name = path.name.lower()
    return name.endswith(".npz") or bool(_IDX.fullmatch(name)) or any(rule.fullmatch(name) for rule in _CIFAR.values())


def kind(path: Path) -> str:
    """Return what kind of archive a file is, by its name: `npz`, `idx` or `cifar-10`."""
    name = path.name.lower()
    return "npz" if name.endswith(".npz") else "idx" if _IDX.fullmatch(name) else "cifar-10"


def archives_in(folder: Path) -> list[Path]:
    """Return the IDX and CIFAR-10 files that lie in a folder, in natural order."""
    from dlcli.core.folders import natural_key

    found = (Path(entry.path) for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith("."))
    return sorted((p for p in found if p.suffix != ".npz" and is_archive(p)), key=lambda p: natural_key(p.name))


def archive_parts(path: Path) -> list[ArchivePart]:
    """Return what an archive, or a folder of archives, holds.

    Raises:
        DataError: it is damaged, it has no labels, or not as many as pictures.
    """
    files = archives_in(path) if path.is_dir() else [path]
    return [part for file in files for part in _parts_of_file(file)]


def pixels(path: Path, number: int) -> Pixels:
    """Return one picture of an archive, counted from 0 through all its arrays.

    Returns:
        uint8 (height, width) or (height, width, channels).

    Raises:
        DataError: the archive is damaged, or has no such picture.
    """
    wanted = number
    for array in _arrays(path):
        if wanted < len(array):
            found: Pixels = array[wanted]
            return found
        wanted -= len(array)
    raise DataError(f"{path} has no picture {number}: it has {number - wanted}", hint="They are counted from 0")


_loading = threading.Lock()


def _arrays(path: Path) -> list[Pixels]:
    """Return the arrays of pictures of a file, kept in memory while the file stays the same."""
    with _reading(path):
        status = path.stat()
    with _loading:
        return _load(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _load(path: Path, _changed: int, _size: int) -> list[Pixels]:
    if path.name.lower().endswith(".npz"):
        return [images for _, images, _ in _npz(path)]
    if path.name.lower().endswith(".bin"):
        return [_cifar(path)[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)]
    return [_idx(path, dimensions=3)]


def _parts_of_file(path: Path) -> Iterator[ArchivePart]:
    name = path.name.lower()
    if name.endswith(".npz"):
        first = 0
        for part, images, labels in _npz(path):
            yield ArchivePart(path, part, first, _names(labels, len(images), path))
            first += len(images)
    elif name.endswith(".bin"):
        numbers = _cifar(path)[:, 0]
        part = next(part for part, rule in _CIFAR.items() if rule.fullmatch(name))
        yield ArchivePart(path, part, 0, _cifar_names(path, numbers))
    else:
        file = _labels_beside(path)
        labels = _idx(file, dimensions=1)
        count = len(_arrays(path)[0])
        if len(labels) != count:
            raise DataError(f"{file} has {len(labels)} labels, {path.name} has {count} pictures", hint=_HINT)
        yield ArchivePart(path, _part_by_name(name), 0, [str(label) for label in labels.tolist()])


def _part_by_name(name: str) -> str:
    if "t10k" in name or "test" in name:
        return "test"
    return "train" if "train" in name else "val" if "val" in name else ""


class _reading:
    """Turn what reading a damaged archive raises into one line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (EOFError, zlib.error, zipfile.BadZipFile, ValueError, OSError, KeyError, SyntaxError)):
            what = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "it ends early"
            raise DataError(f"{self.path} cannot be read: {what}", hint=_HINT) from error


# --- .npz ---------------------------------------------------------------------------------------------------------


def _npz(path: Path) -> list[tuple[str, Pixels, Any]]:
    """Return part, pictures and labels of each pair of arrays."""
    import numpy as np

    with _reading(path), zipfile.ZipFile(path) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
        pairs = [(part, x, y) for part, known in _NPZ_PAIRS.items() for x, y in known if x in names]
        for name in {name for _, x, y in pairs for name in (x, y) if name in names}:
            _require_whole(archive, f"{name}.npy", path)
    if not pairs:
        raise DataError(
            f"{path} has no pictures: its arrays are {', '.join(sorted(names)[:10]) or 'none'}",
            hint="Expected x_train and y_train (x_test, y_test), x and y, or images and labels",
        )
    if missing := [y for _, _, y in pairs if y not in names]:
        raise DataError(f"{path} has no array {missing[0]!r}", hint="Each array of pictures needs one of labels")
    with _reading(path), np.load(path, allow_pickle=False) as arrays:
        return [(part, _pictures(arrays[x], x, path), arrays[y]) for part, x, y in pairs]


def _require_whole(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    """Raise when an array's header promises more, or less, than there is: nothing is taken into memory before."""
    import numpy as np

    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if dtype.hasobject:
            what = f"{path}: array {name.removesuffix('.npy')!r} holds Python objects, which are not loaded"
            raise DataError(what, hint="Save numbers or strings")
        expected = file.tell() + math.prod(shape) * dtype.itemsize
    part = archive.getinfo(name)
    _require_moderate(expected, part.compress_size, path)
    size = part.file_size
    if size != expected:
        raise DataError(f"{path}: {name} should have {expected:,} bytes, it has {size:,}", hint=_HINT)


def _require_moderate(size: int, stored: int, path: Path) -> None:
    """Raise when an array is made to fill the memory: it is far larger than what is stored of it."""
    if size > allowance(stored):
        what = f"{path}: {stored:,} packed bytes should become {size:,}, which no pictures do"
        raise DataError(what, hint=_HINT)


def _pictures(array: Any, name: str, path: Path) -> Pixels:
    import numpy as np

    shape = tuple(array.shape)
    if array.dtype != np.uint8:
        hint = "Save numbers from 0 to 255 as uint8"
        raise DataError(f"{path}: expected uint8 pixels in {name!r}, got {array.dtype}", hint=hint)
    if not (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3, 4))) or 0 in shape[1:]:
        expected = "(pictures, height, width) or (pictures, height, width, 1, 3 or 4 channels)"
        raise DataError(f"{path}: expected {name!r} of shape {expected}, got {shape}", hint="Transpose or reshape it")
    found: Pixels = array
    return found


def _names(labels: Any, count: int, path: Path) -> list[str]:
    """Return labels as text; a column of them, as Keras' CIFAR-10 has it, is a list too."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iubUS":
        what = f"{path}: expected one whole number or string a picture as labels, got {labels.dtype} {labels.shape}"
        raise DataError(what, hint="Save the number or name of each picture's class")
    if len(labels) != count:
        raise DataError(f"{path} has {len(labels)} labels for {count} pictures", hint=_HINT)
    if labels.dtype.kind == "S":
        return [label.decode("utf-8", "replace") for label in labels.tolist()]
    return [str(label) for label in labels.tolist()]


# --- IDX ----------------------------------------------------------------------------------------------------------


def _labels_beside(path: Path) -> Path:
    """Return the file of labels that belongs to one of pictures, packed or not."""
    match = _IDX.fullmatch(path.name)
    assert match is not None
    plain = re.sub("images(?=[-.]idx3)", "labels", path.name.removesuffix(".gz"), flags=re.IGNORECASE)
    plain = re.sub("idx3(?=-ubyte)", "idx1", plain, flags=re.IGNORECASE)
    for name in (plain, f"{plain}.gz"):
        if (file := path.with_name(name)).is_file():
            return file
    raise DataError(f"{path} has no labels: there is no {plain} or {plain}.gz beside it", hint="Download it too")


def _idx(path: Path, *, dimensions: int) -> Pixels:
    """Read an IDX file of bytes: two zero bytes, 8 (unsigned byte), the number of dimensions, each as 4 bytes."""
    import numpy as np

    with _reading(path):
        packed = path.name.lower().endswith(".gz")
        with gzip.open(path) if packed else path.open("rb") as file:
            head = file.read(4 + 4 * dimensions)
            shape = tuple(int.from_bytes(head[at : at + 4], "big") for at in range(4, 4 + 4 * dimensions, 4))
            if head[:4] != bytes((0, 0, 8, dimensions)) or len(head) < 4 + 4 * dimensions or 0 in shape[1:]:
                raise DataError(f"{path} is no IDX file of {dimensions} dimension(s)", hint=_HINT)
            _require_moderate(math.prod(shape), path.stat().st_size, path)
            content = file.read(math.prod(shape) + 1)
    if len(content) != math.prod(shape):
        found = f"{len(content):,}" if len(content) < math.prod(shape) else "more"
        what = f"{path} should have {math.prod(shape):,} bytes behind its header, it has {found}"
        raise DataError(what, hint=_HINT)
    return np.frombuffer(content, np.uint8).reshape(shape)


# --- CIFAR-10 -----------------------------------------------------------------------------------------------------


def _cifar(path: Path) -> Pixels:
    import numpy as np

    with _reading(path):
        size = path.stat().st_size
        if size == 0 or size % _CIFAR_RECORD:
            what = f"{path} should have a multiple of {_CIFAR_RECORD} bytes, one record a picture, it has {size:,}"
            raise DataError(what, hint=_HINT)
        return np.memmap(path, np.uint8, "r").reshape(-1, _CIFAR_RECORD)


def _cifar_names(path: Path, numbers: Any) -> list[str]:
    """Return the name of each label, from the list beside the file; its number where there is none."""
    file = path.with_name(_CIFAR_NAMES)
    names: list[str] = []
    if file.is_file():
        names = [line.strip() for line in file.read_text("utf-8", "replace").splitlines() if line.strip()]
    largest = int(numbers.max())
    if largest >= (len(names) or 10):
        raise DataError(f"{path} has label {largest}, expected 0 to {(len(names) or 10) - 1}", hint=_HINT)
    known = names or [str(number) for number in range(10)]
    return [known[number] for number in numbers.tolist()]
