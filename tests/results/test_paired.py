"""McNemar's test equals published examples, and Holm's correction his procedure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dlcli.results.paired import chi_square, compare, holm, mcnemar


def test_a_published_example() -> None:
    """Approval of a president, asked twice (Agresti 1990, Categorical Data Analysis, p. 350).

    Of 1,600 people 794 approve twice, 150 the first time alone, 86 the second time alone, 570 never. Without a
    correction the statistic is 17.36 (Penn State, STAT 504); with one, R's default, it is 63^2 / 236 = 16.82.
    """
    assert chi_square(150, 86, corrected=False) == pytest.approx(17.3559, abs=1e-4)
    assert stats.chi2.sf(17.3559, df=1) == pytest.approx(3.099e-5, rel=1e-3)
    assert chi_square(150, 86) == pytest.approx(16.8178, abs=1e-4)
    assert mcnemar(150, 86) == mcnemar(86, 150) == pytest.approx(4.115e-5, rel=1e-3)


def test_few_items_on_which_the_two_differ_are_tested_exactly() -> None:
    # Two-sided binomial by hand: 2 * (1 + 10 + 45) / 2^10.
    assert mcnemar(8, 2) == pytest.approx(2 * (1 + 10 + 45) / 2**10)
    assert mcnemar(24, 0) == pytest.approx(2 / 2**24)
    assert mcnemar(25, 0) == pytest.approx(stats.chi2.sf(24**2 / 25, df=1))
    assert mcnemar(0, 0) == 1


def test_the_two_sides_of_a_comparison() -> None:
    first = np.array([True] * 70 + [False] * 30)
    second = np.array([True] * 50 + [False] * 20 + [True] * 2 + [False] * 28)
    found = compare(first, second, resamples=500, seed=0)
    assert (found.gains, found.losses, found.difference) == (20, 2, 0.18)
    assert 0 < found.interval.low < 0.18 < found.interval.high
    assert found.significant
    turned = compare(second, first, resamples=500, seed=0)
    assert (turned.difference, turned.p) == (-0.18, found.p)
    assert found.in_words("B").startswith("better than B by 18.0 points of accuracy (95 % ")
    assert turned.in_words("A").startswith("worse than A by 18.0 points of accuracy (95 % ")


def test_without_resamples_the_p_value_decides() -> None:
    first, second = np.array([True] * 30), np.array([True] * 15 + [False] * 15)
    found = compare(first, second, resamples=0, seed=0)
    assert found.significant
    assert "McNemar's p" in found.in_words("B")
    assert found.as_json()["low"] is None


def test_what_is_not_distinguishable_is_said_to_be_so() -> None:
    right = np.array([True, False] * 20)
    assert compare(right, right, resamples=200, seed=0).in_words("B") == (
        "not distinguishable from B: right and wrong on the same items"
    )
    other = np.roll(right, 1)
    words = compare(right, other, resamples=200, seed=0).in_words("B")
    assert words.startswith("not distinguishable from B: 0.0 points of accuracy (95 % -")


def test_holm() -> None:
    # Holm 1979, section 3: the smallest is multiplied by the number of tests, the next by one less; never falling.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []
