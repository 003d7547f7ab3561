"""TensorFlow's SavedModel: raw items in, classes and probabilities out, for TensorFlow Serving and TensorFlow alone."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from dlcli.core.backend import tf
from dlcli.serving.card import Tensor
from dlcli.serving.predictor import Predictor


class _Served(tf.Module):  # type: ignore[misc]
    """Raw items in, as a tensor of strings; classes and probabilities (or scores) out."""

    def __init__(self, predictor: Predictor, outputs: str) -> None:
        super().__init__()
        self.pipeline = predictor.pipeline
        self.model = predictor.model
        self.labels = tf.constant(predictor.labels)
        self.outputs = outputs
        items = tf.TensorSpec([None], tf.string, name=self.pipeline.input_name)
        self.serve = tf.function(self._serve, input_signature=[items])

    def _serve(self, items: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = self.model(self.pipeline.graph(items), training=False)
        return {
            "label": tf.gather(self.labels, tf.argmax(outputs, axis=1)),
            self.outputs: outputs,
            "class_names": tf.tile(self.labels[tf.newaxis], [tf.shape(items)[0], 1]),
        }


def write(predictor: Predictor, folder: Path, *, outputs: str) -> tuple[list[Tensor], str]:
    """Write a SavedModel that takes raw items.

    Its signature `serving_default` takes strings (n,), `text` or `image` (the bytes of picture files), and gives
    `label`, strings (n,), `probabilities`, float32 (n, classes), and `class_names`, strings (n, classes), in the order
    of the probabilities, which are `scores` where the run gives scores.

    Args:
        predictor: the run.
        folder: where.
        outputs: the name of the outputs.

    Returns:
        the input, and the name of the output.
    """
    served = _Served(predictor, outputs)
    try:
        tf.saved_model.save(served, str(folder), signatures={"serving_default": served.serve})
    except tf.errors.OpError as error:
        raise _of_the_disk(error) or error from None
    return [Tensor(name=predictor.pipeline.input_name, dtype="string", shape=[None])], outputs


def _of_the_disk(error: tf.errors.OpError) -> OSError | None:
    """Return the system's error that TensorFlow's C++ met, if it was one: it ends in the system's words for it."""
    for number in errno.errorcode:
        if f"; {os.strerror(number)}" in error.message:
            return OSError(number, os.strerror(number))
    return None
