"""MixUp and CutMix: pictures of a batch mixed in pairs, and how much of each is left."""

from __future__ import annotations

import math

import cv2
import numpy as np

from dlcli.vision.augmentation.config import MixingConfig
from dlcli.vision.augmentation.philox import Array, uniforms

# The stream of its own, so that mixing changes no draw of the augmentation.
_STREAM = 1


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
    out, shares = images.copy(), np.ones(len(images), np.float32)
    if not config.mixes:
        return out, shares
    u = uniforms(np.asarray(items), 4, seed=seed, epoch=epoch, stream=_STREAM)
    cut = (u[:, 0] < 0.5) if config.mixup and config.cutmix else np.full(len(images), bool(config.cutmix))
    kept = np.where(cut, _beta(u[:, 1], config.cutmix), _beta(u[:, 1], config.mixup))
    for number in range(len(images)):
        other = len(images) - 1 - number
        if other == number:
            continue
        if cut[number]:
            shares[number] = _paste(out[number], images[other], kept[number], u[number, 2:])
        else:
            shares[number] = kept[number]
            share = float(shares[number])
            cv2.addWeighted(images[number], share, images[other], 1 - share, 0, out[number])
    return out, shares


def _beta(u: Array, alpha: float | None) -> Array:
    """Return the quantiles of Beta(alpha, alpha): its draws, where `u` is uniform."""
    if not alpha:
        return np.ones_like(u)
    from scipy.special import betaincinv

    found: Array = betaincinv(alpha, alpha, u)
    return found


def _paste(picture: Array, other: Array, kept: float, centre: Array) -> float:
    """Paste a rectangle of `other` into `picture`; return the share of the picture's area that is left of it."""
    height, width = picture.shape[:2]
    ratio = math.sqrt(1 - kept)
    row, column = float(centre[0]) * height, float(centre[1]) * width
    top, bottom = (round(min(max(row + side * ratio * height / 2, 0), height)) for side in (-1, 1))
    left, right = (round(min(max(column + side * ratio * width / 2, 0), width)) for side in (-1, 1))
    picture[top:bottom, left:right] = other[top:bottom, left:right]
    return 1.0 - float((bottom - top) * (right - left)) / float(height * width)
