"""Blur, noise and erasing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from dlcli.vision.augmentation.config import Strengths
from dlcli.vision.augmentation.draws import draw
from dlcli.vision.augmentation.texture import add_noise, blur, erase

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("deviation", [0.5, 1.3, 4.0])
def test_a_blur_is_scipys(deviation: float, channels: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (50, 40, channels), np.uint8)
    expected = ndimage.gaussian_filter(picture.astype(float), (deviation, deviation, 0), truncate=4, mode="reflect")
    blur(picture, deviation)
    # OpenCV's weights are whole 256ths, for 8-bit pictures.
    assert np.abs(picture - expected).max() <= 2
    assert np.abs(picture - expected).mean() < 0.7


def test_noise_has_its_deviation_and_no_mean() -> None:
    picture = np.full((200, 200, 3), 128, np.uint8)
    add_noise(picture, 12.0, item=3, seed=0, epoch=0)
    assert picture.std() == pytest.approx(12, rel=0.02)
    assert picture.mean() == pytest.approx(128, abs=0.1)
    again, other = np.full((2, 200, 200, 3), 128, np.uint8)
    add_noise(again, 12.0, item=3, seed=0, epoch=0)
    add_noise(other, 12.0, item=4, seed=0, epoch=0)
    assert np.array_equal(again, picture)
    assert abs(np.corrcoef(other.ravel(), picture.ravel())[0, 1]) < 0.02


def test_erasing_fills_the_rectangle_and_nothing_else() -> None:
    picture = np.full((40, 60, 3), 7, np.uint8)
    erase(picture, np.array([5, 50, 20, 10]), item=0, seed=0, epoch=0)
    inside = picture[5:25, 50:60]
    assert len(np.unique(inside)) > 200
    assert inside.mean() == pytest.approx(127.5, abs=10)
    picture[5:25, 50:60] = 7
    assert (picture == 7).all()


def test_rectangles_have_the_papers_areas_and_shapes() -> None:
    erased = draw(Strengths(erasing=0.3), np.arange(5000), seed=0, epoch=0, height=200, width=200).erased
    some = erased[erased[:, 2] > 0]
    assert len(some) / len(erased) == pytest.approx(0.3, abs=0.02)
    share = some[:, 2] * some[:, 3] / 200**2
    assert share.min() >= 0.019
    assert share.max() <= 0.405
    ratio = some[:, 2] / some[:, 3]
    assert ratio.min() >= 0.28
    assert ratio.max() <= 1 / 0.28
    assert (some[:, :2] >= 0).all()
    assert (some[:, :2] + some[:, 2:] <= 200).all()
