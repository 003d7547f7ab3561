"""`dlcli bench`: how fast a run and its exports answer, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.core.config import option
from dlcli.core.lines import strict
from dlcli.core.progress import Progress
from dlcli.errors import DataError, ModelError, UsageError
from dlcli.resources import resolve_input
from dlcli.serving.card import CARD, Card, read_card
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, table
from dlcli.verbs.shared.trained_data import TrainedDataConfig, spread

if TYPE_CHECKING:
    from dlcli.core.record import RunRecord

_EXPORTS = "exports"


class BenchConfig(TrainedDataConfig):
    """All settings of a measurement."""

    section = "Measurement"

    run: Path = option(
        ..., "A finished run; what is in its folder exports/ is measured too.", argument=True, metavar="RUN"
    )
    artefact: tuple[Path, ...] = option(
        (), "An export to measure too, its folder or its model's file; may be given several times.", metavar="PATH"
    )
    data: Path | None = option(
        None, "Where the items come from; without it the run's own training data.", metavar="DATA"
    )
    items: int = option(256, "Answer so many different items, spread over the data.", ge=1)
    batch_size: int = option(32, "Items that are answered together.", ge=1)
    seconds: float = option(3.0, "Measure single answers so long, and then batches; each artefact.", gt=0, le=600)
    threads: int | None = option(None, "Use so many processors; without it all.", ge=1)


class BenchResult(Result):
    """What each took."""

    run: Path
    domain: str
    items: int
    batch_size: int
    threads: int | None
    processor: str
    artefacts: list[dict[str, Any]]

    def text(self) -> str:
        """Return a table: the run, and each of its exports."""
        header = ("", "MB", "start s", "median ms", "p90 ms", "p99 ms", "items/s", "memory MB")
        threads = "all processors" if self.threads is None else f"threads: {self.threads}"
        kind = "texts" if self.domain == "text" else "pictures"
        note = (
            f"{self.processor}, {threads}; {self.items:,} raw {kind}; one at a time (median, p90, p99), and "
            f"{self.batch_size} together (items/s)"
        )
        return f"{table([_row(one) for one in self.artefacts], header=header)}\n\n{note}"


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        one["name"],
        f"{one['bytes'] / 1e6:.1f}",
        f"{one['start_seconds']:.2f}",
        *(f"{one[f'{name}_ms']:.2f}" for name in ("median", "p90", "p99")),
        f"{one['items_per_second']:,.0f}",
        f"{one['peak_bytes'] / 1e6:,.0f}",
    )


def bench(config: BenchConfig, progress: Progress) -> BenchResult:
    """Measure a run and its exports, one after the other, each in a process of its own.

    Args:
        config: the settings.
        progress: told of stages.

    Returns:
        what each took.
    """
    from dataclasses import asdict

    from dlcli.core.record import open_finished
    from dlcli.serving.bench import Job, measure

    record = open_finished(config.run)
    artefacts = [_read(path, record, config.run) for path in _artefacts(config)]
    items = _items(config, record)
    found: list[dict[str, Any]] = []
    for path, card in [(config.run, None), *artefacts]:
        name = _name(path, card, config.run)
        progress.begin(f"measuring {name}")
        measured = measure(
            Job(
                path=str(path),
                is_run=card is None,
                items=items,
                domain=record.domain,
                batch_size=config.batch_size,
                seconds=config.seconds,
                threads=config.threads,
            )
        )
        about = {
            "name": name,
            "path": str(path),
            "format": "run" if card is None else card.format,
            "quantize": "none" if card is None else card.quantize,
            "bytes": _size(path, card),
        }
        found.append(about | asdict(measured))
    return BenchResult(
        run=config.run,
        domain=record.domain,
        items=len(items),
        batch_size=config.batch_size,
        threads=config.threads,
        processor=found[0]["processor"],
        artefacts=found,
    )


def _artefacts(config: BenchConfig) -> Iterator[Path]:
    """Yield the folders of the exports to measure: those of the run, and those that are named."""
    seen = set()
    for path in [config.run / _EXPORTS, *config.artefact]:
        if not path.exists() and path in config.artefact:
            raise UsageError(f"--artefact: {path} does not exist", hint="Expected what dlcli export wrote")
        folder = path.parent if path.is_file() else path
        # A folder with an export for each format, or `exports/`, where such folders may be too.
        inside = [folder] if (folder / CARD).exists() else sorted(card.parent for card in folder.rglob(CARD))
        if not inside and path in config.artefact:
            raise ModelError(f"{path} is no export: it has no {CARD}", hint="Expected what dlcli export wrote")
        for one in inside:
            if one.resolve() not in seen:
                seen.add(one.resolve())
                yield one


def _read(path: Path, record: RunRecord, run: Path) -> tuple[Path, Card]:
    """Check an export, before anything is measured."""
    from dlcli.serving.extras import require_extra

    card = read_card(path)
    if (card.domain, card.labels) != (record.domain, record.labels):
        raise UsageError(f"{path} answers with other classes than {run}", hint="Measure it with a run of its own")
    require_extra(card.format)
    return path, card


def _items(config: BenchConfig, record: RunRecord) -> list[str]:
    """Read the items: spread over the data."""
    path = resolve_input(config.data or Path(record.config["data"]))
    if not path.exists():
        raise UsageError(f"there are no items to answer: {path} does not exist", hint="Name some with --data")
    items = [item for item, _ in strict(config.unlabelled(record, path, own=config.data is None))]
    if not items:
        raise DataError(f"{path} has nothing to answer", hint="Name others with --data")
    return spread(items, config.items)


def _name(path: Path, card: Card | None, run: Path) -> str:
    """Return what the table calls an artefact: its format, or where it is when it is not the run's own."""
    if card is None:
        return "run"
    kind = card.format if card.quantize == "none" else f"{card.format} {card.quantize}"
    return kind if path.is_relative_to(run) else f"{kind} ({path})"


def _size(path: Path, card: Card | None) -> int:
    """Return the bytes of what is needed to answer: of a run its model and its pipeline."""
    if card is not None:
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    from dlcli.core.record import MODEL, PIPELINE

    files = [path / MODEL, *(path / PIPELINE).rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file())


ACTION = Action(
    config=BenchConfig,
    function=bench,
    examples=(
        "dlcli bench runs/reviews",
        "dlcli bench runs/photos --artefact dist/ --artefact small/model.tflite --threads 1 --seconds 10",
    ),
)
