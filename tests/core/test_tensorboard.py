"""TensorBoard reads the history back from the event files, each epoch once."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import pytest

from dlcli.core import tensorboard
from dlcli.core.tensorboard import EventFiles
from dlcli.errors import DiskFullError, SurroundingsError, UsageError


def record(epoch: int) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "loss": 1 / epoch,
        "accuracy": 0.5,
        "val_loss": 2 / epoch,
        "val_accuracy": 0.25,
        "val_auc": math.nan,
        "learning_rate": 0.01,
        "weight_norm": None,
        "gradient_norm": 3.0,
        "seconds": 10.0,
    }


def viewer(folder: Path) -> Any:
    """Return TensorBoard's own reader."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload()


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return what it finds: tag -> (step, value)."""
    found = viewer(folder)
    return {
        tag: [(event.step, round(event.value, 6)) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]
    }


def test_scores_of_both_kinds_have_the_same_names_in_two_runs(tmp_path: Path) -> None:
    events = EventFiles(tmp_path / "tensorboard")
    for epoch in (1, 2):
        events.add(record(epoch))
    events.close()
    assert read(tmp_path / "tensorboard" / "train") == {
        "epoch_loss": [(1, 1.0), (2, 0.5)],
        "epoch_accuracy": [(1, 0.5), (2, 0.5)],
        "epoch_learning_rate": [(1, 0.01), (2, 0.01)],
        "epoch_gradient_norm": [(1, 3.0), (2, 3.0)],
        "epoch_seconds": [(1, 10.0), (2, 10.0)],
    }
    assert read(tmp_path / "tensorboard" / "validation") == {
        "epoch_loss": [(1, 2.0), (2, 1.0)],
        "epoch_accuracy": [(1, 0.25), (2, 0.25)],
    }


def test_an_epoch_is_on_disk_as_soon_as_it_is_added(tmp_path: Path) -> None:
    events = EventFiles(tmp_path)
    events.add(record(1))
    assert read(tmp_path / "train")["epoch_loss"] == [(1, 1.0)]
    events.close()


def test_a_resumed_training_shows_each_epoch_once(tmp_path: Path) -> None:
    """Killed after epoch 3, of which its checkpoint knows two."""
    killed = EventFiles(tmp_path)
    for epoch in (1, 2, 3):
        killed.add(record(epoch))
    resumed = EventFiles(tmp_path, [record(1), record(2)])
    resumed.add({**record(3), "loss": 0.125})
    resumed.close()
    assert read(tmp_path / "train")["epoch_loss"] == [(1, 1.0), (2, 0.5), (3, 0.125)]
    assert len(list((tmp_path / "train").iterdir())) == 1
    first, second, third = (event.wall_time for event in viewer(tmp_path / "train").Scalars("epoch_loss"))
    assert second - first == pytest.approx(10)
    assert 0 <= third - second < 10


def test_a_running_tensorboard_forgets_the_epochs_of_the_stopped_training(tmp_path: Path) -> None:
    killed = EventFiles(tmp_path)
    for epoch in (1, 2, 3):
        killed.add(record(epoch))
    running = viewer(tmp_path / "train")
    assert [event.step for event in running.Reload().Scalars("epoch_loss")] == [1, 2, 3]
    resumed = EventFiles(tmp_path, [record(1)])
    resumed.add(record(2))
    assert [event.step for event in running.Reload().Scalars("epoch_loss")] == [1, 2]
    resumed.add(record(3))
    assert [event.step for event in running.Reload().Scalars("epoch_loss")] == [1, 2, 3]
    resumed.close()


def test_only_event_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "notes.txt").write_text("mine")
    EventFiles(tmp_path).close()
    assert (tmp_path / "train" / "notes.txt").read_text() == "mine"


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    events = EventFiles(tmp_path)
    from dlcli.core.backend import tf

    events._writers["train"] = tf.io.TFRecordWriter(str(full))
    with pytest.raises(DiskFullError, match="the disk is full"):
        events.add(record(1))


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SurroundingsError, match=r"cannot write TensorBoard's files to .*file"):
        EventFiles(tmp_path / "file")


def test_a_missing_tensorboard_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    tensorboard.require()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'dlcli\[tensorboard\]'"):
        tensorboard.require()
