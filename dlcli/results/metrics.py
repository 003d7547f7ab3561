"""The scores of answers to labelled items, with their intervals: all metrics, each class, slices, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.metrics import CALIBRATION_BINS, METRICS, calibration, ranks, undefined
from dlcli.results import bootstrap
from dlcli.results.bootstrap import NO_INTERVAL, Interval, Supports, count_intervals, item_intervals, share_interval

IntArray = npt.NDArray[np.int64]
NOT_PROBABILITIES = "the run gives scores, not probabilities"
# Scores that depend on the predicted classes alone, and so on a threshold.
_OF_PREDICTIONS = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")
_OTHERS = "(other)"


@dataclass(frozen=True, kw_only=True)
class Score:
    """One score; None is what JSON has for a number that there is not.

    Attributes:
        value: the score on all items.
        low: lower end of its 95 % interval.
        high: upper end.
        undefined: why there is no value; empty where there is one.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    undefined: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the score for `--json`, without a reason where none is needed."""
        return {name: value for name, value in asdict(self).items() if name != "undefined" or value}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is to be said about one set of answers.

    Attributes:
        scores: by metric, in the order of the names.
        classes: precision, recall, F1 and items of each class, in the order of the labels.
        confusion: how often each true class (row) was taken for each class (column).
        calibration: confidence and accuracy of each bin of the confidence that has items; empty for scores.
    """

    scores: dict[str, Score]
    classes: list[dict[str, Any]]
    confusion: IntArray
    calibration: list[dict[str, Any]]


def judge(
    labels: IntArray,
    outputs: npt.NDArray[Any],
    predicted: IntArray,
    names: Sequence[str],
    *,
    probabilistic: bool,
    resamples: int,
    seed: int,
) -> Judged:
    """Score answers.

    Args:
        labels: int (n,), the true class of each item.
        outputs: float (n, classes).
        predicted: int (n,), the class that each item is taken for.
        names: of the classes.
        probabilistic: whether rows of `outputs` are probabilities that sum to 1.
        resamples: of the bootstrap; 0 for no intervals.
        seed: of the resamples.
    """
    matrix = confusion(labels, predicted, len(names))
    intervals: dict[str, Interval] = {}
    each = [Supports(NO_INTERVAL, NO_INTERVAL, NO_INTERVAL)] * len(names)
    if resamples:
        intervals, each = count_intervals(matrix, resamples, seed)
        if probabilistic:
            intervals |= item_intervals(labels, outputs, resamples, seed)
        before = ranks(labels, outputs)
        for name in (name for name in METRICS if name.startswith("top_")):
            hits = int((before < int(name.split("_")[1])).sum())
            intervals[name] = share_interval(hits, len(labels), resamples, seed)
    points = point_scores(labels, outputs, predicted, probabilistic=probabilistic)
    return Judged(
        scores={
            name: score if score.undefined else _with(score, intervals.get(name, NO_INTERVAL))
            for name, score in points.items()
        },
        classes=[_class(matrix, c, name, each[c]) for c, name in enumerate(names)],
        confusion=matrix,
        calibration=calibration_table(labels, outputs) if probabilistic else [],
    )


def point_scores(
    labels: IntArray, outputs: npt.NDArray[Any], predicted: IntArray, *, probabilistic: bool
) -> dict[str, Score]:
    """Return every metric without intervals; see `judge`."""
    classes = outputs.shape[1]
    # What counts predictions sees them alone: with a threshold they are not those of the largest output.
    taken = np.eye(classes, dtype=np.int8)[predicted]
    found = {}
    for name, metric in METRICS.items():
        why = undefined(name, labels, classes)
        if metric.needs_probabilities and not probabilistic:
            why = NOT_PROBABILITIES
        given = taken if name.startswith(_OF_PREDICTIONS) else outputs
        found[name] = Score(value=None if why else metric.function(labels, given), undefined=why)
    return found


def confusion(labels: IntArray, predicted: IntArray, classes: int) -> IntArray:
    """Return how often each true class (row) was predicted as each class (column), int (classes, classes)."""
    counts = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def calibration_table(labels: IntArray, outputs: npt.NDArray[Any]) -> list[dict[str, Any]]:
    """Return, for each bin of the confidence that has items, their mean confidence and their accuracy."""
    bins, confidence, right = calibration(labels, outputs)
    return [
        {
            "from": b / CALIBRATION_BINS,
            "to": (b + 1) / CALIBRATION_BINS,
            "confidence": float(confidence[bins == b].mean()),
            "accuracy": float(right[bins == b].mean()),
            "n": int((bins == b).sum()),
        }
        for b in np.unique(bins).tolist()
    ]


def slice_scores(
    values: Sequence[str],
    codes: IntArray,
    labels: IntArray,
    predicted: IntArray,
    *,
    classes: int,
    resamples: int,
    seed: int,
    most: int = 20,
) -> list[dict[str, Any]]:
    """Score the items of each value of a column.

    Args:
        values: the column's values.
        codes: int (n,), for each item a place in `values`.
        labels: int (n,).
        predicted: int (n,).
        classes: how many there are.
        resamples: of the accuracy's interval; 0 for none.
        seed: of the resamples.
        most: values that are shown by themselves, the most frequent ones; the others are taken together.
    """
    counts = np.bincount(codes, minlength=len(values))
    order = np.argsort(-counts, kind="stable")
    groups = [(values[code], codes == code) for code in order[:most]]
    if len(values) > most:
        groups.append((_OTHERS, np.isin(codes, order[most:])))
    rows = []
    for value, kept in groups:
        matrix = confusion(labels[kept], predicted[kept], classes)
        interval = count_intervals(matrix, resamples, seed)[0]["accuracy"] if resamples else NO_INTERVAL
        points = {
            name: float(METRICS[name].function(labels[kept], np.eye(classes, dtype=np.int8)[predicted[kept]]))
            for name in ("accuracy", "f1_macro")
        }
        accuracy = _with(Score(value=points["accuracy"]), interval).as_json()
        rows.append({"value": value, "n": int(kept.sum()), "accuracy": accuracy, "f1_macro": points["f1_macro"]})
    return rows


def _with(score: Score, interval: Interval) -> Score:
    low, high = (None if np.isnan(end) else end for end in interval)
    return Score(value=score.value, low=low, high=high)


def _class(matrix: IntArray, c: int, name: str, intervals: Supports) -> dict[str, Any]:
    """Return the scores of one class; None where it has neither items nor answers to count."""
    right, items, answers = (matrix[c, c], matrix[c].sum(), matrix[:, c].sum())
    values = bootstrap.supports(*(np.array([[float(number)]]) for number in (right, items, answers)))
    found: dict[str, Any] = {"label": name}
    for kind, column, interval in zip(("precision", "recall", "f1"), values, intervals, strict=True):
        value = float(column[0, 0])
        found[kind] = None if np.isnan(value) else value
        found[f"{kind}_interval"] = None if np.isnan(value) or np.isnan(interval.low) else list(interval)
    return {**found, "n": int(items), "predicted": int(answers)}
