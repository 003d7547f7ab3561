"""The weights of an ensemble, chosen on validation data and never on test data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.metrics import log_losses
from dlcli.core.record import RunRecord
from dlcli.errors import UsageError
from dlcli.results.compare import validated_on
from dlcli.results.threshold import validation_outputs

# A weight is a whole number of these steps of 0.05: finer ones are chance on a few thousand items.
STEPS = 20
# As in `core.ensemble`, which needs TensorFlow.
_SMALLEST = 1e-30


def geometric_mean(outputs: Sequence[npt.NDArray[Any]], weights: Sequence[float]) -> npt.NDArray[np.float32]:
    """Return what `core.ensemble.GeometricMean` gives: softmax of the weighted mean of log probabilities.

    Args:
        outputs: of each member, probabilities (n, classes).
        weights: one for each member; they sum to 1.

    Returns:
        float32 (n, classes).
    """
    logs = [np.log(np.maximum(member.astype(np.float64), _SMALLEST)) for member in outputs]
    mixed = np.sum([weight * log for weight, log in zip(weights, logs, strict=True)], axis=0)
    exponents: npt.NDArray[np.float64] = np.exp(mixed - mixed.max(axis=1, keepdims=True))
    mean: npt.NDArray[np.float32] = (exponents / exponents.sum(axis=1, keepdims=True)).astype(np.float32)
    return mean


def common_validation(
    runs: Sequence[tuple[Path, RunRecord]],
) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[np.float32]]]:
    """Return the labels (n,) of the items that all runs validate on, and each run's outputs (n, classes).

    Raises:
        UsageError: they share no such items.
    """
    (first, record), *_ = runs
    labels, _ = validation_outputs(first)
    found = []
    for path, other in runs:
        theirs, outputs = validation_outputs(path)
        if other.data.get("fingerprint") != record.data.get("fingerprint"):
            raise _nothing_in_common(first, path, "were trained on different data")
        if validated_on(other) != validated_on(record) or not np.array_equal(theirs, labels):
            raise _nothing_in_common(first, path, "validated on different items")
        found.append(outputs)
    return labels, found


def _nothing_in_common(first: Path, second: Path, why: str) -> UsageError:
    return UsageError(
        f"{first} and {second} {why}, so no weights can be chosen on them",
        hint="Train them on the same data with the same --val-split and --seed, or give --weights, such as 0.5,0.5",
    )


def choose_weights(labels: npt.NDArray[Any], outputs: Sequence[npt.NDArray[Any]]) -> list[float]:
    """Return the weights with the lowest log loss.

    It goes downhill from the best member alone, as long as giving a step of one member's weight to another lowers the
    loss. The loss is convex in the weights, so that of two members these are the best of the grid.

    Args:
        labels: int (n,).
        outputs: of each member, probabilities (n, classes).

    Returns:
        one for each member, multiples of 1 / STEPS that sum to 1; the same for the same input.
    """

    def loss(units: Sequence[int]) -> float:
        return float(log_losses(labels, geometric_mean(outputs, [unit / STEPS for unit in units])).mean())

    members = range(len(outputs))
    alone = [[STEPS if member == one else 0 for member in members] for one in members]
    best = min(alone, key=loss)
    lowest = loss(best)
    while True:
        nearby = [
            [unit - (member == giver) + (member == taker) for member, unit in enumerate(best)]
            for giver in members
            for taker in members
            if giver != taker and best[giver]
        ]
        candidate = min(nearby, key=loss)
        if (lower := loss(candidate)) >= lowest:
            return [unit / STEPS for unit in best]
        best, lowest = candidate, lower
