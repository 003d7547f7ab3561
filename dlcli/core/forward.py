"""A model's answers, without training: on validation data, in `evaluate`, in `predict`."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.core.backend import keras, tf
from dlcli.core.batches import ordered_batches
from dlcli.core.domain import Inputs

# Items that go through a model together, or fewer where each is so large that they would have more cells than this.
_BATCH, _MOST_CELLS = 512, 2**21
# Batches made ahead of the step that takes them.
_AHEAD = 4
_NO_ROWS = np.empty(0, np.int64)
# Where TensorFlow keeps the functions behind `tf.numpy_function`.
_KEPT = "_py_funcs_used_in_graph"
_MAKING = threading.Lock()


class Forward:
    """A model as a function of inputs, traced once.

    Args:
        model: its output is (items, classes).
        batch_size: items that go through it together; without it as many as fit its size.
    """

    def __init__(self, model: keras.Model, *, batch_size: int | None = None) -> None:
        self.batch_size = batch_size or _batch_size(model)
        self._call = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)
        self._classes = model.output_shape[-1]

    def __call__(self, inputs: Inputs) -> np.ndarray[Any, Any]:
        """Return the outputs, float32 (items, classes), in the order of the items."""
        return self.answer(self.batches(inputs))

    def batches(self, inputs: Inputs) -> Batches:
        """Cut inputs into batches, for several calls of `answer`."""
        numbers = self._cut(inputs) if len(inputs) else []
        dataset = owning(lambda: ahead(inputs.dataset(row_numbers(numbers))))
        return Batches(numbers=numbers, source=inputs, inputs=dataset)

    def _cut(self, inputs: Inputs) -> list[np.ndarray[Any, Any]]:
        return ordered_batches(inputs.lengths, batch_size=self.batch_size, widths=inputs.widths)

    def answer(self, batches: Batches, *, between: Callable[[], None] = lambda: None) -> np.ndarray[Any, Any]:
        """Return the outputs for batches, float32 (items, classes), in the order of the items.

        Args:
            batches: from `batches`.
            between: called before each; what it raises ends the work.
        """
        items = sum(map(len, batches.numbers))
        found: np.ndarray[Any, Any] = np.empty((items, self._classes), np.float32)
        with naming_bad_items(batches.source):
            for rows, batch in zip(batches.numbers, batches.inputs, strict=True):
                between()
                found[rows] = self._call(batch).numpy()
        return found


def ahead(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Make a dataset's batches a few ahead of the step that takes them.

    Without autotuning, which has nothing to choose here: its thread looks at longer and longer intervals, and the end
    of an epoch waited for it, up to a minute. Without rewriting, which finds nothing either, and is half of what an
    epoch takes to begin.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return dataset.prefetch(_AHEAD).with_options(options)


def owning(make: Callable[[], tf.data.Dataset]) -> tf.data.Dataset:
    """Make a dataset that keeps the Python functions that it calls, for as long as it is kept itself.

    TensorFlow would keep them, and the pictures that they refer to, for as long as the process lives.
    """
    with _MAKING:
        graph = tf.compat.v1.get_default_graph()
        count = len(getattr(graph, _KEPT, ()))
        dataset = make()
        functions = getattr(graph, _KEPT, [])
        dataset.functions = functions[count:]
        del functions[count:]
    return dataset


def _batch_size(model: keras.Model) -> int:
    """Return how many items go through a model together."""
    cells = max((math.prod(filter(None, tensor.shape[1:3])) for tensor in model.inputs), default=1)
    return max(1, min(_BATCH, _MOST_CELLS // cells))


@contextlib.contextmanager
def naming_bad_items(inputs: Inputs) -> Iterator[None]:
    """Say what is wrong with an item that could not be read, in the place of TensorFlow's error about its batch."""
    try:
        yield
    except tf.errors.OpError:
        if inputs.problem is not None:
            raise inputs.problem from None
        raise


@dataclass(frozen=True, kw_only=True)
class Batches:
    """Inputs as a dataset of batches, and the row numbers of each."""

    numbers: list[np.ndarray[Any, Any]]
    source: Inputs
    inputs: tf.data.Dataset


def row_numbers(batches: list[np.ndarray[Any, Any]]) -> tf.data.Dataset:
    """Return batches of row numbers as a dataset: what `Inputs.dataset` takes.

    To build such a dataset and what follows it takes longer than to read it, so it may be used again with other
    batches in the same list.
    """

    def together() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        return np.concatenate([_NO_ROWS, *batches]), np.array([len(rows) for rows in batches], np.int64)

    def apart(_: tf.Tensor) -> tf.data.Dataset:
        rows, lengths = (tf.ensure_shape(one, [None]) for one in tf.numpy_function(together, [], [tf.int64, tf.int64]))
        return tf.data.Dataset.from_tensor_slices(tf.RaggedTensor.from_row_lengths(rows, lengths, validate=False))

    return tf.data.Dataset.range(1).flat_map(apart)
