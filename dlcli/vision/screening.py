"""Which pictures can be used: all are looked at before the first one is, and every bad one is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from dlcli.core.lines import BadRow
from dlcli.core.parallel import chunks
from dlcli.core.progress import Progress, Silent
from dlcli.errors import DataError
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.raw import BadItem, BadPictures, Look, look_all

Row = TypeVar("Row", bound="tuple[Any, ...]")
# Paths whose pictures are decoded together only to see whether they can be.
_CHUNK = 4096


@dataclass(kw_only=True)
class Screened(Generic[Row]):
    """Pictures that can be used, and what is wrong with others.

    Attributes:
        rows: of the good ones; each begins with the item.
        looks: what a look at each of them tells.
        bad: what is wrong with the others.
    """

    rows: list[Row] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)


def screen(scanned: Iterable[Row | BadRow], *, source: object, skip_bad: bool, progress: Progress) -> Screened[Row]:
    """Look at the header of each picture, and leave bad ones out or raise what is wrong with all of them.

    Args:
        scanned: rows that begin with an item, and what is wrong with others.
        source: what to call the data.
        skip_bad: decode all pictures too, and leave out those that cannot be.
        progress: told of pictures.

    Raises:
        BadPictures: some are bad, without `skip_bad`.
        DataError: none is left.
    """
    found: Screened[Row] = Screened()
    progress.begin(f"looking at the pictures of {source}")
    rows: list[Row] = []
    for row in scanned:
        if isinstance(row, BadRow):
            found.bad.append(row)
        else:
            rows.append(row)
    progress.begin(f"looking at {len(rows):,} pictures", len(rows))
    for row, look in zip(rows, look_all(row[0] for row in rows), strict=True):
        progress.advance()
        if isinstance(look, BadItem):
            found.bad.append(look)
        else:
            found.rows.append(row)
            found.looks.append(look)
    if found.bad and not skip_bad:
        raise BadPictures(found.bad)
    if skip_bad:
        _leave_out(found, progress)
    if not found.rows:
        raise DataError(f"{source} has no picture that can be used", hint="dlcli check names what is wrong with each")
    return found


def _leave_out(found: Screened[Row], progress: Progress) -> None:
    """Decode all pictures and leave out those that cannot be."""
    progress.begin(f"decoding {len(found.rows):,} pictures", len(found.rows))
    bad = list(damaged_among((row[0] for row in found.rows), progress=progress))
    gone = {one.item for one in bad if isinstance(one, BadItem)}
    kept = [number for number, row in enumerate(found.rows) if row[0] not in gone]
    found.rows = [found.rows[number] for number in kept]
    found.looks = [found.looks[number] for number in kept]
    found.bad += bad


def damaged_among(items: Iterable[str], *, progress: Progress) -> Iterator[BadRow]:
    """Decode pictures, small, and yield what is wrong with those that cannot be."""
    from dlcli.vision.pixels import decode_items

    small = ImagePipelineConfig(image_size=(8, 8), color="grayscale")
    for chunk in chunks(items, _CHUNK):
        yield from decode_items(chunk, small, progress=progress)[1]


@contextmanager
def all_named(items: Iterable[str]) -> Iterator[None]:
    """Where pictures turn out to be bad as a chunk of them is decoded, name those of the later chunks too.

    Args:
        items: of this chunk and of those behind it; looked at only then.
    """
    try:
        yield
    except BadPictures as error:
        raise BadPictures(list(damaged_among(items, progress=Silent())) or error.bad) from None
