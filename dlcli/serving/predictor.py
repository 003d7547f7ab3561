"""The one loading path of a finished run: evaluate, predict and export all come through here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core import keras_files
from dlcli.core.domain import Inputs, Pipeline
from dlcli.core.forward import Forward
from dlcli.core.record import MODEL, PIPELINE, RunRecord, open_finished
from dlcli.errors import DlcliError, ModelError, NumbersError, memory_is_exhausted

_DOMAINS = ("text", "vision")


class Predictor:
    """A finished run, ready to answer.

    Args:
        path: the run directory.
        tta: test-time augmentation: how many draws of each item, itself the first, are answered and averaged.
        batch_size: items that are answered together; without it as many as fit the model.

    Raises:
        UsageError: there is nothing at `path`, or the run's items are not drawn.
        SurroundingsError: the run is still being written.
        ModelError: it is unfinished or damaged.
    """

    def __init__(self, path: Path, *, tta: int = 1, batch_size: int | None = None) -> None:
        self.path = path
        self.record: RunRecord = open_finished(path)
        self.labels = self.record.labels
        # The domain's module also registers the layers that its models are made of.
        if self.record.domain not in _DOMAINS:
            raise ModelError(f"{path} is of the domain {self.record.domain!r}, expected one of {', '.join(_DOMAINS)}")
        domain = importlib.import_module(f"dlcli.{self.record.domain}.domain")
        self.pipeline: Pipeline = domain.load_pipeline(path / PIPELINE)
        self.model = keras_files.load(path / MODEL)
        if (shape := tuple(self.model.output_shape)) != (None, len(self.labels)):
            raise ModelError(f"{path / MODEL} answers with {shape}, expected one number for each of its labels")
        self._variants: Callable[[Inputs], Iterable[Inputs]] = domain.variants(self.record, tta) if tta > 1 else _none
        self.probabilistic = self.record.probabilistic
        self._forward = Forward(self.model, batch_size=batch_size)

    def outputs(self, items: Sequence[str]) -> np.ndarray[Any, Any]:
        """Classify raw items.

        Args:
            items: what the run's domain reads, such as texts.

        Returns:
            float32 (items, classes); the largest of a row is the predicted class. Where `probabilistic` the rows are
            probabilities that sum to 1, else (a run trained with a hinge loss) scores without bounds.

        Raises:
            NumbersError: some are NaN or infinite, or there is too little memory to answer.
            ModelError: the model does not take what the pipeline makes.
        """
        together = self.pipeline.together
        parts = [items[start : start + together] for start in range(0, len(items), together)] or [items]
        found = np.concatenate([self._mean_of_variants(self.pipeline.encode(part)) for part in parts])
        if bad := np.count_nonzero(~np.isfinite(found).all(axis=1)):
            what = f"{self.path} answers {bad:,} of {len(found):,} items with NaN or infinity"
            raise NumbersError(what, hint="Train it anew with a lower --lr, or in --precision float32")
        return found

    def _mean_of_variants(self, inputs: Inputs) -> np.ndarray[Any, Any]:
        answers = [self._answer(some) for some in (inputs, *self._variants(inputs))]
        return np.asarray(np.mean(answers, axis=0, dtype=np.float32))

    def _answer(self, inputs: Inputs) -> np.ndarray[Any, Any]:
        try:
            return np.asarray(self._forward(inputs))
        except DlcliError:
            raise
        except Exception as error:  # TensorFlow's are of many kinds, when a graph cannot be made or run.
            if memory_is_exhausted(error):
                what = f"out of memory: {self.path / MODEL} answers {self._forward.batch_size:,} items together"
                raise NumbersError(what, hint="Free memory, or let predict --batch-size take fewer") from error
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            what = f"{self.path / MODEL} does not take what {PIPELINE}/ makes ({reason})"
            raise ModelError(what, hint="Train it anew") from error


def _none(inputs: Inputs) -> Iterable[Inputs]:
    return ()
