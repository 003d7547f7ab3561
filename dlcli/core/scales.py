"""The scales of a picture's axes: their ends, and the few round numbers that label them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """The range of an axis.

    Attributes:
        low: its lower end.
        high: its upper end, above the lower.
        log: whether it is logarithmic; both ends are above 0 then.
        ticks: where it is labelled.
    """

    low: float
    high: float
    log: bool
    ticks: Sequence[float]

    def share(self, value: float) -> float:
        """Return where a value stands: 0 at the lower end, 1 at the upper, never beyond."""
        value = min(max(value, self.low), self.high)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def linear(
    values: Sequence[float], *, bounds: tuple[float, float] = (-math.inf, math.inf), zero: bool = False
) -> Scale:
    """Return a scale that shows finite values, with a margin.

    Args:
        values: what must be seen; may be empty.
        bounds: of what a value can be; no tick stands outside them.
        zero: whether the scale begins at 0.
    """
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    low = min(low, 0.0) if zero else low
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        # A constant: a little above and below it, so that it reads as one.
        low, high = low - (0.1 * abs(low) or 0.5), high + (0.1 * abs(high) or 0.5)
        low, high = max(low, bounds[0]), min(high, bounds[1])
    margin = 0.06 * (high - low)
    low, high = low if zero and low == 0 else low - margin, high + margin
    step = _round_step((high - low) / 6)
    ticks = [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
    inside = [tick for tick in ticks if bounds[0] - step / 1e6 <= tick <= bounds[1] + step / 1e6]
    return Scale(low, high, False, inside or ticks if values else [])


def logarithmic(values: Sequence[float], *, tight: bool = False) -> Scale:
    """Return a logarithmic scale that shows values, all above 0.

    Args:
        values: what must be seen; at least one.
        tight: without a margin.
    """
    low, high = min(values), max(values)
    margin = 1.0 if tight and high > low else (high / low) ** 0.06 * 1.02
    low, high = low / margin, high * margin
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    stride = max(1, math.ceil((last - first) / 7))
    for digits in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
        ticks = [digit * 10.0**power for power in range(first, last + 1, stride) for digit in digits]
        ticks = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(ticks) >= 4:
            break
    return Scale(low, high, True, ticks if len(ticks) >= 2 else linear([low, high]).ticks)


def scale(values: Sequence[float], *, log_from: float, zero: bool = False) -> Scale:
    """Return a logarithmic scale where the values are above 0 and span more than `log_from`, else a linear one.

    Args:
        values: what must be seen; may be empty.
        log_from: the ratio of the largest to the smallest.
        zero: whether a linear scale begins at 0.
    """
    if values and min(values) > 0 and max(values) > log_from * min(values):
        return logarithmic(values)
    return linear(values, zero=zero)


def epochs(numbers: Sequence[float]) -> Scale:
    """Return the scale of epochs: whole numbers alone are labelled."""
    first, last = (min(numbers), max(numbers)) if numbers else (1.0, 1.0)
    margin = 0.025 * (last - first) or 0.5
    step = max(1.0, _round_step((last - first) / 8))
    round_ones = [n * step for n in range(math.ceil(first / step), math.floor(last / step) + 1)]
    ticks = [first, *(tick for tick in round_ones if tick >= first + 0.4 * step)]
    return Scale(first - margin, last + margin, False, ticks)


def short(value: float) -> str:
    """Return a number in as few characters as it needs: 0.001, 25, 2e-5, 1.5e7."""
    if value == 0 or 1e-4 <= abs(value) < 1e5:
        return f"{value:.9g}"
    digits, power = f"{value:.8e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least * (1 - 1e-9))
