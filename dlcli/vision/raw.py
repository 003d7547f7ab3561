"""An item, which is a file or `ARCHIVE::NUMBER`, as the encoded bytes of a picture; and a first look at each."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

from dlcli.core.lines import BadRow, named
from dlcli.core.parallel import chunks, parallel
from dlcli.errors import DataError
from dlcli.vision.archives import is_archive, pixels
from dlcli.vision.headers import BadPicture, Header, read_header

if TYPE_CHECKING:
    from dlcli.vision.archives import Pixels

BETWEEN = "::"
"""What stands between an archive's path and the number of a picture in it."""
NO_FILE = "a folder, a pipe, a socket or a device, and no file"
"""What is wrong with other things that are named like a picture."""
# Small enough that eight threads share a thousand files, large enough that handing over costs nothing.
_CHUNK = 256


class BadItem(BadRow):
    """A picture that cannot be used.

    Args:
        item: as it was read: a path, or `ARCHIVE::NUMBER`.
        what: is wrong.
        kind: of trouble.
        hint: what to do next.
    """

    def __init__(self, item: str, what: str, *, kind: str, hint: str) -> None:
        path, number = split_item(item)
        where = "" if number is None else f"picture {number}"
        super().__init__(what, source=Path(path), where=where, kind=kind, hint=hint)
        self.item = item


class BadPictures(DataError):
    """Pictures that cannot be used, in one line: the first ones by name, all counted.

    Args:
        bad: what is wrong with each, at least one.
        hint: what to do next; without it, for a single one its own.
    """

    def __init__(self, bad: Sequence[BadRow], *, hint: str = "") -> None:
        if len(bad) == 1:
            super().__init__(bad[0].message, hint=hint or bad[0].hint)
        else:
            hint = hint or "dlcli check names them all; mend or delete them, or add --skip-bad"
            super().__init__(f"{len(bad):,} pictures cannot be used: {named(bad, len(bad))}", hint=hint)
        self.bad = list(bad)


class Look(NamedTuple):
    """What one reading of a picture's bytes tells, without decoding it."""

    item: str
    header: Header
    size: int
    """Of the encoded picture in bytes."""
    digest: bytes
    """16 bytes of BLAKE2b over the encoded picture: equal for equal files."""


def require_good(bad: Sequence[BadRow]) -> None:
    """Raise what is wrong with pictures, if anything is."""
    if bad:
        raise BadPictures(bad)


def damaged(item: str, header: Header) -> BadItem:
    """Return what is wrong with a picture whose header is good and that the decoder gave up."""
    name = "WebP" if header.format == "webp" else header.format.upper()
    what = f"a damaged {name}: it says {header.width}x{header.height} pixels, and ends early or cannot be decoded"
    return BadItem(item, what, kind="damaged", hint="Copy or download it again, or delete it")


def split_item(item: str) -> tuple[str, int | None]:
    """Return an item's file, and the number of the picture where it is an archive."""
    path, between, number = item.rpartition(BETWEEN)
    if between and number.isdecimal() and number.isascii() and is_archive(Path(path)):
        return path, int(number)
    return item, None


def read_raw(item: str) -> bytes:
    """Read a picture's encoded bytes; those of an archive's pixels are PNG without compression.

    Raises:
        BadItem: there is none, or it cannot be read.
    """
    path, number = split_item(item)
    try:
        if number is not None:
            return encode_png(pixels(Path(path), number))
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
            raise OSError(NO_FILE)  # To open a pipe would wait for whom writes into it, and a device has no end.
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a path may be no UTF-8, and 50,000 are opened.
            return file.read()
    except DataError as error:
        raise BadItem(item, error.message, kind="bad-archive", hint=error.hint) from error
    except FileNotFoundError:
        what = "a link to nothing" if Path(path).is_symlink() else "there is no such file"
        raise BadItem(item, what, kind="missing-file", hint="Put it in its place, or delete the link or row") from None
    except (OSError, ValueError) as error:
        what = f"it cannot be read: {getattr(error, 'strerror', None) or error}"
        hint = "Give yourself the right to read it, or delete it"
        raise BadItem(item, what, kind="unreadable-file", hint=hint) from None


def encode_png(pixels: Pixels) -> bytes:
    """Return uint8 (height, width) or (height, width, 1, 3 or 4) as a PNG that is not compressed."""
    import numpy as np

    height, width = pixels.shape[:2]
    color = {1: 0, 3: 2, 4: 6}[pixels.shape[2] if pixels.ndim == 3 else 1]
    rows = np.zeros((height, 1 + pixels[0].size), np.uint8)  # Each begins with its filter: 0, none.
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 0)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def look(item: str) -> Look:
    """Read a picture's bytes and its header.

    Raises:
        BadItem: what is wrong with it.
    """
    data = read_raw(item)
    try:
        header = read_header(data)
    except BadPicture as bad:
        raise BadItem(item, bad.what, kind=bad.kind, hint=bad.hint) from None
    return Look(item, header, len(data), hashlib.blake2b(data, digest_size=16).digest())


def look_all(items: Iterable[str]) -> Iterator[Look | BadItem]:
    """Look at pictures on threads, in their order, and go on behind bad ones: what training does before its start."""
    stop = Event()

    def _look(chunk: list[str]) -> list[Look | BadItem]:
        return [_look_or_say(item) for item in chunk if not stop.is_set()]

    return chain.from_iterable(parallel(_look, chunks(items, _CHUNK), stop=stop))


def _look_or_say(item: str) -> Look | BadItem:
    try:
        return look(item)
    except BadItem as bad:
        return bad
