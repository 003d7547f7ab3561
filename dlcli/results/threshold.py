"""A threshold on the probability of the second of two classes, chosen on validation data and never on test data."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.record import VALIDATION
from dlcli.errors import UsageError


def validation_outputs(run: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the labels (n,) of a run's validation data and the best epoch's outputs (n, classes).

    Raises:
        UsageError: the run does not have them.
    """
    try:
        with np.load(run / VALIDATION, allow_pickle=False) as file:
            return file["labels"], file["outputs"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        raise UsageError(f"{run} keeps no validation outputs ({VALIDATION})", hint="Train it anew") from None


def best_f1(labels: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Return the threshold with the highest macro F1.

    Args:
        labels: int (n,), 0 or 1.
        second: float (n,), the probability of the second class.

    Returns:
        of all that part the items in another way the one with the highest macro F1; of equal ones that nearest to
        0.5. It lies half-way between two probabilities.
    """
    values, group = np.unique(second.astype(np.float64), return_inverse=True)
    counts = np.zeros((len(values), 2))
    np.add.at(counts, (group, labels), 1)
    # Taken for the second class from threshold k on: all items of the values k, k + 1, ...
    hits = np.append(np.cumsum(counts[::-1, 1])[::-1], 0.0)
    taken = np.append(np.cumsum(counts.sum(axis=1)[::-1])[::-1], 0.0)
    n, positives = len(labels), counts[:, 1].sum()
    passed = n - taken
    right_negative = passed - (positives - hits)
    # A class has items (each is in the validation data), so that no F1 is 0 / 0.
    f1 = (2 * hits / (taken + positives) + 2 * right_negative / (passed + n - positives)) / 2
    thresholds = np.concatenate([[values[0] / 2], (values[1:] + values[:-1]) / 2, [(values[-1] + 1) / 2]])
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(thresholds[best[np.abs(thresholds[best] - 0.5).argmin()]])


def apply(second: npt.NDArray[Any], threshold: float) -> npt.NDArray[np.int64]:
    """Return the predicted classes, int (n,): the second one where its probability is at or over the threshold."""
    return (second.astype(np.float64) >= threshold).astype(np.int64)
