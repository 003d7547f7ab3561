"""Learning-rate schedules equal their formulas at every step, and `fit.train` takes each step at that rate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.tiny import KillAt, Killed, fit, linear, vectors
from dlcli.core.backend import keras
from dlcli.core.checkpoint import TrainingState
from dlcli.core.judging import judge_epoch
from dlcli.core.schedules import learning_rate, warmup_epochs
from dlcli.core.training_config import TrainingConfig
from dlcli.errors import UsageError

LR = 0.3
# (epochs, steps of an epoch): one step in all, primes, a share that no power of two makes, many.
LENGTHS = [(1, 1), (1, 7), (3, 7), (5, 20), (7, 10), (10, 3), (30, 50)]

# The formulas: of `t`, the number of each step after the warm-up, counted from 0, and `n`, how many there are.
Formula = Callable[[np.ndarray, float, float], np.ndarray]


def constant(t: np.ndarray, n: float, per_epoch: float) -> np.ndarray:
    return np.full(t.shape, LR)


def step(rate: float = 0.1, epochs: float | None = None) -> Formula:
    """He et al. 2016: times a rate after each so many epochs."""
    return lambda t, n, per_epoch: (
        LR * rate ** np.floor(np.round(t / (n / 3 if epochs is None else epochs * per_epoch), 6))
    )


def exponential(rate: float = 0.1, epochs: float | None = None) -> Formula:
    """TensorFlow's `exponential_decay`: the rate's power, without stairs."""
    return lambda t, n, per_epoch: LR * np.exp(np.log(rate) * t / (n if epochs is None else epochs * per_epoch))


def inverse_time(k: float = 1.0, epochs: float | None = None) -> Formula:
    """The lecture notes: lr0 / (1 + epoch / epochs)."""
    return lambda t, n, per_epoch: LR / (1 + k * t / (n if epochs is None else epochs * per_epoch))


def polynomial(power: float = 1.0, end: float = 0.0) -> Formula:
    """TensorFlow's `polynomial_decay`."""
    return lambda t, n, per_epoch: (LR - end) * (1 - t / n) ** power + end


def cosine(cycles: int = 1, growth: float = 1.0, end: float = 0.0) -> Formula:
    """Loshchilov & Hutter 2017, equation 5, with T_i as many steps as fit `cycles` of them into the training."""

    def formula(t: np.ndarray, n: float, per_epoch: float) -> np.ndarray:
        lengths = n * growth ** np.arange(cycles) / (growth ** np.arange(cycles)).sum()
        starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
        cycle = (np.round(t[:, None], 6) >= np.round(starts, 6)).sum(axis=1) - 1
        return end + (LR - end) / 2 * (1 + np.cos(np.pi * (t - starts[cycle]) / lengths[cycle]))

    return formula


def one_cycle(peak: float = 0.3) -> Formula:
    """Smith & Topin 2019 as PyTorch's `OneCycleLR` has it: from lr / 25 up, then down to lr / 250,000."""

    def formula(t: np.ndarray, n: float, per_epoch: float) -> np.ndarray:
        up = LR / 25 + (LR - LR / 25) * (1 - np.cos(np.pi * t / (peak * n))) / 2
        down = LR / 250_000 + (LR - LR / 250_000) * (1 + np.cos(np.pi * (t - peak * n) / (n - peak * n))) / 2
        return np.where(t < peak * n, up, down)

    return formula


def slanted_triangular(cut_frac: float = 0.1) -> Formula:
    """Howard & Ruder 2018, equation 3, with a cut that need not be a whole step."""

    def formula(t: np.ndarray, n: float, per_epoch: float) -> np.ndarray:
        cut = n * cut_frac
        p = np.where(t < cut, t / cut, 1 - (t - cut) / (cut * (1 / cut_frac - 1)))
        return LR * (1 + p * (32 - 1)) / 32

    return formula


SCHEDULES: list[tuple[dict[str, Any], Formula]] = [
    ({"schedule": "constant"}, constant),
    ({"schedule": "step"}, step()),
    ({"schedule": "step", "decay_rate": 0.5, "decay_epochs": 0.5}, step(0.5, 0.5)),
    ({"schedule": "exponential"}, exponential()),
    ({"schedule": "exponential", "decay_rate": 0.9, "decay_epochs": 1}, exponential(0.9, 1)),
    ({"schedule": "inverse-time"}, inverse_time()),
    ({"schedule": "inverse-time", "decay_rate": 3, "decay_epochs": 2}, inverse_time(3, 2)),
    ({"schedule": "polynomial"}, polynomial()),
    ({"schedule": "polynomial", "power": 2, "end_lr": 0.01}, polynomial(2, 0.01)),
    ({"schedule": "cosine"}, cosine()),
    ({"schedule": "cosine", "cycles": 3, "end_lr": 0.02}, cosine(3, 1, 0.02)),
    ({"schedule": "cosine", "cycles": 4, "cycle_growth": 2}, cosine(4, 2)),
    ({"schedule": "cosine", "cycles": 2, "cycle_growth": 1.5, "end_lr": 0.1}, cosine(2, 1.5, 0.1)),
    ({"schedule": "one-cycle"}, one_cycle()),
    ({"schedule": "one-cycle", "peak": 0.6}, one_cycle(0.6)),
    ({"schedule": "slanted-triangular"}, slanted_triangular()),
    ({"schedule": "slanted-triangular", "peak": 0.25}, slanted_triangular(0.25)),
]
IDS = [" ".join(map(str, settings.values())) for settings, _ in SCHEDULES]


