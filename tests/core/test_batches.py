"""The order of training."""

from __future__ import annotations

import numpy as np
import pytest

from dlcli.core.batches import MAX_CELLS, ordered_batches, training_batches


def imdb_like(count: int) -> np.ndarray:
    """Return lengths as of IMDB reviews: log-normal, 175 words in the median, some of a thousand."""
    return np.random.default_rng(0).lognormal(mean=5.16, sigma=0.65, size=count).astype(np.int64) + 1


def rows_of(batches: list[np.ndarray]) -> list[int]:
    return sorted(np.concatenate(batches).tolist())


def cells(batch: np.ndarray, lengths: np.ndarray) -> int:
    return len(batch) * int(lengths[batch].max())


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 1280, 1281, 5000])
def test_each_row_comes_once(count: int) -> None:
    lengths = imdb_like(count)
    assert rows_of(training_batches(lengths, batch_size=32, seed=0, epoch=0)) == list(range(count))
    assert rows_of(ordered_batches(lengths, batch_size=32)) == list(range(count))


def test_no_rows_make_no_batches() -> None:
    nothing = np.zeros(0, np.int64)
    assert training_batches(nothing, batch_size=32, seed=0, epoch=0) == []
    assert ordered_batches(nothing, batch_size=32) == []


@pytest.mark.parametrize("batch_size", [1, 7, 32, 100_000])
def test_no_batch_is_larger_than_asked(batch_size: int) -> None:
    sizes = [len(batch) for batch in training_batches(imdb_like(3000), batch_size=batch_size, seed=0, epoch=0)]
    assert max(sizes) == min(batch_size, 3000)
    assert min(sizes) >= 1
    assert len(sizes) <= 1.05 * -(-3000 // batch_size) + 2


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    lengths = imdb_like(2000)

    def order(seed: int, epoch: int) -> list[list[int]]:
        return [batch.tolist() for batch in training_batches(lengths, batch_size=32, seed=seed, epoch=epoch)]

    first = order(5, 3)
    np.random.seed(99)
    assert order(5, 3) == first
    others = [order(5, 4), order(6, 3), order(5, 0), order(0, 0)]
    assert all(other != first for other in others)
    together = {frozenset(batch) for batch in first}
    assert not together & {frozenset(batch) for batch in others[0]}, "batches of an epoch are mixed anew"


def test_neighbouring_batches_are_not_sorted_by_length() -> None:
    lengths = imdb_like(5000)
    means = np.array([lengths[b].mean() for b in training_batches(lengths, batch_size=32, seed=0, epoch=0)])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.3


@pytest.mark.parametrize("batch_size", [32, 128, 256])
def test_padding_wastes_less_than_a_tenth(batch_size: int) -> None:
    lengths = imdb_like(25_000)
    for batches in (
        training_batches(lengths, batch_size=batch_size, seed=0, epoch=0),
        ordered_batches(lengths, batch_size=batch_size),
    ):
        padded = sum(cells(batch, lengths) for batch in batches)
        assert 1 - lengths.sum() / padded < 0.1


def test_a_very_long_item_stands_alone_and_the_rest_keeps_the_cap() -> None:
    lengths = imdb_like(3000)
    lengths[[17, 18, 1999]] = 10_000_000, 3_000_000, 1_500_000
    for batches in (
        training_batches(lengths, batch_size=256, seed=0, epoch=0),
        ordered_batches(lengths, batch_size=256),
    ):
        assert rows_of(batches) == list(range(3000))
        assert all(cells(batch, lengths) <= MAX_CELLS for batch in batches if 17 not in batch)
        assert next(batch.tolist() for batch in batches if 17 in batch) == [17]


def test_items_without_length_make_batches_too() -> None:
    assert rows_of(ordered_batches(np.zeros(10, np.int64), batch_size=4)) == list(range(10))
