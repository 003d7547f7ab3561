"""`dlcli inspect`: what a run is, read from its record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dlcli.core.config import Config, option
from dlcli.core.progress import Progress
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, facts, table
from dlcli.verbs.shared.scores import number

_SETTINGS = ("model", "ngrams", "optimizer", "lr", "schedule", "loss", "batch_size", "epochs", "seed")


class InspectConfig(Config):
    """All settings of an inspection."""

    run: Path = option(..., "A run, finished or not.", argument=True, metavar="RUN")


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

    def text(self) -> str:
        """Return what was trained, on what, with which scores."""
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
    """Read a run's record.

    Args:
        config: which run.
        progress: told nothing: it is quick.
    """
    from dlcli.core.run import open_finished, read_history, read_record

    record = read_record(config.run)
    if record.status == "finished":
        open_finished(config.run)
    evaluations = sorted((config.run / "evaluations").glob("*.json"))
    return InspectResult(
        run=config.run,
        history=read_history(config.run),
        evaluations=[json.loads(file.read_text(encoding="utf-8")) for file in evaluations],
        **record.model_dump(include=set(InspectResult.model_fields) & set(type(record).model_fields) - {"schema_"}),
    )


ACTION = Action(config=InspectConfig, function=inspect, examples=("dlcli inspect runs/reviews",))
