"""Every score equals scikit-learn's, or a loop in plain Python where it has none."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from dlcli.core import metric_names
from dlcli.core.metric_names import ALIASES, BETTER, NEEDS_PROBABILITIES, resolve
from dlcli.core.metrics import CALIBRATION_BINS, METRICS
from dlcli.errors import UsageError

Array = np.ndarray[Any, Any]


def draw(classes: int, n: int = 400, *, seed: int = 0, ties: bool = False) -> tuple[Array, Array]:
    """Return labels, every class among them, and float32 probabilities that know something of them."""
    random = np.random.default_rng([seed, classes])
    labels = np.append(np.arange(classes), random.choice(classes, n - classes, p=random.dirichlet(np.full(classes, 3))))
    scores = random.normal(size=(n, classes)) + 1.2 * np.eye(classes)[labels]
    if ties:
        scores = scores.round()
    outputs = np.exp(scores)
    return labels, (outputs / outputs.sum(axis=1, keepdims=True)).astype(np.float32)


def ece(labels: Array, outputs: Array) -> float:
    """Guo et al. 2017, equations 2 to 5, item by item."""
    total = 0.0
    for m in range(CALIBRATION_BINS):
        low, high = m / CALIBRATION_BINS, (m + 1) / CALIBRATION_BINS
        inside = [i for i, row in enumerate(outputs) if low < row.max() <= high]
        if inside:
            accuracy = sum(outputs[i].argmax() == labels[i] for i in inside) / len(inside)
            confidence = sum(float(outputs[i].max()) for i in inside) / len(inside)
            total += len(inside) / len(labels) * abs(accuracy - confidence)
    return total


def of_scikit_learn(name: str, labels: Array, outputs: Array) -> float:
    classes = outputs.shape[1]
    predicted, exact = outputs.argmax(axis=1), outputs.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    kind, _, average = name.rpartition("_")
    if average in ("macro", "weighted"):
        return float(getattr(sk, f"{kind}_score")(labels, predicted, average=average, zero_division=0))
    if name == "auc":
        return float(sk.roc_auc_score(labels, exact[:, 1] if classes == 2 else exact, multi_class="ovr"))
    if name == "average_precision":
        return float(sk.average_precision_score(labels, outputs[:, 1] if classes == 2 else outputs))
    if name == "brier":
        return float(sk.brier_score_loss(labels, exact[:, 1] if classes == 2 else exact))
    if name.startswith("top_"):
        return float(sk.top_k_accuracy_score(labels, outputs, k=int(name.split("_")[1])))
    if name == "ece":
        return ece(labels, exact)
    return float(
        getattr(sk, {"log_loss": "log_loss"}.get(name, f"{name}_score"))(labels, exact if "loss" in name else predicted)
    )


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 5, 8])
@pytest.mark.parametrize("name", METRICS)
def test_a_score_is_scikit_learns(name: str, classes: int, ties: bool) -> None:
    labels, outputs = draw(classes, ties=ties)
    found = METRICS[name].function(labels, outputs)
    if name.startswith("top_") and int(name.split("_")[1]) >= classes:
        assert math.isnan(found)
    else:
        # Where outputs tie, the float32 rows and their float64 ones of scikit-learn order alike.
        assert found == pytest.approx(of_scikit_learn(name, labels, outputs), rel=1e-9, abs=1e-12)
        assert type(found) is float


def test_means_over_classes_leave_out_those_without_items() -> None:
    labels, outputs = draw(5)
    kept = labels != 2
    labels, outputs = labels[kept], outputs[kept]
    predicted, present = outputs.argmax(axis=1), [0, 1, 3, 4]
    assert (predicted == 2).any()
    for kind in ("precision", "recall", "f1"):
        expected = getattr(sk, f"{kind}_score")(labels, predicted, labels=present, average="macro")
        assert METRICS[f"{kind}_macro"].function(labels, outputs) == pytest.approx(expected)
    each = [sk.roc_auc_score(labels == c, outputs[:, c]) for c in present]
    assert METRICS["auc"].function(labels, outputs) == pytest.approx(np.mean(each))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn remarks on the class without items, and leaves it out as well.
        expected = sk.balanced_accuracy_score(labels, predicted)
    assert METRICS["balanced_accuracy"].function(labels, outputs) == pytest.approx(expected)


def test_one_class_has_no_ranking() -> None:
    outputs = draw(2)[1]
    labels = np.ones(len(outputs), np.int64)
    undefined = {name for name, metric in METRICS.items() if math.isnan(metric.function(labels, outputs))}
    assert undefined == {"auc", "average_precision", "top_2_accuracy", "top_3_accuracy", "top_5_accuracy"}


def test_no_items_no_scores() -> None:
    assert all(
        math.isnan(metric.function(np.empty(0, np.int64), np.empty((0, 3), np.float32))) for metric in METRICS.values()
    )


def test_a_certain_mistake_costs_much_and_not_infinitely_much() -> None:
    assert 30 < METRICS["log_loss"].function(np.array([0]), np.array([[0.0, 1.0]], np.float32)) < 40


def test_rows_that_sum_to_one_only_nearly_are_fine() -> None:
    labels, outputs = draw(5)
    for name in ("log_loss", "brier", "ece"):
        changed = METRICS[name].function(labels, outputs * np.float32(1.00001))
        assert changed == pytest.approx(METRICS[name].function(labels, outputs), rel=1e-5)


def test_an_edge_belongs_to_the_bin_below() -> None:
    # 0.6 and 0.8 are edges of fifteen bins; both answers are right.
    outputs = np.array([[0.6, 0.4], [0.2, 0.8]])
    assert METRICS["ece"].function(np.array([0, 1]), outputs) == pytest.approx((0.4 + 0.2) / 2)


def test_the_names_and_the_functions_are_in_step() -> None:
    assert list(METRICS) == list(BETTER)
    for name, metric in METRICS.items():
        assert (metric.name, metric.better) == (name, BETTER[name])
        assert metric.needs_probabilities == (name in NEEDS_PROBABILITIES)
    assert set(ALIASES.values()) <= BETTER.keys()
    assert not ALIASES.keys() & BETTER.keys()
    # Better is better: certain and right, against certain and wrong.
    labels = np.arange(8) % 8
    right, wrong = np.eye(8, dtype=np.float32), np.roll(np.eye(8, dtype=np.float32), 4, axis=1)
    for metric in METRICS.values():
        good, bad = metric.function(labels, right), metric.function(labels, wrong)
        assert good >= bad if metric.better == "max" else good <= bad


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("accuracy", "accuracy"),
        ("f1", "f1_macro"),
        ("F1-weighted", "f1_weighted"),
        ("roc_auc", "auc"),
        ("loss", "log_loss"),
    ],
)
def test_a_name_is_resolved(given: str, name: str) -> None:
    assert resolve(given) == name


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"there is no metric 'acuracy'. Did you mean 'accuracy'\?"):
        resolve("acuracy")


def test_names_need_no_numpy_and_functions_no_scikit_learn_before_they_are_called() -> None:
    code = (
        "import sys, dlcli.core.metric_names; assert 'numpy' not in sys.modules;"
        "import dlcli.core.metrics; assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert metric_names.BETTER["ece"] == "min"
