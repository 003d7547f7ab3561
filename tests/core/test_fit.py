"""The training core: exact resume, early stopping, label smoothing, class weights, numbers that are none."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from core.tiny import KillAt, Killed, Vectors, fit, linear, opened, probabilities, vectors, without_seconds
from dlcli.core import fit as fit_module
from dlcli.core.backend import keras, tf
from dlcli.core.batches import training_batches
from dlcli.core.checkpoint import Checkpoints, TrainingState
from dlcli.core.fit import Labelled, best_scores, compile_model, finished, train
from dlcli.core.judging import Judge
from dlcli.core.progress import Silent
from dlcli.core.training_config import TrainingConfig
from dlcli.errors import NumbersError, UsageError
from dlcli.text.config import TextModelConfig, TextPipelineConfig
from dlcli.text.domain import TextDomain

REVIEWS = Path(__file__).resolve().parents[2] / "sample_data" / "reviews.csv"
# Weights that a step of this rate leaves as they are, in float32.
NO_STEP = {"optimizer": "sgd", "lr": 1e-30}


@pytest.fixture(scope="module")
def reviews() -> tuple[list[str], np.ndarray]:
    with REVIEWS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:250]
    return [row["text"] for row in rows], np.array([int(row["label"] == "pos") for row in rows])


def train_text(
    path: Path, reviews: tuple[list[str], np.ndarray], *, dim: int, progress: Any = None, **settings: Any
) -> tuple[list[np.ndarray], TrainingState]:
    """Train bigrams as a fresh process would: everything is made anew but the run directory."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(int(np.random.default_rng().integers(1000)))
    texts, labels = reviews
    domain = TextDomain(
        TextPipelineConfig(ngrams=2), TextModelConfig(embedding_dim=dim, ngram_dropout=0.3), seed=settings["seed"]
    )
    fitted = domain.fit(texts[:200], labels[:200], 2, Silent())
    state = fit(
        path,
        fitted.model,
        Labelled(inputs=fitted.inputs, labels=labels[:200]),
        Labelled(inputs=fitted.pipeline.encode(texts[200:]), labels=labels[200:]),
        progress=progress,
        **settings,
    )
    return [np.array(v.numpy()) for v in fitted.model.weights], state


