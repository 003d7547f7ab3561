"""Which files of a folder are pictures, in natural order; what else lies there is counted by kind."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from dlcli.core.folders import natural_key
from dlcli.core.lines import BadRow
from dlcli.errors import shown
from dlcli.vision.headers import EXTENSIONS, BadPicture, sniff
from dlcli.vision.raw import NO_FILE, BadItem

# What systems, not people, put into folders.
_SYSTEM = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r", ".ds_store", "$recycle.bin"))
# Deeper than any data set; a path that is longer cannot be opened.
_DEEPEST = 64


@dataclass(kw_only=True)
class Listing:
    """What a folder holds.

    Attributes:
        pictures: their paths, in natural order, those of nested folders among them.
        hidden: how many hidden files and folders were passed over.
        system: how many that a system made: `Thumbs.db`, `__MACOSX` ...
        unsupported: how many files that are no pictures we read, by ending.
        bad: what is wrong: links to nothing, loops, folders that cannot be read, names that collide.
    """

    pictures: list[str] = field(default_factory=list)
    hidden: int = 0
    system: int = 0
    unsupported: Counter[str] = field(default_factory=Counter)
    bad: list[BadRow] = field(default_factory=list)

    @property
    def passed_over(self) -> str:
        """What was passed over, as one line for a person; empty when nothing was."""
        parts = [
            f"{count} {name}" for count, name in ((self.hidden, "hidden"), (self.system, "of the system")) if count
        ]
        parts += [f"{count} {ending}" for ending, count in sorted(self.unsupported.items())]
        return ", ".join(parts)

    def add(self, other: Listing) -> None:
        """Take in what another folder holds."""
        self.pictures += other.pictures
        self.hidden += other.hidden
        self.system += other.system
        self.unsupported += other.unsupported
        self.bad += other.bad


def listing(folder: Path, *, root: Path | None = None) -> Listing:
    """List the pictures in a folder and in the folders in it; links are followed, loops are not.

    Args:
        folder: which.
        root: the folder that it was reached from, so that a link back to that is a loop too.
    """
    found = Listing()
    above = () if root is None else (_identity(os.fspath(root)),)
    _list(os.fspath(folder), found, above)
    return found


def _identity(folder: str) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116
    return status.st_dev, status.st_ino


def subfolders(folder: Path) -> tuple[list[str], Listing]:
    """Return the names of the folders in a folder, in natural order, and what else lies beside them.

    Returns:
        names, and a listing of the files in `folder` itself.
    """
    found = Listing()
    names: list[str] = []
    for entry in _entries(os.fspath(folder), found):
        if _is_folder(entry):
            names.append(entry.name)
        else:
            _file(entry, found)
    return names, found


def _list(folder: str, found: Listing, above: tuple[tuple[int, int], ...]) -> None:
    try:
        identity = _identity(folder)
    except OSError as error:
        found.bad.append(_unreadable(folder, error))
        return
    if identity in above or len(above) >= _DEEPEST:
        what = "a link to a folder that it lies in" if identity in above else f"more than {_DEEPEST} folders deep"
        found.bad.append(BadItem(folder, what, kind="symlink-loop", hint="Delete the link"))
        return
    for entry in _entries(folder, found):
        if _is_folder(entry):
            _list(entry.path, found, (*above, identity))
        else:
            _file(entry, found)


def _entries(folder: str, found: Listing) -> list[os.DirEntry[str]]:
    """Return what lies in a folder in natural order, without what is hidden or the system's."""
    kept: list[os.DirEntry[str]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.lower() in _SYSTEM or entry.name.startswith("._"):
                    found.system += 1
                elif entry.name.startswith("."):
                    found.hidden += 1
                else:
                    kept.append(entry)
    except OSError as error:
        found.bad.append(_unreadable(folder, error))
    kept.sort(key=lambda entry: natural_key(entry.name))
    found.bad += _collisions(folder, [entry.name for entry in kept])
    return kept


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A link that leads through itself, among others: to read it as a folder says why not.
        return True


def _file(entry: os.DirEntry[str], found: Listing) -> None:
    ending = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122
    if ending in EXTENSIONS:
        if entry.is_file():
            found.pictures.append(entry.path)
        elif entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110
            found.bad.append(BadItem(entry.path, "a link to nothing", kind="missing-file", hint="Delete the link"))
        else:
            found.bad.append(BadItem(entry.path, NO_FILE, kind="unreadable-file", hint="Delete it"))
    elif not ending and _is_picture(entry):
        found.pictures.append(entry.path)
    else:
        found.unsupported[ending or "without ending"] += 1


def _is_picture(entry: os.DirEntry[str]) -> bool:
    """Say whether a file without an ending begins as a picture does."""
    try:
        if not entry.is_file():
            return False
        with open(entry.path, "rb", buffering=0) as file:  # noqa: PTH123
            sniff(file.read(32))
    except (OSError, BadPicture):
        return False
    return True


def _collisions(folder: str, names: list[str]) -> list[BadRow]:
    """Name what differs in Unicode's normal form alone: many systems, and all people, take such names for one."""
    seen: dict[str, str] = {}
    bad: list[BadRow] = []
    for name in names:
        if name.isascii():
            continue
        first = seen.setdefault(unicodedata.normalize("NFC", name), name)
        if first != name:
            what = f"{shown(name)!r} stands here twice, written in different ways (NFC and NFD)"
            bad.append(BadItem(folder, what, kind="name-collision", hint="Rename or merge one of them"))
    return bad


def _unreadable(path: str, error: OSError) -> BadItem:
    what = f"it cannot be read: {error.strerror or error}"
    return BadItem(path, what, kind="unreadable-folder", hint="Give yourself the right to read it, or delete it")
