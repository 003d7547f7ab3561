"""The n-grams that have an id: counted, cut, saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.files import write_text

_HEADER = "term\tcount\ttexts\n"


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
    terms: Sequence[str] | np.ndarray[Any, Any]

    def __len__(self) -> int:
        return len(self.keys)

    def save(self, path: Path) -> None:
        """Write a table: a header, and a line an n-gram with its tokens, its count and the count of its texts."""
        rows = zip(self.terms, self.counts.tolist(), self.texts.tolist(), strict=True)
        write_text(path, _HEADER + "".join(f"{term}\t{count}\t{texts}\n" for term, count, texts in rows))

    @staticmethod
    def read(path: Path) -> tuple[list[str], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Read terms, counts and counts of texts.

        Raises:
            ValueError: a line is not of the form that `save` writes.
        """
        content = path.read_text(encoding="utf-8")
        if not content.startswith(_HEADER):
            raise ValueError(f"expected the header {_HEADER.strip()!r}")
        terms, numbers = [], []
        # Only "\n" ends a line here: a token may hold other characters that `splitlines` would split at.
        for line in content.removeprefix(_HEADER).removesuffix("\n").split("\n"):
            term, count, texts = line.rsplit("\t", 2)
            terms.append(term)
            numbers.append((int(count), int(texts)))
        counts: np.ndarray[Any, Any] = np.array(numbers, dtype=np.int64)
        return terms, counts[:, 0], counts[:, 1]


class KeyCounter:
    """Distinct keys and how often each came, in memory that grows with the distinct ones alone."""

    def __init__(self) -> None:
        self.keys: np.ndarray[Any, Any] = np.empty(0, np.int64)
        self.counts: np.ndarray[Any, Any] = np.empty(0, np.int64)

    @property
    def total(self) -> int:
        """How many keys came, repeats included."""
        return int(self.counts.sum())

    def add(self, keys: np.ndarray[Any, Any]) -> None:
        """Count more keys: int64, repeats included; 0 is no key."""
        # A sort beats a hash table here: NumPy sorts int64 with vector instructions.
        distinct, occurrences = np.unique(keys, return_counts=True)
        known = distinct != 0
        distinct, occurrences = distinct[known], occurrences[known]
        if not len(self.keys):
            self.keys, self.counts = distinct, occurrences
            return
        merged = np.concatenate([self.keys, distinct])
        order = np.argsort(merged, kind="stable")
        merged, counts = merged[order], np.concatenate([self.counts, occurrences])[order]
        first = np.flatnonzero(np.concatenate([[True], merged[1:] != merged[:-1]]))
        self.keys, self.counts = merged[first], np.add.reduceat(counts, first)


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
    keys, counts, sizes = [], [], []
    for size, counter in enumerate(counters):
        kept = counter.counts >= min_count
        keys.append(counter.keys[kept])
        counts.append(counter.counts[kept])
        sizes.append(np.full(int(kept.sum()), size, np.int8))
    all_keys, all_counts = np.concatenate(keys), np.concatenate(counts)
    # Keys of a size are in ascending order already, and sizes too: a stable sort by count leaves them so.
    ranked = np.argsort(-all_counts, kind="stable")[:max_features]
    return all_keys[ranked], all_counts[ranked]
