"""All that moves pixels, as ONE affine warp with the meaning of Keras' ImageDataGenerator.

Its matrix, in coordinates (x to the right, y down), maps a pixel of the result to where it is taken from:
`centre . rotation . shift . shear . zoom . back`, with the centre at (side - 1) / 2. A flip comes after it. Bilinear.
ImageDataGenerator builds the same matrix, with two slips of the version that Keras 3 carries: the range of the height
shift moves pictures sideways (and that of the width up and down), and of a picture that is not square the centre has
its coordinates changed over. Here a shift of the width is one, and the centre is the centre.
"""

from __future__ import annotations

import cv2
import numpy as np

from dlcli.vision.augmentation.config import FillMode
from dlcli.vision.augmentation.draws import Draws
from dlcli.vision.augmentation.philox import Array

# OpenCV 5 interpolates 8-bit pictures between exact positions and rounds to the nearest (earlier ones: of 1/32 pixel).
_FLAGS = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
# SciPy's names: reflect is `d c b a | a b c d | d c b a`.
_BORDERS = {"nearest": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT}
# What a turn by 90 degrees misses the edge by, in pixels.
_ROUNDING = 1e-6


def matrices(draws: Draws, *, height: int, width: int) -> Array:
    """Return for each picture where the pixels of the result are taken from.

    Args:
        draws: of n pictures.
        height: of the pictures.
        width: of the pictures.

    Returns:
        float64 (n, 2, 3): (x, y) = matrix . (column, row, 1).
    """
    turned, sheared = np.deg2rad(draws.rotation), np.deg2rad(draws.shear)
    cos, sin = np.cos(turned), np.sin(turned)
    linear = np.empty((len(turned), 2, 2))
    # rotation . shear . zoom, multiplied out.
    linear[:, 0, 0] = cos * draws.zoom_x
    linear[:, 1, 0] = sin * draws.zoom_x
    linear[:, 0, 1] = -(cos * np.sin(sheared) + sin * np.cos(sheared)) * draws.zoom_y
    linear[:, 1, 1] = (cos * np.cos(sheared) - sin * np.sin(sheared)) * draws.zoom_y
    shift = np.stack([cos * draws.shift_x - sin * draws.shift_y, sin * draws.shift_x + cos * draws.shift_y], axis=1)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    # A flipped result takes column j from where the warp alone would have put column width - 1 - j.
    signs = np.stack([1.0 - 2.0 * draws.flip_x, 1.0 - 2.0 * draws.flip_y], axis=1)
    linear *= signs[:, None, :]
    return np.concatenate([linear, (centre + shift - linear @ centre)[:, :, None]], axis=2)


def warp(picture: Array, matrix: Array, *, fill_mode: FillMode, fill_value: float = 0.0, out: Array) -> None:
    """Move the pixels of one picture.

    Args:
        picture: uint8 (height, width, channels).
        matrix: float64 (2, 3), as `matrices` returns it.
        fill_mode: what stands beyond the edge, by SciPy's names.
        fill_value: of the fill mode `constant`, a grey level.
        out: uint8 (height, width, channels), contiguous: the result.
    """
    height, width = picture.shape[:2]
    if fill_mode == "wrap":
        _wrapped(picture, matrix, out)
        return
    border = _BORDERS.get(fill_mode, cv2.BORDER_CONSTANT)
    if picture.shape[2] == 3:
        # Four channels go faster than three, to the same values: 24 % with both conversions, at 150x150.
        moved = cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA)
        moved = cv2.warpAffine(moved, matrix, (width, height), flags=_FLAGS, borderMode=border)
        cv2.cvtColor(moved, cv2.COLOR_RGBA2RGB, out)
    else:
        cv2.warpAffine(picture, matrix, (width, height), out, flags=_FLAGS, borderMode=border)
    if fill_mode == "constant":
        # As SciPy: beyond the edge there is the value alone; OpenCV would blend it with the edge for one pixel.
        x, y = _sources(matrix, height, width)
        inside = (x >= -_ROUNDING) & (x <= width - 1 + _ROUNDING) & (y >= -_ROUNDING) & (y <= height - 1 + _ROUNDING)
        out[~inside] = round(fill_value)


def _wrapped(picture: Array, matrix: Array, out: Array) -> None:
    """Take what is beyond the edge from the other side, as SciPy: the first and the last pixel are the same place."""
    height, width = picture.shape[:2]
    x, y = (_periodic(*found) for found in zip(_sources(matrix, height, width), (width, height), strict=True))
    moved = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    out[:] = moved.reshape(out.shape)


def _periodic(places: Array, side: int) -> Array:
    """Bring places back between 0 and side - 1, float32; those that are there already stay, both ends among them."""
    period = max(1, side - 1)
    below = places + period * (np.floor(-places / period) + 1)
    above = np.mod(places, period)
    found = np.where(places < -_ROUNDING, below, np.where(places > side - 1 + _ROUNDING, above, places))
    return np.clip(found, 0, side - 1).astype(np.float32)


def _sources(matrix: Array, height: int, width: int) -> tuple[Array, Array]:
    """Return x and y of where each pixel is taken from, (height, width) each."""
    columns, rows = np.arange(width), np.arange(height)[:, None]
    x, y = (matrix[axis, 0] * columns + (matrix[axis, 1] * rows + matrix[axis, 2]) for axis in (0, 1))
    return x, y
