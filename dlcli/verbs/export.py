"""`dlcli export`: a run as an artefact that needs no dlcli."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dlcli.core.config import option
from dlcli.core.lines import strict
from dlcli.core.progress import Progress
from dlcli.errors import DataError, SurroundingsError, UsageError
from dlcli.resources import resolve_input
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, facts
from dlcli.verbs.shared.trained_data import TrainedDataConfig

if TYPE_CHECKING:
    from dlcli.core.run import RunRecord


class ExportConfig(TrainedDataConfig):
    """All settings of an export."""

    section = "Export"

    run: Path = option(..., "A finished run.", argument=True, metavar="RUN")
    format: Literal["savedmodel"] = option(
        "savedmodel", "The artefact: a TensorFlow SavedModel that takes raw text, or the bytes of picture files."
    )
    out: Path | None = option(None, "Folder of the artefact; without it RUN/exports/<format>.", metavar="DIR")
    force: bool = option(False, "Replace the artefact at --out.")
    verify: int = option(0, "Run this many raw items through run and artefact; exit code 4 when they differ.", ge=0)
    verify_data: Path | None = option(
        None, "Where the items for --verify come from; without it the run's own training data.", metavar="DATA"
    )


class ExportResult(Result):
    """Where the artefact is, and how close its answers are to the run's."""

    run: Path
    out: Path
    format: str
    verified: int
    largest_difference: float | None = None

    def text(self) -> str:
        """Return the result as lines of names and values."""
        verified = "no; --verify 64 compares it with the run"
        if self.verified:
            verified = f"{self.verified} items, largest difference of an output {self.largest_difference:.1e}"
        return facts([("export", str(self.out)), ("format", self.format), ("verified", verified)])


def export(config: ExportConfig, progress: Progress) -> ExportResult:
    """Write the artefact and, where asked, prove that it answers as the run does.

    Args:
        config: the settings.
        progress: told of stages.

    Returns:
        where it is.
    """
    from dlcli.core.files import require_writable_parent
    from dlcli.core.run import read_record

    record = read_record(config.run)
    out = config.out or config.run / "exports" / config.format
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not config.force:
            raise SurroundingsError(f"{out} is not empty", hint="Choose another --out, or add --force to replace it")
        if not (out / "saved_model.pb").is_file():
            raise SurroundingsError(f"{out} is no export of ours; it is left alone", hint="Choose another --out")
    require_writable_parent(out)
    items = _items(config, record) if config.verify else []

    progress.begin("loading the run")
    from dlcli.serving.export import export_savedmodel
    from dlcli.serving.predictor import Predictor

    predictor = Predictor(config.run)
    progress.begin("exporting and verifying" if items else "exporting")
    difference = export_savedmodel(predictor, out, verify_with=items)
    return ExportResult(
        run=config.run, out=out, format=config.format, verified=len(items), largest_difference=difference
    )


def _items(config: ExportConfig, record: RunRecord) -> list[str]:
    """Read the items to verify with: spread over the data, not its first ones alone."""
    path = resolve_input(config.verify_data or Path(record.config["data"]))
    if not path.exists():
        raise UsageError(f"--verify needs items, and {path} does not exist", hint="Name some with --verify-data")
    if config.verify_data is None and config.encoding is None and record.domain == "text":
        config = config.model_copy(update={"encoding": record.config["encoding"]})
    items = [item for item, _ in strict(config.unlabelled(record, path))]
    if not items:
        raise DataError(f"{path} has nothing to verify with", hint="Name others with --verify-data")
    step = max(1, len(items) // config.verify)
    return items[::step][: config.verify]


ACTION = Action(
    config=ExportConfig,
    function=export,
    examples=("dlcli export runs/reviews --format savedmodel --out served/1 --verify 64",),
)
