"""Losses equal their formulas in NumPy, and are refused where they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.tiny import fit, linear, probabilities, vectors
from dlcli.core.backend import keras, tf
from dlcli.core.losses import make_loss, output_activation, takes_label_ids
from dlcli.core.training_config import MARGIN_LOSSES, LossConfig, TrainingConfig
from dlcli.errors import UsageError

ITEMS, CLASSES = 12, 3
RANDOM = np.random.default_rng(3)
LABELS = RANDOM.integers(CLASSES, size=ITEMS)
SCORES = RANDOM.normal(size=(ITEMS, CLASSES)) * 2
P = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
Y = np.eye(CLASSES)[LABELS]
SIGNS = 2 * Y - 1
RIGHT = (Y * SCORES).sum(axis=1)
# What each costs an item. `P` for losses of probabilities, `SCORES` for those of margins.
FORMULAS: dict[str, np.ndarray] = {
    "categorical_crossentropy": -np.log((Y * P).sum(axis=1)),
    "sparse_categorical_crossentropy": -np.log(P[np.arange(ITEMS), LABELS]),
    "hinge": np.maximum(0, 1 - SIGNS * SCORES).mean(axis=1),
    "squared_hinge": (np.maximum(0, 1 - SIGNS * SCORES) ** 2).mean(axis=1),
    # Zero stands among the wrong classes' scores: Keras takes the largest of (1 - y) s.
    "categorical_hinge": np.maximum(0, 1 + ((1 - Y) * SCORES).max(axis=1) - RIGHT),
    "focal": ((1 - (Y * P).sum(axis=1)) ** 2) * -np.log((Y * P).sum(axis=1)),
    "mse": ((Y - P) ** 2).mean(axis=1),
    "mae": np.abs(Y - P).mean(axis=1),
    "log_cosh": np.log(np.cosh(Y - P)).mean(axis=1),
    "kl_divergence": -np.log((Y * P).sum(axis=1)),
}


def losses(settings: dict[str, Any], targets: np.ndarray, outputs: np.ndarray, classes: int = CLASSES) -> np.ndarray:
    """Return the loss of each item."""
    loss = make_loss(LossConfig(**settings), classes=classes, reduction=None)
    kind = tf.int64 if targets.ndim == 1 else tf.float32
    return np.asarray(loss(tf.constant(targets, kind), tf.constant(outputs, tf.float32)).numpy())


def given(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets and outputs that a loss is for."""
    return (
        LABELS if takes_label_ids(LossConfig(loss=name)) else Y,
        SCORES if name in MARGIN_LOSSES else P,
    )


@pytest.mark.parametrize("name", FORMULAS)
def test_each_loss_equals_its_formula(name: str) -> None:
    targets, outputs = given(name)
    np.testing.assert_allclose(losses({"loss": name}, targets, outputs), FORMULAS[name], rtol=1e-4, atol=5e-6)
    mean = make_loss(LossConfig(loss=name), classes=CLASSES)(targets, outputs.astype(np.float32))
    assert float(mean) == pytest.approx(FORMULAS[name].mean(), rel=1e-4)


def test_every_loss_is_tested() -> None:
    assert set(LossConfig.model_fields["loss"].annotation.__args__) == {*FORMULAS, "binary_crossentropy"}


def test_binary_cross_entropy_of_two_classes_is_the_categorical_one() -> None:
    p = np.array([0.9, 0.01, 0.5])
    outputs, targets = np.stack([1 - p, p], axis=1), np.eye(2)[[1, 1, 0]]
    expected = [-np.log(0.9), -np.log(0.01), np.log(2)]
    found = losses({"loss": "binary_crossentropy"}, targets, outputs, classes=2)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(losses({}, targets, outputs, classes=2), expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy"])
def test_the_notes_cross_entropies(name: str) -> None:
    """Of p = 0.9 it is 0.105, of p = 0.01 it is 4.6."""
    outputs = np.array([[0.1, 0.9], [0.99, 0.01]])
    labels = np.array([1, 1])
    targets = labels if name.startswith("sparse") else np.eye(2)[labels]
    np.testing.assert_allclose(losses({"loss": name}, targets, outputs, classes=2), [0.105, 4.6], rtol=0.005)


def test_the_notes_log_cosh() -> None:
    """Of an error of 0.1 it is 0.005, of 5.9 it is 5.21: squares near zero, straight far off."""
    targets = np.zeros((2, 1))
    found = losses({"loss": "log_cosh"}, targets, np.array([[0.1], [5.9]]), classes=1)
    np.testing.assert_allclose(found, [0.005, 5.21], rtol=0.003)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 5.0])
