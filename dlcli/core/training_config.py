"""How the core trains, whatever the domain: optimizer, schedule, loss, layers, and what ends a training.

A setting that only some choices take is None until it is given; given beside another choice, it is refused.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from dlcli.core import metric_names
from dlcli.core.config import Config, Names, ShareOrCount, flag, option
from dlcli.errors import UsageError, nearest

_ADAMS = ("adam", "adamw", "adamax", "nadam")
# Which choices take a setting; what is not listed goes with all.
_TAKEN_BY: dict[str, dict[str, tuple[str, ...]]] = {
    "optimizer": {
        "momentum": ("sgd", "rmsprop"),
        "nesterov": ("sgd",),
        "rho": ("rmsprop", "adadelta"),
        "beta_1": (*_ADAMS, "lion"),
        "beta_2": (*_ADAMS, "lion"),
        "epsilon": (*_ADAMS, "rmsprop", "adagrad", "adadelta"),
        "amsgrad": ("adam", "adamw"),
    },
    "schedule": {
        "decay_rate": ("step", "exponential", "inverse-time"),
        "decay_epochs": ("step", "exponential", "inverse-time"),
        "power": ("polynomial",),
        "end_lr": ("polynomial", "cosine", "plateau"),
        "cycles": ("cosine",),
        "cycle_growth": ("cosine",),
        "peak": ("one-cycle", "slanted-triangular"),
        "plateau_factor": ("plateau",),
        "plateau_patience": ("plateau",),
    },
    "loss": {
        "label_smoothing": ("categorical_crossentropy", "binary_crossentropy", "focal", "kl_divergence"),
        "focal_gamma": ("focal",),
    },
}
# Losses that train scores without bounds: what they give is no probability.
MARGIN_LOSSES = ("hinge", "squared_hinge", "categorical_hinge")
# Learning rates that train models of sparse bags well (docs/training.md has the measurements).
SPARSE_LR = {
    "sgd": 5.0,
    "rmsprop": 0.02,
    "adagrad": 1.0,
    "adadelta": 20.0,
    "adam": 0.02,
    "adamw": 0.02,
    "adamax": 0.05,
    "nadam": 0.02,
    "lion": 0.005,
}
# Those of Keras for models of dense layers; of SGD and Lion what their authors and users take.
DENSE_LR = {
    "sgd": 0.1,
    "rmsprop": 0.001,
    "adagrad": 0.01,
    "adadelta": 1.0,
    "adam": 0.001,
    "adamw": 0.001,
    "adamax": 0.002,
    "nadam": 0.001,
    "lion": 0.0001,
}
# Small data is cut into at least so many batches: on 2,700 reviews five steps an epoch end with probabilities that are
# far too unsure (log loss 0.34 instead of 0.24), and on 6,800 and more nothing is gained.
_MOST_IN_A_BATCH, _FEWEST_IN_A_BATCH, _STEPS_OF_AN_EPOCH = 512, 32, 16
_DEFAULT_SMOOTHING = {"categorical_crossentropy": 0.05, "binary_crossentropy": 0.05}


Schedule = Literal[
    "constant",
    "step",
    "exponential",
    "inverse-time",
    "polynomial",
    "cosine",
    "one-cycle",
    "slanted-triangular",
    "plateau",
]


class _Choices(Config):
    """Settings some of which only fit a choice made in others."""

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        for choice, settings in _TAKEN_BY.items():
            chosen = getattr(self, choice, None)
            for setting, takers in settings.items():
                if chosen is not None and getattr(self, setting) not in (None, False) and chosen not in takers:
                    raise ValueError(
                        f"{flag(setting)} does not go with {flag(choice)} {chosen}; it goes with {', '.join(takers)}"
                    )
        return self


class OptimizerConfig(_Choices):
    """How a gradient becomes a step."""

    section = "Optimizer"

    optimizer: Literal["sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamw", "adamax", "nadam", "lion"] = option(
        "adam", "The optimizer."
    )
    lr: float | None = option(
        None, "The learning rate, the highest one of a schedule; without it one that fits the optimizer.", gt=0
    )
    layer_lr: str = option(
        "",
        "Factors on the learning rate of single layers: 'embedding=0.1,classes=1'; 0 freezes.",
        metavar="FACTORS",
    )
    momentum: float | None = option(None, "Momentum (sgd, rmsprop).", ge=0, lt=1)
    nesterov: bool = option(False, "Nesterov's momentum (sgd).")
    rho: float | None = option(
        None, "Decay of the mean of squared gradients (rmsprop: 0.9, adadelta: 0.95).", gt=0, lt=1
    )
    beta_1: float | None = option(None, "Decay of the mean of gradients (Adam's family, lion: 0.9).", ge=0, lt=1)
    beta_2: float | None = option(
        None, "Decay of the mean of squared gradients (Adam's family: 0.999, lion: 0.99).", ge=0, lt=1
    )
    epsilon: float | None = option(None, "What keeps a division from zero (1e-7).", gt=0)
    amsgrad: bool = option(False, "Never let the mean of squared gradients fall (adam, adamw).")
    weight_decay: float | None = option(
        None,
        "Share of each weight, biases excepted, that a step takes away, times the learning rate (Loshchilov & Hutter "
        "2019); without it 0.004 for adamw, else 0.",
        ge=0,
    )
    clip_norm: float | None = option(None, "Scale gradients whose global norm is over this down to it.", gt=0)
    clip_value: float | None = option(None, "Cut each number of a gradient to this size.", gt=0)
    accumulate: int = option(1, "Batches whose gradients are averaged into one step.", ge=1)
    ema: float | None = option(
        None,
        "Validate and keep the exponential moving average of the weights, with this decay, such as 0.99.",
        gt=0,
        lt=1,
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("--nesterov needs --momentum, such as 0.9")
        if self.clip_norm is not None and self.clip_value is not None:
            raise ValueError("--clip-norm and --clip-value do not go together")
        self.layer_factors()
        return self

    def layer_factors(self) -> dict[str, float]:
        """Return the factor of each layer that `layer_lr` names."""
        factors: dict[str, float] = {}
        for part in filter(None, self.layer_lr.split(",")):
            name, _, number = part.partition("=")
            name = name.strip()
            if name in factors:
                raise ValueError(f"--layer-lr: {name!r} stands there twice")
            try:
                factors[name] = float(number)
            except ValueError:
                raise ValueError(f"--layer-lr: expected LAYER=FACTOR, got {part!r}") from None
            if not 0 <= factors[name] < float("inf"):
                raise ValueError(f"--layer-lr: expected a factor of at least 0, got {part!r}")
        return factors


class ScheduleConfig(_Choices):
    """How the learning rate changes."""

    section = "Learning-rate schedule"

    schedule: Schedule = option("constant", "How the learning rate changes from step to step.")
    warmup: ShareOrCount | None = option(
        None, "Rise linearly to the learning rate first: over this share of the training (0.1, 10%) or count of steps."
    )
    decay_rate: float | None = option(
        None,
        "What the rate is multiplied by each --decay-epochs (step, exponential: 0.1); k of inverse-time (1).",
        gt=0,
    )
    decay_epochs: float | None = option(
        None, "Epochs of one decay; without it a third of the training for step, else all of it.", gt=0
    )
    power: float | None = option(None, "Power of the polynomial (1: a straight line).", gt=0)
    end_lr: float | None = option(None, "The lowest rate (polynomial, cosine, plateau: 0).", ge=0)
    cycles: int | None = option(None, "Times that cosine starts anew (1).", ge=1)
    cycle_growth: float | None = option(None, "How much longer each cycle of cosine is than the one before (1).", ge=1)
    peak: float | None = option(
        None,
        "Share of the training at which the rate is highest (one-cycle: 0.3, slanted-triangular: 0.1).",
        gt=0,
        lt=1,
    )
    plateau_factor: float | None = option(
        None, "What plateau multiplies the rate by when the monitored score stops getting better (0.5).", gt=0, lt=1
    )
    plateau_patience: int | None = option(None, "Epochs without a better score before plateau does so (1).", ge=1)

    def plateau_epochs(self) -> int | None:
        """Return how many epochs without a better score lower the rate; None where the schedule is no plateau."""
        return (self.plateau_patience or 1) if self.schedule == "plateau" else None


class LossConfig(_Choices):
    """What is made small."""

    section = "Loss"

    loss: Literal[
        "categorical_crossentropy",
        "binary_crossentropy",
        "sparse_categorical_crossentropy",
        "hinge",
        "squared_hinge",
        "categorical_hinge",
        "focal",
        "mse",
        "mae",
        "log_cosh",
        "kl_divergence",
    ] = option("categorical_crossentropy", "The loss.")
    label_smoothing: float | None = option(
        None,
        "Share of each label's weight that is spread over all classes (Szegedy et al. 2016); without it 0.05 for the "
        "categorical and the binary cross entropy, else 0.",
        ge=0,
        lt=1,
    )
    focal_gamma: float | None = option(
        None, "How much the focal loss leaves out what is easy (2; Lin et al. 2017).", ge=0
    )
    class_weight: str = option(
        "none",
        "Weight of the classes in the loss: 'none', 'balanced' (inverse to their counts), or 'neg=1,pos=2.5'.",
        metavar="WEIGHTS",
    )


class JudgingConfig(Config):
    """What is measured after an epoch, and what it decides."""

    section = "Judging"

    metrics: Names = option(
        ("accuracy",), "Scores on the validation data after each epoch, such as accuracy,auc,f1.", metavar="NAMES"
    )
    monitor: str = option(
        "val_accuracy",
        "The score that picks the best epoch, stops early and steers plateau: loss, val_loss, or val_ and a metric.",
        metavar="NAME",
    )
    mode: Literal["auto", "max", "min"] = option("auto", "Whether a higher or a lower score is better; auto knows it.")
    patience: int = option(
        2,
        "Stop after this many epochs without a better score; the best epoch's weights stay. 0: never stop early.",
        ge=0,
    )
    min_delta: float = option(0.0, "How much better counts as better.", ge=0)
    val_split: ShareOrCount = option(
        0.1, "Validation part of the data when there is none of its own: a share (0.1, 10%) or a count of items."
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name in self.metrics:
            metric_names.resolve(name)
        self.monitored()
        return self

    def monitored(self) -> str:
        """Return the key of the monitored score in the history."""
        if self.monitor in ("loss", "accuracy", "val_loss"):
            return self.monitor
        if not self.monitor.startswith("val_"):
            raise ValueError(f"--monitor: expected loss, val_loss or val_METRIC, got {self.monitor!r}")
        return f"val_{metric_names.resolve(self.monitor.removeprefix('val_'))}"

    def scored(self) -> list[str]:
        """Return the metrics to compute after each epoch: accuracy, those asked for, and the monitored one."""
        names = ["accuracy", *map(metric_names.resolve, self.metrics)]
        monitored = self.monitored().removeprefix("val_")
        return list(dict.fromkeys([*names, *([monitored] if monitored != "loss" else [])]))

    def higher_is_better(self) -> bool:
        """Say in which direction the monitored score is better."""
        if self.mode != "auto":
            return self.mode == "max"
        return metric_names.BETTER.get(self.monitored().removeprefix("val_"), "min") == "max"


class TrainingConfig(JudgingConfig, LossConfig, ScheduleConfig, OptimizerConfig):
    """How the core trains."""

    section = "Training"

    epochs: int = option(8, "Train for at most this many passes over the data.", ge=1)
    batch_size: int | None = option(
        None,
        "Items in a training step; without it 512, and on small data fewer (at least 32), for 16 steps an epoch.",
        ge=1,
    )
    seed: int = option(0, "Seed of the split, the order and every random draw.", ge=0, lt=2**31)
    device: str = option(
        "auto",
        "Where to compute: 'auto' (the first GPU, or else the CPU), 'cpu', 'gpu', 'gpu:1', or several: 'gpu:0,1' share "
        "each batch.",
        metavar="DEVICE",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = option(
        "auto", "Numbers to compute with; weights stay float32. auto is a rule on processor and model."
    )
    jit: Literal["auto", "on", "off"] = option(
        "auto", "Compile the step with XLA. auto is a rule on processor and model."
    )
    deterministic: bool = option(
        False, "Use operations alone whose results never vary: for the same weights again on a GPU; slower there."
    )
    checkpoint_minutes: float = option(
        10.0, "Within an epoch, keep a checkpoint this often; Ctrl-C and SIGTERM keep one anyway.", gt=0
    )
    tensorboard: bool = option(False, "Write the history for TensorBoard too (the extra 'tensorboard').")

    @model_validator(mode="after")
    def _fits_the_training(self) -> Self:
        if self.schedule in ("step", "exponential") and (self.decay_rate or 0) > 1:
            raise ValueError(f"--decay-rate {self.decay_rate:g} would raise the rate of --schedule {self.schedule}")
        if self.schedule == "step" and (self.decay_epochs or 0) >= self.epochs:
            raise ValueError(
                f"the schedule is longer than the training: --decay-epochs {self.decay_epochs:g} of "
                f"--epochs {self.epochs}"
            )
        waits = self.plateau_epochs()
        if waits is not None and waits >= self.epochs:
            raise ValueError(
                f"the schedule is longer than the training: --plateau-patience {waits} epochs "
                f"without a better score, --epochs {self.epochs}"
            )
        if waits is not None and 0 < self.patience <= waits:
            raise ValueError(
                f"--patience {self.patience} ends the training before --plateau-patience {waits} can lower the rate"
            )
        if self.accumulate > 1 and "," in self.device:
            raise ValueError(f"--accumulate is for one device, got --device {self.device}")
        if self.loss in MARGIN_LOSSES:
            for name in self.scored():
                if name in metric_names.NEEDS_PROBABILITIES:
                    raise ValueError(f"{name} needs probabilities, and --loss {self.loss} trains scores without bounds")
        return self

    def resolved(self, *, items: int | None = None) -> Self:
        """Return the same settings with every `without it ...` filled in, as `run.json` keeps them.

        Args:
            items: of the training data, which the batch size depends on; without it that is left open.
        """
        batch_size = self.batch_size
        if batch_size is None and items is not None:
            batch_size = min(_MOST_IN_A_BATCH, max(_FEWEST_IN_A_BATCH, items // _STEPS_OF_AN_EPOCH))
        filled = {
            "batch_size": batch_size,
            "lr": self.lr or SPARSE_LR[self.optimizer],
            "weight_decay": self.weight_decay
            if self.weight_decay is not None
            else (0.004 if self.optimizer == "adamw" else 0.0),
            "label_smoothing": self.label_smoothing
            if self.label_smoothing is not None
            else _DEFAULT_SMOOTHING.get(self.loss),
        }
        return self.model_copy(update=filled)


class LayerConfig(Config):
    """What layers are made of; a model takes what it has a place for."""

    section = "Layers"

    activation: str | None = option(
        None,
        "Activation of hidden layers: relu, elu, selu, leaky_relu, penalized_tanh and others (relu).",
        metavar="NAME",
    )
    initializer: str | None = option(
        None,
        "First weights: glorot_uniform, he_normal, 'random_normal:stddev=0.02' and others; without it the model's own.",
        metavar="NAME",
    )
    dropout: float | None = option(
        None,
        "Share of units that is left out at a training step, before each dense layer; without it the model's own, "
        "mostly 0.",
        ge=0,
        lt=1,
    )
    l1: float = option(0.0, "Penalty on the size of weights.", ge=0)
    l2: float = option(0.0, "Penalty on the squares of weights.", ge=0)
    bias_l1: float = option(0.0, "Penalty on the size of biases.", ge=0)
    bias_l2: float = option(0.0, "Penalty on the squares of biases.", ge=0)
    activity_l1: float = option(0.0, "Penalty on the size of hidden layers' outputs.", ge=0)
    activity_l2: float = option(0.0, "Penalty on the squares of hidden layers' outputs.", ge=0)


def require_layer_names(factors: dict[str, float], names: list[str]) -> None:
    """Raise a `UsageError` when `--layer-lr` names a layer that the model does not have."""
    for name in factors:
        if name not in names:
            raise UsageError(f"--layer-lr: the model has no layer {name!r} with weights", hint=nearest(name, names))
