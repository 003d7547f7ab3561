"""The names of all metrics: plain Python, so that a config model can check them and show them in its help."""

from __future__ import annotations

from typing import Literal

from dlcli.errors import UsageError, nearest

BETTER: dict[str, Literal["max", "min"]] = {
    "accuracy": "max",
    "top_2_accuracy": "max",
    "top_3_accuracy": "max",
    "top_5_accuracy": "max",
    "balanced_accuracy": "max",
    "precision_macro": "max",
    "recall_macro": "max",
    "f1_macro": "max",
    "precision_weighted": "max",
    "recall_weighted": "max",
    "f1_weighted": "max",
    "auc": "max",
    "average_precision": "max",
    "log_loss": "min",
    "brier": "min",
    "ece": "min",
}
NEEDS_PROBABILITIES = frozenset({"auc", "average_precision", "log_loss", "brier", "ece"})
ALIASES = {
    "precision": "precision_macro",
    "recall": "recall_macro",
    "f1": "f1_macro",
    "roc_auc": "auc",
    "pr_auc": "average_precision",
    "loss": "log_loss",
}


def resolve(name: str) -> str:
    """Return the name in `BETTER` that a name or an alias stands for.

    Args:
        name: as a user writes it; `F1-macro` is `f1_macro`.

    Raises:
        UsageError: there is none; names the nearest.
    """
    plain = name.strip().lower().replace("-", "_")
    found = ALIASES.get(plain, plain)
    if found not in BETTER:
        raise UsageError(f"there is no metric {name!r}", hint=nearest(plain, [*BETTER, *ALIASES]))
    return found
