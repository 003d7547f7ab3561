"""Intervals: weighting is drawing, they repeat, and they cover at the stated rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlcli.core.metrics import METRICS
from dlcli.results import bootstrap
from dlcli.results.bootstrap import (
    WeightedScores,
    count_intervals,
    count_scores,
    difference_interval,
    generator,
    item_intervals,
    percentiles,
    resampled_counts,
    resampled_items,
    share_interval,
    wilson,
)
from dlcli.results.metrics import confusion

Array = np.ndarray[Any, Any]


def draw(classes: int, n: int, *, seed: int = 0, decimals: int | None = None) -> tuple[Array, Array]:
    random = np.random.default_rng([seed, classes])
    labels = random.choice(classes, n, p=random.dirichlet(np.full(classes, 5)))
    outputs = np.exp(random.normal(size=(n, classes)) + 1.3 * np.eye(classes)[labels])
    outputs /= outputs.sum(axis=1, keepdims=True)
    if decimals is not None:
        outputs = (outputs.round(decimals) + 1e-9) / (outputs.round(decimals) + 1e-9).sum(axis=1, keepdims=True)
    return labels, outputs


@pytest.mark.parametrize("decimals", [None, 1])
@pytest.mark.parametrize("classes", [2, 4])
def test_to_weight_items_is_to_draw_them(classes: int, decimals: int | None) -> None:
    """The scores of weighted items are those of the list in which each item stands as often as its weight says."""
    labels, outputs = draw(classes, 60, decimals=decimals)
    weights = next(iter(resampled_items(60, 40, 3)))
    assert weights.shape == (40, 60)
    assert (weights.sum(axis=1) == 60).all()
    found = WeightedScores(labels, outputs)(weights)
    assert found.keys() == {"log_loss", "brier", "ece", "auc", "average_precision"}
    for row, weight in enumerate(weights):
        drawn = np.repeat(np.arange(60), weight.astype(int))
        for name, values in found.items():
            assert values[row] == pytest.approx(METRICS[name].function(labels[drawn], outputs[drawn])), name


def test_a_resample_without_a_class_has_no_ranking() -> None:
    found = WeightedScores(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]))
    values = found(np.array([[3.0, 0, 0], [0, 2, 1], [1, 1, 1]]))
    assert np.isnan(values["auc"]).tolist() == np.isnan(values["average_precision"]).tolist() == [True, True, False]
    assert np.isfinite(values["log_loss"]).all()


def test_counts_of_a_resample_give_the_scores_of_its_items() -> None:
    labels, outputs = draw(4, 80)
    predicted = outputs.argmax(axis=1)
    blocks = list(resampled_counts(confusion(labels, predicted, 4), 50, 0))
    items, answers = (np.concatenate([block[kind] for block in blocks]) for kind in (1, 2))
    assert (items.sum(axis=1) == 80).all()
    assert (answers.sum(axis=1) == 80).all()
    # The matrix itself, as a resample.
    matrix = confusion(labels, predicted, 4)
    exact = count_scores(
        *(counts[np.newaxis].astype(float) for counts in (np.diag(matrix), matrix.sum(1), matrix.sum(0)))
    )
    for name, values in exact.items():
        assert values[0] == pytest.approx(METRICS[name].function(labels, outputs)), name
    # Resamples scatter about it as drawn items do.
    random = np.random.default_rng(0)
    rows = random.integers(0, 80, (2000, 80))
    drawn = [float((labels[row] == predicted[row]).mean()) for row in rows]
    many = np.concatenate([b[0].sum(axis=1) / 80 for b in resampled_counts(matrix, 2000, 1)])
    assert many.mean() == pytest.approx(np.mean(drawn), abs=0.005)
    assert many.std() == pytest.approx(np.std(drawn), rel=0.1)


def test_the_same_seed_gives_the_same_intervals() -> None:
    labels, outputs = draw(3, 200)
    matrix = confusion(labels, outputs.argmax(axis=1), 3)
    for function, data in ((count_intervals, (matrix,)), (item_intervals, (labels, outputs))):
        first, again, other = (function(*data, 200, seed) for seed in (0, 0, 1))  # type: ignore[operator]
        assert first == again != other


def test_the_size_of_the_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, outputs = draw(3, 150)
    whole = item_intervals(labels, outputs, 200, 0)
    monkeypatch.setattr(bootstrap, "_BLOCK", 150 * 7)
    parts = item_intervals(labels, outputs, 200, 0)
    for name, interval in whole.items():
        assert parts[name] == pytest.approx(interval), name


def test_intervals_cover_at_the_stated_rate() -> None:
    """300 data sets of 200 items; the truth is that of a million."""
    n, sets = 200, 300

    def sample(random: np.random.Generator, size: int) -> tuple[Array, Array]:
        labels = (random.random(size) < 0.4).astype(int)
        second = 1 / (1 + np.exp(-(1.4 * (2 * labels - 1) + 1.5 * random.normal(size=size))))
        return labels, np.stack([1 - second, second], axis=1)

    labels, outputs = sample(np.random.default_rng(10), 1_000_000)
    names = ("accuracy", "f1_macro", "recall_macro", "auc", "average_precision", "log_loss", "brier")
    truth = {name: METRICS[name].function(labels, outputs) for name in names}
    covered = dict.fromkeys(names, 0)
    for number in range(sets):
        labels, outputs = sample(np.random.default_rng([11, number]), n)
        intervals = count_intervals(confusion(labels, outputs.argmax(axis=1), 2), 500, number)[0]
        intervals |= item_intervals(labels, outputs, 500, number)
        for name in names:
            covered[name] += intervals[name].low <= truth[name] <= intervals[name].high
    rates = {name: count / sets for name, count in covered.items()}
    assert all(0.91 <= rate <= 0.985 for rate in rates.values()), rates


def test_many_items_are_sampled_and_the_interval_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, outputs = draw(2, 12_000)
    whole = item_intervals(labels, outputs, 600, 0)
    monkeypatch.setattr(bootstrap, "_MOST", 3_000)
    part = item_intervals(labels, outputs, 600, 0)
    for name in ("auc", "log_loss", "brier", "average_precision"):
        value = METRICS[name].function(labels, outputs)
        assert part[name].low < value < part[name].high
        assert part[name].high - part[name].low == pytest.approx(whole[name].high - whole[name].low, rel=0.2), name


def test_when_all_are_right_the_interval_is_wilsons() -> None:
    # Wilson 1927; of 10 hits in 10 the lower end is 0.7225 (Brown, Cai & DasGupta 2001, table of limits).
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    intervals, each = count_intervals(np.array([[30, 0], [0, 10]]), 200, 0)
    assert intervals["accuracy"] == intervals["f1_weighted"] == wilson(40, 40)
    assert intervals["f1_macro"].low == pytest.approx((wilson(30, 30).low + wilson(10, 10).low) / 2)
    assert each[1].recall == wilson(10, 10)
    assert share_interval(10, 10, 200, 0) == wilson(10, 10)


def test_one_item_has_no_interval_of_its_loss() -> None:
    found = item_intervals(np.array([1]), np.array([[0.3, 0.7]]), 200, 0)
    assert all(np.isnan(interval).all() for interval in found.values())


def test_values_that_are_mostly_undefined_have_no_interval() -> None:
    assert np.isnan(percentiles(np.array([np.nan] * 60 + [0.1] * 20 + [0.2] * 20))).all()
    assert not np.isnan(percentiles(np.array([np.nan] * 40 + [0.1] * 30 + [0.2] * 30))).any()


def test_a_difference_on_the_same_items_is_narrower_than_two_intervals() -> None:
    random = generator(0, 0)
    first = random.random(500) < 0.9
    second = np.where(random.random(500) < 0.05, ~first, first)
    low, high = difference_interval(first, second, 1000, 0)
    assert low < first.mean() - second.mean() < high
    plain = [float(first[rows].mean() - second[rows].mean()) for rows in random.integers(0, 500, (1000, 500))]
    assert (low, high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.006)
    assert difference_interval(first, first, 200, 0) == (0, 0)
