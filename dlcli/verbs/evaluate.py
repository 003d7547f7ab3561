"""`dlcli evaluate`: the scores of a run on labelled data, with intervals, beside baselines; and gates."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from dlcli.core.config import option
from dlcli.core.progress import Progress
from dlcli.errors import GateError, SurroundingsError, UsageError
from dlcli.resources import resolve_input
from dlcli.results import words
from dlcli.verbs import Action
from dlcli.verbs.shared import scores
from dlcli.verbs.shared.judging import GateConfig, IntervalConfig, Threshold
from dlcli.verbs.shared.result import Result, facts
from dlcli.verbs.shared.rows import FORMATS, EscapeConfig, answer_cells, require_no_answers, write_rows
from dlcli.verbs.shared.trained_data import TrainedLabelledConfig

if TYPE_CHECKING:
    from dlcli.core.record import RunRecord
    from dlcli.results.answers import Answerer, LabelledStream
    from dlcli.results.baselines import Answers


class EvaluateConfig(GateConfig, IntervalConfig, EscapeConfig, TrainedLabelledConfig):
    """All settings of an evaluation."""

    section = "Data"

    run: Path = option(..., "A finished run.", argument=True, metavar="RUN")
    data: Path = option(
        ...,
        "Labelled as the training data was: a table, or a folder with a folder of .txt files or pictures for each "
        "class (test/ is understood); or data:NAME, see dlcli data.",
        argument=True,
        metavar="DATA",
    )
    slice: tuple[str, ...] = option(
        (), "Score the rows of each value of this column too; may be given several times.", metavar="COLUMN"
    )
    threshold: Threshold = option(
        None,
        "Of two classes take the second where its probability is at or over this; best-f1: the one with the highest "
        "macro F1 on the run's validation data.",
        metavar="NUMBER",
    )
    baselines: bool = option(
        True, "Score the majority class and a TF-IDF logistic regression too, fitted once on the run's training data."
    )
    save_predictions: Path | None = option(
        None, "Write each row with what is predicted for it to this .csv or .jsonl.", metavar="FILE"
    )
    tta: int = option(
        1, "Test-time augmentation: average over so many draws of each picture, itself the first.", ge=1, le=1000
    )
    force: bool = option(False, "Replace the file at --save-predictions.")

    @model_validator(mode="after")
    def _intervals_for_gates(self) -> EvaluateConfig:
        if self.gate == "lower" and not self.bootstrap:
            raise ValueError("--gate lower needs intervals, and --bootstrap is 0")
        return self


class EvaluateResult(Result):
    """Scores with intervals; those of the baselines, of each class, of slices; gates."""

    run: Path
    data: Path
    n: int
    blank: int
    skipped: int
    accuracy: float
    loss: float | None
    f1_macro: float
    metrics: dict[str, dict[str, Any]]
    threshold: dict[str, Any] | None = Field(exclude_if=lambda value: value is None, default=None)
    baselines: list[dict[str, Any]] = Field(default_factory=list)
    verdict: dict[str, Any] | None = None
    classes: list[dict[str, Any]]
    confusion: list[list[int]]
    calibration: list[dict[str, Any]] = Field(default_factory=list)
    slices: dict[str, list[dict[str, Any]]] = Field(exclude_if=lambda value: not value, default_factory=dict)
    notes: list[str] = Field(default_factory=list)
    predictions: Path | None = Field(exclude_if=lambda value: value is None, default=None)
    bootstrap: int = 0
    better_than: dict[str, Any] | None = Field(exclude_if=lambda value: value is None, default=None)
    min_accuracy: float | None = Field(exclude_if=lambda value: value is None, default=None)
    gates: list[dict[str, Any]] = Field(exclude_if=lambda value: not value, default_factory=list)
    gate: str = Field(exclude_if=lambda value: not value, default="")

    def text(self) -> str:
        """Return the scores beside the baselines, the classes, who was taken for whom, calibration, slices, gates."""
        blank = f", {self.blank:,} of them blank" if self.blank else ""
        skipped = f", and {self.skipped:,} bad left out" if self.skipped else ""
        head = [("items", f"{self.n:,}{blank}{skipped}")]
        if self.threshold:
            head.append(
                (
                    "threshold",
                    f"{self.threshold['value']:.4g} for {self.threshold['class']!r}, {self.threshold['source']}",
                )
            )
        others = {baseline["title"].split()[0]: baseline["metrics"] for baseline in self.baselines}
        parts = [facts(head), scores.score_table(self.metrics, others)]
        if notes := [*words.cautions(self.metrics, self.classes, self.n), *self.notes]:
            parts.append("\n".join(notes))
        if self.verdict:
            parts.append("\n".join([str(self.verdict["text"]), *words.baseline_lines(self.baselines, self.n)]))
        parts.append(scores.class_table(self.classes, self.metrics))
        parts.append(scores.confusion_table([c["label"] for c in self.classes], self.confusion))
        if self.calibration:
            parts.append(scores.calibration_table(self.calibration))
        parts += [scores.slice_table(column, rows) for column, rows in self.slices.items()]
        if self.predictions:
            parts.append(f"{self.n:,} predictions in {self.predictions}")
        if self.gates:
            parts.append(
                "\n".join(f"gate: {g['gate']}: {'met' if g['met'] else 'not met'} ({g['found']})" for g in self.gates)
            )
        return "\n\n".join(parts)

    def check(self) -> None:
        """Raise when a gate is not met; names all of them."""
        if failures := [gate["failure"] for gate in self.gates if not gate["met"]]:
            raise GateError("; ".join(failures))


def evaluate(config: EvaluateConfig, progress: Progress) -> EvaluateResult:
    """Score a run, and keep the scores in its `evaluations/`.

    The data streams through: of each item its label and its outputs are kept.

    Args:
        config: the settings.
        progress: told of stages.

    Returns:
        the scores; `check` holds them against the gates.
    """
    from dlcli.core.record import read_record

    record, data = read_record(config.run), resolve_input(config.data)
    _require_fitting(config, record, data)
    progress.begin(f"reading {data}")
    from dlcli.results.answers import Answerer, LabelledStream

    items, skipped = config.labelled(record, data, progress)
    stream = LabelledStream(items, data, record.labels, slices=config.slice)
    if config.save_predictions is not None:
        require_no_answers(stream.columns, data, probabilistic=record.probabilistic)

    progress.begin("loading the run")
    from dlcli.results import baselines, gates, metrics, paired

    runs = [Answerer(config.run, record.labels, tta=config.tta)]
    if config.better_than is not None:
        runs.append(Answerer(config.better_than, record.labels))
    threshold = _chosen_threshold(config, record)
    found, notes = baselines.find(config.run, record, progress) if config.baselines else ([], [])
    beside = baselines.Answers(found, len(record.labels), seed=config.seed)
    progress.begin("classifying")
    outputs, *others = _answer(config, stream, runs, beside, threshold, progress)

    if stream.fingerprint == record.data["fingerprint"]:
        notes.append("these are the items that the run was trained on: the scores say nothing about others")
        progress.warn(notes[-1])
    progress.begin("scoring")
    labels, predicted = stream.labels, _taken(outputs, threshold)
    right = predicted == labels
    drawn = {"resamples": config.bootstrap, "seed": config.seed}
    judged = metrics.judge(labels, outputs, predicted, record.labels, probabilistic=record.probabilistic, **drawn)
    held = [gates.hold(gate, judged.scores[gate.metric], config.gate) for gate in config.gates()]
    rival = None
    if config.better_than is not None:
        rival = paired.compare(right, others[0].argmax(axis=1) == labels, **drawn)
        held.append(gates.better_than(config.better_than, rival, config.gate))
    result = EvaluateResult(
        run=config.run,
        data=data,
        n=stream.n,
        blank=stream.blank,
        skipped=skipped.count,
        accuracy=judged.scores["accuracy"].value,
        loss=judged.scores["log_loss"].value,
        f1_macro=judged.scores["f1_macro"].value,
        metrics={name: score.as_json() for name, score in judged.scores.items()},
        threshold=threshold,
        baselines=beside.scored(labels),
        verdict=beside.verdict(labels, right, **drawn) if found else None,
        classes=judged.classes,
        confusion=judged.confusion.tolist(),
        calibration=judged.calibration,
        slices={
            name: metrics.slice_scores(
                slices.values, slices.codes, labels, predicted, classes=len(record.labels), **drawn
            )
            for name, slices in stream.slices.items()
        },
        notes=notes,
        predictions=config.save_predictions,
        bootstrap=config.bootstrap,
        better_than=None if rival is None else {"run": config.better_than, **rival.as_json()},
        min_accuracy=config.min_accuracy,
        gates=[dataclasses.asdict(outcome) for outcome in held],
        gate="" if not held else "met" if all(outcome.met for outcome in held) else "not met",
    )
    if stream.blank:
        progress.note(f"{data}: {stream.blank:,} blank texts are scored too ({', '.join(stream.some_blank)})")
    _keep(result, stream.fingerprint, progress)
    return result


def _require_fitting(config: EvaluateConfig, record: RunRecord, data: Path) -> None:
    """Refuse, before any work, settings that do not go with the run or the data."""
    from dlcli.core.files import require_free_file
    from dlcli.core.metric_names import NEEDS_PROBABILITIES
    from dlcli.core.record import files_of, read_record
    from dlcli.results.answers import require_same_labels

    if not record.probabilistic:
        if meaningless := [gate.metric for gate in config.gates() if gate.metric in NEEDS_PROBABILITIES]:
            raise UsageError(f"a gate on {meaningless[0]} needs probabilities, and {config.run} gives scores")
        if config.threshold is not None:
            raise UsageError(f"--threshold needs probabilities, and {config.run} gives scores")
    if config.threshold is not None and len(record.labels) != 2:
        raise UsageError(f"--threshold is for two classes, and {config.run} has {len(record.labels)}")
    if config.slice and data.is_dir():
        raise UsageError(f"--slice needs a table with columns, and {data} is a folder")
    if config.better_than is not None:
        require_same_labels(config.run, record.labels, config.better_than, read_record(config.better_than).labels)
    if config.save_predictions is not None:
        out, read = config.save_predictions, [data, *files_of(config.run, record)]
        require_free_file(out, option="--save-predictions", endings=FORMATS, force=config.force, read=read)


def _chosen_threshold(config: EvaluateConfig, record: RunRecord) -> dict[str, Any] | None:
    """Return the threshold, the class that it is for, and where it comes from."""
    if config.threshold is None:
        return None
    value, source = config.threshold, "as given"
    if value == "best-f1":
        from dlcli.results.threshold import best_f1, validation_outputs

        labels, outputs = validation_outputs(config.run)
        value = best_f1(labels, outputs[:, 1])
        source = f"that of the highest macro F1 on the run's {len(labels):,} validation items"
    return {"value": value, "class": record.labels[1], "source": source}


def _taken(outputs: Any, threshold: dict[str, Any] | None) -> Any:
    """Return the class that each item is taken for, int (n,)."""
    if threshold is None:
        return outputs.argmax(axis=1)
    from dlcli.results.threshold import apply

    return apply(outputs[:, 1], threshold["value"])


def _answer(
    config: EvaluateConfig,
    stream: LabelledStream,
    runs: list[Answerer],
    beside: Answers,
    threshold: dict[str, Any] | None,
    progress: Progress,
) -> list[Any]:
    """Answer the items chunk by chunk, writing each row where asked; return each run's outputs, float (n, classes)."""
    import numpy as np

    from dlcli.core.files import replacing
    from dlcli.results.answers import answered

    outputs: list[list[Any]] = [[] for _ in runs]

    def rows() -> Iterator[dict[str, Any]]:
        for chunk, answers in answered(stream, runs):
            for some, kept in zip(answers, outputs, strict=True):
                kept.append(some)
            beside.add(chunk.items)
            progress.advance(len(chunk.items))
            if config.save_predictions is not None:
                given = outputs[0][-1]
                for cells, row, best in zip(chunk.cells, given, _taken(given, threshold), strict=True):
                    yield cells | answer_cells(
                        stream.names, row, int(best), probabilistic=runs[0].probabilistic, every_class=True
                    )

    if config.save_predictions is None:
        for _ in rows():
            pass
    else:
        with replacing(config.save_predictions) as file, file.open("w", encoding="utf-8", newline="") as opened:
            form = FORMATS[config.save_predictions.suffix.lower()]
            write_rows(rows(), opened, form, escape=config.escape_formulas)
    return [np.concatenate(kept) for kept in outputs]


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
        "dlcli evaluate runs/reviews test.csv --min f1_macro=0.9 --max ece=0.05 --gate lower",
        "dlcli evaluate runs/reviews test.csv --slice country --save-predictions predictions.csv",
    ),
)
