"""The end of an epoch: scores on the validation data, and what they decide."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dlcli.core.backend import keras, tf
from dlcli.core.checkpoint import TrainingState
from dlcli.core.domain import Inputs
from dlcli.core.forward import Forward
from dlcli.core.losses import make_loss, takes_label_ids
from dlcli.core.metrics import METRICS
from dlcli.core.training_config import TrainingConfig
from dlcli.errors import UsageError


class Diverged(Exception):
    """The loss is not a finite number."""


class Judge:
    """Scores of a model on validation data, computed once over all of it and not as means over batches.

    Args:
        model: compiled.
        inputs: of the validation data.
        labels: their label ids.
        config: resolved settings; `loss` and `metrics` count.
    """

    def __init__(
        self, model: keras.Model, inputs: Inputs, labels: np.ndarray[Any, Any], config: TrainingConfig
    ) -> None:
        self.model = model
        self.labels = labels
        self.names = config.scored()
        self.forward = Forward(model)
        self.batches = self.forward.batches(inputs)
        classes = model.output_shape[-1]
        self._loss = make_loss(config, classes=classes, reduction=None)
        self._targets = tf.constant(labels if takes_label_ids(config) else np.eye(classes, dtype=np.float32)[labels])

    def scores(self, *, between: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Return `val_loss`, without smoothing, class weights and penalties, and `val_` and each metric.

        Args:
            between: called before each batch; when it raises, the model is as it was.
        """
        with self.model.optimizer.averaged():
            outputs = self.forward.answer(self.batches, between=between)
        scores = {"val_loss": float(np.mean(self._loss(self._targets, tf.constant(outputs)).numpy(), dtype=np.float64))}
        return scores | {f"val_{name}": METRICS[name].function(self.labels, outputs) for name in self.names}


def judge_epoch(state: TrainingState, record: dict[str, float], config: TrainingConfig) -> None:
    """Hold an epoch's scores against the best ones, and add it to the history.

    Args:
        state: changed: the epoch is done.
        record: the epoch's scores and numbers.
        config: resolved settings.

    Raises:
        Diverged: a loss is not finite; `state` is as it was.
        UsageError: the monitored score is undefined on this validation data.
    """
    if not (math.isfinite(record["loss"]) and math.isfinite(record["val_loss"])):
        raise Diverged
    score = record[config.monitored()]
    if math.isnan(score):
        raise UsageError(f"--monitor {config.monitor} is undefined on this validation data", hint="Monitor val_loss")
    state.epoch, state.step, state.seconds = state.epoch + 1, 0, 0.0
    gain = score - state.best if config.higher_is_better() else state.best - score
    # On a few hundred items the same accuracy comes twice, once with probabilities that are far too unsure.
    tied = gain == 0 and config.min_delta == 0 and record["val_loss"] < state.best_loss
    if state.best_epoch == 0 or gain > config.min_delta or tied:
        state.best_epoch, state.best, state.best_loss = state.epoch, score, record["val_loss"]
        state.wait, state.plateau_wait = 0, 0
    else:
        state.wait += 1
        state.plateau_wait += 1
    waits = config.plateau_epochs()
    if waits is not None and state.plateau_wait >= waits:
        state.plateau_factor *= config.plateau_factor or 0.5
        state.plateau_wait = 0
    defined = {name: value if math.isfinite(value) else None for name, value in record.items()}
    state.history.append({"epoch": state.epoch, **defined})


def describe_epoch(state: TrainingState, config: TrainingConfig) -> str:
    """Return the last epoch as one line that fits 80 columns; a star marks the best one so far."""
    record = state.history[-1]
    names = {"loss": "loss", "accuracy": "acc", "val_loss": "val_loss", "val_accuracy": "val_acc"}
    monitored = config.monitored()
    if monitored not in names:
        del names["accuracy"]
        names[monitored] = monitored
    scores = "  ".join(f"{short} {record[name]:.4f}" for name, short in names.items())
    best = " *" if state.wait == 0 else ""
    return f"epoch {record['epoch']}/{config.epochs}  {scores}  {record['seconds']:.1f} s{best}"


def weight_norm(model: keras.Model) -> float:
    """Return the global L2 norm of the trainable weights."""
    squares = [float(tf.reduce_sum(tf.square(tf.cast(variable, tf.float32)))) for variable in model.trainable_variables]
    return math.sqrt(math.fsum(squares))
