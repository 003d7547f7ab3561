"""All pictures of all data sets of one check, and which of them are the same or copies of each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dlcli.core.progress import Progress
from dlcli.vision.checking.digest import IntArray, PictureDigest, settle_pixels
from dlcli.vision.checking.likeness import near_duplicates


class Pool:
    """Rows of several data sets, one behind the other.

    Args:
        data: the data sets.
        exact: pictures are the same only when their pixels are equal.
        progress: told of pictures compared.

    Attributes:
        starts: the first row of each data set, and the end, int64.
        keys: equal for files of the same bytes, int64 (n,).
        pixel_keys: equal for the same pixels, int64 (n,).
        groups: equal for the same picture, near duplicates among them, int64 (n,).
    """

    def __init__(self, data: Sequence[PictureDigest], *, exact: bool, progress: Progress) -> None:
        self.data = data
        if any(len(one) for one in data):
            settle_pixels(data)
        self.starts = np.cumsum([0, *(len(one) for one in data)])
        self.keys = np.concatenate([one.keys for one in data])
        self.pixel_keys = np.concatenate([one.pixel_keys for one in data])
        self._partners: dict[int, list[int]] = {}
        _, first, self.groups = np.unique(self.pixel_keys, return_index=True, return_inverse=True)
        if not exact and len(first) > 1:
            self._join(first, progress)

    def _join(self, first: IntArray, progress: Progress) -> None:
        """Make one group of the pictures that are near duplicates; `first` rows stand for all of the same pixels."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        rows = np.sort(first)
        progress.begin("comparing", len(rows))
        grays, colours = (
            np.concatenate([getattr(one, name) for one in self.data])[rows] for name in ("grays", "colours")
        )
        pairs = near_duplicates(grays, colours, advance=progress.advance)
        ends = (self.groups[rows[pairs.first]], self.groups[rows[pairs.second]])
        for a, b in zip(rows[pairs.first].tolist(), rows[pairs.second].tolist(), strict=True):
            self._partners.setdefault(int(self.groups[a]), []).append(b)
            self._partners.setdefault(int(self.groups[b]), []).append(a)
        graph = coo_array((np.ones(len(pairs.first), np.int8), ends), shape=(len(first), len(first)))
        self._fine = self.groups
        self.groups = connected_components(graph, directed=False)[1].astype(np.int64)[self.groups]

    def rows(self, which: int) -> range:
        """Return the rows of a data set."""
        return range(int(self.starts[which]), int(self.starts[which + 1]))

    def place(self, row: int) -> tuple[PictureDigest, int]:
        """Return the data set of a row, and the picture's number in it."""
        which = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.data[which], row - int(self.starts[which])

    def label(self, row: int) -> str:
        """Return a picture's label."""
        one, number = self.place(row)
        return one.names[int(one.labels[number])]

    def repeated(self, keys: IntArray, rows: Iterable[int]) -> list[list[int]]:
        """Return the rows of each key that more than one of `rows` has, in the order of their first rows."""
        wanted = np.fromiter(rows, np.int64)
        order = wanted[np.argsort(keys[wanted], kind="stable")]
        cuts = np.flatnonzero(np.diff(keys[order])) + 1
        return sorted(part.tolist() for part in np.split(order, cuts) if len(part) > 1)

    def nearest(self, row: int, among: range) -> int:
        """Return the row among others that a row repeats: of the same bytes, the same pixels, or a near duplicate."""
        others = np.arange(among.start, among.stop)
        for keys in (self.keys, self.pixel_keys):
            if len(found := others[keys[others] == keys[row]]):
                return int(found[0])
        fine = getattr(self, "_fine", self.groups)
        direct: list[Any] = [other for other in self._partners.get(int(fine[row]), []) if other in among]
        return int(min(direct)) if direct else int(others[self.groups[others] == self.groups[row]][0])
