"""The weights of an ensemble are the best of their grid."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dlcli.core.metrics import log_losses
from dlcli.results.ensemble import STEPS, choose_weights, geometric_mean


def members(count: int, *, classes: int = 3, n: int = 300) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return labels, and members that each know some of them, one more than the other."""
    random = np.random.default_rng(count)
    labels = random.integers(classes, size=n)
    outputs = []
    for member in range(count):
        logits = random.normal(size=(n, classes))
        logits[np.arange(n), labels] += 1 + 0.3 * member
        outputs.append((np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32))
    return labels, outputs


def grid(count: int) -> list[list[float]]:
    units = itertools.product(range(STEPS + 1), repeat=count)
    return [[unit / STEPS for unit in row] for row in units if sum(row) == STEPS]


@pytest.mark.parametrize("count", [2, 3])
def test_they_have_the_lowest_log_loss(count: int) -> None:
    labels, outputs = members(count)

    def loss(weights: list[float]) -> float:
        return float(log_losses(labels, geometric_mean(outputs, weights)).mean())

    chosen = choose_weights(labels, outputs)
    assert chosen == choose_weights(labels, outputs) == min(grid(count), key=loss)
    assert all(weight > 0 for weight in chosen)
    assert loss(chosen) < min(log_losses(labels, member).mean() for member in outputs)


def test_a_member_that_knows_nothing_counts_for_nothing() -> None:
    labels, (good, _) = members(2)
    wrong = np.roll(good, 1, axis=1)
    assert choose_weights(labels, [wrong, good]) == [0.0, 1.0]


def test_the_mean_is_the_product_of_powers_made_to_sum_to_one() -> None:
    _, (first, second) = members(2)
    product = first.astype(np.float64) ** 0.3 * second.astype(np.float64) ** 0.7
    expected = product / product.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(geometric_mean([first, second], [0.3, 0.7]), expected, rtol=1e-5)


def test_certain_members_give_numbers() -> None:
    certain, other = np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)
    np.testing.assert_allclose(geometric_mean([certain, other], [0.5, 0.5]), [[0.5, 0.5]])
    np.testing.assert_allclose(geometric_mean([certain, other], [1.0, 0.0]), [[1.0, 0.0]], atol=1e-6)
