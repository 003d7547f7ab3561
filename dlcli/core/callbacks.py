"""What happens at each step: the learning rate is set, the loss looked at, a checkpoint kept when somebody stops."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from dlcli.core.backend import keras
from dlcli.core.checkpoint import Checkpoints, TrainingState
from dlcli.core.judging import Diverged
from dlcli.core.progress import Progress
from dlcli.core.schedules import learning_rate
from dlcli.core.stopping import StopRequest
from dlcli.core.training_config import TrainingConfig


class Steps(keras.callbacks.Callback):  # type: ignore[misc]
    """The steps of an epoch, from its first one or from where a checkpoint was kept.

    Args:
        config: resolved settings.
        state: where the training stands; its `step` and `seconds` grow.
        checkpoints: where it is kept.
        metrics: what `fit` counts over the steps; a resumed epoch goes on counting.
        stop: asked after each step.
        progress: told of each step.
    """

    def __init__(
        self,
        config: TrainingConfig,
        *,
        state: TrainingState,
        checkpoints: Checkpoints,
        metrics: Sequence[Any],
        stop: StopRequest,
        progress: Progress,
    ) -> None:
        super().__init__()
        self.config = config
        self.state = state
        self.checkpoints = checkpoints
        self.metrics = metrics
        self.stop = stop
        self.progress = progress
        self.rate = -1.0

    def begin(self, steps: int) -> None:
        """Begin an epoch of this many steps, `state.step` of which are done."""
        self.steps = steps
        self._counted = [variable.numpy() for metric in self.metrics for variable in metric.variables]
        self._started = self._kept = time.perf_counter()
        self._spent = self.state.seconds
        self.progress.begin(f"epoch {self.state.epoch + 1}/{self.config.epochs}", steps)
        self.progress.advance(self.state.step)

    def rate_of(self, step: int) -> float:
        """Return the learning rate of a step of this epoch, counted from 0."""
        length, factor = 1 / self.steps, self.state.plateau_factor
        return learning_rate(self.config, time=self.state.epoch + step * length, step=length, factor=factor)

    def seconds(self) -> float:
        """Return the time spent on this epoch, before it was stopped too."""
        return self._spent + time.perf_counter() - self._started

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Count from zero, or go on from what a stopped epoch had counted, which `fit` has just set to zero."""
        self.model.optimizer.begin_epoch(epoch)
        if self.state.step:
            variables = [variable for metric in self.metrics for variable in metric.variables]
            for variable, value in zip(variables, self._counted, strict=True):
                variable.assign(value)
        else:
            # `fit` knows only those that it has used before.
            for metric in self.metrics:
                metric.reset_state()
            self.model.optimizer.reset_gradient_norm()

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Set the learning rate."""
        rate = self.rate_of(self.state.step)
        if rate != self.rate:
            self.model.optimizer.learning_rate = self.rate = rate

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Look at the loss, report the step, and keep a checkpoint when it is time."""
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            raise Diverged
        self.state.step += 1
        self.progress.advance()
        now = time.perf_counter()
        self.state.seconds = self.seconds()
        if self.stop.reason is not None or now - self._kept > 60 * self.config.checkpoint_minutes:
            self.checkpoints.save(self.state)
            self._kept = now
            # Within this block: what arrives after the look at `reason` waits for the next step, and its checkpoint.
            self.stop.check()
