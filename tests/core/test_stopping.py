"""Ctrl-C and SIGTERM wait for the end of a step; what is resumed ends as if nobody had stopped it."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.tiny import fit, linear, vectors, without_seconds
from dlcli.core.backend import keras
from dlcli.core.callbacks import Steps
from dlcli.core.checkpoint import TrainingState
from dlcli.core.judging import Judge
from dlcli.core.progress import Silent
from dlcli.core.stopping import StopRequest, stopping_between_steps
from dlcli.core.training_config import TrainingConfig
from dlcli.errors import Terminated

DATA = vectors(90), vectors(40, seed=1)
# Steps of an epoch: batches of 16, the last one of 10.
STEPS = 6
COMMON: dict[str, Any] = {"epochs": 3, "batch_size": 16, "patience": 0}
REASONS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {"lr": 0.05, "clip_norm": 0.4},
    "sgd, momentum, plateau": {
        **{"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True, "metrics": ("auc", "f1")},
        **{"schedule": "plateau", "monitor": "val_loss", "min_delta": 1.0},
    },
    "rmsprop, one-cycle, accumulation": {"optimizer": "rmsprop", "lr": 0.05, "schedule": "one-cycle", "accumulate": 4},
    "lion, averages, warm-up": {"optimizer": "lion", "lr": 0.02, "ema": 0.9, "warmup": 5, "monitor": "val_auc"},
    "nadam, averages, accumulation": {"optimizer": "nadam", "lr": 0.05, "ema": 0.8, "accumulate": 2},
}
# Epoch and step of each stop, counted from 1, and the signal: the first step of all, the last of an epoch, and others.
STOPS = {
    "adam": [(1, 1, signal.SIGINT), (1, STEPS, signal.SIGTERM), (3, STEPS, signal.SIGINT)],
    "sgd, momentum, plateau": [(2, 1, signal.SIGTERM), (2, 2, signal.SIGTERM), (3, 5, signal.SIGINT)],
    "rmsprop, one-cycle, accumulation": [(1, 3, signal.SIGTERM), (2, STEPS, signal.SIGINT)],
    "lion, averages, warm-up": [(1, 4, signal.SIGINT), (3, 1, signal.SIGTERM)],
    "nadam, averages, accumulation": [(1, 5, signal.SIGINT), (2, 4, signal.SIGTERM)],
}


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Hear Ctrl-C, as at a terminal, also where the tests are a job in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def model() -> Any:
    """Return a model with dropout, so that seeds have a state."""
    return linear(dropout=0.3, seed=5)


def checkpointed(path: Path) -> TrainingState:
    return TrainingState.model_validate_json((path / "checkpoints" / "state.json").read_bytes())


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that lets this process get signals while it computes a step of the next training."""
    plan: list[tuple[int, int, tuple[signal.Signals, ...]]] = []
    real = keras.Model.fit

    def fit_with_signals(fitted: Any, *args: Any, callbacks: list[Any], **settings: Any) -> Any:
        (steps,) = callbacks

        def begin(batch: int, logs: Any) -> None:
            if plan and (steps.state.epoch + 1, steps.state.step + 1) == plan[0][:2]:
                for number in plan.pop()[2]:
                    os.kill(os.getpid(), number)

        note = keras.callbacks.LambdaCallback(on_train_batch_begin=begin)
        return real(fitted, *args, callbacks=[note, *callbacks], **settings)

    monkeypatch.setattr(keras.Model, "fit", fit_with_signals)

    def planned(epoch: int, step: int, *signals: signal.Signals) -> None:
        plan.append((epoch, step, signals))

    return planned


def assert_same(one: Any, other: Any) -> None:
    for left, right in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy())


def assert_same_state(one: TrainingState, other: TrainingState) -> None:
    assert without_seconds(one.history) == without_seconds(other.history)
    assert one.model_copy(update={"history": []}) == other.model_copy(update={"history": []})


@pytest.mark.parametrize("name", SETTINGS)
def test_a_stopped_training_ends_as_the_uninterrupted_one(tmp_path: Path, send: Callable[..., None], name: str) -> None:
    settings = {**COMMON, **SETTINGS[name]}
    straight, resumed = model(), model()
    expected = fit(tmp_path / "a", straight, *DATA, **settings)
    for epoch, step, number in STOPS[name]:
        send(epoch, step, number)
        with pytest.raises(REASONS[number]):
            fit(tmp_path / "b", model(), *DATA, **settings)
        state = checkpointed(tmp_path / "b")
        assert (state.epoch, state.step) == (epoch - 1, step), "the step during which it came is not lost"
        assert len(state.history) == epoch - 1
        files = {path.name for path in (tmp_path / "b" / "checkpoints").iterdir()}
        best = {f"epoch-{state.best_epoch}.npz"} if state.best_epoch else set()
        assert files == {"state.json", f"epoch-{epoch - 1}-step-{step}.npz"} | best
        assert json.loads((tmp_path / "b" / "run.json").read_text())["status"] == "interrupted"
    state = fit(tmp_path / "b", resumed, *DATA, **settings)
    assert_same_state(state, expected)
    assert_same(resumed, straight)
    losses = [record["loss"] for record in expected.history]
    assert losses[-1] < losses[0], "something was learnt"
    if name.startswith("sgd"):
        assert state.plateau_factor == 0.25
        assert 0 < state.history[-1]["val_auc"] < 1


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, TrainingState, dict[str, Any]]:
    """Return a model that nobody stopped, where its training ended, and its settings."""
    straight, settings = model(), {**COMMON, "epochs": 2, "lr": 0.05}
    return straight, fit(tmp_path_factory.mktemp("plain") / "a", straight, *DATA, **settings), settings


