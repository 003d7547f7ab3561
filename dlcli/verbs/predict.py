"""`dlcli predict`: the class of each text or picture, with the table's other columns kept."""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from pydantic import Field, model_validator

from dlcli.core.config import option
from dlcli.core.lines import strict
from dlcli.core.progress import Progress
from dlcli.core.tables import TABLES
from dlcli.errors import DataError, UsageError
from dlcli.resources import resolve_input
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, table
from dlcli.verbs.shared.rows import FORMATS, answer_cells, in_columns, in_lines, require_no_answers, write_rows
from dlcli.verbs.shared.trained_data import SkipBadConfig
from dlcli.vision import bases
from dlcli.vision.bases import Base

if TYPE_CHECKING:
    from dlcli.core.lines import BadRow
    from dlcli.core.run import RunRecord

    _Row = tuple[str, dict[str, Any]]

# Items that are classified together, at most: a table of any length streams through in bounded memory.
_CHUNK = 16_384
_STDIN = "-"


class PredictConfig(SkipBadConfig):
    """All settings of a prediction."""

    section = "Data"

    run: Path = option(
        ...,
        "A finished run; or base:NAME, a pretrained base with ImageNet's classes (see dlcli pretrained).",
        argument=True,
        metavar="RUN",
    )
    data: Path | None = option(
        None,
        "A CSV, TSV or JSONL file, a folder of .txt files or pictures, a picture, data:NAME/PART (see dlcli data), or "
        "- for stdin, one text (or the path of a picture) a line.",
        argument=True,
        metavar="DATA",
    )
    text: tuple[str, ...] = option((), "A text to classify; may be given several times.", metavar="TEXT")
    out: Path | None = option(None, "Write to this file instead of stdout; its ending sets the format.", metavar="FILE")
    format: Literal["csv", "jsonl", "text"] | None = option(
        None, "Format of the output; without it that of --out or DATA, and text for the --top classes of pictures."
    )
    top: int = option(1, "Give so many of the best classes of each item.", ge=1, le=1000)
    proba: bool = option(False, "Add the probability of every class (the score, where a run gives scores).")
    tta: int = option(
        1, "Test-time augmentation: average over so many draws of each picture, itself the first.", ge=1, le=1000
    )
    force: bool = option(False, "Replace the file at --out.")

    @model_validator(mode="after")
    def _one_source(self) -> PredictConfig:
        if bool(self.text) == (self.data is not None):
            raise ValueError("expected either DATA (a file, a folder, or - for stdin) or --text, the texts to classify")
        return self


