"""What a report says, before anybody shows it: scores, data, mistakes and settings of one run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.class_findings import class_findings
from dlcli.core.config import flag
from dlcli.core.dataset import Corpus, IntArray
from dlcli.core.lines import SKIPPED, Skipped
from dlcli.core.progress import Progress
from dlcli.core.record import RunRecord, read_history
from dlcli.errors import DlcliError, UsageError
from dlcli.results import baselines, metrics
from dlcli.results.answers import Answerer, LabelledStream, answered
from dlcli.results.metrics import Judged
from dlcli.results.report.answered import Answered
from dlcli.results.threshold import validation_outputs
from dlcli.results.training_data import read_again

_Validation = tuple[IntArray, npt.NDArray[np.float32]]
# Pairs of classes that are taken for one another.
_MOST_PAIRS = 10


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is known of the items behind a report.

    Attributes:
        source: what it judges, in words.
        own: whether the items are the run's own validation items.
        training: int (classes,), training items of each class; None where the training data cannot be read.
        blank: items that are judged and have nothing in them.
        skipped: items that were left out of what is judged.
        problems: what is wrong with the data, a line each.
    """

    source: str
    own: bool
    training: IntArray | None
    blank: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a run: those that differ from what its verb would have taken by itself, and the others."""

    changed: dict[str, Any]
    others: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a report says.

    Attributes:
        run: the directory.
        record: its `run.json`.
        answered: the items.
        data: where they come from.
        judged: their scores.
        baselines: what `Answers.scored` returns; empty where there are none.
        verdict: what `Answers.verdict` returns, if there are baselines.
        history: a record for each epoch.
        settings: of the training.
        notes: what a reader must know about the scores.
    """

    run: Path
    record: RunRecord
    answered: Answered
    data: Data
    judged: Judged
    baselines: list[dict[str, Any]]
    verdict: dict[str, Any] | None
    history: list[dict[str, Any]]
    settings: Settings
    notes: list[str]

    @property
    def n(self) -> int:
        """How many items are judged."""
        return len(self.answered.labels)

    @property
    def things(self) -> str:
        """What the items are."""
        return "pictures" if self.record.domain == "vision" else "texts"

    def name_of(self, item: str) -> str:
        """Return a picture's path, below the folder of the data where it is there."""
        for folder in (self.record.config.get("data"), self.record.config.get("val"), self.data.source):
            if folder and item.startswith(f"{folder}/"):
                return item[len(f"{folder}/") :]
        return item

    @property
    def confused(self) -> list[tuple[int, int, int]]:
        """The most frequent mistakes: how often, the true class, what it was taken for."""
        matrix = self.judged.confusion.copy()
        np.fill_diagonal(matrix, 0)
        order = np.argsort(-matrix, axis=None, kind="stable")[:_MOST_PAIRS]
        pairs = (divmod(int(place), len(matrix)) for place in order)
        return [(int(matrix[pair]), *pair) for pair in pairs if matrix[pair]]


def gather(
    run: Path,
    record: RunRecord,
    *,
    stream: LabelledStream | None,
    skipped: Skipped,
    defaults: Mapping[str, Any],
    resamples: int,
    seed: int,
    progress: Progress,
) -> tuple[Report, Answerer]:
    """Judge a run and gather what there is to say.

    Args:
        run: a finished one.
        record: its `run.json`.
        stream: labelled data to answer; None for the validation items of the run.
        skipped: what was left out of it, once all of it has passed.
        defaults: the settings that the run's verb would take by itself.
        resamples: of the intervals; 0 for none.
        seed: of the resamples.
        progress: told of stages.

    Returns:
        what to show, and the loaded run.

    Raises:
        UsageError: without data, the run keeps no validation outputs.
        ModelError: the run is unfinished or damaged.
        DataError: bad content, or labels that the run does not know.
    """
    validation = _validation(run) if stream is None else None
    progress.begin("loading the run")
    answerer = Answerer(run, record.labels)
    corpus, problems = _training_data(run, record, progress)
    found, notes = baselines.find(run, record, progress, corpus=corpus)
    items = Answered(classes=len(record.labels), probabilistic=record.probabilistic)
    if validation is not None:
        _add_validation(items, validation, corpus, problems)
        notes.append("validation picked the best epoch: scores on data that the run has never met are a little lower")
        if not items.known:
            found = [baseline for baseline in found if baseline.name == "majority"]
    beside = baselines.Answers(found, len(record.labels), seed=seed)
    progress.begin("classifying")
    if stream is None:
        # The majority answers items that nobody knows, too.
        beside.add(corpus.validation.items if items.known and corpus else [""] * len(items.labels))
    else:
        for chunk, (outputs,) in answered(stream, [answerer]):
            items.add(chunk.labels, outputs, items=chunk.items, where=chunk.where)
            beside.add(chunk.items)
            progress.advance(len(chunk.items))
        if stream.fingerprint == record.data["fingerprint"]:
            notes.append("these are the items that the run was trained on: the scores say nothing about others")

    progress.begin("scoring")
    drawn = {"resamples": resamples, "seed": seed}
    judged = metrics.judge(
        items.labels, items.outputs, items.predicted, record.labels, probabilistic=record.probabilistic, **drawn
    )
    counts = None if corpus is None else np.bincount(corpus.training.labels, minlength=len(record.labels))
    report = Report(
        run=run,
        record=record,
        answered=items,
        data=Data(
            source="the run's validation items" if stream is None else str(stream.path),
            own=stream is None,
            training=counts,
            blank=stream.blank if stream else 0,
            skipped=skipped.count,
            problems=[*problems, *_class_problems(record, counts)],
        ),
        judged=judged,
        baselines=beside.scored(items.labels),
        verdict=beside.verdict(items.labels, items.predicted == items.labels, **drawn) if found else None,
        history=read_history(run),
        settings=_settings(record, defaults),
        notes=notes,
    )
    return report, answerer


