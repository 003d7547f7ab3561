"""Text models, by name: from padded ids to the probability of each class. No TensorFlow op inside a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlcli.core.backend import keras
from dlcli.core.layers import HEAD, head, hidden, initializer, penalty
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
        seed: of the dropout.
        l1: penalty on the size of the table's numbers.
        l2: penalty on their squares.
        initializer: of the table; zeros when None.
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
        l1: float = 0.0,
        l2: float = 0.0,
        initializer: Any = None,
        weights: np.ndarray[Any, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.dim = dim
        self.dropout = dropout
        self.seed = seed
        self.l1 = l1
        self.l2 = l2
        self._initializer = initializer or "zeros"
        self._first_weights = weights
        self._seeds = keras.random.SeedGenerator(seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the table and the fixed weights."""
        rows = self.vocabulary_size + 1
        self.ngram_weights = self.add_weight(
            name="ngram_weights", shape=(rows,), initializer="ones", trainable=False, dtype="float32"
        )
        self.table = self.add_weight(
            name="table", shape=(rows, self.dim), initializer=self._initializer, regularizer=penalty(self.l1, self.l2)
        )
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
        """Return the arguments, less first values, which are saved as weights."""
        config: dict[str, Any] = super().get_config()
        own = {
            "vocabulary_size": self.vocabulary_size,
            "dim": self.dim,
            "dropout": self.dropout,
            "seed": self.seed,
            "l1": self.l1,
            "l2": self.l2,
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
    output: str = "softmax",
) -> keras.Model:
    """Build the averaged n-gram embeddings, with dense layers on top if wanted.

    Without hidden layers the table starts at zero and the last layer as the contrast between the classes: with an
    embedding as large as the number of classes the start is a linear model's, and what is learnt is one weight for each
    n-gram and class. With them it is a deep averaging network (Iyyer et al. 2015), which starts at random.

    Args:
        texts: the training texts, for the n-grams' weights.
        labels: the label id of each.
        vocabulary_size: the number of n-grams.
        classes: the number of classes.
        config: the model's settings.
        seed: of every random draw in the model.
        output: activation of the last layer: `softmax`, or `linear` for scores.

    Returns:
        an uncompiled model: int32 (batch, length) in, float32 (batch, classes) out.
    """
    linear = not config.hidden_units
    dim = config.embedding_dim or (min(classes, _MAX_EMBEDDING) if linear else _MAX_EMBEDDING)
    if linear and classes == 2:
        dim = config.embedding_dim or 1
    first = config.initializer or (None if linear else "random_uniform")
    weights = naive_bayes_weights(texts, labels, vocabulary_size=vocabulary_size, classes=classes)
    ids = keras.Input((None,), dtype="int32", name="ids")
    embedding = NgramEmbedding(
        vocabulary_size,
        dim,
        dropout=config.ngram_dropout,
        seed=seed,
        l1=config.l1,
        l2=config.l2,
        initializer=initializer(first, seed=seed + 1) if first else None,
        weights=weights,
        name="ngram_embedding",
    )(ids)
    outputs = head(
        hidden(embedding, config.hidden_units, config, seed=seed), classes, config, activation=output, seed=seed
    )
    model = keras.Model(ids, outputs, name="ngram")
    if linear and config.initializer is None:
        model.get_layer(HEAD).kernel.assign(_contrasts(dim, classes, seed))
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
