"""The n-grams that have an id: counted, cut, saved."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from dlcli.core.files import replacing

_HEADER = "term\tcount\ttexts\n"
# N-grams that are put together as strings at a time.
_NAMED = 100_000


class Terms(Sequence[str]):
    """N-grams as their words, which become strings when they are looked at: millions of strings would take a second.

    Args:
        words: distinct words.
        numbers: int32, shape (n, longest): the words of each n-gram as places in `words`, then -1 to the row's end.
    """

    def __init__(self, words: Sequence[str], numbers: np.ndarray[Any, Any]) -> None:
        # The last place, that of -1, is for no word.
        self._first: np.ndarray[Any, Any] = np.array([*words, ""], dtype=object)
        self._next: np.ndarray[Any, Any] = np.array([*(f" {word}" for word in words), ""], dtype=object)
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return ["".join(parts) for parts in zip(*self.parts(place), strict=True)]
        first, *others = self._numbers[place]
        return str(self._first[first] + "".join(self._next[others]))

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _NAMED):
            yield from self[start : start + _NAMED]

    def parts(self, place: slice) -> list[list[str]]:
        """Return the strings that make each n-gram when they are put together: those of the first words, and so on."""
        first, *others = self._numbers[place].T
        return [self._first[first].tolist(), *(self._next[other].tolist() for other in others)]


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The known n-grams; the id of each is its place plus one.

    Attributes:
        keys: int64, the key of each n-gram (see `dlcli.text.ngrams`).
        counts: int64, how often each occurs in the training texts.
        texts: int64, in how many of them.
        terms: each n-gram's tokens, with spaces between.
    """

    keys: np.ndarray[Any, Any]
    counts: np.ndarray[Any, Any]
    texts: np.ndarray[Any, Any]
    terms: Sequence[str]

    def __len__(self) -> int:
        return len(self.keys)

    def save(self, path: Path) -> None:
        """Write a table: a header, and a line an n-gram with its tokens, its count and the count of its texts."""
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(_HEADER)
            for start in range(0, len(self), _NAMED):
                file.write(self._lines(slice(start, start + _NAMED)))

    def _lines(self, place: slice) -> str:
        """Return some lines of the table."""
        cells = []
        for numbers, form in ((self.counts[place], "\t{}"), (self.texts[place], "\t{}\n")):
            # Few different numbers stand beside many n-grams: each is written out once.
            found, which = np.unique(numbers, return_inverse=True)
            written: np.ndarray[Any, Any] = np.array([form.format(number) for number in found.tolist()], dtype=object)
            cells.append(written[which].tolist())
        parts = self.terms.parts(place) if isinstance(self.terms, Terms) else [self.terms[place]]
        return "".join(itertools.chain.from_iterable(zip(*parts, *cells, strict=True)))

    @staticmethod
    def read(path: Path) -> tuple[list[str], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Read terms, counts and counts of texts.

        Raises:
            ValueError: a line is not of the form that `save` writes.
        """
        content = path.read_bytes().decode("utf-8")
        if not content.startswith(_HEADER):
            raise ValueError(f"expected the header {_HEADER.strip()!r}")
        # Only "\n" ends a line here, and a tab a cell: a token may hold other characters that `splitlines` splits at.
        cells = content.removeprefix(_HEADER).removesuffix("\n").replace("\n", "\t").split("\t")
        if len(cells) % 3:
            raise ValueError("expected a term, a count and a count of texts in each line")
        counts, texts = (np.fromiter(map(int, cells[place::3]), np.int64, len(cells) // 3) for place in (1, 2))
        return cells[::3], counts, texts


class KeyCounter:
    """Distinct keys and how often each came, in memory that grows with the distinct ones alone."""

    def __init__(self) -> None:
        self.keys: np.ndarray[Any, Any] = np.empty(0, np.int64)
        self.counts: np.ndarray[Any, Any] = np.empty(0, np.int64)

    @property
    def total(self) -> int:
        """How many keys came, repeats included."""
        return int(self.counts.sum())

    def add(self, keys: np.ndarray[Any, Any], counts: np.ndarray[Any, Any] | None = None) -> None:
        """Count more keys.

        Args:
            keys: int64, repeats included; 0 is no key.
            counts: int64, how often each came; without it once.
        """
        if counts is None:
            # A sort beats a hash table here: NumPy sorts int64 with vector instructions.
            keys, counts = np.unique(keys, return_counts=True)
        known = (keys != 0) & (counts > 0)
        merged = np.concatenate([self.keys, keys[known]])
        order = np.argsort(merged, kind="stable")
        merged, counts = merged[order], np.concatenate([self.counts, counts[known]])[order]
        first = np.flatnonzero(np.concatenate([np.ones(len(merged[:1]), bool), merged[1:] != merged[:-1]]))
        self.keys, self.counts = merged[first], np.add.reduceat(counts, first) if len(first) else counts


def most_frequent(
    counters: Sequence[KeyCounter], *, min_count: int, max_features: int | None = None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Keep the frequent keys.

    Args:
        counters: of the shortest n-grams, of those that are one longer, and so on.
        min_count: the fewest occurrences of a key that is kept.
        max_features: how many keys to keep, None for all.

    Returns:
        the keys and their counts, by falling count; equal counts by length of the n-gram, then by key, so that the
        order is a function of the texts alone.
    """
    frequent = [counter.counts >= min_count for counter in counters]
    keys = np.concatenate([counter.keys[kept] for counter, kept in zip(counters, frequent, strict=True)])
    counts = np.concatenate([counter.counts[kept] for counter, kept in zip(counters, frequent, strict=True)])
    # Keys of a size are in ascending order already, and sizes too: a stable sort by count leaves them so.
    ranked = np.argsort(-counts, kind="stable")[:max_features]
    return keys[ranked], counts[ranked]
