"""Whether two classifiers differ on the same items: McNemar's test, and Holm's correction for several of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.results.bootstrap import NO_INTERVAL, Interval, difference_interval

# With fewer items on which the two differ, the normal approximation is poor: the test is exact.
_EXACT_BELOW = 25


@dataclass(frozen=True, kw_only=True)
class Paired:
    """How the answers of a first and a second classifier compare on the same items.

    Attributes:
        difference: accuracy of the first minus that of the second.
        interval: 95 % bootstrap interval of the difference; NaN without resamples.
        gains: items that only the first has right.
        losses: items that only the second has right.
        p: McNemar's, two-sided.
    """

    difference: float
    interval: Interval
    gains: int
    losses: int
    p: float

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out zero; without one, whether p is under 0.05."""
        if np.isnan(self.interval.low):
            return self.p < 0.05
        return self.interval.low > 0 or self.interval.high < 0

    def in_words(self, other: str) -> str:
        """Say whether the first one is better than `other`, the second one, and by how much."""
        if not self.gains and not self.losses:
            return f"not distinguishable from {other}: right and wrong on the same items"
        sign = -1 if self.significant and self.difference < 0 else 1
        low, high = sorted(100 * sign * end for end in self.interval)
        sure = f"McNemar's p {self.p:.2g}" if np.isnan(low) else f"95 % {low:.1f} to {high:.1f}"
        size = f"{100 * sign * self.difference:.1f} points of accuracy ({sure})"
        if not self.significant:
            return f"not distinguishable from {other}: {size}"
        return f"{'better' if sign > 0 else 'worse'} than {other} by {size}"

    def as_json(self) -> dict[str, Any]:
        """Return the comparison for `--json`."""
        low, high = (None if np.isnan(end) else end for end in self.interval)
        return {
            "difference": self.difference,
            "low": low,
            "high": high,
            "p": self.p,
            "significant": self.significant,
            "only_this_right": self.gains,
            "only_the_other_right": self.losses,
        }


def compare(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], *, resamples: int, seed: int) -> Paired:
    """Compare two classifiers.

    Args:
        first: bool (n,), which items the first one has right.
        second: the same of the second one.
        resamples: of the interval; 0 for none.
        seed: of the resamples.
    """
    gains, losses = int((first & ~second).sum()), int((second & ~first).sum())
    return Paired(
        difference=(gains - losses) / len(first),
        interval=difference_interval(first, second, resamples, seed) if resamples else NO_INTERVAL,
        gains=gains,
        losses=losses,
        p=mcnemar(gains, losses),
    )


def mcnemar(gains: int, losses: int) -> float:
    """Return the two-sided p-value of McNemar's test (1947), which looks at the items where the two differ.

    Exact binomial for fewer than 25 of them, else chi-square with the continuity correction of Edwards (1948):
    (|gains - losses| - 1)^2 / (gains + losses).
    """
    from scipy import stats

    total = gains + losses
    if total == 0:
        return 1.0
    if total < _EXACT_BELOW:
        return float(stats.binomtest(gains, total, 0.5).pvalue)
    return float(stats.chi2.sf(chi_square(gains, losses), df=1))


def chi_square(gains: int, losses: int, *, corrected: bool = True) -> float:
    """Return McNemar's statistic, with or without the continuity correction."""
    gap = abs(gains - losses)
    return float((max(0, gap - 1) if corrected else gap) ** 2 / (gains + losses))


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979), in the same order.

    Args:
        values: p-values of a family of tests.
    """
    corrected = [0.0] * len(values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=lambda index: values[index])):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = highest
    return corrected
