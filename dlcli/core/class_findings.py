"""What a check says of classes: too few of them, too small to learn, far larger than others, unknown to another set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dlcli.core.findings import Finding, Level

# A class with fewer items than this has at most one to validate on, where a tenth is split off.
_FEW = 10
# From here on a model that knows only the large class scores 91 % of accuracy; `--class-weight balanced` helps.
_IMBALANCE = 10

Named = Callable[[Sequence[str]], list[dict[str, Any]]]
"""Returns an item of a finding for each of some classes: its first row."""


def class_findings(
    counts: Mapping[str, int], *, data: str, things: str, rows: str, distinct: Mapping[str, int] | None, named: Named
) -> Iterator[Finding]:
    """Say what is wrong with the classes of one data set.

    Args:
        counts: how many items each class has.
        data: name of the data set.
        things: what the items are: `texts`.
        rows: what they are counted in: `rows`.
        distinct: how many different ones each class has, of the data that is trained on; None for others.
        named: the classes' first rows.
    """
    lonely = [name for name, number in distinct.items() if number < 2] if distinct is not None else []
    if distinct is not None:
        yield from _learnable(counts, lonely, data=data, things=things, rows=rows, named=named)
    if few := [name for name, number in counts.items() if number < _FEW and name not in lonely]:
        text = f"fewer than {_FEW} {rows} in {listed(few, counts)}"
        yield _finding("rare-classes", data, len(few), text, f"Scores of such a class are luck: add {things}")
    spellings: dict[str, list[str]] = {}
    for name in counts:
        spellings.setdefault("".join(name.casefold().split()), []).append(name)
    if alike := [names for names in spellings.values() if len(names) > 1]:
        text = "classes that differ only by case or space: " + "; ".join(listed(names, counts) for names in alike)
        yield _finding("similar-classes", data, len(alike), text, "If they are one class, spell it in one way")


def _learnable(
    counts: Mapping[str, int], lonely: Sequence[str], *, data: str, things: str, rows: str, named: Named
) -> Iterator[Finding]:
    """Say why not all classes can be learned, or not well: `lonely` ones have fewer than two different items."""
    if len(counts) == 1:
        # A folder has no column to name.
        hint = "Expected at least two" + ("; --label-column names them" if rows == "rows" else "")
        yield _finding("one-class", data, 1, f"only one class, {next(iter(counts))!r}", hint, level="error")
    if lonely:
        yield _finding(
            "small-classes",
            data,
            len(lonely),
            f"fewer than two different {things} in {listed(lonely, counts)}",
            f"A class needs a {things[:-1]} to train on and one to validate on: add {things}, or delete the class",
            level="error",
            items=named(lonely),
        )
    largest, smallest = max(counts, key=lambda name: counts[name]), min(counts, key=lambda name: counts[name])
    if len(counts) > 1 and counts[largest] >= _IMBALANCE * counts[smallest]:
        text = f"{largest!r} has {counts[largest] / counts[smallest]:,.0f} times the {rows} of {smallest!r}"
        hint = "Train with --class-weight balanced, and judge by f1_macro, not by accuracy"
        yield _finding("imbalance", data, 1, text, hint)


def label_findings(
    first: Mapping[str, int], other: Mapping[str, int], *, data: tuple[str, str], rows: str, named: Named
) -> Iterator[Finding]:
    """Say in which classes two data sets differ.

    Args:
        first: classes of the data set that is trained on, with their numbers.
        other: those of another one.
        data: the names of both.
        rows: what they are counted in: `rows`.
        named: the first rows of classes of the other one.
    """
    if not first or not other:
        return
    if unknown := [name for name in other if name not in first]:
        yield Finding(
            name="unknown-classes",
            level="error",
            data=data,
            count=len(unknown),
            text=f"classes that {data[0]} does not have: {listed(unknown, other)}",
            hint="What was not trained on cannot be predicted: evaluate refuses such data",
            items=named(unknown),
        )
    if missing := [name for name in first if name not in other]:
        yield Finding(
            name="missing-classes",
            level="warning",
            data=data,
            count=len(missing),
            text=f"no {rows} of classes that {data[0]} has: {listed(missing, first)}",
            hint="A score on it says nothing of them",
        )


def listed(names: Sequence[str], counts: Mapping[str, int]) -> str:
    """Return some classes with their numbers."""
    shown = [f"{name!r} ({counts[name]:,})" for name in names[:5]]
    return ", ".join(shown) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")


def _finding(
    name: str, data: str, count: int, text: str, hint: str, *, level: Level = "warning", items: Any = ()
) -> Finding:
    return Finding(name=name, level=level, data=(data,), count=count, text=text, hint=hint, items=list(items))
