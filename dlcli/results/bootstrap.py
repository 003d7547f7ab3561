"""95 % intervals: percentile bootstrap over the items (Efron & Tibshirani 1993, chapter 13).

What only counts answers (accuracy, precision, recall, F1) is resampled as a multinomial draw of the confusion matrix's
cells, which is the same thing as drawing items and costs nothing. The rest is worked out from how often each item was
drawn. Where there are many items, a seeded sample of them is resampled and its deviations are scaled by
sqrt(sampled / all) (m out of n; Bickel, Goetze & van Zwet 1997), so that a million items take as long as 100,000; where
there are many classes too, scores that rank items for each of them get fewer resamples, at least 200.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dlcli.core import metrics as core
from dlcli.core.metrics import Floats

IntArray = npt.NDArray[np.int64]
# Cells of a block of resamples, which should fit into a processor's cache.
_BLOCK = 200_000
# Beyond so many items, or items times ranked classes, a sample of them is resampled.
_MOST = 100_000
# Items times ranked classes times resamples: about ten seconds.
_MOST_WORK = 100_000_000
# The 97.5 % quantile of the normal distribution.
_Z = 1.959963984540054
# Keys of the draws, one for each kind: another metric more or less changes no other's interval.
_COUNTS, _ITEMS, _SAMPLE, _HITS, _PAIRS = range(1, 6)


class Interval(NamedTuple):
    """A 95 % interval; NaN where there is none."""

    low: float
    high: float


NO_INTERVAL = Interval(float("nan"), float("nan"))


class Supports(NamedTuple):
    """Intervals of one class's scores."""

    precision: Interval
    recall: Interval
    f1: Interval


def percentiles(values: Floats) -> Interval:
    """Return where 95 % of resampled values lie; none where they are undefined more often than not, or all equal."""
    kept = values[np.isfinite(values)]
    if len(kept) <= len(values) / 2 or kept.min() == kept.max():
        return NO_INTERVAL
    low, high = np.quantile(kept, [0.025, 0.975])
    return Interval(float(low), float(high))


