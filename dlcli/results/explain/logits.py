"""A model as a function to its logits, and gradients of them.

Logits are explained, not probabilities: where a model is sure, a softmax is flat, and its gradient says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dlcli.core.backend import keras, tf
from dlcli.core.ensemble import GeometricMean
from dlcli.errors import ModelError

ops = keras.ops

Gradient = Callable[[np.ndarray[Any, Any]], tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]
"""float32 (rows, ...) -> the target's logit of each row, (rows,), and its gradient, (rows, ...)."""

# Steps on the path of integrated gradients: doubled until the attributions sum to what they should, within this share
# of it, or of a logit. Sundararajan et al. 2017 name 20 to 300 steps, and a gap of 5 %.
_FEWEST_STEPS, _MOST_STEPS, _GAP = 32, 256, 0.01


def to_logits(model: keras.Model) -> keras.Model:
    """Return a model on the same layers that gives each class' logit; scores stay as they are.

    A softmax does not see what is added to all that goes into it. So a logit is here how far a class is above the mean
    of the others: ln p - mean of the others' ln p, which for two classes is ln(p / (1 - p)).

    The model computes in float32: the 7 bits that bfloat16 keeps of a number are too few to add small weights up.

    Args:
        model: functional, with an output a class, or an ensemble of such.

    Raises:
        ModelError: it ends in something else.
    """
    model = _in_float32(model)
    (output,) = model.outputs
    below = _below_softmax(output)
    outputs = output if below is output else Contrast(name="contrast")(below)
    return keras.Model(_alone(model.inputs), outputs, name=f"{model.name}_logits")


class Contrast(keras.layers.Layer):  # type: ignore[misc]
    """How far each number of a row is above the mean of the others; (batch, classes) to the same."""

    def call(self, inputs: Any) -> Any:
        """Subtract."""
        classes = inputs.shape[-1]
        return (classes * inputs - ops.sum(inputs, axis=-1, keepdims=True)) / max(1, classes - 1)


def _in_float32(model: keras.Model) -> keras.Model:
    if all(layer.compute_dtype == "float32" for layer in model._flatten_layers()):
        return model

    def cloned(layer: Any) -> Any:
        return type(layer).from_config(layer.get_config() | {"dtype": "float32"})

    copy = keras.models.clone_model(model, clone_function=cloned, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


def _below_softmax(output: Any) -> Any:
    history = output._keras_history
    layer, node = history.operation, history.operation._inbound_nodes[history.node_index]
    inputs = _alone(node.input_tensors)
    if isinstance(layer, GeometricMean):
        logs = [ops.log_softmax(_member(member), axis=-1) for member in node.input_tensors]
        return sum(weight * log for weight, log in zip(layer.weights_of_members, logs, strict=True))
    activation = getattr(layer, "activation", None)
    if isinstance(layer, keras.layers.Softmax) or (
        isinstance(layer, keras.layers.Activation) and activation is keras.activations.softmax
    ):
        return inputs
    if activation is keras.activations.linear:
        return output
    if activation is not keras.activations.softmax:
        raise ModelError(
            f"the model ends in {layer.name!r}, which is neither a softmax nor scores", hint="It cannot be explained"
        )
    twin = type(layer).from_config(layer.get_config() | {"activation": "linear"})
    logits = twin(inputs)
    twin.set_weights(layer.get_weights())
    return logits


def _member(output: Any) -> Any:
    """Return what goes into the softmax of a model inside another one, for what it is called on there."""
    history = output._keras_history
    inputs = history.operation._inbound_nodes[history.node_index].input_tensors
    model = history.operation
    below = keras.Model(_alone(model.inputs), _below_softmax(model.outputs[0]))
    return below(_alone(inputs))


def _alone(tensors: list[Any]) -> Any:
    """Return several tensors as they are, and a single one without its list."""
    return tensors if len(tensors) > 1 else tensors[0]


class Gradients:
    """Gradients of a class' logit with respect to a model's last input.

    Args:
        model: to logits.
        together: rows that go through it at once.
    """

    def __init__(self, model: keras.Model, *, together: int) -> None:
        self.together = together

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def some(rows: tf.Tensor, target: tf.Tensor, given: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
            others = [tf.repeat(one, tf.shape(rows)[0], axis=0) for one in given]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(rows)
                logits = tf.gather(model([*others, rows] if others else rows, training=False), target, axis=1)
            return logits, tape.gradient(logits, rows)

        self._some = some

    def of(self, target: int, *given: Any) -> Gradient:
        """Return the logit of a class and its gradient as a function of rows.

        Args:
            target: the class.
            *given: the model's other inputs, (1, ...), the same for all rows.
        """

        def gradient(rows: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
            starts = range(0, len(rows), self.together)
            parts = [
                self._some(tf.constant(rows[start : start + self.together]), tf.constant(target), given)
                for start in starts
            ]
            logits, gradients = (np.concatenate([part[place].numpy() for part in parts]) for place in (0, 1))
            return logits, gradients

        return gradient


def gradients_of_maps(model: keras.Model) -> Callable[[Any, Any], Any]:
    """Return a function of pixels and targets to the maps, the logits' gradients at them, and the logits."""

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def weigh(pixels: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            maps, logits = model(pixels, training=False)
            chosen = tf.gather(logits, targets, axis=1, batch_dims=1)
        return maps, tape.gradient(chosen, maps), chosen

    return weigh  # type: ignore[no-any-return]


def integrated(
    gradient: Gradient, start: np.ndarray[Any, Any], stop: np.ndarray[Any, Any], *, straight: bool = False
) -> tuple[np.ndarray[Any, Any], float, float]:
    """Return integrated gradients (Sundararajan et al. 2017, equation 1), by the trapezoidal rule.

    Args:
        gradient: of the target's logit.
        start: float32, the baseline.
        stop: float32 alike, the item.
        straight: whether the logit is known to be affine between them, where a single step is exact.

    Returns:
        the attributions, float32 of the same shape; the logit of `start`, and that of `stop`. The attributions sum to
        the difference, but for what the steps leave.
    """

    def points(shares: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(start + shares.astype(np.float32).reshape(-1, *[1] * start.ndim) * (stop - start))

    steps = 1 if straight else _FEWEST_STEPS
    logits, gradients = gradient(points(np.linspace(0, 1, steps + 1)))
    mean = (gradients[1:].mean(axis=0) + gradients[:-1].mean(axis=0)) / 2
    difference = float(logits[-1] - logits[0])
    while True:
        found = np.asarray((stop - start) * mean)
        if straight or steps >= _MOST_STEPS or abs(float(found.sum()) - difference) <= _GAP * max(1.0, abs(difference)):
            return found, float(logits[0]), float(logits[-1])
        between = gradient(points((np.arange(steps) + 0.5) / steps))[1].mean(axis=0)
        mean, steps = (mean + between) / 2, 2 * steps
