"""Scores equal what is worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dlcli.results.metrics import confusion, per_class, scores

# Five items of three classes: predicted 0, 1, 1, 2, 0.
LABELS = np.array([0, 0, 1, 2, 2])
PROBABILITIES = np.array(
    [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.75, 0.125], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2]], np.float32
)
PREDICTED = np.array([0, 1, 1, 2, 0])


def test_accuracy_loss_and_f1() -> None:
    result = scores(LABELS, PROBABILITIES)
    assert result.keys() == {"accuracy", "loss", "f1_macro"}
    assert result["accuracy"] == 3 / 5
    assert result["loss"] == pytest.approx(-np.log([0.5, 0.25, 0.75, 0.8, 0.2]).mean(), rel=1e-6)
    # Class 0: precision 1/2, recall 1/2; class 1: 1/2, 1; class 2: 1, 1/2.
    assert result["f1_macro"] == pytest.approx((1 / 2 + 2 / 3 + 2 / 3) / 3)
    assert all(type(value) is float for value in result.values())


def test_a_class_that_is_not_in_the_data_counts_as_nothing() -> None:
    result = scores(np.array([0, 1]), np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]], np.float32))
    assert result["accuracy"] == 1
    assert result["loss"] == pytest.approx(-np.log(0.8), rel=1e-6)
    assert result["f1_macro"] == pytest.approx(2 / 3)


def test_data_of_one_class_has_scores() -> None:
    result = scores(np.array([1, 1]), np.array([[0.5, 0.5], [0.25, 0.75]], np.float32))
    # Equal probabilities: the first class is taken.
    assert result["accuracy"] == 0.5
    assert result["loss"] == pytest.approx(-np.log([0.5, 0.75]).mean(), rel=1e-6)


def test_a_certain_mistake_costs_much_and_not_infinitely_much() -> None:
    result = scores(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]], np.float32))
    assert 10 < result["loss"] < 40


def test_rows_that_sum_to_one_only_nearly_are_fine(recwarn: pytest.WarningsRecorder) -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(50), size=100).astype(np.float32) * np.float32(1.00001)
    labels = np.arange(100) % 50
    expected = -np.log(rows[np.arange(100), labels] / rows.sum(axis=1)).mean()
    assert scores(labels, rows)["loss"] == pytest.approx(expected, rel=1e-5)
    assert not list(recwarn)


def test_per_class() -> None:
    assert per_class(LABELS, PREDICTED, ["a", "b", "c"]) == [
        {"label": "a", "precision": 0.5, "recall": 0.5, "f1": 0.5, "n": 2},
        {"label": "b", "precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "n": 1},
        {"label": "c", "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "n": 2},
    ]


def test_a_class_that_is_never_predicted_scores_zero() -> None:
    last = per_class(np.array([0, 1]), np.array([0, 0]), ["a", "b", "c"])[1:]
    assert last == [
        {"label": "b", "precision": 0.0, "recall": 0.0, "f1": 0.0, "n": 1},
        {"label": "c", "precision": 0.0, "recall": 0.0, "f1": 0.0, "n": 0},
    ]


def test_rows_of_the_confusion_are_true_classes() -> None:
    assert confusion(LABELS, PREDICTED, 3) == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert confusion(np.array([0]), np.array([1]), 3) == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
