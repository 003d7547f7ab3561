"""Rows with a run's answers: how predict and evaluate write them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from dlcli.errors import DataError

FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def answer_cells(
    labels: Sequence[str], outputs: Any, best: int, *, probabilistic: bool, every_class: bool
) -> dict[str, Any]:
    """Return the cells that say what a run answers for one item.

    Args:
        labels: the names of the classes.
        outputs: float (classes,).
        best: the class that the item is taken for.
        probabilistic: whether the outputs are probabilities; else they are scores.
        every_class: add a cell for each class.
    """
    name, short = ("probability", "p") if probabilistic else ("score", "score")
    cells = {"prediction": labels[best], name: round(float(outputs[best]), 6)}
    if every_class:
        cells |= {f"{short}({label})": round(float(p), 6) for label, p in zip(labels, outputs, strict=True)}
    return cells


def require_no_answers(columns: Iterable[str], source: object, *, probabilistic: bool) -> None:
    """Raise a `DataError` when a table has a column already that the answers would go to."""
    taken = sorted({"prediction", "probability" if probabilistic else "score"} & set(columns))
    if taken:
        raise DataError(f"{source} has a column {taken[0]!r} already", hint="Rename it")


def write_rows(rows: Iterable[dict[str, Any]], stream: TextIO, form: str) -> int:
    """Write rows as CSV or TSV (with the first row's columns as header) or as JSON lines; return their number."""
    count, writer = 0, None
    for row in rows:
        count += 1
        if form == "jsonl":
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            continue
        if writer is None:
            writer = csv.DictWriter(
                stream, fieldnames=list(row), delimiter="\t" if form == "tsv" else ",", lineterminator="\n"
            )
            writer.writeheader()
        if row.keys() - set(writer.fieldnames):
            raise DataError(
                f"row {count} has columns that the first one lacks: {', '.join(row.keys() - set(writer.fieldnames))}",
                hint="CSV has the same columns in every row: write .jsonl instead",
            )
        writer.writerow(row)
    return count
