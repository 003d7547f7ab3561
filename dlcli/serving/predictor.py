"""The one loading path of a finished run: evaluate, predict and export all come through here."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.backend import keras, tf
from dlcli.core.batches import ordered_batches
from dlcli.core.domain import Pipeline
from dlcli.core.fit import row_numbers
from dlcli.core.run import MODEL, PIPELINE, RunRecord, open_finished
from dlcli.errors import ModelError

_BATCH = 256
_DOMAINS = ("text",)


class Predictor:
    """A finished run, ready to answer.

    Args:
        path: the run directory.

    Raises:
        UsageError: there is nothing at `path`.
        SurroundingsError: the run is still being written.
        ModelError: it is unfinished or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record: RunRecord = open_finished(path)
        self.labels = self.record.labels
        # The domain's module also registers the layers that its models are made of.
        if self.record.domain not in _DOMAINS:
            raise ModelError(f"{path} is of the domain {self.record.domain!r}, expected one of {', '.join(_DOMAINS)}")
        domain = importlib.import_module(f"dlcli.{self.record.domain}.domain")
        self.pipeline: Pipeline = domain.load_pipeline(path / PIPELINE)
        try:
            self.model = keras.saving.load_model(path / MODEL, compile=False, safe_mode=True)
        except Exception as error:
            raise ModelError(f"{path / MODEL} cannot be loaded ({error})", hint="Train it anew") from error
        self._forward = tf.function(lambda batch: self.model(batch, training=False), reduce_retracing=True)

    def probabilities(self, items: Sequence[str]) -> np.ndarray[Any, Any]:
        """Classify raw items.

        Args:
            items: what the run's domain reads, such as texts.

        Returns:
            float32 (items, classes), rows that sum to 1.
        """
        inputs = self.pipeline.encode(items)
        result = np.zeros((len(items), len(self.labels)), dtype=np.float32)
        if len(items):
            batches = ordered_batches(inputs.lengths, batch_size=_BATCH)
            for rows, batch in zip(batches, inputs.dataset(row_numbers(batches)), strict=True):
                result[rows] = self._forward(batch).numpy()
        return result
