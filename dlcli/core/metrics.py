"""Scores of a classifier: one number for a set of items, after an epoch or in `evaluate`.

Accuracy, log loss, Brier score and calibration error are plain NumPy in float64, the others scikit-learn's, which is
imported when one of them is asked for (0.7 s). A mean over the classes is over those that have items; what no item
bears on is NaN, and `undefined` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dlcli.core.metric_names import BETTER, NEEDS_PROBABILITIES

Floats = npt.NDArray[np.float64]
# Equal-width bins of the confidence (Guo et al. 2017, "On Calibration of Modern Neural Networks").
CALIBRATION_BINS = 15


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One score.

    Attributes:
        name: as flags and `--json` call it.
        better: whether a higher (`max`) or a lower (`min`) value is better.
        needs_probabilities: whether it means nothing for scores without bounds.
        function: takes labels, int (n,), and outputs, float (n, classes); NaN where it is undefined.
    """

    name: str
    better: Literal["max", "min"]
    needs_probabilities: bool
    function: Callable[[Any, Any], float]


def probabilities(outputs: npt.NDArray[Any]) -> Floats:
    """Return rows in float64 that sum to 1 exactly; those of a float32 softmax do so within rounding only."""
    exact = outputs.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    return exact


def log_losses(labels: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> Floats:
    """Return the cross entropy of each item, in nats; a certain mistake costs 36, not infinitely much."""
    given = probabilities(outputs)[np.arange(len(labels)), labels]
    smallest = np.finfo(np.float64).eps
    return -np.log(np.clip(given, smallest, 1 - smallest))


def brier_scores(labels: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> Floats:
    """Return the squared error of each item's probabilities, as in scikit-learn's `brier_score_loss`.

    With two classes it is that of the second class's probability (0 to 1), with more the sum over the classes (0 to 2;
    Brier 1950).
    """
    errors = probabilities(outputs)
    errors[np.arange(len(labels)), labels] -= 1
    squares: Floats = (errors**2).sum(axis=1)
    return squares / 2 if outputs.shape[1] == 2 else squares


def calibration(labels: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Return what calibration is worked out from.

    Returns:
        for each item the bin of its top probability, 0 to `CALIBRATION_BINS` - 1, which holds its upper edge; that
        probability; and 1 where the top class is right, else 0.
    """
    confidence = probabilities(outputs).max(axis=1)
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)
    return bins, confidence, (outputs.argmax(axis=1) == labels).astype(np.float64)


def ranks(labels: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return how many classes stand before the true one; of equal outputs the later class does, as in scikit-learn."""
    given = outputs[np.arange(len(labels)), labels][:, np.newaxis]
    later = np.arange(outputs.shape[1]) > labels[:, np.newaxis]
    counts: npt.NDArray[np.int64] = ((outputs > given) | ((outputs == given) & later)).sum(axis=1)
    return counts


def rated_classes(present: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return for which classes a ranking is rated: of two the second, of more each one that has items.

    Args:
        present: bool (classes,), which classes have items; with fewer than two there is nothing to rank.
    """
    if present.sum() < 2:
        return np.empty(0, np.int64)
    return np.array([1]) if len(present) == 2 else np.flatnonzero(present)


def undefined(name: str, labels: npt.NDArray[Any], classes: int) -> str:
    """Say why a metric has no value for these labels; empty when it has one."""
    if not len(labels):
        return "there are no items"
    if name.startswith("top_") and classes <= (best := int(name.split("_")[1])):
        return f"there are {classes} classes, of which the best {best} always hold the true one"
    if name in ("auc", "average_precision") and not len(rated_classes(np.bincount(labels, minlength=classes) > 0)):
        return "all items are of one class"
    return ""


def _accuracy(labels: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> float:
    return float((outputs.argmax(axis=1) == labels).mean())


def _top(best: int) -> Callable[..., float]:
    return lambda labels, outputs: float((ranks(labels, outputs) < best).mean())


def _ece(labels: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> float:
    bins, confidence, right = calibration(labels, outputs)
    gaps = np.bincount(bins, weights=right - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def _support(kind: int, average: str) -> Callable[..., float]:
    """Return precision (0), recall (1) or F1 (2); a class that is never predicted has a precision of 0."""

    def function(labels: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> float:
        from sklearn.metrics import precision_recall_fscore_support

        found = precision_recall_fscore_support(
            labels, outputs.argmax(axis=1), labels=np.unique(labels), average=average, zero_division=0
        )
        return float(found[kind])

    return function


def _ranking(name: str) -> Callable[..., float]:
    """Return an area that scikit-learn works out for two classes: of the second, or the mean of one against the rest."""

    def function(labels: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> float:
        from sklearn import metrics

        rated = rated_classes(np.bincount(labels, minlength=outputs.shape[1]) > 0)
        return float(np.mean([getattr(metrics, name)(labels == c, outputs[:, c]) for c in rated]))

    return function


_FUNCTIONS: dict[str, Callable[..., float]] = {
    "accuracy": _accuracy,
    "top_2_accuracy": _top(2),
    "top_3_accuracy": _top(3),
    "top_5_accuracy": _top(5),
    "balanced_accuracy": _support(1, "macro"),
    "precision_macro": _support(0, "macro"),
    "recall_macro": _support(1, "macro"),
    "f1_macro": _support(2, "macro"),
    "precision_weighted": _support(0, "weighted"),
    "recall_weighted": _support(1, "weighted"),
    "f1_weighted": _support(2, "weighted"),
    "auc": _ranking("roc_auc_score"),
    "average_precision": _ranking("average_precision_score"),
    "log_loss": lambda labels, outputs: float(log_losses(labels, outputs).mean()),
    "brier": lambda labels, outputs: float(brier_scores(labels, outputs).mean()),
    "ece": _ece,
}


def _where_defined(name: str) -> Callable[..., float]:
    def function(labels: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> float:
        return float("nan") if undefined(name, labels, outputs.shape[1]) else _FUNCTIONS[name](labels, outputs)

    return function


METRICS = {
    name: Metric(
        name=name, better=better, needs_probabilities=name in NEEDS_PROBABILITIES, function=_where_defined(name)
    )
    for name, better in BETTER.items()
}
