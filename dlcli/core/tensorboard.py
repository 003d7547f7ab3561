"""What TensorBoard shows of a training: event files of the history, grown as it grows.

TensorFlow writes the files itself; only `tf.summary.scalar` and the viewer need the package tensorboard, which
TensorFlow no longer installs.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsFloat

from dlcli.errors import DiskFullError, SurroundingsError, UsageError

# Two runs in TensorBoard's words, so that the curves of one score lie over one another; keras.callbacks.TensorBoard
# does the same, and names its scores `epoch_loss` too.
RUNS = ("train", "validation")


def require() -> None:
    """Find out before any work whether TensorBoard is there.

    Raises:
        UsageError: the package tensorboard is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise UsageError(
            "TensorBoard is not installed: it is an extra", hint="Install it with: pip install 'dlcli[tensorboard]'"
        )


class EventFiles:
    """The event files of one training: `train/` and `validation/` below a folder.

    They grow in place, not by `core/files.py`: TensorBoard reads on in the file that it has open. A resumed training
    begins them anew from its history, so that no epoch is there twice; TensorBoard, if it is running, forgets what it
    had read. The files hold nothing that `history.jsonl` does not.

    Args:
        folder: made where it does not exist; older event files in it are removed.
        history: the epochs so far, a record each: `epoch` and finite numbers; others are left out. What begins with
            `val_` goes to `validation/`, all else to `train/`.

    Raises:
        SurroundingsError: the disk is full or not writable.
    """

    def __init__(self, folder: Path, history: Sequence[Mapping[str, Any]] = ()) -> None:
        from dlcli.core.backend import tf

        self._folder = folder
        self._tf = tf
        self._events = tf.compat.v1.Event
        # TensorBoard takes the name's order for the order in time.
        name = f"events.out.tfevents.{time.time():.6f}.dlcli"
        now = time.time()
        with self._errors_are_ours():
            for run in RUNS:
                (folder / run).mkdir(parents=True, exist_ok=True)
                for old in (folder / run).glob("events.out.tfevents.*"):
                    old.unlink()
            self._writers = {run: tf.io.TFRecordWriter(str(folder / run / name)) for run in RUNS}
            for writer in self._writers.values():
                writer.write(self._events(wall_time=now, file_version="brain.Event:2").SerializeToString())
                # What was read of an older file from this step on, the first, is void.
                start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
                writer.write(self._events(wall_time=now, step=0, session_log=start).SerializeToString())
        # The time of an epoch gone by is not known; its distance from now, in time spent on training, is.
        ends = [now]
        for record in reversed(history[1:]):
            ends.append(ends[-1] - _number(record.get("seconds"), default=0.0))
        for record, end in zip(history, reversed(ends), strict=False):
            self.add(record, wall_time=end)

    def add(self, record: Mapping[str, Any], *, wall_time: float | None = None) -> None:
        """Append one epoch.

        Args:
            record: the epoch, as in the history.
            wall_time: when it ended, in seconds since 1970; now if None.

        Raises:
            SurroundingsError: the disk is full or not writable.
        """
        scores: dict[str, dict[str, float]] = {run: {} for run in RUNS}
        for name, value in record.items():
            number = _number(value)
            if name != "epoch" and math.isfinite(number):
                run = "validation" if name.startswith("val_") else "train"
                scores[run][f"epoch_{name.removeprefix('val_')}"] = number
        summaries = self._tf.compat.v1.Summary
        with self._errors_are_ours():
            for run, writer in self._writers.items():
                values = [summaries.Value(tag=tag, simple_value=number) for tag, number in scores[run].items()]
                event = self._events(
                    wall_time=time.time() if wall_time is None else wall_time,
                    step=record["epoch"],
                    summary=summaries(value=values),
                )
                writer.write(event.SerializeToString())
                writer.flush()

    def close(self) -> None:
        """End the files; what was added is on disk already."""
        with self._errors_are_ours():
            for writer in self._writers.values():
                writer.close()

    @contextlib.contextmanager
    def _errors_are_ours(self) -> Iterator[None]:
        try:
            yield
        except self._tf.errors.ResourceExhaustedError as error:
            raise DiskFullError(self._folder) from error
        except (OSError, self._tf.errors.OpError) as error:
            raise SurroundingsError(f"cannot write TensorBoard's files to {self._folder}: {error}") from error


def _number(value: Any, *, default: float = math.nan) -> float:
    return float(value) if isinstance(value, SupportsFloat) else default
