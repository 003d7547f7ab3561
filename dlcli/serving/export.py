"""Exports: artefacts that need no dlcli, and the proof that they answer as the run does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.backend import tf
from dlcli.core.files import replacing, write_text
from dlcli.errors import ModelError
from dlcli.serving.predictor import Predictor

# The largest difference of a probability that counts as equal: float32 rounding, with a margin. Of a score it is the
# largest difference relative to its size, where that is over 1.
TOLERANCE = 1e-5
# TensorFlow Serving leaves this folder of a SavedModel to its maker.
_EXTRA = "assets.extra"


class _Served(tf.Module):  # type: ignore[misc]
    """Raw items in, as a tensor of strings; classes and probabilities (or scores) out."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.pipeline = predictor.pipeline
        self.model = predictor.model
        self.labels = tf.constant(predictor.labels)
        self.outputs = _outputs(predictor)
        items = tf.TensorSpec([None], tf.string, name=self.pipeline.input_name)
        self.serve = tf.function(self._serve, input_signature=[items])

    def _serve(self, items: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = self.model(self.pipeline.graph(items), training=False)
        return {
            "label": tf.gather(self.labels, tf.argmax(outputs, axis=1)),
            self.outputs: outputs,
            "class_names": tf.tile(self.labels[tf.newaxis], [tf.shape(items)[0], 1]),
        }


def export_savedmodel(predictor: Predictor, out: Path, *, verify_with: Sequence[str] = ()) -> float | None:
    """Write a SavedModel that takes raw items: whole and verified, or not at all.

    Its signature `serving_default` takes strings (n,), `text` or `image` (the bytes of picture files), and gives
    `label`, strings (n,), `probabilities`, float32 (n, classes), and `class_names`, strings (n, classes), in the order
    of the probabilities, which are `scores` where the run gives scores.

    Args:
        predictor: the run.
        out: where; an artefact that stands there is replaced when the new one is ready.
        verify_with: raw items to run through the run and the artefact.

    Returns:
        the largest difference of a probability (of a score: see `TOLERANCE`); None without items.

    Raises:
        ModelError: the artefact does not answer as the run; `out` is as it was.
    """
    served = _Served(predictor)
    with replacing(out) as temporary:
        tf.saved_model.save(served, str(temporary), signatures={"serving_default": served.serve})
        (temporary / _EXTRA).mkdir()
        card = {
            "made_by": f"dlcli {predictor.record.machine['versions']['dlcli']}",
            "labels": predictor.labels,
            "model": predictor.record.model,
            "data": predictor.record.data,
            "validation": predictor.record.scores,
        }
        write_text(temporary / _EXTRA / "dlcli.json", json.dumps(card, indent=2) + "\n")
        return verify_savedmodel(predictor, temporary, verify_with) if verify_with else None


def verify_savedmodel(predictor: Predictor, path: Path, items: Sequence[str]) -> float:
    """Run raw items through the run and through the artefact.

    Args:
        predictor: the run.
        path: the SavedModel, which is loaded with TensorFlow alone.
        items: raw items, at least one.

    Returns:
        the largest difference of a probability (of a score: see `TOLERANCE`).

    Raises:
        ModelError: it is over `TOLERANCE` (names the worst item), or the class names differ.
    """
    name, expected = _outputs(predictor), predictor.outputs(items)
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    raw, given = predictor.pipeline.raw(items), predictor.pipeline.input_name
    answers = [signature(**{given: tf.constant(raw[start : start + 64])}) for start in range(0, len(raw), 64)]
    names = [name.decode() for name in answers[0]["class_names"][0].numpy()]
    if names != predictor.labels:
        raise ModelError(f"the export does not answer as the run: its classes are {names}, not {predictor.labels}")
    actual: np.ndarray[Any, Any] = np.concatenate([answer[name].numpy() for answer in answers])
    labels = [label.decode() for answer in answers for label in answer["label"].numpy()]
    if labels != [names[best] for best in actual.argmax(axis=1)]:
        raise ModelError(f"the export does not answer as the run: its labels are not those of its largest {name}")
    sizes = 1.0 if predictor.probabilistic else np.maximum(1.0, np.abs(expected))
    differences = (np.abs(expected - actual) / sizes).max(axis=1)
    worst = int(differences.argmax())
    if not differences[worst] <= TOLERANCE:
        raise ModelError(
            f"the export does not answer as the run: its {name} differ by up to {differences[worst]:.2g} "
            f"(tolerance {TOLERANCE:g}), most for item {worst + 1} of {len(items)}",
            hint="It was not kept; please report this",
        )
    return float(differences[worst])


def _outputs(predictor: Predictor) -> str:
    return "probabilities" if predictor.probabilistic else "scores"
