"""What happens at the end of an epoch: the score is judged, the history grows, a checkpoint is written."""

from __future__ import annotations

import math
import time

from dlcli.core.backend import keras
from dlcli.core.checkpoint import Checkpoints, TrainingState
from dlcli.core.config import TrainingConfig
from dlcli.core.files import write_text
from dlcli.core.progress import Progress
from dlcli.core.run import Run, jsonl
from dlcli.errors import NumbersError


class Epochs(keras.callbacks.Callback):  # type: ignore[misc]
    """Judge, record and save each epoch.

    One callback and not four, because a checkpoint must hold the outcome of all of it.

    Args:
        config: `monitor`, `min_delta`, `epochs`.
        state: where the training stands; changed at each epoch's end.
        checkpoints: where it is kept.
        run: whose history and log grow.
        progress: told of every step and epoch.
    """

    def __init__(
        self,
        config: TrainingConfig,
        *,
        state: TrainingState,
        checkpoints: Checkpoints,
        run: Run,
        progress: Progress,
    ) -> None:
        super().__init__()
        self.config = config
        self.state = state
        self.checkpoints = checkpoints
        self.run = run
        self.progress = progress

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self.started = time.perf_counter()
        self.progress.begin(f"epoch {epoch + 1}/{self.config.epochs}", self.params.get("steps"))

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Report the step."""
        self.progress.advance()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Judge the epoch, then write it down."""
        scores = {name: float(value) for name, value in (logs or {}).items()}
        if not all(math.isfinite(value) for value in scores.values()):
            raise NumbersError(
                f"the loss is not a finite number in epoch {epoch + 1}",
                hint=f"Lower --lr (it is {self.config.lr:g})"
                + (f"; the run keeps epoch {epoch}, the last good one" if epoch else ""),
            )
        self.state.epoch = epoch + 1
        self._judge(scores[self.config.monitor])
        seconds = round(time.perf_counter() - self.started, 3)
        learning_rate = float(self.model.optimizer.learning_rate)
        self.state.history.append({"epoch": epoch + 1, **scores, "learning_rate": learning_rate, "seconds": seconds})
        self.checkpoints.save(self.state)
        write_text(self.run.history, jsonl(self.state.history))
        line = describe_epoch(self.state, self.config)
        self.run.log(line)
        self.progress.epoch(line)

    def _judge(self, score: float) -> None:
        better = score - self.state.best if self.config.monitor == "val_accuracy" else self.state.best - score
        if self.state.best_epoch == 0 or better > self.config.min_delta:
            self.state.best_epoch, self.state.best, self.state.wait = self.state.epoch, score, 0
        else:
            self.state.wait += 1


def describe_epoch(state: TrainingState, config: TrainingConfig) -> str:
    """Return the last epoch as one line that fits 80 columns; a star marks the best one so far."""
    record = state.history[-1]
    names = {"loss": "loss", "accuracy": "acc", "val_loss": "val_loss", "val_accuracy": "val_acc"}
    scores = "  ".join(f"{short} {record[name]:.4f}" for name, short in names.items())
    best = " *" if state.wait == 0 else ""
    return f"epoch {record['epoch']}/{config.epochs}  {scores}  {record['seconds']:.1f} s{best}"
