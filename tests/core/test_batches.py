"""The order of training."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from dlcli.core.batches import MAX_CELLS, bucket_widths, ordered_batches, padded_width, training_batches


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


class TestWidths:
    lengths = np.minimum(imdb_like(25_000), 400)

    @pytest.mark.parametrize(
        ("lengths", "most", "expected"),
        [
            ([], 8, (1,)),
            ([0, 0], 8, (1,)),
            ([0, 3, 9], 8, (1, 3, 9)),
            ([5, 2, 5, 2], 1, (5,)),
            # 3 with 4 pads one cell, 4 with 9 ten.
            ([3, 4, 4, 9], 2, (4, 9)),
            # A hundred of 10 outweigh the one of 1.
            ([1, *[10] * 100, 11], 2, (10, 11)),
        ],
    )
    def test_small_ones(self, lengths: list[int], most: int, expected: tuple[int, ...]) -> None:
        assert bucket_widths(np.array(lengths, np.int64), most=most) == expected

    @pytest.mark.parametrize("most", [1, 2, 3, 4])
    def test_no_other_choice_pads_less(self, most: int) -> None:
        lengths = np.random.default_rng(1).integers(1, 12, size=40)
        sizes = np.unique(lengths)

        def cells_with(widths: tuple[int, ...]) -> int:
            return int(np.array(widths)[np.searchsorted(widths, lengths)].sum())

        best = min(cells_with((*some, int(sizes[-1]))) for some in combinations(sizes[:-1].tolist(), most - 1))
        assert cells_with(bucket_widths(lengths, most=most)) == best

    def test_many_lengths_are_no_hindrance(self) -> None:
        lengths = np.random.default_rng(0).permutation(np.arange(1, 20_001))
        widths = bucket_widths(lengths, most=8)
        assert widths[-1] == 20_000
        np.testing.assert_allclose(widths, np.arange(1, 9) * 2500, rtol=0.02)

    @pytest.mark.parametrize("batch_size", [32, 128, 256])
    def test_few_shapes_and_little_padding(self, batch_size: int) -> None:
        widths = bucket_widths(self.lengths)
        shapes: list[set[tuple[int, int]]] = []
        for epoch in (0, 1):
            batches = training_batches(self.lengths, batch_size=batch_size, seed=0, epoch=epoch, widths=widths)
            assert rows_of(batches) == list(range(25_000))
            shapes.append({(len(rows), padded_width(int(self.lengths[rows].max()), widths)) for rows in batches})
            padded = sum(len(rows) * padded_width(int(self.lengths[rows].max()), widths) for rows in batches)
            assert 1 - self.lengths.sum() / padded < 0.1
        assert shapes[0] == shapes[1], "nothing is compiled anew in a later epoch"
        assert len({size for size, _ in shapes[0]}) == 2 and len(shapes[0]) <= 9

    def test_a_width_is_mixed_freely_each_epoch(self) -> None:
        widths = bucket_widths(self.lengths)
        first, second = (
            training_batches(self.lengths, batch_size=64, seed=0, epoch=epoch, widths=widths) for epoch in (0, 1)
        )
        place = {row: number for number, rows in enumerate(second) for row in rows.tolist()}
        again = np.mean([place[rows[0]] == place[rows[1]] for rows in first if len(rows) > 1])
        assert again < 0.1, "two items of a batch seldom meet again"

    def test_the_smallest_width_that_holds_an_item(self) -> None:
        widths = (3, 7)
        assert [padded_width(longest, widths) for longest in (0, 3, 4, 7, 8)] == [3, 3, 7, 7, 8]
        assert padded_width(0, ()) == 1
