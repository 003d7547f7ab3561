"""CSV, TSV and JSONL: one parser, that goes on behind a bad row. Strict readers raise the first problem it yields."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from dlcli.core.lines import BadRow, Lines, bad_bytes, open_text
from dlcli.errors import DataError, UsageError

TABLES = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_OTHER_KINDS = {
    b"\x1f\x8b": ("compressed with gzip", "Unpack it first"),
    b"\xfd7zXZ": ("compressed with xz", "Unpack it first"),
    b"PK\x03\x04": ("a zip archive or an Excel file", "Unpack it, or save it as CSV"),
    b"\xff\xfe": ("UTF-16", "Add --encoding utf-16"),
    b"\xfe\xff": ("UTF-16", "Add --encoding utf-16"),
    b"\x89PNG": ("a picture", "Name a table"),
    b"\xff\xd8\xff": ("a picture", "Name a table"),
    b"%PDF": ("a PDF", "Name a table"),
}
# Columns that a message names.
_MOST_SHOWN = 20
NONE: Mapping[str, str] = MappingProxyType({})
"""No column that must exist."""
csv.field_size_limit(sys.maxsize if sys.maxsize < 2**31 else 2**31 - 1)


class Row(NamedTuple):
    """One row of a table: the line at which it starts, from 1, and its cells by column."""

    line: int
    cells: dict[str, Any]

    @property
    def where(self) -> str:
        """How messages name it."""
        return f"line {self.line}"


def scan_rows(path: Path, *, encoding: str, required: Mapping[str, str] = NONE) -> Iterator[Row | BadRow]:
    """Read a table row by row, in bounded memory, and go on behind bad rows.

    Args:
        path: a CSV, TSV or JSONL file with one of the endings in `TABLES`.
        encoding: of the file.
        required: columns that must exist, with the option that names each.

    Yields:
        the rows, with all their columns; and, each in its place, what is wrong with the others.

    Raises:
        UsageError: the path or its type is not there, or the encoding is unknown.
        DataError: the file as a whole cannot be read: another kind of file, an empty one, a column that it lacks.
    """
    kind = TABLES.get(path.suffix.lower())
    if kind is None:
        raise UsageError(
            f"{path}: expected a file ending in {', '.join(TABLES)} or a folder, got {path.suffix or 'no ending'!r}",
            hint="Rename the file to its type",
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", hint="Expected a header and at least two rows")
    _require_text(path, encoding)
    with open_text(path, encoding, tolerant=True) as file:
        lines = Lines(file, path, encoding)
        try:
            if kind == "jsonl":
                yield from _scan_jsonl(lines, path, required)
            else:
                yield from _scan_table(lines, path, "\t" if kind == "tsv" else ",", required)
        except UnicodeError as error:
            raise bad_bytes(path, encoding, error) from error


def _require_text(path: Path, encoding: str) -> None:
    """Refuse files of other kinds by their first bytes, whatever their names say."""
    with path.open("rb") as file:
        start = file.read(8)
    for magic, (kind, remedy) in _OTHER_KINDS.items():
        if start.startswith(magic) and not encoding.lower().startswith("utf-16"):
            raise DataError(f"{path} is {kind}, expected plain text", hint=remedy)


def _scan_table(lines: Lines, path: Path, delimiter: str, required: Mapping[str, str]) -> Iterator[Row | BadRow]:
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    header = _header(reader, lines, path, required)
    while True:
        lines.begin()
        start = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # What is wrong with a later line is said when that line, taken back, comes again.
            bad = lines.bad
            yield bad if bad is not None and bad.line == start else _bad_quote(path, start, error, lines)
            if lost := lines.take_back():
                yield _not_read(path, lines.number - lost + 1, lines.number)
            continue
        if lines.bad is not None:
            yield lines.bad
        elif len(cells) == len(header):
            yield Row(start, dict(zip(header, cells, strict=True)))
        elif cells:
            yield BadRow(
                f"expected {len(header)} columns ({_shown(header)}), got {len(cells)}",
                source=path,
                where=f"line {start}",
                line=start,
                kind="bad-columns",
                hint="Quote texts that hold the separator",
                excerpt=lines.record[0],
            )


def _header(reader: Iterator[list[str]], lines: Lines, path: Path, required: Mapping[str, str]) -> list[str]:
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise _bad_quote(path, 1, error, lines) from error
    if lines.bad is not None:
        raise lines.bad
    _check_columns(header, path, required)
    return header


def _bad_quote(path: Path, line: int, error: csv.Error, lines: Lines) -> BadRow:
    unclosed = "unexpected end" in str(error)
    return BadRow(
        "a quote that opens here is never closed" if unclosed else str(error),
        source=path,
        where=f"line {line}",
        line=line,
        kind="bad-quotes",
        hint='Inside a quoted text, a quote is written twice ("")',
        excerpt=lines.record[0],
    )


def _not_read(path: Path, first: int, last: int) -> BadRow:
    return BadRow(
        f"up to line {last} nothing is read: too many quotes before it do not match",
        source=path,
        where=f"line {first}",
        line=first,
        kind="bad-quotes",
        hint="Mend the first ones",
        last=True,
    )


def _scan_jsonl(lines: Lines, path: Path, required: Mapping[str, str]) -> Iterator[Row | BadRow]:
    for line in lines:
        try:
            if lines.bad is not None:
                yield lines.bad
            elif line.strip():
                yield Row(lines.number, _json_object(line, path, lines.number, required))
        except BadRow as bad:
            yield bad
        lines.begin()


def _json_object(line: str, path: Path, number: int, required: Mapping[str, str]) -> dict[str, Any]:
    def bad(what: str, *, kind: str, hint: str) -> BadRow:
        return BadRow(what, source=path, where=f"line {number}", line=number, kind=kind, hint=hint, excerpt=line)

    outermost: list[tuple[str, Any]] = []

    def noted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        outermost[:] = pairs
        return dict(pairs)

    try:
        cells = json.loads(line, object_pairs_hook=noted)
    except (ValueError, RecursionError) as error:
        raise bad(f"not valid JSON ({error})", kind="bad-json", hint="One JSON object a line") from None
    if not isinstance(cells, dict):
        raise bad(
            f"expected a JSON object, got {type(cells).__name__}",
            kind="bad-json",
            hint='One object a line, such as {"text": "...", "label": "..."}',
        )
    if len(cells) < len(outermost):
        twice = _repeated(name for name, _ in outermost)
        raise bad(f"column {twice[0]!r} stands there twice", kind="bad-columns", hint="Rename one of them")
    if missing := [name for name in required if name not in cells]:
        columns = list(cells)
        raise bad(
            f"there is no column {missing[0]!r}; its columns are: {_shown(columns)}",
            kind="bad-columns",
            hint=_column_hint(columns, missing[0], required),
        )
    return cells


def _check_columns(header: list[str], path: Path, required: Mapping[str, str]) -> None:
    if twice := _repeated(header):
        raise DataError(f"{path}: column {twice[0]!r} stands twice in the header", hint="Rename one of them")
    for name in required:
        if name not in header:
            raise DataError(
                f"{path} has no column {name!r}; its columns are: {_shown(header)}",
                hint=_column_hint(header, name, required),
            )


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _shown(header: list[str]) -> str:
    more = f" and {len(header) - _MOST_SHOWN:,} more" if len(header) > _MOST_SHOWN else ""
    return ", ".join(name if len(name) <= 40 else name[:40] + "..." for name in header[:_MOST_SHOWN]) + more


def _column_hint(header: list[str], name: str, required: Mapping[str, str]) -> str:
    """Say what is probably wrong with a table that has not the column that is looked for."""
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        return "The columns seem to be separated by something else: CSV takes commas, a file ending in .tsv tabs"
    option = required[name]
    alike = [column for column in header if column.lower() == name.lower()]
    return f"Did you mean {option} {alike[0]}?" if alike else f"Name yours with {option}"
