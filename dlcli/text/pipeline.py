"""Raw text to ids, once, as one TensorFlow graph: training, evaluation, prediction and exports all run it.

A bag: text -> words -> keys -> n-grams' keys -> ids, each n-gram of a text once, with its value.
A sequence: text -> words -> keys -> ids, one a word, for models that read words in their order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.backend import tf
from dlcli.core.files import write_text
from dlcli.core.parallel import chunks, parallel
from dlcli.errors import DataError, ModelError
from dlcli.text.bags import bags_of
from dlcli.text.cleaning import Cleaner, keys_of
from dlcli.text.config import CleaningConfig, TextPipelineConfig
from dlcli.text.counting import CHUNK, TextsAsWords, count_ngrams, read_words
from dlcli.text.encoded import EncodedTexts, Ids
from dlcli.text.ngrams import distinct, ngram_keys, table_of
from dlcli.text.vocabulary import KeyCounter, Terms, Vocabulary, most_frequent
from dlcli.text.words import Replacer, WordTable, stemmer, stop_words

# Up to this many n-grams in the training texts, those that occur once help (+0.6 points on 8,500 sentences); beyond,
# they double the vocabulary and cost 0.1 points (25,000 reviews).
_FEW = 2_000_000
# Words of sequences that are looked up together.
_BLOCK = 1_000_000
# The id of unknown words in a sequence, where 0 is padding; those of known words follow.
UNKNOWN = 1
_SETTINGS, _VOCABULARY, _WORDS = "pipeline.json", "vocabulary.tsv", "words.tsv"


class TextPipeline(tf.Module):  # type: ignore[misc]
    """The graph from raw strings to ids, with its vocabulary.

    Args:
        config: how text is normalised and split, and what stands for it; `max_length` is a count, if any.
        vocabulary: the n-grams that have an id; the most frequent has the lowest.
        texts: how many texts the vocabulary was counted in.
        words: which words are dropped, and which stand for others.

    Example:
        >>> pipeline, _ = TextPipeline.adapt(["good film", "bad film"], TextPipelineConfig(ngrams=1, min_count=1))
        >>> pipeline.ids(tf.constant(["a good film"])).ids.numpy().tolist()  # doctest: +SKIP
        [[1, 2]]
    """

    input_name = "text"
    together = 16_384

    def __init__(
        self, config: TextPipelineConfig, vocabulary: Vocabulary, *, texts: int, words: WordTable | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        self.texts = texts
        # How many distinct n-grams the texts have, before any was cut; known where they were counted.
        self.distinct: int | None = None
        self.cleaner = Cleaner(config, words)
        self._table = table_of(vocabulary.keys)
        self._idf = tf.constant(np.append(0, self.idf), tf.float32) if config.features == "tfidf" else None
        self._ids = tf.function(self.ids, input_signature=[tf.TensorSpec([None], tf.string)])

    @property
    def idf(self) -> np.ndarray[Any, Any]:
        """Each n-gram's inverse document frequency, ln((1 + texts) / (1 + its texts)) + 1, as scikit-learn has it."""
        weights: np.ndarray[Any, Any] = np.log((1 + self.texts) / (1 + self.vocabulary.texts)) + 1
        return weights

    def ids(self, texts: tf.Tensor) -> Ids:
        """Turn texts, strings of shape (n,), into the ids of their n-grams, and values where the features have them."""
        return self._ids_of(self.cleaner.keys(self.cleaner.tokens(texts)))

    def _ids_of(self, words: tf.RaggedTensor) -> Ids:
        """Turn the keys of words, int64, ragged (n, None), into ids."""
        config = self.config
        if config.ordered:
            ids = tf.cast(self._table.lookup(words) + UNKNOWN, tf.int32)
            if config.max_length is not None:
                ids = ids[:, -config.max_length :] if config.truncating == "pre" else ids[:, : config.max_length]
            return Ids(ids, None)
        counted = config.features in ("counts", "tfidf")
        bags = distinct(self.ngram_ids(words), words.row_splits, counted=counted)
        return self._weighted(bags) if config.features == "tfidf" else bags

    def ngram_ids(self, words: tf.RaggedTensor) -> tf.Tensor:
        """Return the ids of the n-grams that start at each word.

        Args:
            words: int64, ragged (n, None), the words' keys.

        Returns:
            int64, shape (words of all rows, lengths of n-grams): from the shortest to the longest; 0 for unknown ones.
        """
        return self._table.lookup(ngram_keys(words, self.config.orders))

    def _weighted(self, bags: Ids) -> Ids:
        """Turn counts into TF-IDF weights, in rows of length one."""
        assert bags.values is not None
        weights = bags.values.values * tf.gather(self._idf, bags.ids.values)
        rows = bags.ids.value_rowids()
        norms = tf.sqrt(tf.math.segment_sum(tf.square(weights), rows))
        return Ids(bags.ids, bags.ids.with_values(weights / tf.gather(norms, rows)))

    def raw(self, items: Sequence[str]) -> Sequence[str]:
        """Return the texts as they are: `graph` takes them so."""
        return items

    def graph(self, texts: tf.Tensor) -> Any:
        """Turn texts, shape (n,), into the model's input: int32 (n, most ids of a text), padded with 0; with values."""
        return self.ids(texts).padded(padding=self._padding)

    @property
    def _padding(self) -> str:
        return self.config.padding or "post"

    def encode(self, texts: Iterable[str]) -> EncodedTexts:
        """Turn any number of texts into ids, in parallel and in bounded memory."""
        found = parallel(lambda chunk: self._ids(tf.constant(chunk)), chunks(texts, CHUNK))
        return EncodedTexts.join(found, padding=self._padding)

    def sequences(self, texts: Iterable[str]) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
        """Turn any number of texts into the vocabulary's numbers of their words, in bounded memory, whole and in order.

        Yields:
            for some texts at a time: int64 (words of them all,), from 1, 0 for a word that is not in the vocabulary;
            and int64, the number of words of each text.
        """

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
        def numbers(chunk: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            keys = self.cleaner.keys(self.cleaner.tokens(chunk))
            return self._table.lookup(keys.values), keys.row_lengths()

        for ids, lengths in parallel(lambda chunk: numbers(tf.constant(chunk)), chunks(texts, CHUNK)):
            yield ids.numpy(), lengths.numpy()

    @classmethod
    def adapt(cls, texts: Iterable[str], config: TextPipelineConfig) -> tuple[TextPipeline, EncodedTexts]:
        """Make the pipeline whose vocabulary is that of the given texts.

        Args:
            texts: the training texts, and only those; read once.
            config: how text is normalised and split, and which n-grams are kept.

        Returns:
            the pipeline, and the texts as ids.

        Raises:
            DataError: no n-gram occurs often enough, or there are too many for the memory.
            UsageError: a stop list or a stemmer that does not exist.
        """
        cleaner = Cleaner(config)
        read = read_words(texts, cleaner)
        words = make_replacer(config, cleaner).table(read.words)
        read = read.replaced(words)
        counters = count_ngrams(read, config.orders)
        config = _resolved(config, ngrams=sum(counter.total for counter in counters))
        keys, counts = _candidates(counters, config, read)
        bags, ngrams = bags_of(read, keys, config.orders, counted=config.features in ("counts", "tfidf"))
        found = np.bincount(bags.ids, minlength=len(keys) + 1)[1:]
        kept = _kept(found, config, texts=len(read.lengths))
        if len(kept) < len(keys):
            bags = bags.only(kept)
        terms = Terms(read.words, ngrams[kept])
        vocabulary = Vocabulary(keys=keys[kept], counts=counts[kept], texts=found[kept], terms=terms)
        if config.ordered and isinstance(config.max_length, float):
            longest = int(np.quantile(read.lengths, config.max_length, method="inverted_cdf"))
            config = config.model_copy(update={"max_length": max(1, longest)})
        pipeline = cls(config, vocabulary, texts=len(read.lengths), words=words)
        pipeline.distinct = sum(len(counter.keys) for counter in counters)
        return pipeline, pipeline._encoded(read, bags)

    def _encoded(self, read: TextsAsWords, bags: EncodedTexts) -> EncodedTexts:
        """Return the training texts as `encode` would, from what was found out about them already."""
        if self.config.ordered:
            blocks = (
                tf.RaggedTensor.from_row_lengths(block.keys[block.numbers], block.lengths, validate=False)
                for block in read.blocks(_BLOCK)
            )
            return EncodedTexts.join(map(self._ids_of, blocks), padding=self._padding)
        return EncodedTexts.join([self._weighted(bags.ragged)]) if self.config.features == "tfidf" else bags

    def with_features(self, features: str) -> TextPipeline:
        """Return the pipeline that gives, say, the counts of the n-grams and not their TF-IDF weights."""
        config = self.config.model_copy(update={"features": features})
        pipeline = TextPipeline(config, self.vocabulary, texts=self.texts, words=self.cleaner.words)
        pipeline.distinct = self.distinct
        return pipeline

    def save(self, folder: Path) -> None:
        """Write the settings and the vocabulary into a folder, which is made if need be."""
        folder.mkdir(exist_ok=True)
        settings = self.config.model_dump(mode="json") | {"texts": self.texts}
        write_text(folder / _SETTINGS, json.dumps(settings, indent=2) + "\n")
        self.vocabulary.save(folder / _VOCABULARY)
        if self.cleaner.words:
            self.cleaner.words.save(folder / _WORDS)

    @classmethod
    def load(cls, folder: Path) -> TextPipeline:
        """Read what `save` wrote.

        Raises:
            ModelError: a file is missing or damaged.
        """
        try:
            settings = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
            number = int(settings.pop("texts"))
            config = TextPipelineConfig.model_validate(settings)
            terms, counts, texts = Vocabulary.read(folder / _VOCABULARY)
            words = WordTable.read(folder / _WORDS) if (folder / _WORDS).exists() else WordTable()
            return cls.of_terms(config, terms, counts=counts, texts=texts, number=number, words=words)
        except Exception as error:  # The hashes of a run may be forged with its files, which hold anything then.
            raise ModelError(f"{folder} holds no readable text pipeline ({error})") from error

    @classmethod
    def of_terms(
        cls,
        config: TextPipelineConfig,
        terms: Sequence[str],
        *,
        counts: np.ndarray[Any, Any],
        texts: np.ndarray[Any, Any],
        number: int,
        words: WordTable | None = None,
    ) -> TextPipeline:
        """Return the pipeline of a vocabulary that was counted before.

        Args:
            config: how text is normalised and split.
            terms: each n-gram's tokens, with spaces between; the most frequent first.
            counts: int64, how often each occurs in the training texts.
            texts: int64, in how many of them.
            number: of the training texts.
            words: which words are dropped, and which stand for others.
        """
        vocabulary = Vocabulary(keys=_keys_of_terms(terms), terms=terms, counts=counts, texts=texts)
        return cls(config, vocabulary, texts=number, words=words)


def make_replacer(config: CleaningConfig, cleaner: Cleaner) -> Replacer:
    """Return what drops stop words and cuts words to their stems, for one cleaner's words.

    Raises:
        UsageError: a stop list or a stemmer that does not exist.
    """

    def normalise(words: Sequence[str]) -> list[list[str]]:
        return [[token.decode() for token in row] for row in cleaner.tokens(tf.constant(words)).to_list()]

    return Replacer(stop_words(config.stop_words, normalise), stemmer(config.stem))


def _resolved(config: TextPipelineConfig, *, ngrams: int) -> TextPipelineConfig:
    """Return the settings with the least count that fits the number of n-grams, repeats included."""
    few = ngrams <= _FEW or config.ordered
    return config.model_copy(update={"min_count": config.min_count or (1 if few else 2)})


def _candidates(
    counters: list[KeyCounter], config: TextPipelineConfig, read: TextsAsWords
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the keys and counts of the n-grams that may be kept; only their texts are not counted yet."""
    assert config.min_count is not None
    texts = len(read.lengths)
    by_texts = config.min_df is not None or config.max_df is not None
    # What is in so many texts occurs at least as often.
    least = max(config.min_count, math.ceil(_documents(config.min_df, texts) or 0))
    keys, counts = most_frequent(counters, min_count=least, max_features=None if by_texts else config.max_features)
    if not len(keys):
        if not len(read.numbers):
            raise DataError(f"no word is left of the {texts} training texts", hint="Clean less")
        raise DataError(
            f"no word occurs {least} times in the {texts} training texts",
            hint="Lower --min-df" if least > config.min_count else "Lower --min-count",
        )
    return keys, counts


def _kept(found: np.ndarray[Any, Any], config: TextPipelineConfig, *, texts: int) -> np.ndarray[Any, Any]:
    """Return the places of the n-grams to keep, given in how many texts each was found."""
    least, most = _documents(config.min_df, texts), _documents(config.max_df, texts)
    kept = np.flatnonzero((found >= (least or 0)) & (found <= (texts if most is None else most)))
    if not len(kept):
        raise DataError(
            f"no word is left: none is in {least or 0:g} to {most or texts:g} of the {texts} training texts"
        )
    return kept[: config.max_features]


def _documents(bound: int | float | None, texts: int) -> int | float | None:
    """Return a share of the texts as their number; a count as it is."""
    return bound * texts if isinstance(bound, float) else bound


def _keys_of_terms(terms: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return the key of each n-gram that is given as its tokens with spaces between."""
    words = tf.strings.split(tf.constant(terms, tf.string))
    sizes = words.row_lengths().numpy()
    keys = ngram_keys(words.with_values(keys_of(words.values)), (1, int(sizes.max()))).numpy()
    return np.asarray(keys[words.row_starts().numpy(), sizes - 1])
