"""Layers that the sequence models need and Keras has not. No TensorFlow op inside a layer.

A text is a row of word ids with its padding (0) behind; `PaddingBehind` brings it there. Layers take a mask beside
their inputs: True where a word stands.
"""

from __future__ import annotations

from typing import Any

from dlcli.core.backend import keras
from dlcli.core.layers import penalty

ops = keras.ops
PACKAGE = "dlcli"


def _lowest(dtype: str) -> float:
    """Return what a maximum over numbers of a type never takes: far down, and finite in 16 bits too."""
    return -6e4 if dtype == "float16" else -1e30


@keras.saving.register_keras_serializable(package=PACKAGE)
class PaddingBehind(keras.layers.Layer):  # type: ignore[misc]
    """Move each text to the beginning of its row, so that all padding stands behind it.

    Input: int32 (batch, length). Output: the same.
    """

    def call(self, ids: Any) -> Any:
        """Shift each row by the number of zeros before its first word."""
        length = ops.shape(ids)[1]
        first = ops.argmax(ops.cast(ops.not_equal(ids, 0), "int32"), axis=1)
        places = ops.expand_dims(ops.arange(length, dtype="int32"), 0) + ops.expand_dims(ops.cast(first, "int32"), 1)
        return ops.take_along_axis(ids, ops.mod(places, length), axis=1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class WordEmbedding(keras.layers.Embedding):  # type: ignore[misc]
    """Keras' embedding, with zeros for padding: a convolution sees the same behind a text however much is added."""

    def call(self, ids: Any) -> Any:
        """Look words up."""
        outputs = super().call(ids)
        return outputs * ops.cast(ops.expand_dims(ops.not_equal(ids, 0), -1), outputs.dtype)


@keras.saving.register_keras_serializable(package=PACKAGE)
class ReverseWords(keras.layers.Layer):  # type: ignore[misc]
    """Turn the words of each text round; its padding stays behind. Twice gives the input again.

    Input: (batch, length, features) and the mask. Output: the first's shape.
    """

    def call(self, inputs: Any, mask: Any) -> Any:
        """Gather the last word first."""
        places = ops.expand_dims(ops.arange(ops.shape(inputs)[1], dtype="int32"), 0)
        words = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
        places = ops.where(mask, words - 1 - places, places)
        return ops.take_along_axis(inputs, ops.expand_dims(places, -1), axis=1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class LocalMaxPooling(keras.layers.Layer):  # type: ignore[misc]
    """Keep the largest of each few neighbours, padding left out; the first few begin with the first word.

    Args:
        size: how many become one.

    Input: (batch, length, features) and the mask. Output: (batch, length / size rounded up, features) and its mask.
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size

    def call(self, inputs: Any, mask: Any) -> Any:
        """Pool."""
        lowest = ops.cast(_lowest(inputs.dtype), inputs.dtype)
        shown = ops.where(ops.expand_dims(mask, -1), inputs, lowest)
        # Keras' own padding would stand on both sides, and move with the length.
        shown = ops.concatenate([shown, *[ops.full_like(shown[:, :1], lowest)] * (self.size - 1)], axis=1)
        pooled = ops.max_pool(shown, self.size, strides=self.size, padding="valid")
        return pooled, mask[:, :: self.size]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        config: dict[str, Any] = super().get_config()
        return config | {"size": self.size}


@keras.saving.register_keras_serializable(package=PACKAGE)
class MaskedPooling(keras.layers.Layer):  # type: ignore[misc]
    """Make one vector of the vectors of a text's words; zeros of a text without words.

    Args:
        mode: `max`, `mean`, or `last`, which takes that of the last word.

    Input: (batch, length, features) and the mask. Output: (batch, features).
    """

    def __init__(self, mode: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = mode

    def call(self, inputs: Any, mask: Any) -> Any:
        """Pool."""
        shown = ops.cast(ops.expand_dims(mask, -1), inputs.dtype)
        if self.mode == "max":
            lowest = ops.cast(_lowest(inputs.dtype), inputs.dtype)
            largest = ops.max(ops.where(ops.expand_dims(mask, -1), inputs, lowest), axis=1)
            return largest * ops.max(shown, axis=1)
        if self.mode == "last":
            following = ops.concatenate([shown[:, 1:], ops.zeros_like(shown[:, :1])], axis=1)
            return ops.sum(inputs * (shown - following), axis=1)
        # 16 bits count exactly up to 256 only.
        words = ops.sum(ops.cast(mask, "float32"), axis=1, keepdims=True)
        total = ops.sum(ops.cast(inputs * shown, "float32"), axis=1)
        return ops.cast(total / ops.maximum(words, 1.0), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        config: dict[str, Any] = super().get_config()
        return config | {"mode": self.mode}


@keras.saving.register_keras_serializable(package=PACKAGE)
class PositionEmbedding(keras.layers.Layer):  # type: ignore[misc]
    """Add a trained vector for each place in the text.

    Args:
        places: how many have one of their own; those beyond share the last.
        initializer: of the vectors.

    Input and output: (batch, length, features).
    """

    def __init__(self, places: int, *, initializer: Any = "uniform", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.places = places
        self._initializer = keras.initializers.get(initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the vectors."""
        self.table = self.add_weight(name="table", shape=(self.places, input_shape[-1]), initializer=self._initializer)

    def call(self, inputs: Any) -> Any:
        """Add."""
        places = ops.minimum(ops.arange(ops.shape(inputs)[1], dtype="int32"), self.places - 1)
        return inputs + ops.cast(ops.take(self.table, places, axis=0), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        own = {"places": self.places, "initializer": keras.initializers.serialize(self._initializer)}
        config: dict[str, Any] = super().get_config()
        return config | own


@keras.saving.register_keras_serializable(package=PACKAGE)
class SelfAttention(keras.layers.Layer):  # type: ignore[misc]
    """Attention of each word of a text to all of them (Vaswani et al. 2017), with several heads.

    Keras' layer gives queries, keys and values the same first weights when its initializer has a seed.

    Args:
        heads: their number, a divisor of the features.
        initializers: of the weights of queries, keys and values together, and of those behind the attention.
        l1: penalty on the size of both.
        l2: penalty on their squares.

    Input: (batch, length, features) and the mask. Output: (batch, length, features).
    """

    def __init__(
        self,
        heads: int,
        *,
        initializers: tuple[Any, Any] = ("glorot_uniform", "glorot_uniform"),
        l1: float = 0.0,
        l2: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.heads = heads
        self.l1 = l1
        self.l2 = l2
        self._initializers = [keras.initializers.get(initializer) for initializer in initializers]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights."""
        features = input_shape[-1]
        assert features is not None, "the size of the embedding"
        for name, size, first in zip(("inner", "outer"), (3 * features, features), self._initializers, strict=True):
            settings = {"initializer": first, "regularizer": penalty(self.l1, self.l2)}
            setattr(self, f"{name}_kernel", self.add_weight(name=f"{name}_kernel", shape=(features, size), **settings))
            setattr(self, f"{name}_bias", self.add_weight(name=f"{name}_bias", shape=(size,), initializer="zeros"))

    def call(self, inputs: Any, mask: Any) -> Any:
        """Attend."""
        batch, length, features = ops.shape(inputs)
        together = ops.matmul(inputs, self.inner_kernel) + self.inner_bias
        split = ops.reshape(together, (batch, length, 3, self.heads, features // self.heads))
        seen = ops.reshape(mask, (batch, 1, 1, length))
        attended = ops.dot_product_attention(split[:, :, 0], split[:, :, 1], split[:, :, 2], mask=seen)
        return ops.matmul(ops.reshape(attended, (batch, length, features)), self.outer_kernel) + self.outer_bias

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        initializers = [keras.initializers.serialize(initializer) for initializer in self._initializers]
        own = {"heads": self.heads, "initializers": initializers, "l1": self.l1, "l2": self.l2}
        config: dict[str, Any] = super().get_config()
        return config | own
