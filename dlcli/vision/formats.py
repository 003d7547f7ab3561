"""Each format of picture to pixels in TensorFlow ops: uint8 (height, width, 1 to 4 channels), upright, no bombs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlcli.core.backend import tf
from dlcli.vision.exif import chunk_orientation, jpeg_orientation, number, upright
from dlcli.vision.headers import MAX_PIXELS

HEAD = 64
"""How many of a picture's first bytes are looked at to choose how it is decoded; shorter ones are padded."""
REDUCING_GAP = 2.0
_WHITE = 255


def require(condition: Any, what: str) -> Any:
    """Return an op that raises `InvalidArgumentError`; `tf.debugging.Assert` would be a branch of several."""
    return tf.raw_ops.Assert(condition=condition, data=[what])


def apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep a rare branch as one node: thousands of times a second, a branch not taken costs something for each node."""
    found: Callable[..., Any] = tf.function(function, autograph=False, experimental_attributes={"_noinline": True})
    return found


def within_bounds(height: Any, width: Any) -> Any:
    """Return an op that raises where a header claims more pixels than are decoded: a decompression bomb."""
    # As float32 no product overflows, and none near the bound is off by more than a row.
    pixels = tf.cast(height, tf.float32) * tf.cast(width, tf.float32)
    return require((height > 0) & (pixels > 0) & (pixels <= MAX_PIXELS), "a size of 0, or too many pixels")


def content_of(data: Any) -> Any:
    """Return a scalar string as uint8 (n,)."""
    return tf.io.decode_raw(data, tf.uint8)


def jpeg(data: Any, head: Any, *, channels: int, sides: tuple[int, int] | None) -> Any:
    """Decode JPEG.

    Args:
        data: scalar string.
        head: its first bytes, uint8 (HEAD,).
        channels: 3 for RGB, 0 for what there is.
        sides: height and width that are wanted; a picture many times as large is decoded at a half, quarter or eighth.
    """
    size = tf.io.extract_jpeg_shape(data)

    def at(ratio: int) -> Any:
        return decode_jpeg(data, channels=channels, ratio=ratio)

    def reduced() -> Any:
        assert sides is not None
        number_ = tf.cast(_times(size, sides) >= 4, tf.int32) + tf.cast(_times(size, sides) >= 8, tf.int32)
        return tf.switch_case(number_, [lambda: at(2), lambda: at(4), lambda: at(8)])

    with tf.control_dependencies([within_bounds(size[0], size[1])]):
        image = at(1) if sides is None else tf.cond(_times(size, sides) < 2, lambda: at(1), apart(reduced))
    return tf.cond(_is_plain_jpeg(head), lambda: image, lambda: _upright_jpeg(image, data))


def decode_jpeg(data: Any, *, channels: int, ratio: int = 1) -> Any:
    """Decode JPEG as it is stored, at a `ratio`-th of its size."""
    # The accurate transform is Pillow's default too; with SIMD the fast one gains nothing.
    return tf.io.decode_jpeg(data, channels=channels, ratio=ratio, dct_method="INTEGER_ACCURATE")


def _times(size: Any, sides: tuple[int, int]) -> Any:
    """Return by how much a JPEG can be made smaller while it is decoded: the resize still sees enough to be smooth."""
    return tf.cast(tf.minimum(size[0], size[1]), tf.float32) / (REDUCING_GAP * max(sides))


@apart
def _upright_jpeg(image: Any, data: Any) -> Any:
    return upright(image, jpeg_orientation(content_of(data)))


def _is_plain_jpeg(head: Any) -> Any:
    """Say whether a JFIF segment alone stands before the tables, as most programs write it: then there is no EXIF."""
    return tf.reduce_all(tf.gather(head, [2, 3, 4, 5, 20, 21]) == [0xFF, 0xE0, 0, 16, 0xFF, 0xDB])


def png(data: Any, head: Any) -> Any:
    """Decode PNG; of 16 bits the upper 8 are kept."""
    with tf.control_dependencies([within_bounds(number(head, 20, 4, big=True), number(head, 16, 4, big=True))]):
        image = tf.io.decode_png(data)
    return tf.cond(_is_plain_png(data, head), lambda: image, lambda: _upright_png(image, data))


@apart
def _upright_png(image: Any, data: Any) -> Any:
    return upright(image, chunk_orientation(content_of(data), name=b"eXIf", first=8, png=True))


def _is_plain_png(data: Any, head: Any) -> Any:
    """Say whether there are three chunks, IHDR, IDAT and IEND, alone: then there is no EXIF."""
    size = number(head, 33, 4, big=True)
    return (size == tf.strings.length(data) - 57) & tf.reduce_all(head[37:41] == list(b"IDAT"))


@apart
def gif(data: Any) -> Any:
    """Decode the first frame of a GIF (GIF89a specification), on white where it is transparent or does not reach."""
    content = _padded(data)
    width, height = number(content, 6, 2), number(content, 8, 2)
    palette_size = _color_table(tf.cast(content[10], tf.int32))
    at, clear = _first_frame(content, 13 + palette_size)
    left, top = number(content, at + 1, 2), number(content, at + 3, 2)
    frame_width, frame_height = number(content, at + 5, 2), number(content, at + 7, 2)
    local_size = _color_table(tf.cast(tf.concat([content[at + 9 : at + 10], [0]], 0)[0], tf.int32))
    palette_at, palette_size = tf.where(local_size > 0, at + 10, 13), tf.where(local_size > 0, local_size, palette_size)
    palette = tf.pad(content[palette_at : palette_at + palette_size], [[0, 768]])[:768]
    palette = tf.reshape(palette, [256, 3])
    white = (tf.range(256) == clear)[:, tf.newaxis]
    palette = tf.where(white, tf.constant(_WHITE, tf.uint8), palette)
    start = at + 10 + local_size
    end = _end_of_blocks(content, start + 1)
    is_gif = (content[5] == 0x61) & ((content[4] == 0x37) | (content[4] == 0x39))
    fits = (
        is_gif & (left + frame_width <= width) & (top + frame_height <= height) & (palette_size > 0) & (end > start + 2)
    )
    with tf.control_dependencies([within_bounds(height, width), require(fits, "a damaged GIF frame")]):
        # A GIF of that frame alone: a decoder that is given all of it unpacks every frame.
        sides = content[at + 5 : at + 9]
        flags = tf.cast(content[at + 9] & 0x40, tf.uint8)[tf.newaxis]
        parts = (
            tf.constant(list(b"GIF89a"), tf.uint8),
            sides,
            tf.constant([0xF7, 0, 0], tf.uint8),  # A table of 256 colours.
            tf.reshape(palette, [-1]),
            tf.constant([0x2C, 0, 0, 0, 0], tf.uint8),
            sides,
            flags,
            content[start:end],
            tf.constant([0x3B], tf.uint8),
        )
        frame = tf.io.decode_image(as_string(tf.concat(parts, 0)), channels=3, expand_animations=False)
        frame = tf.ensure_shape(frame, [None, None, 3])
        right, below = width - left - frame_width, height - top - frame_height
        return tf.pad(frame, [[top, below], [left, right], [0, 0]], constant_values=_WHITE)


def _color_table(flags: Any) -> Any:
    return tf.where(flags >= 0x80, 3 * tf.bitwise.left_shift(2, flags & 7), 0)


def _first_frame(content: Any, at: Any) -> tuple[Any, Any]:
    """Return where the first frame begins, and which colour of it is transparent (-1: none)."""
    end = tf.size(content)

    def is_extension(at: Any, clear: Any) -> Any:
        return (at + 10 < end) & (content[tf.minimum(at, end - 1)] == 0x21)

    def step(at: Any, clear: Any) -> tuple[Any, Any]:
        head = tf.cast(content[at : at + 7], tf.int32)
        is_control = (head[1] == 0xF9) & (head[2] == 4)
        clear = tf.where(is_control, tf.where((head[3] & 1) == 1, head[6], -1), clear)
        return _end_of_blocks(content, at + 2), clear

    at, clear = tf.while_loop(is_extension, step, (at, tf.constant(-1)), parallel_iterations=1)
    is_frame = (at + 10 < end) & (content[tf.minimum(at, end - 1)] == 0x2C)
    with tf.control_dependencies([require(is_frame, "a GIF without a frame")]):
        return tf.identity(at), clear


def _end_of_blocks(content: Any, at: Any) -> Any:
    """Return the place behind blocks that each begin with their size, and end with one of size 0."""
    end = tf.size(content)

    def size_at(at: Any) -> Any:
        return tf.cast(content[tf.minimum(at, end - 1)], tf.int32)

    def has_more(at: Any) -> Any:
        return (at < end) & (size_at(at) > 0)

    last = tf.while_loop(has_more, lambda at: (at + 1 + size_at(at),), (at,), parallel_iterations=1)
    return tf.minimum((last[0] if isinstance(last, (tuple, list)) else last) + 1, end)


@apart
def webp(data: Any) -> Any:
    """Decode WebP; of an animation the first frame."""
    content = _padded(data)
    is_webp = tf.reduce_all(content[8:12] == list(b"WEBP"))
    is_extended = tf.reduce_all(content[12:16] == list(b"VP8X"))
    flags = tf.cast(content[20], tf.int32)
    is_moving = is_extended & ((flags & 0x02) > 0)
    height, width = _webp_size(content, is_extended)
    checks = [require(is_webp, "a RIFF file that is no WebP"), within_bounds(height, width)]
    with tf.control_dependencies(checks):
        image = tf.cond(is_moving, lambda: _first_of_webp(content, height, width), lambda: _still_webp(data))
    has_exif = is_extended & ((flags & 0x08) > 0)
    orientation = tf.cond(
        has_exif, lambda: chunk_orientation(content, name=b"EXIF", first=12, png=False), lambda: tf.constant(1)
    )
    return upright(image, orientation)


def _still_webp(data: Any) -> Any:
    return tf.ensure_shape(tf.image.decode_webp(data), [None, None, None, None])[0]


def _webp_size(content: Any, is_extended: Any) -> tuple[Any, Any]:
    is_lossless = tf.reduce_all(content[12:16] == list(b"VP8L"))
    packed = number(content, 21, 4)
    lossless = ((tf.bitwise.right_shift(packed, 14) & 0x3FFF) + 1, (packed & 0x3FFF) + 1)
    lossy = (number(content, 28, 2) & 0x3FFF, number(content, 26, 2) & 0x3FFF)
    extended = (number(content, 27, 3) + 1, number(content, 24, 3) + 1)
    return tuple(
        tf.where(is_extended, extended[side], tf.where(is_lossless, lossless[side], lossy[side])) for side in (0, 1)
    )


def _first_of_webp(content: Any, height: Any, width: Any) -> Any:
    """Decode the first frame of an animation as a still picture, on white where it does not reach.

    TensorFlow 2.21 would unpack every frame, and writes behind its buffer where the header denies the alpha channel.
    """
    end = tf.size(content)
    name = list(b"ANMF")

    def is_other(at: Any) -> Any:
        return (at + 32 < end) & ~tf.reduce_all(content[at : at + 4] == name)

    at = tf.while_loop(is_other, lambda at: (_behind_chunk(content, at),), (tf.constant(12),), parallel_iterations=1)
    at = at[0] if isinstance(at, (tuple, list)) else at
    with tf.control_dependencies([require(at + 32 < end, "a WebP animation without a frame")]):
        left, top = 2 * number(content, at + 8, 3), 2 * number(content, at + 11, 3)
        frame_width, frame_height = number(content, at + 14, 3) + 1, number(content, at + 17, 3) + 1
        last = _behind_chunk(content, at)
    fits = (left + frame_width <= width) & (top + frame_height <= height)
    tag = content[at + 24 : at + 28]
    has_alpha = tf.reduce_all(tag == list(b"ALPH"))
    is_frame = has_alpha | (tf.reduce_all(tag[:3] == list(b"VP8")) & ((tag[3] == 0x20) | (tag[3] == 0x4C)))
    with tf.control_dependencies([require(fits & is_frame, "a damaged WebP frame")]):
        extended = tf.concat([tf.constant(list(_EXTENDED), tf.uint8), content[at + 14 : at + 20]], 0)
        body = tf.concat([extended[: tf.where(has_alpha, 18, 0)], content[at + 24 : last]], 0)
        size = tf.bitwise.right_shift(tf.repeat(tf.size(body) + 4, 4), [0, 8, 16, 24]) & 0xFF
        still = tf.concat([content[:4], tf.cast(size, tf.uint8), content[8:12], body], 0)
        frame = _still_webp(as_string(still))
    sides = tf.shape(frame)
    with tf.control_dependencies([require((sides[0] == frame_height) & (sides[1] == frame_width), "a damaged frame")]):
        right, below = width - left - frame_width, height - top - frame_height
        return tf.pad(frame, [[top, below], [left, right], [0, 0]])


# The chunk that says that a picture has alpha: name, size, flags; its width and height follow.
_EXTENDED = b"VP8X\x0a\0\0\0\x10\0\0\0"


def _behind_chunk(content: Any, at: Any) -> Any:
    """Return where the chunk of a RIFF file ends that begins at a place."""
    rest = tf.size(content) - at - 8
    size = number(content, at + 4, 4)
    size = tf.where((size < 0) | (size > rest), rest, size)
    return at + 8 + tf.minimum(size + size % 2, rest)


@apart
def bmp(data: Any) -> Any:
    """Decode BMP of 1, 4, 8, 24 or 32 bits a pixel, not packed."""
    content = _padded(data)
    start, head = number(content, 10, 4), number(content, 14, 4)
    is_old = head == 12
    width = tf.where(is_old, number(content, 18, 2), number(content, 18, 4))
    height = tf.where(is_old, number(content, 20, 2), number(content, 22, 4))
    bits = tf.where(is_old, number(content, 24, 2), number(content, 28, 2))
    packing = tf.where(is_old, 0, number(content, 30, 4))
    is_known = (
        tf.reduce_any(head == tf.constant([12, 40, 52, 56, 108, 124]))
        & tf.reduce_any(bits == tf.constant([1, 4, 8, 24, 32]))
        & ((packing == 0) | ((packing == 3) & (bits == 32)))
    )
    is_upside_down = height > 0
    height = tf.abs(height)
    checks = [require(is_known, "a BMP of another kind"), within_bounds(height, width)]
    with tf.control_dependencies(checks):
        row = tf.cast((tf.cast(width, tf.int64) * tf.cast(bits, tf.int64) + 31) // 32 * 4, tf.int32)
        needed = tf.cast(row, tf.int64) * tf.cast(height, tf.int64) + tf.cast(start, tf.int64)
    with tf.control_dependencies([require((needed <= tf.size(content, tf.int64)) & (start > 0), "a BMP cut short")]):
        rows = tf.reshape(content[start : start + row * height], [height, row])
    colors_at = 14 + head
    image = tf.cond(
        bits > 8,
        lambda: tf.reshape(rows[:, : width * (bits // 8)], [height, width, bits // 8])[:, :, 2::-1],
        lambda: _with_palette(rows, width, bits, content[colors_at:start], tf.where(is_old, 3, 4)),
    )
    image = tf.ensure_shape(image, [None, None, 3])
    return tf.cond(is_upside_down, lambda: image[::-1], lambda: image)


def _with_palette(rows: Any, width: Any, bits: Any, colors: Any, entry: Any) -> Any:
    """Look up indices of 1, 4 or 8 bits in a palette of blue, green, red (and a fourth byte)."""
    count = tf.size(colors) // entry
    palette = tf.reshape(colors[: count * entry], [count, entry])[:, 2::-1]
    palette = tf.pad(palette, [[0, 256], [0, 0]])[:256]
    shifts = tf.cast(tf.range(8 - bits, -1, -bits), tf.uint8)
    mask = tf.cast(tf.bitwise.left_shift(1, bits) - 1, tf.uint8)
    spread = tf.bitwise.bitwise_and(tf.bitwise.right_shift(rows[:, :, tf.newaxis], shifts), mask)
    indices = tf.reshape(spread, [tf.shape(rows)[0], -1])[:, :width]
    return tf.gather(palette, tf.cast(indices, tf.int32))


def _padded(data: Any) -> Any:
    """Return a scalar string as uint8 (n,), n at least HEAD."""
    content = content_of(data)
    return tf.pad(content, [[0, tf.maximum(HEAD - tf.size(content), 0)]])


def as_string(content: Any) -> Any:
    """Return uint8 (n,) as a scalar string."""
    return tf.strings.reduce_join(tf.gather(_BYTES, tf.cast(content, tf.int32)))


_BYTES = [bytes((value,)) for value in range(256)]
