"""The training core: the only place that calls `Model.fit`.

What it knows of its domain is `core/domain.py`: inputs that give batches of rows, and a model with an output a class.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.core.backend import keras, tf
from dlcli.core.batches import training_batches
from dlcli.core.callbacks import Steps
from dlcli.core.checkpoint import Checkpoints, TrainingState
from dlcli.core.domain import DrawnInputs, Inputs
from dlcli.core.forward import ahead, naming_bad_items, releasing, row_numbers
from dlcli.core.judging import Diverged, Judge, describe_epoch, judge_epoch, weight_norm
from dlcli.core.losses import OfWholeBatch, make_loss, takes_label_ids
from dlcli.core.metrics import METRICS, undefined
from dlcli.core.optimizers import layer_factors, make_optimizer
from dlcli.core.progress import Progress
from dlcli.core.run import Run
from dlcli.core.schedules import warmup_epochs
from dlcli.core.stopping import stopping_between_steps
from dlcli.core.tensorboard import EventFiles
from dlcli.core.training_config import TrainingConfig
from dlcli.errors import NumbersError, UsageError


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
        problem: why it ended before its time, if it did.
    """

    state: TrainingState
    outputs: np.ndarray[Any, Any]
    problem: NumbersError | None = None


@releasing()
def train(
    model: keras.Model,
    training: Labelled,
    validation: Labelled,
    *,
    class_weights: np.ndarray[Any, Any] | None,
    config: TrainingConfig,
    run: Run,
    progress: Progress,
    jit: bool = False,
    waits: Mapping[str, int] | None = None,
) -> Trained:
    """Train a model, from the beginning or from the run's last checkpoint; leave the best weights in it.

    A resumed training repeats the stopped one bit for bit on the same kind of machine: the order of the data and the
    learning rate are functions of (seed, epoch, step), and the checkpoint holds all other state.

    Args:
        model: uncompiled; its output is what `losses.output_activation` says, one number a class.
        training: what to learn from.
        validation: what picks the best epoch.
        class_weights: float32, the weight of each class in the loss, or None.
        config: the settings of the training.
        run: where checkpoints and history go.
        progress: told of steps and epochs.
        jit: whether the step is compiled with XLA.
        waits: layers that are not trained in the first epochs, by name, with the number of those.

    Returns:
        where the training ended, and the best model's answers on the validation data. When the loss becomes NaN or
        infinite after the first epoch, the training ends there and `problem` says so.

    Raises:
        NumbersError: the loss became NaN or infinite in the first epoch.
    """
    config = config.resolved(items=len(training.labels))
    metrics = compile_model(model, config, jit=jit, waits=waits)
    checkpoints = Checkpoints(run.checkpoints, model, metrics, history=run.history)
    state = checkpoints.restore()
    targets = Targets(training, model.output_shape[-1], config, weights=class_weights)
    order: list[np.ndarray[Any, Any]] = []
    dataset = targets.dataset(order)
    judge = Judge(model, validation.inputs, validation.labels, config)
    problem = None
    events = EventFiles(run.tensorboard, state.history) if config.tensorboard else None
    closing = contextlib.closing(events) if events else contextlib.nullcontext()
    with checkpoints, closing, stopping_between_steps() as stop:
        steps = Steps(config, state=state, checkpoints=checkpoints, metrics=metrics, stop=stop, progress=progress)
        # `fit` does this too, but is not called for an epoch that was stopped in its last step.
        steps.set_model(model)
        while not finished(state, config):
            batches = training_batches(
                training.inputs.lengths,
                batch_size=_size(config),
                seed=config.seed,
                epoch=state.epoch,
                widths=training.inputs.widths,
            )
            steps.begin(len(batches))
            order[:] = batches[state.step :]
            if isinstance(training.inputs, DrawnInputs):
                training.inputs.begin_epoch(state.epoch)
            try:
                if order:
                    with naming_bad_items(training.inputs):
                        _fit_epoch(model, dataset, len(order), steps)
                _end_epoch({metric.name: float(metric.result()) for metric in metrics} | _validate(judge, steps), steps)
            except Diverged:
                problem = _describe_divergence(steps)
                break
            checkpoints.save(state)
            if events is not None:
                events.add(state.history[-1])
            line = describe_epoch(state, config)
            run.log(line)
            progress.epoch(line)
            stop.check()
    if problem is not None and not state.best_epoch:
        raise problem
    checkpoints.restore_best(state)
    return Trained(state=state, outputs=judge.forward.answer(judge.batches), problem=problem)


