"""`dlcli export`: a run as an artefact that needs no dlcli."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from dlcli.core.config import option
from dlcli.core.lines import strict
from dlcli.core.progress import Progress
from dlcli.errors import DataError, SurroundingsError, UsageError
from dlcli.resources import resolve_input
from dlcli.serving.card import FILES, QUANTIZED, Quantize, is_export
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, facts, table
from dlcli.verbs.shared.trained_data import TrainedLabelledConfig, spread

if TYPE_CHECKING:
    from dlcli.core.record import RunRecord
    from dlcli.serving.export import Exported

# Training items whose activations say which numbers eight bits stand for; beyond a few hundred little changes.
_SAMPLES = 200


class ExportConfig(TrainedLabelledConfig):
    """All settings of an export."""

    section = "Export"

    run: Path = option(..., "A finished run.", argument=True, metavar="RUN")
    format: Literal["savedmodel", "keras", "litert", "onnx", "all"] = option(
        "savedmodel",
        "The artefact: a TensorFlow SavedModel that takes raw text, or the bytes of picture files; or a Keras, LiteRT "
        "or ONNX file that takes ids or pixels, with a small runner that makes them; all of them in folders.",
    )
    quantize: Quantize = option(
        "none",
        "For litert and onnx: weights of 8 bits (dynamic) or 16 bits (float16), or all of 8 bits (int8), with ranges "
        "taken from training items.",
    )
    out: Path | None = option(None, "Folder of the artefact; without it RUN/exports/<format>.", metavar="DIR")
    force: bool = option(False, "Replace the artefact at --out.")
    verify: int = option(0, "Run this many raw items through run and artefact; exit code 4 when they differ.", ge=0)
    verify_data: Path | None = option(
        None,
        "Where the items for --verify come from; without it the run's own training data. With --quantize it is "
        "labelled, and the change in accuracy on all of it is reported.",
        metavar="DATA",
    )

    web: bool = option(
        False, "With onnx: add a page that runs the model in a browser, from a plain folder, with onnxruntime-web."
    )
    mirror: str = option(
        "", "With --web: fetch onnxruntime-web's package under this address instead of npm's.", metavar="URL"
    )

    @model_validator(mode="after")
    def _quantizable(self) -> ExportConfig:
        if self.web and self.format not in ("onnx", "all"):
            raise ValueError(f"--web goes with --format onnx or all, not {self.format}")
        if self.mirror and not self.web:
            raise ValueError("--mirror goes with --web")
        if self.quantize != "none" and self.format not in (*QUANTIZED, "all"):
            raise ValueError(f"--quantize {self.quantize} goes with --format litert, onnx or all, not {self.format}")
        return self

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that are written."""
        return tuple(FILES) if self.format == "all" else (self.format,)

    @property
    def place(self) -> Path:
        """Where the artefact is written."""
        suffix = "" if self.quantize == "none" else f"-{self.quantize}"
        return self.out or self.run / "exports" / f"{self.format}{suffix}"


class ExportResult(Result):
    """Where the artefacts are, and how close their answers are to the run's."""

    run: Path
    out: Path
    format: str
    quantize: str
    verified: int
    largest_difference: float | None = None
    artefacts: list[dict[str, Any]]
    page: Path | None = None

    def text(self) -> str:
        """Return the result as lines of names and values; of several formats as a table."""
        verified = "no; --verify 64 compares it with the run"
        if self.verified:
            verified = f"{self.verified} items, largest difference of an output {self.largest_difference:.1e}"
        kind = self.format if self.quantize == "none" else f"{self.format}, {self.quantize}"
        parts = [
            facts([("export", str(self.out)), ("format", kind), ("verified", verified), ("page", str(self.page or ""))])
        ]
        if len(self.artefacts) > 1 or any(one["accuracy"] for one in self.artefacts):
            rows = [_row(one) for one in self.artefacts]
            parts.append(table(rows, header=("artefact", "MB", "difference", "accuracy", "run's", "same answers")))
        return "\n\n".join(parts)


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    name = one["format"] if one["quantize"] == "none" else f"{one['format']} {one['quantize']}"
    difference, accuracy = one["largest_difference"], one["accuracy"] or {}
    scores = (f"{accuracy[key]:.4f}" if accuracy else "" for key in ("export", "run", "same_answers"))
    return (name, f"{one['bytes'] / 1e6:.2f}", "" if difference is None else f"{difference:.1e}", *scores)


