"""Pictures and labels: a folder a class, a table of paths, or an archive. Every picture, or one line that names it."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dlcli.core import folders
from dlcli.core.folders import PARTS, part_of, require_exists
from dlcli.core.lines import BadRow
from dlcli.core.tables import TABLES, Row, scan_rows
from dlcli.errors import DataError, UsageError, shown
from dlcli.vision.archives import ArchivePart, archive_parts, archives_in, is_archive
from dlcli.vision.config import ImageDataConfig
from dlcli.vision.headers import EXTENSIONS
from dlcli.vision.raw import BETWEEN, BadItem
from dlcli.vision.walk import Listing, listing, subfolders

__all__ = ["LabelledPicture", "Listing", "listing", "parts_of", "scan_labelled", "scan_pictures"]

_PATH_COLUMN = "--path-column"


class LabelledPicture(NamedTuple):
    """One picture with its label, where it stands, and the cells of its row (or the name of its file).

    Attributes:
        item: the path of its file, or `ARCHIVE::NUMBER`.
        label: in Unicode's normal form C.
        where: how messages name its place: a line of a table, or its file.
        cells: of its row; `file` and `label` where it has none.
        line: of the table, from 1; None without one.
        content: what the fingerprint of the data is made of: the digest of the file, empty until it was looked at.
    """

    item: str
    label: str
    where: str
    cells: dict[str, Any]
    line: int | None = None
    content: str = ""

    @property
    def blank(self) -> bool:
        """Whether there is nothing in it: an empty file is an error."""
        return False


def parts_of(path: Path) -> list[str]:
    """Return which of `train`, `val` and `test` a folder or an archive has."""
    if not _holds_archives(path):
        return folders.parts_of(path)
    found = {part.part for part in archive_parts(path)}
    return [part for part in PARTS if part in found]


def scan_labelled(path: Path, config: ImageDataConfig, *, part: str) -> Iterator[LabelledPicture | BadRow]:
    """Read pictures and labels one after the other, and go on behind what is bad. No picture is opened.

    Args:
        path: a folder with one of pictures for each class; a table of paths, which are relative to it, and labels; an
            `.npz`; a folder with the files of MNIST (IDX) or of CIFAR-10 (binary).
        config: column names.
        part: which of `train`, `val`, `test` to take where there are parts.

    Yields:
        the pictures, class by class in natural order, or in the order of the table; and, each in its place, what is
        wrong with others.

    Raises:
        UsageError: there is nothing at `path`, or its type is not known.
        DataError: nothing in it can be used.
    """
    require_exists(path)
    if _holds_archives(path):
        yield from _scan_archive(path, part)
    elif path.is_dir():
        root = part_of(path, part)
        yield from _scan_archive(root, part) if archives_in(root) else _scan_classes(root)
    else:
        yield from _scan_table(_require_table(path), config)


def scan_pictures(path: Path, *, column: str) -> Iterator[tuple[str, dict[str, Any]] | BadRow]:
    """Read pictures without labels one after the other, and go on behind what is bad. No picture is opened.

    Args:
        path: a picture, a folder of them, a table of their paths, or an archive.
        column: of the path, in a table.

    Yields:
        each item, with the cells of its row, or with the name of its file; and what is wrong with others.

    Raises:
        UsageError: there is nothing at `path`.
        DataError: nothing in it can be used.
    """
    require_exists(path)
    if _holds_archives(path):
        items = (item for part in archive_parts(path) for item in _items(part))
        yield from ((item, {"file": shown(item)}) for item in items)
    elif path.is_dir():
        found = listing(path)
        yield from found.bad
        if not found.pictures and not found.bad:
            yield _no_pictures(path, found)
        yield from ((item, {"file": shown(item)}) for item in found.pictures)
    elif path.suffix.lower() in TABLES:
        for row in scan_rows(path, encoding="utf-8", required={column: _PATH_COLUMN}):
            yield row if isinstance(row, BadRow) else _unlabelled(row, column, path)
    else:
        yield os.fspath(path), {"file": shown(os.fspath(path))}


def _holds_archives(path: Path) -> bool:
    return bool(archives_in(path)) if path.is_dir() else path.is_file() and is_archive(path)


# --- a folder a class ---------------------------------------------------------------------------------------------


def _scan_classes(root: Path) -> Iterator[LabelledPicture | BadRow]:
    names, beside = subfolders(root)
    yield from beside.bad
    if not names:
        there = f": {len(beside.pictures)} pictures lie in it directly" if beside.pictures else ""
        raise DataError(f"{shown(os.fspath(root))} has no folders{there}", hint="Expected one of pictures a class")
    for name in names:
        yield from _scan_class(root / name, name)


def _scan_class(folder: Path, name: str) -> Iterator[LabelledPicture | BadRow]:
    path = os.fspath(folder)
    if shown(name) != name:
        what = "the name of a class must be UTF-8 without control characters"
        yield BadItem(path, what, kind="bad-name", hint="Rename the folder")
        return
    found = listing(folder, root=folder.parent)
    yield from found.bad
    if not found.pictures and not found.bad:
        yield _no_pictures(folder, found)
    label = unicodedata.normalize("NFC", name)
    for item in found.pictures:
        where = shown(item)
        yield LabelledPicture(item, label, where, {"file": where, "label": label})


def _no_pictures(folder: Path, found: Listing) -> BadRow:
    there = f", only {found.passed_over}" if found.passed_over else ""
    what = f"the folder has no pictures{there}"
    hint = f"Fill it with pictures ({', '.join(EXTENSIONS)}), or delete it"
    return BadItem(os.fspath(folder), what, kind="empty-class", hint=hint)


# --- a table ------------------------------------------------------------------------------------------------------


def _require_table(path: Path) -> Path:
    if path.suffix.lower() not in TABLES:
        hint = "Unpack it first" if path.suffix.lower() in (".zip", ".gz", ".tgz", ".tar") else ""
        raise UsageError(
            f"{path}: expected a folder of pictures, a table ending in {', '.join(TABLES)}, or an .npz archive, "
            f"got {path.suffix or 'no ending'!r}",
            hint=hint or "Name the folder that has one of pictures for each class",
        )
    return path


def _scan_table(path: Path, config: ImageDataConfig) -> Iterator[LabelledPicture | BadRow]:
    required = {config.path_column: _PATH_COLUMN, config.label_column: "--label-column"}
    for row in scan_rows(path, encoding="utf-8", required=required):
        if isinstance(row, BadRow):
            yield row
            continue
        try:
            item, label = _item(row, config.path_column, path), _label(row, config.label_column, path)
        except BadRow as bad:
            yield bad
        else:
            yield LabelledPicture(item, label, row.where, row.cells, row.line)


def _unlabelled(row: Row, column: str, path: Path) -> tuple[str, dict[str, Any]] | BadRow:
    try:
        return _item(row, column, path), row.cells
    except BadRow as bad:
        return bad


def _item(row: Row, column: str, path: Path) -> str:
    """Return the path in a row, made one that can be opened from here."""
    name = row.cells[column]
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise _bad_cell(f"expected a path in {column!r}, got {str(name)[:40]!r}", row, path, kind="bad-path")
    item = os.path.join(path.parent, name.strip())  # noqa: PTH118 - an absolute path stays as it is.
    file = item.rpartition(BETWEEN)[0] if BETWEEN in item else item
    if not os.path.isfile(item) and not os.path.isfile(file):  # noqa: PTH113
        what = f"there is no file {shown(item)}"
        raise _bad_cell(what, row, path, kind="missing-file", hint="Paths are relative to the table")
    return item


def _label(row: Row, column: str, path: Path) -> str:
    value = row.cells[column]
    if not isinstance(value, (str, bool, int)):
        what = f"expected text in {column!r}, got {type(value).__name__}"
        raise _bad_cell(what, row, path, kind="bad-type", hint="Put it in quotes, or delete the row")
    if not (label := unicodedata.normalize("NFC", str(value).strip())):
        raise _bad_cell("the label is empty", row, path, kind="empty-label")
    if shown(label) != label:
        raise _bad_cell("the label holds a control character or half a character", row, path, kind="bad-label")
    return label


def _bad_cell(what: str, row: Row, path: Path, *, kind: str, hint: str = "Fill it in, or delete the row") -> BadRow:
    return BadRow(what, source=path, where=row.where, line=row.line, kind=kind, hint=hint, excerpt=str(row.cells))


# --- an archive ---------------------------------------------------------------------------------------------------


def _scan_archive(path: Path, part: str) -> Iterator[LabelledPicture]:
    parts = archive_parts(path)
    wanted = [found for found in parts if found.part in (part, "")]
    if not wanted:
        names = ", ".join(sorted({found.part for found in parts}))
        raise DataError(f"{path} has {names} and no {part}", hint="Name the data to take")
    for found in wanted:
        for item, label in zip(_items(found), found.labels, strict=True):
            where = shown(item)
            yield LabelledPicture(item, label, where, {"file": where, "label": label})


def _items(part: ArchivePart) -> Iterator[str]:
    return (f"{part.path}{BETWEEN}{number}" for number in range(part.first, part.first + len(part.labels)))
