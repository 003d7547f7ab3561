"""Pictures that already are what the model sees, but for their encoding: one op each, in the place of sixty.

`decode` must find out in the graph what a picture is. Where Python has read the header, and size and colours are those
wanted, nothing is left to find out; of small pictures that takes most of the time, and to trace it a second.
"""

from __future__ import annotations

from typing import Any, Literal

from dlcli.core.backend import tf
from dlcli.vision import formats
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.headers import Header

Plain = Literal["jpeg", "png"]


def plain_format(data: bytes, header: Header, config: ImagePipelineConfig) -> Plain | None:
    """Return by which decoder alone a picture becomes the pixels that `decode` makes of it; None: by none.

    Args:
        data: an encoded picture.
        header: its own.
        config: size and colours that are wanted.
    """
    if (header.height, header.width) != config.image_size:
        return None
    if header.format == "jpeg" and _jfif_alone(data) and (config.channels == 3 or header.mode == "L"):
        return "jpeg"
    if header.format == "png" and _three_chunks(data) and header.mode == {1: "L", 3: "RGB"}[config.channels]:
        return "png"
    return None


def _jfif_alone(data: bytes) -> bool:
    """Say whether a JFIF segment alone stands before the tables, so that there is no EXIF."""
    return data[2:6] == b"\xff\xe0\0\x10" and data[20:22] == b"\xff\xdb"


def _three_chunks(data: bytes) -> bool:
    """Say whether IHDR, IDAT and IEND are all that there is: no EXIF, no transparent colour."""
    return data[37:41] == b"IDAT" and int.from_bytes(data[33:37], "big") == len(data) - 57


def decode_plain(data: Any, format_: Plain, config: ImagePipelineConfig) -> Any:
    """Decode strings (n,) of one plain format: uint8 (n, height, width, channels), as `decode_batch` does.

    Raises:
        tf.errors.InvalidArgumentError: when it runs: a picture is damaged, or not what its header says.
    """
    assert config.image_size is not None
    shape = (*config.image_size, config.channels)

    def one(content: Any) -> Any:
        found = (
            tf.io.decode_png(content) if format_ == "png" else formats.decode_jpeg(content, channels=config.channels)
        )
        return tf.ensure_shape(found, shape)

    return tf.map_fn(one, data, fn_output_signature=tf.TensorSpec(shape, tf.uint8))
