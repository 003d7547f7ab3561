"""The order of training, as a pure function of (seed, epoch): resuming needs no state but two numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

# Batches whose items are sorted by length together: enough to leave little padding, few enough to mix the order.
POOL = 40
# The most padded cells in a batch: a few very long items must not make the others' padding fill the memory.
MAX_CELLS = 4_000_000


def training_batches(
    lengths: np.ndarray[Any, Any], *, batch_size: int, seed: int, epoch: int
) -> list[np.ndarray[Any, Any]]:
    """Return the batches of an epoch, as row numbers.

    Items are shuffled, sorted by length within pools, cut into batches, and the batches shuffled: rows of like length
    stand together and padding stays low, yet every epoch mixes them anew.

    Args:
        lengths: int64, the size of each item.
        batch_size: items in a batch; fewer where they are very long.
        seed: of the run.
        epoch: counted from 0.

    Returns:
        every row once.
    """
    random = np.random.Generator(np.random.Philox(key=[seed, 1 + epoch]))
    order = random.permutation(len(lengths))
    batches: list[np.ndarray[Any, Any]] = []
    for start in range(0, len(order), POOL * batch_size):
        batches += _cut(order[start : start + POOL * batch_size], lengths, batch_size)
    return [batches[number] for number in random.permutation(len(batches))]


def ordered_batches(lengths: np.ndarray[Any, Any], *, batch_size: int) -> list[np.ndarray[Any, Any]]:
    """Return batches for a pass that only reads: all rows, sorted by length; see `training_batches`."""
    return _cut(np.arange(len(lengths)), lengths, batch_size)


def _cut(rows: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any], batch_size: int) -> list[np.ndarray[Any, Any]]:
    """Sort rows by length and cut them into batches of at most `batch_size` rows and `MAX_CELLS` cells."""
    rows = rows[np.argsort(lengths[rows], kind="stable")]
    batches, end = [], len(rows)
    while end:
        longest = max(1, int(lengths[rows[end - 1]]))
        start = max(0, end - min(batch_size, max(1, MAX_CELLS // longest)))
        batches.append(rows[start:end])
        end = start
    return batches
