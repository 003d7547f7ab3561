"""The one loading path of a finished run: evaluate, predict and export all come through here."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.backend import keras
from dlcli.core.domain import Pipeline
from dlcli.core.forward import Forward
from dlcli.core.run import MODEL, PIPELINE, RunRecord, open_finished
from dlcli.errors import ModelError

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
        self.probabilistic = self.record.probabilistic
        self._forward = Forward(self.model)

    def outputs(self, items: Sequence[str]) -> np.ndarray[Any, Any]:
        """Classify raw items.

        Args:
            items: what the run's domain reads, such as texts.

        Returns:
            float32 (items, classes); the largest of a row is the predicted class. Where `probabilistic` the rows are
            probabilities that sum to 1, else (a run trained with a hinge loss) scores without bounds.
        """
        return self._forward(self.pipeline.encode(items))
