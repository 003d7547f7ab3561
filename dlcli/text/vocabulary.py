"""The n-grams that have an id: counted, cut, saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.files import write_text


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The known n-grams; the id of each is its place plus one.

    Attributes:
        keys: int64, the fingerprint of each n-gram (see `dlcli.text.pipeline`).
        counts: int64, how often each occurs in the training texts.
        terms: each n-gram's tokens, with spaces between.
    """

    keys: np.ndarray[Any, Any]
    counts: np.ndarray[Any, Any]
    terms: Sequence[str] | np.ndarray[Any, Any]

    def __len__(self) -> int:
        return len(self.keys)

    def save(self, path: Path) -> None:
        """Write one line an n-gram: its tokens, a tab, its count."""
        rows = (f"{term}\t{count}\n" for term, count in zip(self.terms, self.counts.tolist(), strict=True))
        write_text(path, "".join(rows))

    @staticmethod
    def read(path: Path) -> tuple[list[str], np.ndarray[Any, Any]]:
        """Read terms and counts.

        Raises:
            ValueError: a line is not of the form that `save` writes.
        """
        terms, counts = [], []
        # Only "\n" ends a line here: a token may hold other characters that `splitlines` would split at.
        for line in path.read_text(encoding="utf-8").removesuffix("\n").split("\n"):
            term, _, count = line.rpartition("\t")
            terms.append(term)
            counts.append(int(count))
        return terms, np.array(counts, dtype=np.int64)


def most_frequent(
    keys_by_order: Sequence[np.ndarray[Any, Any]], *, min_count: int, max_features: int | None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Count keys and keep the frequent ones.

    Args:
        keys_by_order: int64, the keys of all 1-grams, of all 2-grams, and so on, repeats included; 0 is no key.
        min_count: the fewest occurrences of a key that is kept.
        max_features: how many keys to keep, None for all.

    Returns:
        the keys and their counts, by falling count; equal counts by length of the n-gram, then by key, so that the
        order is a function of the texts alone.
    """
    keys, counts, sizes = [], [], []
    for size, order in enumerate(keys_by_order, start=1):
        # A sort beats a hash table here: NumPy sorts int64 with vector instructions.
        distinct, occurrences = np.unique(order, return_counts=True)
        kept = (occurrences >= min_count) & (distinct != 0)
        keys.append(distinct[kept])
        counts.append(occurrences[kept])
        sizes.append(np.full(int(kept.sum()), size))
    all_keys, all_counts = np.concatenate(keys), np.concatenate(counts)
    ranked = np.lexsort((all_keys, np.concatenate(sizes), -all_counts))[:max_features]
    return all_keys[ranked], all_counts[ranked]
