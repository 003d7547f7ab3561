"""Where data lies on the disk: a path that must exist, and the parts `train`, `val` and `test` of a folder."""

from __future__ import annotations

import re
from pathlib import Path

from dlcli.errors import DataError, UsageError, nearest

PARTS = ("train", "val", "test")
_DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return what to sort names by so that `class_2` comes before `class_10`."""
    return [_natural(part) for part in _DIGITS.split(name)], name


def _natural(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdecimal() else (1, 0, part)


def require_exists(path: Path) -> None:
    """Raise a `UsageError` when there is nothing at `path`, or what nobody can read twice."""
    if path.is_symlink() and not path.exists():
        raise UsageError(f"{path} is a link to nothing", hint="Delete it, or put the file in its place")
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, siblings, cutoff=0.8) if siblings else ""
        raise UsageError(f"{path} does not exist", hint=hint if hint.startswith("Did") else "")
    if not path.is_file() and not path.is_dir():
        raise UsageError(f"{path} is a pipe, a socket or a device", hint="Expected a file or a folder")


def parts_of(path: Path) -> list[str]:
    """Return which of `train`, `val` and `test` a folder has."""
    return [part for part in PARTS if path.is_dir() and (path / part).is_dir()]


def part_of(path: Path, part: str) -> Path:
    """Return the part of a folder, or the folder itself where it has no parts.

    Raises:
        DataError: it has others, and not this one.
    """
    parts = parts_of(path)
    if part in parts:
        return path / part
    if "train" in parts:
        raise DataError(
            f"{path} has {', '.join(f'{name}/' for name in parts)} and no {part}/", hint="Name the folder to take"
        )
    return path
