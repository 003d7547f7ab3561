"""Models that read a text's words in their order, by name: from padded word ids to the probability of each class.

Word ids: 0 is padding, 1 a word that is not in the vocabulary, the words begin at 2. What a model answers does not
depend on how much padding there is, or on which side.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dlcli.core.backend import keras
from dlcli.core.layers import activation, dropout, head, hidden, initializer, penalty
from dlcli.errors import UsageError
from dlcli.text.config import TextModelConfig
from dlcli.text.pipeline import UNKNOWN
from dlcli.text.sequence_layers import (
    LocalMaxPooling,
    MaskedPooling,
    PaddingBehind,
    PositionEmbedding,
    ReverseWords,
    SelfAttention,
    WordEmbedding,
)

ops = keras.ops
layers = keras.layers

SPECIAL_IDS = UNKNOWN + 1
"""Ids before the first word's: padding and unknown."""
# What each few outputs of a convolution become one of before an LSTM reads them.
_POOL = 4
_CELLS = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


def build(
    config: TextModelConfig,
    *,
    vocabulary_size: int,
    classes: int,
    seed: int,
    max_length: int,
    output: str = "softmax",
    vectors: np.ndarray[Any, Any] | None = None,
) -> keras.Model:
    """Build one of the sequence models.

    `config.initializer` is that of all weights but the embedding's and those from a recurrent state to the next.

    Args:
        config: the model's settings; the defaults of `dlcli.text.defaults` take the place of what is None.
        vocabulary_size: the number of words.
        classes: the number of classes.
        seed: of every random draw in the model.
        max_length: the most words of a text, for the transformer's positions.
        output: activation of the last layer: `softmax`, or `linear` for scores.
        vectors: float32 (vocabulary_size, embedding_dim), what the words' embeddings start with; a row of NaN starts
            at random.

    Returns:
        an uncompiled model: int32 (batch, length) in, float32 (batch, classes) out.

    Raises:
        UsageError: the vectors have another size than `config.embedding_dim`.
    """
    config = config.resolved_model()
    seeds = itertools.count(seed + 1_000)
    ids = keras.Input((None,), dtype="int32", name="ids")
    behind = PaddingBehind(name="padding_behind")(ids)
    mask = ops.not_equal(behind, 0)
    embedding = _embedding(config, vocabulary_size, vectors, seed=next(seeds))
    words = embedding(behind)
    if config.word_dropout:
        words = layers.Dropout(config.word_dropout, noise_shape=(None, None, 1), seed=next(seeds))(words)
    if config.embedding_dropout:
        words = layers.SpatialDropout1D(config.embedding_dropout, seed=next(seeds))(words)
    if config.model == "transformer":
        first = keras.initializers.RandomNormal(stddev=0.02, seed=next(seeds))
        words = PositionEmbedding(max_length, initializer=first, name="positions")(words)
    read, mask = _READERS[config.model](words, mask, config, seeds)
    text = MaskedPooling(config.pooling or "max", name="pooling")(read, mask)
    text = hidden(text, config.hidden_units, config, seed=seed)
    model = keras.Model(ids, head(text, classes, config, activation=output, seed=seed), name=config.model)
    if vectors is not None:
        table = embedding.get_weights()[0]
        table[SPECIAL_IDS:] = np.where(np.isnan(vectors), table[SPECIAL_IDS:], vectors)
        embedding.set_weights([table])
    return model


def _embedding(
    config: TextModelConfig, vocabulary_size: int, vectors: np.ndarray[Any, Any] | None, *, seed: int
) -> WordEmbedding:
    dim = vectors.shape[1] if vectors is not None else config.embedding_dim
    assert dim is not None, "resolved"
    if config.embedding_dim not in (None, dim):
        raise UsageError(
            f"--embedding-dim {config.embedding_dim} is not the size of the vectors, {dim}", hint="Leave it out"
        )
    if config.heads and dim % config.heads:
        raise UsageError(f"--heads {config.heads} must divide the size of the embedding, {dim}")
    return WordEmbedding(
        vocabulary_size + SPECIAL_IDS,
        dim,
        embeddings_initializer=keras.initializers.RandomUniform(-0.05, 0.05, seed=seed),
        embeddings_regularizer=penalty(config.l1, config.l2),
        trainable=not config.freeze_embedding,
        name="embedding",
    )


