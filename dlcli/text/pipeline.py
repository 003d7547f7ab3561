"""Raw text to ids, once, as one TensorFlow graph: training, evaluation, prediction and exports all run it.

    text -> normalised text -> tokens -> n-gram keys -> ids, each n-gram of a text once

A token's key is its 63-bit FarmHash fingerprint; an n-gram's key is mixed from its tokens' keys with integer
arithmetic, so that no n-gram is ever put together as a string where time counts. With `n` distinct n-grams the chance
that any two share a key is about n^2 / 2^64: one in ten million for a vocabulary of a million.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.backend import tf
from dlcli.core.files import write_text
from dlcli.errors import DataError, ModelError
from dlcli.text.config import TextPipelineConfig
from dlcli.text.vocabulary import Vocabulary, most_frequent

# Tags (a letter, / or ! follows the bracket, so that "<3" and "a < b" stay), entities, and white space that
# TensorFlow's split does not know; NUL, at which its lower-casing would stop.
_HTML = r"</?[A-Za-z!][^<>]*>|&[A-Za-z][A-Za-z0-9]{1,7};|&#[0-9]{1,7};|&#[Xx][0-9A-Fa-f]{1,6};"
_SPACES = r"[\x{00}\x{1C}-\x{1F}\x{85}\x{A0}\x{1680}\x{2000}-\x{200B}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}]"
_WORD = r"\p{L}\p{M}\p{N}_"
_LOCALE_LETTERS = (("İ", "i̇"), ("Ì", "ì"), ("Í", "í"), ("Ĩ", "ĩ"))
_FINGERPRINTS = 2**63 - 1
# The 64-bit golden ratio, as a signed number (Knuth, The Art of Computer Programming, 6.4).
_MIX = -7046029254386353131
# Texts that are turned into ids together: large enough to keep a core busy, small enough to bound the memory.
CHUNK = 1024
# Up to this many n-grams in the training texts, those that occur once help (+0.6 points on 8,500 sentences); beyond,
# they double the vocabulary and cost 0.1 points (25,000 reviews).
_FEW = 2_000_000


class TextPipeline(tf.Module):  # type: ignore[misc]
    """The graph from raw strings to ids, with its vocabulary.

    Args:
        config: how text is normalised and split.
        vocabulary: the n-grams that have an id; 1 is the most frequent, 0 stands for padding.

    Example:
        >>> pipeline, _ = TextPipeline.adapt(["good film", "bad film"], TextPipelineConfig(ngrams=1, min_count=1))
        >>> pipeline.ids(tf.constant(["a good film"])).numpy().tolist()  # doctest: +SKIP
        [[1, 2]]
    """

    def __init__(self, config: TextPipelineConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        entries = tf.lookup.KeyValueTensorInitializer(
            tf.constant(vocabulary.keys, tf.int64), tf.range(1, len(vocabulary) + 1, dtype=tf.int64)
        )
        self._table = tf.lookup.StaticHashTable(entries, default_value=0)
        self._ids = tf.function(self.ids, input_signature=[tf.TensorSpec([None], tf.string)])

    def ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Turn texts into the ids of their n-grams.

        Args:
            texts: strings, shape (n,).

        Returns:
            int32, ragged (n, None): each known n-gram of a text once, in ascending order.
        """
        words = tokens(texts, self.config)
        return _distinct(self._table.lookup(ngram_keys(words, self.config.ngrams)), words.row_splits)

    def graph(self, texts: tf.Tensor) -> tf.Tensor:
        """Turn texts, shape (n,), into the model's input: int32 (n, most ids of a text), padded with 0 behind."""
        return self.ids(texts).to_tensor()

    def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Turn any number of texts into ids, in parallel and in bounded memory."""
        return EncodedTexts.join(_parallel(lambda chunk: self._ids(tf.constant(chunk)), _chunks(texts)))

    @classmethod
    def adapt(cls, texts: Sequence[str], config: TextPipelineConfig) -> tuple[TextPipeline, EncodedTexts]:
        """Make the pipeline whose vocabulary is that of the given texts.

        The texts are split once; the tokens stay in memory (24 bytes each) until the n-grams that are kept have their
        strings, which are put together once for each n-gram, however often it occurs.

        Args:
            texts: the training texts, and only those.
            config: how text is normalised and split, and which n-grams are kept.

        Returns:
            the pipeline, and the texts as ids.

        Raises:
            DataError: no n-gram occurs often enough.
        """

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
        def split(chunk: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor]:
            words = tokens(chunk, config)
            return words, ngram_keys(words, config.ngrams)

        chunks = list(_parallel(lambda chunk: split(tf.constant(chunk)), _chunks(texts)))
        orders = [np.concatenate([keys.numpy()[:, order] for _, keys in chunks]) for order in range(config.ngrams)]
        min_count = config.min_count or (1 if sum(map(len, orders)) <= _FEW else 2)
        keys, counts = most_frequent(orders, min_count=min_count, max_features=config.max_features)
        if not len(keys):
            raise DataError(
                f"no word occurs {min_count} times in the {len(texts)} training texts", hint="Lower --min-count"
            )
        config = config.model_copy(update={"min_count": min_count})
        terms = np.full(len(keys), "", dtype=object)
        pipeline = cls(config, Vocabulary(keys=keys, counts=counts, terms=terms))
        return pipeline, EncodedTexts.join(pipeline._encode_and_name(chunks, terms))

    def _encode_and_name(
        self, chunks: list[tuple[tf.RaggedTensor, tf.Tensor]], terms: np.ndarray[Any, Any]
    ) -> Iterator[tf.RaggedTensor]:
        """Yield the ids of chunks of tokens and keys, and fill `terms` with the strings of the n-grams met."""

        def encode(chunk: tuple[tf.RaggedTensor, tf.Tensor]) -> tuple[tf.RaggedTensor, tf.Tensor, tf.Tensor]:
            words, keys = chunk
            ids = self._table.lookup(keys)
            return _distinct(ids, words.row_splits), ids, words.values

        named = np.zeros(len(terms) + 1, dtype=bool)
        named[0] = True
        for distinct, ids, words in _parallel(encode, chunks):
            flat = ids.numpy().ravel()
            places = np.flatnonzero(~named[flat])
            new, first = np.unique(flat[places], return_index=True)
            starts, sizes = np.divmod(places[first], self.config.ngrams)
            for size in range(self.config.ngrams):
                parts = [tf.gather(words, starts[sizes == size] + offset) for offset in range(size + 1)]
                strings = tf.strings.join(parts, " ").numpy()
                terms[new[sizes == size] - 1] = [string.decode("utf-8", "replace") for string in strings]
            named[new] = True
            yield distinct

    def save(self, folder: Path) -> None:
        """Write the settings and the vocabulary into a folder, which is made if need be."""
        folder.mkdir(exist_ok=True)
        write_text(folder / "pipeline.json", self.config.model_dump_json(indent=2) + "\n")
        self.vocabulary.save(folder / "vocabulary.tsv")

    @classmethod
    def load(cls, folder: Path) -> TextPipeline:
        """Read what `save` wrote.

        Raises:
            ModelError: a file is missing or damaged.
        """
        try:
            config = TextPipelineConfig.model_validate_json((folder / "pipeline.json").read_text(encoding="utf-8"))
            terms, counts = Vocabulary.read(folder / "vocabulary.tsv")
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder} holds no readable text pipeline ({error})") from error
        return cls(config, Vocabulary(keys=_keys_of_terms(terms), terms=terms, counts=counts))


class EncodedTexts:
    """Texts as ids, end to end in one array: what the training core takes batches from.

    Args:
        ids: int32, all texts' ids one after the other.
        lengths: int64, the number of ids of each text.
    """

    def __init__(self, ids: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any]) -> None:
        self.ids = ids
        self.lengths = lengths

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def join(cls, chunks: Iterator[tf.RaggedTensor]) -> EncodedTexts:
        """Put ragged chunks of ids together."""
        values, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
        for chunk in chunks:
            values.append(chunk.values.numpy())
            lengths.append(chunk.row_lengths().numpy())
        return cls(np.concatenate(values), np.concatenate(lengths))

    def dataset(self, numbers: tf.data.Dataset) -> tf.data.Dataset:
        """Return the batches of the given rows, as int32 (rows, longest), padded with 0 behind."""
        texts = self._ragged
        return numbers.map(lambda rows: tf.gather(texts, rows).to_tensor(), num_parallel_calls=2)

    @functools.cached_property
    def _ragged(self) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_row_lengths(self.ids, self.lengths, validate=False)


def tokens(texts: tf.Tensor, config: TextPipelineConfig) -> tf.RaggedTensor:
    """Normalise texts and split them.

    Args:
        texts: strings, shape (n,), UTF-8.
        config: the settings `lowercase`, `strip_html` and `punctuation`.

    Returns:
        strings, ragged (n, None): runs of letters, marks, digits and underscores; with `punctuation='keep'` also every
        other visible character, alone.
    """
    texts = tf.strings.regex_replace(texts, f"{_HTML}|{_SPACES}" if config.strip_html else _SPACES, " ")
    if config.lowercase:
        # Lower-casing beyond ASCII follows the machine's locale: in Turkish "I" would lose its dot. So the letters
        # that locales treat in ways of their own are done first.
        texts = tf.strings.lower(texts)
        for upper, lower in _LOCALE_LETTERS:
            texts = tf.strings.regex_replace(texts, upper, lower)
        texts = tf.strings.lower(texts, encoding="utf-8")
    if config.punctuation == "keep":
        texts = tf.strings.regex_replace(texts, rf"([^{_WORD}\s])", r" \1 ")
    else:
        texts = tf.strings.regex_replace(texts, rf"[^{_WORD}]+", " ")
    return tf.strings.split(texts)


def ngram_keys(words: tf.RaggedTensor, ngrams: int) -> tf.Tensor:
    """Return the keys of the n-grams that start at each token.

    Args:
        words: strings, ragged (n, None).
        ngrams: the longest n-gram.

    Returns:
        int64, shape (tokens of all rows, ngrams): the key of the token alone, of it and the next one, and so on; 0
        where the text ends before the n-gram does.
    """
    single = tf.strings.to_hash_bucket_fast(words.values, _FINGERPRINTS)
    rows = words.value_rowids()
    keys, orders = single, [single]
    for size in range(1, ngrams):
        keys = keys[:-1] * tf.constant(_MIX, tf.int64) + single[size:]
        inside = tf.where(rows[size:] == rows[:-size], keys, 0)
        orders.append(tf.concat([inside, tf.zeros(tf.size(single) - tf.size(inside), tf.int64)], axis=0))
    return tf.stack(orders, axis=1)


def _distinct(ids: tf.Tensor, row_splits: tf.Tensor) -> tf.RaggedTensor:
    """Keep each known id of a text once.

    Args:
        ids: int64, shape (tokens, ngrams), 0 for what is unknown.
        row_splits: where the texts begin and end among the tokens.

    Returns:
        int32, ragged (texts, None), in ascending order, without 0.
    """
    # An empty row at the end, because the count does not take no rows at all.
    splits = tf.concat([row_splits, row_splits[-1:]], axis=0) * ids.shape[1]
    rows = tf.RaggedTensor.from_row_splits(tf.reshape(ids, [-1]), splits, validate=False)
    # A count per row in small hash tables: five times faster than tf.unique over the whole chunk.
    found = tf.sparse.bincount(rows, axis=-1, binary_output=True).indices
    known = tf.boolean_mask(found, found[:, 1] > 0)
    return tf.RaggedTensor.from_value_rowids(
        tf.cast(known[:, 1], tf.int32), known[:, 0], nrows=rows.nrows() - 1, validate=False
    )


def _keys_of_terms(terms: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return the key of each n-gram that is given as its tokens with spaces between."""
    words = tf.strings.split(tf.constant(terms, tf.string))
    sizes = words.row_lengths().numpy()
    keys = ngram_keys(words, int(sizes.max())).numpy()
    return np.asarray(keys[words.row_starts().numpy(), sizes - 1])


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK))


def _parallel(work: Callable[[Any], Any], chunks: Iterable[Any]) -> Iterator[Any]:
    """Run `work` on each chunk, in order, on threads: TensorFlow leaves the interpreter free meanwhile."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(work, chunks)
