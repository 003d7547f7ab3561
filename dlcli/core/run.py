"""The run directory as it is written: made, locked, gone on with, finished.

It appears whole, with `run.json` saying `running`, or not at all; see `dlcli.core.record` for the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.files import beside, exchange, hashes, jsonl, replacing, require_writable_parent, write_text
from dlcli.core.lines import SKIPPED
from dlcli.core.locks import HeldError, alone, held, is_held
from dlcli.core.progress import Progress
from dlcli.core.record import (
    CHECKPOINTS,
    HASHED,
    HISTORY,
    LOCK,
    LOG,
    METRICS,
    MODEL,
    PIPELINE,
    PLOTS,
    RECORD,
    TENSORBOARD,
    VALIDATION,
    RunRecord,
    Status,
    read_record,
    still_running,
)
from dlcli.errors import SurroundingsError, UsageError, from_os_error, printable


class Run:
    """A run directory that this process writes; made by `create` or `reopen`, which hold its lock.

    Args:
        path: the directory.
        record: the content of its `run.json`.
    """

    def __init__(self, path: Path, record: RunRecord) -> None:
        self.path = path
        self.record = record
        self.checkpoints = path / CHECKPOINTS
        self.pipeline = path / PIPELINE
        self.history = path / HISTORY
        self.plots = path / PLOTS
        self.tensorboard = path / TENSORBOARD
        self._started = time.perf_counter()

    def log(self, line: str) -> None:
        """Append a line to `log.txt`."""
        with contextlib.suppress(OSError), (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(f"{_now()}  {printable(line)}\n")

    def keep_skipped(self, records: list[dict[str, Any]]) -> None:
        """Write which items were left out of the training, if any were."""
        if records:
            write_text(self.path / SKIPPED, jsonl(records))

    def finish(
        self,
        model: Any,
        *,
        scores: dict[str, int | float | None],
        history: list[dict[str, Any]],
        validation: dict[str, np.ndarray[Any, Any]] | None,
        problem: str = "",
    ) -> None:
        """Write the model, its history and its scores, and commit them with `run.json`.

        Args:
            model: a Keras model with the best weights.
            scores: on the validation data.
            history: a record for each epoch.
            validation: `labels`, int64 (n,), and the best epoch's `outputs`, float32 (n, classes), for what is
                chosen on validation data later; None where a run has no validation data of its own.
            problem: why the training ended before its time, if it did.
        """
        with replacing(self.path / MODEL) as temporary:
            model.save(temporary)
        write_text(self.history, jsonl(history))
        write_text(self.path / METRICS, json.dumps(scores, indent=2) + "\n")
        if validation is not None:
            with replacing(self.path / VALIDATION) as temporary:
                np.savez(temporary, **validation)  # type: ignore[arg-type]
        self.record.scores, self.record.problem = scores, problem
        self.record.hashes = hashes(self.path, *(name for name in HASHED if (self.path / name).exists()))
        self._write("finished")
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def resume(self) -> None:
        """Remove what a killed writer left half-written, and say in `run.json` that the run is being written again."""
        for unfinished in self.path.rglob(".*.tmp*"):
            unfinished.unlink(missing_ok=True)
        self._write("running")

    def interrupt(self) -> None:
        """Say in `run.json` that the run was stopped; as far as the disk still lets us."""
        with contextlib.suppress(SurroundingsError):
            self._write("interrupted")

    def _write(self, status: Status) -> None:
        before, self.record.status = self.record.status, status
        now = time.perf_counter()
        self.record.seconds = round(self.record.seconds + now - self._started, 3)
        self._started = now
        self.record.finished = "" if status == "running" else _now()
        try:
            self.record.write(self.path)
        except SurroundingsError:
            self.record.status = before
            raise
        self.log(f"{status} (process {self.record.pid})")


def default_path(verb: str) -> Path:
    """Return a directory name below `runs/`, such as `runs/train-text-20260102-9f3a`."""
    return Path("runs") / f"{verb}-{datetime.now():%Y%m%d}-{secrets.token_hex(2)}"


@contextlib.contextmanager
def claimed(out: Path | None, verb: str) -> Iterator[Path]:
    """Give the place of a new run: the one that was asked for, or one below `runs/` that nobody else is given.

    An empty folder holds the name, so that runs that are started at the same moment have different ones. It goes when
    the block leaves it empty.

    Args:
        out: what was asked for.
        verb: which asks.

    Raises:
        SurroundingsError: `runs/` cannot be written.
    """
    if out is not None:
        yield out
        return
    while True:
        path = default_path(verb)
        require_writable_parent(path)
        try:
            path.mkdir()
            break
        except FileExistsError:
            continue
        except OSError as error:
            raise from_os_error(error, path) from error
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            path.rmdir()


def require_free(path: Path, *, force: bool, keep: bool = True, resumable: bool = True) -> None:
    """Find out before any work whether a run can be made at `path`.

    Args:
        path: where it shall be.
        force: whether a run that stands there may be replaced.
        keep: as in `require_writable_parent`.
        resumable: whether the verb that asks could go on with a run.

    Raises:
        SurroundingsError: it is not empty, or its place is not writable.
    """
    if path.exists() and not path.is_dir():
        raise SurroundingsError(f"{path} is a file, expected a folder for the run", hint="Choose another --out")
    if path.exists() and any(path.iterdir()):
        if not (path / RECORD).is_file():
            raise SurroundingsError(f"{path} is not empty, and no run of ours", hint="Choose another --out")
        if not force:
            ways = "Choose another --out, add --force to replace it"
            raise SurroundingsError(
                f"{path} holds a run already",
                hint=f"{ways}, or --resume it" if resumable else ways.replace(", add", ", or add"),
            )
        if is_held(path / LOCK):
            raise still_running(path, read_record(path).pid)
    require_writable_parent(path, keep=keep)


@contextlib.contextmanager
def create(path: Path, record: RunRecord, *, force: bool) -> Iterator[Run]:
    """Make a run directory and hold its lock.

    Args:
        path: where; see `require_free`.
        record: its first `run.json`.
        force: replace a run that stands there.

    Yields:
        the run. When the block fails or is interrupted, the run says so and can be resumed.
    """
    require_free(path, force=force)
    with contextlib.ExitStack() as stack:
        with alone(path):
            require_free(path, force=force)  # Somebody may have made one meanwhile.
            with _appearing(path) as temporary:
                _begin(record).write(temporary)
            stack.enter_context(_lock(path))
        yield stack.enter_context(_written_by(Run(path, record)))


@contextlib.contextmanager
def create_finished(path: Path, record: RunRecord, *, force: bool) -> Iterator[Run]:
    """Make a run directory that appears finished or not at all: one that trains nothing has nothing to go on with.

    Args:
        path: as in `create`.
        record: as in `create`.
        force: as in `create`.

    Yields:
        the run, in another place, where the block finishes it. When it fails or is interrupted, `path` is as it was.
    """
    require_free(path, force=force, resumable=False)
    with alone(path):
        require_free(path, force=force, resumable=False)
        with _appearing(path) as temporary:
            yield Run(temporary, _begin(record))


def _begin(record: RunRecord) -> RunRecord:
    record.started, record.pid, record.argv = _now(), os.getpid(), sys.argv[1:]
    return record


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """Give an empty folder, which takes the place of `path`, and of the run that stands there, when the block ends."""
    temporary = beside(path)
    try:
        temporary.mkdir()
        yield temporary
        if (path / RECORD).is_file():
            with _lock(path):
                exchange(temporary, path)
        else:
            if os.name != "posix" and path.is_dir():
                path.rmdir()  # Elsewhere an empty folder is renamed onto.
            temporary.rename(path)
    except OSError as error:
        raise from_os_error(error, path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def reopen(path: Path, record: RunRecord, progress: Progress) -> Iterator[Run]:
    """Open an unfinished run to go on with it; the rest is as in `create`.

    Args:
        path: the run.
        record: the `run.json` that a new run with the same settings would have; it must hold the same data.
        progress: warned when the machine or a version is not the one of the beginning.

    Raises:
        UsageError: the data is not what the run began with.
    """
    with _lock(path):
        before = RunRecord.model_validate_json((path / RECORD).read_bytes())
        if before.status == "finished":
            raise UsageError(f"{path} is finished already")
        require_same_origin(path, before, record, progress)
        before.pid = os.getpid()
        with _written_by(Run(path, before)) as run:
            run.resume()
            yield run


def tidy(path: Path) -> None:
    """Remove what a kill behind the commit of a run has left: its checkpoints, as far as the disk lets us.

    Raises:
        SurroundingsError: another process has the run.
    """
    if (path / CHECKPOINTS).exists():
        with _lock(path):
            shutil.rmtree(path / CHECKPOINTS, ignore_errors=True)


def require_same_origin(path: Path, before: RunRecord, record: RunRecord, progress: Progress) -> None:
    """Find out whether what a run began with is still there.

    Args:
        path: the run.
        before: its record.
        record: the `run.json` that a new run with the same settings would have.
        progress: warned when the machine or a version is not the one of the beginning.

    Raises:
        UsageError: the data, the base, or the run that it started from has changed.
    """
    for origin, what in (("start", "the run"), ("base", "the base")):
        if before.data.get(origin) != record.data.get(origin):
            changed = f"{what} that {path} started from has changed since"
            raise UsageError(changed, hint="Put it back, or train anew")
    if before.data != record.data:
        then, now = (f"{d['training']:,} + {d['validation']:,} items" for d in (before.data, record.data))
        raise UsageError(
            f"the data has changed since {path} was started: {then} then, {now} with other content now",
            hint="Put the old data back, or train anew",
        )
    if before.machine != record.machine:
        then, now = (json.dumps(machine) for machine in (before.machine, record.machine))
        progress.warn(f"begun on another machine or versions, so the weights may differ: {then}, now {now}")


@contextlib.contextmanager
def _written_by(run: Run) -> Iterator[Run]:
    try:
        yield run
    except BaseException:
        if run.record.status != "finished":
            run.interrupt()
        raise


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock of a run."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(path / LOCK))
        except HeldError as error:
            raise still_running(path, error.pid or read_record(path).pid) from None
        except OSError as error:
            raise from_os_error(error, path) from error
        yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
