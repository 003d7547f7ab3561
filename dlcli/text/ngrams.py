"""N-grams as integers: a key is mixed from the keys of an n-gram's words, which are not put together as a string.

With `n` distinct n-grams the chance that any two share a key is about n^2 / 2^64: one in ten million for a vocabulary
of a million.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dlcli.core.backend import tf
from dlcli.text.encoded import Ids

# The 64-bit golden ratio, as a signed number (Knuth, The Art of Computer Programming, 6.4).
_MIX = -7046029254386353131


def ngram_keys(words: tf.RaggedTensor, orders: tuple[int, int]) -> tf.Tensor:
    """Return the keys of the n-grams that start at each word.

    Args:
        words: int64, ragged (n, None), the words' keys.
        orders: the shortest and the longest n-gram.

    Returns:
        int64, shape (words of all rows, lengths of n-grams): from the shortest to the longest; 0 where the text ends
        before the n-gram does.
    """
    shortest, longest = orders
    rows = words.value_rowids()
    keys = single = words.values
    columns = [single]
    for size in range(1, longest):
        keys = keys[:-1] * tf.constant(_MIX, tf.int64) + single[size:]
        inside = tf.where(rows[size:] == rows[:-size], keys, 0)
        columns.append(tf.concat([inside, tf.zeros(tf.size(single) - tf.size(inside), tf.int64)], axis=0))
    return tf.stack(columns[shortest - 1 :], axis=1)


def ngram_keys_of_order(
    words: np.ndarray[Any, Any], rows: np.ndarray[Any, Any], size: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the keys of all n-grams of one length, as `ngram_keys` does.

    Args:
        words: int64 (words,), the words' keys.
        rows: int (words,), the text of each.
        size: the length of the n-grams.

    Returns:
        whether one starts at each word, as far as that can be; and the keys of those that do.
    """
    mix = np.int64(_MIX)
    keys, count = words, len(words)
    for place in range(1, size):
        keys = keys[:-1] * mix + words[place:]
    inside: np.ndarray[Any, Any] = rows[size - 1 :] == rows[: max(0, count - size + 1)]
    return inside, np.asarray(keys[inside])


def table_of(keys: np.ndarray[Any, Any]) -> tf.lookup.StaticHashTable:
    """Return the table from a key to its place plus one; 0 for others."""
    entries = tf.lookup.KeyValueTensorInitializer(
        tf.constant(keys, tf.int64), tf.range(1, len(keys) + 1, dtype=tf.int64)
    )
    return tf.lookup.StaticHashTable(entries, default_value=0)


def distinct(ids: tf.Tensor, row_splits: tf.Tensor, *, counted: bool) -> Ids:
    """Keep each known id of a text once.

    Args:
        ids: int64, shape (words of all rows, n-grams of each), 0 for what is unknown.
        row_splits: where the texts begin and end among the words.
        counted: whether how often an id came is wanted.

    Returns:
        each text's ids in ascending order, without 0; with `counted` their counts.
    """
    # An empty row at the end, because the count does not take no rows at all.
    splits = tf.concat([row_splits, row_splits[-1:]], axis=0) * ids.shape[1]
    rows = tf.RaggedTensor.from_row_splits(tf.reshape(ids, [-1]), splits, validate=False)
    # A count per row in small hash tables: five times faster than tf.unique over the whole chunk.
    found = tf.sparse.bincount(rows, axis=-1, binary_output=not counted)
    known = found.indices[:, 1] > 0
    places = tf.boolean_mask(found.indices, known)
    kept = tf.RaggedTensor.from_value_rowids(
        tf.cast(places[:, 1], tf.int32), places[:, 0], nrows=rows.nrows() - 1, validate=False
    )
    counts = tf.cast(tf.boolean_mask(found.values, known), tf.float32) if counted else None
    return Ids(kept, None if counts is None else kept.with_values(counts))
