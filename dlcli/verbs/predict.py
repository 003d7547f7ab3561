"""`dlcli predict`: the class of each text or picture, with the table's other columns kept."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TextIO

from pydantic import Field

from dlcli.core.config import option
from dlcli.core.progress import Progress
from dlcli.core.tables import TABLES
from dlcli.errors import DataError, UsageError
from dlcli.verbs import Action
from dlcli.verbs.shared.answered import STDIN, AnsweredConfig
from dlcli.verbs.shared.result import Result, table
from dlcli.verbs.shared.rows import (
    FORMATS,
    EscapeConfig,
    answer_cells,
    in_columns,
    in_lines,
    require_no_answers,
    write_rows,
)

_Row = tuple[str, dict[str, Any]]

# Items that are classified together, at most: a table of any length streams through in bounded memory.
_CHUNK = 16_384


class PredictConfig(EscapeConfig, AnsweredConfig):
    """All settings of a prediction."""

    section = "Data"

    out: Path | None = option(None, "Write to this file instead of stdout; its ending sets the format.", metavar="FILE")
    format: Literal["csv", "jsonl", "text"] | None = option(
        None, "Format of the output; without it that of --out or DATA, and text for the --top classes of pictures."
    )
    top: int = option(1, "Give so many of the best classes of each item.", ge=1, le=1000)
    proba: bool = option(False, "Add the probability of every class (the score, where a run gives scores).")
    tta: int = option(
        1, "Test-time augmentation: average over so many draws of each picture, itself the first.", ge=1, le=1000
    )
    batch_size: int | None = option(
        None, "Items that go through the model together; without it as many as fit the model.", ge=1
    )
    force: bool = option(False, "Replace the file at --out.")


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
    escape: bool = Field(False, exclude=True)

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
            write_rows(self.tabular(rows), stream, self.format, escape=self.escape)

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

    base = config.base()
    if base is not None and config.tta > 1:
        raise UsageError("--tta draws as the training of a run did, and a base has none", hint="Leave it out")
    record = config.record(base)
    if config.out is not None:
        # Without an ending it is as DATA is.
        named = config.format is not None or not config.out.suffix
        endings = () if named else FORMATS
        read = config.files_read(record)
        require_free_file(config.out, option="--out", endings=endings, force=config.force, read=read)
    rows = config.rows(record, progress)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{config.source} has nothing to classify")
    require_no_answers(first[1], config.data, probabilistic=record.probabilistic, top=config.top)

    predictor = config.predictor(base, progress, tta=config.tta, batch_size=config.batch_size)
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
        escape=config.escape_formulas,
    )
    if config.text:
        result.predictions = list(answers)
        result.rows = iter(result.predictions if config.out else ())
    if config.out is not None:
        with replacing(config.out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            result.n = write_rows(result.tabular(result.rows), file, form, escape=config.escape_formulas)
    return result


def _format(config: PredictConfig) -> str:
    """Return how the answers are written."""
    source = config.out or config.data or Path()
    if config.format is not None or source.suffix.lower() in FORMATS:
        return config.format or FORMATS[source.suffix.lower()]
    table = source.suffix.lower() in TABLES or str(source) == STDIN
    return "text" if config.top > 1 and config.out is None and not table else "csv"


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
