"""Everything that an exact resume needs, written so that a kill at any instant leaves a whole one.

`checkpoints/epoch-N.npz` holds every variable of model, optimizer and metrics after epoch N, and `epoch-N-step-S.npz`
after S more steps; `checkpoints/state.json` is written after it and names what counts: the last one, to go on from, and
the best epoch, to end with. A kill between the two leaves the older state and its files.
"""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from dlcli.core.backend import keras
from dlcli.core.files import jsonl, replacing, sha256, write_text
from dlcli.core.stopping import AtOnce
from dlcli.errors import DlcliError, ModelError

_STATE = "state.json"


class TrainingState(BaseModel):
    """Where a training stands: all that is neither a variable nor a setting.

    Attributes:
        epoch: epochs done.
        step: steps done in the epoch that is not done.
        seconds: time spent on them.
        best_epoch: the epoch of the best score, counted from 1; 0 before the first.
        best: that score.
        best_loss: its `val_loss`, which tells epochs with the same score apart.
        wait: epochs since the best one.
        plateau_wait: epochs since the best one or since plateau last lowered the learning rate.
        plateau_factor: what plateau multiplies the learning rate by.
        history: what `history.jsonl` holds, one record an epoch.
        hashes: the SHA-256 of the files of variables that count, by name.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best: float = 0.0
    best_loss: float = 0.0
    wait: int = 0
    plateau_wait: int = 0
    plateau_factor: float = 1.0
    history: list[dict[str, Any]] = []
    hashes: dict[str, str] = {}


class Checkpoints:
    """The checkpoints of one run, written by a thread while the training goes on.

    As a context manager it waits for the last one at its end.

    Args:
        folder: `checkpoints/` of the run.
        model: compiled and built.
        metrics: what is counted over the steps of an epoch.
        history: the file that repeats the state's history for people and later verbs, if wanted.
    """

    def __init__(
        self, folder: Path, model: keras.Model, metrics: Sequence[Any] = (), *, history: Path | None = None
    ) -> None:
        self.folder = folder
        self.model = model
        self.metrics = metrics
        self.history = history
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self._hashes: dict[str, str] = {}

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, AtOnce):
            return  # A checkpoint that is cut short leaves the one before it.
        # What ended the block counts for more than a checkpoint that could not be written.
        with contextlib.suppress(DlcliError) if kind else contextlib.nullcontext():
            self.wait()

    def save(self, state: TrainingState) -> None:
        """Keep the model as it is now, as that of `state`; drop what neither last nor best needs.

        Raises:
            SurroundingsError: the checkpoint before could not be written; this one is not.
        """
        arrays = {str(number): variable.numpy() for number, variable in enumerate(self._variables())}
        self.wait()
        self._writing = self._writer.submit(self._write, state.model_copy(deep=True), arrays)

    def wait(self) -> None:
        """Return when the last checkpoint is written.

        Raises:
            SurroundingsError: it could not be.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write(self, state: TrainingState, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
        self.folder.mkdir(exist_ok=True)
        last = self._file(state.epoch, state.step)
        with replacing(last) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        kept = {last, self._file(state.best_epoch)}
        if not self._hashes and (self.folder / _STATE).exists():
            self._hashes = self._written().hashes
        known = self._hashes | {last.name: sha256(last)}
        self._hashes = state.hashes = {file.name: known[file.name] for file in kept if file.name in known}
        write_text(self.folder / _STATE, state.model_dump_json())
        for old in set(self.folder.glob("epoch-*.npz")) - kept:
            old.unlink()
        if self.history is not None:
            write_text(self.history, jsonl(state.history))

    def restore(self) -> TrainingState:
        """Put the last checkpoint's values into the model; return its state, or a fresh one when there is none."""
        self.wait()
        if not (self.folder / _STATE).exists():
            return TrainingState()
        state = self._written()
        self._hashes, state.hashes = state.hashes, {}
        self._assign(self._file(state.epoch, state.step))
        return state

    def _written(self) -> TrainingState:
        """Return the state that counts."""
        path = self.folder / _STATE
        try:
            return TrainingState.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ModelError(f"{path} is damaged", hint="Train anew with --force") from error

    def restore_best(self, state: TrainingState) -> None:
        """Put the best epoch's values into the model: the weights, or their averages where the optimizer has any."""
        self.wait()
        if state.best_epoch:
            self._assign(self._file(state.best_epoch))
        self.model.optimizer.use_averages()

    def _file(self, epoch: int, step: int = 0) -> Path:
        return self.folder / (f"epoch-{epoch}-step-{step}.npz" if step else f"epoch-{epoch}.npz")

    def _variables(self) -> list[Any]:
        """Return all variables in a fixed order: weights and states of random seeds, the optimizer's, the metrics'."""
        counted = [variable for metric in self.metrics for variable in metric.variables]
        return [*self.model.variables, *self.model.optimizer.variables, *counted]

    def _assign(self, path: Path) -> None:
        try:
            if sha256(path) != self._written().hashes.get(path.name):
                raise ValueError("it is not what was saved")
            with np.load(path, allow_pickle=False) as arrays:
                for number, variable in enumerate(self._variables()):
                    variable.assign(arrays[str(number)])
        except (OSError, EOFError, ValueError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
            raise ModelError(f"{path} is damaged ({error})", hint="Train anew with --force") from error
