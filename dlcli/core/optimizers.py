"""Optimizers by name."""

from __future__ import annotations

from typing import Any

from dlcli.core.backend import keras
from dlcli.core.config import TrainingConfig


def make_optimizer(config: TrainingConfig) -> Any:
    """Return a new Keras optimizer.

    Args:
        config: the settings `optimizer` and `lr`.
    """
    optimizers = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
    return optimizers[config.optimizer](learning_rate=config.lr)
