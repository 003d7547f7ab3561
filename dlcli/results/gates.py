"""Gates: scores that a run must reach, and whether it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dlcli.core import metric_names
from dlcli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from dlcli.results.metrics import Score
    from dlcli.results.paired import Paired

Held = Literal["point", "lower"]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A bound on a score.

    Attributes:
        metric: its name.
        kind: `min` or `max`.
        wanted: the bound; a score that is exactly it meets the gate.
    """

    metric: str
    kind: Literal["min", "max"]
    wanted: float

    @property
    def bound(self) -> str:
        """Return `at least 0.9` or `at most 0.05`."""
        return f"at {'least' if self.kind == 'min' else 'most'} {self.wanted:g}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A gate and what was held against it.

    Attributes:
        gate: in words, such as `accuracy at least 0.9`.
        met: whether it is met.
        found: the value that was held against it, or why there is none.
        failure: what the error says when it is not met.
    """

    gate: str
    met: bool
    found: str
    failure: str


def parse(text: str, kind: Literal["min", "max"]) -> Gate:
    """Read `NAME=VALUE`.

    Raises:
        UsageError: a metric that there is not (names the nearest), or no number.
    """
    name, separator, number = text.partition("=")
    try:
        value = float(number.strip().removesuffix("%")) / (100 if number.strip().endswith("%") else 1)
    except ValueError:
        value = float("nan")
    if not separator or value != value:
        raise UsageError(f"--{kind}: expected NAME=VALUE, such as accuracy=0.9, got {text!r}")
    try:
        return Gate(metric=metric_names.resolve(name), kind=kind, wanted=value)
    except UsageError as error:
        error.message = f"--{kind}: {error.message}"
        raise


def hold(gate: Gate, score: Score, against: Held) -> Outcome:
    """Hold a score against a gate.

    Args:
        gate: the bound.
        score: what was found.
        against: `point` for the score itself, `lower` for the unfavourable end of its 95 % interval: the lower one
            for `min`, the upper one for `max`.
    """
    name, value = gate.metric, score.value
    if against == "lower":
        end = "lower" if gate.kind == "min" else "upper"
        name, value = f"the {end} bound of {name}", score.low if gate.kind == "min" else score.high
    asked = f"{name} {gate.bound}"
    if value is None:
        why = score.undefined or "every resample gives the same value"
        return Outcome(
            gate=asked,
            met=False,
            found=f"undefined: {why}",
            failure=f"{name} is undefined, expected {gate.bound} ({why})",
        )
    met = value >= gate.wanted if gate.kind == "min" else value <= gate.wanted
    return Outcome(gate=asked, met=met, found=f"{value:.4f}", failure=f"{name} is {value:.4f}, expected {gate.bound}")


def better_than(run: Path, found: Paired, against: Held) -> Outcome:
    """Say whether a run is better than another one on the same items.

    Args:
        run: the other one.
        found: how they compare, the other one second.
        against: `point` for a higher accuracy, `lower` for an interval of the difference that lies over zero.
    """
    low, high = (100 * end for end in found.interval)
    difference = f"{100 * found.difference:+.2f} points of accuracy"
    if against == "point":
        met = found.difference > 0
        asked = f"better than {run}"
    else:
        met = found.interval.low > 0
        asked = f"the lower bound of the difference to {run} over 0"
    shown = difference if low != low else f"{difference}, 95 % {low:+.2f} to {high:+.2f}"
    return Outcome(gate=asked, met=met, found=shown, failure=f"not better than {run} ({shown})")
