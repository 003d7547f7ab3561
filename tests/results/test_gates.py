"""Gates: what is asked, what is held against it, and what is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlcli.errors import UsageError
from dlcli.results.bootstrap import NO_INTERVAL, Interval
from dlcli.results.gates import Gate, better_than, hold, parse
from dlcli.results.metrics import Score
from dlcli.results.paired import Paired

SCORE = Score(value=0.9, low=0.85, high=0.95)


@pytest.mark.parametrize(
    ("text", "kind", "metric", "wanted"),
    [
        ("accuracy=0.9", "min", "accuracy", 0.9),
        ("f1 = 90%", "min", "f1_macro", 0.9),
        ("loss=1e-1", "max", "log_loss", 0.1),
    ],
)
def test_a_gate_is_read(text: str, kind: str, metric: str, wanted: float) -> None:
    assert parse(text, kind) == Gate(metric=metric, kind=kind, wanted=wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["accuracy", "accuracy=", "accuracy=high", "accuracy=nan", "0.9", ""])
def test_what_is_no_gate(text: str) -> None:
    with pytest.raises(UsageError, match=r"--min: expected NAME=VALUE, such as accuracy=0.9, got "):
        parse(text, "min")


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"--max: there is no metric 'brie'. Did you mean 'brier'\?"):
        parse("brie=0.1", "max")


@pytest.mark.parametrize(
    ("kind", "wanted", "against", "met"),
    [
        ("min", 0.9, "point", True),
        ("min", 0.9000001, "point", False),
        ("min", 0.85, "lower", True),
        ("min", 0.86, "lower", False),
        ("max", 0.9, "point", True),
        ("max", 0.89, "point", False),
        ("max", 0.95, "lower", True),
        ("max", 0.94, "lower", False),
    ],
)
def test_the_point_or_the_unfavourable_bound_is_held_against_it(
    kind: str, wanted: float, against: str, met: bool
) -> None:
    gate = Gate(metric="accuracy", kind=kind, wanted=wanted)  # type: ignore[arg-type]
    assert hold(gate, SCORE, against).met is met  # type: ignore[arg-type]


def test_the_words() -> None:
    gate = Gate(metric="ece", kind="max", wanted=0.8)
    assert hold(gate, SCORE, "point").failure == "ece is 0.9000, expected at most 0.8"
    found = hold(gate, SCORE, "lower")
    assert (found.gate, found.found) == ("the upper bound of ece at most 0.8", "0.9500")
    assert found.failure == "the upper bound of ece is 0.9500, expected at most 0.8"
    undefined = hold(gate, Score(value=None, undefined="all items are of one class"), "point")
    assert not undefined.met
    assert undefined.failure == "ece is undefined, expected at most 0.8 (all items are of one class)"


def compared(difference: float, low: float, high: float) -> Paired:
    return Paired(difference=difference, interval=Interval(low, high), gains=1, losses=1, p=0.5)


def test_better_than_another_run() -> None:
    run = Path("runs/b")
    assert better_than(run, compared(0.01, -0.01, 0.03), "point").met
    assert not better_than(run, compared(0.01, -0.01, 0.03), "lower").met
    assert better_than(run, compared(0.01, 0.001, 0.03), "lower").met
    # Equal is not better.
    assert not better_than(run, compared(0.0, 0.0, 0.0), "point").met
    assert better_than(run, compared(-0.01, -0.03, 0.01), "point").failure == (
        "not better than runs/b (-1.00 points of accuracy, 95 % -3.00 to +1.00)"
    )
    without = Paired(difference=0.01, interval=NO_INTERVAL, gains=3, losses=1, p=0.6)
    assert better_than(run, without, "point").found == "+1.00 points of accuracy"
