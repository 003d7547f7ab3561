"""Losses by name."""

from __future__ import annotations

from typing import Any

from dlcli.core.backend import keras, tf
from dlcli.core.training_config import MARGIN_LOSSES, LossConfig
from dlcli.errors import UsageError

_KERAS: dict[str, Any] = {
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    # Of two classes and outputs that sum to 1 it is the same number. Keras' own takes the logits of a softmax, which it
    # finds behind the output, for those of a sigmoid.
    "binary_crossentropy": keras.losses.CategoricalCrossentropy,
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "hinge": keras.losses.Hinge,
    "squared_hinge": keras.losses.SquaredHinge,
    "categorical_hinge": keras.losses.CategoricalHinge,
    "mse": keras.losses.MeanSquaredError,
    "mae": keras.losses.MeanAbsoluteError,
    "log_cosh": keras.losses.LogCosh,
    "kl_divergence": keras.losses.KLDivergence,
}


def make_loss(config: LossConfig, *, classes: int, reduction: str | None = "sum_over_batch_size") -> Any:
    """Return a Keras loss.

    Its targets are one-hot rows, (n, classes), and for `sparse_categorical_crossentropy` label ids, (n,); smoothing is
    done to the targets and is no part of it. Hinge losses are Keras', one class against the rest (`hinge`,
    `squared_hinge`) or the right class against the best wrong one (`categorical_hinge`; as Crammer & Singer 2001, but
    that a wrong class counts as 0 at least).

    Args:
        config: `loss` and `focal_gamma`.
        classes: the number of classes.
        reduction: Keras' name of it; None for a value an item.

    Raises:
        UsageError: the loss does not fit the number of classes.
    """
    if config.loss == "binary_crossentropy" and classes != 2:
        raise UsageError(
            f"--loss binary_crossentropy is for two classes, the data has {classes}",
            hint="Use categorical_crossentropy",
        )
    if config.loss == "focal":
        # alpha scales the whole loss and no class, so that gamma 0 is the cross entropy; --class-weight weighs classes.
        gamma = 2.0 if config.focal_gamma is None else config.focal_gamma
        return keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=gamma, reduction=reduction)
    return _KERAS[config.loss](reduction=reduction)


def takes_label_ids(config: LossConfig) -> bool:
    """Say whether the loss takes label ids in the place of one-hot rows."""
    return config.loss == "sparse_categorical_crossentropy"


def output_activation(config: LossConfig) -> str:
    """Return what a model for this loss ends in: `softmax`, or `linear` for scores without bounds."""
    return "linear" if config.loss in MARGIN_LOSSES else "softmax"


class OfWholeBatch(keras.losses.Loss):  # type: ignore[misc]
    """A loss whose gradient is that of a whole batch's mean, also where devices have unequal parts of the batch.

    Keras adds up the means of the parts as if they were equal. The value stays the part's mean: `fit` counts it with
    the part's size.

    Args:
        loss: with the reduction `sum_over_batch_size`.
    """

    def __init__(self, loss: Any) -> None:
        super().__init__(name=loss.name)
        self.loss = loss

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the mean of a part."""
        value = self.loss(y_true, y_pred, sample_weight)
        replica = tf.distribute.get_replica_context()
        if replica is None:
            return value
        items = tf.cast(tf.shape(y_pred)[0], value.dtype)
        even = replica.all_reduce(tf.distribute.ReduceOp.SUM, items) / replica.num_replicas_in_sync
        share = items / even
        return share * value + tf.stop_gradient((1 - share) * value)
