"""Exports, opened again: each answers with its own runtime, and none of them with the run's code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.serving.card import Card, read_card
from dlcli.serving.extras import require_extra

# Items that a SavedModel answers together.
_BATCH = 64


class Artefact:
    """An export, ready to answer; made by `open`.

    Attributes:
        path: its folder.
        card: its `model.json`.
        format: `savedmodel`, `keras`, `litert` or `onnx`.
        labels: the names of the classes, in the order of the outputs.
    """

    def __init__(self, path: Path, card: Card, answer: Callable[[Sequence[Any]], Any]) -> None:
        self.path = path
        self.card = card
        self.format = card.format
        self.labels = card.labels
        self._answer = answer

    @classmethod
    def open(cls, path: Path) -> Artefact:
        """Check an export and load it.

        Args:
            path: its folder, or the model's file in it.

        Raises:
            UsageError: there is nothing there, or what runs it is not installed.
            ModelError: it is no export, or was changed after it was made.
        """
        folder = path.parent if path.is_file() else path
        card = read_card(folder)
        require_extra(card.format)
        return cls(folder, card, _savedmodel(folder, card) if card.format == "savedmodel" else _by_runner(folder, card))

    def outputs(self, items: Sequence[str | bytes]) -> np.ndarray[Any, Any]:
        """Classify raw items.

        Args:
            items: texts; of pictures their paths, or their encoded bytes.

        Returns:
            float32 (items, classes): probabilities, or scores where `card.outputs` says so.
        """
        return np.asarray(self._answer(items), np.float32)


def _by_runner(folder: Path, card: Card) -> Callable[[Sequence[Any]], Any]:
    from dlcli.serving.runner import Runner

    return Runner(folder, model=_keras(folder, card) if card.format == "keras" else None).outputs


def _keras(folder: Path, card: Card) -> Callable[[list[Any]], Any]:
    """Return the model of a `.keras` file, whose layers are those of dlcli: `layers.py` beside it is not run."""
    import dlcli.text.domain
    import dlcli.vision.domain  # noqa: F401  # Both register them.
    from dlcli.core import keras_files

    model = keras_files.load(folder / card.file)
    return lambda arrays: np.asarray(model(arrays if len(arrays) > 1 else arrays[0], training=False))


def _savedmodel(folder: Path, card: Card) -> Callable[[Sequence[Any]], Any]:
    """Return the serving signature as a function of raw items."""
    from dlcli.core.backend import tf
    from dlcli.serving.saved_models import require_harmless

    require_harmless(folder)
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    (given,) = card.inputs

    def answer(items: Sequence[str | bytes]) -> Any:
        raw = [_read(item) if card.domain == "vision" else item for item in items]
        parts = [raw[start : start + _BATCH] for start in range(0, len(raw), _BATCH)]
        answers = [signature(**{given.name: tf.constant(part, tf.string)})[card.output].numpy() for part in parts]
        return np.concatenate([np.zeros((0, len(card.labels)), np.float32), *answers])

    return answer


def _read(picture: str | bytes) -> bytes:
    return picture if isinstance(picture, bytes) else Path(picture).read_bytes()
