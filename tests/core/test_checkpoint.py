"""Checkpoints hold all that an exact resume needs, and survive what a kill leaves."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.tiny import Killed, linear, vectors
from dlcli.core import checkpoint as checkpoint_module
from dlcli.core.backend import keras
from dlcli.core.checkpoint import Checkpoints, TrainingState
from dlcli.core.optimizers import make_optimizer
from dlcli.core.stopping import AtOnce
from dlcli.core.training_config import TrainingConfig
from dlcli.errors import ModelError, SurroundingsError
from dlcli.text.bag_models import BagEmbedding, NgramWeights

POINTS = vectors(96)


def compiled(optimizer: str = "adam", *, seed: int = 0) -> Any:
    """Return a model with dropout of two kinds of seed, built as the core builds it."""
    model = linear(dropout=0.4, seed=seed)
    config = TrainingConfig(optimizer=optimizer).resolved()
    model.compile(optimizer=make_optimizer(config, model), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def keep(folder: Path, model: Any, state: TrainingState) -> None:
    """Write a checkpoint, and wait until it is there."""
    with Checkpoints(folder, model) as checkpoints:
        checkpoints.save(state)


def steps(model: Any, epochs: int = 1) -> None:
    model.fit(POINTS.inputs.rows, POINTS.labels, epochs=epochs, batch_size=16, shuffle=False, verbose=0)  # type: ignore[attr-defined]


def values(model: Any) -> list[np.ndarray[Any, Any]]:
    """Return weights, the states of seeds, and the optimizer's variables."""
    return [np.array(v.numpy()) for v in [*model.variables, *model.optimizer.variables]]


def assert_equal(one: list[np.ndarray[Any, Any]], other: list[np.ndarray[Any, Any]]) -> None:
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def save_epochs(folder: Path, model: Any, best: list[int]) -> list[list[np.ndarray[Any, Any]]]:
    """Train and save an epoch for each number in `best`, the best one by then; return the values after each."""
    saved = []
    for epoch, best_epoch in enumerate(best, start=1):
        steps(model)
        keep(folder, model, TrainingState(epoch=epoch, best_epoch=best_epoch, best=0.5, wait=epoch - best_epoch))
        saved.append(values(model))
    return saved


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_restored_training_goes_on_bit_for_bit(folder: Path, optimizer: str) -> None:
    model = compiled(optimizer)
    saved = save_epochs(folder, model, [1, 2])[-1]
    states = [v for v in model.variables if "seed" in v.path]
    assert states, "the state of the dropout's seed is among the variables"
    steps(model, epochs=2)

    again = compiled(optimizer)
    keras.utils.set_random_seed(77)
    state = Checkpoints(folder, again).restore()
    assert (state.epoch, state.best_epoch) == (2, 2)
    assert_equal(values(again), saved)
    steps(again, epochs=2)
    assert_equal(values(again), values(model))


def test_a_model_that_was_trained_already_is_restored_too(folder: Path) -> None:
    """After `fit` a model may have more variables (metrics) than before it: numbers must not shift."""
    model = compiled()
    saved = save_epochs(folder, model, [1])[-1]
    steps(model, epochs=2)
    Checkpoints(folder, model).restore()
    assert_equal(values(model), saved)


def test_dropout_draws_as_if_never_stopped(folder: Path) -> None:
    def layer() -> Any:
        ids = keras.Input((None,), dtype="int32")
        model = keras.Model(ids, BagEmbedding(50, 4)([ids, NgramWeights(50, dropout=0.5, seed=3)(ids)]))
        model.compile(optimizer="sgd", loss="mse")
        model.optimizer.build(model.trainable_variables)
        model.layers[-1].table.assign(np.random.default_rng(0).normal(size=(51, 4)))
        return model

    ids = np.arange(1, 41, dtype=np.int32).reshape(4, 10)
    model = layer()
    for _ in range(3):
        model(ids, training=True)
    keep(folder, model, TrainingState(epoch=1, best_epoch=1))
    expected = [model(ids, training=True).numpy() for _ in range(3)]
    assert not np.array_equal(expected[0], expected[1])
    again = layer()
    Checkpoints(folder, again).restore()
    assert_equal([again(ids, training=True).numpy() for _ in range(3)], expected)


def test_without_a_checkpoint_training_begins_anew(folder: Path) -> None:
    model = compiled()
    before = values(model)
    assert Checkpoints(folder, model).restore() == TrainingState()
    assert_equal(values(model), before)


def test_the_state_survives(folder: Path) -> None:
    state = TrainingState(epoch=3, best_epoch=2, best=0.1 + 0.2, wait=1, history=[{"epoch": 1, "loss": 1 / 3}])
    keep(folder, compiled(), state)
    assert Checkpoints(folder, compiled()).restore() == state


def test_the_last_and_the_best_are_kept_and_no_others(folder: Path) -> None:
    model = compiled()
    kept = []
    for epoch, best in enumerate([1, 1, 3, 3, 3, 6], start=1):
        keep(folder, model, TrainingState(epoch=epoch, best_epoch=best))
        kept.append(files(folder))
    assert kept == [
        ["epoch-1.npz", "state.json"],
        ["epoch-1.npz", "epoch-2.npz", "state.json"],
        ["epoch-3.npz", "state.json"],
        ["epoch-3.npz", "epoch-4.npz", "state.json"],
        ["epoch-3.npz", "epoch-5.npz", "state.json"],
        ["epoch-6.npz", "state.json"],
    ]


