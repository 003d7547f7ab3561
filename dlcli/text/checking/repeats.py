"""Texts that stand more than once: in one data set, with other labels, in two data sets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dlcli.core.findings import Finding
from dlcli.text.checking.digest import Digest, IntArray
from dlcli.text.checking.mentions import Mentions

# Rows of a group that are named.
_NAMED = 3


class Groups:
    """Rows with the same key, in the order of their first rows.

    Args:
        keys: int64 (n,).
    """

    def __init__(self, keys: IntArray) -> None:
        self._order = np.argsort(keys, kind="stable")
        ordered = keys[self._order]
        self._starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])) if len(keys) else [])
        self._sizes = np.diff(np.append(self._starts, len(keys)))

    def __len__(self) -> int:
        return len(self._starts)

    def repeated(self) -> IntArray:
        """Return which groups have more than one row."""
        return self._by_first_row(self._sizes > 1)

    def differing(self, values: IntArray) -> IntArray:
        """Return which groups have rows of different values, int64 (n,)."""
        if not len(self):
            return np.empty(0, np.int64)
        ordered = values[self._order]
        return self._by_first_row(
            np.minimum.reduceat(ordered, self._starts) != np.maximum.reduceat(ordered, self._starts)
        )

    def rows(self, group: int) -> IntArray:
        """Return the rows of a group, in ascending order."""
        start = self._starts[group]
        return self._order[start : start + self._sizes[group]]

    def _by_first_row(self, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> IntArray:
        groups = np.flatnonzero(chosen)
        return groups[np.argsort(self._order[self._starts[groups]], kind="stable")]


def duplicates(data: Digest, mentions: Mentions) -> Iterator[Finding]:
    """Find texts that repeat an earlier one: exactly, or after normalising."""
    same, alike = Groups(data.keys), Groups(data.normal_keys)
    if count := len(data) - len(same):
        groups = same.repeated()
        yield Finding(
            name="duplicates",
            level="warning",
            data=(data.name,),
            count=count,
            text=f"{_texts(count)} {_repeat(count)} an earlier one exactly ({len(groups):,} different)",
            hint="The same text on both sides of a split makes the validation score too good: delete them",
            items=[_item(data, rows[:_NAMED], len(rows), mentions) for rows in map(same.rows, groups[: mentions.show])],
        )
    if count := len(same) - len(alike):
        groups = alike.differing(data.keys)[: mentions.show]
        yield Finding(
            name="near-duplicates",
            level="warning",
            data=(data.name,),
            count=count,
            text=f"{_texts(count, 'more ')} {_repeat(count)} an earlier one but for case, punctuation, HTML or space",
            hint="The same text on both sides of a split makes the validation score too good: delete them",
            items=[_item(data, _one_of_each(rows, data.keys), len(rows), mentions) for rows in map(alike.rows, groups)],
        )


def conflicts(data: Digest, mentions: Mentions) -> Iterator[Finding]:
    """Find the same text under different labels."""
    same, alike = Groups(data.keys), Groups(data.normal_keys)
    exact = len(same.differing(data.labels))
    groups = alike.differing(data.labels)
    if not len(groups):
        return
    yield Finding(
        name="conflicts",
        level="error",
        data=(data.name,),
        count=len(groups),
        text=f"{_texts(len(groups))} with more than one label ({exact:,} of them exactly the same text)",
        hint="Decide for one label, or delete them",
        items=[
            _item(data, _one_of_each(rows, data.labels), len(rows), mentions)
            for rows in map(alike.rows, groups[: mentions.show])
        ],
    )


def leaks(first: Digest, second: Digest, mentions: Mentions) -> Iterator[Finding]:
    """Find the texts of one data set that are in another one too."""
    shared = np.flatnonzero(np.isin(second.normal_keys, first.normal_keys))
    if not len(shared):
        return
    exact = int(np.isin(second.keys, first.keys).sum())
    order = np.argsort(first.normal_keys, kind="stable")
    origins = order[np.searchsorted(first.normal_keys[order], second.normal_keys[shared])]
    places = {name: place for place, name in enumerate(first.names)}
    labels = np.array([places.get(name, -1) for name in second.names], np.int64)[second.labels[shared]]
    others = int((labels != first.labels[origins]).sum())
    same = "it is the same file, " if first.path.samefile(second.path) else ""
    items = []
    for row, origin in list(zip(shared.tolist(), origins.tolist(), strict=True))[: mentions.show]:
        rows = [*mentions.of(second, [row]), *mentions.of(first, [origin])]
        items.append({"rows": rows, "count": 2, "exact": bool(first.keys[origin] == second.keys[row])})
    yield Finding(
        name="leaks",
        level="error",
        data=(first.name, second.name),
        count=len(shared),
        text=f"{same}{_texts(len(shared))} of {len(second):,} are in {first.name} too: {exact:,} exactly, "
        f"{len(shared) - exact:,} after normalising; {others:,} with another label",
        hint="A score on texts that were trained on says nothing: delete them from one of the two",
        items=items,
    )


def _item(data: Digest, rows: IntArray, count: int, mentions: Mentions) -> dict[str, object]:
    keys = data.keys[rows]
    return {"rows": mentions.of(data, rows.tolist()), "count": count, "exact": bool((keys == keys[0]).all())}


def _one_of_each(rows: IntArray, values: IntArray) -> IntArray:
    """Return the first rows of a group, one of each value."""
    _, first = np.unique(values[rows], return_index=True)
    return rows[np.sort(first)[:_NAMED]]


def _texts(count: int, which: str = "") -> str:
    return f"1 {which}text" if count == 1 else f"{count:,} {which}texts"


def _repeat(count: int) -> str:
    return "repeats" if count == 1 else "repeat"
