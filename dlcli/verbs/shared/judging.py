"""Settings of judging: intervals, which evaluate and compare share, thresholds and gates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from dlcli.core.config import Config, option

if TYPE_CHECKING:
    from dlcli.results.gates import Gate


def _threshold(value: Any) -> Any:
    try:
        number = None if value == "best-f1" else float(value)
    except (TypeError, ValueError):
        number = -1.0
    if number is not None and not 0 <= number <= 1:
        raise ValueError("expected best-f1 or a number from 0 to 1")
    return value if number is None else number


Threshold = Annotated[float | Literal["best-f1"] | None, BeforeValidator(_threshold)]


class IntervalConfig(Config):
    """How intervals are made."""

    section = "Intervals"

    bootstrap: int = option(1000, "Resamples of the 95 % intervals; 0 for none.", ge=0)
    seed: int = option(0, "Seed of the resamples.", ge=0, lt=2**31)

    @model_validator(mode="after")
    def _enough(self) -> IntervalConfig:
        if 0 < self.bootstrap < 100:
            raise ValueError(f"--bootstrap: expected 0, or at least 100 resamples, got {self.bootstrap}")
        return self


class GateConfig(Config):
    """What a run must reach."""

    section = "Gates (exit code 7 when one is not met)"

    min_accuracy: float | None = option(None, "The accuracy must be at least this.", ge=0, le=1)
    min: tuple[str, ...] = option(
        (),
        "A score must be at least this, such as f1_macro=0.9; the names are those under metrics in --json.",
        metavar="NAME=VALUE",
    )
    max: tuple[str, ...] = option((), "A score must be at most this, such as ece=0.05.", metavar="NAME=VALUE")
    better_than: Path | None = option(None, "The accuracy must be higher than that of this run.", metavar="RUN")
    gate: Literal["point", "lower"] = option(
        "point", "What is held against the gates: the scores, or the unfavourable ends of their intervals."
    )

    @model_validator(mode="after")
    def _known(self) -> GateConfig:
        self.gates()
        return self

    def gates(self) -> list[Gate]:
        """Return the bounds on scores."""
        if not (self.min or self.max or self.min_accuracy is not None):
            return []
        from dlcli.results.gates import Gate, parse

        found = [] if self.min_accuracy is None else [Gate(metric="accuracy", kind="min", wanted=self.min_accuracy)]
        return found + [parse(text, "min") for text in self.min] + [parse(text, "max") for text in self.max]
