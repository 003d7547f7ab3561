"""The one warp, against SciPy and against Keras' ImageDataGenerator, for each operation and each fill mode.

The bound: OpenCV 5 interpolates between exact positions and rounds to the nearest, so half a grey level, and a
hundredth for single precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from dlcli.vision.augmentation.config import FillMode, Strengths
from dlcli.vision.augmentation.draws import given
from dlcli.vision.augmentation.engine import Augmentation
from dlcli.vision.augmentation.geometry import matrices

Array = np.ndarray[Any, Any]
BOUND = 0.51
FILL_MODES: tuple[FillMode, ...] = ("nearest", "reflect", "wrap", "constant")
OPERATIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "rotation": {"rotation": 23.4},
    "a right angle": {"rotation": 90.0},
    "width shift": {"shift_x": 11.3},
    "height shift": {"shift_y": -7.7},
    "whole pixels": {"shift_x": -5.0, "shift_y": 9.0},
    "far away": {"shift_x": 95.0, "shift_y": -130.0},
    "shear": {"shear": 12.0},
    "zoom in": {"zoom_x": 0.7, "zoom_y": 0.85},
    "zoom out": {"zoom_x": 1.4, "zoom_y": 1.2},
    "horizontal flip": {"flip_x": True},
    "vertical flip": {"flip_y": True},
    "all": {
        "rotation": -31.0,
        "shift_x": 6.2,
        "shift_y": -9.9,
        "shear": 8.0,
        "zoom_x": 0.9,
        "zoom_y": 1.15,
        "flip_x": True,
        "flip_y": True,
    },
}


def noise(height: int, width: int, channels: int = 3) -> Array:
    """Return pixels as unlike their neighbours as can be: the hardest to interpolate."""
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def by_scipy(picture: Array, parameters: dict[str, Any], *, fill_mode: str, fill_value: float) -> Array:
    """Warp as ImageDataGenerator's documentation has it: one matrix about the centre, order 1, then the flips."""
    height, width, channels = picture.shape
    turn, shear = np.deg2rad(parameters.get("rotation", 0)), np.deg2rad(parameters.get("shear", 0))
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    shift = np.array([[1, 0, parameters.get("shift_x", 0)], [0, 1, parameters.get("shift_y", 0)], [0, 0, 1]])
    sheared = np.array([[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]])
    zoom = np.diag([parameters.get("zoom_x", 1), parameters.get("zoom_y", 1), 1])
    x, y = width / 2 - 0.5, height / 2 - 0.5
    there, back = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]]), np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
    matrix = there @ rotation @ shift @ sheared @ zoom @ back
    # SciPy counts rows first.
    linear, offset = matrix[:2, :2][::-1, ::-1], matrix[:2, 2][::-1]
    # A right angle must not miss the edge by a rounding error: with a value beyond it, that would show. (For the same
    # reason the square has no row in its middle, which a shear leaves where it is.)
    linear, offset = np.where(np.abs(linear) < 1e-12, 0, linear), np.round(offset, 9)
    warped = np.stack(
        [
            ndimage.affine_transform(
                picture[:, :, channel].astype(float), linear, offset, order=1, mode=fill_mode, cval=fill_value
            )
            for channel in range(channels)
        ],
        axis=2,
    )
    warped = warped[:, ::-1] if parameters.get("flip_x") else warped
    return warped[::-1] if parameters.get("flip_y") else warped


def ours(
    picture: Array, parameters: dict[str, Any], *, fill_mode: FillMode = "nearest", fill_value: float = 0
) -> Array:
    augmentation = Augmentation(Strengths(fill_mode=fill_mode, fill_value=fill_value), seed=0)
    return augmentation.render(picture[None], given([parameters]), np.array([0]), 0)[0]


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("shape", [(62, 62, 3), (40, 73, 1)], ids=["square", "wide"])
def test_each_operation_is_scipys(name: str, fill_mode: FillMode, shape: tuple[int, int, int]) -> None:
    picture, parameters = noise(*shape), OPERATIONS[name]
    expected = by_scipy(picture, parameters, fill_mode=fill_mode, fill_value=70)
    found = ours(picture, parameters, fill_mode=fill_mode, fill_value=70)
    assert found.shape == picture.shape
    assert np.abs(found - expected).max() <= BOUND
    if name != "nothing":
        assert np.abs(found.astype(float) - picture).mean() > 10  # It does something.


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.filterwarnings("ignore:Please import")
def test_the_composition_is_image_data_generators(fill_mode: FillMode) -> None:
    generator = image_data_generator()(fill_mode=fill_mode, cval=70)
    picture = noise(64, 64)
    random = np.random.default_rng(1)
    for _ in range(5):
        theirs = {
            "theta": random.uniform(-40, 40),
            "tx": random.uniform(-12, 12),
            "ty": random.uniform(-12, 12),
            "shear": random.uniform(-20, 20),
            "zx": random.uniform(0.8, 1.2),
            "zy": random.uniform(0.8, 1.2),
            "flip_horizontal": random.random() < 0.5,
            "flip_vertical": random.random() < 0.5,
        }
        expected = generator.apply_transform(picture.astype(np.float32), theirs)
        names = ("rotation", "shift_x", "shift_y", "shear", "zoom_x", "zoom_y", "flip_x", "flip_y")
        found = ours(picture, dict(zip(names, theirs.values(), strict=True)), fill_mode=fill_mode, fill_value=70)
        assert np.abs(found - expected).max() <= BOUND


@pytest.mark.filterwarnings("ignore:Please import")
def test_colours_come_in_the_order_of_image_data_generator() -> None:
    picture = noise(32, 32) // 2 + 50
    theirs = {"theta": 10.0, "channel_shift_intensity": 30.0, "brightness": 0.8, "flip_horizontal": True}
    expected = image_data_generator()().apply_transform(picture.astype(np.float32), theirs)
    found = ours(picture, {"rotation": 10.0, "channel_shift": 30.0, "brightness": 0.8, "flip_x": True})
    # Pillow cuts off where we round, and we round once more, after the warp.
    assert np.abs(found - expected).max() <= 2


def image_data_generator() -> Any:
    """Return the class, which Keras 3 keeps among what it wants to forget."""
    from dlcli.core.backend import keras

    return keras.src.legacy.preprocessing.image.ImageDataGenerator


def test_a_flip_moves_pixels_and_changes_none() -> None:
    picture = noise(31, 50)
    assert np.array_equal(ours(picture, {"flip_x": True}), picture[:, ::-1])
    assert np.array_equal(ours(picture, {"flip_y": True}), picture[::-1])


def test_shifts_go_where_their_names_say() -> None:
    picture = np.zeros((21, 21, 1), np.uint8)
    picture[10, 10] = 255
    assert np.argwhere(ours(picture, {"shift_x": 4.0})[..., 0]).tolist() == [[10, 6]]
    assert np.argwhere(ours(picture, {"shift_y": 4.0})[..., 0]).tolist() == [[6, 10]]


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 1), (40, 1, 3), (2, 2, 1)])
@pytest.mark.parametrize("fill_mode", FILL_MODES)
def test_tiny_pictures_stay_in_their_range(shape: tuple[int, int, int], fill_mode: FillMode) -> None:
    picture = np.full(shape, 90, np.uint8)
    found = ours(picture, OPERATIONS["all"], fill_mode=fill_mode, fill_value=90)
    assert np.array_equal(found, picture)


def test_matrices_leave_what_is_not_moved() -> None:
    assert np.array_equal(matrices(given([{}]), height=31, width=50)[0], [[1, 0, 0], [0, 1, 0]])
