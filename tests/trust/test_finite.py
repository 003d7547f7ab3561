"""Trainings that explode, and numbers that are none: few and short here, all of them in `finite.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from trust import finite


@pytest.mark.parametrize(
    ("batch_size", "kept", "where"),
    [
        (8, "nothing: no epoch was finite", "the loss is not a finite number in epoch 1, step 3"),
        (64, "the best of 1 epochs, all weights finite", "the validation loss is not a finite number in epoch 2"),
    ],
)
def test_a_training_that_explodes_keeps_finite_weights_or_none(
    tiny: Path, tmp_path: Path, batch_size: int, kept: str, where: str
) -> None:
    line = f"train-text {tiny} --device cpu --epochs 3 --optimizer sgd --lr 1e30 --batch-size {batch_size}"
    found = finite.exploding("tiny", line, tmp_path / "run", seed=1)
    assert (found.held, found.code, found.kept) == (True, 6, kept)
    assert found.said.startswith(f"{where}. Lower --lr") and "--clip-norm 1" in found.said


def test_numbers_that_are_none_in_data_and_settings(tmp_path: Path) -> None:
    found = finite.bad_numbers(tmp_path)
    assert [one.case for one in found if not one.held] == [] and len(found) == 5
