"""The threshold with the best macro F1 is that of a search through all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from dlcli.errors import UsageError
from dlcli.results.threshold import apply, best_f1, validation_outputs


@pytest.mark.parametrize("decimals", [1, 2, 7])
@pytest.mark.parametrize("seed", range(3))
def test_no_other_threshold_is_better(seed: int, decimals: int) -> None:
    random = np.random.default_rng(seed)
    labels = np.append([0, 1], random.random(60) < 0.3).astype(int)
    second = np.clip(0.3 * labels + 0.7 * random.random(62), 0, 1).round(decimals).astype(np.float32)
    found = best_f1(labels, second)
    every = [f1_score(labels, apply(second, t), average="macro") for t in [*np.unique(second), 2.0]]
    best = f1_score(labels, apply(second, found), average="macro")
    assert best >= max(every) - 1e-12
    assert 0 <= found <= 1


def test_of_equal_thresholds_the_one_nearest_to_a_half_is_taken() -> None:
    # Anything between 0.2 and 0.9 parts the classes, and it lies between two probabilities.
    assert best_f1(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.9, 0.95])) == pytest.approx(0.55)


def test_all_for_one_class_is_a_choice_too() -> None:
    labels = np.array([1, 0, 1, 1, 1, 1])
    threshold = best_f1(labels, np.array([0.1, 0.9, 0.2, 0.3, 0.4, 0.5]))
    assert 0 < threshold < 1


def test_at_the_threshold_the_second_class_is_taken() -> None:
    assert apply(np.array([0.49, 0.5, 0.51]), 0.5).tolist() == [0, 1, 1]
    assert apply(np.array([0.0, 1.0], np.float32), 0.0).tolist() == [1, 1]
    assert apply(np.array([0.0, 1.0], np.float32), 1.0).tolist() == [0, 1]


def test_a_run_without_validation_outputs(tmp_path: Path) -> None:
    (tmp_path / "validation.npz").write_bytes(b"no archive")
    with pytest.raises(UsageError, match=r"keeps no validation outputs.*Train it anew"):
        validation_outputs(tmp_path)
