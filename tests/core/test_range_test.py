"""The range test suggests the rate at which the loss falls most steeply."""

from __future__ import annotations

import numpy as np
import pytest

from dlcli.core.range_test import STEPS, analyse, rising_rates
from dlcli.errors import NumbersError

RATES = rising_rates(STEPS)
# Falls from 2 to 1 around 10^-2, half way there, and rises from 1 on.
LOGS = np.log10(RATES)
CURVE = 2 - 1 / (1 + np.exp(-3 * (LOGS + 2))) + np.exp(3 * (LOGS - 1))


def test_the_rates() -> None:
    assert len(RATES) == STEPS
    assert (RATES[0], RATES[-1]) == pytest.approx((1e-6, 100))
    np.testing.assert_allclose(np.diff(LOGS), 8 / (STEPS - 1))


def test_the_smoothing_is_a_mean_without_bias() -> None:
    """Of what came so far, each step weighs 0.9 of the next one."""
    found = analyse(RATES, list(CURVE))
    for step in (1, 5, 40):
        weights = 0.9 ** np.arange(step)[::-1]
        assert found.smoothed[step - 1] == pytest.approx((weights * CURVE[:step]).sum() / weights.sum())


def test_the_steepest_fall() -> None:
    suggestion = analyse(RATES, list(CURVE)).suggestion
    # The smoothing looks back by 9 steps, about a factor of 4 in the rate.
    assert 0.01 < suggestion < 0.08
    assert suggestion in RATES


def test_it_ends_when_the_loss_diverges() -> None:
    found = analyse(RATES, list(CURVE))
    assert len(found.rates) == len(found.losses) == len(found.smoothed) < STEPS
    assert found.smoothed[-1] > 4 * min(found.smoothed) >= found.smoothed[-2] / 1.0001
    # Losses that were not finite are not there.
    assert len(analyse(RATES, list(CURVE[:80])).rates) == 80


@pytest.mark.parametrize(
    "losses",
    [
        [],
        [0.7],
        [0.7] * STEPS,
        list(0.7 + 1e-7 * np.sin(np.arange(STEPS))),
        list(np.linspace(0.7, 9.0, STEPS)),
    ],
    ids=["none", "one", "constant", "rounding", "rising"],
)
def test_a_loss_that_falls_nowhere(losses: list[float]) -> None:
    with pytest.raises(NumbersError, match="the loss falls at no learning rate from 1e-06 to 100"):
        analyse(RATES, losses)
