"""Models of bags of n-grams, by name: from padded ids (and values) to the probability of each class.

No TensorFlow op inside a model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dlcli.core.backend import keras
from dlcli.core.layers import HEAD, activation, head, hidden, initializer, penalty
from dlcli.text.config import TextModelConfig
from dlcli.text.encoded import EncodedTexts

ops = keras.ops

EMBEDDING = "embedding"
"""Name of the table of n-grams."""
NGRAM_WEIGHTS = "ngram_weights"
"""Name of the layer that weighs n-grams by what they say about the classes."""

# Beyond this many classes an n-gram's embedding is smaller than one weight a class.
_MAX_EMBEDDING = 64
# Units of the perceptron's only hidden layer, when no sizes are given.
_HIDDEN_UNITS = (64,)
# Added to every count before ratios are taken (Laplace), as in Wang & Manning 2012.
_SMOOTHING = 1.0


@keras.saving.register_keras_serializable(package="dlcli")
class NgramWeights(keras.layers.Layer):  # type: ignore[misc]
    """The fixed weights of a text's n-grams, scaled to a vector of length one. Padding (id 0) weighs nothing.

    Args:
        vocabulary_size: the number of n-grams; ids run from 1 to it.
        dropout: share of a text's n-grams left out at a training step.
        seed: of the dropout.
        weights: float32 (vocabulary_size,), the weight of each n-gram; ones when None (loading fills them in).

    Input: int32 (batch, length). Output: float32 (batch, length).
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        dropout: float = 0.0,
        seed: int = 0,
        weights: np.ndarray[Any, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.dropout = dropout
        self.seed = seed
        self._first_weights = weights
        self._seeds = keras.random.SeedGenerator(seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights."""
        self.ngram_weights = self.add_weight(
            name="ngram_weights",
            shape=(self.vocabulary_size + 1,),
            initializer="ones",
            trainable=False,
            dtype="float32",
        )
        if self._first_weights is not None:
            self.ngram_weights.assign(np.concatenate([[0.0], self._first_weights]))

    def call(self, ids: Any, training: bool = False) -> Any:
        """Weigh the n-grams of a batch of texts."""
        weights = ops.take(self.ngram_weights, ids)
        if training and self.dropout:
            kept = keras.random.uniform(ops.shape(ids), seed=self._seeds) >= self.dropout
            weights = weights * ops.cast(kept, weights.dtype)
        norm = ops.sqrt(ops.sum(ops.square(weights), axis=1, keepdims=True))
        return weights / ops.maximum(norm, 1e-6)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return (batch, length)."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, less first values, which are saved as weights."""
        config: dict[str, Any] = super().get_config()
        return config | {"vocabulary_size": self.vocabulary_size, "dropout": self.dropout, "seed": self.seed}


@keras.saving.register_keras_serializable(package="dlcli")
class BagEmbedding(keras.layers.Layer):  # type: ignore[misc]
    """The sum of the embeddings of a text's n-grams, each times its value: a dense layer over a sparse vector.

    Args:
        vocabulary_size: the number of n-grams; ids run from 1 to it.
        dim: size of an embedding.
        bias: whether a trained bias is added.
        activation: what is applied at the end; None for nothing.
        l1: penalty on the size of the table's numbers.
        l2: penalty on their squares.
        initializer: of the table.

    Input: int32 (batch, length) ids, 0 for padding, and float (batch, length) values, 0 there. Output: (batch, dim).
    """

    def __init__(
        self,
        vocabulary_size: int,
        dim: int,
        *,
        bias: bool = False,
        activation: Any = None,
        l1: float = 0.0,
        l2: float = 0.0,
        initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.dim = dim
        self.bias = bias
        self.activation = keras.activations.get(activation)
        self.l1 = l1
        self.l2 = l2
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape: Any) -> None:
        """Make the table and the bias."""
        self.table = self.add_weight(
            name="table",
            shape=(self.vocabulary_size + 1, self.dim),
            initializer=self.initializer,
            regularizer=penalty(self.l1, self.l2),
        )
        if self.bias:
            self.bias_weights = self.add_weight(name="bias", shape=(self.dim,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        """Embed a batch of texts."""
        ids, values = inputs
        table = ops.take(self.table, ids, axis=0)
        outputs = ops.einsum("bl,bld->bd", ops.cast(values, table.dtype), table)
        return self.activation(outputs + self.bias_weights if self.bias else outputs)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return (batch, dim)."""
        return (input_shape[0][0], self.dim)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        config: dict[str, Any] = super().get_config()
        own = {
            "vocabulary_size": self.vocabulary_size,
            "dim": self.dim,
            "initializer": keras.initializers.serialize(self.initializer),
            "bias": self.bias,
            "activation": keras.activations.serialize(self.activation),
            "l1": self.l1,
            "l2": self.l2,
        }
        return config | own


@keras.saving.register_keras_serializable(package="dlcli")
class Known(keras.layers.Layer):  # type: ignore[misc]
    """The values of n-grams whose being there is all: 1 for each, 0 for padding. (batch, length) to the same."""

    def call(self, ids: Any) -> Any:
        """Return a batch of values."""
        return ops.cast(ids > 0, self.compute_dtype)


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
    weights = naive_bayes_weights(texts, labels, vocabulary_size=vocabulary_size, classes=classes)
    ids = keras.Input((None,), dtype="int32", name="ids")
    values = NgramWeights(
        vocabulary_size, dropout=config.ngram_dropout, seed=seed, weights=weights, name=NGRAM_WEIGHTS
    )(ids)
    first = config.initializer or (None if linear else "random_uniform")
    embedding = BagEmbedding(
        vocabulary_size,
        config.embedding_dim or ((1 if classes == 2 else min(classes, _MAX_EMBEDDING)) if linear else _MAX_EMBEDDING),
        l1=config.l1,
        l2=config.l2,
        initializer=initializer(first, seed=seed + 1) if first else "zeros",
        name=EMBEDDING,
    )([ids, values])
    outputs = head(
        hidden(embedding, config.hidden_units, config, seed=seed), classes, config, activation=output, seed=seed
    )
    model = keras.Model(ids, outputs, name="ngram")
    if linear and config.initializer is None:
        model.get_layer(HEAD).kernel.assign(_contrasts(embedding.shape[-1], classes, seed))
    return model


def bow(
    *, valued: bool, vocabulary_size: int, classes: int, config: TextModelConfig, seed: int, output: str = "softmax"
) -> keras.Model:
    """Build a linear model of a bag of n-grams: logistic regression, or with a hinge loss the linear SVM.

    With `l2` = 1 / (C * items) for two classes it is scikit-learn's `LogisticRegression(C)` over the same features.

    Args:
        valued: whether counts or TF-IDF weights come with the ids.
        vocabulary_size: the number of n-grams.
        classes: the number of classes.
        config: the model's settings.
        seed: of every random draw in the model.
        output: activation of the last layer: `softmax`, or `linear` for scores.

    Returns:
        an uncompiled model: int32 (batch, length), with float32 alike if `valued`, in; float32 (batch, classes) out.
    """
    inputs, (ids, values) = _inputs(valued)
    outputs = BagEmbedding(
        vocabulary_size,
        classes,
        bias=True,
        activation=output,
        l1=config.l1,
        l2=config.l2,
        initializer=initializer(config.initializer, seed=seed + 1) if config.initializer else "zeros",
        dtype="float32",
        name=HEAD,
    )([ids, values])
    return keras.Model(inputs, outputs, name="bow")


def mlp(
    *, valued: bool, vocabulary_size: int, classes: int, config: TextModelConfig, seed: int, output: str = "softmax"
) -> keras.Model:
    """Build a multi-layer perceptron over a bag of n-grams; arguments and result as those of `bow`."""
    inputs, (ids, values) = _inputs(valued)
    first, *rest = config.hidden_units or _HIDDEN_UNITS
    outputs = BagEmbedding(
        vocabulary_size,
        first,
        bias=True,
        activation=activation(config.activation or "relu"),
        l1=config.l1,
        l2=config.l2,
        initializer=initializer(config.initializer or "glorot_uniform", seed=seed + 1),
        name=EMBEDDING,
    )([ids, values])
    outputs = hidden(outputs, tuple(rest), config, seed=seed)
    return keras.Model(inputs, head(outputs, classes, config, activation=output, seed=seed), name="mlp")


def _inputs(valued: bool) -> tuple[Any, tuple[Any, Any]]:
    """Return the inputs of a model, and the ids and values that come of them."""
    ids = keras.Input((None,), dtype="int32", name="ids")
    if not valued:
        return ids, (ids, Known(name="known")(ids))
    values = keras.Input((None,), dtype="float32", name="values")
    return [ids, values], (ids, values)


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
