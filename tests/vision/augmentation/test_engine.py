"""Batches: the same pictures in any company, with any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlcli.vision.augmentation.config import AugmentationConfig, Strengths
from dlcli.vision.augmentation.draws import draw, given
from dlcli.vision.augmentation.engine import Augmentation

Array = np.ndarray[Any, Any]
EVERYTHING = AugmentationConfig(
    augment="strong", vertical_flip=True, channel_shift=20, blur=1, noise=8, erasing=0.5, grayscale=0.3
)


def batch(count: int = 19, channels: int = 3) -> Array:
    return np.random.default_rng(0).integers(0, 256, (count, 24, 36, channels), np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fill_mode", ["nearest", "reflect", "wrap", "constant"])
def test_threads_and_company_change_nothing(channels: int, fill_mode: Any) -> None:
    images, items = batch(channels=channels), np.arange(100, 119)
    config = EVERYTHING.model_copy(update={"fill_mode": fill_mode})
    one = Augmentation(config, seed=4, threads=1).apply(images, items, 2)
    assert one.dtype == np.uint8
    assert np.array_equal(Augmentation(config, seed=4, threads=5).apply(images, items, 2), one)
    alone = [Augmentation(config, seed=4).apply(images[n : n + 1], items[n : n + 1], 2)[0] for n in range(19)]
    assert np.array_equal(np.stack(alone), one)
    order = np.random.default_rng(1).permutation(19)
    assert np.array_equal(Augmentation(config, seed=4).apply(images[order], items[order], 2), one[order])


def test_seed_epoch_and_item_change_each_picture() -> None:
    images, items = batch(), np.arange(19)
    one = Augmentation(EVERYTHING, seed=4).apply(images, items, 2)
    others = [
        Augmentation(EVERYTHING, seed=5).apply(images, items, 2),
        Augmentation(EVERYTHING, seed=4).apply(images, items, 3),
        Augmentation(EVERYTHING, seed=4).apply(images, items + 19, 2),
        images,
    ]
    for other in others:
        assert (other != one).any(axis=(1, 2, 3)).all()


def test_no_augmentation_gives_the_pictures_and_leaves_them_alone() -> None:
    images = batch()
    found = Augmentation(AugmentationConfig(), seed=0).apply(images, np.arange(19), 0)
    assert np.array_equal(found, images)
    before = images.copy()
    found[:] = 0
    Augmentation(EVERYTHING, seed=0).apply(images, np.arange(19), 0)
    assert np.array_equal(images, before)
    assert Augmentation(EVERYTHING, seed=0).apply(images[:0], np.arange(0), 0).shape == (0, 24, 36, 3)


def test_read_only_and_strided_pictures_are_taken() -> None:
    images, items = batch(), np.arange(19)
    expected = Augmentation(EVERYTHING, seed=0).apply(images, items, 0)
    wide = np.zeros((19, 24, 72, 3), np.uint8)
    wide[:, :, ::2] = images
    wide.setflags(write=False)
    assert np.array_equal(Augmentation(EVERYTHING, seed=0).apply(wide[:, :, ::2], items, 0), expected)


def test_draws_fill_their_bounds() -> None:
    strengths = Strengths(
        rotation=40, width_shift=0.2, height_shift=3, shear=5, zoom=(0.8, 1.3), horizontal_flip=True, grayscale=0.25
    )
    draws = draw(strengths, np.arange(20_000), seed=0, epoch=0, height=100, width=50)
    for name, low, high in [
        ("rotation", -40, 40),
        ("shift_x", -10, 10),
        ("shear", -5, 5),
        ("zoom_x", 0.8, 1.3),
        ("zoom_y", 0.8, 1.3),
    ]:
        values = getattr(draws, name)
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.02 * (high - low))
    assert sorted(set(draws.shift_y.tolist())) == [-3, -2, -1, 0, 1, 2, 3]
    assert draws.flip_x.mean() == pytest.approx(0.5, abs=0.02)
    assert draws.grayscale.mean() == pytest.approx(0.25, abs=0.02)
    assert not draws.flip_y.any()
    assert (draws.brightness == 1).all()
    assert abs(np.corrcoef(draws.zoom_x, draws.zoom_y)[0, 1]) < 0.03


def test_turning_one_operation_on_changes_no_others_draws() -> None:
    arguments: dict[str, Any] = {"seed": 0, "epoch": 0, "height": 10, "width": 10}
    alone = draw(Strengths(rotation=40), np.arange(5), **arguments)
    both = draw(Strengths(rotation=40, zoom=(0.5, 2), noise=9), np.arange(5), **arguments)
    assert np.array_equal(alone.rotation, both.rotation)


def test_parameters_say_all_that_was_drawn() -> None:
    augmentation, items, images = Augmentation(EVERYTHING, seed=1), np.arange(19), batch()
    draws = augmentation.draw(items, 0, height=24, width=36)
    again = given([draws.parameters(number) for number in range(19)])
    assert np.array_equal(augmentation.render(images, again, items, 0), augmentation.apply(images, items, 0))
    assert given([{}]).parameters(0) == {}
