"""What a training step takes of the memory, by what its layers put out."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import Any

from dlcli.core.backend import keras

# Bytes of a number, and how often a weight is there: itself, its gradient, and two of most optimizers.
_NUMBER, _OF_A_WEIGHT = 4, 4
# How often a step has what a layer puts out: itself and its gradient; a recurrent layer, the gates of each word too.
# Measured on our models a step takes from a third of what this adds up to (mlp, resnet) to nine tenths (cnn of texts).
_OF_AN_OUTPUT, _OF_A_STATE = 2, 10


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """What a training step takes, in bytes.

    Attributes:
        fixed: weights, gradients and the optimizer.
        least: for each item: what layers with weights put out waits for the gradients.
        likely: for each item: a careful estimate.
    """

    fixed: int
    least: int
    likely: int

    def at_least(self, batch_size: int) -> int:
        """Return the bytes that a step takes at least."""
        return self.fixed + batch_size * self.least

    def at_most(self, batch_size: int) -> int:
        """Return the bytes that a step should not exceed."""
        return self.fixed + batch_size * self.likely

    def fitting(self, available: int, *, below: int) -> int:
        """Return a batch size, a power of two, whose step should fit the memory; 0 if none does.

        Args:
            available: bytes.
            below: a batch size that does not fit.
        """
        items = min((available - self.fixed) // self.likely, below - 1)
        return 2 ** int(math.log2(items)) if items >= 1 else 0


def step_memory(model: keras.Model, *, longest: int) -> StepMemory:
    """Add up what a training step of a model takes.

    Args:
        model: functional.
        longest: words of the longest text, where the model takes texts of any length.
    """
    layers = list(model._flatten_layers(include_self=False, recursive=True))
    sizes = [sum(math.prod(side or longest for side in tensor.shape[1:]) for tensor in _outputs(one)) for one in layers]
    least = sum(size for layer, size in zip(layers, sizes, strict=True) if layer.trainable_weights)
    likely = _OF_AN_OUTPUT * sum(sizes) + sum(_inside(layer, longest) for layer in layers)
    weights = sum(math.prod(weight.shape) for weight in model.weights)
    return StepMemory(
        fixed=weights * _NUMBER * _OF_A_WEIGHT, least=max(1, least) * _NUMBER, likely=max(1, likely) * _NUMBER
    )


def _outputs(layer: keras.Layer) -> list[Any]:
    """Return a layer's outputs; none of one that only another layer calls."""
    with contextlib.suppress(AttributeError, ValueError):
        return layer.output if isinstance(layer.output, list) else [layer.output]
    return []


def _inside(layer: keras.Layer, longest: int) -> int:
    """Return how many numbers a layer keeps of an item beside its outputs: recurrent states, attention."""
    length = next((tensor.shape[1] for tensor in _outputs(layer) if len(tensor.shape) == 3), None) or longest
    states = layer.cell.units * length * _OF_A_STATE if isinstance(layer, keras.layers.RNN) else 0
    return int(states + getattr(layer, "heads", 0) * length**2 * _OF_AN_OUTPUT)
