"""A third domain, of plain vectors: the core trains it without knowing texts or pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.backend import keras, tf
from dlcli.core.checkpoint import TrainingState
from dlcli.core.fit import Labelled, train
from dlcli.core.progress import Silent
from dlcli.core.record import RunRecord
from dlcli.core.run import Run, create, reopen
from dlcli.core.training_config import TrainingConfig


class Vectors:
    """Rows of numbers, as `core/domain.py` wants inputs."""

    def __init__(self, rows: np.ndarray[Any, Any]) -> None:
        self.rows = rows.astype(np.float32)
        self.lengths = np.ones(len(rows), dtype=np.int64)
        self.widths: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    problem = None

    def dataset(self, numbers: Any) -> Any:
        return numbers.map(lambda batch: tf.gather(self.rows, batch))


def vectors(count: int, *, classes: int = 2, seed: int = 0) -> Labelled:
    """Return points of overlapping classes."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=count)
    return Labelled(inputs=Vectors(random.normal(size=(count, 3)) + labels[:, None]), labels=labels)


def linear(*, classes: int = 2, dropout: float = 0.0, seed: int = 0) -> Any:
    """Return a softmax over a linear layer, all zeros at first, behind dropout."""
    inputs = keras.Input((3,))
    hidden = keras.layers.Dropout(dropout, seed=seed)(inputs) if dropout else inputs
    head = keras.layers.Dense(classes, activation="softmax", kernel_initializer="zeros", name="head")
    return keras.Model(inputs, head(hidden))


def probabilities(points: Labelled, kernel: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return what `linear` answers, computed in double precision."""
    scores = points.inputs.rows.astype(np.float64) @ kernel  # type: ignore[attr-defined]
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


@contextmanager
def opened(path: Path) -> Iterator[Run]:
    """Make a run at `path`, or go on with the one that is there."""
    record = RunRecord(verb="train-text", domain="text", config={})
    with reopen(path, record, Silent()) if path.exists() else create(path, record, force=False) as run:
        yield run


def fit(
    path: Path,
    model: Any,
    training: Labelled,
    validation: Labelled,
    *,
    class_weights: np.ndarray[Any, Any] | None = None,
    progress: Any = None,
    **settings: Any,
) -> TrainingState:
    """Train in a run at `path`, or go on there."""
    with opened(path) as run:
        return train(
            model,
            training,
            validation,
            class_weights=class_weights,
            config=TrainingConfig(**settings),
            run=run,
            progress=progress or Silent(),
        ).state


class Killed(BaseException):
    """What ends a training in these tests."""


class KillAt(Silent):
    """Ends the training in a step of an epoch; both count from 1."""

    def __init__(self, epoch: int, step: int) -> None:
        self.left = epoch
        self.step = step

    def begin(self, task: str, total: int | None = None) -> None:
        if task.startswith("epoch "):
            self.left -= 1
            self.steps = 0

    def advance(self, count: int = 1) -> None:
        self.steps += count
        if self.left == 0 and self.steps == self.step:
            raise Killed


def without_seconds(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in record.items() if name not in ("seconds", "step_ms")} for record in history]