@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_signal_during_validation_keeps_the_last_step_and_waits_for_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ema: float | None
) -> None:
    settings = {**COMMON, "epochs": 2, "lr": 0.05, "ema": ema}
    straight, resumed = model(), model()
    expected = fit(tmp_path / "a", straight, *DATA, **settings)
    real, calls = Judge.scores, []

    def scores(judge: Judge, **given: Any) -> dict[str, float]:
        calls.append(judge)
        if len(calls) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(judge, **given)

    monkeypatch.setattr(Judge, "scores", scores)
    with pytest.raises(Terminated):
        fit(tmp_path / "b", model(), *DATA, **settings)
    state = checkpointed(tmp_path / "b")
    assert (state.epoch, state.step) == (0, STEPS)
    assert_same_state(fit(tmp_path / "b", resumed, *DATA, **settings), expected)
    assert_same(resumed, straight)


def test_a_second_signal_stops_at_once_and_loses_no_more_than_the_step(
    tmp_path: Path, send: Callable[..., None], plain: tuple[Any, TrainingState, dict[str, Any]]
) -> None:
    (straight, expected, settings), resumed = plain, model()
    send(2, 3, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "b", model(), *DATA, **settings)
    send(2, 5, signal.SIGINT, signal.SIGTERM)
    with pytest.raises(Terminated):
        fit(tmp_path / "b", model(), *DATA, **settings)
    state = checkpointed(tmp_path / "b")
    assert (state.epoch, state.step) == (1, 3), "nobody waited for the step"
    assert_same_state(fit(tmp_path / "b", resumed, *DATA, **settings), expected)
    assert_same(resumed, straight)


def test_a_signal_that_comes_when_the_step_was_looked_at_waits_for_the_next_one() -> None:
    class Late(StopRequest):
        """Gets its reason as soon as somebody has looked."""

        looks = 0

        @property
        def reason(self) -> BaseException | None:  # type: ignore[override]
            self.looks += 1
            return KeyboardInterrupt() if self.looks > 1 else None

    kept: list[int] = []
    checkpoints: Any = SimpleNamespace(save=lambda state: kept.append(state.step))
    steps = Steps(
        TrainingConfig(), state=TrainingState(), checkpoints=checkpoints, metrics=[], stop=Late(), progress=Silent()
    )
    steps.begin(5)
    steps.on_train_batch_end(0)
    assert kept == []
    with pytest.raises(KeyboardInterrupt):
        steps.on_train_batch_end(1)
    assert kept == [2]


class TestStopRequest:
    def test_the_first_signal_waits_and_the_second_does_not(self) -> None:
        before = [signal.getsignal(number) for number in REASONS]
        with pytest.raises(KeyboardInterrupt), stopping_between_steps() as stop:
            stop.check()
            assert stop.reason is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert isinstance(stop.reason, Terminated)
            with pytest.raises(Terminated):
                stop.check()
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("the second one raises at once")
        assert [signal.getsignal(number) for number in REASONS] == before

    def test_a_signal_that_is_ignored_stays_ignored(self) -> None:
        """A shell's background jobs ignore Ctrl-C."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with stopping_between_steps() as stop:
                os.kill(os.getpid(), signal.SIGINT)
                assert stop.reason is None
        finally:
            signal.signal(signal.SIGINT, before)

    def test_one_that_comes_after_the_last_step_is_raised_at_the_end(self) -> None:
        reached = False
        with pytest.raises(KeyboardInterrupt), stopping_between_steps():
            os.kill(os.getpid(), signal.SIGINT)
            reached = True
        assert reached

    def test_an_error_of_the_block_goes_before(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(ZeroDivisionError), stopping_between_steps():
            os.kill(os.getpid(), signal.SIGTERM)
            raise ZeroDivisionError
        assert signal.getsignal(signal.SIGTERM) == before

    def test_signals_are_the_main_thread_s(self) -> None:
        found: list[Any] = []

        def other() -> None:
            with stopping_between_steps() as stop:
                found.append(stop.reason)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert found == [None]
