"""The pictures that a report names, and all that its findings are about: for the contact sheet and the quarantine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from dlcli.core.lines import BadRow
from dlcli.vision.checking.pool import Pool

# Pictures of a group that are named.
_NAMED = 3


class Mark(NamedTuple):
    """Why a picture is among the bad or repeated ones."""

    finding: str
    item: str
    what: str


class Mentions:
    """Rows of the pool as findings name them, at most `show` for each finding.

    Args:
        pool: all pictures.
        show: how many rows or groups each finding names.

    Attributes:
        marks: every picture that a finding is about, not only those that are named.
    """

    def __init__(self, pool: Pool, *, show: int) -> None:
        self.pool = pool
        self.show = show
        self.marks: list[Mark] = []

    def mark(self, finding: str, pairs: Iterable[tuple[int, int]]) -> None:
        """Keep that rows repeat others."""
        for row, origin in pairs:
            one, number = self.pool.place(row)
            other, place = self.pool.place(origin)
            what = f"as {other.where[place]}" if row != origin else "the first of them"
            self.marks.append(Mark(finding, one.items[number], what))

    def mark_bad(self, bad: BadRow) -> None:
        """Keep a picture that cannot be used."""
        if item := getattr(bad, "item", None):
            self.marks.append(Mark(bad.kind, item, bad.what))

    def item(self, rows: Iterable[int], *, count: int | None = None, what: str = "") -> dict[str, Any]:
        """Return an item of a finding: the first rows of a group, and how many there are."""
        rows = list(rows)
        found = {"rows": [self.row(row) for row in rows[:_NAMED]], "count": len(rows) if count is None else count}
        return {**found, "what": what} if what else found

    def row(self, row: int) -> dict[str, Any]:
        """Return what names a picture."""
        one, number = self.pool.place(row)
        return {
            "data": one.name,
            "where": one.where[number],
            "line": one.lines[number],
            "label": self.pool.label(row),
            "item": one.items[number],
        }


def bad_row(data: str, bad: BadRow) -> dict[str, Any]:
    """Return what names something that cannot be used, in the same form."""
    where = f"{bad.source}, {bad.where}".removesuffix(", ")
    return {"data": data, "where": where, "line": bad.line, "label": None, "item": getattr(bad, "item", "")}
