"""The random numbers: those of the published generator, and a function of what they are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from dlcli.vision.augmentation.philox import philox4x32, uniforms, words

_ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        # Known answers of Random123, the authors' library (kat_vectors: philox4x32 10).
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((_ONES,) * 4, (_ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_it_is_philox(counter: tuple[int, ...], key: tuple[int, ...], expected: tuple[int, ...]) -> None:
    found = philox4x32(np.array(counter, np.uint64)[:, None], np.array(key, np.uint64))
    assert tuple(found[:, 0].tolist()) == expected


def test_numbers_are_a_function_of_seed_epoch_item_and_stream() -> None:
    items = np.array([5, 2**40 + 5, 7])
    numbers = uniforms(items, 6, seed=3, epoch=2)
    assert np.array_equal(uniforms(items[::-1], 6, seed=3, epoch=2), numbers[::-1])
    assert np.array_equal(uniforms(items[1:2], 21, seed=3, epoch=2)[:, :6], numbers[1:2])
    others = [
        uniforms(items, 6, seed=4, epoch=2),
        uniforms(items, 6, seed=3 + 2**33, epoch=2),
        uniforms(items, 6, seed=3, epoch=3),
        uniforms(items, 6, seed=3, epoch=2, stream=1),
        uniforms(items + 1, 6, seed=3, epoch=2),
    ]
    assert all(not np.any(other == numbers) for other in others)
    assert len(np.unique(numbers)) == 18


def test_numbers_are_uniform() -> None:
    numbers = uniforms(np.arange(20_000), 8, seed=1, epoch=0)
    counts = np.histogram(numbers, bins=16, range=(0, 1))[0] / numbers.size * 16
    assert np.abs(counts - 1).max() < 0.05
    assert np.abs(np.corrcoef(numbers.T) - np.eye(8)).max() < 0.05
    assert 0 < numbers.min() < numbers.max() < 1


def test_long_streams_are_a_function_of_the_same() -> None:
    first = words(2**63 + 1, 1001, seed=1, epoch=2, stream=1)
    assert first.dtype == np.uint16
    assert first.shape == (1001,)
    assert np.array_equal(words(2**63 + 1, 10, seed=1, epoch=2, stream=1), first[:10])
    for other in ({"seed": 2}, {"epoch": 3}, {"stream": 2}):
        arguments = {"seed": 1, "epoch": 2, "stream": 1} | other
        assert not np.array_equal(words(2**63 + 1, 1001, **arguments), first)
    assert not np.array_equal(words(2**63, 1001, seed=1, epoch=2, stream=1), first)
