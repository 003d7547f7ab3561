"""Texts that are cleaned and stay texts: their words with spaces between, as the pipeline sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from dlcli.core.backend import tf
from dlcli.core.parallel import chunks, parallel
from dlcli.text.cleaning import Cleaner, distinct_words, strings_of
from dlcli.text.config import CleaningConfig
from dlcli.text.counting import CHUNK
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


class _Chunk(NamedTuple):
    """Some texts as words.

    Attributes:
        items: what goes along with each text.
        words: their distinct words.
        places: the words of all texts, one after the other, as places in `words`.
        lengths: the number of words of each text.
        sizes: how many words there were, without numbers, and without short words.
    """

    items: Sequence[Any]
    words: list[str]
    places: np.ndarray[Any, Any]
    lengths: np.ndarray[Any, Any]
    sizes: np.ndarray[Any, Any]


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
        distinct, _, places = distinct_words(kept.values)
        sizes = tf.stack([tf.size(some.values) for some in (words, without_numbers, kept)])
        return distinct, places, kept.row_lengths(), sizes

    def read(chunk: list[tuple[str, _Item]]) -> _Chunk:
        words, *numbers = split(tf.constant([text for text, _ in chunk]))
        return _Chunk([item for _, item in chunk], strings_of(words), *(part.numpy() for part in numbers))

    for chunk in parallel(read, chunks(items, CHUNK)):
        yield from zip(_put_together(chunk, replacer, tally), chunk.items, strict=True)
    tally.distinct_words, tally.stemmed_words = replacer.known, replacer.stemmed


def _put_together(chunk: _Chunk, replacer: Replacer, tally: Tally) -> Iterator[str]:
    """Yield the texts without stop words and with stems in the place of words, and count."""
    split, without_numbers, without_short = chunk.sizes.tolist()
    stands: np.ndarray[Any, Any] = np.array([replacer(word) for word in chunk.words], dtype=object)
    kept = (stands != DROPPED)[chunk.places]
    left = np.concatenate([[0], np.cumsum(kept)])
    tally.words_in += split
    tally.numbers += split - without_numbers
    tally.short_words += without_numbers - without_short
    tally.stop_words += without_short - int(left[-1])
    tally.words_out += int(left[-1])
    # Python joins words that it has as objects five times as fast as TensorFlow joins its strings.
    words, start = stands[chunk.places[kept]].tolist(), 0
    for end in left[np.cumsum(chunk.lengths)].tolist():
        yield " ".join(words[start:end])
        start = end
