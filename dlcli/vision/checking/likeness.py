"""Pictures that look alike: every pair whose low frequencies agree, mirrored ones among them, then laid on each other.

A picture is 32x32 shades of gray here. Its low frequencies (discrete cosine transform, as in pHash: Zauner 2010), all
of about the same weight, are a vector of length one; a copy's has a high cosine with it, and of what was mirrored the
odd columns have changed their sign alone, so that the same products find both. `registration.py` then decides, and
where both pictures have colours, those: shapes on a plain ground differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from dlcli.core.parallel import parallel
from dlcli.vision.checking import registration
from dlcli.vision.checking.registration import Grays

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

# Frequencies in each direction; with fewer unrelated photographs agree, with more a cropped copy does not.
_FREQUENCIES = 7
# Amplitudes of photographs fall as 1/f (Field 1987): this lifts the higher ones nearly to the lowest.
_LIFT = 0.7
# Standard deviation of gray levels under which a picture shows nothing: all such look alike.
_LEAST_DETAIL = 2.0
# Of a sample of this size, each picture's likeness to its 0.5 % nearest tells how alike pictures of this data are.
_SAMPLE, _NEAREST, _FEWEST_NEAREST = 2048, 200, 10
# A copy may differ by this much (1 - correlation) where pictures are as unlike as photographs, whose 0.5 % nearest
# have a cosine under 0.58; by less where they are not, as of handwritten digits, which have 0.7 to 0.98; but by as much
# as a JPEG of quality 90 differs.
_MOST_DIFFERENCE, _LEAST_DIFFERENCE, _PHOTOGRAPHS = 0.06, 5e-4, 0.58
# The cosine of a picture and its copy cropped by a tenth is over this in 19 of 20 cases (see docs/checking.md).
_LEAST_COSINE = 0.64
# Candidates of one picture that are looked at closely, the likest first.
_MOST_CANDIDATES = 8
# By how much the colours of a copy differ, as `colors` gives them; of pictures of the same form 99 % of the copies in
# CIFAR-10 are under it, and plain shapes in other colours over it. Under the second a picture counts as gray.
_OTHER_COLORS, _NO_COLORS = 0.1, 0.01
# Rows and columns of one product of matrices: it fits a processor's cache.
_ROWS, _COLUMNS = 256, 4096
# Pairs that are laid on each other in one go.
_PAIRS = 512


class Pairs(NamedTuple):
    """Pairs of pictures that are copies of each other.

    Attributes:
        first: row of one picture, int64 (n,); always less than `second`.
        second: row of the other.
        mirrored: whether one is the other's mirror image, bool (n,).
        likeness: correlation when laid on each other, float32 (n,), at most 1.
    """

    first: IntArray
    second: IntArray
    mirrored: npt.NDArray[np.bool_]
    likeness: FloatArray


class Vectors(NamedTuple):
    """Low frequencies of n pictures: those of even and of odd columns, float32 (n, k); rows of zeros show nothing."""

    even: FloatArray
    odd: FloatArray

    def of(self, rows: Any) -> Vectors:
        """Return those of some rows."""
        return Vectors(self.even[rows], self.odd[rows])

    def cosines(self, others: Vectors) -> tuple[FloatArray, FloatArray]:
        """Return the cosine with each other picture, mirrored where that is higher; and what says which it is."""
        odd = self.odd @ others.odd.T
        cosines = self.even @ others.even.T
        cosines += np.abs(odd)
        return cosines, odd


def vectors(grays: Grays) -> Vectors:
    """Return the low frequencies of uint8 (n, 32, 32)."""
    size = grays.shape[1]
    # The orthonormal DCT-II.
    places = np.pi * (2 * np.arange(size) + 1) / (2 * size)
    basis = np.cos(places[:, None] * np.arange(_FREQUENCIES)) * np.sqrt(2 / size)
    basis[:, 0] /= np.sqrt(2)
    basis = basis.astype(np.float32)
    lift = np.hypot(*np.mgrid[:_FREQUENCIES, :_FREQUENCIES]).astype(np.float32) ** _LIFT
    found = np.empty((len(grays), _FREQUENCIES, _FREQUENCIES), np.float32)
    for start in range(0, len(grays), _COLUMNS):
        part = grays[start : start + _COLUMNS].astype(np.float32)
        found[start : start + _COLUMNS] = (basis.T @ part @ basis) * lift
        found[start : start + _COLUMNS][part.std((1, 2)) < _LEAST_DETAIL] = 0
    length = np.sqrt((found**2).sum((1, 2), keepdims=True))
    found /= np.maximum(length, 1e-6)
    even, odd = (found[:, :, first::2] for first in (0, 1))
    return Vectors(
        *(np.ascontiguousarray(part.reshape(len(grays), part.shape[1] * part.shape[2])) for part in (even, odd))
    )


def colors(pixels: npt.NDArray[np.uint8]) -> FloatArray:
    """Return the colours of small pictures, whatever their light.

    Args:
        pixels: uint8 (n, 32, 32, 3).

    Returns:
        float32 (n, 4, 4, 2): of each sixteenth red against green, and both against blue, as shares of the brightness.
    """
    side = pixels.shape[1] // 4
    blocks = pixels.reshape(len(pixels), 4, side, 4, side, 3).mean((2, 4), dtype=np.float32)
    blocks += 8  # In the dark all is gray.
    red, green, blue = np.moveaxis(blocks, -1, 0)
    found: FloatArray = np.stack([red - green, (red + green - 2 * blue) / 2], axis=-1) / blocks.sum(-1, keepdims=True)
    return found


def near_duplicates(grays: Grays, colours: FloatArray | None = None, *, advance: Any = None) -> Pairs:
    """Find pictures that are copies of each other: re-encoded, resized, mirrored, brightened or a little cropped.

    Where many pictures are alike by nature, as digits are, a copy must be more like its original than the usual
    neighbour is by far.

    Args:
        grays: uint8 (n, 32, 32).
        colours: what `colors` gives for them; without it, gray alone counts.
        advance: is called with the number of pictures done.

    Returns:
        the pairs, in the order of their rows.
    """
    found = vectors(grays)
    pairs: list[Pairs] = []
    # Threads of our own and of the matrix library at once take twice the time.
    with threadpool_limits(1, user_api="blas"):
        allowed = tolerances(found)
        work = parallel(lambda start: _confirmed(start, grays, colours, found, allowed), range(0, len(grays), _ROWS))
        for rows, chunk in work:
            pairs.append(chunk)
            if advance is not None:
                advance(rows)
    if not pairs:
        empty = np.empty(0, np.int64)
        return Pairs(empty, empty, np.empty(0, np.bool_), np.empty(0, np.float32))
    return Pairs(*(np.concatenate(parts) for parts in zip(*pairs, strict=True)))


def tolerances(found: Vectors) -> FloatArray:
    """Return by how much a copy of each picture may differ from it, as 1 - correlation."""
    count = len(found.even)
    rows = np.random.default_rng(0).permutation(count)[:_SAMPLE]
    sample = found.of(np.sort(rows))
    nearest = max(_FEWEST_NEAREST, len(rows) // _NEAREST)
    usual = np.zeros(count, np.float32)
    if len(rows) > nearest:
        for start in range(0, count, _ROWS):
            cosines, _ = found.of(slice(start, start + _ROWS)).cosines(sample)
            # The picture itself may be in the sample: one more.
            usual[start : start + _ROWS] = np.partition(cosines, -nearest - 1, axis=1)[:, -nearest - 1]
    unlike = np.clip((1 - usual) / (1 - _PHOTOGRAPHS), 0, 1)
    allowed: FloatArray = np.maximum(_LEAST_DIFFERENCE, _MOST_DIFFERENCE * unlike**3).astype(np.float32)
    return allowed


def _confirmed(
    start: int, grays: Grays, colours: FloatArray | None, found: Vectors, allowed: FloatArray
) -> tuple[int, Pairs]:
    """Return how many rows were compared with all behind them, and the copies among them."""
    first, second, mirrored = _candidates(start, found, allowed)
    likeness = np.empty(len(first), np.float32)
    limit = 1 - np.minimum(allowed[first], allowed[second])
    for at in range(0, len(first), _PAIRS):
        part = slice(at, at + _PAIRS)
        others = grays[second[part]]
        others = np.where(mirrored[part][:, None, None], others[:, :, ::-1], others)
        likeness[part] = registration.likeness(grays[first[part]], others, enough=limit[part])
    kept = likeness >= limit
    if colours is not None:
        kept &= _of_same_colors(colours[first], colours[second], mirrored)
    pairs = Pairs(first[kept], second[kept], mirrored[kept], likeness[kept])
    return min(_ROWS, len(grays) - start), pairs


def _of_same_colors(one: FloatArray, other: FloatArray, mirrored: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Say which pairs do not differ by their colours; a gray picture may be a copy of any."""
    other = np.where(mirrored[:, None, None, None], other[:, :, ::-1], other)
    gray = np.minimum(np.abs(one).mean((1, 2, 3)), np.abs(other).mean((1, 2, 3))) < _NO_COLORS
    same: npt.NDArray[np.bool_] = gray | (np.abs(one - other).mean((1, 2, 3)) <= _OTHER_COLORS)
    return same


