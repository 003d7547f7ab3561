"""Those of dlcli's own layers that are a few of Keras' own: for a reader easier than a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlcli.core.backend import keras
from dlcli.text.bag_models import BagEmbedding, NgramWeights
from dlcli.text.sequence_layers import MaskedPooling, PaddingBehind, WordEmbedding


def is_plain(layer: Any) -> bool:
    """Say whether `plain_lines` writes a layer."""
    if isinstance(layer, NgramWeights):
        return not layer.dropout
    if isinstance(layer, BagEmbedding):
        linear = keras.activations.serialize(layer.activation) == "linear"
        return linear and not (layer.bias or layer.l1 or layer.l2)
    if isinstance(layer, MaskedPooling):
        return layer.mode == "max" and layer.compute_dtype == "float32"
    if isinstance(layer, WordEmbedding):
        return layer.embeddings_regularizer is None and layer.compute_dtype == "float32"
    return isinstance(layer, PaddingBehind)


def plain_lines(layer: Any, inputs: Sequence[str], name: str, given: Mapping[str, str]) -> list[str]:
    """Return the lines that compute what a layer does, bit for bit, where a script pads texts behind.

    Args:
        layer: any; without lines it is written as a call.
        inputs: the variables that it takes.
        name: of the variable for what comes out.
        given: the source of arrays, by `layer.argument`.
    """
    if not is_plain(layer):
        return []
    if isinstance(layer, PaddingBehind):
        return [f"{name} = {inputs[0]}"]
    if isinstance(layer, NgramWeights):
        first = f"initializers.Constant(np.append(0, {given[f'{layer.name}.weights']})[:, None])"
        weights = f"layers.Embedding({layer.vocabulary_size + 1}, 1, {first}, trainable=False)"
        return [
            f"{name} = {weights}({inputs[0]})[:, :, 0]",
            f"{name} = {name} / ops.maximum(ops.sqrt(ops.sum(ops.square({name}), axis=1, keepdims=True)), 1e-6)",
        ]
    if isinstance(layer, BagEmbedding):
        first = _initializer(layer.initializer)
        return [
            f"{name} = layers.Embedding({layer.vocabulary_size + 1}, {layer.dim}, {first})({inputs[0]})",
            f"{name} = ops.einsum('bl,bld->bd', {inputs[1]}, {name})",
        ]
    if isinstance(layer, WordEmbedding):
        first = _initializer(layer.embeddings_initializer)
        frozen = "" if layer.trainable else ", trainable=False"
        return [
            f"{name} = layers.Embedding({layer.input_dim}, {layer.output_dim}, {first}{frozen})({inputs[0]})",
            f"{name} = {name} * ops.cast(ops.expand_dims({inputs[0]} != 0, -1), 'float32')",
        ]
    return [
        f"shown = ops.expand_dims({inputs[1]}, -1)",
        f"{name} = ops.max(ops.where(shown, {inputs[0]}, -1e30), axis=1) * ops.max(ops.cast(shown, 'float32'), axis=1)",
    ]


def _initializer(initializer: Any) -> str:
    settings = {key: one for key, one in initializer.get_config().items() if one is not None}
    return f"initializers.{type(initializer).__name__}({', '.join(f'{key}={one!r}' for key, one in settings.items())})"
