"""Text models, by name: from padded ids to the probability of each class. No TensorFlow op inside a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlcli.core.backend import keras
from dlcli.text.config import TextModelConfig
from dlcli.text.pipeline import EncodedTexts

ops = keras.ops

# Beyond this many classes an n-gram's embedding is smaller than one weight a class.
_MAX_EMBEDDING = 64
# Added to every count before ratios are taken (Laplace), as in Wang & Manning 2012.
_SMOOTHING = 1.0


@keras.saving.register_keras_serializable(package="dlcli")
class NgramEmbedding(keras.layers.Layer):  # type: ignore[misc]
    """The weighted mean of the embeddings of a text's n-grams.

    A text is the vector of its n-grams' fixed naive-Bayes weights, scaled to length one; its embedding is that vector
    times a trained table. Padding (id 0) weighs nothing.

    Args:
        vocabulary_size: the number of n-grams; ids run from 1 to it.
        dim: size of an embedding.
        dropout: share of a text's n-grams left out at a training step.
        seed: of the dropout and of the table's first values.
        weights: float32 (vocabulary_size,), the fixed weight of each n-gram; ones when None (loading fills them in).

    Input: int32 (batch, length). Output: float32 (batch, dim).

    Source: the weights are those of Wang & Manning 2012, "Baselines and Bigrams"; the mean of embeddings is that of
    Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification".
    """

    def __init__(
        self,
        vocabulary_size: int,
        dim: int,
        *,
        dropout: float = 0.0,
        seed: int = 0,
        weights: np.ndarray[Any, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.dim = dim
        self.dropout = dropout
        self.seed = seed
        self._first_weights = weights
        self._seeds = keras.random.SeedGenerator(seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the table and the fixed weights."""
        rows = self.vocabulary_size + 1
        self.ngram_weights = self.add_weight(
            name="ngram_weights", shape=(rows,), initializer="ones", trainable=False, dtype="float32"
        )
        self.table = self.add_weight(name="table", shape=(rows, self.dim), initializer="zeros")
        if self._first_weights is not None:
            self.ngram_weights.assign(np.concatenate([[0.0], self._first_weights]))

    def call(self, ids: Any, training: bool = False) -> Any:
        """Embed a batch of texts."""
        weights = ops.take(self.ngram_weights, ids)
        if training and self.dropout:
            kept = keras.random.uniform(ops.shape(ids), seed=self._seeds) >= self.dropout
            weights = weights * ops.cast(kept, weights.dtype)
        norm = ops.sqrt(ops.sum(ops.square(weights), axis=1, keepdims=True))
        weights = weights / ops.maximum(norm, 1e-6)
        return ops.einsum("bl,bld->bd", weights, ops.take(self.table, ids, axis=0))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return (batch, dim)."""
        return (input_shape[0], self.dim)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, less the weights, which are saved as weights."""
        config: dict[str, Any] = super().get_config()
        own = {
            "vocabulary_size": self.vocabulary_size,
            "dim": self.dim,
            "dropout": self.dropout,
            "seed": self.seed,
        }
        return config | own


def ngram(
    texts: EncodedTexts,
    labels: np.ndarray[Any, Any],
    *,
    vocabulary_size: int,
    classes: int,
    config: TextModelConfig,
    seed: int,
) -> keras.Model:
    """Build the averaged n-gram embeddings with a softmax.

    The table starts at zero and the last layer as the contrast between the classes: with an embedding as large as the
    number of classes the start is a linear model's, and what is learnt is one weight for each n-gram and class.

    Args:
        texts: the training texts, for the n-grams' weights.
        labels: the label id of each.
        vocabulary_size: the number of n-grams.
        classes: the number of classes.
        config: `embedding_dim` and `ngram_dropout`.
        seed: of every random draw in the model.

    Returns:
        an uncompiled model: int32 (batch, length) in, float32 (batch, classes) out.
    """
    dim = config.embedding_dim or (1 if classes == 2 else min(classes, _MAX_EMBEDDING))
    weights = naive_bayes_weights(texts, labels, vocabulary_size=vocabulary_size, classes=classes)
    ids = keras.Input((None,), dtype="int32", name="ids")
    embedding = NgramEmbedding(
        vocabulary_size, dim, dropout=config.ngram_dropout, seed=seed, weights=weights, name="ngram_embedding"
    )(ids)
    head = keras.layers.Dense(classes, activation="softmax", name="classes")
    model = keras.Model(ids, head(embedding), name="ngram")
    head.kernel.assign(_contrasts(dim, classes, seed))
    return model


def _contrasts(dim: int, classes: int, seed: int) -> np.ndarray[Any, Any]:
    """Return the first weights of the head, (dim, classes): what tells each class from the others."""
    if dim == 1 and classes == 2:
        return np.array([[-0.5, 0.5]], dtype=np.float32)
    if dim == classes:
        return np.asarray(np.eye(classes) - 1 / classes, dtype=np.float32)
    random = np.random.Generator(np.random.Philox(key=[seed, 2**32]))
    return np.asarray(random.standard_normal((dim, classes)) / np.sqrt(dim), dtype=np.float32)


def naive_bayes_weights(
    texts: EncodedTexts, labels: np.ndarray[Any, Any], *, vocabulary_size: int, classes: int
) -> np.ndarray[Any, Any]:
    """Return how much each n-gram says about the class: the largest absolute log-count ratio, one class to the rest.

    Args:
        texts: the training texts; each n-gram counts once a text.
        labels: the label id of each.
        vocabulary_size: the number of n-grams.
        classes: the number of classes.

    Returns:
        float32 (vocabulary_size,), at least 0.

    Source: Wang & Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification", equation 2,
    with one class against the rest where there are more than two.
    """
    label_of_id = np.repeat(labels, texts.lengths)
    everything = np.bincount(texts.ids, minlength=vocabulary_size + 1)[1:]
    largest = np.zeros(vocabulary_size)
    for label in range(1 if classes == 2 else classes):
        inside = np.bincount(texts.ids[label_of_id == label], minlength=vocabulary_size + 1)[1:]
        share = (inside + _SMOOTHING) / (inside + _SMOOTHING).sum()
        rest = everything - inside + _SMOOTHING
        np.maximum(largest, np.abs(np.log(share / (rest / rest.sum()))), out=largest)
    return largest.astype(np.float32)
