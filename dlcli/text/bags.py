"""The training texts as bags of n-grams: those n-grams that got an id, and where each was met."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dlcli.core.backend import tf
from dlcli.core.parallel import parallel
from dlcli.text.counting import TextsAsWords
from dlcli.text.encoded import EncodedTexts
from dlcli.text.ngrams import ngram_keys_of_order, table_of

# Words whose n-grams are looked up together.
_BLOCK = 250_000


class _Found(NamedTuple):
    """Some texts: the ids that start at each word, one for each length; and each text's own, ascending, with counts."""

    all: np.ndarray[Any, Any]
    ids: np.ndarray[Any, Any]
    counts: np.ndarray[Any, Any]
    lengths: np.ndarray[Any, Any]


def bags_of(
    texts: TextsAsWords, keys: np.ndarray[Any, Any], orders: tuple[int, int], *, counted: bool
) -> tuple[EncodedTexts, np.ndarray[Any, Any]]:
    """Return texts as ids of n-grams, each once, as the pipeline's graph does; and the words of each n-gram.

    Args:
        texts: as numbers of words.
        keys: of the n-grams that have an id; it is the place plus one.
        orders: the shortest and the longest n-gram.
        counted: whether how often an n-gram came is wanted.

    Returns:
        the ids; and each n-gram's words as numbers, int32, shape (n, longest), with -1 behind those of the shorter.
    """
    table = table_of(keys)

    def look_up(block: TextsAsWords) -> _Found:
        rows = np.repeat(np.arange(len(block.lengths)), block.lengths)
        words = block.keys[block.numbers]
        starting: np.ndarray[Any, Any] = np.zeros((len(words), orders[1] - orders[0] + 1), np.int64)
        for column in range(starting.shape[1]):
            inside, found = ngram_keys_of_order(words, rows, orders[0] + column)
            starting[: len(inside), column][inside] = found
        ids = table.lookup(tf.constant(starting)).numpy()
        return _Found(ids, *_distinct(rows, ids, len(block.lengths)))

    # Where each was met, as a place in the table of ids of all texts, which has a column for each length.
    met: np.ndarray[Any, Any] = np.zeros(len(keys) + 1, np.int64)
    start, parts = 0, []
    for found in parallel(look_up, texts.blocks(_BLOCK)):
        flat = found.all.ravel()
        met[flat] = np.arange(start, start + len(flat))
        start += len(flat)
        parts.append((found.ids, found.counts.astype(np.float32) if counted else found.counts[:0], found.lengths))
    ids, counts, lengths = map(np.concatenate, zip(*parts, strict=True))
    return EncodedTexts(ids, lengths, values=counts if counted else None), _words_of(met[1:], texts.numbers, orders)


def _distinct(
    rows: np.ndarray[Any, Any], ids: np.ndarray[Any, Any], texts: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return each text's known ids, int32, ascending; how often each came; and how many each text has.

    Args:
        rows: int64 (words,), the text of each word, ascending.
        ids: int64 (words, lengths of n-grams), 0 for what is unknown.
        texts: how many there are.
    """
    # A text and an id in one number: NumPy sorts those with vector instructions, faster than any table counts them.
    pairs = (rows[:, None] << 32 | ids)[ids > 0]
    pairs.sort()
    first = np.flatnonzero(np.concatenate([np.ones(len(pairs[:1]), bool), pairs[1:] != pairs[:-1]]))
    counts = np.diff(first, append=len(pairs))
    pairs = pairs[first]
    return pairs.astype(np.int32), counts, np.bincount(pairs >> 32, minlength=texts)


def _words_of(
    met: np.ndarray[Any, Any], numbers: np.ndarray[Any, Any], orders: tuple[int, int]
) -> np.ndarray[Any, Any]:
    """Return the words of n-grams.

    Args:
        met: where each was met: the place of its first word, times the number of lengths, plus which length it has.
        numbers: the words of all texts.
        orders: the shortest and the longest n-gram.
    """
    shortest, longest = orders
    starts, which = np.divmod(met, longest - shortest + 1)
    words: np.ndarray[Any, Any] = np.full((len(met), longest), -1, np.int32)
    for place in range(longest):
        reach = which + shortest > place
        words[reach, place] = numbers[starts[reach] + place]
    return words
