"""`dlcli compare`: several runs side by side, and which differences are no chance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from dlcli.core.config import option
from dlcli.core.progress import Progress
from dlcli.errors import ModelError, SurroundingsError, UsageError
from dlcli.resources import resolve_input
from dlcli.verbs import Action
from dlcli.verbs.shared import scores
from dlcli.verbs.shared.judging import IntervalConfig
from dlcli.verbs.shared.result import Result, table
from dlcli.verbs.shared.trained_data import TrainedLabelledConfig

if TYPE_CHECKING:
    from dlcli.core.record import RunRecord

    _Runs = dict[str, tuple[Path, RunRecord]]


class CompareConfig(IntervalConfig, TrainedLabelledConfig):
    """All settings of a comparison."""

    section = "Data"

    runs: tuple[Path, ...] = option(
        ..., "Finished runs, at least two; what else is among them is left out.", argument=True, metavar="RUN..."
    )
    on: Path | None = option(
        None, "Labelled data to score the runs on, as evaluate takes it; without it validation counts.", metavar="DATA"
    )
    plot: Path | None = option(None, "Draw the histories of all runs into this .png.", metavar="FILE")
    force: bool = option(False, "Replace the file at --plot.")


class CompareResult(Result):
    """The runs, in which settings they differ, their scores, and how each compares with the best."""

    runs: list[dict[str, Any]]
    settings: dict[str, dict[str, Any]]
    data: Path | None
    n: int | None = None
    paired_on: str = ""
    paired: list[dict[str, Any]] = Field(default_factory=list)
    skipped: int = 0
    notes: list[str] = Field(default_factory=list)
    plot: Path | None = None

    def text(self) -> str:
        """Return what differs, the scores, and the tests."""
        names = [run["name"] for run in self.runs]
        parts = [_settings(names, self.settings) if self.settings else "the runs have the same settings"]
        validation = [
            (
                run["name"],
                scores.number(run["validation"].get("accuracy")),
                scores.number(run["validation"].get("loss")),
                str(run["validation"].get("best_epoch", "-")),
                f"{run['parameters']:,}",
                f"{run['seconds']:.1f}",
            )
            for run in self.runs
        ]
        parts.append(
            table(validation, header=("on validation data", "accuracy", "loss", "best epoch", "parameters", "seconds"))
        )
        if self.data is not None:
            parts.append(_test_table(self.runs, f"on {self.data.name}, {self.n:,} items"))
            if self.skipped:
                parts.append(f"{self.skipped:,} bad ones are left out")
        if self.paired:
            parts.append(_paired_table(self.paired, self.paired_on))
        if self.notes:
            parts.append("\n".join(self.notes))
        if self.plot is not None:
            parts.append(f"histories in {self.plot}")
        return "\n\n".join(parts)


def _settings(names: list[str], settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Show a column for each run, in as many tables as the width asks for."""
    tables: list[str] = []
    shown: list[str] = []
    for name in names:
        wider = _columns([*shown, name], settings)
        if shown and max(map(len, wider.splitlines())) > scores.WIDTH:
            tables.append(_columns(shown, settings))
            shown = []
        shown.append(name)
    return "\n\n".join([*tables, _columns(shown, settings)])


