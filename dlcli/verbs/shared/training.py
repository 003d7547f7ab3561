"""What the verbs that train share: a new run, one that goes on, one from another's weights, and the two dry trials."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.core.config import Config, RunConfig, flag
from dlcli.core.progress import Progress
from dlcli.errors import DataError, DiskFullError, Terminated, UsageError
from dlcli.resources import resolve_input
from dlcli.verbs.shared.recorded import action_of, settings_of
from dlcli.verbs.shared.training_result import TrainingResult, result_of
from dlcli.verbs.shared.trials import Trial, find_lr, rehearse, require_range_test_folder

if TYPE_CHECKING:
    from dlcli.core.dataset import Corpus
    from dlcli.core.devices import Auto, Placement
    from dlcli.core.domain import Domain, Fitted
    from dlcli.core.fit import Trained
    from dlcli.core.record import RunRecord
    from dlcli.core.run import Run

    _OpenRun = Callable[[RunRecord], AbstractContextManager[Run]]

# Settings that say where a run goes, and not what it is: `--resume` needs none of them.
_NOT_OF_THE_RUN = frozenset(RunConfig.model_fields) - {"from_"}
# Settings that hold paths, kept so that they hold from any directory.
_PATHS = ("data", "val", "from_", "vectors", "unlabelled")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one verb's training is about.

    Attributes:
        verb: its name.
        domain: the package of its domain.
        config: its config model.
        inherited: the groups of settings that `--from` takes from the other run.
        read: reads and splits the data; imports no TensorFlow, so that bad data is found before its seconds of start.
        make_domain: the core's view of the domain.
        auto: what `--precision auto` and `--jit auto` turn on for the model.
        waits: layers that are not trained in the first epochs, with the number of those.
    """

    verb: str
    domain: str
    config: type[Any]
    inherited: tuple[type[Config], ...]
    read: Callable[[Any, Progress], Corpus]
    make_domain: Callable[[Any], Domain]
    auto: Callable[[Any], Auto]
    waits: Callable[[Any], dict[str, int]] = lambda config: {}


def train(task: Task, config: Any, progress: Progress) -> TrainingResult:
    """Train a model, or go on with a stopped training, or try one out.

    The run directory is made when all that can be wrong with settings and data was found not to be.

    Args:
        task: the verb's.
        config: its settings.
        progress: told of stages and epochs.

    Returns:
        the run and its validation scores; with `find_lr` or `dry_run` what the trial found.
    """
    from dlcli.core.record import open_finished, read_idle
    from dlcli.core.run import claimed, create, default_path, reopen, require_free, tidy

    if config.resume is not None:
        if beside := config.model_fields_set & (_NOT_OF_THE_RUN - {"resume"}):
            raise UsageError(f"{flag(min(beside))} does not go with --resume, which goes on in its place")
        path, record = config.resume, read_idle(config.resume)
        config = _recorded(task, record, config, path)
        if record.status == "finished":
            found = result_of(open_finished(path), path)
            tidy(path)
            progress.note(f"{path} is finished already")
            return found
        return _train(task, config, lambda fresh: reopen(path, fresh, progress), progress)
    config = _inherit(task, config)
    if config.dry_run:
        require_free(config.out or default_path(task.verb), force=config.force, keep=False)
        return _train(task, config, None, progress)
    with claimed(config.out, "find-lr" if config.find_lr else task.verb) as path:
        if config.find_lr:
            require_range_test_folder(path, force=config.force)
            return _train(task, config, None, progress, curve=path)
        require_free(path, force=config.force)
        return _train(task, config, lambda fresh: create(path, fresh, force=config.force), progress)


def train_again(path: Path, record: RunRecord, out: Path, progress: Progress) -> None:
    """Train a finished run again, with its settings and on its data.

    Args:
        path: the run.
        record: its `run.json`.
        out: where the second run goes.
        progress: told of stages and epochs, and warned when the machine is another one.

    Raises:
        UsageError: data or base are not what the run was trained on, or it was not trained.
    """
    from dlcli.core.run import create, require_same_origin

    task = action_of(record, path).task
    if task is None:
        raise UsageError(
            f"{path} is a run of {record.verb}, which trains nothing",
            hint="Reproduce its members, which dlcli inspect names",
        )

    def open_run(fresh: RunRecord) -> AbstractContextManager[Run]:
        require_same_origin(path, record, fresh, progress)
        return create(out, fresh, force=False)

    _train(task, settings_of(record, path), open_run, progress, resumable=False)


