"""The lines of a file of texts: opened in its encoding, numbered, and what is wrong with one said without stopping."""

from __future__ import annotations

import codecs
import io
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar

from dlcli.errors import DataError, UsageError, shown

SKIPPED = "skipped.jsonl"
"""Where what was left out is named, a line each."""
NUL_HINT = "The file is binary, damaged or UTF-16"
# Characters of a bad row that are kept: of a megabyte, ten in a report are enough to fill a memory.
_EXCERPT = 500
# Bad rows that one line names; all are counted.
_MOST_NAMED = 10
# A byte that the encoding cannot read, as the error handler "surrogateescape" (PEP 383) leaves it in a text.
_ESCAPED = re.compile("[\udc80-\udcff]")
# A quoted text over several lines that is longer than this, in characters, was never closed: it is three Bibles.
_LONGEST = 2**24
# A file whose every quote is wrong is not read more often than this on the way.
_AGAIN = 10


class BadRow(DataError):
    """A row, or a file of a folder, that cannot be used; what comes behind it can.

    Args:
        what: is wrong.
        source: the file.
        where: in it: a line, and perhaps a byte; empty for all of it.
        line: the number of that line, from 1.
        kind: of trouble, by which a report counts.
        hint: what to do next.
        excerpt: of the row.
        last: whether nothing is read behind it, so that it cannot be skipped.
    """

    def __init__(
        self,
        what: str,
        *,
        source: Path,
        where: str = "",
        line: int | None = None,
        kind: str,
        hint: str,
        excerpt: str = "",
        last: bool = False,
    ) -> None:
        if not str(source).isprintable():  # The name of a file may be no UTF-8.
            source = Path(shown(str(source)))
        super().__init__(f"{source}, {where}: {what}" if where else f"{source}: {what}", hint=hint)
        self.what = what
        self.source = source
        self.where = where
        self.line = line
        self.kind = kind
        self.excerpt = excerpt[:_EXCERPT]
        self.last = last

    def record(self) -> dict[str, Any]:
        """Return what `skipped.jsonl` says of it."""
        line = {} if self.line is None else {"line": self.line}
        file = getattr(self, "item", str(self.source))
        return {"file": file, **line, "where": self.where, "kind": self.kind, "problem": self.what}


Item = TypeVar("Item")


def strict(items: Iterable[Item | BadRow], skip: Callable[[BadRow], object] | None = None) -> Iterator[Item]:
    """Yield what a tolerant reader yields, without bad rows.

    Args:
        items: rows, and what is wrong with others.
        skip: told of each bad row; without it the first one is raised.
    """
    for item in items:
        if not isinstance(item, BadRow):
            yield item
        elif skip is None or item.last:
            raise item
        else:
            skip(item)


class Skipped:
    """Bad rows that are left out: all are counted, the first ones kept.

    Args:
        keep: called with the record of each, such as `list.append`.
    """

    def __init__(self, keep: Callable[[dict[str, Any]], object] | None = None) -> None:
        self.count = 0
        self.first: list[BadRow] = []
        self._keep = keep

    def __call__(self, bad: BadRow) -> None:
        """Take in one more."""
        self.count += 1
        if len(self.first) < _MOST_NAMED:
            self.first.append(bad)
        if self._keep is not None:
            self._keep(bad.record())

    def __str__(self) -> str:
        return named(self.first, self.count)


def named(bad: Sequence[BadRow], count: int) -> str:
    """Return what is wrong with rows: the first ones by name, the others of all `count` of them counted."""
    more = f"; and {count - _MOST_NAMED:,} more" if count > _MOST_NAMED else ""
    return "; ".join(one.message for one in bad[:_MOST_NAMED]) + more


