"""All that changes colours, in one pass where it can be: a table of 256 entries, or a matrix that mixes channels.

In this order: channel shift, brightness, contrast, saturation, hue, grayscale. Nothing is cut to 0..255 in between but
after the channel shift, which ImageDataGenerator keeps within the picture's own range.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from dlcli.vision.augmentation.draws import Draws
from dlcli.vision.augmentation.philox import Array

# Luma of ITU-R BT.601, as Pillow and TensorFlow make pictures grey.
_LUMA = np.array([0.299, 0.587, 0.114])
# From RGB to YIQ (FCC NTSC, 1953): I and Q span the colours, so that to turn in their plane leaves the luma.
_TO_YIQ = np.array([_LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)
_LEVELS = np.arange(256.0)


def recolor(picture: Array, draws: Draws, number: int) -> None:
    """Change the colours of one picture in place.

    Args:
        picture: uint8 (height, width, channels), channels 1 or 3 (red, green, blue).
        draws: of the batch.
        number: of the picture in it.
    """
    if draws.channel_shift[number]:
        low, high, _, _ = cv2.minMaxLoc(picture.reshape(picture.shape[0], -1))
        _look_up(picture, np.clip(_LEVELS + draws.channel_shift[number], low, high)[:, None])
    gain = draws.brightness[number] * draws.contrast[number]
    channels = picture.shape[2]
    offset = np.zeros(channels)
    if draws.contrast[number] != 1:
        means = np.array(cv2.mean(picture)[:channels])
        offset = draws.brightness[number] * (1 - draws.contrast[number]) * means
    mixture = _mixture(draws, number) if channels == 3 else None
    if mixture is not None:
        matrix = np.concatenate([mixture * gain, (mixture @ offset)[:, None]], axis=1)
        cv2.transform(picture, matrix, picture)
    elif gain != 1 or offset.any():
        _look_up(picture, _LEVELS[:, None] * gain + offset)


def _mixture(draws: Draws, number: int) -> Array | None:
    """Return how saturation, hue and grayscale mix the channels, (3, 3); None where they leave them alone."""
    saturation, hue, grayscale = draws.saturation[number], draws.hue[number], draws.grayscale[number]
    if saturation == 1 and not hue and not grayscale:
        return None
    grey = np.broadcast_to(_LUMA, (3, 3))
    if grayscale:  # Whatever the hue and the saturation were, the luma is the same.
        return grey
    mixture: Array = saturation * np.eye(3) + (1 - saturation) * grey
    if hue:
        cos, sin = math.cos(2 * math.pi * hue), math.sin(2 * math.pi * hue)
        turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
        mixture = _FROM_YIQ @ turn @ _TO_YIQ @ mixture
    return mixture


def _look_up(picture: Array, table: Array) -> None:
    """Replace each level by the table's entry, rounded; the table is (256, 1) for all channels, or (256, channels)."""
    levels = np.clip(np.rint(table), 0, 255).astype(np.uint8)[:, None, :]
    cv2.LUT(picture, levels if levels.shape[2] == 1 else np.ascontiguousarray(levels), picture)