def _training_data(run: Path, record: RunRecord, progress: Progress) -> tuple[Corpus | None, list[str]]:
    """Return the data of the training and what is wrong with it; None where it cannot be read."""
    problems = _skipped(run)
    try:
        corpus = read_again(record, progress)
    except DlcliError as error:
        return None, [*problems, f"the training data cannot be read again: {error.message}"]
    if corpus.repeated:
        equal = (
            "items of the training data equal ones" if corpus.repeated > 1 else "item of the training data equals one"
        )
        problems.append(f"{corpus.repeated:,} {equal} before")
    if corpus.blank:
        blank = "items of the training data were" if corpus.blank > 1 else "item of the training data was"
        problems.append(f"{corpus.blank:,} blank {blank} left out")
    return corpus, problems


def _skipped(run: Path) -> list[str]:
    """Say what the training left out."""
    try:
        lines = (run / SKIPPED).read_text(encoding="utf-8").splitlines()
        kinds = [str(json.loads(line).get("kind", "bad")) for line in lines]
    except (OSError, ValueError):
        return []
    counted = (f"{len(list(some)):,} {kind}" for kind, some in itertools.groupby(sorted(kinds)))
    bad = "items were" if len(kinds) > 1 else "item was"
    return [f"{len(kinds):,} bad {bad} left out of the training: {', '.join(counted)}"] if kinds else []


def _validation(run: Path) -> _Validation:
    """Return the labels and the outputs of the run's validation items."""
    try:
        return validation_outputs(run)
    except UsageError as error:
        raise UsageError(error.message, hint="Name labelled DATA for the report") from None


def _add_validation(items: Answered, validation: _Validation, corpus: Corpus | None, problems: list[str]) -> None:
    """Take in the run's validation outputs, with the items where the data is still that of the training."""
    labels, outputs = validation
    known: Sequence[str] = ()
    if corpus is not None and np.array_equal(corpus.validation.labels, labels):
        known = corpus.validation.items
    elif corpus is not None:
        problems.append("the training data gives another validation part than at the training")
    items.add(labels, outputs, items=known)


def _class_problems(record: RunRecord, counts: IntArray | None) -> list[str]:
    """Say what is wrong with the classes that were trained on."""
    if counts is None:
        return []
    named = dict(zip(record.labels, counts.tolist(), strict=True))
    found = class_findings(named, data="", things="items", rows="items", distinct=named, named=lambda names: [])
    return [finding.text for finding in found]


def _settings(record: RunRecord, defaults: Mapping[str, Any]) -> Settings:
    """Part the settings of a run; one that the data or the model filled in is not changed, unless a flag names it."""
    given = {argument.partition("=")[0] for argument in record.argv}

    def differs(name: str, value: Any) -> bool:
        if name not in defaults or value is None or value == defaults[name]:
            return False
        return defaults[name] not in (None, [], "") or flag(name) in given

    changed = {name: value for name, value in record.config.items() if differs(name, value)}
    others = {name: value for name, value in record.config.items() if name not in changed}
    return Settings(changed=changed, others=others)
