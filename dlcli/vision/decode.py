"""The one function from an encoded picture to pixels, in TensorFlow ops alone, so that an export holds the same."""

from __future__ import annotations

from typing import Any

from dlcli.core.backend import tf
from dlcli.vision import formats
from dlcli.vision.config import ImagePipelineConfig


def decode(data: Any, config: ImagePipelineConfig) -> Any:
    """Decode one picture and bring it to the size that the model sees.

    Args:
        data: scalar string, an encoded JPEG, PNG, BMP, GIF (its first frame) or WebP; its content counts.
        config: size, how it is reached, and colours; all three are set.

    Returns:
        uint8 (height, width, channels): upright by EXIF, transparent parts on white, averaged where it is made
        smaller, rounded.

    Raises:
        tf.errors.InvalidArgumentError: when it runs: it is no picture, damaged, or claims more than MAX_PIXELS.
    """
    assert config.image_size is not None
    image = _decode(data, channels=config.channels, sides=config.image_size)
    return resized(image, config)


def decode_native(data: Any, *, channels: int) -> Any:
    """Decode one picture as `decode` does, in its own size: uint8 (height, width, channels)."""
    return _decode(data, channels=channels, sides=None)


def decode_batch(data: Any, config: ImagePipelineConfig) -> Any:
    """Decode strings (n,) as `decode` does: uint8 (n, height, width, channels)."""
    assert config.image_size is not None
    spec = tf.TensorSpec((*config.image_size, config.channels), tf.uint8)
    return tf.map_fn(lambda one: decode(one, config), data, fn_output_signature=spec)


def _decode(data: Any, *, channels: int, sides: tuple[int, int] | None) -> Any:
    start = formats.content_of(tf.strings.substr(data, 0, formats.HEAD))
    head = tf.concat([start, tf.zeros([formats.HEAD], tf.uint8)], 0)[: formats.HEAD]
    head = tf.ensure_shape(head, [formats.HEAD])
    kind = _format(head)
    return tf.switch_case(
        tf.minimum(kind, 2),
        [
            lambda: with_channels(formats.jpeg(data, head, channels=3 if channels == 3 else 0, sides=sides), channels),
            lambda: with_channels(formats.png(data, head), channels),
            lambda: with_channels(_of_rare_format(data, kind), channels),
        ],
    )


# The first four bytes of each format, and which of them count.
_FORMATS = (
    (b"\xff\xd8\0\0", b"\xff\xff\0\0"),
    (b"\x89PNG", b"\xff\xff\xff\xff"),
    (b"GIF8", b"\xff\xff\xff\xff"),
    (b"RIFF", b"\xff\xff\xff\xff"),
    (b"BM\0\0", b"\xff\xff\0\0"),
    (b"\0\0\0\0", b"\0\0\0\0"),
)


def _format(head: Any) -> Any:
    """Return the number of a picture's format by its first bytes, in the order of `_FORMATS`; the last is none."""
    magics, masks = (tf.constant([list(row[n]) for row in _FORMATS], tf.uint8) for n in (0, 1))
    is_format = tf.reduce_all(tf.bitwise.bitwise_and(head[:4], masks) == magics, axis=1)
    return tf.argmax(tf.cast(is_format, tf.int32), output_type=tf.int32)


@formats.apart
def _of_rare_format(data: Any, kind: Any) -> Any:
    rare = [lambda: formats.gif(data), lambda: formats.webp(data), lambda: formats.bmp(data), _refused]
    return tf.switch_case(kind - 2, rare)


def _refused() -> Any:
    with tf.control_dependencies([formats.require(False, "expected a JPEG, PNG, BMP, GIF or WebP picture")]):
        return tf.zeros([1, 1, 1], tf.uint8)


def with_channels(image: Any, channels: int) -> Any:
    """Bring uint8 (height, width, 1 to 4) to 1 or 3 channels; what is transparent lies on white."""
    if image.shape[2] == channels:
        return image
    image = tf.cond(tf.shape(image)[2] % 2 == 0, lambda: _on_white(image), lambda: image)
    is_gray = tf.equal(tf.shape(image)[2], 1)
    if channels == 1:
        image = tf.cond(is_gray, lambda: image, lambda: _gray(image))
    else:
        image = tf.cond(is_gray, lambda: tf.repeat(image, 3, axis=2), lambda: image)
    return tf.ensure_shape(image, [None, None, channels])


@formats.apart
def _on_white(image: Any) -> Any:
    """Composite on white: (color * alpha + 255 * (255 - alpha)) / 255, rounded, all within 16 bits."""
    wide = tf.cast(image, tf.uint16)
    alpha, color = wide[:, :, -1:], wide[:, :, :-1]
    found = color * alpha + (255 - alpha) * 255 + 128
    # Division by 255 (Blinn, "Three Wrongs Make a Right", 1995).
    found = tf.bitwise.right_shift(found + tf.bitwise.right_shift(found, tf.constant(8, tf.uint16)), 8)
    return tf.cast(found, tf.uint8)


@formats.apart
def _gray(image: Any) -> Any:
    """Return the luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B, in 256ths: equal channels keep their value."""
    weights = tf.constant([77, 150, 29], tf.uint16)
    found = tf.reduce_sum(tf.cast(image, tf.uint16) * weights, axis=2, keepdims=True) + 128
    return tf.cast(tf.bitwise.right_shift(found, tf.constant(8, tf.uint16)), tf.uint8)


def resized(image: Any, config: ImagePipelineConfig) -> Any:
    """Bring uint8 (height, width, channels) to the size that the model sees."""
    assert config.image_size is not None
    height, width = config.image_size
    is_there = (tf.shape(image)[0] == height) & (tf.shape(image)[1] == width)
    found = tf.cond(is_there, lambda: image, lambda: _resized(image, config.resize, height, width))
    return tf.ensure_shape(found, [height, width, config.channels])


def _resized(image: Any, how: str, height: int, width: int) -> Any:
    wanted = tf.constant([height, width], tf.float32)
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = wanted / size
    if how == "stretch":
        return _scaled(image, [height, width], scale, tf.zeros(2))
    if how == "crop":
        scale = tf.repeat(tf.reduce_max(scale), 2)
        return _scaled(image, [height, width], scale, (wanted - size * scale) / 2)
    inner = tf.clip_by_value(tf.round(size * tf.reduce_min(scale)), 1.0, wanted)
    sides = tf.cast(inner, tf.int32)
    found = _scaled(image, sides, inner / size, tf.zeros(2))
    above = ([height, width] - sides) // 2
    below = [height, width] - sides - above
    return tf.pad(found, [[above[0], below[0]], [above[1], below[1]], [0, 0]])


def _scaled(image: Any, sides: Any, scale: Any, shift: Any) -> Any:
    """Resample with a triangle as wide as a pixel of the result, or of the source where that is wider."""
    found = tf.raw_ops.ScaleAndTranslate(
        images=image[tf.newaxis], size=sides, scale=scale, translation=shift, kernel_type="triangle", antialias=True
    )[0]
    return tf.cast(tf.round(found), tf.uint8)
