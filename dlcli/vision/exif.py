"""The orientation that a camera notes (EXIF), found and applied in TensorFlow ops: in a graph there is no Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlcli.core.backend import tf

# Entries of a directory that are looked at: cameras write about a dozen.
_ENTRIES = 256


def number(data: Any, at: Any, size: int, *, big: Any = False) -> Any:
    """Return the number in `size` bytes at a place of uint8 (n,), as int32; bytes behind the end are 0."""
    part = tf.cast(data[at : at + size], tf.int32)
    if part.shape[0] != size:  # It is not known to be whole, so perhaps it is not.
        part = tf.ensure_shape(tf.pad(part, [[0, size - tf.size(part)]]), [size])
    weights = tf.constant([256**place for place in range(min(size, 3))] + [1 << 24] * (size > 3), tf.int32)
    upwards, downwards = tf.reduce_sum(part * weights), tf.reduce_sum(part * weights[::-1])
    return (downwards if big else upwards) if isinstance(big, bool) else tf.where(big, downwards, upwards)


def jpeg_orientation(data: Any) -> Any:
    """Return the orientation, 1 to 8, of a JPEG in uint8 (n,): from the first EXIF among its application segments."""
    end = tf.size(data)

    def is_before(at: Any, found: Any) -> Any:
        return (found == 0) & (at + 4 < end)

    def step(at: Any, found: Any) -> tuple[Any, Any]:
        head = tf.cast(tf.pad(data[at : at + 10], [[0, 10 - tf.size(data[at : at + 10])]]), tf.int32)
        is_exif = tf.reduce_all(head[1:2] == 0xE1) & tf.reduce_all(head[4:] == [0x45, 0x78, 0x69, 0x66, 0, 0])
        is_other = (head[0] == 0xFF) & (((head[1] >= 0xE0) & (head[1] <= 0xEF)) | (head[1] == 0xFE))
        size = tf.maximum(head[2] * 256 + head[3], 2)
        found = tf.cond(is_exif, lambda: _orientation(data[at + 10 : at + 2 + size]), lambda: 0)
        return tf.where(is_other, at + 2 + size, end), found

    _, found = tf.while_loop(is_before, step, (tf.constant(2), tf.constant(0)), parallel_iterations=1)
    return tf.maximum(found, 1)


def chunk_orientation(data: Any, *, name: bytes, first: int, png: bool) -> Any:
    """Return the orientation, 1 to 8, in a chunk of PNG (`eXIf`) or WebP (`EXIF`), uint8 (n,)."""
    end = tf.size(data)
    wanted = list(name)

    def is_before(at: Any, found: Any) -> Any:
        return (found == 0) & (at + 8 < end)

    def step(at: Any, found: Any) -> tuple[Any, Any]:
        head = tf.cast(data[at : at + 8], tf.int32)
        tag, size = (head[4:], number(data, at, 4, big=True)) if png else (head[:4], number(data, at + 4, 4))
        size = tf.where((size < 0) | (size > end - at), end - at, size)
        content = data[at + 8 : at + 8 + size]
        prefix = tf.cast(tf.equal(number(content, 0, 4, big=True), 0x45786966), tf.int32) * 6  # "Exif", 0, 0
        found = tf.cond(tf.reduce_all(tag == wanted), lambda: tf.maximum(_orientation(content[prefix:]), 1), lambda: 0)
        return at + size + (12 if png else 8 + size % 2), found

    _, found = tf.while_loop(is_before, step, (tf.constant(first), tf.constant(0)), parallel_iterations=1)
    return tf.maximum(found, 1)


def _orientation(tiff: Any) -> Any:
    """Return the value of tag 0x0112 in the first directory of uint8 (n,); 0 where there is no valid one."""
    order = number(tiff, 0, 4, big=True)
    big = tf.equal(order, 0x4D4D002A)
    at = number(tiff, 4, 4, big=big)
    fits = (big | tf.equal(order, 0x49492A00)) & (at >= 8) & (at < tf.size(tiff) - 2)
    at = tf.where(fits, at, 0)
    count = tf.minimum(number(tiff, at, 2, big=big), _ENTRIES)
    count = tf.where(fits, tf.minimum(count, (tf.size(tiff) - at - 2) // 12), 0)
    table = tf.cast(tf.reshape(tiff[at + 2 : at + 2 + 12 * count], [count, 12]), tf.int32)
    low, high = tf.where(big, 1, 0), tf.where(big, 0, 1)
    tags = tf.gather(table, low, axis=1) + 256 * tf.gather(table, high, axis=1)
    values = tf.gather(table, 8 + low, axis=1) + 256 * tf.gather(table, 8 + high, axis=1)
    found = tf.boolean_mask(values, tags == 0x0112)
    value = tf.where(tf.size(found) > 0, tf.reduce_max(tf.concat([found[:1], [0]], 0)), 0)
    return tf.where((value >= 1) & (value <= 8), value, 0)


def upright(image: Any, orientation: Any) -> Any:
    """Turn and mirror uint8 (height, width, channels) as its orientation, 1 to 8, says."""

    def turned() -> Any:
        found = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
        found = _if_in(orientation, (2, 3, 6, 7), lambda: found[:, ::-1], found)
        return _if_in(orientation, (3, 4, 7, 8), lambda: found[::-1], found)

    return tf.cond(orientation > 1, turned, lambda: image)


def _if_in(value: Any, values: tuple[int, ...], then: Callable[[], Any], otherwise: Any) -> Any:
    return tf.cond(tf.reduce_any(value == tf.constant(values)), then, lambda: otherwise)
