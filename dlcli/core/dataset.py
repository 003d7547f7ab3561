"""Items with labels: label names, the seeded split, and the fingerprint of the data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dlcli.core.folders import natural_key
from dlcli.errors import DataError, UsageError, nearest

IntArray = npt.NDArray[np.int64]


class LabelledItem(Protocol):
    """One item with its label, as a domain reads it."""

    @property
    def item(self) -> str:
        """A text, or the path of a picture."""

    @property
    def label(self) -> str:
        """The name of its class."""

    @property
    def where(self) -> str:
        """Where it stands, as messages name it."""

    @property
    def cells(self) -> dict[str, Any]:
        """What stands beside it: the cells of its row, or the name of its file."""

    @property
    def content(self) -> str:
        """What the fingerprint of the data is made of."""

    @property
    def blank(self) -> bool:
        """Whether there is nothing in it."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which items train and which validate, as row numbers in ascending order."""

    training: IntArray
    validation: IntArray


@dataclass(frozen=True, kw_only=True)
class Side:
    """Raw items, such as texts or paths of pictures, with the label id of each."""

    items: list[str]
    labels: IntArray


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """What a run learns from and what it validates on.

    Attributes:
        names: the label names; an id is a place in them.
        training: what to learn from.
        validation: what picks the best epoch.
        fingerprint: SHA-256 over all items and labels in their order.
        skipped: what was left out, a record for each item.
        settings: what the data decides of the settings that nobody gave.
        repeated: items that equal one before them, in the data that was split or is trained on.
        blank: items that were left out because there is nothing in them.
    """

    names: list[str]
    training: Side
    validation: Side
    fingerprint: str
    skipped: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    repeated: int = 0
    blank: int = 0


def label_names(labels: Iterable[str], *, where: str) -> list[str]:
    """Return the distinct labels in natural order: `class_2` before `class_10`.

    Args:
        labels: one for each item.
        where: what to call the data in the error.

    Raises:
        DataError: there are fewer than two.
    """
    names = sorted(set(labels), key=natural_key)
    if len(names) < 2:
        raise DataError(
            f"{where}: expected at least two classes, found {len(names)}" + (f": {names[0]!r}" if names else ""),
            hint="Check the labels, or add items of other classes",
        )
    return names


def label_ids(labels: Sequence[str], names: Sequence[str], *, where: str) -> IntArray:
    """Match labels to the names that a model knows.

    Args:
        labels: one for each item.
        names: the known names; an id is a place in them.
        where: what to call the data in the error.

    Returns:
        the id of each label.

    Raises:
        DataError: a label that is not among `names`.
    """
    known = {name: number for number, name in enumerate(names)}
    unknown = sorted(set(labels) - known.keys())
    if unknown:
        raise DataError(
            f"{where} has labels that the model does not know: {', '.join(map(repr, unknown[:5]))}"
            + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""),
            hint=f"The model's labels: {', '.join(names[:20])}",
        )
    return np.fromiter((known[label] for label in labels), dtype=np.int64, count=len(labels))


def split(
    groups: Sequence[str], labels: IntArray, names: Sequence[str], *, share: float | int, seed: int, where: str
) -> Split:
    """Split items into training and validation, stratified, with equal items on one side.

    Args:
        groups: what identifies each item; items with the same value stay together.
        labels: the label id of each item.
        names: the label names, for errors.
        share: of each class, to validate on (float), or the number of items in all (int).
        seed: of the draw; the split is a function of the items and of it.
        where: what to call the data in errors.

    Returns:
        the two sides; each class is on both.

    Raises:
        DataError: a class with fewer than two different items.
    """
    first: dict[str, int] = {}
    group_of = np.fromiter((first.setdefault(group, row) for row, group in enumerate(groups)), np.int64, len(groups))
    fraction = share if isinstance(share, float) else share / len(groups)
    if fraction >= 1:
        raise UsageError(f"--val-split {share} would leave nothing to train on: there are {len(groups)} items")
    sizes = np.bincount(group_of, minlength=len(groups))
    order = np.random.Generator(np.random.Philox(key=[seed, 0])).permutation(len(groups))
    leaders = order[sizes[order] > 0]
    validation_group = np.zeros(len(groups), dtype=bool)
    for label, name in enumerate(names):
        candidates = leaders[labels[leaders] == label]
        if len(candidates) < 2:
            raise DataError(
                f"{where}: class {name!r} has {int(np.sum(labels == label))} item(s), {len(candidates)} of them "
                "different; a split needs at least two",
                hint="Check the labels, add items, or give validation data with --val",
            )
        wanted = max(1, round(fraction * int(sizes[candidates].sum())))
        taken = np.cumsum(sizes[candidates])
        count = min(max(1, int(np.searchsorted(taken, wanted, side="right"))), len(candidates) - 1)
        validation_group[candidates[:count]] = True
    is_validation = validation_group[group_of]
    return Split(training=np.flatnonzero(~is_validation), validation=np.flatnonzero(is_validation))


class Fingerprint:
    """A SHA-256 over items and labels in their order, fed piece by piece."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def update(self, items: Iterable[str], labels: Iterable[str]) -> None:
        """Take in more items, with the label of each."""
        for item, label in zip(items, labels, strict=True):
            for part in (item.encode("utf-8", "surrogatepass"), label.encode("utf-8", "surrogatepass")):
                self._digest.update(b"%d:%b" % (len(part), part))

    def hexdigest(self) -> str:
        """Return the value of all that was taken in."""
        return self._digest.hexdigest()


def fingerprint(items: Iterable[str], labels: Iterable[str]) -> str:
    """Return the SHA-256 over items and labels in their order: the same data, the same value."""
    digest = Fingerprint()
    digest.update(items, labels)
    return digest.hexdigest()


def class_weights(text: str, labels: IntArray, names: Sequence[str]) -> npt.NDArray[np.float32] | None:
    """Read `--class-weight`.

    Args:
        text: `none`, `balanced`, or `name=weight,...` (a class that is not named weighs 1).
        labels: the label id of each training item.
        names: the label names.

    Returns:
        the weight of each class, or None when all weigh the same. `balanced` is
        `items / (classes * items of the class)`, as in scikit-learn.

    Raises:
        UsageError: a class that is not there, or is there twice, or what is no positive number.
    """
    if text == "none":
        return None
    if text == "balanced":
        counts = np.bincount(labels, minlength=len(names))
        return (len(labels) / (len(names) * np.maximum(counts, 1))).astype(np.float32)
    given: dict[str, float] = {}
    for part in text.split(","):
        name, separator, number = part.rpartition("=")
        if not separator:
            raise UsageError(f"--class-weight: expected 'balanced' or 'name=weight,...', got {text!r}")
        if name in given:
            raise UsageError(f"--class-weight: {name!r} stands there twice")
        if name not in names:
            raise UsageError(f"--class-weight: there is no class {name!r}", hint=nearest(name, names))
        try:
            given[name] = float(number)
        except ValueError:
            raise UsageError(f"--class-weight: expected a number for {name!r}, got {number!r}") from None
    with np.errstate(over="ignore"):  # What is too large for float32 becomes infinite, and is refused.
        weights = np.array([given.get(name, 1.0) for name in names], np.float32)
    if not np.all(np.isfinite(weights) & (weights > 0)):
        raise UsageError(f"--class-weight: weights must be positive numbers, got {text!r}")
    return weights