def rates(config: TrainingConfig, per_epoch: int, factor: float = 1.0) -> np.ndarray:
    """Return the rate of each step of a training, as `core/callbacks.py` asks for it."""
    length = 1 / per_epoch
    return np.array(
        [
            learning_rate(config, time=epoch + step * length, step=length, factor=factor)
            for epoch in range(config.epochs)
            for step in range(per_epoch)
        ]
    )


@pytest.mark.parametrize(("settings", "formula"), SCHEDULES, ids=IDS)
@pytest.mark.parametrize("warmup", [None, 0.1, 0.25, "steps"])
def test_every_step_is_at_the_formula_s_rate(settings: dict[str, Any], formula: Formula, warmup: Any) -> None:
    tried = 0
    for epochs, per_epoch in LENGTHS:
        # Of every count of steps the formula begins exactly after them, wherever it falls in an epoch.
        counts = range(1, min(60, epochs * per_epoch)) if warmup == "steps" else [warmup]
        for given in counts:
            config = TrainingConfig(lr=LR, epochs=epochs, patience=0, warmup=given, **settings)
            total = epochs * per_epoch
            warm = 0.0 if given is None else given * total if isinstance(given, float) else given
            steps = np.arange(total)
            expected = np.where(
                steps < warm - 1e-6,
                LR * np.minimum(1, (steps + 1) / max(warm, 1e-9)),
                formula(np.maximum(steps - warm, 0.0), total - warm, per_epoch),
            )
            np.testing.assert_allclose(
                rates(config, per_epoch), expected, rtol=1e-9, atol=1e-12, err_msg=f"{epochs} x {per_epoch}, {given}"
            )
            tried += 1
    assert tried >= len(LENGTHS)


def test_known_points() -> None:
    """Numbers of the papers and the notes, without a formula in between."""

    def at(time: float, **settings: Any) -> float:
        return learning_rate(TrainingConfig(lr=LR, epochs=10, patience=0, **settings), time=time, step=0.01)

    assert at(5, schedule="inverse-time") == pytest.approx(LR / 1.5)
    assert [at(t, schedule="step", decay_epochs=4) for t in (3.99, 4, 8)] == pytest.approx([LR, LR / 10, LR / 100])
    assert at(5, schedule="cosine") == pytest.approx(LR / 2)
    # Cycles of 1, 2 and 4 parts of 7: the second starts at a seventh, with the full rate, and is half down at two.
    assert at(10 / 7, schedule="cosine", cycles=3, cycle_growth=2) == pytest.approx(LR)
    assert at(20 / 7, schedule="cosine", cycles=3, cycle_growth=2) == pytest.approx(LR / 2)
    assert [at(t, schedule="one-cycle") for t in (0, 3, 10)] == pytest.approx([LR / 25, LR, LR / 250_000])
    assert [at(t, schedule="slanted-triangular") for t in (0, 1, 10)] == pytest.approx([LR / 32, LR, LR / 32])
    assert at(10, schedule="polynomial", end_lr=0.1) == pytest.approx(0.1)


@pytest.mark.parametrize("schedule", ["cosine", "polynomial", "one-cycle", "slanted-triangular", "inverse-time"])
def test_a_rate_is_never_negative_nor_above_the_highest(schedule: str) -> None:
    for epochs, per_epoch in LENGTHS:
        found = rates(TrainingConfig(lr=LR, epochs=epochs, patience=0, schedule=schedule, warmup=0.3), per_epoch)
        assert (found >= 0).all() and (found <= LR * (1 + 1e-12)).all()
        assert np.isfinite(found).all()


class TestWarmUp:
    def test_its_length(self) -> None:
        def length(warmup: Any) -> float:
            return warmup_epochs(TrainingConfig(epochs=4, warmup=warmup), step=0.1)

        assert [length(warmup) for warmup in (None, 0.25, "25%", 12, "12")] == pytest.approx([0, 1, 1, 1.2, 1.2])

    @pytest.mark.parametrize("steps", [40, 41, 1000])
    def test_as_long_as_the_training_is_refused(self, steps: int) -> None:
        with pytest.raises(UsageError) as caught:
            warmup_epochs(TrainingConfig(epochs=4, warmup=steps), step=0.1)
        assert caught.value.message == (
            f"the schedule is longer than the training: --warmup {steps} steps, the training has 40"
        )
        assert "--warmup 0.1" in caught.value.hint
        assert warmup_epochs(TrainingConfig(epochs=4, warmup=39), step=0.1) == pytest.approx(3.9)


