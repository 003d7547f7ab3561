"""The file of features that one frozen part of a network has computed, in the user's cache.

`HOME/features/DIGEST/rows.bin` has a row of numbers for each picture and draw, `keys.bin` a record for each row: a hash
of picture and draw, and the row's checksum. Both only grow, the rows first, so that what a killed process leaves is
whole up to its last record.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.fetch import exclusive
from dlcli.core.files import write_text
from dlcli.core.locks import HeldError, held, lock_of
from dlcli.core.progress import Progress
from dlcli.core.transfer import in_words
from dlcli.errors import SurroundingsError, UsageError, from_os_error
from dlcli.resources import home

Array = np.ndarray[Any, Any]

# Gigabytes of features that are kept, unless DLCLI_FEATURES_GB says another number.
_LIMIT_GB = 10.0
_RECORD = np.dtype([("key", "V16"), ("checksum", "<u4")])


@contextlib.contextmanager
def opened(digest: str, shape: tuple[int, ...], progress: Progress) -> Iterator[FeatureStore]:
    """Open the features of a frozen part; another process that fills them is waited for.

    Args:
        digest: of the frozen part.
        shape: of what it makes of one picture.
        progress: told of waiting.

    Raises:
        SurroundingsError: the user's cache cannot be written.
    """
    folder = home() / "features" / digest
    with exclusive(folder, progress, doing="filling"):
        try:
            folder.mkdir(exist_ok=True)
            os.utime(folder)
            write_text(folder / "about.json", json.dumps({"shape": shape, "dtype": "float32"}) + "\n")
            store = FeatureStore(folder, shape)
        except OSError as error:
            raise from_os_error(error, folder) from error
        yield store


class FeatureStore:
    """Rows by the keys of pictures; made by `opened`, so that one process at a time has it.

    Args:
        folder: of its two files.
        shape: of a row, float32.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        self.folder = folder
        self.shape = shape
        self.row_bytes = 4 * math.prod(shape)
        self._rows, self._keys = folder / "rows.bin", folder / "keys.bin"
        for path in (self._rows, self._keys):
            path.touch()
        self._known: dict[bytes, int] = {}

    def __len__(self) -> int:
        return min(self._keys.stat().st_size // _RECORD.itemsize, self._rows.stat().st_size // self.row_bytes)

    def rows(self) -> Array:
        """Return all rows, as a memory-mapped file."""
        shape = (len(self), *self.shape)
        return np.memmap(self._rows, np.float32, mode="r", shape=shape) if len(self) else np.empty(shape, np.float32)

    def find(self, keys: Iterable[bytes]) -> dict[bytes, int]:
        """Return the numbers of the rows of those keys that are here, with the content that was written."""
        records = np.fromfile(self._keys, _RECORD, count=len(self))
        places = {key.tobytes(): place for place, key in enumerate(records["key"])}
        rows = self.rows()
        for key in keys:
            place = places.get(key, -1)
            if place >= 0 and key not in self._known and _checksum(rows[place]) == records["checksum"][place]:
                self._known[key] = place
        return self._known

    def append(self, keys: Sequence[bytes], rows: Array) -> None:
        """Add rows behind the last whole one.

        Raises:
            SurroundingsError: the disk is full or cannot be written; what was there is as it was.
        """
        count = len(self)
        records = np.array([(key, _checksum(row)) for key, row in zip(keys, rows, strict=True)], _RECORD)
        for path, size, content in ((self._rows, self.row_bytes, rows), (self._keys, _RECORD.itemsize, records)):
            try:
                with path.open("r+b") as file:
                    file.seek(count * size)
                    file.write(content.tobytes())
            except OSError as error:
                # A part of a batch that stayed would make the rest another batch, whose rows differ in their last bits.
                with contextlib.suppress(OSError):
                    os.truncate(self._keys, count * _RECORD.itemsize)
                raise from_os_error(error, path) from error
        self._known |= {key: count + number for number, key in enumerate(keys)}

    def reserve(self, count: int, progress: Progress) -> None:
        """Make room for more rows under the bound: features of other frozen parts go, those used longest ago first.

        Raises:
            SurroundingsError: they are over the bound by themselves, or the disk has not so much space.
        """
        wanted, limit = (len(self) + count) * self.row_bytes, _limit()
        if wanted > limit:
            raise SurroundingsError(
                f"the features of these pictures take {in_words(wanted)}, over the bound of {in_words(limit)}",
                hint="Set DLCLI_FEATURES_GB to more, take a head that reads means (--head gap-dense), or --cache none",
            )
        self._drop_others(limit - wanted, progress)
        missing, free = count * self.row_bytes, shutil.disk_usage(self.folder).free
        if missing > free:
            raise SurroundingsError(
                f"the features need {in_words(missing)} in {self.folder.parent}, and {in_words(free)} are free",
                hint="Free some space, set DLCLI_HOME to a folder on another disk, or use --cache none",
            )

    def _drop_others(self, limit: int, progress: Progress) -> None:
        """Remove features of other frozen parts until they take `limit` bytes at most; what is being filled stays."""
        others = [path for path in self.folder.parent.iterdir() if path.is_dir() and path != self.folder]
        others.sort(key=lambda path: path.stat().st_mtime)
        sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in others}
        total = sum(sizes.values())
        for path in others:
            if total <= limit:
                return
            with contextlib.suppress(HeldError), held(lock_of(path), timeout=0):
                shutil.rmtree(path, ignore_errors=True)
                total -= sizes[path]
                progress.note(f"{in_words(sizes[path])} of features that were used longest ago leave the cache")


def _checksum(row: Array) -> int:
    return zlib.crc32(row.tobytes())


def _limit() -> int:
    """Return how many bytes of features may be kept."""
    text = os.environ.get("DLCLI_FEATURES_GB", str(_LIMIT_GB))
    try:
        found = float(text)
        if not 0 < found < math.inf:
            raise ValueError
    except ValueError:
        raise UsageError(f"DLCLI_FEATURES_GB: expected a number of gigabytes, got {text!r}") from None
    return int(found * 10**9)
