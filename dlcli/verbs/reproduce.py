"""`dlcli reproduce`: a run trained again from its record, and held against it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from dlcli.core.config import Config, option
from dlcli.core.progress import Progress
from dlcli.errors import GateError
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, facts, table
from dlcli.verbs.shared.scores import number
from dlcli.verbs.shared.training import train_again

# Numbers of epochs among the scores.
_COUNTS = ("best_epoch", "epochs")
_SAME_WEIGHTS = "the same, bit for bit"


class ReproduceConfig(Config):
    """All settings of a reproduction."""

    run: Path = option(..., "A finished run, whose data is still where it was.", argument=True, metavar="RUN")
    out: Path | None = option(None, "Keep the second run there; without it it is removed.", metavar="RUN")
    tolerance: float | None = option(
        None,
        "Accept other weights when no score differs by more than this, such as 0.005: for another machine or other "
        "versions. Without it everything must be the same, bit for bit.",
        ge=0,
        allow_inf_nan=False,
    )


class ReproduceResult(Result):
    """What is the same in both runs."""

    run: Path
    second: Path | None
    same: bool
    reproduced: bool
    largest_difference: float | None
    epochs: tuple[int, int]
    same_epochs: int
    scores: dict[str, tuple[float | None, float | None]]
    tolerance: float | None

    def text(self) -> str:
        """Return what was compared, and what came of it."""
        weights = "of other shapes"
        if self.largest_difference is not None:
            weights = f"differ by up to {self.largest_difference:.2g}" if self.largest_difference else _SAME_WEIGHTS
        rows = [
            ("run", str(self.run)),
            ("second run", str(self.second or "")),
            ("weights", weights),
            ("history", self._history()),
            ("reproduced", self._verdict()),
        ]
        scores = [(name, *map(number, pair)) for name, pair in self.scores.items() if name not in _COUNTS]
        return facts(rows) + "\n\n" + table(scores, header=("on validation data", "run", "again"))

    def check(self) -> None:
        """Raise when the result is another one."""
        if not self.reproduced:
            allowed = "" if self.tolerance is None else f" by more than {self.tolerance:g}"
            raise GateError(f"{self.run} was not reproduced: the result differs{allowed}")

    def _history(self) -> str:
        first, second = self.epochs
        if first == second == self.same_epochs:
            return f"the same in all {first} epoch{'s' * (first != 1)}"
        return f"differs from epoch {self.same_epochs + 1} on ({first} epochs, again {second})"

    def _verdict(self) -> str:
        if self.same:
            return "yes"
        return f"yes, within {self.tolerance:g}" if self.reproduced else "no"


def reproduce(config: ReproduceConfig, progress: Progress) -> ReproduceResult:
    """Train a run again from its record, and compare weights, history and scores.

    Args:
        config: which run.
        progress: told of stages and epochs.

    Returns:
        what is the same; `check` raises when the result is another one.
    """
    from dlcli.core.record import open_finished
    from dlcli.core.run import require_free

    record = open_finished(config.run)
    if config.out is not None:
        require_free(config.out, force=False, resumable=False)
    with tempfile.TemporaryDirectory(prefix="dlcli-reproduce-") as folder:
        second = config.out or Path(folder) / config.run.resolve().name
        train_again(config.run, record, second, progress)
        progress.begin("comparing the runs")
        from dlcli.results import reproduction

        found = reproduction.compare(config.run, second)
    differences = [abs(first - second) for first, second in _pairs(found.scores)]
    return ReproduceResult(
        run=config.run,
        second=config.out,
        same=found.same,
        reproduced=found.same or (config.tolerance is not None and max(differences, default=0) <= config.tolerance),
        largest_difference=found.largest_difference,
        epochs=found.epochs,
        same_epochs=found.same_epochs,
        scores=found.scores,
        tolerance=config.tolerance,
    )


def _pairs(scores: dict[str, tuple[float | None, float | None]]) -> list[tuple[float, float]]:
    """Return the scores that both runs have; numbers of epochs are none."""
    return [
        (first, second)
        for name, (first, second) in scores.items()
        if name not in _COUNTS and first is not None and second is not None
    ]


ACTION = Action(
    config=ReproduceConfig,
    function=reproduce,
    examples=("dlcli reproduce runs/reviews", "dlcli reproduce runs/reviews --tolerance 0.005"),
)
