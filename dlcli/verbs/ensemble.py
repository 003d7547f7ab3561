"""`dlcli ensemble`: several finished runs as one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from dlcli.core.config import Config, option, split_list
from dlcli.core.progress import Progress
from dlcli.errors import UsageError
from dlcli.text.config import SkipRowsConfig, TextDataConfig
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, facts, table
from dlcli.verbs.shared.scores import number

if TYPE_CHECKING:
    from dlcli.core.record import RunRecord

    _Runs = list[tuple[Path, RunRecord]]

_NAME = "ensemble"

Weights = Annotated[tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...], BeforeValidator(split_list)]


class EnsembleConfig(Config):
    """All settings of an ensemble."""

    section = "Ensemble"

    runs: tuple[Path, ...] = option(
        ..., "Finished runs of the same classes, at least two.", argument=True, metavar="RUN..."
    )
    out: Path | None = option(None, "Directory of the run; without it runs/ensemble-<date>-<id>.", metavar="RUN")
    weights: Weights = option(
        (),
        "How much each run counts, such as 0.8,0.2 (scaled to sum to 1); without it what gives the lowest log loss on "
        "the validation data of the runs, which must be the same.",
        metavar="W,W...",
    )
    force: bool = option(False, "Replace the run that stands at --out.")

    @model_validator(mode="after")
    def _fitting(self) -> EnsembleConfig:
        if len(self.runs) < 2:
            raise ValueError(f"expected at least two finished runs, got {len(self.runs)}")
        if self.weights and len(self.weights) != len(self.runs):
            raise ValueError(f"--weights: expected one for each of the {len(self.runs)} runs, got {len(self.weights)}")
        if self.weights and not sum(self.weights):
            raise ValueError("--weights: expected one above 0, got zeros alone")
        return self


class EnsembleResult(Result):
    """Where the run is, and how it and its members score on the same validation items."""

    run: Path
    labels: list[str]
    parameters: int
    members: list[dict[str, Any]]
    weights_from: str
    validation: int | None
    accuracy: float | None = None
    loss: float | None = None

    def text(self) -> str:
        """Return the members beside what became of them."""
        rows = [(m["run"], f"{m['weight']:.2f}", number(m["accuracy"]), number(m["loss"])) for m in self.members]
        rows.append((_NAME, "", number(self.accuracy), number(self.loss)))
        parts = [table(rows, header=("on validation data", "weight", "accuracy", "log loss")), self._caution()]
        return "\n\n".join([*parts, facts([("parameters", f"{self.parameters:,}"), ("run", str(self.run))])])

    def _caution(self) -> str:
        """Say how much the scores are worth."""
        if self.validation is None:
            return "the runs share no validation items: score the ensemble with dlcli evaluate"
        also = " and the weights" if self.weights_from == "validation" else ""
        return f"{self.validation:,} items, which picked the best epochs{also}: scores on test data are lower"


def ensemble(config: EnsembleConfig, progress: Progress) -> EnsembleResult:
    """Make one run of several.

    Args:
        config: the settings.
        progress: told of stages, and of what makes the result worth less.

    Returns:
        the run and its members, with their scores on the validation data that they share.
    """
    from dlcli.core.run import claimed

    with claimed(config.out, _NAME) as out:
        return _join(config, out, progress)


def _join(config: EnsembleConfig, out: Path, progress: Progress) -> EnsembleResult:
    from dlcli.core.run import require_free

    if out.resolve() in [path.resolve() for path in config.runs]:
        raise UsageError(f"--out {out} is one of the runs", hint="Choose another --out")
    require_free(out, force=config.force, resumable=False)
    runs = _members(config.runs)
    mixed = _mix(runs, config.weights, progress)
    for (path, _), weight in zip(runs, mixed.weights, strict=True):
        if not weight:
            progress.warn(f"{path} has the weight 0: it counts for nothing")
    record = _save(out, runs, mixed, progress, force=config.force)
    return EnsembleResult(
        run=out,
        labels=record.labels,
        parameters=record.model["parameters"],
        members=[
            {"run": str(path), "model": member.model["name"], "weight": weight, **scores}
            for (path, member), weight, scores in zip(runs, mixed.weights, mixed.members, strict=True)
        ],
        weights_from="given" if config.weights else "validation",
        validation=None if mixed.validation is None else len(mixed.validation["labels"]),
        **mixed.scores,
    )


def _members(paths: tuple[Path, ...]) -> _Runs:
    """Return the runs, and see that one can be made of them.

    Raises:
        UsageError: there is nothing at a path, a run is named twice, or they compute in different precisions.
        ModelError: one is unfinished or damaged.
        DataError: they have different classes.
    """
    from dlcli.core.record import MODEL, open_finished
    from dlcli.results.answers import require_same_labels

    runs: _Runs = []
    for path in paths:
        record = open_finished(path)
        if record.domain != "text":
            raise UsageError(f"{path} is a run of {record.verb}, expected one that classifies texts")
        if not record.probabilistic:
            raise UsageError(
                f"{path} gives scores without bounds, an ensemble needs probabilities",
                hint="Train it with another --loss",
            )
        for before, other in runs:
            if other.hashes[MODEL] == record.hashes[MODEL]:
                again = "is named twice" if before.resolve() == path.resolve() else f"is a copy of {before}"
                raise UsageError(f"{path} {again}", hint="Name each run once; --weights says how much it counts")
        if runs:
            first, expected = runs[0]
            require_same_labels(first, expected.labels, path, record.labels)
            if (theirs := _precision(record)) != (ours := _precision(expected)):
                raise UsageError(
                    f"{first} computes in {ours}, {path} in {theirs}", hint="Train them with the same --precision"
                )
        runs.append((path, record))
    return runs


def _precision(record: RunRecord) -> str:
    return str(record.model.get("precision", "float32"))


@dataclass(frozen=True, kw_only=True)
class _Mixed:
    """The weights, and what comes of them on the validation items that all members share, if they share any.

    Attributes:
        weights: one for each member; they sum to 1.
        members: the accuracy and log loss of each.
        scores: those of the ensemble.
        validation: labels and the ensemble's outputs.
    """

    weights: list[float]
    members: list[dict[str, Any]]
    scores: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, Any] | None = None


def _mix(runs: _Runs, given: tuple[float, ...], progress: Progress) -> _Mixed:
    """Take the weights that were given, or choose them; and score members and ensemble.

    Raises:
        UsageError: no weights were given, and there are no validation items to choose them on.
    """
    from dlcli.core.metrics import METRICS
    from dlcli.results.ensemble import choose_weights, common_validation, geometric_mean

    weights = [weight / sum(given) for weight in given]
    try:
        labels, outputs = common_validation(runs)
    except UsageError as error:
        if not given:
            raise
        progress.warn(f"{error.message}; the ensemble has no validation scores")
        return _Mixed(weights=weights, members=[{"accuracy": None, "loss": None}] * len(runs))
    if not given:
        progress.begin("choosing the weights")
        weights = choose_weights(labels, outputs)
    mixed = geometric_mean(outputs, weights)
    names = {"accuracy": "accuracy", "loss": "log_loss"}
    *members, own = (
        {name: METRICS[metric].function(labels, some) for name, metric in names.items()} for some in [*outputs, mixed]
    )
    return _Mixed(weights=weights, members=members, scores=own, validation={"labels": labels, "outputs": mixed})


def _save(out: Path, runs: _Runs, mixed: _Mixed, progress: Progress, *, force: bool) -> RunRecord:
    """Join the members and write the run."""
    progress.begin("starting TensorFlow")
    from dlcli.core import devices
    from dlcli.core.ensemble import join
    from dlcli.core.record import MODEL, RunRecord
    from dlcli.core.run import create_finished
    from dlcli.serving.predictor import Predictor
    from dlcli.text.ensemble import EnsemblePipeline

    _, first = runs[0]
    # What says where the data is: of several trainings, only these settings are the ensemble's too.
    kept = (*TextDataConfig.model_fields, *SkipRowsConfig.model_fields, "data", "val", "val_split", "seed")
    settings = {name: first.config[name] for name in kept if name in first.config}
    with devices.use("auto", precision="float32") as placement:
        progress.begin("loading the runs")
        predictors = [Predictor(path) for path, _ in runs]
        model = join([predictor.model for predictor in predictors], mixed.weights)
        record = RunRecord(
            verb=_NAME,
            domain=first.domain,
            config={
                **settings,
                "members": [str(path.resolve()) for path, _ in runs],
                "weights": mixed.weights,
            },
            seed=first.seed,
            labels=first.labels,
            data={
                **{name: first.data[name] for name in ("fingerprint", "training", "validation")},
                "members": [member.hashes[MODEL] for _, member in runs],
            },
            machine=devices.describe(),
            device=placement.device,
            model={
                "name": _NAME,
                "parameters": int(model.count_params()),
                "outputs": "probabilities",
                "precision": _precision(first),
                "jit": False,
                "widths": [],
            },
        )
        with create_finished(out, record, force=force) as run:
            progress.begin("saving the run")
            EnsemblePipeline([predictor.pipeline for predictor in predictors]).save(run.pipeline)
            run.finish(model, scores=mixed.scores, history=[], validation=mixed.validation)
    return record


ACTION = Action(
    config=EnsembleConfig,
    function=ensemble,
    examples=(
        "dlcli ensemble runs/bigrams runs/cnn --out runs/both",
        "dlcli ensemble runs/bigrams runs/cnn --weights 0.8,0.2 --out runs/both",
    ),
)
