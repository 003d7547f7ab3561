"""Pictures that stand more than once: in one data set, with other labels, in two data sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dlcli.core.findings import Finding, Level
from dlcli.vision.checking.mentions import Mentions
from dlcli.vision.checking.pool import Pool

_TWICE = "The same picture on both sides of a split makes the validation score too good: delete the copies"


def duplicates(pool: Pool, which: int, mentions: Mentions) -> Iterator[Finding]:
    """Find pictures of one data set that repeat an earlier one: the same bytes or pixels, or nearly the same."""
    rows, name = pool.rows(which), pool.data[which].name
    same = pool.repeated(pool.pixel_keys, rows)
    if same:
        count = sum(len(group) - 1 for group in same)
        bytes_ = sum(len(group) - len(set(pool.keys[group].tolist())) for group in same)
        text = f"{_pictures(count)} {_repeat(count)} an earlier one pixel for pixel ({bytes_:,} as the same file)"
        mentions.mark("duplicates", ((row, group[0]) for group in same for row in group[1:]))
        yield _finding("duplicates", (name,), count, text, _TWICE, items=_groups(pool, same, mentions))
    near = [_one_of_each(group, pool.pixel_keys) for group in pool.repeated(pool.groups, rows)]
    near = [group for group in near if len(group) > 1]
    if near:
        count = sum(len(group) - 1 for group in near)
        text = (
            f"{_pictures(count, 'more ')} {_repeat(count)} an earlier one but for encoding, size, light, mirror or crop"
        )
        mentions.mark("near-duplicates", ((row, group[0]) for group in near for row in group[1:]))
        yield _finding("near-duplicates", (name,), count, text, _TWICE, items=_groups(pool, near, mentions))


def conflicts(pool: Pool, which: int, mentions: Mentions) -> Iterator[Finding]:
    """Find the same picture under different labels; of near duplicates that is a warning."""
    rows, one = pool.rows(which), pool.data[which]
    labels = np.concatenate([d.labels for d in pool.data])

    def differing(keys: Any) -> list[list[int]]:
        return [group for group in pool.repeated(keys, rows) if len(set(labels[group].tolist())) > 1]

    same = differing(pool.pixel_keys)
    known = {int(pool.groups[group[0]]) for group in same}
    near = [group for group in differing(pool.groups) if int(pool.groups[group[0]]) not in known]
    kinds: tuple[tuple[str, Level, list[list[int]], str], ...] = (
        ("conflicts", "error", same, "with more than one label"),
        (
            "near-conflicts",
            "warning",
            near,
            "with more than one label, the same but for encoding, size, light, mirror or crop",
        ),
    )
    for name, level, groups, text in kinds:
        if groups:
            mentions.mark(name, ((row, group[0]) for group in groups for row in group))
            shown = [_one_of_each(group, labels) for group in groups]
            hint = "Decide for one label, or delete them" if level == "error" else "Look at them: is one label wrong?"
            items = _groups(pool, shown, mentions, counts=[len(group) for group in groups])
            text = f"{_pictures(len(groups))} {text}"
            yield _finding(name, (one.name,), len(groups), text, hint, level=level, items=items)


def leaks(pool: Pool, first: int, second: int, mentions: Mentions) -> Iterator[Finding]:
    """Find the pictures of one data set that are in another one too."""
    a, b = pool.rows(first), pool.rows(second)
    names = (pool.data[first].name, pool.data[second].name)
    if not len(a) or not len(b):
        return
    others = np.arange(b.start, b.stop)
    shared = others[np.isin(pool.groups[others], pool.groups[a.start : a.stop])]
    exact = np.isin(pool.pixel_keys[shared], pool.pixel_keys[a.start : a.stop])
    same_file = int(np.isin(pool.keys[shared], pool.keys[a.start : a.stop]).sum())
    for name, rows, how in (
        ("leaks", shared[exact].tolist(), f"pixel for pixel ({same_file:,} as the same file)"),
        ("near-leaks", shared[~exact].tolist(), "but for encoding, size, light, mirror or crop"),
    ):
        if rows:
            pairs = [(row, pool.nearest(row, a)) for row in rows]
            other = sum(pool.label(row) != pool.label(origin) for row, origin in pairs)
            are = "is" if len(rows) == 1 else "are"
            text = f"{_pictures(len(rows))} of {len(b):,} {are} in {names[0]} too, {how}; {other:,} with another label"
            if name == "leaks" and pool.data[first].path.samefile(pool.data[second].path):
                text = f"it is the same data, {text}"
            mentions.mark(name, pairs)
            hint = "A score on pictures that were trained on says nothing: delete them from one of the two"
            items = [mentions.item(pair) for pair in pairs[: mentions.show]]
            yield _finding(name, names, len(rows), text, hint, level="error", items=items)


def _groups(
    pool: Pool, groups: Sequence[list[int]], mentions: Mentions, *, counts: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    sizes = counts or [len(group) for group in groups]
    shown = list(zip(groups, sizes, strict=True))[: mentions.show]
    return [
        {**mentions.item(group, count=size), "exact": len(set(pool.pixel_keys[group].tolist())) == 1}
        for group, size in shown
    ]


def _one_of_each(group: list[int], values: Any) -> list[int]:
    _, first = np.unique(values[group], return_index=True)
    return [group[place] for place in sorted(first.tolist())]


def _finding(
    name: str, data: tuple[str, ...], count: int, text: str, hint: str, *, level: Level = "warning", items: Any
) -> Finding:
    return Finding(name=name, level=level, data=data, count=count, text=text, hint=hint, items=items)


def _pictures(count: int, which: str = "") -> str:
    return f"1 {which}picture" if count == 1 else f"{count:,} {which}pictures"


def _repeat(count: int) -> str:
    return "repeats" if count == 1 else "repeat"
