"""The training texts read once, as numbers of words, four bytes each; and their n-grams, counted from those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from dlcli.core.backend import tf
from dlcli.core.memory import available_memory
from dlcli.core.parallel import chunks, parallel
from dlcli.errors import NumbersError
from dlcli.text.cleaning import Cleaner, distinct_words, keys_of, strings_of
from dlcli.text.ngrams import ngram_keys_of_order
from dlcli.text.vocabulary import KeyCounter
from dlcli.text.words import DROPPED, WordTable

# Texts that are split together: large enough to keep a core busy, small enough to bound the memory.
CHUNK = 1024
# Words whose n-grams are counted together: some 50 MB of keys for each length.
_COUNTED = 2_000_000
# What a distinct n-gram takes while it is counted and made into a vocabulary, in bytes; measured on pairs of words.
_BYTES_PER_NGRAM = 150


class TextsAsWords(NamedTuple):
    """Texts as numbers of words.

    Attributes:
        numbers: int32, the words of all texts, one after the other, as places in `words`.
        lengths: int64, the number of words of each text.
        words: the distinct words, in the order in which they were met.
        keys: int64, their keys.
    """

    numbers: np.ndarray[Any, Any]
    lengths: np.ndarray[Any, Any]
    words: list[str]
    keys: np.ndarray[Any, Any]

    def replaced(self, table: WordTable) -> TextsAsWords:
        """Return the texts without the words that are dropped, and with stems in the place of words."""
        if not table:
            return self
        stands = [table.replacements.get(word, word) for word in self.words]
        keys = keys_of(tf.constant(stands, tf.string)).numpy()
        if DROPPED not in stands:
            return self._replace(words=stands, keys=keys)
        kept = np.array([stem != DROPPED for stem in stands])[self.numbers]
        before = np.concatenate([[0], np.cumsum(kept)])
        ends = np.cumsum(self.lengths)
        lengths = before[ends] - before[ends - self.lengths]
        return TextsAsWords(self.numbers[kept], lengths, stands, keys)

    def blocks(self, words: int) -> Iterator[TextsAsWords]:
        """Cut the texts into parts of about so many words."""
        ends = np.cumsum(self.lengths)
        start = first = 0
        while start < len(self.lengths):
            stop = max(start + 1, int(np.searchsorted(ends, first + words, side="right")))
            last = int(ends[stop - 1])
            yield self._replace(numbers=self.numbers[first:last], lengths=self.lengths[start:stop])
            start, first = stop, last


class _Chunk(NamedTuple):
    """Some texts: their distinct words with keys, each word as a place among those, and the texts' lengths."""

    words: tf.Tensor
    keys: np.ndarray[Any, Any]
    places: np.ndarray[Any, Any]
    lengths: np.ndarray[Any, Any]


def read_words(texts: Iterable[str], cleaner: Cleaner) -> TextsAsWords:
    """Split texts into words, in parallel, each text once.

    Args:
        texts: any number; they may come one after the other and are not kept.
        cleaner: how they are normalised and split.
    """

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
    def split(chunk: tf.Tensor) -> tuple[tf.Tensor, ...]:
        tokens = cleaner.tokens(chunk)
        return *distinct_words(tokens.values), tokens.row_lengths()

    def read(chunk: Sequence[str]) -> _Chunk:
        words, *numbers = split(tf.constant(chunk))
        return _Chunk(words, *(part.numpy() for part in numbers))

    index = _Index()
    numbers, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    for chunk in parallel(read, chunks(texts, CHUNK)):
        numbers.append(index.numbers(chunk.keys, chunk.words)[chunk.places])
        lengths.append(chunk.lengths)
    return TextsAsWords(np.concatenate(numbers), np.concatenate(lengths), index.words, index.keys)


def count_ngrams(texts: TextsAsWords, orders: tuple[int, int]) -> list[KeyCounter]:
    """Count the n-grams of texts.

    Args:
        texts: as numbers of words.
        orders: the shortest and the longest n-gram.

    Returns:
        a counter for each length, the shortest first.

    Raises:
        NumbersError: there are more distinct n-grams than fit into the memory.
    """
    counters = [KeyCounter() for _ in range(orders[0], orders[1] + 1)]
    if orders[0] == 1:
        # Words have numbers already: nothing is to be sorted.
        counters[0].add(texts.keys, np.bincount(texts.numbers, minlength=len(texts.keys)))
    sizes = range(max(2, orders[0]), orders[1] + 1)
    for block in texts.blocks(_COUNTED) if sizes else ():
        rows = np.repeat(np.arange(len(block.lengths)), block.lengths)
        keys = block.keys[block.numbers]

        def count(size: int, keys: Any = keys, rows: Any = rows) -> None:
            counters[size - orders[0]].add(ngram_keys_of_order(keys, rows, size)[1])

        for _ in parallel(count, sizes):
            pass
        _require_memory(sum(len(counter.keys) for counter in counters))
    return counters


def _require_memory(ngrams: int) -> None:
    available = available_memory()
    if available is not None and ngrams * _BYTES_PER_NGRAM > available:
        raise NumbersError(
            f"the vocabulary does not fit into the memory: {ngrams:,} distinct n-grams so far would take about "
            f"{ngrams * _BYTES_PER_NGRAM / 1e9:.1f} GB, and {available / 1e9:.1f} GB are free",
            hint="Fewer lengths with --ngrams make fewer, --stop-words and --stem too; or take fewer texts",
        )


class _Index:
    """The distinct words so far: a sorted array of keys beside the numbers of their words."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._sorted: np.ndarray[Any, Any] = np.empty(0, np.int64)
        self._numbers: np.ndarray[Any, Any] = np.empty(0, np.int32)

    @property
    def keys(self) -> np.ndarray[Any, Any]:
        """The key of each word, by its number."""
        found = np.empty_like(self._sorted)
        found[self._numbers] = self._sorted
        return found

    def numbers(self, keys: np.ndarray[Any, Any], words: tf.Tensor) -> np.ndarray[Any, Any]:
        """Return the numbers of distinct words, int32, giving the new ones numbers of their own."""
        places = np.searchsorted(self._sorted, keys)
        known = places < len(self._sorted)
        known[known] = self._sorted[places[known]] == keys[known]
        found: np.ndarray[Any, Any] = np.empty(len(keys), np.int32)
        found[known] = self._numbers[places[known]]
        new = np.flatnonzero(~known)
        found[new] = np.arange(len(self.words), len(self.words) + len(new))
        self.words += strings_of(tf.gather(words, new))
        order = new[np.argsort(keys[new])]
        at = np.searchsorted(self._sorted, keys[order])
        self._sorted = np.insert(self._sorted, at, keys[order])
        self._numbers = np.insert(self._numbers, at, found[order])
        return found
