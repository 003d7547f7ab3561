"""Rows with a run's answers: how predict and evaluate write them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from dlcli.core.config import Config, option
from dlcli.errors import DataError, printable

# Cell with a list of the best classes; in a table they are columns instead.
TOP = "top"
# What spreadsheets take for the beginning of a formula (OWASP, CSV Injection); empty cells are none.
_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?")
FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class EscapeConfig(Config):
    """How tables are written that people open in a spreadsheet."""

    section = "Data"

    escape_formulas: bool = option(
        False,
        "In CSV and TSV, put a single quote before each text that begins like a formula (= + - @, a tab, a line end), "
        "so that no spreadsheet computes it; this changes the data.",
    )


def answer_cells(
    labels: Sequence[str], outputs: Any, best: int, *, probabilistic: bool, every_class: bool, top: int = 1
) -> dict[str, Any]:
    """Return the cells that say what a run answers for one item.

    Args:
        labels: the names of the classes.
        outputs: float (classes,).
        best: the class that the item is taken for.
        probabilistic: whether the outputs are probabilities; else they are scores.
        every_class: add a cell for each class.
        top: how many of the best classes the cell `top` lists; there is none for 1.
    """
    name, short = ("probability", "p") if probabilistic else ("score", "score")
    cells: dict[str, Any] = {"prediction": labels[best], name: round(float(outputs[best]), 6)}
    if top > 1:
        order = sorted(range(len(labels)), key=lambda place: -outputs[place])[:top]
        cells[TOP] = [{"prediction": labels[place], name: round(float(outputs[place]), 6)} for place in order]
    if every_class:
        cells |= {f"{short}({label})": round(float(p), 6) for label, p in zip(labels, outputs, strict=True)}
    return cells


def require_no_answers(columns: Iterable[str], source: object, *, probabilistic: bool, top: int = 1) -> None:
    """Raise a `DataError` when a table has a column already that the answers would go to."""
    name = "probability" if probabilistic else "score"
    ranked = {f"{cell}_{rank}" for rank in range(2, top + 1) for cell in ("prediction", name)}
    taken = sorted(({"prediction", name} | ranked | ({TOP} if top > 1 else set())) & set(columns))
    if taken:
        raise DataError(f"{source} has a column {taken[0]!r} already", hint="Rename it")


def in_columns(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with a cell for each of its best classes but the first: `prediction_2`, `probability_2` ..."""
    ranked = {
        f"{name}_{rank}": cell for rank, best in enumerate(row[TOP], 1) for name, cell in best.items() if rank > 1
    }
    return {key: cell for key, cell in row.items() if key != TOP} | ranked


def in_lines(row: dict[str, Any]) -> str:
    """Return an item, and below it its best classes with their probabilities or scores."""
    item, *_ = row.values()
    answers = row.get(TOP) or [{"prediction": row["prediction"], "": row.get("probability", row.get("score"))}]
    lines = (f"  {number:.4f}  {prediction}" for prediction, number in (best.values() for best in answers))
    return printable("\n".join([str(item).replace("\n", "\\n"), *lines]))


class _LineFeeds:
    """Ends rows with a line feed alone; a writer that is told to do so leaves a carriage return in a cell unquoted."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, row: str) -> None:
        self._stream.write(row.removesuffix("\r\n") + "\n")


def _escaped(cell: Any) -> Any:
    """Return a cell that a spreadsheet takes for text, with a single quote before what it would take for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in _FORMULA and not _NUMBER.fullmatch(cell) else cell


def write_rows(rows: Iterable[dict[str, Any]], stream: TextIO, form: str, *, escape: bool = False) -> int:
    """Write rows and return their number.

    Args:
        rows: the first one has the columns of all.
        stream: opened as text.
        form: csv or tsv, with a header; jsonl, an object a line; or text, for people.
        escape: put a single quote before cells of a table that begin like a formula (`EscapeConfig`).
    """
    count, writer = 0, None
    for row in rows:
        count += 1
        if form == "text":
            stream.write(in_lines(row) + "\n")
            continue
        if form == "jsonl":
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            continue
        if writer is None:
            delimiter = "\t" if form == "tsv" else ","
            writer = csv.DictWriter(_LineFeeds(stream), fieldnames=list(row), delimiter=delimiter)
            writer.writerow({name: _escaped(name) for name in row} if escape else {name: name for name in row})
        if more := sorted(row.keys() - set(writer.fieldnames)):
            raise DataError(
                f"row {count} has columns that the first one lacks: {', '.join(more)}",
                hint="CSV has the same columns in every row: write .jsonl instead",
            )
        writer.writerow({name: _escaped(cell) for name, cell in row.items()} if escape else row)
    return count
