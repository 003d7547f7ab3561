"""Texts and labels from CSV, TSV, JSONL and folders: every row, or one line that names the bad one."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from dlcli.errors import DataError, UsageError, nearest
from dlcli.text.config import TextDataConfig

TABLES = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
# A class of IMDB's own layout that is none: reviews without a label.
NOT_A_CLASS = "unsup"
SPLITS = ("train", "val", "test")
_OTHER_KINDS = {
    b"\x1f\x8b": ("compressed with gzip", "Unpack it first"),
    b"\xfd7zXZ": ("compressed with xz", "Unpack it first"),
    b"PK\x03\x04": ("a zip archive or an Excel file", "Unpack it, or save it as CSV"),
    b"\xff\xfe": ("UTF-16", "Add --encoding utf-16"),
    b"\xfe\xff": ("UTF-16", "Add --encoding utf-16"),
    b"\x89PNG": ("a picture", "Name a table of texts"),
    b"\xff\xd8\xff": ("a picture", "Name a table of texts"),
    b"%PDF": ("a PDF", "Name a table of texts"),
}

csv.field_size_limit(sys.maxsize if sys.maxsize < 2**31 else 2**31 - 1)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table: where it starts (a line or a file) and its cells by column."""

    where: str
    cells: dict[str, Any]


class LabelledText(NamedTuple):
    """One text with its label, where it stands, and the cells of its row (or the name of its file)."""

    text: str
    label: str
    where: str
    cells: dict[str, Any]

    @property
    def blank(self) -> bool:
        """Whether the text is nothing but white space."""
        return not self.text or self.text.isspace()


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
        kept = [number for number, text in enumerate(self.texts) if text and not text.isspace()]
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
        found.texts.append(row.text)
        found.labels.append(row.label)
    return found


def labelled_texts(path: Path, config: TextDataConfig, *, part: str) -> Iterator[LabelledText]:
    """Read texts and labels as `read_labelled` does, one after the other, in bounded memory."""
    require_exists(path)
    empty = True
    if path.is_dir():
        for label, file in _labelled_files(_part(path, part)):
            empty = False
            text = read_text_file(file, config.encoding)
            yield LabelledText(text=text, label=label, where=str(file), cells={"file": str(file), "label": label})
    else:
        for row in read_rows(path, encoding=config.encoding, required=(config.text_column, config.label_column)):
            empty = False
            label = cell(row, config.label_column, path).strip()
            if not label:
                raise DataError(f"{path}, {row.where}: the label is empty", hint="Fill it in, or delete the row")
            text = cell(row, config.text_column, path)
            yield LabelledText(text=text, label=label, where=row.where, cells=row.cells)
    if empty:
        raise DataError(f"{path} has no rows", hint="Expected a header and at least two rows")


def read_rows(path: Path, *, encoding: str, required: tuple[str, ...] = ()) -> Iterator[Row]:
    """Read a table row by row, in bounded memory.

    Args:
        path: a CSV, TSV or JSONL file with one of the endings in `TABLES`.
        encoding: of the file.
        required: columns that must exist.

    Yields:
        the rows, with all their columns.

    Raises:
        UsageError: the path or its type is not there, or the encoding is unknown.
        DataError: bad content, with its line.
    """
    require_exists(path)
    kind = TABLES.get(path.suffix.lower())
    if kind is None:
        raise UsageError(
            f"{path}: expected a file ending in {', '.join(TABLES)} or a folder, got {path.suffix or 'no ending'!r}",
            hint="Rename the file to its type",
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", hint="Expected a header and at least two rows")
    _require_text(path, encoding)
    with _open(path, encoding) as file:
        try:
            yield from _jsonl(file, path, required) if kind == "jsonl" else _table(file, path, kind, required)
        except UnicodeError as error:
            raise _bad_bytes(path, encoding, error) from error


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
        for row in read_rows(path, encoding=encoding, required=(column,)):
            yield cell(row, column, path), row.cells


def parts_of(path: Path) -> list[str]:
    """Return which of `train`, `val` and `test` a folder has."""
    return [part for part in SPLITS if path.is_dir() and (path / part).is_dir()]


def text_files(folder: Path) -> list[Path]:
    """Return all `.txt` files under a folder, sorted, hidden ones left out."""
    files = (file for file in folder.rglob("*.txt") if file.is_file())
    return sorted(file for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts))


def require_exists(path: Path) -> None:
    """Raise a `UsageError` when there is nothing at `path`."""
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, siblings, cutoff=0.8) if siblings else ""
        raise UsageError(f"{path} does not exist", hint=hint if hint.startswith("Did") else "")


def cell(row: Row, column: str, path: Path) -> str:
    """Return a cell as text; whole numbers and truth values of JSON are turned into it."""
    value = row.cells[column]
    if isinstance(value, str):
        if "\0" in value or not _is_whole(value):
            raise DataError(f"{path}, {row.where}: {column!r} holds a NUL or half a character", hint="Delete the row")
        return value
    if isinstance(value, (bool, int)):
        return str(value)
    raise DataError(
        f"{path}, {row.where}: expected text in {column!r}, got {type(value).__name__}",
        hint="Put it in quotes, or delete the row",
    )


