"""Which pictures are copied, how often, and under which names: known before the first is opened."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dlcli.core.folders import parts_of
from dlcli.core.lines import BadRow
from dlcli.errors import DataError, UsageError, shown
from dlcli.vision.augmentation.pictures import ENDINGS, FileFormat
from dlcli.vision.headers import EXTENSIONS, BadPicture, read_header
from dlcli.vision.raw import BadItem
from dlcli.vision.walk import Listing, listing, subfolders

# What a copy of a picture is stored as: GIF's 256 colours would spoil it.
_KEPT: dict[str, FileFormat] = {"jpeg": "jpeg", "png": "png", "webp": "webp", "bmp": "bmp", "gif": "png"}
_START = 64 * 1024


class Source(NamedTuple):
    """A picture that is copied.

    Attributes:
        item: its path.
        name: relative to the folder that is augmented, with `/`.
        copies: the names of its copies, relative to the folder that is written; number k of them is copy k + 1.
        format: of the copies.
    """

    item: str
    name: str
    copies: tuple[str, ...]
    format: FileFormat

    @property
    def key(self) -> int:
        """What its draws depend on: 64 bits of its name's SHA-256, so that no other picture changes them."""
        return key_of(self.name)

    def files(self, *, originals: bool) -> tuple[str, ...]:
        """Return the names of the files that it becomes."""
        return ((self.name,) if originals else ()) + self.copies


def key_of(name: str) -> int:
    """Return what the draws for a source depend on, by its name in the manifest."""
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "little")


def find(root: Path) -> tuple[Listing, list[str]]:
    """Return the pictures in a folder, and what is wrong with others; and the folder's parts.

    Raises:
        DataError: there is none.
    """
    found = listing(root)
    parts = parts_of(root)
    folders = [root / part for part in parts] or [root]
    for folder in folders:
        found.bad += _empty_classes(folder, found)
    if not found.pictures and not found.bad:
        there = f", only {found.passed_over}" if found.passed_over else ""
        raise DataError(f"{root} has no pictures{there}", hint=f"Expected files ending in {', '.join(EXTENSIONS)}")
    return found, parts


def _empty_classes(folder: Path, found: Listing) -> list[BadRow]:
    names, _ = subfolders(folder)
    starts = {name: os.path.join(folder, name) + os.sep for name in names}  # noqa: PTH118 - names may be no UTF-8.
    filled = {name for name in names if any(item.startswith(starts[name]) for item in found.pictures)}
    said = {str(bad.source) for bad in found.bad}
    hint = "Fill it, or delete it"
    return [
        BadItem(starts[name].rstrip(os.sep), "the folder has no pictures", kind="empty-class", hint=hint)
        for name in names
        if name not in filled and not any(text.startswith(shown(starts[name].rstrip(os.sep))) for text in said)
    ]


def plan(
    root: Path, items: Sequence[str], *, parts: Sequence[str], augmented: Sequence[str], copies: int, format: str
) -> list[Source]:
    """Give each copy its name.

    Args:
        root: the folder that is augmented.
        items: the pictures in it.
        parts: which of `train`, `val` and `test` it has.
        augmented: which of them get copies; a folder without parts does.
        copies: of each picture.
        format: of the copies, or `keep`.

    Raises:
        UsageError: none of the parts that get copies is there; two files would have one name.
    """
    if parts and not set(parts) & set(augmented):
        there = ", ".join(f"{part}/" for part in parts)
        raise UsageError(f"{root} has {there} and no {', '.join(augmented)}/", hint="Name what gets copies: --parts")
    sources = []
    for item in items:
        name = os.path.relpath(item, root).replace(os.sep, "/")
        count = copies if not parts or name.split("/", 1)[0] in augmented else 0
        kind = _format(item, format) if count else "png"
        stem, ending = os.path.splitext(name)  # noqa: PTH122 - the name may be no UTF-8.
        ending = ending if EXTENSIONS.get(ending.lower()) == kind else ENDINGS[kind]
        names = tuple(f"{stem}-aug{number}{ending}" for number in range(1, count + 1))
        sources.append(Source(item, name, names, kind))
    _require_distinct(sources)
    return sources


def _format(item: str, format: str) -> FileFormat:
    if format != "keep":
        return _KEPT[format]
    found = EXTENSIONS.get(os.path.splitext(item)[1].lower())  # noqa: PTH122
    if found is None:
        try:
            with open(item, "rb", buffering=0) as file:  # noqa: PTH123
                found = read_header(file.read(_START)).format
        except (OSError, BadPicture):
            found = "png"
    return _KEPT[found]


def _require_distinct(sources: Sequence[Source]) -> None:
    seen = {source.name: source.name for source in sources}
    for source in sources:
        for name in source.copies:
            if (other := seen.setdefault(name, source.name)) != source.name:
                raise UsageError(
                    f"{shown(other)} and a copy of {shown(source.name)} would both be called {shown(name)}",
                    hint="Rename one of them, or take --format keep",
                )
