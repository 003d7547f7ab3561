"""Everything that an exact resume needs, written so that a kill at any instant leaves a whole one.

`checkpoints/epoch-N.npz` holds every variable of model and optimizer after epoch N; `checkpoints/state.json` is written
after it and names the epochs that count: the last one, to go on from, and the best one, to end with. A kill between the
two leaves the older state and its files.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from dlcli.core.backend import keras
from dlcli.core.files import replacing, write_text
from dlcli.errors import ModelError

_STATE = "state.json"


class TrainingState(BaseModel):
    """Where a training stands: all that is neither a variable nor a setting.

    Attributes:
        epoch: epochs done.
        best_epoch: the epoch of the best score, counted from 1; 0 before the first.
        best: that score.
        wait: epochs since the best one.
        history: what `history.jsonl` holds, one record an epoch.
    """

    epoch: int = 0
    best_epoch: int = 0
    best: float = 0.0
    wait: int = 0
    history: list[dict[str, Any]] = []


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: `checkpoints/` of the run.
        model: the compiled model, built.
    """

    def __init__(self, folder: Path, model: keras.Model) -> None:
        self.folder = folder
        self.model = model

    def save(self, state: TrainingState) -> None:
        """Keep the model as it is now, as that of `state.epoch`; drop what neither last nor best needs."""
        self.folder.mkdir(exist_ok=True)
        arrays = {str(number): variable.numpy() for number, variable in enumerate(_variables(self.model))}
        with replacing(self._file(state.epoch)) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
        write_text(self.folder / _STATE, state.model_dump_json())
        kept = {self._file(state.epoch), self._file(state.best_epoch)}
        for old in set(self.folder.glob("epoch-*.npz")) - kept:
            old.unlink()

    def restore(self) -> TrainingState:
        """Put the last checkpoint's values into the model; return its state, or a fresh one when there is none."""
        path = self.folder / _STATE
        if not path.exists():
            return TrainingState()
        try:
            state = TrainingState.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise ModelError(f"{path} is damaged", hint="Train anew with --force") from error
        self._assign(state.epoch, _variables(self.model))
        return state

    def restore_best(self, state: TrainingState) -> None:
        """Put the best epoch's weights into the model."""
        if state.best_epoch not in (0, state.epoch):
            self._assign(state.best_epoch, self.model.variables)

    def _file(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch}.npz"

    def _assign(self, epoch: int, variables: list[Any]) -> None:
        path = self._file(epoch)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                for number, variable in enumerate(variables):
                    variable.assign(arrays[str(number)])
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise ModelError(f"{path} is damaged ({error})", hint="Train anew with --force") from error


def _variables(model: keras.Model) -> list[Any]:
    """Return all variables in a fixed order: weights, the states of random seeds, the optimizer's."""
    return [*model.variables, *model.optimizer.variables]