def _candidates(start: int, found: Vectors, allowed: FloatArray) -> tuple[IntArray, IntArray, npt.NDArray[np.bool_]]:
    """Return pairs of the rows from `start` and rows behind them whose cosine is high."""
    rows = found.of(slice(start, start + _ROWS))
    # The less a copy may differ, the higher its cosine is.
    least = 1 - (1 - _LEAST_COSINE) * (allowed / _MOST_DIFFERENCE)
    parts = [_block(start, at, rows, found, least) for at in range(start, len(allowed), _COLUMNS)]
    first, second, cosine, mirrored = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((-cosine, first))
    first, second, mirrored = first[order], second[order], mirrored[order]
    begins = np.searchsorted(first, first)
    kept = np.arange(len(first)) - begins < _MOST_CANDIDATES
    first, second, mirrored = first[kept], second[kept], mirrored[kept]
    order = np.lexsort((second, first))
    return first[order], second[order], mirrored[order]


def _block(start: int, at: int, rows: Vectors, found: Vectors, least: FloatArray) -> Iterator[Any]:
    cosines, odd = rows.cosines(found.of(slice(at, at + _COLUMNS)))
    row, column = np.nonzero(cosines >= least[start : start + _ROWS, None])
    first, second = row + start, column + at
    kept = (first < second) & (cosines[row, column] >= least[second])
    row, column = row[kept], column[kept]
    return iter((first[kept], second[kept], cosines[row, column], odd[row, column] < 0))
