"""MixUp and CutMix: pictures in pairs, and shares that say what became of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlcli.vision.augmentation.config import MixingConfig
from dlcli.vision.augmentation.mixing import mix

Array = np.ndarray[Any, Any]


def flat(count: int) -> Array:
    """Return pictures of one level each: what is left of one can be read off."""
    levels = np.linspace(0, 255, count).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, 20, 30, 3)).copy()


def test_without_alphas_nothing_is_mixed() -> None:
    images, shares = mix(flat(6), np.arange(6), 0, MixingConfig(), seed=0)
    assert np.array_equal(images, flat(6))
    assert (shares == 1).all()


def test_mixup_blends_by_the_share() -> None:
    pictures = flat(7)
    images, shares = mix(pictures, np.arange(7), 0, MixingConfig(mixup=1.0), seed=3)
    expected = shares[:, None, None, None] * pictures + (1 - shares)[:, None, None, None] * pictures[::-1]
    assert np.abs(images - expected).max() <= 0.51
    assert shares.dtype == np.float32
    assert shares[3] == 1
    assert len(set(shares.tolist())) == 7


def test_cutmix_pastes_a_rectangle_and_says_its_area_exactly() -> None:
    pictures = flat(200)
    images, shares = mix(pictures, np.arange(200), 0, MixingConfig(cutmix=1.0), seed=3)
    own = (images == pictures).all(axis=3)
    assert np.allclose(own.mean(axis=(1, 2)), shares, atol=1e-6)
    theirs = (images == pictures[::-1]).all(axis=3)
    assert (own | theirs).all()
    assert 0.5 < shares.mean() < 0.8  # Half would be left if no rectangle were cut at the edge.
    for number in np.flatnonzero(shares < 1)[:20]:
        rows, columns = np.nonzero(~own[number])
        assert (~own[number]).sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_shares_of_mixup_follow_the_beta_law() -> None:
    _, shares = mix(np.zeros((4000, 1, 1, 1), np.uint8), np.arange(4000), 0, MixingConfig(mixup=0.2), seed=0)
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(1 / (4 * (2 * 0.2 + 1)), rel=0.05)  # Of Beta(a, a): 1 / (4 (2 a + 1)).


def test_with_both_each_picture_takes_one() -> None:
    pictures = flat(100)
    images, shares = mix(pictures, np.arange(100), 0, MixingConfig(mixup=1.0, cutmix=1.0), seed=0)
    is_cut = ((images == pictures) | (images == pictures[::-1])).all(axis=(1, 2, 3)) & (shares < 1)
    assert 30 <= is_cut.sum() <= 70


def test_mixing_is_a_function_of_seed_epoch_and_item() -> None:
    config, images = MixingConfig(mixup=1.0, cutmix=1.0), flat(8)
    one, shares = mix(images, np.arange(8), 2, config, seed=1)
    again, same = mix(images.astype(np.float32), np.arange(8), 2, config, seed=1)
    assert np.array_equal(one, again)
    assert np.array_equal(shares, same)
    for items, epoch, seed in ((np.arange(8), 3, 1), (np.arange(8), 2, 2), (np.arange(8) + 8, 2, 1)):
        assert not np.array_equal(mix(images, items, epoch, config, seed=seed)[1], shares)
