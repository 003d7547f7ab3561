"""Pretrained word vectors from text files: GloVe, word2vec (text), fastText (.vec), each also packed with gzip.

A line is a word and its numbers, with spaces between. word2vec and fastText begin with a line that says how many words
follow and how many numbers each has. A word is found only as it is spelled: `Film` is another word than `film`.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlcli.core.folders import require_exists
from dlcli.core.progress import Progress
from dlcli.errors import DataError, UsageError

if TYPE_CHECKING:
    _File = io.BufferedReader[Any]

_GZIP = b"\x1f\x8b"
_OTHER_KINDS = {
    b"PK\x03\x04": ("a zip archive", "Unpack it, and name one of its files"),
    b"\xfd7zXZ": ("compressed with xz", "Unpack it first"),
    b"BZh": ("compressed with bzip2", "Unpack it first"),
    b"\xba\x16\x4f\x2f": ("a fastText model", "Name the .vec file that belongs to it"),
    b"\xff\xfe": ("UTF-16", "Save it as UTF-8"),
    b"\xfe\xff": ("UTF-16", "Save it as UTF-8"),
}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_HEADER = re.compile(rb"([0-9]{1,12}) ([0-9]{1,12})")
_LARGEST = float(np.finfo(np.float32).max)
# Read at once: many lines, and of a binary file enough to hold a zero.
_BUFFER = 2**18
_DAMAGED = "The file is damaged or cut off: download it again"


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """What a file of word vectors has for the words of a vocabulary.

    Attributes:
        dim: the length of a vector.
        rows: float32 (words, dim), the vector of each word; zeros where the file has none.
        found: bool (words,), which words have one.
        lines: how many words the file has.
    """

    dim: int
    rows: np.ndarray[Any, Any]
    found: np.ndarray[Any, Any]
    lines: int

    @property
    def coverage(self) -> float:
        """The share of the words that have a vector, from 0 to 1."""
        return float(self.found.mean()) if len(self.found) else 0.0

    def describe(self, counts: np.ndarray[Any, Any] | None = None) -> str:
        """Return how many words have a vector, as one line.

        Args:
            counts: int (words,), how often each word occurs; given, the share of the running words is told too.
        """
        line = f"{int(self.found.sum()):,} of {len(self.found):,} words have a vector ({100 * self.coverage:.1f} %)"
        if counts is None or not counts.sum():
            return line
        return f"{line}, {100 * float(counts[self.found].sum() / counts.sum()):.1f} % of the running words"


def read_vectors(path: Path, words: Sequence[str], progress: Progress) -> Vectors:
    """Read the vectors of some words from a file, which streams past: the others are not kept.

    Args:
        path: a text file, or one packed with gzip (told by its content, not by its ending).
        words: the vocabulary, each word once. Words are compared as bytes, so what is not UTF-8 in the file is a word
            that nobody asks for. Where the file has a word twice, the first line counts.
        progress: told of the stage, and warned of a file with more words than it says.

    Returns:
        the vectors in the order of the words. How many numbers a line has is checked in every line; what they are,
        in the first line and in those that are kept.

    Raises:
        UsageError: there is no file at the path.
        DataError: it is of another kind, has no lines, or fewer than it says; a line has too many or too few numbers,
            or something else than finite numbers; none of the words is in it.
    """
    require_exists(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder, expected a file of word vectors", hint="Name one of its files")
    progress.begin(f"reading {path}")
    reading = _Reading(path, words)
    with _opened(path) as file:
        reading.take(file)
    reading.require_complete(progress)
    reading.require_used()
    return Vectors(dim=reading.dim, rows=reading.rows, found=reading.found, lines=reading.lines)


class _Reading:
    """What is known of a file while its lines stream past.

    Args:
        path: the file.
        words: the vocabulary.
    """

    def __init__(self, path: Path, words: Sequence[str]) -> None:
        self.path = path
        self.words = words
        self.dim = 0
        self.lines = 0
        self.rows = np.zeros((len(words), 0), np.float32)
        self.found = np.zeros(len(words), bool)
        self.promised: int | None = None
        """How many words line 1 speaks of, if it does."""
        self.first = b""
        """The first word of the file."""

    def take(self, file: _File) -> None:
        """Read all lines."""
        # Half a character ("surrogatepass") is in no file, but no reason to fail.
        places = {word.encode("utf-8", "surrogatepass"): place for place, word in enumerate(self.words)}
        for number, content in enumerate(file, start=1):
            line = content.rstrip()  # word2vec and fastText leave a space at the end.
            if number == 1:
                line = line.removeprefix(_BYTE_ORDER_MARK)
                if header := _HEADER.fullmatch(line):
                    self.promised, self.dim = int(header[1]), int(header[2])
                    continue
            if not line:
                continue
            if not self.lines:
                self._begin(line, number)
            self.lines += 1
            word = line[: line.find(b" ")] if line.count(b" ") == self.dim else self._word(line, number)
            place = places.pop(word, None)
            if place is not None:
                self.rows[place] = self._numbers(line, number)
                self.found[place] = True

    def _begin(self, line: bytes, number: int) -> None:
        """Learn from the first word how long a vector is, and make sure that these are vectors."""
        self.dim = self.dim or line.count(b" ")
        if not self.dim:
            raise DataError(
                f"{self.path}, line {number}: expected a word and its numbers with spaces between, got {_shown(line)}",
                hint="Name a file of GloVe, word2vec (text) or fastText (.vec)",
            )
        self.first = self._word(line, number)
        self._numbers(line, number)
        self.rows = np.zeros((len(self.words), self.dim), np.float32)

    def _word(self, line: bytes, number: int) -> bytes:
        """Return the word of a line, which may hold spaces, as GloVe's `. . .` does.

        Raises:
            DataError: there are too few numbers, or too many: what stands in front of the last ones are numbers too.
        """
        word, *numbers = line.rsplit(b" ", self.dim)
        extra = word.split(b" ")[1:]
        if len(numbers) < self.dim or (extra and all(map(_is_number, extra))):
            source = "the first line has" if self.promised is None else "line 1 says"
            raise DataError(
                f"{self.path}, line {number}: expected a word and {self.dim} numbers, as {source}, "
                f"got {len(numbers) + len(extra)}",
                hint=_DAMAGED,
            )
        return word.rstrip()

    def _numbers(self, line: bytes, number: int) -> list[float]:
        fields = line.rsplit(b" ", self.dim)[1:]
        try:
            numbers = [float(field) for field in fields]
        except ValueError:
            numbers = []
        if not numbers or not all(-_LARGEST <= value <= _LARGEST for value in numbers):
            bad = next(field for field in fields if not _is_number(field))
            raise DataError(
                f"{self.path}, line {number}: expected a word and {self.dim} finite numbers, got {_shown(bad)}",
                hint=_DAMAGED,
            )
        return numbers

    def require_complete(self, progress: Progress) -> None:
        """Hold the number of lines against what line 1 says."""
        if not self.lines:
            raise DataError(f"{self.path} has no vectors", hint="Expected lines of a word and its numbers")
        if self.promised is None or self.promised == self.lines:
            return
        found = f"line 1 says {self.promised:,} words, and {self.lines:,} follow"
        if self.lines < self.promised:
            raise DataError(f"{self.path} is cut off: {found}", hint="Download it again")
        progress.warn(f"{self.path}: {found}; all are read")

    def require_used(self) -> None:
        """Raise a `DataError` when none of the words was found."""
        if len(self.words) and not self.found.any():
            raise DataError(
                f"{self.path} has none of the {len(self.words):,} words, such as {self.words[0]!r}; its first word is "
                f"{_shown(self.first)}",
                hint="Is it of another language, or are its words cased or stemmed in another way?",
            )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_File]:
    """Open a file to read its lines as bytes, unpacked if need be; refuse what is no text."""
    with contextlib.ExitStack() as stack:
        file: _File = stack.enter_context(io.BufferedReader(io.FileIO(path), _BUFFER))
        try:
            if file.peek(2).startswith(_GZIP):
                unpacked = stack.enter_context(gzip.GzipFile(fileobj=file))
                # Its lines come faster through a reader of C than from GzipFile itself.
                file = stack.enter_context(io.BufferedReader(unpacked, _BUFFER))
            _require_text(path, file.peek(_BUFFER))
            yield file
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path} cannot be unpacked ({error})", hint=_DAMAGED) from error


def _require_text(path: Path, start: bytes) -> None:
    """Refuse files of other kinds by how they start, whatever their names say."""
    if not start:
        raise DataError(f"{path} is empty", hint="Expected lines of a word and its numbers")
    for magic, (kind, remedy) in _OTHER_KINDS.items():
        if start.startswith(magic):
            raise DataError(f"{path} is {kind}, expected word vectors as text", hint=remedy)
    if b"\0" in start:
        word2vec = _HEADER.fullmatch(start.partition(b"\n")[0])
        raise DataError(
            f"{path} is {'a binary file of word2vec' if word2vec else 'a binary file'}, expected word vectors as text",
            hint="Save it as text, as gensim's save_word2vec_format(..., binary=False) does",
        )


def _is_number(field: bytes) -> bool:
    try:
        return abs(float(field)) <= _LARGEST
    except ValueError:
        return False


def _shown(some: bytes) -> str:
    text = some.decode("utf-8", "replace")
    return repr(text if len(text) <= 40 else text[:40] + "...")
