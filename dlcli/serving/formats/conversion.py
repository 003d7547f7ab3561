"""A run's model as other runtimes take it: in float32, as a function of its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlcli.core.backend import keras, tf

_MIXED = ("mixed_bfloat16", "mixed_float16")


def in_float32(model: keras.Model) -> keras.Model:
    """Return a model that computes in float32, with the same weights: other runtimes have no bfloat16.

    Weights are float32 whatever a model computes with, so that nothing of them is lost.
    """
    config = keras.saving.serialize_keras_object(model)
    if not _mixed(config):
        return model
    found = keras.saving.deserialize_keras_object(_replaced(config), safe_mode=True)
    found.set_weights(model.get_weights())
    return found


def _mixed(config: Any) -> bool:
    if isinstance(config, dict):
        return any(map(_mixed, config.values()))
    if isinstance(config, list | tuple):
        return any(map(_mixed, config))
    return isinstance(config, str) and config in (*_MIXED, "bfloat16", "float16")


def _replaced(config: Any) -> Any:
    """Return a config with float32 in the place of each policy and each type of fewer bits."""
    if isinstance(config, dict):
        return {key: _replaced(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [_replaced(value) for value in config]
    return "float32" if isinstance(config, str) and config in (*_MIXED, "bfloat16", "float16") else config


def is_recurrent(model: keras.Model) -> bool:
    """Say whether a model has a loop over the words of a text or the rows of a picture."""
    return any(isinstance(layer, keras.layers.RNN) for layer in layers_of(model))


def layers_of(model: keras.Model) -> list[Any]:
    """Return all layers of a model, those of models inside it too."""
    return [layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, keras.Model)]


def signature(model: keras.Model, *, batch: int | None) -> list[tf.TensorSpec]:
    """Return a model's inputs: ids of texts of any length, or pixels.

    Args:
        model: functional.
        batch: how many items it takes at once; None for any number.
    """
    return [tf.TensorSpec((batch, *given.shape[1:]), given.dtype, name=given.name) for given in model.inputs]


def as_function(model: keras.Model, inputs: Sequence[tf.TensorSpec], *, outputs: str) -> Any:
    """Return a model at inference as a `tf.function` of its inputs, one argument for each.

    Args:
        model: functional.
        inputs: what it takes.
        outputs: the name of what it gives.
    """

    def call(*given: Any) -> dict[str, Any]:
        return {outputs: model(list(given) if len(given) > 1 else given[0], training=False)}

    return tf.function(call, input_signature=list(inputs), autograph=False)