def open_text(path: Path, encoding: str, *, tolerant: bool = False) -> TextIO:
    """Open a file of texts; a byte-order mark is no part of it.

    Args:
        path: of the file.
        encoding: of the file.
        tolerant: leave bytes that the encoding cannot read as lone surrogates. Only encodings that extend ASCII can.

    Raises:
        UsageError: the encoding is unknown.
    """
    file = path.open("rb")
    if _is_utf8(encoding) and file.peek(3).startswith(codecs.BOM_UTF8):
        file.read(3)  # Python's utf-8-sig would take one or two bytes of a mark for a whole one.
    try:
        errors = "surrogateescape" if tolerant and _extends_ascii(encoding) else "strict"
        return io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="")
    except (LookupError, UnicodeError):  # The latter: Python's codec "undefined".
        file.close()
        raise UsageError(f"--encoding: {encoding!r} is not known", hint="Try utf-8, latin-1 or cp1252") from None


def bad_bytes(path: Path, encoding: str, error: UnicodeError) -> BadRow:
    """Find the line and the byte offset of what the encoding cannot read."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as at:
                return _bad_byte(path, encoding, line=number, offset=offset + at.start, value=line[at.start])
            except UnicodeError:
                break
            offset += len(line)
    what = f"the content is not {encoding} ({error})"
    return BadRow(what, source=path, kind="bad-bytes", hint="Name its encoding with --encoding")


def _bad_byte(path: Path, encoding: str, *, line: int, offset: int, value: int, excerpt: str = "") -> BadRow:
    return BadRow(
        f"0x{value:02x} is not {encoding}",
        source=path,
        where=f"line {line}, byte {offset}",
        line=line,
        kind="bad-bytes",
        hint="Name its encoding, such as --encoding latin-1",
        excerpt=excerpt,
    )


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("_", "-") in ("utf-8", "utf8")


def _extends_ascii(encoding: str) -> bool:
    return "az,".encode(encoding) == b"az,"


class Lines:
    """The lines of a file with their numbers; those of a record that went wrong can be given out again.

    Args:
        file: opened by `open_text`.
        path: its name.
        encoding: its encoding.
    """

    def __init__(self, file: TextIO, path: Path, encoding: str) -> None:
        self.number = 0
        """Of the line that was given out last, from 1."""
        self.record: list[str] = []
        """The lines of the record that is being read."""
        self.bad: BadRow | None = None
        """What is wrong with the first bad line of the record."""
        self._file = file
        self._path = path
        self._encoding = encoding
        self._waiting: deque[str] = deque()
        self._size = 0
        self._again = 0
        with path.open("rb") as raw:
            self._offset = 3 if _is_utf8(encoding) and raw.read(3) == b"\xef\xbb\xbf" else 0

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        """Return the next line, or end what is too long for one record: the CSV reader then says that it is open."""
        if self._size > _LONGEST:
            raise StopIteration
        line = self._waiting.popleft() if self._waiting else next(self._file)
        self.number += 1
        self.record.append(line)
        self._size += len(line)
        if self.bad is None:
            self.bad = self._problem(line)
        self._offset += self._bytes(line)
        return line

    def begin(self) -> None:
        """Start a record at the next line."""
        self.record.clear()
        self._size = 0
        self.bad = None

    def take_back(self) -> int:
        """Give out the lines of the record again, all but its first: rows that an open quote has swallowed.

        Returns:
            the number of lines that will not come again, as too many have already.
        """
        lines = self.record[1:]
        self._again += len(lines)
        if self._again > _AGAIN * (self.number + 1000):
            return len(lines)
        self._waiting.extendleft(reversed(lines))
        self.number -= len(lines)
        self._offset -= sum(map(self._bytes, lines))
        return 0

    def _problem(self, line: str) -> BadRow | None:
        if "\0" in line:
            return BadRow(
                "a NUL character",
                source=self._path,
                where=f"line {self.number}",
                line=self.number,
                kind="nul-character",
                hint=NUL_HINT,
                excerpt=line,
            )
        if not line.isascii() and (found := _ESCAPED.search(line)):
            at = self._offset + self._bytes(line[: found.start()])
            value = ord(found[0]) - 0xDC00
            return _bad_byte(self._path, self._encoding, line=self.number, offset=at, value=value, excerpt=line)
        return None

    def _bytes(self, text: str) -> int:
        return len(text) if text.isascii() else len(text.encode(self._encoding, "surrogateescape"))
