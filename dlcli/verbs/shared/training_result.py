"""What a verb that trains returns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from dlcli.verbs.shared.result import Result, facts

if TYPE_CHECKING:
    from dlcli.core.record import RunRecord


class TrainingResult(Result):
    """Where the run is and how it scores on its validation data; or what a trial found."""

    run: Path | None
    items: dict[str, int]
    labels: list[str]
    parameters: int
    accuracy: float | None = None
    loss: float | None = None
    scores: dict[str, float | None] = Field(default_factory=dict)
    best_epoch: int | None = None
    epochs: int | None = None
    seconds: float = 0.0
    suggested_lr: float | None = Field(None, exclude_if=lambda value: value is None)
    plot: Path | None = Field(None, exclude_if=lambda value: value is None)
    memory_mb: int | None = Field(None, exclude_if=lambda value: value is None)
    seconds_per_epoch: float | None = Field(None, exclude_if=lambda value: value is None)
    would_write: list[str] = Field(default_factory=list, exclude_if=lambda value: not value)

    def text(self) -> str:
        """Return the result as lines of names and values."""
        counts = ", ".join(f"{count:,} {part}" for part, count in self.items.items())
        rows = [
            ("items", counts),
            ("classes", f"{len(self.labels)}: {', '.join(self.labels[:8])}" + (" ..." if len(self.labels) > 8 else "")),
            ("parameters", f"{self.parameters:,}"),
        ]
        if self.suggested_lr is not None:
            return facts([*rows, ("suggestion", f"--lr {self.suggested_lr:.2g}"), ("plot", str(self.plot))])
        if self.run is None:
            memory = f"{self.memory_mb:,} MB at peak in the steps tried" if self.memory_mb else ""
            return facts(
                [
                    *rows,
                    ("memory", memory),
                    ("an epoch", f"about {self.seconds_per_epoch:.1f} s, validation included"),
                    ("would write", ", ".join(self.would_write)),
                    ("dry run", "nothing was written"),
                ]
            )
        others = [(name, f"{value:.4f}") for name, value in self.scores.items() if value is not None]
        rows += [
            ("accuracy", f"{self.accuracy:.4f} on validation (epoch {self.best_epoch} of {self.epochs})"),
            ("loss", f"{self.loss:.4f}"),
            *others,
            ("seconds", f"{self.seconds:.1f}"),
            ("run", str(self.run)),
        ]
        return facts(rows)


def result_of(record: RunRecord, path: Path | None) -> TrainingResult:
    """Return the result that a run's record tells; without a path it was only tried."""
    own = ("accuracy", "loss", "best_epoch", "epochs")
    return TrainingResult(
        run=path,
        items={"training": record.data["training"], "validation": record.data["validation"]},
        labels=record.labels,
        parameters=record.model["parameters"],
        seconds=record.seconds,
        scores={name: value for name, value in record.scores.items() if name not in own},
        **{name: record.scores.get(name) for name in own},
    )