class PredictResult(Result):
    """The rows with their predictions, made as they are written."""

    run: Path
    out: Path | None
    labels: list[str]
    n: int | None = None
    predictions: list[dict[str, Any]] = Field(default_factory=list)
    """Of the texts on the command line; the rows of a table stream through `rows` instead."""
    rows: Iterator[dict[str, Any]] = Field(exclude=True, repr=False)
    format: str = Field(exclude=True)
    probabilistic: bool = Field(True, exclude=True)
    top: int = Field(1, exclude=True)

    def text(self) -> str:
        """Return the predictions of texts on the command line, or where those of a table are."""
        if self.out is not None:
            return f"{self.n:,} predictions in {self.out}"
        if self.top > 1 and self.predictions:
            return "\n".join(map(in_lines, self.predictions))
        shown = "probability" if self.probabilistic else "score"
        lines = [(row["text"], row["prediction"], f"{row[shown]:.4f}") for row in self.predictions]
        return table(lines) if lines else "no predictions were kept: there is no --out"

    def write(self, stream: TextIO, *, as_json: bool) -> None:
        """Write the rows as CSV or JSONL, or as one JSON object."""
        rows = itertools.chain(self.predictions, self.rows)
        if self.out is not None:
            super().write(stream, as_json=as_json)
        elif as_json:
            first = next(
                rows, None
            )  # Before the head: of data that is bad at its start, not half an object is written.
            rows = itertools.chain([] if first is None else [first], rows)
            head = self.model_dump_json(by_alias=True, include={"schema_", "run", "labels"}).removesuffix("}")
            stream.write(f'{head},"predictions":[')
            for number, row in enumerate(rows):
                stream.write(("," if number else "") + "\n" + json.dumps(row))
            stream.write("\n]}\n")
        else:
            write_rows(self.tabular(rows), stream, self.format)

    def tabular(self, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Return rows as the format has them: in a table the best classes have columns of their own."""
        return map(in_columns, rows) if self.top > 1 and self.format == "csv" else rows


def predict(config: PredictConfig, progress: Progress) -> PredictResult:
    """Classify texts or pictures.

    Args:
        config: the settings.
        progress: told of stages and rows.

    Returns:
        the predictions, as a stream; already written when `out` is given.
    """
    from dlcli.core.files import replacing, require_free_file
    from dlcli.core.run import read_record

    base = _base(config)
    record = read_record(config.run) if base is None else _record_of(base)
    if config.out is not None:
        # Without an ending it is as DATA is.
        named = config.format is not None or not config.out.suffix
        require_free_file(config.out, option="--out", endings=() if named else FORMATS, force=config.force)
    rows = _rows(config, record, progress)
    first = next(rows, None)
    if first is None:
        source = "stdin" if str(config.data) == _STDIN else config.data
        raise DataError(f"{source} has nothing to classify")
    require_no_answers(first[1], config.data, probabilistic=record.probabilistic, top=config.top)

    predictor = _predictor(config, base, progress)
    answers = _classify(itertools.chain([first], rows), predictor, config, progress)
    form = _format(config)
    result = PredictResult(
        run=config.run,
        out=config.out,
        labels=predictor.labels,
        rows=answers,
        format=form,
        probabilistic=predictor.probabilistic,
        top=config.top,
    )
    if config.text:
        result.predictions = list(answers)
        result.rows = iter(result.predictions if config.out else ())
    if config.out is not None:
        with replacing(config.out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            result.n = write_rows(result.tabular(result.rows), file, form)
    return result


def _base(config: PredictConfig) -> Base | None:
    """Return the base that takes the place of a run, if one does.

    Raises:
        UsageError: there is no such base, or it has no classes of its own.
    """
    if not bases.is_reference(config.run):
        return None
    base = bases.referred(config.run)
    if base.full is None:
        raise UsageError(
            f"the base {base.name} has no classes of its own",
            hint=f"Train a head for yours: dlcli finetune DATA --base {base.name}",
        )
    if config.tta > 1:
        raise UsageError("--tta draws as the training of a run did, and a base has none", hint="Leave it out")
    return base


def _record_of(base: Base) -> RunRecord:
    """Return what a run's record would say of a base: that it takes pictures."""
    from dlcli.core.run import RunRecord
    from dlcli.vision.config import ImageDataConfig

    return RunRecord(verb="predict", domain="vision", config={**ImageDataConfig().model_dump(), "base": base.name})


def _predictor(config: PredictConfig, base: Base | None, progress: Progress) -> Any:
    """Load what answers."""
    if base is None:
        progress.begin("loading the run")
        from dlcli.serving.predictor import Predictor

        return Predictor(config.run, tta=config.tta)
    from dlcli.vision.weights import obtain, obtain_file

    weights = obtain(base, full=True, progress=progress)
    classes = obtain_file(bases.CLASSES, name=f"{base.name} --full", progress=progress)
    progress.begin(f"loading the base {base.name}")
    from dlcli.serving.base_predictor import BasePredictor

    return BasePredictor(base, weights=weights, classes=classes)


def _format(config: PredictConfig) -> str:
    """Return how the answers are written."""
    source = config.out or config.data or Path()
    if config.format is not None or source.suffix.lower() in FORMATS:
        return config.format or FORMATS[source.suffix.lower()]
    table = source.suffix.lower() in TABLES or str(source) == _STDIN
    return "text" if config.top > 1 and config.out is None and not table else "csv"


def _rows(config: PredictConfig, record: RunRecord, progress: Progress) -> Iterator[_Row]:
    """Yield each item with the cells that stand beside it in the output; pictures when all were looked at."""
    scanned = _scanned(config, record)
    if record.domain != "vision":
        yield from strict(scanned)
        return
    from dlcli.vision.screening import screen

    source = "stdin" if str(config.data) == _STDIN else config.data
    found = screen(scanned, source=source, skip_bad=config.skip_bad, progress=progress)
    config.note_skipped(found.bad, source, progress)
    yield from found.rows


def _scanned(config: PredictConfig, record: RunRecord) -> Iterator[_Row | BadRow]:
    name = "text" if record.domain == "text" else "file"
    if config.text and record.domain != "text":
        problem = f"--text is for texts, and {config.run} classifies pictures"
        raise UsageError(problem, hint="Name a picture or a folder")
    config.require_fitting(record)
    if config.text:
        yield from ((text, {name: text}) for text in config.text)
    elif str(config.data) == _STDIN:
        lines = _stdin_lines(config.encoding or "utf-8")
        # An empty text is a text, an empty path is none.
        yield from ((line, {name: line}) for line in lines if line or record.domain == "text")
    elif config.data is not None:
        yield from config.unlabelled(record, resolve_input(config.data))


def _stdin_lines(encoding: str) -> Iterator[str]:
    # A test may put text in the place of stdin, which has no bytes below it.
    stream = io.TextIOWrapper(sys.stdin.buffer, encoding=encoding) if hasattr(sys.stdin, "buffer") else sys.stdin
    try:
        for line in stream:
            yield line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        found = f"stdin: 0x{error.object[error.start]:02x} is not {encoding}"
        raise DataError(found, hint="Name its encoding, such as --encoding latin-1") from None


def _classify(
    rows: Iterator[_Row], predictor: Any, config: PredictConfig, progress: Progress
) -> Iterator[dict[str, Any]]:
    from dlcli.vision.screening import all_named

    while chunk := list(itertools.islice(rows, min(_CHUNK, predictor.pipeline.together))):
        with all_named(item for item, _ in itertools.chain(chunk, rows)):
            outputs = predictor.outputs([item for item, _ in chunk])
        for (_, cells), row in zip(chunk, outputs, strict=True):
            yield cells | answer_cells(
                predictor.labels,
                row,
                int(row.argmax()),
                probabilistic=predictor.probabilistic,
                every_class=config.proba,
                top=config.top,
            )
        progress.advance(len(chunk))


ACTION = Action(
    config=PredictConfig,
    function=predict,
    examples=(
        'dlcli predict runs/reviews --text "not good at all" --text "not bad at all"',
        "dlcli predict runs/reviews sample_data/reviews-test.csv --out predictions.csv --proba",
        "cat reviews.txt | dlcli predict runs/reviews - --format jsonl",
        "dlcli predict runs/photos holiday/ --proba",
        "dlcli predict base:vgg16 dog.jpg --top 5",
    ),
)
