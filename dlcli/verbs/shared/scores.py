"""How scores read: the tables that evaluate and compare print, at most 100 columns wide where names allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dlcli.verbs.shared.result import table

WIDTH = 100
# The others are in `--json`, and in the table of the classes.
_SHOWN = (
    *("accuracy", "top_2_accuracy", "top_3_accuracy", "top_5_accuracy", "balanced_accuracy", "f1_macro"),
    *("auc", "average_precision", "log_loss", "brier", "ece"),
)
_MOST_CLASSES, _WORST = 20, 10
_MOST_CONFUSED, _PAIRS = 12, 10


def number(value: float | None) -> str:
    """Return a score as it is shown; `-` where there is none."""
    return "-" if value is None else f"{value:.4f}"


def interval(low: float | None, high: float | None) -> str:
    """Return a 95 % interval as it is shown; empty where there is none."""
    return "" if low is None or high is None else f"{low:.4f} to {high:.4f}"


def points(value: float) -> str:
    """Return a difference of shares in percentage points."""
    return f"{100 * value:+.1f}"


def score_table(metrics: Mapping[str, Mapping[str, Any]], others: Mapping[str, Mapping[str, Any]]) -> str:
    """Show the scores of a run, with intervals where there are any, beside those of others.

    Args:
        metrics: of the run, by name: `value`, `low`, `high`, and `undefined` where there is no value.
        others: by the title of their column, the same.
    """
    shown = [name for name in _SHOWN if metrics[name]["value"] is not None]
    with_interval = any(metrics[name]["low"] is not None for name in shown)
    rows = []
    for name in shown:
        score = metrics[name]
        middle = (interval(score["low"], score["high"]),) if with_interval else ()
        rows.append(
            (name, number(score["value"]), *middle, *(number(other[name]["value"]) for other in others.values()))
        )
    return table(rows, header=("score", "run", *(("95 % interval",) if with_interval else ()), *others))


def class_table(classes: Sequence[Mapping[str, Any]], metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """Show each class and the means over them; of many classes those with the lowest F1."""
    shown, note = list(classes), ""
    if len(classes) > _MOST_CLASSES:
        with_items = [c for c in classes if c["n"]]
        shown = sorted(with_items, key=lambda c: float(c["f1"]))[:_WORST]
        note = f"\nof {len(classes):,} classes those with the lowest F1; --json has all"
    rows = []
    for c in shown:
        ends = c["f1_interval"] or (None, None)
        rows.append(
            (c["label"], *(number(c[kind]) for kind in ("precision", "recall", "f1")), interval(*ends), f"{c['n']:,}")
        )
    total = f"{sum(c['n'] for c in classes):,}"
    for mean in ("macro", "weighted"):
        scores = [metrics[f"{kind}_{mean}"] for kind in ("precision", "recall", "f1")]
        ends = (scores[-1]["low"], scores[-1]["high"])
        rows.append((f"({mean} mean)", *(number(score["value"]) for score in scores), interval(*ends), total))
    lines: list[tuple[str, ...]] = [("class", "precision", "recall", "F1", "95 % interval", "items"), *rows]
    if not any(row[4] for row in rows):
        lines = [(*line[:4], line[5]) for line in lines]
    return table(lines[1:], header=lines[0]) + note


def confusion_table(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    """Show who is taken for whom: all cells, or where there are many classes the most frequent mistakes."""
    if len(names) <= _MOST_CONFUSED:
        cells = [(name, *(f"{count:,}" for count in row)) for name, row in zip(names, matrix, strict=True)]
        whole = table(cells, header=("true \\ predicted", *names))
        if len(whole.splitlines()[0]) <= WIDTH:
            return whole
    mistakes = [
        (count, true, taken)
        for true, row in enumerate(matrix)
        for taken, count in enumerate(row)
        if count and true != taken
    ]
    if not mistakes:
        return "no class was taken for another"
    mistakes.sort(key=lambda mistake: -mistake[0])
    rows = [
        (names[true], names[taken], f"{count:,}", f"{count / sum(matrix[true]):.1%}")
        for count, true, taken in mistakes[:_PAIRS]
    ]
    more = f"\nthe most frequent of {len(mistakes):,} such pairs; --json has all" if len(mistakes) > _PAIRS else ""
    return table(rows, header=("true class", "taken for", "items", "of the class")) + more


def calibration_table(bins: Sequence[Mapping[str, Any]]) -> str:
    """Show how often the answers of each confidence are right."""
    rows = [
        (f"{b['from']:.2f} to {b['to']:.2f}", number(b["confidence"]), number(b["accuracy"]), f"{b['n']:,}")
        for b in bins
    ]
    return table(rows, header=("confidence", "mean", "accuracy", "items"))


def slice_table(column: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """Show the scores of the items of each value of a column."""
    cells = [
        (
            row["value"],
            f"{row['n']:,}",
            number(row["accuracy"]["value"]),
            interval(row["accuracy"]["low"], row["accuracy"]["high"]),
            number(row["f1_macro"]),
        )
        for row in rows
    ]
    return table(cells, header=(column, "items", "accuracy", "95 % interval", "f1_macro"))
