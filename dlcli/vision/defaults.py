"""What each image model is made of, and how it is trained, where nothing else is asked for."""

from __future__ import annotations

import math
from typing import Any

# A picture's shorter side after the poolings: 28 becomes 7, 150 becomes 9.
_SMALLEST_MAP = 6
# The notes' widths: 32-64 for small pictures, 32-64-128-128 for photographs (Chollet 2017, section 5.2).
_FILTERS = (32, 64, 128, 128)
# Beyond this side the first convolution takes every second pixel: most of the work is at full resolution.
_LARGE = 100

_CONVOLUTIONAL = {"kernel_size": 3, "conv_dropout": 0.0}

MODEL_DEFAULTS: dict[str, dict[str, Any]] = {
    "linear": {"dropout": 0.0},
    "mlp": {"hidden_units": (512, 256), "dropout": 0.2},
    "cnn": _CONVOLUTIONAL | {"layers": 1, "hidden_units": (512,), "pooling": "flatten", "dropout": 0.3},
    "cnn-bn": _CONVOLUTIONAL
    | {"layers": 2, "hidden_units": (256,), "pooling": "flatten", "dropout": 0.5, "norm_position": "pre"},
    "resnet": _CONVOLUTIONAL | {"blocks": 1, "pooling": "max", "dropout": 0.0, "norm_position": "pre"},
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
    stride = 2 if side > _LARGE else 1
    stages = max(1, math.floor(math.log2(side / _SMALLEST_MAP)))
    if model in ("cnn", "cnn-bn"):
        filters = _FILTERS[:stages] + (_FILTERS[-1],) * (stages - len(_FILTERS))
        return {"filters": filters, "stem_stride": stride}
    if model == "resnet":
        return {"filters": (32, 64, 128, 256), "stem_stride": stride}
    return {}


_TRAINED: dict[str, Any] = {"lr": 0.001, "schedule": "one-cycle", "patience": 0, "batch_size": 128}

TRAINING_DEFAULTS: dict[str, dict[str, Any]] = {
    "linear": _TRAINED | {"epochs": 10},
    "mlp": _TRAINED | {"epochs": 10},
    "cnn": _TRAINED | {"epochs": 10},
    "cnn-bn": _TRAINED | {"epochs": 15, "lr": 0.003},
    "resnet": _TRAINED | {"epochs": 15, "lr": 0.005},
    "rnn": _TRAINED | {"epochs": 10, "lr": 0.002},
}
"""How models are trained: the learning rate is adam's."""

# Fewer pictures want more steps.
_FEW_ITEMS, _SMALL_BATCH, _MANY_EPOCHS = 10_000, 32, 40


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
    if items is not None and items < _FEW_ITEMS:
        found |= {"batch_size": _SMALL_BATCH, "epochs": _MANY_EPOCHS}
    return found
