"""What is said about scores in words, wherever they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Fewer items than this deserve a warning.
_FEW = 30


def cautions(metrics: Mapping[str, Mapping[str, Any]], classes: Sequence[Mapping[str, Any]], n: int) -> list[str]:
    """Say which scores have no value and why, top-k of few classes left out, and what keeps others from telling much.

    Args:
        metrics: by name.
        classes: with the items of each.
        n: items in all.
    """
    reasons: dict[str, list[str]] = {}
    for name, score in metrics.items():
        if score["value"] is None and not name.startswith("top_"):
            reasons.setdefault(score["undefined"], []).append(name)
    lines = [f"undefined: {', '.join(names)} ({why})" for why, names in reasons.items()]
    if empty := [repr(c["label"]) for c in classes if not c["n"]]:
        some = ", ".join(empty[:5]) + (f" and {len(empty) - 5} more" if len(empty) > 5 else "")
        lines.append(f"no items of {some}: means over the classes leave out what has none")
    if n < _FEW:
        lines.append(f"only {n} item{'s' * (n != 1)}: the intervals are rough")
    return lines


def baseline_lines(baselines: Iterable[Mapping[str, Any]], n: int) -> list[str]:
    """Say what each baseline was made from, and on how many of `n` items it was scored where that is not all."""
    return [
        f"{b['title'].split()[0]}: {b['about']}" + (f"; scored on {b['n']:,} random items" if b["n"] < n else "")
        for b in baselines
    ]
