"""A run beside its repetition: weights, history and scores, bit for bit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.record import METRICS, read_history
from dlcli.serving.predictor import Predictor

# What a clock measured: no two trainings share it.
_TIMES = ("seconds", "step_ms")


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """What is the same in two runs, and what is not.

    Attributes:
        largest_difference: of any weight; 0 where all are the same bit for bit, None where shapes differ.
        epochs: of each run.
        same_epochs: how many epochs at the beginning have the same record, times left out.
        scores: those of each run on its validation data, by name.
    """

    largest_difference: float | None
    epochs: tuple[int, int]
    same_epochs: int
    scores: dict[str, tuple[float | None, float | None]]

    @property
    def same(self) -> bool:
        """Whether weights, history and scores are the same, bit for bit."""
        return (
            self.largest_difference == 0
            and self.epochs == (self.same_epochs, self.same_epochs)
            and all(first == second for first, second in self.scores.values())
        )


def compare(first: Path, second: Path) -> Repetition:
    """Hold two finished runs against each other.

    Raises:
        ModelError: one of them is unfinished or damaged.
    """
    weights = [Predictor(run).model.get_weights() for run in (first, second)]
    histories = [[_without_times(epoch) for epoch in read_history(run)] for run in (first, second)]
    scores = [json.loads((run / METRICS).read_text(encoding="utf-8")) for run in (first, second)]
    return Repetition(
        largest_difference=_largest_difference(*weights),
        epochs=(len(histories[0]), len(histories[1])),
        same_epochs=_common(*histories),
        scores={name: (scores[0].get(name), scores[1].get(name)) for name in {**scores[0], **scores[1]}},
    )


def _largest_difference(first: list[np.ndarray[Any, Any]], second: list[np.ndarray[Any, Any]]) -> float | None:
    if [weight.shape for weight in first] != [weight.shape for weight in second]:
        return None
    # A seed's state is an integer: as float64 each difference is exact.
    pairs = ((a.astype(np.float64), b.astype(np.float64)) for a, b in zip(first, second, strict=True))
    return max((float(np.abs(a - b).max(initial=0)) for a, b in pairs), default=0.0)


def _without_times(epoch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in epoch.items() if name not in _TIMES}


def _common(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> int:
    """Return how many records at the beginning are the same."""
    return next(
        (place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b),
        min(len(first), len(second)),
    )
