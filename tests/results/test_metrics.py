"""All that is said of a set of answers equals what is worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from dlcli.core.metrics import METRICS
from dlcli.results.metrics import NOT_PROBABILITIES, Judged, Score, calibration_table, confusion, judge, slice_scores

# Five items of three classes: predicted 0, 1, 1, 2, 0.
LABELS = np.array([0, 0, 1, 2, 2])
OUTPUTS = np.array(
    [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.75, 0.125], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2]], np.float32
)
PREDICTED = OUTPUTS.argmax(axis=1)
NAMES = ["a", "b", "c"]


def judged(
    labels: np.ndarray = LABELS,  # type: ignore[type-arg]
    outputs: np.ndarray = OUTPUTS,  # type: ignore[type-arg]
    *,
    predicted: np.ndarray | None = None,  # type: ignore[type-arg]
    probabilistic: bool = True,
    resamples: int = 0,
) -> Judged:
    taken = outputs.argmax(axis=1) if predicted is None else predicted
    names = NAMES[: outputs.shape[1]]
    return judge(labels, outputs, taken, names, probabilistic=probabilistic, resamples=resamples, seed=0)


def test_accuracy_loss_and_f1() -> None:
    scores = judged().scores
    assert list(scores) == list(METRICS)
    assert scores["accuracy"] == Score(value=3 / 5)
    assert scores["log_loss"].value == pytest.approx(-np.log([0.5, 0.25, 0.75, 0.8, 0.2]).mean(), rel=1e-6)
    # Class 0: precision 1/2, recall 1/2; class 1: 1/2, 1; class 2: 1, 1/2.
    assert scores["f1_macro"].value == pytest.approx((1 / 2 + 2 / 3 + 2 / 3) / 3)
    assert scores["top_2_accuracy"].value == pytest.approx(4 / 5)


def test_per_class() -> None:
    rows = [{name: row[name] for name in ("label", "precision", "recall", "f1", "n")} for row in judged().classes]
    assert rows == [
        {"label": "a", "precision": 0.5, "recall": 0.5, "f1": 0.5, "n": 2},
        {"label": "b", "precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "n": 1},
        {"label": "c", "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "n": 2},
    ]


def test_a_class_without_items_has_no_recall_and_counts_in_no_mean() -> None:
    found = judged(np.array([0, 1, 1]), np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]], np.float32))
    last = found.classes[-1]
    assert (last["precision"], last["recall"], last["f1"], last["n"], last["predicted"]) == (0.0, None, None, 0, 1)
    assert found.scores["recall_macro"].value == (1 + 1 / 2) / 2
    neither = judged(np.array([0, 1]), np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]], np.float32))
    assert neither.classes[-1]["precision"] is None
    assert neither.scores["f1_macro"].value == 1


def test_a_class_that_is_never_predicted_scores_zero() -> None:
    last = judged(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]], np.float32)).classes[1]
    assert (last["precision"], last["recall"], last["f1"]) == (0, 0, 0)


def test_rows_of_the_confusion_are_true_classes() -> None:
    assert confusion(LABELS, PREDICTED, 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert confusion(np.array([0]), np.array([1]), 3).tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_every_score_that_has_a_value_has_an_interval_about_it() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 300)
    outputs = np.exp(random.normal(size=(300, 3)) + np.eye(3)[labels])
    found = judged(labels, outputs / outputs.sum(axis=1, keepdims=True), resamples=300)
    for name, score in found.scores.items():
        if score.value is None:
            assert name in ("top_3_accuracy", "top_5_accuracy")
            assert score.low is None
        else:
            assert score.low < score.value < score.high, name  # type: ignore[operator]
    for row in found.classes:
        for kind in ("precision", "recall", "f1"):
            low, high = row[f"{kind}_interval"]
            assert low < row[kind] < high


def test_scores_that_are_no_probabilities() -> None:
    found = judged(outputs=OUTPUTS * 9 - 4, probabilistic=False, resamples=200)
    missing = {name for name, score in found.scores.items() if score.undefined == NOT_PROBABILITIES}
    assert missing == {"auc", "average_precision", "log_loss", "brier", "ece"}
    assert found.scores["accuracy"].value == 3 / 5
    assert found.calibration == []


def test_a_threshold_changes_what_counts_predictions_and_nothing_else() -> None:
    labels, outputs = np.array([0, 0, 1, 1]), np.array([[0.8, 0.2], [0.6, 0.4], [0.7, 0.3], [0.1, 0.9]], np.float32)
    plain, moved = judged(labels, outputs), judged(labels, outputs, predicted=np.array([0, 1, 0, 1]))
    changed = {name for name in METRICS if plain.scores[name] != moved.scores[name]}
    assert changed == {"accuracy", "balanced_accuracy"} | {
        f"{kind}_{mean}" for kind in ("precision", "recall", "f1") for mean in ("macro", "weighted")
    }
    assert moved.scores["f1_macro"].value == pytest.approx(sk.f1_score(labels, [0, 1, 0, 1], average="macro"))
    assert moved.confusion.tolist() == [[1, 1], [1, 1]]


def test_calibration_by_bin() -> None:
    outputs = np.array([[0.55, 0.45], [0.62, 0.38], [0.36, 0.64], [0.1, 0.9]])
    assert calibration_table(np.array([0, 1, 1, 1]), outputs) == [
        {"from": 8 / 15, "to": 0.6, "confidence": pytest.approx(0.55), "accuracy": 1.0, "n": 1},
        {"from": 0.6, "to": 10 / 15, "confidence": pytest.approx(0.63), "accuracy": 0.5, "n": 2},
        {"from": 13 / 15, "to": 14 / 15, "confidence": pytest.approx(0.9), "accuracy": 1.0, "n": 1},
    ]


def test_slices_by_frequency_and_the_rest_together() -> None:
    codes = np.array([0, 1, 1, 1, 2, 3, 3])
    labels, predicted = np.array([0, 0, 1, 1, 1, 0, 1]), np.array([0, 0, 1, 0, 1, 1, 1])
    found = slice_scores(["w", "x", "y", "z"], codes, labels, predicted, classes=2, resamples=200, seed=0, most=2)
    assert [(row["value"], row["n"], row["accuracy"]["value"]) for row in found] == [
        ("x", 3, pytest.approx(2 / 3)),
        ("z", 2, 0.5),
        ("(other)", 2, 1.0),
    ]
    assert found[0]["f1_macro"] == pytest.approx(2 / 3)
    assert found[0]["accuracy"]["low"] < 2 / 3 < found[0]["accuracy"]["high"]