class TestResume:
    @pytest.mark.parametrize(("dim", "optimizer"), [(1, "adam"), (8, "sgd")])
    def test_a_stopped_training_ends_with_the_same_weights(
        self, tmp_path: Path, reviews: tuple[list[str], np.ndarray], optimizer: str, dim: int
    ) -> None:
        settings = {"optimizer": optimizer, "epochs": 3, "batch_size": 32, "patience": 9, "seed": 11}
        settings["lr"] = 0.02 if optimizer == "adam" else 0.5
        straight, expected = train_text(tmp_path / "a", reviews, dim=dim, **settings)
        with pytest.raises(Killed):
            train_text(tmp_path / "b", reviews, dim=dim, progress=KillAt(epoch=2, step=4), **settings)
        resumed, state = train_text(tmp_path / "b", reviews, dim=dim, **settings)
        assert without_seconds(state.history) == without_seconds(expected.history)
        assert [record["epoch"] for record in state.history] == [1, 2, 3]
        assert state.model_copy(update={"history": []}) == expected.model_copy(update={"history": []})
        for one, other in zip(straight, resumed, strict=True):
            np.testing.assert_array_equal(one, other)
        losses = [record["loss"] for record in expected.history]
        assert losses[-1] < losses[0], "something was learnt"

    def test_another_seed_trains_other_weights(self, tmp_path: Path, reviews: tuple[list[str], np.ndarray]) -> None:
        one, other = (train_text(tmp_path / str(s), reviews, dim=1, epochs=1, seed=s)[0] for s in (1, 2))
        assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))

    @pytest.mark.parametrize("kills", [[(1, 1)], [(1, 3), (1, 1), (2, 2), (1, 6)]])
    def test_any_number_of_kills(self, tmp_path: Path, kills: list[tuple[int, int]]) -> None:
        settings: dict[str, Any] = {"epochs": 3, "batch_size": 16, "patience": 9, "lr": 0.05}
        data = vectors(96), vectors(40, seed=1)
        straight = linear(dropout=0.3, seed=5)
        expected = fit(tmp_path / "a", straight, *data, **settings)
        for epoch, step in kills:
            with pytest.raises(Killed):
                fit(tmp_path / "b", linear(dropout=0.3, seed=5), *data, progress=KillAt(epoch, step), **settings)
        model = linear(dropout=0.3, seed=5)
        state = fit(tmp_path / "b", model, *data, **settings)
        assert without_seconds(state.history) == without_seconds(expected.history)
        np.testing.assert_array_equal(model.get_weights()[0], straight.get_weights()[0])

    def test_a_training_that_was_done_is_not_done_again(self, tmp_path: Path) -> None:
        """The kill came after the last epoch, before the run was finished."""
        data = vectors(96), vectors(40, seed=1)
        first, again = linear(), linear()
        state = fit(tmp_path / "r", first, *data, epochs=2, lr=0.05)
        assert fit(tmp_path / "r", again, *data, epochs=2, lr=0.05) == state
        for one, other in zip(first.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_history_on_disk_is_the_state_s(self, tmp_path: Path) -> None:
        state = fit(tmp_path / "r", linear(), vectors(64), vectors(32, seed=1), epochs=3, patience=9)
        lines = (tmp_path / "r" / "history.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == state.history
        assert state.history[0].keys() == {
            *("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"),
            *("gradient_norm", "weight_norm", "step_ms", "seconds"),
        }


def scheduled(monkeypatch: pytest.MonkeyPatch, model: Any, scales: list[float]) -> np.ndarray:
    """Let the model have the weights `scale * direction` in each epoch; return the direction."""
    direction = np.array([[-1.0, 1.0]] * 3)
    real = fit_module.training_batches

    def batches(*args: Any, epoch: int, **settings: Any) -> Any:
        model.get_layer("head").kernel.assign(scales[epoch] * direction)
        return real(*args, epoch=epoch, **settings)

    monkeypatch.setattr(fit_module, "training_batches", batches)
    return direction


class TestEarlyStopping:
    # Over points that overlap, a steep softmax is surer than right: the loss falls, then rises.
    SCALES = (0.01, 0.1, 0.3, 3.0, 5.0, 0.31, 9.0)

    def test_the_best_epoch_s_weights_stay(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model = linear()
        direction = scheduled(monkeypatch, model, list(self.SCALES))
        data = vectors(64), vectors(200, seed=1)
        state = fit(tmp_path / "r", model, *data, epochs=7, patience=2, monitor="val_loss", **NO_STEP)
        losses = [record["val_loss"] for record in state.history]
        assert len(losses) == state.epoch == 5
        assert state.best_epoch == 1 + int(np.argmin(losses)) == 3
        assert state.wait == 2
        assert state.best == losses[2]
        np.testing.assert_array_equal(model.get_layer("head").kernel.numpy(), (0.3 * direction).astype(np.float32))

    @pytest.mark.parametrize("epoch", [2, 4, 5])
    def test_patience_and_best_survive_a_kill(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
    ) -> None:
        data = vectors(64), vectors(200, seed=1)
        for progress in (KillAt(epoch, 1), None):
            model = linear()
            direction = scheduled(monkeypatch, model, list(self.SCALES))
            settings = {"epochs": 7, "patience": 2, "monitor": "val_loss", "batch_size": 16, **NO_STEP}
            if progress is not None:
                with pytest.raises(Killed):
                    fit(tmp_path / "r", model, *data, progress=progress, **settings)
            else:
                state = fit(tmp_path / "r", model, *data, **settings)
            monkeypatch.undo()
        assert (state.epoch, state.best_epoch, state.wait) == (5, 3, 2)
        np.testing.assert_array_equal(model.get_layer("head").kernel.numpy(), (0.3 * direction).astype(np.float32))

    def test_accuracy_is_better_when_higher(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model = linear()
        scheduled(monkeypatch, model, [-1.0, 1.0, 1.0, 2.0, -1.0])
        data = vectors(64), vectors(200, seed=1)
        # The bias is zero and the classes lie apart along the direction: accuracy is that of the sign.
        state = fit(tmp_path / "r", model, *data, epochs=5, patience=2, monitor="val_accuracy", **NO_STEP)
        accuracies = [record["val_accuracy"] for record in state.history]
        assert accuracies[0] < 0.5 < accuracies[1]
        assert (state.best_epoch, state.epoch) == (2, 4), "as good is not better"

    def test_min_delta_says_what_is_better(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model = linear()
        scheduled(monkeypatch, model, [0.1, 0.101, 0.102, 0.103])
        data = vectors(64), vectors(200, seed=1)
        state = fit(tmp_path / "r", model, *data, epochs=4, monitor="val_loss", min_delta=0.05, **NO_STEP)
        assert (state.best_epoch, state.epoch) == (1, 3)

    def test_finished_is_a_rule_of_the_state(self) -> None:
        config = TrainingConfig(epochs=5, patience=2)
        assert not finished(TrainingState(epoch=4, wait=1), config)
        assert finished(TrainingState(epoch=5, wait=0), config)
        assert finished(TrainingState(epoch=3, wait=2), config)

    def test_best_scores_are_those_of_the_best_epoch(self) -> None:
        history = [
            {"epoch": 1, "loss": 0.6, "accuracy": 0.7, "val_loss": 0.5, "val_accuracy": 0.8, "seconds": 1.0},
            {"epoch": 2, "loss": 0.4, "accuracy": 0.9, "val_loss": 0.7, "val_accuracy": 0.6, "seconds": 1.0},
        ]
        state = TrainingState(epoch=2, best_epoch=1, history=history)
        assert best_scores(state) == {"accuracy": 0.8, "loss": 0.5, "best_epoch": 1, "epochs": 2}


class TestTargets:
    def losses(self, points: Labelled, kernel: np.ndarray, smoothing: float) -> np.ndarray:
        p = probabilities(points, kernel)
        targets = np.eye(p.shape[1])[points.labels] * (1 - smoothing) + smoothing / p.shape[1]
        return -(targets * np.log(p)).sum(axis=1)

    @pytest.mark.parametrize("classes", [2, 3])
    def test_training_targets_are_smoothed_and_validation_is_exact(self, tmp_path: Path, classes: int) -> None:
        training, validation = vectors(100, classes=classes), vectors(50, classes=classes, seed=1)
        model = linear(classes=classes)
        kernel = np.random.default_rng(0).normal(size=(3, classes)) * 0.5
        model.get_layer("head").kernel.assign(kernel)
        settings = {"epochs": 1, "batch_size": 32, "label_smoothing": 0.3, **NO_STEP}
        record = fit(tmp_path / "r", model, training, validation, **settings).history[0]
        assert record["loss"] == pytest.approx(self.losses(training, kernel, 0.3).mean(), rel=1e-4)
        assert record["val_loss"] == pytest.approx(self.losses(validation, kernel, 0).mean(), rel=1e-4)
        assert abs(self.losses(training, kernel, 0.3).mean() / self.losses(training, kernel, 0).mean() - 1) > 0.01
        for points, name in ((training, "accuracy"), (validation, "val_accuracy")):
            right = probabilities(points, kernel).argmax(axis=1) == points.labels
            assert record[name] == pytest.approx(right.mean(), abs=1e-6)

    def test_class_weights_weigh_the_training_loss_alone(self, tmp_path: Path) -> None:
        training, validation = vectors(64), vectors(64, seed=1)
        kernel = np.array([[-0.2, 0.3]] * 3)
        model = linear()
        model.get_layer("head").kernel.assign(kernel)
        weights = np.array([0.5, 4.0], np.float32)
        settings = {"epochs": 1, "batch_size": 64, "label_smoothing": 0.0, **NO_STEP}
        record = fit(tmp_path / "r", model, training, validation, class_weights=weights, **settings).history[0]
        weighted = (self.losses(training, kernel, 0) * weights[training.labels]).mean()
        assert record["loss"] == pytest.approx(weighted, rel=1e-4)
        assert record["val_loss"] == pytest.approx(self.losses(validation, kernel, 0).mean(), rel=1e-4)

    def test_one_step_is_gradient_descent(self, tmp_path: Path) -> None:
        """From zero weights: the gradient of the mean cross entropy is x (p - y), with p uniform."""
        training = vectors(40)
        model = linear()
        settings = {"epochs": 1, "batch_size": 40, "optimizer": "sgd", "lr": 0.5, "label_smoothing": 0.2}
        fit(tmp_path / "r", model, training, vectors(8, seed=1), **settings)
        targets = np.eye(2)[training.labels] * 0.8 + 0.1
        rows = training.inputs.rows.astype(np.float64)  # type: ignore[attr-defined]
        expected = -0.5 * rows.T @ (0.5 - targets) / 40
        np.testing.assert_allclose(model.get_layer("head").kernel.numpy(), expected, rtol=1e-4, atol=1e-6)

    def test_validation_does_not_train(self, tmp_path: Path) -> None:
        training = vectors(64)
        models = [linear(), linear()]
        for number, model in enumerate(models):
            fit(tmp_path / str(number), model, training, vectors(32, seed=number + 1), epochs=2, patience=9, lr=0.1)
        # The last epoch of both, whichever was the best.
        last = [np.load(tmp_path / str(n) / "checkpoints" / "epoch-2.npz") for n in (0, 1)]
        assert set(last[0]) == set(last[1])
        for name in last[0]:
            np.testing.assert_array_equal(last[0][name], last[1][name])


class TestNumbers:
    @pytest.mark.parametrize("bad", [float("nan"), float("inf")])
    def test_a_loss_that_is_no_number_keeps_the_last_good_epoch(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: float
    ) -> None:
        model = linear()
        direction = scheduled(monkeypatch, model, [0.1, 0.2, bad, 0.3])
        data = vectors(64), vectors(32, seed=1)
        with opened(tmp_path / "r") as run:
            config = TrainingConfig(epochs=4, patience=9, monitor="val_loss", **NO_STEP)  # type: ignore[arg-type]
            trained = train(model, *data, class_weights=None, config=config, run=run, progress=Silent())
        assert trained.problem is not None
        assert trained.problem.message == "the loss is not a finite number in epoch 3, step 1"
        assert trained.problem.hint == (
            "Lower --lr (it is 1e-30), or --clip-norm 1; the run keeps epoch 2, the best one before"
        )
        np.testing.assert_array_equal(model.get_layer("head").kernel.numpy(), (0.2 * direction).astype(np.float32))
        assert np.isfinite(trained.outputs).all()
        assert len((tmp_path / "r" / "history.jsonl").read_text().splitlines()) == 2

        again = linear()
        metrics = compile_model(again, config.resolved())
        state = Checkpoints(tmp_path / "r" / "checkpoints", again, metrics).restore()
        assert (state.epoch, state.best_epoch) == (2, 2)
        np.testing.assert_array_equal(again.get_layer("head").kernel.numpy(), (0.2 * direction).astype(np.float32))

    def test_numbers_in_the_data_that_are_none_are_found_in_the_first_epoch(self, tmp_path: Path) -> None:
        training = vectors(64)
        rows = training.inputs.rows.copy()  # type: ignore[attr-defined]
        rows[5] = np.nan
        bad = Labelled(inputs=Vectors(rows), labels=training.labels)
        with pytest.raises(NumbersError, match="in epoch 1"):
            fit(tmp_path / "r", linear(), bad, vectors(32, seed=1), epochs=2)
        assert json.loads((tmp_path / "r" / "run.json").read_text())["status"] == "interrupted"


def test_progress_hears_of_every_epoch_and_step(tmp_path: Path) -> None:
    class Told(Silent):
        begun: list[tuple[str, int | None]] = []  # noqa: RUF012
        steps = 0
        lines: list[str] = []  # noqa: RUF012

        def begin(self, task: str, total: int | None = None) -> None:
            self.begun.append((task, total))

        def advance(self, count: int = 1) -> None:
            Told.steps += count

        def epoch(self, line: str) -> None:
            self.lines.append(line)

    fit(tmp_path / "r", linear(), vectors(64), vectors(32, seed=1), epochs=2, batch_size=16, progress=Told())
    assert Told.begun == [("epoch 1/2", 4), ("epoch 2/2", 4)]
    assert Told.steps == 8
    assert [line.split("  ")[0] for line in Told.lines] == ["epoch 1/2", "epoch 2/2"]
    assert Told.lines[0].endswith(" *")


def test_the_model_is_compiled_by_the_core(tmp_path: Path) -> None:
    """Whatever the caller compiled is replaced: settings come from the config alone."""
    model = linear()
    model.compile(optimizer="rmsprop", loss="mse")
    with opened(tmp_path / "r") as run:
        config = TrainingConfig(epochs=1, lr=0.25, optimizer="sgd")
        data = vectors(64), vectors(32, seed=1)
        state = train(model, *data, class_weights=None, config=config, run=run, progress=Silent()).state
    assert type(model.optimizer).__name__ == "CoreSGD"
    assert state.history[0]["learning_rate"] == pytest.approx(0.25)


class TestWithinAnEpoch:
    SETTINGS = {"epochs": 2, "batch_size": 16, "patience": 9, "lr": 0.05, "ema": 0.9}  # noqa: RUF012

    def test_what_is_killed_loses_the_steps_since_the_last_checkpoint(self, tmp_path: Path) -> None:
        data = vectors(96), vectors(40, seed=1)
        straight, resumed = linear(dropout=0.3), linear(dropout=0.3)
        expected = fit(tmp_path / "a", straight, *data, **self.SETTINGS)
        for path, minutes, epoch, step in (("b", 1e-9, 1, 3), ("b", 1e-9, 2, 4), ("c", 10.0, 2, 4)):
            with pytest.raises(Killed):
                fit(
                    tmp_path / path,
                    linear(dropout=0.3),
                    *data,
                    progress=KillAt(epoch, step),
                    checkpoint_minutes=minutes,
                    **self.SETTINGS,
                )
            state = TrainingState.model_validate_json((tmp_path / path / "checkpoints/state.json").read_bytes())
            # The kill came before the checkpoint of its step, and after that of the one before.
            done = 6 * state.epoch + state.step
            assert done == {("b", 1): 2, ("b", 2): 2 + 6 + 1, ("c", 2): 6}[path, epoch]
        state = fit(tmp_path / "b", resumed, *data, **self.SETTINGS)
        assert without_seconds(state.history) == without_seconds(expected.history)
        for one, other in zip(resumed.weights, straight.weights, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())

    def test_the_averages_are_what_is_judged_and_kept(self, tmp_path: Path) -> None:
        """With a decay near 1 they hardly move from the weights after the first step."""
        data = vectors(96), vectors(40, seed=1)
        model, first = linear(), linear()
        settings = {**self.SETTINGS, "ema": 0.999999, "monitor": "val_loss"}
        state = fit(tmp_path / "a", model, *data, **settings)
        # One step of the same batch.
        rows = training_batches(data[0].inputs.lengths, batch_size=16, seed=0, epoch=0)[0]
        batch = Labelled(inputs=Vectors(data[0].inputs.rows[rows]), labels=data[0].labels[rows])  # type: ignore[attr-defined]
        once = fit(tmp_path / "b", first, batch, data[1], epochs=1, batch_size=16, lr=0.05)
        for one, other in zip(model.get_weights(), first.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        for record in state.history:
            assert record["val_loss"] == pytest.approx(once.history[0]["val_loss"], rel=1e-4)
        assert state.history[1]["loss"] < once.history[0]["loss"] - 0.05, "the weights themselves did move"

    def test_a_float16_training_is_resumed_too(self, tmp_path: Path) -> None:
        """The scale of the loss is state, which must be there before the first step."""
        data = vectors(96), vectors(40, seed=1)
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy("mixed_float16")
        try:
            straight, resumed = linear(), linear()
            expected = fit(tmp_path / "a", straight, *data, **self.SETTINGS)
            with pytest.raises(Killed):
                fit(
                    tmp_path / "b",
                    linear(),
                    *data,
                    progress=KillAt(2, 3),
                    checkpoint_minutes=1e-9,
                    **self.SETTINGS,
                )
            state = fit(tmp_path / "b", resumed, *data, **self.SETTINGS)
        finally:
            keras.config.set_dtype_policy(before)
        assert without_seconds(state.history) == without_seconds(expected.history)
        for one, other in zip(resumed.weights, straight.weights, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
        assert state.history[1]["loss"] < state.history[0]["loss"]


class TestMonitoring:
    def test_patience_0_never_stops(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model = linear()
        scheduled(monkeypatch, model, [0.3, 3.0, 5.0, 9.0, 10.0])
        data = vectors(64), vectors(200, seed=1)
        state = fit(tmp_path / "r", model, *data, epochs=5, patience=0, monitor="val_loss", **NO_STEP)
        assert (state.epoch, state.best_epoch, state.wait) == (5, 1, 4)

    @pytest.mark.parametrize(("mode", "best"), [("auto", 3), ("min", 3), ("max", 5)])
    def test_the_mode_says_what_is_better(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, best: int
    ) -> None:
        model = linear()
        scheduled(monkeypatch, model, [0.01, 0.1, 0.3, 3.0, 5.0, 4.0])
        data = vectors(64), vectors(200, seed=1)
        state = fit(tmp_path / "r", model, *data, epochs=6, patience=0, monitor="val_loss", mode=mode, **NO_STEP)
        assert state.best_epoch == best
        assert state.best == state.history[best - 1]["val_loss"]

    def test_other_metrics_are_scikit_learn_s_and_decide(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model = linear()
        direction = scheduled(monkeypatch, model, [-0.2, 0.2, 0.4])
        training, validation = vectors(64), vectors(200, seed=1)
        settings = {"epochs": 3, "patience": 0, "metrics": ("auc", "f1", "brier"), "monitor": "val_auc"}
        state = fit(tmp_path / "r", model, training, validation, **settings, **NO_STEP)
        assert state.best_epoch == 3, "it ranks as the second one does, and its loss is lower"
        assert state.history[1]["val_auc"] == state.history[2]["val_auc"]
        for record, scale in zip(state.history, (-0.2, 0.2, 0.4), strict=True):
            p = probabilities(validation, scale * direction)
            predicted = p.argmax(axis=1)
            assert record["val_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(validation.labels, p[:, 1]))
            f1 = sklearn.metrics.f1_score(validation.labels, predicted, average="macro")
            assert record["val_f1_macro"] == pytest.approx(f1)
            assert record["val_brier"] == pytest.approx(((p[:, 1] - validation.labels) ** 2).mean(), rel=1e-4)
        assert set(best_scores(state)) == {"accuracy", "loss", "auc", "f1_macro", "brier", "best_epoch", "epochs"}

    def test_a_monitored_score_that_is_undefined(self, tmp_path: Path) -> None:
        one = vectors(40, seed=1)
        one = Labelled(inputs=one.inputs, labels=np.zeros(40, dtype=np.int64))
        with pytest.raises(UsageError, match="--monitor val_auc is undefined on this validation data"):
            fit(tmp_path / "r", linear(), vectors(64), one, epochs=2, monitor="val_auc")
        state = fit(tmp_path / "s", linear(), vectors(64), one, epochs=1, metrics=("auc",))
        assert state.history[0]["val_auc"] is None
        assert best_scores(state)["auc"] is None

    @pytest.mark.parametrize("epoch", [1, 2])
    def test_a_validation_loss_that_is_no_number(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
    ) -> None:
        real, calls = Judge.scores, []

        def scores(judge: Judge, **between: Any) -> dict[str, float]:
            calls.append(judge)
            return real(judge, **between) | ({"val_loss": float("nan")} if len(calls) == epoch else {})

        monkeypatch.setattr(Judge, "scores", scores)
        data = vectors(64), vectors(32, seed=1)
        with opened(tmp_path / "r") as run:
            config = TrainingConfig(epochs=3, lr=0.05, batch_size=16)
            arguments: dict[str, Any] = {"class_weights": None, "config": config, "run": run, "progress": Silent()}
            if epoch == 1:
                with pytest.raises(NumbersError) as caught:
                    train(linear(), *data, **arguments)
                problem = caught.value
            else:
                trained = train(linear(), *data, **arguments)
                assert trained.problem is not None
                problem = trained.problem
                assert (trained.state.epoch, trained.state.best_epoch) == (1, 1)
                assert np.isfinite(trained.outputs).all()
        assert problem.message == f"the validation loss is not a finite number in epoch {epoch}"


def test_tensorflow_keeps_nothing_of_a_training(tmp_path: Path) -> None:
    """Its list of Python functions, which hold the data of their training, would only grow."""
    kept = tf.compat.v1.get_default_graph()
    fit(tmp_path / "a", linear(), vectors(32), vectors(16), epochs=1)
    before = len(kept._py_funcs_used_in_graph)
    fit(tmp_path / "b", linear(), vectors(32), vectors(16), epochs=1)
    assert len(kept._py_funcs_used_in_graph) == before