def require_possible(
    model: keras.Model, training: Labelled, validation_labels: np.ndarray[Any, Any], config: TrainingConfig
) -> None:
    """Find out, before a run is made, what the model and the data do not allow.

    Raises:
        UsageError: the warm-up or one accumulated step is longer than the training, `layer_lr` names a layer that the
            model does not have, or the monitored score is undefined on the validation data.
    """
    inputs = training.inputs
    batches = training_batches(
        inputs.lengths, batch_size=_size(config), seed=config.seed, epoch=0, widths=inputs.widths
    )
    warmup_epochs(config, step=1 / len(batches))
    if config.accumulate > (steps := len(batches) * config.epochs):
        raise UsageError(f"--accumulate {config.accumulate} takes more batches than the training has: {steps}")
    layer_factors(config, model)
    monitored = config.monitored().removeprefix("val_")
    if monitored in METRICS and (why := undefined(monitored, validation_labels, model.output_shape[-1])):
        raise UsageError(
            f"--monitor {config.monitor} is undefined on the validation data: {why}", hint="Monitor val_loss"
        )


def compile_model(
    model: keras.Model, config: TrainingConfig, *, jit: bool = False, waits: Mapping[str, int] | None = None
) -> list[Any]:
    """Give a model its optimizer and loss; return the metrics that are counted over the steps of an epoch."""
    kind = keras.metrics.SparseCategoricalAccuracy if takes_label_ids(config) else keras.metrics.CategoricalAccuracy
    accuracy = kind(name="accuracy")
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    loss = make_loss(config, classes=model.output_shape[-1])
    model.compile(
        optimizer=make_optimizer(config, model, waits=waits),
        loss=OfWholeBatch(loss) if several else loss,
        metrics=[accuracy],
        jit_compile=jit,
    )
    if several:
        _build_for_devices(model, config)
    return [model.metrics[0], accuracy]


def _build_for_devices(model: keras.Model, config: TrainingConfig) -> None:
    """Build what `fit` would build from the mean of the first batch's parts, which unequal parts do not have."""
    classes = model.output_shape[-1]
    ids = takes_label_ids(config)
    targets = keras.KerasTensor((None,) if ids else (None, classes), "int64" if ids else "float32")
    model._symbolic_build(data_batch=(model.input, targets, None))
    model._maybe_symbolic_build = lambda **_: None


def _size(config: TrainingConfig) -> int:
    assert config.batch_size is not None, "resolved for the number of items"
    return config.batch_size


def _fit_epoch(model: keras.Model, dataset: tf.data.Dataset, count: int, steps: Steps) -> None:
    epoch = steps.state.epoch
    model.fit(
        dataset,
        steps_per_epoch=count,
        initial_epoch=epoch,
        epochs=epoch + 1,
        callbacks=[steps],
        shuffle=False,
        verbose=0,
    )


def _validate(judge: Judge, steps: Steps) -> dict[str, float]:
    """Return the validation scores; who stops it between two batches keeps the epoch's last step."""
    try:
        return judge.scores(between=steps.stop.check)
    except BaseException as error:
        if error is steps.stop.reason:
            steps.checkpoints.save(steps.state)
        raise


def _end_epoch(scores: dict[str, float], steps: Steps) -> None:
    """Judge an epoch and add it to the history."""
    state, optimizer = steps.state, steps.model.optimizer
    record = {
        **scores,
        "learning_rate": steps.rate_of(steps.steps - 1),
        "gradient_norm": optimizer.gradient_norm,
        "weight_norm": weight_norm(steps.model),
        "step_ms": round(1000 * state.seconds / steps.steps, 3),
        "seconds": round(steps.seconds(), 3),
    }
    judge_epoch(state, record, steps.config)


def finished(state: TrainingState, config: TrainingConfig) -> bool:
    """Say whether nothing is left to train: the epochs are done, or the score stopped getting better."""
    return state.epoch >= config.epochs or 0 < config.patience <= state.wait


def best_scores(state: TrainingState) -> dict[str, int | float | None]:
    """Return the best epoch's scores on the validation data."""
    record = state.history[state.best_epoch - 1]
    scores = {name.removeprefix("val_"): value for name, value in record.items() if name.startswith("val_")}
    return {"accuracy": scores.pop("accuracy"), **scores, "best_epoch": state.best_epoch, "epochs": state.epoch}


