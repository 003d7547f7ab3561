"""`dlcli inspect`: what a run is, read from its record; and what is inside its network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from dlcli.core.config import option
from dlcli.core.progress import Progress
from dlcli.errors import UsageError
from dlcli.verbs import Action
from dlcli.verbs.shared.inspection import NetworkConfig, look_inside
from dlcli.verbs.shared.inspection_text import (
    activations_table,
    exciting_text,
    layers_table,
    pictures_text,
    visualised_table,
    weights_table,
)
from dlcli.verbs.shared.result import Result, facts, table
from dlcli.verbs.shared.scores import number

_SETTINGS = ("model", "ngrams", "optimizer", "lr", "schedule", "loss", "batch_size", "epochs", "seed")


class InspectConfig(NetworkConfig):
    """All settings of an inspection."""

    section = "Network"

    run: Path = option(
        ...,
        "A run, finished or not; its network is there once it is finished. Or base:NAME, a pretrained base.",
        argument=True,
        metavar="RUN",
    )


class InspectResult(Result):
    """The record of a run, its history, and the evaluations that were made of it."""

    run: Path
    status: str
    verb: str
    model: dict[str, Any]
    labels: list[str]
    data: dict[str, Any]
    scores: dict[str, float | None]
    config: dict[str, Any]
    machine: dict[str, Any]
    seconds: float
    problem: str
    history: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    layers: list[dict[str, Any]] = Field(default_factory=list)
    weights: list[dict[str, Any]] = Field(default_factory=list)
    activations: list[dict[str, Any]] = Field(default_factory=list)
    visualise: list[dict[str, Any]] = Field(default_factory=list)
    top_activating: list[dict[str, Any]] = Field(default_factory=list)
    graph: Path | None = None
    pictures: list[Path] = Field(default_factory=list)
    asked: dict[str, str] = Field(default_factory=dict, exclude=True)
    """The layers that were asked for, by the flag."""

    def text(self) -> str:
        """Return what was trained, on what, with which scores; or what of the network was asked for."""
        inside = [
            layers_table(self.layers) if self.layers else "",
            weights_table(self.weights) if self.weights else "",
            activations_table(self.activations) if self.activations else "",
            visualised_table(self.asked["visualise"], self.visualise) if self.visualise else "",
            exciting_text(self.asked["top_activating"], self.top_activating) if self.top_activating else "",
            pictures_text(self.pictures) if self.pictures else "",
        ]
        return "\n\n".join(filter(None, inside)) or self._record()

    def _record(self) -> str:
        changed = [f"{name} {self.config[name]}" for name in _SETTINGS if self.config.get(name) is not None]
        versions = self.machine.get("versions", {})
        rows = [
            ("run", f"{self.run} ({self.verb}, {self.status})"),
            ("data", f"{self.config.get('data')} ({self.data.get('training', 0):,} to train on)" if self.data else ""),
            ("classes", ", ".join(self.labels)),
            ("model", f"{self.model['name']}, {self.model['parameters']:,} parameters" if self.model else ""),
            ("members", _members(self.config)),
            ("problem", self.problem),
            ("settings", ", ".join(changed)),
            (
                "made" if "members" in self.config else "trained",
                f"{self.seconds:.1f} s on {self.machine['processor']['name']}" if self.machine else "",
            ),
            ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
            ("fingerprint", str(self.data.get("fingerprint", ""))[:16]),
        ]
        parts = [facts(rows)]
        if self.history:
            names = [name for name in ("loss", "accuracy", "val_loss", "val_accuracy") if name in self.history[0]]
            best = self.scores.get("best_epoch")
            cells = [
                (f"{r['epoch']}{' *' if r['epoch'] == best else ''}", *(f"{r[name]:.4f}" for name in names))
                for r in self.history
            ]
            parts.append(table(cells, header=("epoch", *names)))
        if self.evaluations:
            cells = [
                (str(e["data"]), number(e["accuracy"]), number(e["loss"]), f"{e['n']:,}") for e in self.evaluations
            ]
            parts.append(table(cells, header=("evaluated on", "accuracy", "loss", "items")))
        return "\n\n".join(parts)


def _members(config: dict[str, Any]) -> str:
    """Return the runs that an ensemble was made of, with their weights; empty for any other run."""
    members = zip(config.get("members", ()), config.get("weights", ()), strict=False)
    return ", ".join(f"{weight:.2f} {member}" for member, weight in members)


def inspect(config: InspectConfig, progress: Progress) -> InspectResult:
    """Read a run's record, and look into its network where that is asked for.

    Args:
        config: which run, and what of it.
        progress: told of stages; of the record alone nothing, it is quick.
    """
    from dlcli.core.record import open_finished, read_history

    base = config.base()
    if base and not config.looks_inside:
        raise UsageError(f"{config.run} has no record", hint="Ask for what is in it, such as --layers")
    record = config.record(base)
    if base is None and (record.status == "finished" or config.looks_inside):
        open_finished(config.run)
    inside = look_inside(config, record, base, progress) if config.looks_inside else {}
    evaluations = sorted((config.run / "evaluations").glob("*.json"))
    return InspectResult(
        run=config.run,
        history=read_history(config.run),
        evaluations=list(_read(evaluations, progress)),
        **record.model_dump(include=set(InspectResult.model_fields) & set(type(record).model_fields) - {"schema_"}),
        **inside,
        asked={"visualise": config.visualise, "top_activating": config.top_activating},
    )


def _read(files: list[Path], progress: Progress) -> Iterator[dict[str, Any]]:
    """Yield evaluations; they are no part of what the run vouches for, so that a damaged one is left out."""
    for file in files:
        try:
            found = json.loads(file.read_bytes())
            if not isinstance(found, dict) or not {"data", "accuracy", "loss", "n"} <= found.keys():
                raise ValueError("it is no evaluation")
            yield found
        except (OSError, ValueError, RecursionError) as error:
            progress.warn(f"{file} is left out: {error}")


ACTION = Action(
    config=InspectConfig,
    function=inspect,
    examples=(
        "dlcli inspect runs/reviews",
        "dlcli inspect runs/photos --layers --graph network.png",
        "dlcli inspect runs/photos --weights conv_1 --activations cat.jpg",
        "dlcli inspect runs/photos --visualise conv_3 --filters 0-15 --top-activating conv_3",
        "dlcli inspect runs/reviews --top-activating conv_3 --filters 0-3 --data reviews.csv",
    ),
)
