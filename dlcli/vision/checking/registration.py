"""Lay one picture on another: how alike are they, when one may be a part of the other, and lighter or darker?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Grays = npt.NDArray[np.uint8]
_Images = npt.NDArray[np.float32]

# A part has at least three quarters of the whole's width and height.
_LEAST_SCALE, _MOST_SHIFT = 0.75, 0.3
# Steps of the search, at half of the size first: there a shift of three pixels is one of one and a half.
_FIRST_STEPS, _COARSE_STEPS, _FINE_STEPS = 2, 3, 4
# Pairs that are less alike than this after the first steps, at half of the size, do not become alike: of 3,000 copies
# of photographs none was, of pairs with a high cosine two thirds are.
_HOPELESS = 0.8
# Of a copy the details agree too (0.87 and more in 99.5 % of copies); of two smooth pictures, such as ships before a
# sky, that agree in everything else they do not (mostly under 0.6).
_LEAST_DETAILS = 0.8
_AROUND = 2
# What keeps the search still where a picture shows nothing, as a share of what it shows.
_DAMPING = 1e-3


def likeness(first: Grays, second: Grays, *, enough: Any) -> _Images:
    """Return the correlation of pairs of pictures when they are laid on each other as well as can be.

    Scale and shift, across and down, are found by least squares on the brightness gradient (Lucas and Kanade 1981),
    each picture being taken for a part of the other in turn.

    Args:
        first: uint8 (n, size, size), size even.
        second: the same number of others.
        enough: float32 (n,): what is this much alike is not searched further.

    Returns:
        float32 (n,), from -1 to 1; 0 where the details do not agree.
    """
    a, b = first.astype(np.float32), second.astype(np.float32)
    best = np.where(_details_agree(a, b), _correlation(a, b), 0)
    rows = np.flatnonzero(best < enough)
    if not len(rows):
        return best
    small_a, small_b = _halved(a[rows]), _halved(b[rows])
    where = _searched(small_a, small_b, _identity(len(rows)), steps=_FIRST_STEPS)
    hopeful = _correlation(small_a, _warped(small_b, where)) >= _HOPELESS
    rows, where = rows[hopeful], where[hopeful]
    _improve(best, a, b, rows, where)
    rows, where = rows[best[rows] < enough[rows]], where[best[rows] < enough[rows]]
    _improve(best, b, a, rows, _turned_round(where))
    return best


def _improve(best: _Images, part: _Images, whole: _Images, rows: Any, where: _Images) -> None:
    """Search on from `where` for some rows, and keep what is better."""
    if len(rows):
        where = _searched(_halved(part[rows]), _halved(whole[rows]), where, steps=_COARSE_STEPS)
        where = _searched(part[rows], whole[rows], where, steps=_FINE_STEPS)
        seen = _warped(whole[rows], where)
        found = np.where(_details_agree(part[rows], seen), _correlation(part[rows], seen), 0)
        best[rows] = np.maximum(best[rows], found)


def _turned_round(where: _Images) -> _Images:
    """Return where the whole lies in the part, of where the part lies in the whole."""
    scale = 1 / where[:, [0, 2]]
    shift = -where[:, [1, 3]] * scale
    return np.stack([scale[:, 0], shift[:, 0], scale[:, 1], shift[:, 1]], axis=1)


def _details_agree(a: _Images, b: _Images) -> npt.NDArray[np.bool_]:
    """Say whether what is left without the low frequencies, pixels less the mean of those around them, agrees."""
    found: npt.NDArray[np.bool_] = _correlation(_details(a), _details(b)) >= _LEAST_DETAILS
    return found


def _details(images: _Images) -> _Images:
    size = images.shape[1]
    near = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) <= _AROUND
    mean = (near / near.sum(1, keepdims=True)).astype(np.float32)
    found: _Images = images - mean @ images @ mean.T
    return found


def _identity(count: int) -> _Images:
    return np.tile(np.array([1, 0, 1, 0], np.float32), (count, 1))


def _halved(images: _Images) -> _Images:
    count, size, _ = images.shape
    found: _Images = images.reshape(count, size // 2, 2, size // 2, 2).mean((2, 4), dtype=np.float32)
    return found


def _correlation(a: _Images, b: _Images) -> _Images:
    a, b = a - a.mean((1, 2), keepdims=True), b - b.mean((1, 2), keepdims=True)
    lengths = np.sqrt(np.einsum("nij,nij->n", a, a) * np.einsum("nij,nij->n", b, b))
    found: _Images = np.einsum("nij,nij->n", a, b) / np.maximum(lengths, 1e-6)
    return found


def _warped(images: _Images, where: _Images) -> _Images:
    """Resample (n, size, size) at scale and shift across, scale and shift down: (n, 4), of coordinates from -1 to 1."""
    size = images.shape[1]
    at = np.linspace(-1, 1, size, dtype=np.float32)
    across, down = (_weights((at * where[:, n : n + 1] + where[:, n + 1 : n + 2] + 1) / 2 * (size - 1)) for n in (0, 2))
    found: _Images = (down @ images @ across.transpose(0, 2, 1)).astype(np.float32, copy=False)
    return found


def _weights(places: _Images) -> _Images:
    """Return matrices (n, size, size) that interpolate linearly at places (n, size); the border goes on outside."""
    size = places.shape[1]
    places = np.clip(places, 0, size - 1)
    found: _Images = np.maximum(0, 1 - np.abs(places[:, :, None] - np.arange(size, dtype=np.float32)))
    return found


def _searched(part: _Images, whole: _Images, where: _Images, *, steps: int) -> _Images:
    """Improve where in `whole` each `part` lies."""
    count, size, _ = part.shape
    at = np.linspace(-1, 1, size, dtype=np.float32)
    # How firmly each of the six unknowns is held: the gain and the offset of the brightness hardly.
    hold = np.diag(np.array([1, 1, 1, 1, 0.01, 0.01], np.float32)) * _DAMPING / 6
    for _ in range(steps):
        seen = _warped(whole, where)
        across = np.gradient(seen, axis=2) * ((size - 1) / 2 / where[:, 0])[:, None, None]
        down = np.gradient(seen, axis=1) * ((size - 1) / 2 / where[:, 2])[:, None, None]
        changes = np.stack([across * at, across, down * at[:, None], down, seen, np.ones_like(seen)], axis=1)
        changes = changes.reshape(count, 6, -1)
        squares = changes @ changes.transpose(0, 2, 1)
        squares += hold * np.trace(squares, axis1=1, axis2=2)[:, None, None]
        squares[:, range(6), range(6)] += 1e-3  # Of a flat picture all of them are zero.
        missing = changes @ (part - seen).reshape(count, -1, 1)
        step = np.linalg.solve(squares, missing)[:, :, 0]
        gain = np.maximum(0.3, np.abs(1 + step[:, 4:5]))
        where = where + step[:, :4] / gain
        where[:, [0, 2]] = np.clip(where[:, [0, 2]], _LEAST_SCALE, 1 / _LEAST_SCALE)
        where[:, [1, 3]] = np.clip(where[:, [1, 3]], -_MOST_SHIFT, _MOST_SHIFT)
    return where