def try_steps(
    model: keras.Model,
    batches: list[np.ndarray[Any, Any]],
    training: Labelled,
    *,
    config: TrainingConfig,
    rates: list[float],
    class_weights: np.ndarray[Any, Any] | None,
    progress: Progress,
    jit: bool = False,
) -> list[TriedStep]:
    """Take steps at given learning rates and note what each comes to; the model is changed and of no further use.

    Args:
        model: uncompiled.
        batches: row numbers, a batch a step.
        training: the items.
        config: resolved settings.
        rates: the learning rate of each step.
        class_weights: as in `train`.
        progress: told of each step.
        jit: as in `train`.

    Returns:
        a record of each step; fewer than asked for when the loss stops being finite.
    """
    compile_model(model, config, jit=jit)
    targets = Targets(training, model.output_shape[-1], config, weights=class_weights)
    trial = _Trial(rates, progress)
    with contextlib.suppress(Diverged), naming_bad_items(training.inputs):
        model.fit(targets.dataset(batches), steps_per_epoch=len(batches), callbacks=[trial], shuffle=False, verbose=0)
    return trial.steps


@dataclass(frozen=True, kw_only=True)
class TriedStep:
    """The loss of one batch before its step, and how long the step took."""

    loss: float
    seconds: float


class _Trial(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the rate of each step and notes its loss."""

    def __init__(self, rates: list[float], progress: Progress) -> None:
        super().__init__()
        self.rates = rates
        self.progress = progress
        self.steps: list[TriedStep] = []

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.model.optimizer.learning_rate = self.rates[len(self.steps)]
        self.model.reset_metrics()
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise Diverged
        self.steps.append(TriedStep(loss=loss, seconds=time.perf_counter() - self._started))
        self.progress.advance()


def _describe_divergence(steps: Steps) -> NumbersError:
    state, config = steps.state, steps.config
    trained = state.step == steps.steps
    which, where = ("validation loss", "") if trained else ("loss", f", step {state.step + 1}")
    kept = f"; the run keeps epoch {state.best_epoch}, the best one before" if state.best_epoch else ""
    return NumbersError(
        f"the {which} is not a finite number in epoch {state.epoch + 1}{where}",
        hint=f"Lower --lr (it is {config.lr:g}), or --clip-norm 1{kept}",
    )


class Targets:
    """Inputs beside their targets: what the loss takes for each label, and the weights of the classes.

    Args:
        items: inputs and label ids.
        classes: the number of classes.
        config: resolved settings; `loss` and `label_smoothing` count.
        weights: of the classes, or None.
    """

    def __init__(
        self, items: Labelled, classes: int, config: TrainingConfig, *, weights: np.ndarray[Any, Any] | None = None
    ) -> None:
        smoothing = config.label_smoothing or 0.0
        self.inputs = items.inputs
        self.labels = tf.constant(items.labels, tf.int64)
        self.rows = None if takes_label_ids(config) else tf.eye(classes) * (1 - smoothing) + smoothing / classes
        self.weights = None if weights is None else tf.constant(weights, tf.float32)
        self.drawn = items.inputs if isinstance(items.inputs, DrawnInputs) and items.inputs.mixes else None

    def dataset(self, batches: list[np.ndarray[Any, Any]]) -> tf.data.Dataset:
        """Return (inputs, targets) or (inputs, targets, weights) for batches of row numbers."""
        numbers = row_numbers(batches)
        both = tf.data.Dataset.zip((self.inputs.dataset(numbers), numbers.map(self._of)))
        return ahead(both.map(lambda inputs, targets: (inputs, *targets)))

    def _of(self, rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
        labels = tf.gather(self.labels, rows)
        targets = labels if self.rows is None else tf.gather(self.rows, labels)
        found = (targets,) if self.weights is None else (targets, tf.gather(self.weights, labels))
        return found if self.drawn is None else self._mixed(rows, found, self.drawn)

    def _mixed(self, rows: tf.Tensor, found: tuple[tf.Tensor, ...], drawn: DrawnInputs) -> tuple[tf.Tensor, ...]:
        """Mix targets, and weights if any, as the inputs of the batch are mixed."""
        shares = tf.ensure_shape(tf.numpy_function(drawn.shares, [rows], tf.float32), [None])
        own = [tf.reshape(shares, [-1] + [1] * (one.shape.rank - 1)) for one in found]
        return tuple(share * one + (1 - share) * one[::-1] for share, one in zip(own, found, strict=True))