def test_the_focal_loss_leaves_out_what_is_easy(gamma: float) -> None:
    right = (Y * P).sum(axis=1)
    found = losses({"loss": "focal", "focal_gamma": gamma}, Y, P)
    np.testing.assert_allclose(found, (1 - right) ** gamma * -np.log(right), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", sorted({*FORMULAS, "binary_crossentropy"} - {"sparse_categorical_crossentropy"}))
def test_what_is_right_and_sure_costs_nothing_and_what_is_wrong_more(name: str) -> None:
    right, wrong = (np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]))
    if name in MARGIN_LOSSES:
        right, wrong = 4 * right - 2, 4 * wrong - 2
    good, bad = (float(losses({"loss": name}, np.eye(2)[[1]], outputs, classes=2)[0]) for outputs in (right, wrong))
    assert good == pytest.approx(0, abs=1e-5)
    # log(cosh(1)) is the smallest of them.
    assert bad > 0.4


def test_what_a_model_ends_in() -> None:
    assert {name for name in FORMULAS if output_activation(LossConfig(loss=name)) == "linear"} == set(MARGIN_LOSSES)
    assert output_activation(LossConfig()) == "softmax"


def test_binary_cross_entropy_is_for_two_classes() -> None:
    with pytest.raises(UsageError) as caught:
        make_loss(LossConfig(loss="binary_crossentropy"), classes=3)
    assert caught.value.message == "--loss binary_crossentropy is for two classes, the data has 3"
    assert caught.value.hint == "Use categorical_crossentropy"


@pytest.mark.parametrize("name", ["mse", "sparse_categorical_crossentropy", "squared_hinge", "focal", "log_cosh"])
def test_training_and_validation_take_the_loss(tmp_path: Path, name: str) -> None:
    """The first step's loss and `val_loss` are the formula's of what the model answers before it."""
    training, validation = vectors(40, classes=3), vectors(30, classes=3, seed=1)
    kernel = np.random.default_rng(0).normal(size=(3, 3)) * 0.5
    model = linear(classes=3)
    if name in MARGIN_LOSSES:
        model.get_layer("head").activation = keras.activations.linear
    model.get_layer("head").kernel.assign(kernel)
    settings = {"epochs": 1, "batch_size": 40, "loss": name, "optimizer": "sgd", "lr": 1e-30}
    (record,) = fit(tmp_path / "r", model, training, validation, **settings).history
    for points, key in ((training, "loss"), (validation, "val_loss")):
        y = np.eye(3)[points.labels]
        p = probabilities(points, kernel)
        right = (y * p).sum(axis=1)
        scores = points.inputs.rows.astype(np.float64) @ kernel  # type: ignore[attr-defined]
        expected = {
            "mse": ((y - p) ** 2).mean(),
            "sparse_categorical_crossentropy": -np.log(right).mean(),
            "squared_hinge": (np.maximum(0, 1 - (2 * y - 1) * scores) ** 2).mean(),
            "focal": ((1 - right) ** 2 * -np.log(right)).mean(),
            "log_cosh": np.log(np.cosh(y - p)).mean(),
        }[name]
        assert record[key] == pytest.approx(expected, rel=1e-4), key
    answers = probabilities(validation, kernel).argmax(axis=1)
    assert record["val_accuracy"] == pytest.approx((answers == validation.labels).mean())


@pytest.mark.parametrize(
    ("loss", "smoothing"),
    [
        ("categorical_crossentropy", 0.05),
        ("binary_crossentropy", 0.05),
        ("focal", None),
        ("mse", None),
        ("hinge", None),
    ],
)
def test_the_smoothing_that_nobody_asked_for(loss: str, smoothing: float | None) -> None:
    assert TrainingConfig(loss=loss).resolved().label_smoothing == smoothing
    if smoothing is not None:
        assert TrainingConfig(loss=loss, label_smoothing=0.0).resolved().label_smoothing == 0.0
