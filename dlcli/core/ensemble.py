"""Several classifiers as one model: the weighted geometric mean of their probabilities. No TensorFlow op inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlcli.core.backend import keras

ops = keras.ops

# A probability counts as this much at least: a float32 softmax gives exact zeros, which have no logarithm.
SMALLEST = 1e-30


@keras.saving.register_keras_serializable(package="dlcli")
class GeometricMean(keras.layers.Layer):  # type: ignore[misc]
    """The weighted mean of log probabilities, made probabilities again (logarithmic opinion pool, Heskes 1998).

    Args:
        weights: one for each member, fixed; they sum to 1.

    Input: a list of float (batch, classes), one for each member. Output: float32 (batch, classes), rows that sum to 1.
    """

    def __init__(self, weights: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.weights_of_members = tuple(weights)

    def call(self, members: list[Any]) -> Any:
        """Mix."""
        logs = [ops.log(ops.maximum(member, SMALLEST)) for member in members]
        mixed = sum(weight * log for weight, log in zip(self.weights_of_members, logs, strict=True))
        return ops.softmax(mixed, axis=-1)

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return (batch, classes)."""
        return shapes[0]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        config: dict[str, Any] = super().get_config()
        return config | {"weights": list(self.weights_of_members)}


def join(models: Sequence[keras.Model], weights: Sequence[float]) -> keras.Model:
    """Make one model of several.

    Args:
        models: loaded anew, as they become parts of the result (`member_1`, ...) under names of their own.
        weights: one for each; they sum to 1.

    Returns:
        an uncompiled model; its inputs are those of all members, in their order, its output float32 (batch, classes).
    """
    inputs, outputs = [], []
    for number, model in enumerate(models, start=1):
        model.name = f"member_{number}"
        own = [
            keras.Input(given.shape[1:], dtype=given.dtype, name=f"{model.name}_{given.name}") for given in model.inputs
        ]
        inputs += own
        outputs.append(model(own if len(own) > 1 else own[0]))
    return keras.Model(inputs, GeometricMean(weights, name="classes")(outputs), name="ensemble")
