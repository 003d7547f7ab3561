"""The learning-rate range test (Smith 2017, "Cyclical Learning Rates"): the loss while the rate rises exponentially."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dlcli.errors import NumbersError

# The rates that are tried, and the most steps taken: as fastai does, which starts at 1e-7 and takes 100.
LOWEST, HIGHEST, STEPS = 1e-6, 100.0, 120
# Weight of the past in the smoothed loss.
_SMOOTHING = 0.9
# The test ends when the smoothed loss is this many times the lowest one.
_DIVERGED = 4.0
# A fall by a smaller share of the first loss is rounding.
_LEAST_FALL = 1e-3


@dataclass(frozen=True, kw_only=True)
class RangeTest:
    """What the test found.

    Attributes:
        rates: the learning rate of each step.
        losses: the loss of each step's batch.
        smoothed: their exponential moving average, without its start's bias.
        suggestion: where the smoothed loss falls most steeply over the logarithm of the rate.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float


def rising_rates(steps: int) -> list[float]:
    """Return rates from `LOWEST` to `HIGHEST`, each the same factor over the one before."""
    return [LOWEST * (HIGHEST / LOWEST) ** (step / (steps - 1)) for step in range(steps)]


def analyse(rates: Sequence[float], losses: Sequence[float]) -> RangeTest:
    """Smooth the losses, cut them where they diverge, and suggest a rate.

    Args:
        rates: of the steps, rising.
        losses: of as many steps, or fewer when the loss stopped being finite.

    Raises:
        NumbersError: the loss falls nowhere.
    """
    smoothed: list[float] = []
    average = 0.0
    for step, loss in enumerate(losses, start=1):
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        smoothed.append(average / (1 - _SMOOTHING**step))
        if step > 10 and smoothed[-1] > _DIVERGED * min(smoothed):
            break
    lowest = min(range(len(smoothed)), key=smoothed.__getitem__, default=0)
    slopes = {
        step: (smoothed[step + 1] - smoothed[step - 1]) / math.log(rates[step + 1] / rates[step - 1])
        for step in range(1, lowest)
    }
    if not slopes or smoothed[0] - smoothed[lowest] < _LEAST_FALL * abs(smoothed[0]):
        raise NumbersError(
            f"the loss falls at no learning rate from {rates[0]:g} to {rates[-1]:g}",
            hint="Check the data and the model",
        )
    steepest = min(slopes, key=slopes.__getitem__)
    return RangeTest(
        rates=list(rates[: len(smoothed)]),
        losses=list(losses[: len(smoothed)]),
        smoothed=smoothed,
        suggestion=rates[steepest],
    )
