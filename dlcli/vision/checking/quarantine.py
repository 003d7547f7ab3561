"""Copies of the pictures that a check found, in a folder of their own: what was checked stays as it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from dlcli.core.files import beside, commit, jsonl, require_writable_parent
from dlcli.core.locks import alone
from dlcli.errors import SurroundingsError, UsageError, from_os_error, shown
from dlcli.vision.checking.mentions import Mark
from dlcli.vision.raw import split_item

LIST = "quarantine.jsonl"
"""A line for each finding about a picture: `file`, `finding`, `what`, and `copy`, null where nothing can be copied."""


class Quarantine(NamedTuple):
    """What was written.

    Attributes:
        path: the folder.
        files: how many copies are in it.
        listed: how many files its list names.
    """

    path: Path
    files: int
    listed: int


def require_usable(folder: Path, data: Sequence[Path], *, force: bool) -> None:
    """Find out before any work whether a quarantine can be written.

    Raises:
        UsageError: it is inside the data, or the data is inside it.
        SurroundingsError: it holds something, or cannot be written.
    """
    place = folder.resolve()
    for path in data:
        other = path.resolve()
        if place == other or place.is_relative_to(other) or other.is_relative_to(place):
            hint = "Choose a folder beside it: what is in the data is read as data"
            raise UsageError(f"--quarantine: {folder} and {path} lie in each other", hint=hint)
    if folder.exists() and not folder.is_dir():
        raise SurroundingsError(f"{folder} is a file, expected a folder", hint="Choose another --quarantine")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / LIST).is_file():
            hint = "Choose another --quarantine"
            raise SurroundingsError(f"{folder} holds something else than a quarantine", hint=hint)
        if not force:
            hint = "Add --force to replace it, or choose another"
            raise SurroundingsError(f"{folder} holds an earlier quarantine", hint=hint)
    require_writable_parent(folder, option="--quarantine")


def write(folder: Path, marks: Iterable[Mark], *, roots: Sequence[Path]) -> Quarantine:
    """Copy each picture once, its tree kept, and list all that was found about it.

    Args:
        folder: as `require_usable` has found it.
        marks: the pictures, and why.
        roots: the data sets: of several, each has a folder of its own.

    Raises:
        SurroundingsError: the disk is full or not writable.
    """
    temporary = beside(folder)
    copied: dict[str, str | None] = {}
    lines = []
    with alone(folder, option="--quarantine"):
        try:
            temporary.mkdir()
            for mark in marks:
                file, number = split_item(mark.item)
                if mark.item not in copied:
                    copied[mark.item] = _copied(file, temporary, roots) if number is None else None
                copy = copied[mark.item]
                lines.append(
                    {
                        "file": shown(mark.item),
                        "finding": mark.finding,
                        "what": mark.what,
                        "copy": None if copy is None else shown(copy),
                    }
                )
            (temporary / LIST).write_text(jsonl(lines), encoding="utf-8")
            commit(temporary, folder, flush_each=False)
        except OSError as error:
            raise from_os_error(error, folder) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return Quarantine(folder, sum(copy is not None for copy in copied.values()), len(copied))


def _copied(file: str, folder: Path, roots: Sequence[Path]) -> str | None:
    """Copy a file and return its path in the folder; None where it is not there, or not to be read."""
    name = _name(file, roots)
    to = folder / name
    if not os.path.isfile(file) or not os.access(file, os.R_OK):  # noqa: PTH113 - a path may be no UTF-8.
        return None
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)
    return name


def _name(file: str, roots: Sequence[Path]) -> str:
    """Return the path of a file relative to its data set, behind the data set's name where there are several."""
    for number, root in enumerate(roots, start=1):
        base = os.path.abspath(root if root.is_dir() else root.parent)  # noqa: PTH100 - links stay as they are.
        path = os.path.abspath(file)  # noqa: PTH100
        if path.startswith(base + os.sep):
            name = os.path.relpath(path, base)
            same = [other.name for other in roots].count(root.name) > 1
            return name if len(roots) == 1 else os.path.join(f"{number}-{root.name}" if same else root.name, name)  # noqa: PTH118
    return os.path.basename(file)  # noqa: PTH119
