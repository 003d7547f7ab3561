"""Labelled items, streamed past the runs that answer them: of an item its label and numbers are kept, not itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.dataset import Fingerprint, LabelledItem, label_ids
from dlcli.errors import DataError, nearest

IntArray = npt.NDArray[np.int64]
# Items that are answered together, at most.
CHUNK = 16_384
# A column with more values than this is a number or a text: nothing to slice by.
_MOST_VALUES = 10_000


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some consecutive items, their label ids, int (n,), the cells that stand beside each, and where each stands."""

    items: list[str]
    labels: IntArray
    cells: list[dict[str, Any]]
    where: list[str]


class Answerer:
    """A run that answers items, with its classes in another run's order.

    Args:
        path: a finished run.
        names: the labels, all of which it must know.
        tta: draws of each item that are averaged: see `Predictor`.
    """

    def __init__(self, path: Path, names: Sequence[str], *, tta: int = 1) -> None:
        from dlcli.serving.predictor import Predictor

        self.predictor = Predictor(path, tta=tta)
        self.probabilistic = self.predictor.probabilistic
        self._order = [self.predictor.labels.index(name) for name in names]

    def __call__(self, items: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the outputs, float32 (n, classes), in the order of the names."""
        outputs: npt.NDArray[np.float32] = self.predictor.outputs(items)[:, self._order]
        return outputs


def require_same_labels(first: Path, names: Sequence[str], second: Path, others: Sequence[str]) -> None:
    """Raise a `DataError` that shows the difference when two runs know other labels."""
    only = [
        f"only {run} has {', '.join(map(repr, sorted(some)[:5]))}" + (" ..." if len(some) > 5 else "")
        for run, some in ((first, set(names) - set(others)), (second, set(others) - set(names)))
        if some
    ]
    if only:
        raise DataError(f"{first} and {second} have different labels: {'; '.join(only)}", hint="Name runs of one task")


class LabelledStream:
    """Labelled items in chunks; what is to be known of all of them is gathered as they pass.

    Args:
        rows: the items.
        path: where they come from, for errors.
        names: the labels that the model knows; an id is a place in them.
        slices: columns whose values are kept.

    Raises:
        UsageError: the path does not exist.
        DataError: the first rows are not as expected; later ones raise as they come.
    """

    def __init__(
        self, rows: Iterator[LabelledItem], path: Path, names: Sequence[str], *, slices: Sequence[str] = ()
    ) -> None:
        self.path = path
        self.names = names
        self.slices = {column: Slices(column) for column in slices}
        self.n = 0
        self.blank = 0
        self.some_blank: list[str] = []
        self._labels: list[IntArray] = []
        self._fingerprint = Fingerprint()
        self._rows = rows
        self._first = self._next()

    @property
    def labels(self) -> IntArray:
        """The label ids of all items that have passed, int (n,)."""
        return np.concatenate(self._labels)

    @property
    def fingerprint(self) -> str:
        """That of all items that have passed: the value of `core.dataset.fingerprint`."""
        return self._fingerprint.hexdigest()

    @property
    def columns(self) -> list[str]:
        """The names of what stands beside the first item."""
        return list(self._first.cells[0]) if self._first else []

    def __iter__(self) -> Iterator[Chunk]:
        chunk = self._first
        while chunk is not None:
            yield chunk
            chunk = self._next()

    def _next(self) -> Chunk | None:
        rows = list(itertools.islice(self._rows, CHUNK))
        if not rows:
            return None
        labels = [row.label for row in rows]
        chunk = Chunk(
            items=[row.item for row in rows],
            labels=label_ids(labels, self.names, where=str(self.path)),
            cells=[row.cells for row in rows],
            where=[row.where for row in rows],
        )
        for slices in self.slices.values():
            slices.add(self.path, chunk.cells)
        blank = [row.where for row in rows if row.blank]
        self.blank += len(blank)
        self.some_blank = (self.some_blank + blank)[:3]
        self.n += len(rows)
        self._labels.append(chunk.labels)
        self._fingerprint.update((row.content for row in rows), labels)
        return chunk


def answered(stream: LabelledStream, runs: Sequence[Answerer]) -> Iterator[tuple[Chunk, list[npt.NDArray[np.float32]]]]:
    """Yield each chunk with the outputs of each run, float32 (n, classes).

    Raises:
        BadPictures: pictures cannot be decoded; those of later chunks are named too.
    """
    from dlcli.vision.screening import all_named

    chunks = iter(stream)
    for chunk in chunks:
        with all_named(item for some in itertools.chain([chunk], chunks) for item in some.items):
            outputs = [run(chunk.items) for run in runs]
        yield chunk, outputs


class Slices:
    """The values of one column, each kept once, and for each item which one it has.

    Args:
        column: its name.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self._known: dict[str, int] = {}
        self._codes: list[IntArray] = []

    @property
    def values(self) -> list[str]:
        """The different values, in the order in which they came."""
        return list(self._known)

    @property
    def codes(self) -> IntArray:
        """A place in `values` for each item, int (n,)."""
        return np.concatenate(self._codes)

    def add(self, path: Path, cells: list[dict[str, Any]]) -> None:
        """Take in the cells of more items."""
        if not self._codes and self.column not in cells[0]:
            raise DataError(
                f"{path} has no column {self.column!r} to slice by; its columns are: {', '.join(cells[0])}",
                hint=hint if (hint := nearest(self.column, cells[0])).startswith("Did") else "",
            )
        values = (_shown(row.get(self.column)) for row in cells)
        known = self._known
        codes = np.fromiter((known.setdefault(value, len(known)) for value in values), np.int64, len(cells))
        if len(known) > _MOST_VALUES:
            raise DataError(
                f"{path}: column {self.column!r} has more than {_MOST_VALUES:,} different values",
                hint="Slice by a column of groups",
            )
        self._codes.append(codes)


def _shown(value: Any) -> str:
    return "(empty)" if value is None or value == "" else str(value)
