"""Colours, against the formulas that define them, in floating point."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest

from dlcli.vision.augmentation.color import recolor
from dlcli.vision.augmentation.draws import given

Array = np.ndarray[Any, Any]
LUMA = np.array([0.299, 0.587, 0.114])


def pixels(channels: int = 3) -> Array:
    return np.random.default_rng(0).integers(0, 256, (24, 30, channels), np.uint8)


def recolored(picture: Array, **parameters: Any) -> Array:
    found = picture.copy()
    recolor(found, given([parameters]), 0)
    return found


def grey(picture: Array) -> Array:
    return np.broadcast_to((picture.astype(float) @ LUMA)[..., None], picture.shape)


def mean(picture: Array) -> Array:
    return picture.reshape(-1, picture.shape[2]).mean(axis=0)


def cut(values: Array) -> Array:
    return np.clip(np.rint(values), 0, 255)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("parameters", "formula"),
    [
        ({"brightness": 1.3}, lambda x: x * 1.3),
        ({"contrast": 0.6}, lambda x: (x - mean(x)) * 0.6 + mean(x)),
        ({"channel_shift": -40}, lambda x: np.clip(x - 40.0, x.min(), x.max())),
        ({"brightness": 0.8, "contrast": 1.4}, lambda x: (x * 0.8 - mean(x) * 0.8) * 1.4 + mean(x) * 0.8),
    ],
)
def test_operations_on_each_channel_are_exact(parameters: Any, formula: Any, channels: int) -> None:
    picture = pixels(channels) // 2 + 30
    assert np.array_equal(recolored(picture, **parameters), cut(formula(picture)))


@pytest.mark.parametrize(
    ("parameters", "formula"),
    [
        ({"saturation": 0.4}, lambda x: 0.4 * x + 0.6 * grey(x)),
        ({"saturation": 1.6}, lambda x: 1.6 * x - 0.6 * grey(x)),
        ({"grayscale": True}, grey),
        ({"grayscale": True, "hue": 0.3, "saturation": 1.6}, grey),
        ({"brightness": 0.7, "saturation": 0.4}, lambda x: 0.7 * (0.4 * x + 0.6 * grey(x))),
    ],
)
def test_operations_that_mix_channels_are_within_a_level(parameters: Any, formula: Any) -> None:
    picture = pixels()
    assert np.abs(recolored(picture, **parameters) - cut(formula(picture))).max() <= 1


def test_the_hue_turns_and_the_luma_stays() -> None:
    picture = np.full((2, 2, 3), (150, 110, 100), np.uint8)
    found = recolored(picture, hue=1 / 3)
    assert abs(float(found[0, 0] @ LUMA) - float(picture[0, 0] @ LUMA)) < 1
    before, after = (colorsys.rgb_to_hsv(*(p[0, 0] / 255))[0] for p in (picture, found))
    assert (after - before) % 1 == pytest.approx(1 / 3, abs=0.06) or (before - after) % 1 == pytest.approx(
        1 / 3, abs=0.06
    )
    assert np.abs(recolored(found, hue=-1 / 3).astype(int) - picture).max() <= 2


def test_one_channel_has_no_colours_to_change() -> None:
    picture = pixels(1)
    assert np.array_equal(recolored(picture, saturation=0.2, hue=0.4, grayscale=True), picture)


def test_what_is_too_bright_is_white() -> None:
    assert recolored(np.full((2, 2, 3), 200, np.uint8), brightness=2.0).min() == 255
    assert recolored(np.full((2, 2, 3), 200, np.uint8), brightness=2.0, saturation=0.5).min() == 255
