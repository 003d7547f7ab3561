"""MixUp and CutMix: pictures of a batch mixed in pairs, and how much of each is left."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np

from dlcli.vision.augmentation.config import MixingConfig
from dlcli.vision.augmentation.philox import Array, uniforms

# The stream of its own, so that mixing changes no draw of the augmentation.
_STREAM = 1


class Mixture(NamedTuple):
    """How the pictures of a batch are mixed.

    Attributes:
        shares: float32 (n,), how much of each is its own.
        boxes: rows and columns of the rectangle that comes from the other one; None where the two are blended.
    """

    shares: Array
    boxes: list[Any]


def mix(images: Array, items: Array, epoch: int, config: MixingConfig, *, seed: int) -> tuple[Array, Array]:
    """Mix each picture of a batch with another one: picture i with picture n - 1 - i.

    MixUp (Zhang et al. 2018) blends them, a share drawn from Beta(alpha, alpha) being its own; CutMix (Yun et al. 2019)
    pastes a rectangle of the other into it, with a random centre and 1 minus that share of the area, cut at the edge.
    With both set, each picture takes one of them, either with probability 1/2.

    Args:
        images: uint8 or float (n, height, width, channels).
        items: int64 (n,), what tells the pictures apart.
        epoch: counted from 0.
        config: the alphas; without any, the pictures stay.
        seed: of the run.

    Returns:
        the pictures, uint8, and float32 (n,) what share of each is its own: of CutMix the exact share of the area. Its
        label's weight is the share, that of picture n - 1 - i's label the rest.
    """
    images = np.ascontiguousarray(images if images.dtype == np.uint8 else np.clip(np.rint(images), 0, 255), np.uint8)
    drawn = draw(items, epoch, config, seed=seed, height=images.shape[1], width=images.shape[2])
    out = images.copy()
    for number, (share, box) in enumerate(zip(drawn.shares, drawn.boxes, strict=True)):
        other = images[len(images) - 1 - number]
        if box is not None:
            out[number][box] = other[box]
        elif share < 1:
            cv2.addWeighted(images[number], float(share), other, 1 - float(share), 0, out[number])
    return out, drawn.shares


def draw(items: Array, epoch: int, config: MixingConfig, *, seed: int, height: int, width: int) -> Mixture:
    """Draw how the pictures of a batch are mixed; see `mix`."""
    count = len(items)
    shares = np.ones(count, np.float32)
    boxes: list[Any] = [None] * count
    if not config.mixes:
        return Mixture(shares, boxes)
    u = uniforms(np.asarray(items), 4, seed=seed, epoch=epoch, stream=_STREAM)
    cut = (u[:, 0] < 0.5) if config.mixup and config.cutmix else np.full(count, bool(config.cutmix))
    kept = np.where(cut, _beta(u[:, 1], config.cutmix), _beta(u[:, 1], config.mixup))
    for number in range(count):
        if number == count - 1 - number:
            continue
        if cut[number]:
            boxes[number], shares[number] = _rectangle(float(kept[number]), u[number, 2:], height, width)
        else:
            shares[number] = kept[number]
    return Mixture(shares, boxes)


def _beta(u: Array, alpha: float | None) -> Array:
    """Return the quantiles of Beta(alpha, alpha): its draws, where `u` is uniform."""
    if not alpha:
        return np.ones_like(u)
    from scipy.special import betaincinv

    found: Array = betaincinv(alpha, alpha, u)
    return found


def _rectangle(kept: float, centre: Array, height: int, width: int) -> tuple[tuple[slice, slice], float]:
    """Return a rectangle of 1 - `kept` of the area, cut at the edge, and the share of the area beside it."""
    ratio = math.sqrt(1 - kept)
    row, column = float(centre[0]) * height, float(centre[1]) * width
    top, bottom = (round(min(max(row + side * ratio * height / 2, 0), height)) for side in (-1, 1))
    left, right = (round(min(max(column + side * ratio * width / 2, 0), width)) for side in (-1, 1))
    share = 1 - (bottom - top) * (right - left) / (height * width)
    return (slice(top, bottom), slice(left, right)), share
