"""What a verb returns: fields for `--json` and for later steps of a recipe, and a text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from pydantic import BaseModel, ConfigDict, Field

from dlcli.errors import printable


class Result(BaseModel):
    """The base of all results."""

    model_config = ConfigDict(arbitrary_types_allowed=True, populate_by_name=True)

    schema_: int = Field(1, alias="schema")

    def text(self) -> str:
        """Return the result as a person reads it, without a new line at the end."""
        raise NotImplementedError

    def write(self, stream: TextIO, *, as_json: bool) -> None:
        """Write the result: one JSON object, or its text."""
        text = self.model_dump_json(indent=2, by_alias=True) if as_json else printable(self.text())
        stream.write(text + "\n")

    def check(self) -> None:
        """Raise a `GateError` when a gate was not met; called after the result was written."""


def table(rows: Sequence[tuple[str, ...]], *, header: tuple[str, ...] = ()) -> str:
    """Align rows in columns: the first one to the left, the others to the right.

    Args:
        rows: cells, as many in each row.
        header: titles of the columns, if any.
    """
    lines = [tuple(_one_line(cell) for cell in row) for row in ([header, *rows] if header else rows)]
    widths = [max(len(row[column]) for row in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(cells)
        ).rstrip()
        for cells in (tuple(zip(row, widths, strict=True)) for row in lines)
    )


def facts(rows: list[tuple[str, str]]) -> str:
    """Align names and values, names with nothing to say left out."""
    kept = [(name, _one_line(value)) for name, value in rows if value]
    width = max(len(name) for name, _ in kept)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in kept)


def _one_line(cell: str) -> str:
    return cell.replace("\n", "\\n")
