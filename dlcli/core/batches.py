"""The order of training, as a pure function of (seed, epoch): resuming needs no state but two numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

# How far an item's length is changed, up or down, before an epoch is sorted by length. Measured on 20,000 reviews in
# batches of 256: 5 % padding, and two items of a batch meet again in the next epoch with probability 0.3 (without it
# 3 % and 0.9, with 0.1 11 % and 0.1).
_JITTER = 0.03
# The most padded cells in a batch: a few very long items must not make the others' padding fill the memory.
MAX_CELLS = 4_000_000
# Widths are chosen among so many lengths at most, which takes some 20 ms; more gain nothing.
_MOST_CANDIDATES = 512


def bucket_widths(lengths: np.ndarray[Any, Any], *, most: int = 8) -> tuple[int, ...]:
    """Choose the widths to which items are padded, each item to the next one, so that padding is least.

    A model that is compiled anew for each shape it meets wants few of them. With these widths given to
    `training_batches` and `ordered_batches`, and each batch padded to the smallest width that holds it, there are at
    most `most` shapes of full batches, and one more of the batch that is not full.

    Args:
        lengths: int64, the size of each item.
        most: how many widths there may be, at least 1.

    Returns:
        the widths in ascending order; the last holds the longest item. Items without length count as of length 1.
    """
    sizes, counts = np.unique(np.maximum(lengths, 1), return_counts=True)
    if not len(sizes):
        return (1,)
    if len(sizes) > _MOST_CANDIDATES:
        sizes, counts = _thinned(sizes, counts)
    before = np.concatenate([[0], np.cumsum(counts)])
    # cells[first, last]: of all items from size number `first` to `last`, padded to the size of `last`.
    cells = (before[None, 1:] - before[:-1, None]) * sizes[None, :].astype(np.float64)
    cells[np.tril_indices(len(sizes), -1)] = np.inf
    # fewest[last]: of all items up to size number `last`, with as many widths as there were rounds.
    fewest, ends = cells[0], []
    for _ in range(min(most, len(sizes)) - 1):
        total = fewest[:-1, None] + cells[1:]
        ends.append(total.argmin(axis=0))
        fewest = total.min(axis=0)
    chosen = [len(sizes) - 1]
    for end in reversed(ends):
        chosen.append(int(end[chosen[-1]]))
    return tuple(int(sizes[number]) for number in reversed(chosen))


def _thinned(
    sizes: np.ndarray[Any, Any], counts: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Cut the items, sorted by size, into `_MOST_CANDIDATES` parts; count each part at its largest size."""
    parts = (np.cumsum(counts) - 1) * _MOST_CANDIDATES // counts.sum()
    last = np.append(parts[1:] != parts[:-1], True)
    return sizes[last], np.diff(np.cumsum(counts)[last], prepend=0)


def training_batches(
    lengths: np.ndarray[Any, Any], *, batch_size: int, seed: int, epoch: int, widths: tuple[int, ...] = ()
) -> list[np.ndarray[Any, Any]]:
    """Return the batches of an epoch, as row numbers.

    Items are sorted by a length that is changed a little at random and cut into batches, and the batches shuffled:
    rows of like length stand together and padding stays low, yet every epoch mixes them anew.

    With widths, items that are padded to the same one are not sorted among themselves: each meets each. A width's last
    batch is filled up with items of the next shorter one, so that only one batch of the epoch is not full, and that
    has the same size in every epoch.

    Args:
        lengths: int64, the size of each item.
        batch_size: items in a batch; fewer where they are very long.
        seed: of the run.
        epoch: counted from 0.
        widths: what batches are padded to (`bucket_widths`); without them each is to its longest item.

    Returns:
        every row once.
    """
    random = np.random.Generator(np.random.Philox(key=[seed, 1 + epoch]))
    shuffled = random.permutation(len(lengths))
    sizes: np.ndarray[Any, Any] = lengths[shuffled] * random.uniform(1 - _JITTER, 1 + _JITTER, len(lengths))
    if widths:
        sizes = np.searchsorted(widths, lengths[shuffled])
    batches = _cut(shuffled[np.argsort(sizes, kind="stable")], lengths, batch_size, widths)
    return [batches[number] for number in random.permutation(len(batches))]


def ordered_batches(
    lengths: np.ndarray[Any, Any], *, batch_size: int, widths: tuple[int, ...] = ()
) -> list[np.ndarray[Any, Any]]:
    """Return batches for a pass that only reads: all rows, sorted by length; see `training_batches`."""
    return _cut(np.argsort(lengths, kind="stable"), lengths, batch_size, widths)


def padded_width(longest: int, widths: tuple[int, ...]) -> int:
    """Return the smallest width that holds `longest`; `longest` itself where none does."""
    return next((width for width in widths if width >= longest), max(1, longest))


def _cut(
    rows: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any], batch_size: int, widths: tuple[int, ...] = ()
) -> list[np.ndarray[Any, Any]]:
    """Cut rows, sorted by length or width, into batches of at most `batch_size` rows and `MAX_CELLS` cells."""
    batches, end = [], len(rows)
    while end:
        start = max(0, end - batch_size)
        longest = padded_width(int(lengths[rows[start:end]].max()), widths)
        start = max(start, end - max(1, MAX_CELLS // longest))
        batches.append(rows[start:end])
        end = start
    return batches
