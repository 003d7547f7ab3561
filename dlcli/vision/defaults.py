"""What each image model is made of, and how it is trained, where nothing else is asked for.

Chosen on tenths of the training halves of MNIST and CIFAR-10, and on 400 of 2,000 photographs (docs/pictures.md).
"""

from __future__ import annotations

import math
from typing import Any

# A picture's shorter side after the poolings: 28 becomes 7, 150 becomes 9.
_SMALLEST_MAP = 6
# The notes' widths: 32-64 for small pictures, 32-64-128-128 for photographs (Chollet 2017, section 5.2).
_FILTERS = (32, 64, 128, 128)
# Beyond this side the first convolution takes every second pixel, and there is one at each size: most of the work is at
# full resolution, and without it an epoch takes four times as long.
_LARGE = 100
# Stages of a resnet: 32, 16, 8 and 4 pixels for pictures of 32; larger ones take one more step down first. Twice as
# wide costs nearly four times as much.
_RESIDUAL_FILTERS = (24, 48, 96, 192)

_CONVOLUTIONAL = {"kernel_size": 3, "conv_dropout": 0.0}

MODEL_DEFAULTS: dict[str, dict[str, Any]] = {
    "linear": {"dropout": 0.0},
    "mlp": {"hidden_units": (512, 256), "dropout": 0.2},
    "cnn": _CONVOLUTIONAL | {"layers": 1, "hidden_units": (512,), "pooling": "flatten", "dropout": 0.25},
    "cnn-bn": _CONVOLUTIONAL
    | {"hidden_units": (256,), "pooling": "flatten", "dropout": 0.5, "norm_position": "pre", "conv_dropout": 0.1},
    # The mean: the largest of each map makes scores that are far too sure at first (docs/pictures.md).
    "resnet": _CONVOLUTIONAL | {"blocks": 1, "pooling": "mean", "dropout": 0.0, "norm_position": "pre"},
    "rnn": {"cell": "lstm", "units": 128, "layers": 1, "dropout": 0.2},
}
"""The settings of each model that are None until they are given, but for those that the picture's size decides."""


def sizes(model: str, size: tuple[int, int]) -> dict[str, Any]:
    """Return the settings that depend on the picture's size.

    Args:
        model: its name.
        size: height and width in pixels.
    """
    side = min(size)
    large = side > _LARGE
    stride = 2 if large else 1
    if model in ("cnn", "cnn-bn"):
        stages = max(1, math.floor(math.log2(side / _SMALLEST_MAP)))
        filters = _FILTERS[:stages] + (_FILTERS[-1],) * (stages - len(_FILTERS))
        layers = 2 if model == "cnn-bn" and not large else 1
        return {"filters": filters, "stem_stride": stride, "layers": layers}
    if model == "resnet":
        return {"filters": (_RESIDUAL_FILTERS[:1] if large else ()) + _RESIDUAL_FILTERS, "stem_stride": stride}
    return {}


# The rate falls to nothing by the end (Smith & Topin 2019), so that a training is not stopped before.
_TRAINED: dict[str, Any] = {"epochs": 10, "batch_size": 128, "lr": 0.001, "schedule": "one-cycle", "patience": 0}

TRAINING_DEFAULTS: dict[str, dict[str, Any]] = {
    "linear": _TRAINED | {"lr": 0.005},
    # MNIST after five epochs: 97.5 % with batches of 128 and 0.001; after ten: 98.3 % as here.
    "mlp": _TRAINED | {"batch_size": 64, "lr": 0.002},
    # MNIST after three epochs: 98.6 % with batches of 128, 0.001, dropout of 0.5 and Glorot weights, 99.2 % as here.
    "cnn": _TRAINED | {"batch_size": 64, "lr": 0.002},
    "cnn-bn": _TRAINED | {"lr": 0.003},
    "resnet": _TRAINED | {"epochs": 8, "lr": 0.005, "weight_decay": 0.05},
    "rnn": _TRAINED | {"lr": 0.002},
}
"""How models are trained on many pictures: the learning rate is adam's."""

# With fewer pictures than this, as many times the epochs.
_LONGER = ((5_000, 4), (20_000, 2))
# ... and with fewer than the first of them batches of this size, for more steps; the rate falls with the batch, as
# Goyal et al. (2017) have it.
_SMALL_BATCH = 32


# With fewer pictures a head takes twice the epochs.
_FEW = 500


def finetuning_defaults(*, items: int | None, unfrozen: bool) -> dict[str, Any]:
    """Return how a head on a pretrained base is trained where nothing else is asked for.

    Args:
        items: the number of training pictures; None while it is not known.
        unfrozen: whether some of the base is trained with it.

    Returns:
        values for settings of `TrainingConfig`; `lr` is adam's.
    """
    found: dict[str, Any] = {"epochs": 20, "batch_size": 32, "lr": 0.001}
    if items is not None and items < _FEW:
        found["epochs"] *= 2
    if unfrozen:  # The notes' rate (Chollet 2017, section 5.3).
        found |= {"epochs": 10, "lr": 1e-5}
    return found


def training_defaults(model: str, *, items: int | None, size: tuple[int, int] | None) -> dict[str, Any]:
    """Return how a model is trained where nothing else is asked for.

    Args:
        model: its name.
        items: the number of training pictures; None while it is not known.
        size: height and width of a picture in pixels; None while it is not known.

    Returns:
        values for settings of `TrainingConfig`; `lr` is adam's.
    """
    found = dict(TRAINING_DEFAULTS[model])
    if items is None:
        return found
    found["epochs"] *= next((times for count, times in _LONGER if items < count), 1)
    if items < _LONGER[0][0]:
        found["lr"] *= _SMALL_BATCH / found["batch_size"]
        found["batch_size"] = _SMALL_BATCH
    return found