def _columns(names: list[str], settings: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [(setting, *(_value(values[name]) for name in names)) for setting, values in settings.items()]
    return table(rows, header=("differs", *names))


def _value(value: Any) -> str:
    shown = "-" if value is None else str(value)
    return shown if len(shown) <= 40 else "..." + shown[-37:]


def _test_table(runs: list[dict[str, Any]], title: str) -> str:
    rows = []
    for run in runs:
        metrics = run["test"]
        accuracy = metrics["accuracy"]
        others = (scores.number(metrics[name]["value"]) for name in ("f1_macro", "auc", "log_loss", "ece"))
        shown = scores.interval(accuracy["low"], accuracy["high"])
        rows.append((run["name"], scores.number(accuracy["value"]), *((shown,) if shown else ()), *others))
    middle = ("95 % interval",) if len(rows[0]) == 7 else ()
    return table(rows, header=(title, "accuracy", *middle, "f1_macro", "auc", "log_loss", "ece"))


def _paired_table(paired: list[dict[str, Any]], on: str) -> str:
    rows = []
    for one in paired:
        ends = "" if one["low"] is None else f"{scores.points(one['low'])} to {scores.points(one['high'])}"
        word = "significant" if one["significant"] else "not significant"
        rows.append(
            (one["name"], scores.points(one["difference"]), ends, f"{one['p']:.2g}", f"{one['p_holm']:.2g}", word)
        )
    title = f"accuracy against {paired[0]['against']}, the best, on the same {on}:\n"
    return title + table(rows, header=("run", "points", "95 % interval", "McNemar's p", "Holm's p", "difference"))


def compare(config: CompareConfig, progress: Progress) -> CompareResult:
    """Compare runs.

    Args:
        config: the settings.
        progress: told of stages, and of what is among the runs and is none.

    Returns:
        the runs with their scores, and each beside the best.
    """
    from dlcli.core.files import require_free_file
    from dlcli.core.record import read_history
    from dlcli.results import compare as comparing

    runs = _usable(config.runs, progress)
    if config.plot is not None:
        require_free_file(config.plot, option="--plot", endings=(".png",), force=config.force)
    records = {name: record for name, (_, record) in runs.items()}
    result = CompareResult(
        runs=[
            {
                "name": name,
                "run": str(path),
                "validation": record.scores,
                "parameters": record.model.get("parameters", 0),
                "seconds": record.seconds,
            }
            for name, (path, record) in runs.items()
        ],
        settings=comparing.differing(records),
        data=None if config.on is None else resolve_input(config.on),
        plot=config.plot,
    )
    if result.data is not None:
        right = _answers(result, runs, config, progress)
        result.paired_on = "items"
    else:
        best = max(records, key=lambda name: records[name].scores.get("accuracy") or 0.0)
        right, others = comparing.validation_answers(runs, best)
        result.paired_on = "validation items"
        if others:
            result.notes.append(
                f"{', '.join(others)}: validated on other items than {best}, so not comparable with it item by item; "
                "--on DATA compares all on the same items"
            )
        result.notes.append("validation picks the best epoch of each run: a score on test data (--on) is lower")
    if len(right) > 1:
        result.paired = comparing.against_the_best(right, resamples=config.bootstrap, seed=config.seed)
    if config.plot is not None:
        from dlcli.core.plots import draw_histories

        progress.begin("drawing the histories")
        draw_histories({name: read_history(path) for name, (path, _) in runs.items()}, config.plot)
    return result


def _usable(paths: tuple[Path, ...], progress: Progress) -> _Runs:
    """Return the finished runs by name, and warn of all that is none: `runs/*` may hold other things.

    Raises:
        UsageError: fewer than two are left, or there is nothing at a path.
        DataError: they have different labels.
    """
    from dlcli.core.record import open_finished
    from dlcli.results.answers import require_same_labels

    found: dict[Path, RunRecord] = {}
    for path in dict.fromkeys(paths):
        try:
            found[path] = open_finished(path)
        except (ModelError, SurroundingsError) as error:
            progress.warn(f"left out: {error.message}")
    if len(found) < 2:
        raise UsageError(
            f"expected at least two finished runs, got {len(found)}", hint="dlcli compare runs/* --on DATA"
        )
    (first, record), *others = found.items()
    for path, other in others:
        require_same_labels(first, record.labels, path, other.labels)
    names = [path.name for path in found]
    unique = len(set(names)) == len(names) and all(names)
    return {path.name if unique else str(path): (path, record) for path, record in found.items()}


def _answers(result: CompareResult, runs: _Runs, config: CompareConfig, progress: Progress) -> dict[str, Any]:
    """Score the runs on the same items; return which items each has right, bool (n,) by name."""
    import numpy as np

    from dlcli.results.answers import Answerer, LabelledStream, answered
    from dlcli.results.metrics import judge

    assert result.data is not None
    progress.begin(f"reading {result.data}")
    _, first = next(iter(runs.values()))
    items, skipped = config.labelled(first, result.data, progress)
    stream = LabelledStream(items, result.data, first.labels)
    progress.begin("loading the runs")
    answerers = [Answerer(path, first.labels) for path, _ in runs.values()]
    kept: list[list[Any]] = [[] for _ in answerers]
    progress.begin("classifying")
    for chunk, answers in answered(stream, answerers):
        for parts, outputs in zip(kept, answers, strict=True):
            parts.append(outputs)
        progress.advance(len(chunk.items))
    result.n, result.skipped = stream.n, skipped.count
    right = {}
    for row, answerer, parts in zip(result.runs, answerers, kept, strict=True):
        progress.begin(f"scoring {row['name']}")
        outputs = np.concatenate(parts)
        predicted = outputs.argmax(axis=1)
        judged = judge(
            stream.labels,
            outputs,
            predicted,
            first.labels,
            probabilistic=answerer.probabilistic,
            resamples=config.bootstrap,
            seed=config.seed,
        )
        row["test"] = {name: score.as_json() for name, score in judged.scores.items()}
        right[row["name"]] = predicted == stream.labels
    return right


ACTION = Action(
    config=CompareConfig,
    function=compare,
    examples=(
        "dlcli compare runs/* --on sample_data/reviews-test.csv",
        "dlcli compare runs/unigrams runs/bigrams --plot curves.png",
    ),
)
