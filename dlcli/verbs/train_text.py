"""`dlcli train-text`: from labelled texts to a run directory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from dlcli.core.config import RunConfig, TrainingConfig, option
from dlcli.core.progress import Progress
from dlcli.errors import DiskFullError, Terminated, UsageError
from dlcli.resources import resolve_input
from dlcli.text.config import TextDataConfig, TextModelConfig, TextPipelineConfig
from dlcli.verbs import Action
from dlcli.verbs.result import Result, facts

if TYPE_CHECKING:
    from dlcli.core.run import Run, RunRecord

    _OpenRun = Callable[[RunRecord], AbstractContextManager[Run]]

# Settings that say where a run goes, and not what it is: `--resume` needs none of them.
_NOT_OF_THE_RUN = frozenset(RunConfig.model_fields)


class TrainTextConfig(RunConfig, TrainingConfig, TextModelConfig, TextPipelineConfig, TextDataConfig):
    """All settings of a text training."""

    section = "Data"

    data: Path | None = option(
        None,
        "A CSV, TSV or JSONL file, or a folder with a folder of .txt files for each class (train/ and val/ count).",
        argument=True,
        metavar="DATA",
    )
    val: Path | None = option(None, "Validation data, read as DATA is; without it a part of DATA.", metavar="DATA")

    @model_validator(mode="after")
    def _data_or_resume(self) -> TrainTextConfig:
        if self.data is None and self.resume is None:
            raise ValueError("expected DATA, the texts to train on, or --resume RUN")
        return self


class TrainTextResult(Result):
    """Where the run is, and how it scores on its validation data."""

    run: Path | None
    items: dict[str, int]
    labels: list[str]
    parameters: int
    accuracy: float | None = None
    loss: float | None = None
    best_epoch: int | None = None
    epochs: int | None = None
    seconds: float = 0.0

    def text(self) -> str:
        """Return the result as lines of names and values."""
        counts = ", ".join(f"{count:,} {part}" for part, count in self.items.items())
        rows = [
            ("items", counts),
            ("classes", f"{len(self.labels)}: {', '.join(self.labels[:8])}" + (" ..." if len(self.labels) > 8 else "")),
            ("parameters", f"{self.parameters:,}"),
        ]
        if self.run is None:
            return facts([*rows, ("dry run", "nothing was written")])
        rows += [
            ("accuracy", f"{self.accuracy:.4f} on validation (epoch {self.best_epoch} of {self.epochs})"),
            ("loss", f"{self.loss:.4f}"),
            ("seconds", f"{self.seconds:.1f}"),
            ("run", str(self.run)),
        ]
        return facts(rows)


def train_text(config: TrainTextConfig, progress: Progress) -> TrainTextResult:
    """Train a text classifier.

    The run directory is made when all that can be wrong with settings and data was found not to be.

    Args:
        config: the settings.
        progress: told of stages and epochs.

    Returns:
        the run and its validation scores.
    """
    from dlcli.core.run import create, default_path, open_finished, read_record, reopen, require_free

    if config.resume is not None:
        if beside := config.model_fields_set & {"out", "force", "dry_run"}:
            raise UsageError(f"--{min(beside).replace('_', '-')} does not go with --resume, which goes on in its place")
        path, record = config.resume, read_record(config.resume)
        config = _recorded(record, config, path)
        if record.status == "finished":
            progress.note(f"{path} is finished already")
            return _result(open_finished(path), path)
        return _train(config, lambda fresh: reopen(path, fresh, progress), progress)
    path = config.out or default_path("train-text")
    require_free(path, force=config.force)
    if config.dry_run:
        return _train(config, None, progress)
    return _train(config, lambda fresh: create(path, fresh, force=config.force), progress)


def _recorded(record: RunRecord, given: TrainTextConfig, path: Path) -> TrainTextConfig:
    """Return the settings that a run was started with, and refuse to change them."""
    if record.verb != "train-text":
        raise UsageError(f"{path} is a run of {record.verb}", hint=f"dlcli {record.verb} --resume {path}")
    config = TrainTextConfig.model_validate(record.config)
    before, now = _settings(config), _settings(given)
    changed = [
        f"{_flag(name)} (the run has {before[name]!r}, got {now[name]!r})"
        for name in sorted(given.model_fields_set - _NOT_OF_THE_RUN)
        if before[name] != now[name]
    ]
    if changed:
        raise UsageError(f"--resume takes no changed setting: {', '.join(changed)}", hint="Leave it out, or train anew")
    return config


def _train(config: TrainTextConfig, open_run: _OpenRun | None, progress: Progress) -> TrainTextResult:
    """Read, split, make ids, train, save; without a run to open, stop before training."""
    started = time.perf_counter()
    from dlcli.text.corpus import read_corpus

    assert config.data is not None
    corpus = read_corpus(
        config.data,
        val=config.val,
        columns=config,
        val_split=config.val_split,
        seed=config.seed,
        progress=progress,
    )
    training, validation = corpus.training, corpus.validation

    # From here on it takes TensorFlow: bad data is found before its seconds of start-up.
    progress.begin("starting TensorFlow")
    from dlcli.core import dataset, devices
    from dlcli.core.fit import Labelled, best_scores, train
    from dlcli.core.run import RunRecord
    from dlcli.text.domain import TextDomain

    weights = dataset.class_weights(config.class_weight, training.labels, corpus.names)
    with devices.use(config.device) as device:
        domain = TextDomain(config.take(TextPipelineConfig), config.take(TextModelConfig), seed=config.seed)
        fitted = domain.fit(training.texts, training.labels, len(corpus.names), progress)
        record = RunRecord(
            verb="train-text",
            domain="text",
            config=_settings(config),
            seed=config.seed,
            labels=corpus.names,
            data={
                "fingerprint": corpus.fingerprint,
                "training": len(training.texts),
                "validation": len(validation.texts),
            },
            machine=devices.describe(),
            device=device,
            model={"name": config.model, "parameters": int(fitted.model.count_params())},
            seconds=time.perf_counter() - started,
        )
        if open_run is None:
            return _result(record, None)
        with open_run(record) as run:
            progress.note(f"run directory: {run.path}")
            with _saying_how_to_go_on(run, progress):
                fitted.pipeline.save(run.pipeline)
                trained = train(
                    fitted.model,
                    Labelled(inputs=fitted.inputs, labels=training.labels),
                    Labelled(inputs=fitted.pipeline.encode(validation.texts), labels=validation.labels),
                    class_weights=weights,
                    config=config,
                    run=run,
                    progress=progress,
                )
                progress.begin("saving the run")
                run.finish(
                    fitted.model,
                    scores=best_scores(trained.state),
                    history=trained.state.history,
                    validation={"labels": validation.labels, "outputs": trained.outputs},
                )
    return _result(run.record, run.path)


@contextlib.contextmanager
def _saying_how_to_go_on(run: Run, progress: Progress) -> Iterator[None]:
    """Name the command that goes on, when the training is stopped from outside."""
    command = f"dlcli train-text --resume {run.path}"
    try:
        yield
    except (KeyboardInterrupt, Terminated):
        progress.note(f"go on with: {command}")
        raise
    except DiskFullError as error:
        error.hint = f"Free some space, then go on with: {command}"
        raise


def _flag(name: str) -> str:
    return "DATA" if name == "data" else f"--{name.replace('_', '-')}"


def _settings(config: TrainTextConfig) -> dict[str, Any]:
    """Return the settings that make the run, with paths that hold from any directory."""
    settings = config.model_dump(mode="json", exclude=set(_NOT_OF_THE_RUN))
    for name in ("data", "val"):
        path = getattr(config, name)
        settings[name] = str(resolve_input(path).resolve()) if path is not None else None
    return settings


def _result(record: RunRecord, path: Path | None) -> TrainTextResult:
    return TrainTextResult(
        run=path,
        items={"training": record.data["training"], "validation": record.data["validation"]},
        labels=record.labels,
        parameters=record.model["parameters"],
        seconds=record.seconds,
        **{name: record.scores.get(name) for name in ("accuracy", "loss", "best_epoch", "epochs")},
    )


ACTION = Action(
    config=TrainTextConfig,
    function=train_text,
    examples=(
        "dlcli train-text sample_data/reviews.csv --ngrams 2 --out runs/reviews",
        "dlcli train-text --resume runs/reviews",
    ),
)