def _cnn(words: Any, mask: Any, config: TextModelConfig, seeds: Iterator[int]) -> tuple[Any, Any]:
    """Put convolutions of several widths side by side (Kim 2014)."""
    outputs = [
        layers.Conv1D(
            config.units,
            size,
            padding="same",
            activation=activation(config.activation or "relu"),
            bias_regularizer=penalty(config.bias_l1, config.bias_l2),
            name=f"conv_{size}",
            **_weights(config, seeds),
        )(words)
        for size in config.kernel_sizes
    ]
    return (layers.Concatenate(name="widths")(outputs) if len(outputs) > 1 else outputs[0]), mask


def _cnn_lstm(words: Any, mask: Any, config: TextModelConfig, seeds: Iterator[int]) -> tuple[Any, Any]:
    """Let an LSTM read what is largest of each few outputs of a convolution (Zhou et al. 2015, "A C-LSTM")."""
    features, mask = _cnn(words, mask, config, seeds)
    return _recurrent("lstm")(*LocalMaxPooling(_POOL, name="local_pooling")(features, mask), config, seeds)


def _recurrent(cell: str, *, both_ways: bool = False) -> Callable[..., tuple[Any, Any]]:
    """Return a reader of stacked recurrent layers.

    Padding stands behind, where it changes no output for a word: so the layers need no mask, which would cost a third
    of their speed and, on a GPU, the fast kernels. The other way they read each text turned round.
    """

    def read(words: Any, mask: Any, config: TextModelConfig, seeds: Iterator[int]) -> tuple[Any, Any]:
        outputs = words
        for number in range(1, (config.layers or 1) + 1):
            if number > 1:
                outputs = dropout(outputs, config, seed=next(seeds))
            name = f"{cell}_{number}"
            if not both_ways:
                outputs = _layer(cell, name, config, seeds)(outputs)
                continue
            ahead = _layer(cell, f"{name}_forward", config, seeds)(outputs)
            turned = ReverseWords(name=f"{name}_turned")(outputs, mask)
            back = _layer(cell, f"{name}_backward", config, seeds)(turned)
            back = ReverseWords(name=f"{name}_turned_back")(back, mask) if number < (config.layers or 1) else back
            outputs = layers.Concatenate(name=f"{name}_both")([ahead, back])
        return outputs, mask

    return read


def _layer(cell: str, name: str, config: TextModelConfig, seeds: Iterator[int]) -> Any:
    return _CELLS[cell](
        config.units,
        return_sequences=True,
        recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
        recurrent_regularizer=penalty(config.l1, config.l2),
        recurrent_dropout=config.recurrent_dropout,
        bias_regularizer=penalty(config.bias_l1, config.bias_l2),
        seed=next(seeds),
        name=name,
        **_weights(config, seeds),
    )


def _transformer(words: Any, mask: Any, config: TextModelConfig, seeds: Iterator[int]) -> tuple[Any, Any]:
    """Put encoder layers on each other, normalised before each half (Xiong et al. 2020)."""
    dim = words.shape[-1]
    assert config.heads is not None, "resolved"
    for number in range(1, (config.layers or 1) + 1):
        attention = SelfAttention(
            config.heads,
            initializers=tuple(_first(config, next(seeds)) for _ in range(2)),
            l1=config.l1,
            l2=config.l2,
            name=f"attention_{number}",
        )
        seen = attention(layers.LayerNormalization(name=f"attention_{number}_norm")(words), mask)
        words = words + dropout(seen, config, seed=next(seeds))
        inner = layers.LayerNormalization(name=f"feed_forward_{number}_norm")(words)
        inner = layers.Dense(
            config.units,
            activation=activation(config.activation or "relu"),
            name=f"feed_forward_{number}_inner",
            **_weights(config, seeds),
        )(inner)
        inner = layers.Dense(dim, name=f"feed_forward_{number}_outer", **_weights(config, seeds))(inner)
        words = words + dropout(inner, config, seed=next(seeds))
    return layers.LayerNormalization(name="norm")(words), mask


def _weights(config: TextModelConfig, seeds: Iterator[int]) -> dict[str, Any]:
    return {
        "kernel_initializer": _first(config, next(seeds)),
        "kernel_regularizer": penalty(config.l1, config.l2),
    }


def _first(config: TextModelConfig, seed: int) -> Any:
    return initializer(config.initializer or "glorot_uniform", seed=seed)


_READERS: dict[str, Callable[..., tuple[Any, Any]]] = {
    "cnn": _cnn,
    "rnn": _recurrent("rnn"),
    "lstm": _recurrent("lstm"),
    "gru": _recurrent("gru"),
    "bilstm": _recurrent("lstm", both_ways=True),
    "bigru": _recurrent("gru", both_ways=True),
    "cnn-lstm": _cnn_lstm,
    "transformer": _transformer,
}
