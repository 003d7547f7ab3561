"""The labelled items that a report is about, answered: their labels and outputs, and the few that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.dataset import IntArray

MOST_MISTAKES = 10
# Examples are shown of so many classes, so many of each.
_CLASSES, _EACH = 12, 2


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A wrong answer.

    Attributes:
        item: a text, or the path of a picture.
        where: it stands; empty where that is not known.
        label: the true class.
        predicted: what it was taken for.
        sureness: the probability of `predicted`; of scores, how far it is above the true class.
    """

    item: str
    where: str
    label: int
    predicted: int
    sureness: float


@dataclass(kw_only=True)
class Answered:
    """Items that were answered, fed piece by piece.

    Attributes:
        classes: how many there are.
        probabilistic: whether outputs are probabilities.
        labels: int (n,), the true class of each.
        outputs: float (n, classes).
        known: how many items were there to be shown; the others are known by their answers alone.
        mistakes: the surest wrong answers, the surest first.
        examples: for some classes the first items.
    """

    classes: int
    probabilistic: bool
    labels: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    outputs: npt.NDArray[Any] = field(init=False)
    known: int = 0
    mistakes: list[Mistake] = field(default_factory=list)
    examples: dict[int, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outputs = np.empty((0, self.classes), np.float32)

    @property
    def predicted(self) -> IntArray:
        """The class that each item is taken for, int (n,)."""
        best: IntArray = self.outputs.argmax(axis=1)
        return best

    def add(
        self,
        labels: IntArray,
        outputs: npt.NDArray[Any],
        *,
        items: Sequence[str] = (),
        where: Sequence[str] = (),
    ) -> None:
        """Take in more answers.

        Args:
            labels: int (m,).
            outputs: float (m, classes).
            items: the m items, or none where they are not known.
            where: each stands.
        """
        self.labels = np.concatenate([self.labels, labels])
        self.outputs = np.concatenate([self.outputs, outputs])
        self.known += len(items)
        if not items:
            return
        predicted = outputs.argmax(axis=1)
        rows = np.arange(len(labels))
        sureness = outputs[rows, predicted]
        if not self.probabilistic:
            sureness = sureness - outputs[rows, labels]
        wrong = np.flatnonzero(predicted != labels)
        worst = wrong[np.argsort(-sureness[wrong], kind="stable")][:MOST_MISTAKES]
        self.mistakes += [
            Mistake(
                item=items[row],
                where=where[row] if where else "",
                label=int(labels[row]),
                predicted=int(predicted[row]),
                sureness=float(sureness[row]),
            )
            for row in worst.tolist()
        ]
        self.mistakes = sorted(self.mistakes, key=lambda mistake: -mistake.sureness)[:MOST_MISTAKES]
        for label in range(min(self.classes, _CLASSES)):
            shown = self.examples.setdefault(label, [])
            shown += [items[row] for row in np.flatnonzero(labels == label)[: _EACH - len(shown)].tolist()]
