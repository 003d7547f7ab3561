"""Random numbers that are a function of (seed, epoch, item): no state, so no order of work can change them.

Philox4x32-10 (Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3) turns a counter and a key into four
words. NumPy's own Philox makes one stream at a time; here it is computed for all items of a batch at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)
_WEYL = np.array([[0x9E3779B9], [0xBB67AE85]], np.uint64)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ROUNDS = 10


def philox4x32(counters: Array, key: Array) -> Array:
    """Return the words of counters.

    Args:
        counters: uint64 (4, n), each below 2**32.
        key: uint64 (2,), each below 2**32.

    Returns:
        uint64 (4, n), each below 2**32.
    """
    multiplied, mixed = counters[0::2], counters[1::2]
    keys = key[:, None]
    for _ in range(_ROUNDS):
        products = multiplied * _MULTIPLIERS
        multiplied, mixed = (products >> _HALF)[::-1] ^ mixed ^ keys, (products & _LOW)[::-1]
        keys = (keys + _WEYL) & _LOW
    return np.stack([multiplied[0], mixed[0], multiplied[1], mixed[1]])


def uniforms(items: Array, count: int, *, seed: int, epoch: int | Array, stream: int = 0) -> Array:
    """Return uniform numbers for items.

    Args:
        items: int64 or uint64 (n,), what tells the items apart.
        count: numbers for each item; more of them change none of the first.
        seed: of the run, 64 bits of it count.
        epoch: from 0, below 2**32; or int64 (n,), one for each item.
        stream: tells uses apart, below 2**16.

    Returns:
        float64 (n, count), between 0 and 1, neither of them.
    """
    blocks = -(-count // 4)
    low, high = items.astype(np.uint64) & _LOW, items.astype(np.uint64) >> _HALF
    counters = np.empty((4, len(items), blocks), np.uint64)
    counters[0], counters[1] = low[:, None], high[:, None]
    counters[2] = np.asarray(epoch, np.uint64).reshape(-1, 1)
    counters[3] = np.arange(blocks, dtype=np.uint64) + np.uint64(stream << 16)
    key = np.array([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF], np.uint64)
    words = philox4x32(counters.reshape(4, -1), key).reshape(4, len(items), blocks)
    numbers: Array = (np.moveaxis(words, 0, -1).reshape(len(items), 4 * blocks)[:, :count] + 0.5) / 2.0**32
    return numbers


def words(item: int, count: int, *, seed: int, epoch: int, stream: int) -> Array:
    """Return many random 16-bit words for one item: of NumPy's own Philox, which is the fastest for long streams.

    Args:
        item: what tells the items apart, below 2**64.
        count: how many.
        seed: of the run, 64 bits of it count.
        epoch: from 0.
        stream: tells uses apart.

    Returns:
        uint16 (count,).
    """
    mask = 2**64 - 1
    # Keys and counters as arrays of the full width: integers would be taken for streams one after another.
    source = np.random.Philox(
        key=np.array([seed & mask, int(item) & mask], np.uint64), counter=np.array([0, stream, epoch, 0], np.uint64)
    )
    raw: Array = source.random_raw(-(-count // 4)).view(np.uint16)
    return raw[:count]
