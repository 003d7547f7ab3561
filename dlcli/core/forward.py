"""A model's answers, without training: on validation data, in `evaluate`, in `predict`."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlcli.core.backend import keras, tf
from dlcli.core.batches import ordered_batches
from dlcli.core.domain import Inputs

# Batches made ahead of the step that takes them.
AHEAD = 4


class Forward:
    """A model as a function of inputs, traced once.

    Args:
        model: its output is (items, classes).
        batch_size: items that go through it together.
    """

    def __init__(self, model: keras.Model, *, batch_size: int = 512) -> None:
        self.batch_size = batch_size
        self._call = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)
        self._classes = model.output_shape[-1]

    def __call__(self, inputs: Inputs) -> np.ndarray[Any, Any]:
        """Return the outputs, float32 (items, classes), in the order of the items."""
        found: np.ndarray[Any, Any] = np.empty((len(inputs), self._classes), np.float32)
        if len(inputs):
            batches = ordered_batches(inputs.lengths, batch_size=self.batch_size)
            for rows, batch in zip(batches, inputs.dataset(row_numbers(batches)).prefetch(AHEAD), strict=True):
                found[rows] = self._call(batch).numpy()
        return found


def row_numbers(batches: list[np.ndarray[Any, Any]]) -> tf.data.Dataset:
    """Return batches of row numbers as a dataset: what `Inputs.dataset` takes."""
    spec = tf.TensorSpec([None], tf.int64)
    numbers = tf.data.Dataset.from_generator(batches.__iter__, output_signature=spec)
    return numbers.apply(tf.data.experimental.assert_cardinality(len(batches)))
