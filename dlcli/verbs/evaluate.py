"""`dlcli evaluate`: the scores of a run on labelled data, and gates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field

from dlcli.core.config import option
from dlcli.core.progress import Progress
from dlcli.errors import GateError, SurroundingsError
from dlcli.resources import resolve_input
from dlcli.text.config import TextDataConfig, TrainedTextConfig
from dlcli.verbs import Action
from dlcli.verbs.result import Result, facts, table


class EvaluateConfig(TrainedTextConfig):
    """All settings of an evaluation."""

    section = "Data"

    run: Path = option(..., "A finished run.", argument=True, metavar="RUN")
    data: Path = option(
        ...,
        "A CSV, TSV or JSONL file, or a folder with a folder of .txt files for each class (test/ is understood).",
        argument=True,
        metavar="DATA",
    )
    label_column: str | None = option(None, "Column of the label; without it that of the training.", metavar="NAME")
    min_accuracy: float | None = option(None, "A gate: exit with code 7 when the accuracy is lower.", ge=0, le=1)


class EvaluateResult(Result):
    """Scores, for each class too."""

    run: Path
    data: Path
    n: int
    blank: int
    accuracy: float
    loss: float
    f1_macro: float
    classes: list[dict[str, Any]]
    confusion: list[list[int]]
    min_accuracy: float | None = Field(exclude_if=lambda value: value is None, default=None)
    gate: str = Field(exclude_if=lambda value: not value, default="")

    def text(self) -> str:
        """Return the scores, a table of the classes, and who was taken for whom."""
        rows = [
            ("accuracy", f"{self.accuracy:.4f}"),
            ("loss", f"{self.loss:.4f}"),
            ("F1, macro", f"{self.f1_macro:.4f}"),
            ("items", f"{self.n:,}" + (f", {self.blank:,} of them blank" if self.blank else "")),
        ]
        classes = [
            (c["label"], f"{c['precision']:.4f}", f"{c['recall']:.4f}", f"{c['f1']:.4f}", f"{c['n']:,}")
            for c in self.classes
        ]
        parts = [facts(rows), table(classes, header=("class", "precision", "recall", "F1", "items"))]
        if len(self.classes) <= 12:
            names = [c["label"] for c in self.classes]
            cells = [(name, *map(str, row)) for name, row in zip(names, self.confusion, strict=True)]
            parts.append(table(cells, header=("true \\ predicted", *names)))
        if self.gate:
            parts.append(f"gate: accuracy at least {self.min_accuracy:g}: {self.gate}")
        return "\n\n".join(parts)

    def check(self) -> None:
        """Raise when the accuracy is under `--min-accuracy`."""
        if self.gate == "not met":
            raise GateError(f"accuracy is {self.accuracy:.4f}, expected at least {self.min_accuracy:g}")


def evaluate(config: EvaluateConfig, progress: Progress) -> EvaluateResult:
    """Score a run, and keep the scores in its `evaluations/`.

    Args:
        config: the settings.
        progress: told of stages.

    Returns:
        the scores; `check` holds them against the gate.
    """
    from dlcli.core.run import read_record
    from dlcli.text.read import read_labelled

    trained = read_record(config.run).config
    columns = TextDataConfig(
        text_column=config.text_column or trained["text_column"],
        label_column=config.label_column or trained["label_column"],
        encoding=config.encoding,
    )
    data = resolve_input(config.data)
    progress.begin(f"reading {data}")
    texts = read_labelled(data, columns, part="test")
    if texts.blank:
        progress.note(f"{data}: {len(texts.blank):,} blank texts are scored too ({', '.join(texts.blank[:3])})")

    progress.begin("loading the run")
    from dlcli.core.dataset import fingerprint, label_ids
    from dlcli.results import metrics
    from dlcli.serving.predictor import Predictor

    predictor = Predictor(config.run)
    labels = label_ids(texts.labels, predictor.labels, where=str(data))
    progress.begin(f"classifying {len(texts.texts):,} texts")
    probabilities = predictor.outputs(texts.texts)
    predicted = probabilities.argmax(axis=1)
    found = metrics.scores(labels, probabilities)
    met = config.min_accuracy is None or found["accuracy"] >= config.min_accuracy
    result = EvaluateResult(
        run=config.run,
        data=data,
        n=len(labels),
        blank=len(texts.blank),
        **found,
        classes=metrics.per_class(labels, predicted, predictor.labels),
        confusion=metrics.confusion(labels, predicted, len(predictor.labels)),
        min_accuracy=config.min_accuracy,
        gate="" if config.min_accuracy is None else "met" if met else "not met",
    )
    _keep(result, fingerprint(texts.texts, texts.labels), progress)
    return result


def _keep(result: EvaluateResult, fingerprint: str, progress: Progress) -> None:
    """Write the scores into the run, where it can be written."""
    from dlcli.core.files import write_text

    content = json.loads(result.model_dump_json(by_alias=True)) | {"fingerprint": fingerprint}
    folder = result.run / "evaluations"
    try:
        folder.mkdir(exist_ok=True)
        write_text(folder / f"{result.data.stem}-{fingerprint[:8]}.json", json.dumps(content, indent=2) + "\n")
    except (OSError, SurroundingsError) as error:
        progress.warn(f"the scores are not kept in the run: {error}")


ACTION = Action(
    config=EvaluateConfig,
    function=evaluate,
    examples=(
        "dlcli evaluate runs/reviews sample_data/reviews-test.csv",
        "dlcli evaluate runs/reviews sample_data/reviews-test.csv --json --min-accuracy 0.85",
    ),
)
