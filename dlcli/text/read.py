"""Texts and labels from CSV, TSV, JSONL and folders: every row, or one line that names the bad one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from dlcli.core.folders import part_of, require_exists
from dlcli.core.lines import NUL_HINT, BadRow, bad_bytes, open_text, strict
from dlcli.core.tables import NONE, Row, scan_rows
from dlcli.errors import DataError
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


def read_labelled(path: Path, config: TextDataConfig, *, part: str = "train") -> Texts:
    """Read texts and labels.

    Args:
        path: a CSV, TSV or JSONL file; or a folder with a folder of `.txt` files for each class, or with
            such folders inside `train/`, `val/` and `test/`.
        config: column names and encoding.
        part: which of `train`, `val`, `test` to take where a folder has them.

    Returns:
        the rows, blank texts included and listed.

    Raises:
        UsageError: the path does not exist, or its type is not known.
        DataError: the content is not as expected; the message names the line.
    """
    found = Texts(source=str(path))
    for row in labelled_texts(path, config, part=part):
        if row.blank:
            found.blank.append(row.where)
        found.texts.append(row.item)
        found.labels.append(row.label)
    return found


def labelled_texts(path: Path, config: TextDataConfig, *, part: str) -> Iterator[LabelledText]:
    """Read texts and labels as `read_labelled` does, one after the other, in bounded memory."""
    empty = True
    for item in strict(scan_labelled(path, config, part=part)):
        empty = False
        yield item
    if empty:
        raise DataError(f"{path} has no rows", hint="Expected a header and at least two rows")


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
            try:
                text = read_text_file(file, config.encoding)
            except BadRow as bad:
                yield bad
            else:
                yield LabelledText(item=text, label=label, where=str(file), cells={"file": str(file), "label": label})
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


def read_rows(path: Path, *, encoding: str, required: Mapping[str, str] = NONE) -> Iterator[Row]:
    """Read a table row by row, in bounded memory.

    Args:
        path: a CSV, TSV or JSONL file with one of the endings in `TABLES`.
        encoding: of the file.
        required: columns that must exist, with the option that names each.

    Yields:
        the rows, with all their columns.

    Raises:
        UsageError: the path or its type is not there, or the encoding is unknown.
        DataError: bad content, with its line.
    """
    require_exists(path)
    yield from strict(scan_rows(path, encoding=encoding, required=required))


def read_texts(path: Path, *, column: str, encoding: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read texts without labels, one after the other, in bounded memory.

    Args:
        path: a table (see `read_rows`), or a folder of `.txt` files.
        column: of the text, in a table.
        encoding: of the files.

    Yields:
        each text with the cells of its row, or with the name of its file.
    """
    require_exists(path)
    if path.is_dir():
        for file in text_files(path):
            yield read_text_file(file, encoding), {"file": str(file)}
    else:
        for row in read_rows(path, encoding=encoding, required={column: TEXT_COLUMN}):
            yield cell(row, column, path), row.cells


def read_unlabelled(path: Path, config: TextDataConfig) -> Iterator[str]:
    """Read texts and no labels, one after the other, in bounded memory; blank ones are left out.

    Args:
        path: a table, or a folder of `.txt` files; where it has `train/`, `val/` and `test/`, the first alone counts.
        config: column of the text, and encoding.

    Raises:
        UsageError: the path does not exist, or its type is not known.
        DataError: bad content, with its line; nothing but blank texts.
    """
    require_exists(path)
    root = part_of(path, "train") if path.is_dir() else path
    empty = True
    for text, _ in read_texts(root, column=config.text_column, encoding=config.encoding):
        if not _is_blank(text):
            empty = False
            yield text
    if empty:
        raise DataError(f"{path} has no text", hint="Expected a table of texts, or a folder of .txt files")


def text_files(folder: Path) -> list[Path]:
    """Return all `.txt` files under a folder, sorted, hidden ones left out."""
    files = (file for file in folder.rglob("*.txt") if file.is_file())
    return sorted(file for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts))


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


def _labelled_files(root: Path) -> Iterator[tuple[str, Path]]:
    classes = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".") and p.name != NOT_A_CLASS)
    if not classes:
        raise DataError(f"{root} has no folders", hint="Expected a folder of .txt files for each class")
    for folder in classes:
        files = text_files(folder)
        if not files:
            raise DataError(f"{folder} has no .txt files", hint="Fill the class, or delete its folder")
        yield from ((folder.name, file) for file in files)


def read_text_file(path: Path, encoding: str) -> str:
    """Read one file as one text.

    Raises:
        BadRow: it is no text of that encoding.
    """
    try:
        with open_text(path, encoding) as file:
            text = file.read()
    except UnicodeError as error:
        raise bad_bytes(path, encoding, error) from error
    if "\0" in text:
        raise BadRow("a NUL character", source=path, kind="nul-character", hint=NUL_HINT, excerpt=text)
    return text
