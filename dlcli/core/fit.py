"""The training core: the only place that calls `Model.fit`.

What it knows of its domain is `core/domain.py`: inputs that give batches of rows, and a model that ends in a softmax.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.core.backend import keras, tf
from dlcli.core.batches import ordered_batches, training_batches
from dlcli.core.callbacks import Epochs
from dlcli.core.checkpoint import Checkpoints, TrainingState
from dlcli.core.config import TrainingConfig
from dlcli.core.domain import Inputs
from dlcli.core.forward import AHEAD, Forward, row_numbers
from dlcli.core.optimizers import make_optimizer
from dlcli.core.progress import Progress
from dlcli.core.run import Run


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Inputs with the label id of each."""

    inputs: Inputs
    labels: np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The end of a training.

    Attributes:
        state: where it ended; its history has the scores of `best_epoch`.
        outputs: float32 (items, classes), the best model's answers on the validation data, in its order.
    """

    state: TrainingState
    outputs: np.ndarray[Any, Any]


def train(
    model: keras.Model,
    training: Labelled,
    validation: Labelled,
    *,
    class_weights: np.ndarray[Any, Any] | None,
    config: TrainingConfig,
    run: Run,
    progress: Progress,
) -> Trained:
    """Train a model, from the beginning or from the run's last checkpoint; leave the best weights in it.

    A resumed training repeats the stopped one bit for bit on the same kind of machine: the order of the data is a
    function of (seed, epoch), and the checkpoint holds all other state.

    Args:
        model: uncompiled; its output is a softmax over the classes.
        training: what to learn from.
        validation: what picks the best epoch.
        class_weights: float32, the weight of each class in the loss, or None.
        config: the settings of the training.
        run: where checkpoints and history go.
        progress: told of steps and epochs.

    Returns:
        where the training ended, and the best model's answers on the validation data.

    Raises:
        NumbersError: the loss became NaN or infinite; the run keeps the last good epoch.
    """
    classes = model.output_shape[-1]
    model.compile(
        optimizer=make_optimizer(config),
        loss=keras.losses.CategoricalCrossentropy(),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        # XLA compiles every width of a padded batch anew and gains nothing for the models of today.
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(run.checkpoints, model)
    state = checkpoints.restore()
    smooth = _Targets(training, classes, smoothing=config.label_smoothing, weights=class_weights)
    exact = _Targets(validation, classes)
    # Padded once: small beside the training data, and read in every epoch.
    held_out = exact.dataset(ordered_batches(validation.inputs.lengths, batch_size=config.batch_size)).cache()
    epochs = Epochs(config, state=state, checkpoints=checkpoints, run=run, progress=progress)
    while not finished(state, config):
        order = training_batches(
            training.inputs.lengths, batch_size=config.batch_size, seed=config.seed, epoch=state.epoch
        )
        model.fit(
            smooth.dataset(order),
            validation_data=held_out,
            initial_epoch=state.epoch,
            epochs=state.epoch + 1,
            callbacks=[epochs],
            shuffle=False,
            verbose=0,
        )
    checkpoints.restore_best(state)
    return Trained(state=state, outputs=Forward(model)(validation.inputs))


def finished(state: TrainingState, config: TrainingConfig) -> bool:
    """Say whether nothing is left to train: the epochs are done, or the score stopped rising."""
    return state.epoch >= config.epochs or state.wait >= config.patience


def best_scores(state: TrainingState) -> dict[str, int | float]:
    """Return the best epoch's scores on the validation data."""
    record = state.history[state.best_epoch - 1]
    scores = {name.removeprefix("val_"): value for name, value in record.items() if name.startswith("val_")}
    return {"accuracy": scores.pop("accuracy"), **scores, "best_epoch": state.best_epoch, "epochs": state.epoch}


class _Targets:
    """Inputs beside their targets: label ids as (smoothed) one-hot rows, and the weights of their classes.

    Args:
        items: inputs and label ids.
        classes: the number of classes.
        smoothing: share of each target that is spread over all classes.
        weights: of the classes, or None.
    """

    def __init__(
        self, items: Labelled, classes: int, *, smoothing: float = 0.0, weights: np.ndarray[Any, Any] | None = None
    ) -> None:
        self.inputs = items.inputs
        self.labels = tf.constant(items.labels, tf.int64)
        self.rows = tf.eye(classes) * (1 - smoothing) + smoothing / classes
        self.weights = None if weights is None else tf.constant(weights, tf.float32)

    def dataset(self, batches: list[np.ndarray[Any, Any]]) -> tf.data.Dataset:
        """Return (inputs, targets) or (inputs, targets, weights) for batches of row numbers."""
        numbers = row_numbers(batches)
        both = tf.data.Dataset.zip((self.inputs.dataset(numbers), numbers.map(self._of)))
        return both.map(lambda inputs, targets: (inputs, *targets)).prefetch(AHEAD)

    def _of(self, rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
        labels = tf.gather(self.labels, rows)
        targets = tf.gather(self.rows, labels)
        return (targets,) if self.weights is None else (targets, tf.gather(self.weights, labels))
