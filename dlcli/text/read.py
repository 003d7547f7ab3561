"""Texts and labels from CSV, TSV, JSONL and folders: every row, or one line that names the bad one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from dlcli.core.folders import part_of, require_exists
from dlcli.core.lines import NUL_HINT, BadRow, bad_bytes, open_text, strict
from dlcli.core.tables import Row, scan_rows
from dlcli.errors import DataError, shown
from dlcli.text.config import TextDataConfig

# A class of IMDB's own layout that is none: reviews without a label.
NOT_A_CLASS = "unsup"
TEXT_COLUMN = "--text-column"
"""The option that names the column of the text."""


class LabelledText(NamedTuple):
    """One text with its label, where it stands, and the cells of its row (or the name of its file)."""

    item: str
    label: str
    where: str
    cells: dict[str, Any]
    line: int | None = None
    """Where its row starts, from 1; None for a file."""

    @property
    def blank(self) -> bool:
        """Whether the text is nothing but white space."""
        return _is_blank(self.item)

    @property
    def content(self) -> str:
        """What the fingerprint of the data is made of: the text."""
        return self.item


class UnlabelledText(NamedTuple):
    """One text, the cells of its row (or the name of its file), and where it stands."""

    item: str
    cells: dict[str, Any]
    where: str


Skip = Callable[[BadRow], object]
"""Is told of a bad row that is left out."""


@dataclass(kw_only=True)
class Texts:
    """Labelled texts, in the order in which they were read."""

    source: str
    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    blank: list[str] = field(default_factory=list)
    """Where texts of nothing but white space stand."""

    def without_blanks(self) -> Texts:
        """Return the texts that say something: what training learns from."""
        kept = [number for number, text in enumerate(self.texts) if not _is_blank(text)]
        if not kept:
            raise DataError(f"{self.source} has no text: all {len(self.texts)} are blank", hint="Check --text-column")
        return Texts(
            source=self.source,
            texts=[self.texts[number] for number in kept],
            labels=[self.labels[number] for number in kept],
        )


def read_labelled(path: Path, config: TextDataConfig, *, part: str = "train", skip: Skip | None = None) -> Texts:
    """Read texts and labels.

    Args:
        path: a CSV, TSV or JSONL file; or a folder with a folder of `.txt` files for each class, or with
            such folders inside `train/`, `val/` and `test/`.
        config: column names and encoding.
        part: which of `train`, `val`, `test` to take where a folder has them.
        skip: told of bad rows, which are left out; without it the first one is raised.

    Returns:
        the rows, blank texts included and listed.

    Raises:
        UsageError: the path does not exist, or its type is not known.
        DataError: the content is not as expected; the message names the line.
    """
    found = Texts(source=str(path))
    for row in labelled_texts(path, config, part=part, skip=skip):
        if row.blank:
            found.blank.append(row.where)
        found.texts.append(row.item)
        found.labels.append(row.label)
    return found


def labelled_texts(
    path: Path, config: TextDataConfig, *, part: str, skip: Skip | None = None
) -> Iterator[LabelledText]:
    """Read texts and labels as `read_labelled` does, one after the other, in bounded memory."""
    good, bad = False, 0
    for item in scan_labelled(path, config, part=part):
        if not isinstance(item, BadRow):
            good = True
            yield item
        elif skip is None or item.last:
            raise item
        else:
            bad += 1
            skip(item)
    if not good:
        what = f"no good row: all {bad:,} are bad" if bad else "no rows"
        raise DataError(f"{path} has {what}", hint="Expected a header and at least two rows")


def scan_labelled(path: Path, config: TextDataConfig, *, part: str) -> Iterator[LabelledText | BadRow]:
    """Read texts and labels one after the other, and go on behind bad rows: see `scan_rows`.

    Args:
        path: a table or a folder, as `read_labelled` takes it.
        config: column names and encoding.
        part: which of `train`, `val`, `test` to take where a folder has them.

    Yields:
        the rows, blank texts included; and, each in its place, what is wrong with the others.
    """
    require_exists(path)
    if path.is_dir():
        for label, file in _labelled_files(part_of(path, part)):
            text = file if isinstance(file, BadRow) else _text_or_bad(file, config.encoding)
            if isinstance(text, BadRow):
                yield text
            else:
                where = shown(str(file))
                yield LabelledText(item=text, label=label, where=where, cells={"file": where, "label": label})
        return
    required = {config.text_column: TEXT_COLUMN, config.label_column: "--label-column"}
    for row in scan_rows(path, encoding=config.encoding, required=required):
        if isinstance(row, BadRow):
            yield row
            continue
        try:
            yield _labelled(row, config, path)
        except BadRow as bad:
            yield bad


def _labelled(row: Row, config: TextDataConfig, path: Path) -> LabelledText:
    label = cell(row, config.label_column, path).strip()
    if not label:
        shown = str(row.cells[config.text_column])
        raise _bad_cell(
            "the label is empty", row, path, kind="empty-label", hint="Fill it in, or delete the row", text=shown
        )
    text = cell(row, config.text_column, path)
    return LabelledText(item=text, label=label, where=row.where, cells=row.cells, line=row.line)


def scan_texts(path: Path, *, column: str, encoding: str) -> Iterator[UnlabelledText | BadRow]:
    """Read texts without labels, one after the other, in bounded memory, and go on behind bad rows.

    Args:
        path: a table (see `scan_rows`), or a folder of `.txt` files.
        column: of the text, in a table.
        encoding: of the files.

    Yields:
        each text with the cells of its row, or with the name of its file; and what is wrong with others.
    """
    require_exists(path)
    if path.is_dir():
        for file in text_files(path):
            text = file if isinstance(file, BadRow) else _text_or_bad(file, encoding)
            if isinstance(text, BadRow):
                yield text
            else:
                where = shown(str(file))
                yield UnlabelledText(text, {"file": where}, where)
        return
    for row in scan_rows(path, encoding=encoding, required={column: TEXT_COLUMN}):
        if isinstance(row, BadRow):
            yield row
            continue
        try:
            yield UnlabelledText(cell(row, column, path), row.cells, row.where)
        except BadRow as bad:
            yield bad


def read_unlabelled(path: Path, config: TextDataConfig, *, skip: Skip | None = None) -> Iterator[str]:
    """Read texts and no labels, one after the other, in bounded memory; blank ones are left out.

    Args:
        path: a table, or a folder of `.txt` files; where it has `train/`, `val/` and `test/`, the first alone counts.
        config: column of the text, and encoding.
        skip: told of bad rows, which are left out; without it the first one is raised.

    Raises:
        UsageError: the path does not exist, or its type is not known.
        DataError: bad content, with its line; nothing but blank texts.
    """
    require_exists(path)
    root = part_of(path, "train") if path.is_dir() else path
    empty = True
    for text in strict(scan_texts(root, column=config.text_column, encoding=config.encoding), skip):
        if not _is_blank(text.item):
            empty = False
            yield text.item
    if empty:
        raise DataError(f"{path} has no text", hint="Expected a table of texts, or a folder of .txt files")


def text_files(folder: Path) -> list[Path | BadRow]:
    """Return all `.txt` files under a folder, sorted, hidden ones left out; first the folders that cannot be read."""
    bad: list[Path | BadRow] = []

    def unreadable(error: OSError) -> None:
        what = f"it cannot be read: {error.strerror or error}"
        hint = "Give yourself the right to read it, or delete it"
        bad.append(BadRow(what, source=Path(error.filename), kind="unreadable-folder", hint=hint))

    found: list[Path] = []
    for parent, names, files in os.walk(folder, onerror=unreadable):
        names[:] = [name for name in names if not name.startswith(".")]
        found += (Path(parent, name) for name in files if name.endswith(".txt") and not name.startswith("."))
    return [*bad, *sorted(found)]


def cell(row: Row, column: str, path: Path) -> str:
    """Return a cell as text; whole numbers and truth values of JSON are turned into it.

    Raises:
        BadRow: it is something else, or holds what no text holds.
    """
    value = row.cells[column]
    if isinstance(value, str):
        if "\0" in value or not _is_whole(value):
            what = f"{column!r} holds a NUL or half a character"
            raise _bad_cell(what, row, path, kind="nul-character", hint="Delete the row", text=value)
        return value
    if isinstance(value, (bool, int)):
        return str(value)
    raise _bad_cell(
        f"expected text in {column!r}, got {type(value).__name__}",
        row,
        path,
        kind="bad-type",
        hint="Put it in quotes, or delete the row",
        text=str(row.cells),
    )


def _is_whole(text: str) -> bool:
    """Say whether no half of a character is in a text: UTF-8 has none, JSON may name one."""
    # To encode it is dozens of times as fast as to look at each character.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bad_cell(what: str, row: Row, path: Path, *, kind: str, hint: str, text: str) -> BadRow:
    return BadRow(what, source=path, where=row.where, line=row.line, kind=kind, hint=hint, excerpt=text)


def _is_blank(text: str) -> bool:
    return not text or text.isspace()


def _labelled_files(root: Path) -> Iterator[tuple[str, Path | BadRow]]:
    classes = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".") and p.name != NOT_A_CLASS)
    if not classes:
        raise DataError(f"{root} has no folders", hint="Expected a folder of .txt files for each class")
    for folder in classes:
        if folder.is_symlink() and root.resolve().is_relative_to(folder.resolve()):
            what = "a link to a folder that it lies in"
            yield folder.name, BadRow(what, source=folder, kind="symlink-loop", hint="Delete the link")
            continue
        if shown(folder.name) != folder.name:
            what = "the name of a class must be UTF-8 without control characters"
            yield folder.name, BadRow(what, source=folder, kind="bad-name", hint="Rename the folder")
            continue
        files = text_files(folder)
        if not files:
            raise DataError(f"{folder} has no .txt files", hint="Fill the class, or delete its folder")
        yield from ((folder.name, file) for file in files)


def _text_or_bad(path: Path, encoding: str) -> str | BadRow:
    try:
        return read_text_file(path, encoding)
    except BadRow as bad:
        return bad


def read_text_file(path: Path, encoding: str) -> str:
    """Read one file as one text.

    Raises:
        BadRow: it is no file, or no text of that encoding.
    """
    if not path.is_file():
        what = "a pipe, a socket or a device, and no file" if path.exists() else "a link to nothing"
        raise BadRow(what, source=path, kind="unreadable-file", hint="Delete it")
    try:
        with open_text(path, encoding) as file:
            text = file.read()
    except UnicodeError as error:
        raise bad_bytes(path, encoding, error) from error
    except OSError as error:
        what = f"it cannot be read: {error.strerror or error}"
        hint = "Give yourself the right to read it, or delete it"
        raise BadRow(what, source=path, kind="unreadable-file", hint=hint) from error
    if "\0" in text:
        raise BadRow("a NUL character", source=path, kind="nul-character", hint=NUL_HINT, excerpt=text)
    return text