def wilson(hits: float, n: int) -> Interval:
    """Return Wilson's interval of a share (1927): for where resampling shows no spread, as all items are right."""
    if not n:
        return NO_INTERVAL
    share, z2 = hits / n, _Z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Interval(max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def generator(seed: int, kind: int) -> np.random.Generator:
    """Return the random numbers of one kind of draw: a function of the seed."""
    return np.random.Generator(np.random.Philox(key=[seed, kind]))


# Scores that count answers.


def resampled_counts(matrix: IntArray, resamples: int, seed: int) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Resample a confusion matrix.

    Args:
        matrix: (classes, classes), rows are true classes.
        resamples: how many.
        seed: of the draws.

    Yields:
        for a block of resamples: right answers, items and answers of each class, float (block, classes).
    """
    classes = len(matrix)
    rows, columns = np.nonzero(matrix)
    total = int(matrix.sum())
    shares = matrix[rows, columns] / total
    random = generator(seed, _COUNTS)
    block = max(1, _BLOCK // max(len(shares), classes))
    for start in range(0, resamples, block):
        drawn = random.multinomial(total, shares, size=min(block, resamples - start)).astype(np.float64)
        yield tuple(  # type: ignore[misc]
            _summed(drawn[:, which], of, classes)
            for which, of in ((rows == columns, rows[rows == columns]), (slice(None), rows), (slice(None), columns))
        )


def _summed(drawn: Floats, groups: IntArray, classes: int) -> Floats:
    """Sum columns by group."""
    sums = np.zeros((len(drawn), classes))
    order = np.argsort(groups, kind="stable")
    found, starts = np.unique(groups[order], return_index=True)
    if len(found):
        sums[:, found] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return sums


def supports(right: Floats, items: Floats, answers: Floats) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1 of each class; NaN where a class has neither items nor answers."""
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = right / items
        precision = np.where((answers == 0) & (items > 0), 0.0, right / answers)
        f1 = np.where(items > 0, 2 * right / (items + answers), np.nan)
    return precision, recall, f1


def count_scores(right: Floats, items: Floats, answers: Floats) -> dict[str, Floats]:
    """Return the scores that count answers, for each resample, from its counts by class (resamples, classes)."""
    precision, recall, f1 = supports(right, items, answers)
    total = items.sum(axis=1)
    present = items > 0
    found = {"accuracy": right.sum(axis=1) / total}
    for name, values in (("precision", precision), ("recall", recall), ("f1", f1)):
        kept = np.where(present, values, 0.0)
        found[f"{name}_macro"] = kept.sum(axis=1) / present.sum(axis=1)
        found[f"{name}_weighted"] = (kept * items).sum(axis=1) / total
    return {**found, "balanced_accuracy": found["recall_macro"]}


def count_intervals(matrix: IntArray, resamples: int, seed: int) -> tuple[dict[str, Interval], list[Supports]]:
    """Return intervals of the scores that count answers, and of precision, recall and F1 of each class.

    Where all resamples give the same, as all items are right, or all wrong, the interval is Wilson's; for a mean over
    the classes the mean of theirs.
    """
    scores: list[dict[str, Floats]] = []
    classes: list[tuple[Floats, Floats, Floats]] = []
    for block in resampled_counts(matrix, resamples, seed):
        scores.append(count_scores(*block))
        classes.append(supports(*block))
    sizes, right, answers = matrix.sum(axis=1), np.diag(matrix), matrix.sum(axis=0)
    by_class = [wilson(int(hits), int(n)) for hits, n in zip(right, sizes, strict=True) if n]
    macro = Interval(*np.mean(by_class, axis=0).tolist())
    whole = wilson(int(right.sum()), int(sizes.sum()))
    intervals = {}
    for name in scores[0]:
        usual = whole if name == "accuracy" or name.endswith("_weighted") else macro
        intervals[name] = _or(percentiles(np.concatenate([block[name] for block in scores])), usual)
    columns = [np.concatenate([block[kind] for block in classes]) for kind in range(3)]
    each = []
    for c, (hits, n, given) in enumerate(zip(right.tolist(), sizes.tolist(), answers.tolist(), strict=True)):
        precision, recall, f1 = (percentiles(column[:, c]) for column in columns)
        share = wilson(hits, n)
        each.append(Supports(_or(precision, wilson(hits, given)), _or(recall, share), _or(f1, share)))
    return intervals, each


def share_interval(hits: int, n: int, resamples: int, seed: int) -> Interval:
    """Return the interval of a share of the items, such as those whose true class is among the best three."""
    return _or(percentiles(generator(seed, _HITS).binomial(n, hits / n, resamples) / n), wilson(hits, n))


def _or(interval: Interval, instead: Interval) -> Interval:
    return instead if np.isnan(interval.low) else interval


# Scores that need each item.


def resampled_items(n: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each item was drawn, float (block, n), for blocks of resamples."""
    random = generator(seed, _ITEMS)
    block = max(1, _BLOCK // n)
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        drawn = random.integers(0, n, (count, n), dtype=np.uint32).astype(np.int64)
        drawn += n * np.arange(count)[:, np.newaxis]
        yield np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n).astype(np.float64)


class WeightedScores:
    """Scores of the same items under any weights: what a bootstrap asks for a thousand times.

    Args:
        labels: int (n,).
        outputs: float (n, classes), probabilities.
    """

    def __init__(self, labels: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> None:
        self._labels = labels
        self._means = {"log_loss": core.log_losses(labels, outputs), "brier": core.brier_scores(labels, outputs)}
        bins, confidence, right = core.calibration(labels, outputs)
        self._by_bin = np.argsort(bins, kind="stable")
        self._gaps = (right - confidence)[self._by_bin]
        self._bin_starts = np.searchsorted(bins[self._by_bin], np.flatnonzero(np.bincount(bins)))
        present = np.bincount(labels, minlength=outputs.shape[1]) > 0
        self._rankings = [_Ranking(labels == c, outputs[:, c]) for c in core.rated_classes(present)]

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Return the value of each score for each row of weights (resamples, n)."""
        total = weights.sum(axis=1)
        found = {name: weights @ values / total for name, values in self._means.items()}
        gaps = np.add.reduceat(weights[:, self._by_bin] * self._gaps, self._bin_starts, axis=1)
        found["ece"] = np.abs(gaps).sum(axis=1) / total
        areas = [ranking(weights) for ranking in self._rankings]
        if areas:
            rated = np.array(areas)
            counts = np.isfinite(rated[:, 0]).sum(axis=0)
            with np.errstate(invalid="ignore"):
                means = np.nansum(rated, axis=0) / counts[np.newaxis]
            found["auc"], found["average_precision"] = means
        return found


class _Ranking:
    """The areas under the ROC and the precision-recall curve of one class against the rest.

    Args:
        positive: bool (n,), which items are of the class.
        scores: float (n,), how strongly each is taken for it.
    """

    def __init__(self, positive: npt.NDArray[np.bool_], scores: npt.NDArray[Any]) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        # Where a group of equal scores begins: no threshold parts them.
        self._starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        self._ties = len(self._starts) < len(scores)
        self._positive = positive[self._order].astype(np.float64)

    def __call__(self, weights: Floats) -> Floats:
        """Return ROC AUC and average precision, (2, resamples), for weights (resamples, n)."""
        ordered = np.take(weights, self._order, axis=1)
        hits = ordered * self._positive
        if self._ties:
            ordered = np.add.reduceat(ordered, self._starts, axis=1)
            hits = np.add.reduceat(hits, self._starts, axis=1)
        taken, found = np.cumsum(ordered, axis=1), np.cumsum(hits, axis=1)
        positives, total = found[:, -1], taken[:, -1]
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = np.where(taken > 0, found / taken, 0.0)
            average = np.einsum("rn,rn->r", hits, precision) / positives
            # A negative loses against the positives before it, and against half of those that tie with it.
            won = np.einsum("rn,rn->r", ordered - hits, found - hits / 2)
            area = won / (positives * (total - positives))
        return np.where(np.isfinite(area), np.array([area, average]), np.nan)


def item_intervals(
    labels: npt.NDArray[Any], outputs: npt.NDArray[Any], resamples: int, seed: int
) -> dict[str, Interval]:
    """Return intervals of log loss, Brier score, calibration error, ROC AUC and average precision.

    Args:
        labels: int (n,).
        outputs: float (n, classes), probabilities.
        resamples: how many.
        seed: of the draws.
    """
    n, classes = len(labels), outputs.shape[1]
    most = max(2_000, _MOST // (classes if classes > 2 else 1))
    kept = np.sort(generator(seed, _SAMPLE).choice(n, most, replace=False)) if n > most else np.arange(n)
    scores = WeightedScores(labels[kept], outputs[kept])
    resamples = min(resamples, max(200, _MOST_WORK // (len(kept) * classes)))
    blocks = [scores(weights) for weights in resampled_items(len(kept), resamples, seed)]
    resampled = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    if len(kept) < n:
        # The bias of fewer items is left out: deviations are from the resamples' own mean.
        for name, values in resampled.items():
            spread = (values - np.nanmean(values)) * np.sqrt(len(kept) / n)
            resampled[name] = core.METRICS[name].function(labels, outputs) + spread
    return {name: percentiles(values) for name, values in resampled.items()}


# Two sets of answers to the same items.


def difference_interval(
    first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], resamples: int, seed: int
) -> Interval:
    """Return the interval of how much more often the first answers are right than the second, on the same items."""
    n = len(first)
    gains, losses = int((first & ~second).sum()), int((second & ~first).sum())
    drawn = generator(seed, _PAIRS).multinomial(n, [gains / n, losses / n, 1 - (gains + losses) / n], resamples)
    values = (drawn[:, 0] - drawn[:, 1]) / n
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(low), float(high))
