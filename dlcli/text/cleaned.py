"""Texts that are cleaned and stay texts: their words with spaces between, as the pipeline sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from dlcli.core.backend import tf
from dlcli.text.cleaning import Cleaner, keep, keys_of, strings_of
from dlcli.text.config import CleaningConfig
from dlcli.text.counting import chunks, parallel
from dlcli.text.pipeline import make_replacer
from dlcli.text.words import DROPPED, Replacer

_Item = TypeVar("_Item")


@dataclass(kw_only=True)
class Tally:
    """What cleaning did.

    Attributes:
        words_in: words of the normalised texts, punctuation marks that are kept included.
        words_out: those that are left.
        numbers: numbers that were dropped.
        short_words: short words that were dropped.
        stop_words: stop words that were dropped.
        distinct_words: different words, before any was dropped by a list or cut to its stem.
        stemmed_words: those of them whose stem differs; each was cut once.
    """

    words_in: int = 0
    words_out: int = 0
    numbers: int = 0
    short_words: int = 0
    stop_words: int = 0
    distinct_words: int = 0
    stemmed_words: int = 0


@dataclass
class _Chunk:
    """Some texts: their distinct words, each word as a place among those, and the texts' lengths."""

    items: Sequence[Any]
    words: tf.Tensor
    places: tf.Tensor
    lengths: tf.Tensor
    sizes: np.ndarray[Any, Any]
    """How many words there were, and without numbers, and without short words."""


def clean_texts(
    items: Iterable[tuple[str, _Item]], config: CleaningConfig, tally: Tally
) -> Iterator[tuple[str, _Item]]:
    """Clean texts, in parallel and in memory that grows with the distinct words alone.

    Args:
        items: texts, each with something that goes along.
        config: how they are cleaned.
        tally: counts what is done; complete when the last text came.

    Yields:
        each text's words with spaces between, with what went along; in the same order.

    Raises:
        UsageError: a stop list or a stemmer that does not exist.
    """
    cleaner = Cleaner(config)
    replacer = make_replacer(config, cleaner)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
    def split(texts: tf.Tensor) -> tuple[tf.Tensor, ...]:
        words = cleaner.split(texts)
        without_numbers = cleaner.without_numbers(words)
        kept = cleaner.without_short(without_numbers)
        keys, places = tf.unique(keys_of(kept.values))
        first = tf.math.unsorted_segment_min(tf.range(tf.size(places)), places, tf.size(keys))
        sizes = tf.stack([tf.size(some.values) for some in (words, without_numbers, kept)])
        return tf.gather(kept.values, first), places, kept.row_lengths(), sizes

    def read(chunk: Sequence[tuple[str, _Item]]) -> _Chunk:
        words, places, lengths, sizes = split(tf.constant([text for text, _ in chunk]))
        return _Chunk([item for _, item in chunk], words, places, lengths, sizes.numpy())

    def replaced() -> Iterator[_Chunk]:
        for chunk in parallel(read, chunks(items)):
            yield _replace(chunk, replacer, tally)

    for texts, some in parallel(_join, replaced()):
        yield from zip(texts, some, strict=True)
    tally.distinct_words, tally.stemmed_words = replacer.known, replacer.stemmed


def _replace(chunk: _Chunk, replacer: Replacer, tally: Tally) -> _Chunk:
    """Put stems in the place of words, and count."""
    split, without_numbers, kept = chunk.sizes.tolist()
    tally.words_in += split
    tally.numbers += split - without_numbers
    tally.short_words += without_numbers - kept
    tally.words_out += kept
    words = strings_of(chunk.words)
    stands = [replacer(word) for word in words]
    if DROPPED in stands:
        dropped: np.ndarray[Any, Any] = np.array([stem == DROPPED for stem in stands])
        stop_words = int(dropped[chunk.places.numpy()].sum())
        tally.stop_words += stop_words
        tally.words_out -= stop_words
    if stands != words:
        chunk.words = tf.constant(stands)
    return chunk


def _join(chunk: _Chunk) -> tuple[list[str], Sequence[Any]]:
    """Put the words of texts together."""
    values = tf.gather(chunk.words, chunk.places)
    words = tf.RaggedTensor.from_row_lengths(values, chunk.lengths, validate=False)
    words = keep(words, values != DROPPED)
    return strings_of(tf.strings.reduce_join(words, axis=-1, separator=" ")), chunk.items
