"""Folders that vouch for their files with hashes: runs and exports, held against their records before they are read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dlcli.core.files import sha256
from dlcli.errors import ModelError


def files_below(folder: Path) -> list[str]:
    """Return what is in a folder and its folders, by its path in it; a link is one thing, wherever it leads."""
    found = (file for file in folder.rglob("*") if file.is_symlink() or not file.is_dir())
    return [file.relative_to(folder).as_posix() for file in found]


def require_inside(path: Path) -> None:
    """Find out whether all that is in a folder stays in it: what is written there later follows no link elsewhere.

    Raises:
        ModelError: a link leads out of the folder.
    """
    inside = path.resolve()
    for folder, folders, files in os.walk(path):
        for entry in (Path(folder, name) for name in (*folders, *files)):
            if entry.is_symlink() and not entry.resolve().is_relative_to(inside):
                name = entry.relative_to(path).as_posix()
                raise ModelError(f"{path} is refused: {name} leads out of it", hint="Put what it leads to in its place")


def require_vouched(
    path: Path, hashes: Mapping[str, str], *, there: Iterable[str], needed: Iterable[str], hint: str
) -> None:
    """Find out whether a folder holds what its record says, no file less and none more.

    Args:
        path: the folder.
        hashes: the SHA-256 of files by their names in it, as its record has them.
        there: the names of the files there that are read later; the record must have all of them, and no others.
        needed: those that must be there.
        hint: what to do about it.

    Raises:
        ModelError: a file is missing, changed, not vouched for, or leads out of the folder.
    """
    inside, present = path.resolve(), set(there)
    for name in sorted(present | set(needed) | set(hashes)):
        file = path / name
        if name not in hashes:
            raise ModelError(f"{path} is refused: its record does not vouch for {name}", hint=hint)
        if not _is_plain(name) or not file.resolve().is_relative_to(inside):
            raise ModelError(f"{path} is refused: {name} leads out of it", hint=hint)
        if name not in present or not file.is_file():
            raise ModelError(f"{path} is damaged: {name} is missing", hint=f"{hint}, or restore the file")
        if sha256(file) != hashes[name]:
            raise ModelError(f"{path} is damaged: {name} is not what was saved", hint=f"{hint}, or restore it")


def _is_plain(name: str) -> bool:
    """Say whether a name is that of a file below a folder, on any system."""
    parts = name.split("/")
    return bool(name) and not any(part in ("", ".", "..") for part in parts) and not set(name) & set("\\:\0")