def _recorded(task: Task, record: RunRecord, given: Any, path: Path) -> Any:
    """Return the settings that a run was started with, and refuse to change them."""
    if record.verb != task.verb:
        other = f"dlcli {record.verb} --resume {path}"
        raise UsageError(
            f"{path} is a run of {record.verb}", hint=other if record.resumable else "It has no training to go on with"
        )
    config = settings_of(record, path)
    before, now = _settings(config), _settings(given)
    changed = [
        f"{'DATA' if name == 'data' else flag(name)} (the run has {before[name]!r}, got {now[name]!r})"
        for name in sorted(given.model_fields_set - _NOT_OF_THE_RUN)
        if before[name] != now[name]
    ]
    if changed:
        raise UsageError(f"--resume takes no changed setting: {', '.join(changed)}", hint="Leave it out, or train anew")
    return config


def _inherit(task: Task, config: Any) -> Any:
    """Return the settings with preprocessing and model taken from the run of `--from`, if there is one."""
    if config.from_ is None:
        return config
    from dlcli.core.record import open_finished

    if config.out is not None and config.out.resolve() == config.from_.resolve():
        raise UsageError(
            f"--out {config.out} is the run of --from, which a resume would need", hint="Choose another --out"
        )
    record = open_finished(config.from_)
    if not record.resumable:
        raise UsageError(
            f"--from: {config.from_} is a run of {record.verb}, which has no training of its own",
            hint="Start from one of its members, which dlcli inspect names",
        )
    if record.verb != task.verb:
        raise UsageError(f"--from: {config.from_} is a run of {record.verb}, expected one of {task.verb}")
    theirs = settings_of(record, config.from_)
    taken = {name: getattr(theirs, name) for group in task.inherited for name in group.model_fields}
    shown, given = theirs.model_dump(mode="json"), config.model_dump(mode="json")
    for name in sorted(config.model_fields_set & taken.keys()):
        if getattr(config, name) != taken[name]:
            raise UsageError(
                f"{flag(name)}: --from takes preprocessing and model from {config.from_}, "
                f"which has {shown[name]!r}, got {given[name]!r}",
                hint="Leave it out, or train anew",
            )
    return config.model_copy(update=taken)


def _train(
    task: Task,
    config: Any,
    open_run: _OpenRun | None,
    progress: Progress,
    *,
    curve: Path | None = None,
    resumable: bool = True,
) -> TrainingResult:
    """Read, split, make the model's inputs, train, save; without a run to open, try only (for the curve, if given)."""
    started = time.perf_counter()
    corpus = task.read(config, progress)
    config = config.model_copy(update=corpus.settings).resolved(items=len(corpus.training.items))

    progress.begin("starting TensorFlow")
    from dlcli.core import dataset, devices, fit
    from dlcli.core.batches import bucket_widths
    from dlcli.core.losses import make_loss
    from dlcli.core.record import MODEL
    from dlcli.serving.predictor import Predictor

    weights = dataset.class_weights(config.class_weight, corpus.training.labels, corpus.names)
    make_loss(config, classes=len(corpus.names))
    if config.tensorboard:
        from dlcli.core import tensorboard

        tensorboard.require()
    auto = task.auto(config)
    computing = devices.use(
        config.device, precision=config.precision, jit=config.jit, auto=auto, deterministic=config.deterministic
    )
    with computing as placement:
        start = Predictor(config.from_) if config.from_ else None
        fitted = _fitted(task, config, corpus, start, placement, progress)
        if placement.jit:
            # Each shape is compiled anew, for seconds.
            fitted.inputs.widths = bucket_widths(fitted.inputs.lengths)
        if fitted.layer_lr:
            config = config.model_copy(update={"layer_lr": _layer_lr(fitted, config)})
        record = _record(task, config, corpus, fitted, placement)
        if start is not None:
            record.data["start"] = start.record.hashes[MODEL]
        record.seconds = time.perf_counter() - started
        training = fit.Labelled(inputs=fitted.inputs, labels=fitted.labels)
        fit.require_possible(fitted.model, training, corpus.validation.labels, config)
        trial = Trial(record=record, config=config, model=fitted.model, training=training, class_weights=weights)
        trial.require_memory(progress)
        if curve is not None:
            fitted.prepare(progress)
            return find_lr(trial, curve, progress)
        validation = fit.Labelled(inputs=fitted.encode(corpus.validation.items), labels=corpus.validation.labels)
        if open_run is None:
            fitted.pretend(progress)
            return rehearse(trial, validation, progress)
        with open_run(record) as run:
            progress.note(f"run directory: {run.path}")
            progress.note(_chosen(placement, fitted.inputs.widths))
            with _saying_how_to_go_on(task, run, progress) if resumable else contextlib.nullcontext():
                fitted.pipeline.save(run.pipeline)
                run.keep_skipped(corpus.skipped)
                fitted.prepare(progress)
                with trial.saying_what_fits():
                    trained = fit.train(
                        fitted.model,
                        training,
                        validation,
                        class_weights=weights,
                        config=config,
                        run=run,
                        progress=progress,
                        jit=placement.jit,
                        waits=task.waits(config),
                    )
                _finish(run, fitted, trained, validation, config, progress)
    if trained.problem is not None:
        raise trained.problem
    return result_of(run.record, run.path)


