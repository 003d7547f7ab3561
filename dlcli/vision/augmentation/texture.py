"""Blur, noise and erasing: what changes the pixels where they stand."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np

from dlcli.vision.augmentation.draws import Draws
from dlcli.vision.augmentation.philox import Array, words

# Uses of an item's own stream of random numbers.
_NOISE, _ERASING = 1, 2
# A blur by less than this changes no level by more than one.
_SHARP = 0.2
# The kernel ends after so many standard deviations, as SciPy's does.
_TRUNCATE = 4.0


def blur(picture: Array, deviation: float) -> None:
    """Blur one picture, uint8 (height, width, channels), in place by a Gaussian of so many pixels."""
    if deviation >= _SHARP:
        side = 2 * math.ceil(_TRUNCATE * deviation) + 1
        cv2.GaussianBlur(picture, (side, side), deviation, picture, borderType=cv2.BORDER_REFLECT)


def add_noise(picture: Array, deviation: float, *, item: int, seed: int, epoch: int) -> None:
    """Add Gaussian noise of so many grey levels to one picture, uint8 (height, width, channels), in place."""
    if deviation:
        random = words(item, picture.size, seed=seed, epoch=epoch, stream=_NOISE)
        noise = (_normal() * np.float32(deviation))[random].reshape(picture.shape)
        cv2.add(picture, noise, picture, dtype=cv2.CV_8U)


def erase(picture: Array, rectangle: Array, *, item: int, seed: int, epoch: int) -> None:
    """Replace a rectangle (top, left, height, width) of one picture by random levels, in place."""
    top, left, height, width = rectangle.tolist()
    if height:
        size = height * width * picture.shape[2]
        random = words(item, -(-size // 2), seed=seed, epoch=epoch, stream=_ERASING).view(np.uint8)[:size]
        picture[top : top + height, left : left + width] = random.reshape(height, width, -1)


def texture(picture: Array, draws: Draws, number: int, *, item: int, seed: int, epoch: int) -> None:
    """Add noise and erase, as drawn for picture `number` of the batch."""
    add_noise(picture, draws.noise[number], item=item, seed=seed, epoch=epoch)
    erase(picture, draws.erased[number], item=item, seed=seed, epoch=epoch)


@functools.cache
def _normal() -> Array:
    """Return the normal law's quantiles, float32 (65536,): a random word picks one."""
    from scipy.special import ndtri

    found: Array = ndtri((np.arange(2**16) + 0.5) / 2**16).astype(np.float32)
    return found