@pytest.mark.parametrize("best", [1, 2, 3])
def test_the_best_epoch_s_weights_come_back(folder: Path, best: int) -> None:
    model = compiled()
    saved = save_epochs(folder, model, [1, min(best, 2), best])
    state = Checkpoints(folder, model).restore()
    Checkpoints(folder, model).restore_best(state)
    weights = [np.array(v.numpy()) for v in model.weights]
    again = compiled()
    Checkpoints(folder, again).restore()
    Checkpoints(folder, again).restore_best(state)
    assert_equal([np.array(v.numpy()) for v in again.weights], weights)
    by_shape = {array.shape: array for array in saved[best - 1][: len(model.variables)]}
    np.testing.assert_array_equal(again.get_layer("head").kernel.numpy(), by_shape[(3, 2)])


DAMAGE = {
    "empty": lambda content: b"",
    "ten bytes": lambda content: content[:10],
    "half": lambda content: content[: len(content) // 2],
    "last byte": lambda content: content[:-1],
    "first byte": lambda content: content[1:],
    "a flipped bit": lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:],
    "text": lambda content: b"this is no archive\n" * 50,
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_a_model_error(folder: Path, damage: str) -> None:
    save_epochs(folder, compiled(), [1])
    path = folder / "epoch-1.npz"
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    with pytest.raises(ModelError) as caught:
        Checkpoints(folder, compiled()).restore()
    assert caught.value.message.startswith(f"{path} is damaged")
    assert caught.value.hint == "Train anew with --force"


def test_a_flipped_bit_in_the_numbers_of_the_best_epoch_is_found(folder: Path) -> None:
    """Its archive is whole: only the hash tells it from what was saved."""
    model = compiled()
    save_epochs(folder, model, [1, 1])
    with np.load(folder / "epoch-1.npz") as file:
        arrays = dict(file)
    arrays["0"] = arrays["0"] + 1
    np.savez(folder / "epoch-1.npz", **arrays)
    checkpoints = Checkpoints(folder, model)
    state = checkpoints.restore()
    with pytest.raises(ModelError, match=r"epoch-1\.npz is damaged \(it is not what was saved\)"):
        checkpoints.restore_best(state)


def test_every_truncation_is_a_model_error(folder: Path) -> None:
    model = compiled()
    save_epochs(folder, model, [1])
    path = folder / "epoch-1.npz"
    content = path.read_bytes()
    for size in range(0, len(content), 61):
        path.write_bytes(content[:size])
        with pytest.raises(ModelError):
            Checkpoints(folder, model).restore()


def test_a_missing_checkpoint_is_a_model_error(folder: Path) -> None:
    save_epochs(folder, compiled(), [1])
    (folder / "epoch-1.npz").unlink()
    with pytest.raises(ModelError, match=r"epoch-1\.npz is damaged"):
        Checkpoints(folder, compiled()).restore()


def test_a_checkpoint_of_another_model_is_a_model_error(folder: Path) -> None:
    save_epochs(folder, compiled(), [1])
    other = linear(classes=5, dropout=0.4)
    other.compile(optimizer="adam", loss="mse")
    other.optimizer.build(other.trainable_variables)
    with pytest.raises(ModelError, match=r"epoch-1\.npz is damaged"):
        Checkpoints(folder, other).restore()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"epoch": "one"}', b"\xff"])
def test_a_damaged_state_is_a_model_error(folder: Path, content: bytes) -> None:
    save_epochs(folder, compiled(), [1])
    (folder / "state.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"state\.json is damaged"):
        Checkpoints(folder, compiled()).restore()


def test_a_kill_between_the_two_files_leaves_the_older_state(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = compiled()
    saved = save_epochs(folder, model, [1, 1])

    def killed(*_: object) -> None:
        raise Killed

    steps(model)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoint_module, "write_text", killed)
        keep(folder, model, TrainingState(epoch=3, best_epoch=3))
    assert (folder / "epoch-3.npz").exists()

    again = compiled()
    state = Checkpoints(folder, again).restore()
    assert (state.epoch, state.best_epoch) == (2, 1)
    assert_equal(values(again), saved[1])
    Checkpoints(folder, again).restore_best(state)
    assert_equal(values(again)[: len(again.variables)], saved[0][: len(again.variables)])

    # The epoch is done again, and what the kill left is replaced.
    steps(again)
    keep(folder, again, TrainingState(epoch=3, best_epoch=3))
    assert files(folder) == ["epoch-3.npz", "state.json"]


def test_a_full_disk_leaves_the_older_state(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = compiled()
    saved = save_epochs(folder, model, [1])
    steps(model)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "epoch-2.npz")

    with monkeypatch.context() as patch, pytest.raises(SurroundingsError, match="the disk is full"):
        patch.setattr(np, "savez", full)
        keep(folder, model, TrainingState(epoch=2, best_epoch=2))
    assert files(folder) == ["epoch-1.npz", "state.json"]
    again = compiled()
    assert Checkpoints(folder, again).restore().epoch == 1
    assert_equal(values(again), saved[0])


def test_a_second_request_waits_for_no_checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, written = threading.Event(), []
    monkeypatch.setattr(Checkpoints, "_write", lambda *_: written.append(go_on.wait(5)))
    checkpoints = Checkpoints(folder, compiled())
    with pytest.raises(AtOnce), checkpoints:
        checkpoints.save(TrainingState())
        raise AtOnce
    assert written == []
    go_on.set()
    checkpoints.wait()
    assert written == [True]