def export(config: ExportConfig, progress: Progress) -> ExportResult:
    """Write the artefact and, where asked, prove that it answers as the run does.

    Args:
        config: the settings.
        progress: told of stages.

    Returns:
        where it is.
    """
    from dlcli.core.files import replacing, require_writable_parent
    from dlcli.core.locks import alone
    from dlcli.core.record import open_finished
    from dlcli.serving.extras import require_extra

    for format in config.formats:
        require_extra(format)
    record = open_finished(config.run)
    out = config.place
    _require_free(out, config)
    require_writable_parent(out)
    runtime = _runtime(config, progress)
    items = _items(config, record, count=config.verify, training=False) if config.verify else []
    labelled = _labelled(config, record, progress) if config.verify_data and config.quantize != "none" else None
    samples = _items(config, record, count=_SAMPLES, training=True) if config.quantize == "int8" else []

    progress.begin("loading the run")
    from dlcli.serving.export import check, write
    from dlcli.serving.predictor import Predictor

    predictor = Predictor(config.run)

    def one(format: str, folder: Path) -> Exported:
        quantize = config.quantize if format in QUANTIZED else "none"
        if quantize != config.quantize:
            progress.note(f"{format} keeps the run's weights: it is not quantised")
        progress.begin(f"exporting {format}")
        card = write(predictor, folder, format=format, quantize=quantize, samples=samples)
        if runtime and format == "onnx":
            from dlcli.serving.web_page import write_page

            progress.begin("adding the page")
            write_page(folder, card, runtime)
        if items or labelled:
            progress.begin(f"verifying {format}")
        return check(predictor, folder, card, items=items, labelled=labelled if quantize != "none" else None)

    with alone(out), replacing(out) as temporary:
        _require_free(out, config)  # Somebody may have written one meanwhile.
        if config.format == "all":
            temporary.mkdir()
        done = [one(format, temporary / format if config.format == "all" else temporary) for format in config.formats]
    differences = [one.verified.largest_difference for one in done if one.verified]
    return ExportResult(
        run=config.run,
        out=out,
        format=config.format,
        quantize=config.quantize,
        verified=len(items),
        largest_difference=max(differences, default=None),
        artefacts=[_described(one) for one in done],
        page=(out / "onnx" if config.format == "all" else out) / "index.html" if config.web else None,
    )


def _runtime(config: ExportConfig, progress: Progress) -> Path | None:
    """Return the package of the browser's runtime, where a page is wanted."""
    if not config.web:
        return None
    from dlcli.serving.web_page import obtain_runtime

    return obtain_runtime(progress, mirror=config.mirror)


def _described(one: Exported) -> dict[str, Any]:
    return {
        "format": one.card.format,
        "quantize": one.card.quantize,
        "file": one.card.file,
        "bytes": one.size,
        "largest_difference": one.verified.largest_difference if one.verified else None,
        "tolerance": one.verified.tolerance if one.verified else None,
        "accuracy": one.accuracy,
    }


def _require_free(out: Path, config: ExportConfig) -> None:
    """Raise a `SurroundingsError` unless an artefact can be written at a place."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not config.force:
        raise SurroundingsError(f"{out} is not empty", hint="Choose another --out, or add --force to replace it")
    if not is_export(out):
        raise SurroundingsError(f"{out} is no export of ours; it is left alone", hint="Choose another --out")


def _items(config: ExportConfig, record: RunRecord, *, count: int, training: bool) -> list[str]:
    """Read some items: spread over the data, not its first ones alone.

    Args:
        config: the settings.
        record: of the run.
        count: how many.
        training: whether they are the run's own training data, whatever `--verify-data` says.
    """
    path = _data(config, record, training=training)
    own = training or config.verify_data is None
    items = [item for item, _ in strict(config.unlabelled(record, path, own=own))]
    if not items:
        raise DataError(f"{path} has nothing to verify with", hint="Name others with --verify-data")
    return spread(items, count)


def _data(config: ExportConfig, record: RunRecord, *, training: bool) -> Path:
    named = None if training else config.verify_data
    path = resolve_input(named or Path(record.config["data"]))
    if not path.exists() and training:
        problem = f"--quantize int8 takes the ranges of activations from training items, and {path} does not exist"
        raise UsageError(problem, hint="Put the data back, or take --quantize dynamic")
    if not path.exists():
        raise UsageError(f"--verify needs items, and {path} does not exist", hint="Name some with --verify-data")
    return path


def _labelled(config: ExportConfig, record: RunRecord, progress: Progress) -> tuple[list[str], Any]:
    """Read the items that the change in accuracy is measured on, with their label ids."""
    from dlcli.core.dataset import label_ids

    path = _data(config, record, training=False)
    rows, _ = config.labelled(record, path, progress)
    found = [(row.item, row.label) for row in rows]
    if not found:
        raise DataError(f"{path} has nothing to verify with", hint="Name others with --verify-data")
    return [item for item, _ in found], label_ids([label for _, label in found], record.labels, where=str(path))


ACTION = Action(
    config=ExportConfig,
    function=export,
    examples=(
        "dlcli export runs/reviews --format savedmodel --out served/1 --verify 64",
        "dlcli export runs/reviews --format onnx --out dist --verify 64 && python dist/runner.py 'not bad at all'",
        "dlcli export runs/photos --format onnx --web --out page && python -m http.server --directory page",
        "dlcli export runs/photos --format all --quantize int8 --verify 64 --verify-data test-photos/ --out dist",
    ),
)
