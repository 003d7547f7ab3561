"""The rows that a report names: numbers at first, then line, label and excerpt, from one more pass over the data."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dlcli.core.lines import BadRow
from dlcli.text.checking.digest import Digest, recall
from dlcli.text.config import TextDataConfig

_SURROGATES = re.compile("[\ud800-\udfff]")
# Characters of an excerpt.
_WIDTH = 60
# Characters among which its words are looked for: a text may begin with white space.
_BEGINNING = 500


class Mentions:
    """Rows of data sets that findings name, at most `show` for each finding.

    Args:
        columns: where text and label stand.
        show: how many each finding names.
    """

    def __init__(self, columns: TextDataConfig, *, show: int) -> None:
        self.show = show
        self._columns = columns
        self._data: dict[str, Digest] = {}
        self._pending: dict[str, dict[int, list[dict[str, Any]]]] = {}

    def of(self, data: Digest, rows: Iterable[int]) -> list[dict[str, Any]]:
        """Return a dictionary for each row, counted from 0; `fill` completes them."""
        self._data[data.name] = data
        pending = self._pending.setdefault(data.name, {})
        named: list[dict[str, Any]] = []
        for row in rows:
            named.append({"data": data.name})
            pending.setdefault(row, []).append(named[-1])
        return named

    def of_bad(self, data: Digest, bad: BadRow) -> dict[str, Any]:
        """Return what is known of a bad row, in the same form."""
        in_folder = bad.source != data.path and data.path.is_dir()
        where = f"{bad.source}, {bad.where}".removesuffix(", ") if in_folder else bad.where
        return {"data": data.name, "where": clean(where), "line": bad.line, "excerpt": excerpt(bad.excerpt)}

    def fill(self) -> None:
        """Read the rows once more and say where they stand."""
        for name, pending in self._pending.items():
            for row, found in recall(self._data[name], self._columns, set(pending)).items():
                for named in pending[row]:
                    named |= {
                        "where": clean(found.where),
                        "line": found.line,
                        "label": clean(found.label),
                        "excerpt": excerpt(found.item),
                    }


def excerpt(text: str) -> str:
    """Return the beginning of a text on one line."""
    words = clean(" ".join(text[:_BEGINNING].split()))
    return words if len(words) <= _WIDTH else words[: _WIDTH - 3].rstrip() + "..."


def clean(text: str) -> str:
    """Return a text that every encoding can write: what could not be decoded is marked."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)
