"""Which domain data is of, by what lies there: texts or pictures."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from dlcli.core.folders import require_exists
from dlcli.core.lines import BadRow
from dlcli.core.tables import TABLES, scan_rows
from dlcli.errors import DataError, UsageError
from dlcli.vision.archives import archives_in, is_archive
from dlcli.vision.headers import EXTENSIONS, UNSUPPORTED_EXTENSIONS

Domain = Literal["text", "vision"]
# Files of a folder that are looked at: enough to know what it holds.
_LOOKED_AT = 1000


def domain_of_all(paths: Sequence[Path], *, text_column: str, path_column: str, encoding: str) -> Domain:
    """Return which domain all data sets are of.

    Args:
        paths: tables, folders, archives.
        text_column: by which a table of texts is known.
        path_column: by which a table of pictures is known.
        encoding: of tables.

    Raises:
        UsageError: a path does not exist; some are texts and some pictures.
    """
    found: dict[Domain, Path] = {}
    for path in paths:
        found.setdefault(domain_of(path, text_column=text_column, path_column=path_column, encoding=encoding), path)
    if len(found) > 1:
        what = f"{found['text']} holds texts and {found['vision']} pictures: one command takes one kind"
        raise UsageError(what, hint="Name them in two commands")
    return next(iter(found))


def domain_of(path: Path, *, text_column: str, path_column: str, encoding: str) -> Domain:
    """Return which domain data is of; what is neither is left to the reader of texts, which says so.

    Raises:
        UsageError: the path does not exist, or is a picture.
    """
    require_exists(path)
    if path.is_dir():
        return "vision" if _holds_pictures(path) else "text"
    if is_archive(path):
        return "vision"
    if path.suffix.lower() in EXTENSIONS:
        raise UsageError(f"{path} is a picture, expected a folder of pictures or a table", hint="Name its folder")
    if path.suffix.lower() in TABLES:
        columns = _columns(path, encoding)
        return "vision" if path_column in columns and text_column not in columns else "text"
    return "text"


def _holds_pictures(folder: Path) -> bool:
    """Say whether a folder holds more pictures than texts; of what has no known ending, nothing is known."""
    endings = [os.path.splitext(name)[1].lower() for name in itertools.islice(_files(folder), _LOOKED_AT)]  # noqa: PTH122
    texts = endings.count(".txt")
    pictures = sum(ending in EXTENSIONS or ending in UNSUPPORTED_EXTENSIONS for ending in endings)
    # Captions may lie beside pictures, one each.
    return pictures >= max(texts, 1) or any(archives_in(Path(parent)) for parent in _upper(folder))


def _files(folder: Path) -> Iterator[str]:
    """Yield the names of files, hidden ones left out."""
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (name for name in files if not name.startswith("."))


def _upper(folder: Path) -> Iterator[str]:
    yield os.fspath(folder)
    with os.scandir(folder) as entries:
        yield from (entry.path for entry in entries if entry.is_dir())


def _columns(path: Path, encoding: str) -> set[str]:
    """Return the columns of a table, empty where it cannot be read: its reader says why."""
    try:
        rows = scan_rows(path, encoding=encoding)
        first = next((row for row in rows if not isinstance(row, BadRow)), None)
    except DataError:
        return set()
    return set() if first is None else set(first.cells)