def _chosen(placement: Placement, widths: tuple[int, ...]) -> str:
    """Return what was chosen to compute with, as one line."""
    compiled = f", steps compiled with XLA, widths {', '.join(map(str, widths))}" if placement.jit else ""
    return f"computes on {placement.device} in {placement.precision}{compiled}"


def _record(task: Task, config: Any, corpus: Corpus, fitted: Fitted, placement: Placement) -> RunRecord:
    """Return the first `run.json` of a training."""
    from dlcli.core import devices
    from dlcli.core.losses import output_activation
    from dlcli.core.record import RunRecord

    return RunRecord(
        verb=task.verb,
        domain=task.domain,
        config=_settings(config),
        seed=config.seed,
        labels=corpus.names,
        data={
            "fingerprint": corpus.fingerprint,
            "training": len(corpus.training.items),
            "validation": len(corpus.validation.items),
            **fitted.origin,
        },
        machine=devices.describe(),
        device=placement.device,
        model={
            "name": config.model,
            "parameters": int(fitted.whole.count_params()),
            "outputs": "probabilities" if output_activation(config) == "softmax" else "scores",
            "precision": placement.precision,
            "jit": placement.jit,
            "widths": list(fitted.inputs.widths),
        },
    )


def _fitted(task: Task, config: Any, corpus: Corpus, start: Any, placement: Placement, progress: Progress) -> Fitted:
    """Return pipeline, model and training inputs: learnt from the data, or those of the run of `--from`."""
    domain = task.make_domain(config)
    if start is None:
        return domain.fit(corpus.training.items, corpus.training.labels, len(corpus.names), progress)
    from dlcli.core.losses import output_activation

    if start.labels != corpus.names:
        differing = sorted(set(start.labels) ^ set(corpus.names))
        raise DataError(
            f"--from: {start.path} has other classes than the data: {', '.join(differing[:10])}",
            hint="--from takes the same classes",
        )
    if start.probabilistic != (output_activation(config) == "softmax"):
        kind = "probabilities" if start.probabilistic else "scores without bounds"
        raise UsageError(f"--loss {config.loss} does not fit the run of --from, whose model gives {kind}")
    if (precision := start.record.model.get("precision", "float32")) != placement.precision:
        raise UsageError(
            f"--from: the model of {start.path} computes in {precision}, not in {placement.precision}",
            hint=f"Give --precision {precision}",
        )
    return domain.adopt(start.pipeline, start.model, corpus.training.items, corpus.training.labels, progress)


def _layer_lr(fitted: Fitted, config: Any) -> str:
    """Return the factors on the learning rate that the domain and the user want; the user's come first."""
    factors = {**fitted.layer_lr, **config.layer_factors()}
    return ",".join(f"{name}={factor:g}" for name, factor in factors.items())


def _finish(run: Run, fitted: Fitted, trained: Trained, validation: Any, config: Any, progress: Progress) -> None:
    """Commit the run, with its plots."""
    from dlcli.core import plots
    from dlcli.core.fit import best_scores

    progress.begin("saving the run")
    state = trained.state
    run.plots.mkdir(exist_ok=True)
    plots.draw_training(state.history, best_epoch=state.best_epoch, monitor=config.monitored(), folder=run.plots)
    run.finish(
        fitted.whole,
        scores=best_scores(state),
        history=state.history,
        validation={"labels": validation.labels, "outputs": trained.outputs},
        problem=trained.problem.message if trained.problem else "",
    )


@contextlib.contextmanager
def _saying_how_to_go_on(task: Task, run: Run, progress: Progress) -> Iterator[None]:
    """Name the command that goes on, when the training is stopped from outside."""
    command = f"dlcli {task.verb} --resume {run.path}"
    try:
        yield
    except (KeyboardInterrupt, Terminated):
        progress.note(f"go on with: {command}")
        raise
    except DiskFullError as error:
        error.hint = f"Free some space, then go on with: {command}"
        raise


def _settings(config: Any) -> dict[str, Any]:
    """Return the settings that make the run, with paths that hold from any directory."""
    settings: dict[str, Any] = config.model_dump(mode="json", exclude=set(_NOT_OF_THE_RUN))
    for name in settings.keys() & set(_PATHS):
        path = getattr(config, name)
        settings[name] = str(resolve_input(path).resolve()) if path is not None else None
    return settings
