"""What a training would cost, from a few steps of it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from dlcli.core.backend import keras
from dlcli.core.batches import ordered_batches, training_batches
from dlcli.core.fit import Labelled, try_steps
from dlcli.core.forward import Forward
from dlcli.core.progress import Progress
from dlcli.core.training_config import TrainingConfig
from dlcli.errors import NumbersError

_STEPS = 12
# Steps that trace and compile, and say nothing of the others.
_FIRST = 3


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What was measured.

    Attributes:
        memory_mb: the process' peak, in megabytes; None where the system does not tell.
        seconds_per_epoch: of training and validation.
    """

    memory_mb: int | None
    seconds_per_epoch: float


def rehearse(
    model: keras.Model,
    training: Labelled,
    validation: Labelled,
    *,
    config: TrainingConfig,
    class_weights: np.ndarray[Any, Any] | None,
    progress: Progress,
    jit: bool,
) -> Cost:
    """Take a few steps, the largest batch among them, and validate once; the model is of no further use.

    Args:
        model: uncompiled.
        training: what would be learnt from.
        validation: what would be validated on.
        config: resolved settings.
        class_weights: as in `fit.train`.
        progress: told of the steps.
        jit: as in `fit.train`.

    Raises:
        NumbersError: the loss of the first step is no number.
    """
    assert config.lr is not None and config.batch_size is not None
    lengths, widths, size = training.inputs.lengths, training.inputs.widths, config.batch_size
    epoch = training_batches(lengths, batch_size=size, seed=config.seed, epoch=0, widths=widths)
    longest = ordered_batches(lengths, batch_size=size, widths=widths)[0]
    batches = [longest, *epoch[: _STEPS - 1]]
    progress.begin("trying a few steps", len(batches))
    steps = try_steps(
        model,
        batches,
        training,
        config=config,
        rates=[config.lr] * len(batches),
        class_weights=class_weights,
        progress=progress,
        jit=jit,
    )
    if not steps:
        raise NumbersError("the loss is not a finite number in the first step", hint="Check penalties and weights")
    forward = Forward(model)
    forward(validation.inputs)
    started = time.perf_counter()
    forward(validation.inputs)
    validated = time.perf_counter() - started
    step = median(tried.seconds for tried in (steps[_FIRST:] or steps))
    return Cost(memory_mb=_peak_mb(), seconds_per_epoch=step * len(epoch) + validated)


def _peak_mb() -> int | None:
    try:
        import resource
    except ImportError:  # Not on Windows.
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / 1e6) if sys.platform == "darwin" else int(peak * 1024 / 1e6)
