"""Pictures in their own size, from encoded bytes to pixels and back."""

from __future__ import annotations

import io
import struct
from typing import Any, Literal

import cv2
import numpy as np
import PIL
from PIL import Image

from dlcli.vision.augmentation.philox import Array
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.headers import BadPicture, Header, read_header
from dlcli.vision.raw import BadItem, damaged

FileFormat = Literal["jpeg", "png", "webp", "bmp"]
ENDINGS: dict[str, str] = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "bmp": ".bmp"}

# What makes a picture with an EXIF orientation upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow raises for damaged content; TensorFlow then has the last word.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error)


def decode_picture(item: str, data: bytes, size: tuple[int, int] | None = None, *, resize: str = "stretch") -> Array:
    """Decode one picture to the pixels that training sees, upright, on white where it is transparent.

    Args:
        item: which names it in an error.
        data: its encoded bytes.
        size: height and width; its own when None.
        resize: how a picture of another shape gets that size.

    Returns:
        uint8 (height, width, channels): 1 channel where its format stores no colours, else 3 (red, green, blue).

    Raises:
        BadItem: it cannot be decoded.
    """
    try:
        header = read_header(data)
    except BadPicture as bad:
        raise BadItem(item, bad.what, kind=bad.kind, hint=bad.hint) from None
    found = _by_pillow(data, header) if size is None else None
    return found if found is not None else _by_graph(item, data, header, size, resize)


def _by_pillow(data: bytes, header: Header) -> Array | None:
    """Decode what Pillow decodes to the same pixels as TensorFlow, which takes seconds to import; None for others."""
    plain = header.mode in ("L", "RGB") and header.bits == 8 and header.format in ("jpeg", "png")
    if not plain:
        return None
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            if image.mode != header.mode or "transparency" in image.info:
                return None
            turn = _UPRIGHT.get(header.orientation)
            found = np.asarray(image if turn is None else image.transpose(turn))
    except _DAMAGED:
        return None
    return found if found.ndim == 3 else found[:, :, None]


def _by_graph(item: str, data: bytes, header: Header, size: tuple[int, int] | None, resize: Any) -> Array:
    from dlcli.core.backend import tf
    from dlcli.vision.pixels import graph_of, native_graph

    config = ImagePipelineConfig(image_size=size, resize=resize, color="grayscale" if header.is_gray else "rgb")
    try:
        if size is None:
            found: Array = native_graph(config.channels)(tf.constant(data)).numpy()
        else:
            found = graph_of(config)(tf.constant([data])).numpy()[0]
    except tf.errors.OpError:
        raise damaged(item, header) from None
    return found


def encode_picture(picture: Array, format: FileFormat, *, quality: int) -> bytes:
    """Encode uint8 (height, width, 1 or 3) as a file of that format.

    Args:
        picture: the pixels.
        format: jpeg (colours at half the resolution, as is usual), png, webp or bmp.
        quality: from 1 to 100, of jpeg and webp; with webp 100 is still lossy.
    """
    # OpenCV's encoders are libjpeg-turbo, libpng and libwebp, as Pillow's; they leave the interpreter free meanwhile.
    pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.shape[2] == 3 else picture
    options = {
        "jpeg": [cv2.IMWRITE_JPEG_QUALITY, quality],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
    }
    done, data = cv2.imencode(ENDINGS[format], pixels, options.get(format, []))
    if not done:
        raise ValueError(f"OpenCV could not encode a picture of {picture.shape[1]}x{picture.shape[0]} as {format}")
    return data.tobytes()


def versions() -> dict[str, str]:
    """Return the versions of what decides on the bytes of a copy."""
    return {"numpy": np.__version__, "opencv": cv2.__version__, "pillow": PIL.__version__}
