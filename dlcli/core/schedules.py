"""Learning-rate schedules: the rate as a pure function of how far the training is, so that a resume needs no state.

Time is counted in epochs, with fractions: 2.5 is the middle of the third one. Plateau alone depends on scores; its
factor is part of the checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from dlcli.core.training_config import ScheduleConfig, TrainingConfig
from dlcli.errors import UsageError

# one-cycle starts at the highest rate over 25 and ends at the start over 10,000 (Smith & Topin 2019, in the form of
# fastai and PyTorch); the rate alone cycles here, not the momentum.
_ONE_CYCLE_START = 25.0
_ONE_CYCLE_END = 1e4
# Slanted triangular: the lowest rate is the highest over 32 (Howard & Ruder 2018, section 3.2).
_SLANTED_RATIO = 32.0
# Keeps a step that falls on a boundary behind it, whatever the fractions of epochs sum to.
_MARGIN = 1e-9


def learning_rate(config: TrainingConfig, *, time: float, step: float, factor: float = 1.0) -> float:
    """Return the learning rate of a step.

    Args:
        config: the resolved settings.
        time: epochs done before the step, with fractions, from 0 to `config.epochs`.
        step: the length of a step in epochs: one over the steps of an epoch.
        factor: what plateau has come to; 1 for other schedules.

    Returns:
        the rate, at least 0.
    """
    assert config.lr is not None
    warmup = warmup_epochs(config, step=step)
    if time < warmup - _MARGIN:
        return config.lr * min(1.0, (time + step) / warmup)
    if config.schedule == "plateau":
        return max(config.lr * factor, min(config.end_lr or 0.0, config.lr))
    return FORMULAS[config.schedule](config, config.lr, time - warmup, config.epochs - warmup)


def warmup_epochs(config: TrainingConfig, *, step: float) -> float:
    """Return how long the warm-up is, in epochs.

    Raises:
        UsageError: it is as long as the training, or longer.
    """
    if config.warmup is None:
        return 0.0
    epochs = config.warmup * config.epochs if isinstance(config.warmup, float) else config.warmup * step
    if epochs >= config.epochs:
        raise UsageError(
            f"the schedule is longer than the training: --warmup {config.warmup} steps, "
            f"the training has {config.epochs / step:.0f}",
            hint="Give a share, such as --warmup 0.1",
        )
    return epochs


def _constant(config: ScheduleConfig, lr: float, time: float, total: float) -> float:
    return lr


def _step(config: ScheduleConfig, lr: float, time: float, total: float) -> float:
    decays = math.floor(time / (config.decay_epochs or total / 3) + _MARGIN)
    return lr * math.pow(config.decay_rate or 0.1, decays)


def _exponential(config: ScheduleConfig, lr: float, time: float, total: float) -> float:
    return lr * math.pow(config.decay_rate or 0.1, time / (config.decay_epochs or total))


def _inverse_time(config: ScheduleConfig, lr: float, time: float, total: float) -> float:
    return lr / (1 + (config.decay_rate or 1.0) * time / (config.decay_epochs or total))


def _polynomial(config: ScheduleConfig, lr: float, time: float, total: float) -> float:
    end = config.end_lr or 0.0
    return end + (lr - end) * math.pow(max(0.0, 1 - time / total), config.power or 1.0)


def _cosine(config: ScheduleConfig, lr: float, time: float, total: float) -> float:
    """Cosine annealing with warm restarts (Loshchilov & Hutter 2017, equation 5)."""
    end, growth = config.end_lr or 0.0, config.cycle_growth or 1.0
    lengths = [growth**cycle for cycle in range(config.cycles or 1)]
    left = time / total * sum(lengths)
    for length in lengths[:-1]:
        if left < length - _MARGIN:
            break
        left -= length
    else:
        length = lengths[-1]
    return end + (lr - end) * (1 + math.cos(math.pi * min(1.0, max(0.0, left / length)))) / 2


def _one_cycle(config: ScheduleConfig, lr: float, time: float, total: float) -> float:
    start, done, peak = lr / _ONE_CYCLE_START, time / total, config.peak or 0.3
    if done < peak:
        return _between(start, lr, done / peak)
    return _between(lr, start / _ONE_CYCLE_END, (done - peak) / (1 - peak))


def _between(start: float, end: float, share: float) -> float:
    """Go from start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, share))) / 2


def _slanted_triangular(config: ScheduleConfig, lr: float, time: float, total: float) -> float:
    done, peak = time / total, config.peak or 0.1
    height = done / peak if done < peak else 1 - (done - peak) / (1 - peak)
    return lr * (1 + max(0.0, height) * (_SLANTED_RATIO - 1)) / _SLANTED_RATIO


FORMULAS: dict[str, Callable[[ScheduleConfig, float, float, float], float]] = {
    "constant": _constant,
    "step": _step,
    "exponential": _exponential,
    "inverse-time": _inverse_time,
    "polynomial": _polynomial,
    "cosine": _cosine,
    "one-cycle": _one_cycle,
    "slanted-triangular": _slanted_triangular,
}