class TestPlateau:
    """The rate after a script of scores."""

    def factors(self, scores: list[float], **settings: Any) -> list[float]:
        config = TrainingConfig(
            schedule="plateau", epochs=len(scores) + 1, patience=0, lr=LR, monitor="val_loss", **settings
        ).resolved()
        state = TrainingState()
        found = []
        for score in scores:
            record = {"loss": 1.0, "val_loss": score, "accuracy": 0.5, "val_accuracy": -score, "seconds": 1.0}
            judge_epoch(state, record, config)
            # The rate of the next epoch's first step.
            found.append(learning_rate(config, time=state.epoch, step=0.1, factor=state.plateau_factor) / LR)
        return found

    def test_the_rate_is_halved_when_a_score_is_no_better(self) -> None:
        # Best, better, worse (halved), still worse (halved again), better, as good (halved).
        assert self.factors([5, 4, 6, 5, 3, 3]) == pytest.approx([1, 1, 0.5, 0.25, 0.25, 0.125])

    def test_patience_counts_anew_after_a_better_score_and_after_a_halving(self) -> None:
        scores = [5, 6, 4, 6, 6, 6, 6, 6, 3]
        expected = [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25]
        assert self.factors(scores, plateau_patience=2) == pytest.approx(expected)

    def test_the_factor(self) -> None:
        assert self.factors([5, 5, 5], plateau_factor=0.1) == pytest.approx([1, 0.1, 0.01])

    def test_the_lowest_rate(self) -> None:
        assert self.factors([5, 5, 5, 5], end_lr=LR * 0.3) == pytest.approx([1, 0.5, 0.3, 0.3])

    def test_min_delta_says_what_is_better(self) -> None:
        # 4.5 and 4.1 are not better enough than 5, 3.9 is.
        assert self.factors([5, 4.5, 4.1, 3.9, 3.5], min_delta=1) == pytest.approx([1, 0.5, 0.25, 0.25, 0.125])

    def test_the_direction(self) -> None:
        assert self.factors([5, 6, 7, 6], mode="max") == pytest.approx([1, 1, 1, 0.5])
        assert self.factors([5, 6, 4], mode="min") == pytest.approx([1, 0.5, 0.5])

    def test_other_schedules_know_no_factor(self) -> None:
        config = TrainingConfig(schedule="constant", epochs=5, patience=0, lr=LR, monitor="val_loss").resolved()
        state = TrainingState()
        for score in (5, 6, 7):
            judge_epoch(state, {"loss": 1.0, "val_loss": score}, config)
        assert state.plateau_factor == 1.0


class Probe:
    """Writes down the optimizer's rate at each step that `fit` takes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rates: list[float] = []
        real = keras.Model.fit

        def spied(model: Any, *args: Any, callbacks: list[Any], **settings: Any) -> Any:
            note = keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: self.rates.append(float(model.optimizer.learning_rate.numpy()))
            )
            return real(model, *args, callbacks=[note, *callbacks], **settings)

        monkeypatch.setattr(keras.Model, "fit", spied)


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "one-cycle", "warmup": 5},
        {"schedule": "cosine", "cycles": 2, "accumulate": 2},
        {"schedule": "plateau", "monitor": "val_loss", "min_delta": 0.5, "warmup": 0.2},
    ],
    ids=lambda settings: settings["schedule"],
)
def test_every_step_is_taken_at_its_rate_also_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    settings = {"epochs": 3, "batch_size": 16, "patience": 0, "lr": LR, "optimizer": "sgd", **settings}
    data = vectors(96), vectors(40, seed=1)
    parts = Probe(monkeypatch)
    state = fit(tmp_path / "a", linear(), *data, **settings)
    straight = list(parts.rates)
    config = TrainingConfig(**settings)
    factors = [1.0] * 3
    if settings["schedule"] == "plateau":
        replayed = TrainingState()
        for epoch, record in enumerate(state.history[:-1], start=1):
            judge_epoch(replayed, record, config)
            factors[epoch] = replayed.plateau_factor
        assert factors[-1] < 1, "the rate was lowered in this training"
    expected = [
        learning_rate(config, time=epoch + step / 6, step=1 / 6, factor=factors[epoch])
        for epoch in range(3)
        for step in range(6)
    ]
    np.testing.assert_allclose(straight, expected, rtol=1e-6)
    np.testing.assert_allclose([record["learning_rate"] for record in state.history], expected[5::6], rtol=1e-6)

    parts.rates.clear()
    with pytest.raises(Killed):
        fit(tmp_path / "b", linear(), *data, progress=KillAt(2, 3), checkpoint_minutes=1e-9, **settings)
    # A checkpoint was kept after each step, but for the last one, in which the kill came before it.
    parts.rates.pop()
    fit(tmp_path / "b", linear(), *data, checkpoint_minutes=1e-9, **settings)
    np.testing.assert_array_equal(parts.rates, straight)