def _is_whole(text: str) -> bool:
    """Say whether no half of a character is in a text: UTF-8 has none, JSON may name one."""
    # To encode it is dozens of times as fast as to look at each character.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _open(path: Path, encoding: str) -> TextIO:
    name = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    try:
        return path.open(encoding=name, newline="")
    except LookupError:
        raise UsageError(f"--encoding: {encoding!r} is not known", hint="Try utf-8, latin-1 or cp1252") from None


def _require_text(path: Path, encoding: str) -> None:
    """Refuse files of other kinds by their first bytes, whatever their names say."""
    with path.open("rb") as file:
        start = file.read(8)
    for magic, (kind, remedy) in _OTHER_KINDS.items():
        if start.startswith(magic) and not encoding.lower().startswith("utf-16"):
            raise DataError(f"{path} is {kind}, expected plain text", hint=remedy)


def _table(file: TextIO, path: Path, kind: str, required: tuple[str, ...]) -> Iterator[Row]:
    reader = csv.reader(_without_nul(file, path), strict=True, delimiter="\t" if kind == "tsv" else ",")
    start = 1
    try:
        header = next(reader, [])
        _check_columns(header, str(path), required)
        start = reader.line_num + 1
        for cells in reader:
            if len(cells) == len(header):
                yield Row(where=f"line {start}", cells=dict(zip(header, cells, strict=True)))
            elif cells:
                raise DataError(
                    f"{path}, line {start}: expected {len(header)} columns ({', '.join(header)}), got {len(cells)}",
                    hint="Quote texts that hold the separator",
                )
            start = reader.line_num + 1
    except csv.Error as error:
        found = "a quote that opens here is never closed" if "unexpected end" in str(error) else str(error)
        raise DataError(
            f"{path}, line {start}: {found}", hint='Inside a quoted text, a quote is written twice ("")'
        ) from error


def _without_nul(file: TextIO, path: Path) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        if "\0" in line:
            raise DataError(f"{path}, line {number}: a NUL character", hint="The file is binary, damaged or UTF-16")
        yield line


def _check_columns(header: list[str], where: str, required: tuple[str, ...]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{where}: column {twice[0]!r} stands twice in the header", hint="Rename one of them")
    for name in required:
        if name not in header:
            shown = ", ".join(column if len(column) <= 40 else column[:40] + "..." for column in header)
            raise DataError(
                f"{where} has no column {name!r}; its columns are: {shown}", hint=_column_hint(header, name, required)
            )


def _column_hint(header: list[str], name: str, required: tuple[str, ...]) -> str:
    """Say what is probably wrong with a table that has not the column that is looked for."""
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        return "The columns seem to be separated by something else: CSV takes commas, a file ending in .tsv tabs"
    option = "--text-column" if name == required[0] else "--label-column"
    alike = [column for column in header if column.lower() == name.lower()]
    return f"Did you mean {option} {alike[0]}?" if alike else f"Name yours with {option}"


def _jsonl(file: TextIO, path: Path, required: tuple[str, ...]) -> Iterator[Row]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not valid JSON ({error})", hint="One JSON object a line") from None
        if not isinstance(cells, dict):
            raise DataError(
                f"{path}, line {number}: expected a JSON object, got {type(cells).__name__}",
                hint='One object a line, such as {"text": "...", "label": "..."}',
            )
        _check_columns(list(cells), f"{path}, line {number}", required)
        yield Row(where=f"line {number}", cells=cells)


def _bad_bytes(path: Path, encoding: str, error: UnicodeError) -> DataError:
    """Find the line and the byte offset of what the encoding cannot read."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as at:
                place = f"line {number}, byte {offset + at.start}"
                found = f"0x{line[at.start]:02x} is not {encoding}"
                return DataError(f"{path}, {place}: {found}", hint="Name its encoding, such as --encoding latin-1")
            except UnicodeError:
                break
            offset += len(line)
    return DataError(f"{path} is not {encoding} ({error})", hint="Name its encoding with --encoding")


def _part(path: Path, part: str) -> Path:
    """Return the part of a folder, or the folder itself where it has no parts."""
    parts = parts_of(path)
    if part in parts:
        return path / part
    if "train" in parts:
        raise DataError(
            f"{path} has {', '.join(f'{name}/' for name in parts)} and no {part}/", hint="Name the folder to take"
        )
    return path


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
    """Read one file as one text."""
    try:
        with _open(path, encoding) as file:
            text = file.read()
    except UnicodeError as error:
        raise _bad_bytes(path, encoding, error) from error
    if "\0" in text:
        raise DataError(f"{path}: a NUL character", hint="The file is binary, damaged or UTF-16")
    return text
