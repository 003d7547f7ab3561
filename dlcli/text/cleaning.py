"""Raw text to words, as one TensorFlow graph: training, `clean`, `tokenize`, prediction and exports all run it.

    text -> normalised text -> tokens -> stop words dropped, stems in place -> keys

A token's key is its 63-bit FarmHash fingerprint: whatever follows is arithmetic on integers.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from typing import Any

import numpy as np

from dlcli.core.backend import tf
from dlcli.text.config import CleaningConfig
from dlcli.text.normalise import HTML
from dlcli.text.words import DROPPED, WordTable

# White space that TensorFlow's split does not know; NUL, at which its lower-casing would stop.
SPACES = r"[\x{00}\x{1C}-\x{1F}\x{85}\x{A0}\x{1680}\x{2000}-\x{200B}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}]"
URL = r"(?i)\b(?:https?://|www\.)[^\s<>\"]+"
_WORD = r"\p{L}\p{M}\p{N}_"
_LOCALE_LETTERS = (("İ", "i̇"), ("Ì", "ì"), ("Í", "í"), ("Ĩ", "ĩ"))
_FINGERPRINTS = 2**63 - 1
# The key of what is dropped; a fingerprint is never negative.
_NO_KEY = -1
# What the table of letters answers for a letter that stays: no letter is a line's end without its accents.
_SAME = "\n"


class Cleaner(tf.Module):  # type: ignore[misc]
    """The graph from raw strings to words.

    Args:
        config: how text is normalised and split.
        words: which words are dropped, and which stand for others.
    """

    def __init__(self, config: CleaningConfig, words: WordTable | None = None) -> None:
        super().__init__()
        self.config = config
        self.words = words or WordTable()
        self._letters = _string_table(letters_without_accents()) if config.strip_accents else None
        self._stems = None
        if self.words:
            keys = keys_of(tf.constant(list(self.words.replacements)))
            stems = list(self.words.replacements.values())
            dropped = tf.constant([stem == DROPPED for stem in stems])
            stands = tf.where(dropped, tf.constant(_NO_KEY, tf.int64), keys_of(tf.constant(stems)))
            self._stems = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, stands), 0)

    def tokens(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Normalise texts, split them, and drop numbers and short words; stop words and stems come later.

        Args:
            texts: strings, shape (n,), UTF-8.

        Returns:
            strings, ragged (n, None).
        """
        return self.without_short(self.without_numbers(self.split(texts)))

    def split(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Normalise texts and split them; no word is dropped yet.

        Args:
            texts: strings, shape (n,), UTF-8.

        Returns:
            strings, ragged (n, None): runs of letters, marks, digits and underscores (or single characters); with
            `punctuation='keep'` also every other visible character, alone.
        """
        config = self.config
        if config.strip_html:
            texts = tf.strings.regex_replace(texts, f"{HTML}|{SPACES}", " ")
        else:
            texts = tf.strings.regex_replace(texts, SPACES, " ")
        if config.strip_urls:
            texts = tf.strings.regex_replace(texts, URL, " ")
        if config.lowercase:
            # Lower-casing beyond ASCII follows the machine's locale: in Turkish "I" would lose its dot. So the letters
            # that locales treat in ways of their own are done first.
            texts = tf.strings.lower(texts)
            for upper, lower in _LOCALE_LETTERS:
                texts = tf.strings.regex_replace(texts, upper, lower)
            texts = tf.strings.lower(texts, encoding="utf-8")
        if config.strip_accents:
            texts = self._without_accents(texts)
        if config.punctuation == "keep":
            texts = tf.strings.regex_replace(texts, rf"([^{_WORD}\s])", r" \1 ")
        else:
            # White space stays as it is: most separators are a single space, and each replacement costs.
            texts = tf.strings.regex_replace(texts, rf"[^{_WORD}\s]+", " ")
        if config.analyzer == "char":
            texts = tf.strings.regex_replace(texts, r"(\S\p{M}*)", r"\1 ")
        return tf.strings.split(texts)

    def without_numbers(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Drop or mask numbers, if that is asked for."""
        if self.config.numbers == "mask":
            return words.with_values(tf.strings.regex_replace(words.values, r"^\p{N}+$", "0"))
        if self.config.numbers == "drop":
            return _keep(words, ~tf.strings.regex_full_match(words.values, r"\p{N}+"))
        return words

    def without_short(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Drop short words, if that is asked for; punctuation marks are no words."""
        if self.config.min_word_length == 1:
            return words
        kept = tf.strings.length(words.values, unit="UTF8_CHAR") >= self.config.min_word_length
        if self.config.punctuation == "keep":
            kept |= tf.strings.regex_full_match(words.values, f"[^{_WORD}]")
        return _keep(words, kept)

    def keys(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Turn tokens into keys, dropping stop words and putting stems in the place of words.

        Args:
            words: strings, ragged (n, None).

        Returns:
            int64, ragged (n, None).
        """
        keys = words.with_values(keys_of(words.values))
        if self._stems is None:
            return keys
        stems = self._stems.lookup(keys.values)
        return _keep(keys.with_values(tf.where(stems == 0, keys.values, stems)), stems != _NO_KEY)

    def _without_accents(self, texts: tf.Tensor) -> tf.Tensor:
        """Take marks off letters, in those texts that are not plain ASCII."""
        rows = tf.where(tf.strings.regex_full_match(texts, r"(?s).*[^\x{00}-\x{7F}].*"))
        letters = tf.strings.unicode_split(tf.gather_nd(texts, rows), "UTF-8")
        assert self._letters is not None
        plain = self._letters.lookup(letters.values)
        plain = tf.where(plain == _SAME, letters.values, plain)
        return tf.tensor_scatter_nd_update(texts, rows, tf.strings.reduce_join(letters.with_values(plain), axis=-1))


def keys_of(words: tf.Tensor) -> tf.Tensor:
    """Return the key of each string, int64, not negative."""
    return tf.strings.to_hash_bucket_fast(words, _FINGERPRINTS)


def distinct_words(words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the distinct strings of a tensor, shape (n,); their keys; and each string as a place among them."""
    keys, places = tf.unique(keys_of(words))
    first = tf.math.unsorted_segment_min(tf.range(tf.size(places)), places, tf.size(keys))
    return tf.gather(words, first), keys, places


def _keep(words: tf.RaggedTensor, kept: tf.Tensor) -> tf.RaggedTensor:
    """Return ragged rows with some of their values."""
    return tf.RaggedTensor.from_value_rowids(
        tf.boolean_mask(words.values, kept),
        tf.boolean_mask(words.value_rowids(), kept),
        nrows=words.nrows(),
        validate=False,
    )


def _string_table(entries: dict[str, str]) -> tf.lookup.StaticHashTable:
    initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(list(entries)), tf.constant(list(entries.values())))
    return tf.lookup.StaticHashTable(initializer, _SAME)


@functools.cache
def letters_without_accents() -> dict[str, str]:
    """Return the characters that Unicode's compatibility decomposition (NFKD), less its marks, changes."""
    found = {}
    for number in (*range(0x80, 0xD800), *range(0xE000, sys.maxunicode + 1)):
        letter = chr(number)
        parts = unicodedata.normalize("NFKD", letter)
        if parts != letter or unicodedata.combining(letter):
            found[letter] = "".join(part for part in parts if not unicodedata.combining(part))
    return found


def strings_of(words: tf.Tensor) -> list[str]:
    """Return a tensor of strings as Python's; bytes that are no UTF-8 become replacement characters."""
    values: np.ndarray[Any, Any] = words.numpy()
    return [value.decode("utf-8", "replace") for value in values.tolist()]
