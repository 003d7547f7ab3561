"""Small pictures of every kind, made by Pillow, and what Pillow sees in them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageOps

FORMATS = {"jpeg": "JPEG", "png": "PNG", "bmp": "BMP", "gif": "GIF", "webp": "WEBP"}


def scene(height: int = 37, width: int = 53) -> np.ndarray[Any, Any]:
    """Return smooth colours with a few edges, uint8 (height, width, 4): no symmetry that would hide a wrong turn."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    red, green = 255 * x / (width - 1), 255 * y / (height - 1)
    blue = 127 + 120 * np.sin(x / 7 + y / 11)
    alpha = np.clip(40 + 4 * x + 2 * y, 0, 255)
    pixels = np.stack([red, green, blue, alpha], axis=-1).astype(np.uint8)
    pixels[3:9, 4:20, :3] = (250, 20, 30)
    return pixels


def encode(image: Image.Image, format_: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, FORMATS[format_], **options)
    return file.getvalue()


def picture(mode: str = "RGB", *, height: int = 37, width: int = 53) -> Image.Image:
    image = Image.fromarray(scene(height, width))
    if mode == "P":
        return image.convert("RGB").quantize(40)
    return image.convert("RGB").convert(mode) if mode not in ("RGBA", "LA") else image.convert(mode)


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x010F] = "a camera"
    found[0x0112] = orientation
    return found


def seen(data: bytes, *, channels: int = 3) -> np.ndarray[Any, Any]:
    """Return what Pillow sees: upright, on white, uint8 (height, width, channels)."""
    image: Image.Image = Image.open(io.BytesIO(data))
    image.seek(0)
    image = ImageOps.exif_transpose(image)
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    pixels = np.asarray(image.convert("RGB" if channels == 3 else "L"))
    return pixels.reshape(*pixels.shape[:2], channels)


def deep_png(values: np.ndarray[Any, Any], color: int) -> bytes:
    """Return a PNG of 16 bits a channel, uint16 (height, width, channels), which Pillow cannot write in colour."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    return png_of((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))


def png_of(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def bomb_png(side: int = 60_000) -> bytes:
    """Return a PNG of a few bytes that claims more pixels than anybody decodes."""
    return png_of(
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" * 10_000)),
        (b"IEND", b""),
    )


def every_kind() -> dict[str, bytes]:
    """Return an encoded picture of every format and mode that is supported."""
    rgb, rgba = picture("RGB"), picture("RGBA")
    found = {
        "jpeg": encode(rgb, "jpeg", quality=92),
        "jpeg 4:4:4": encode(rgb, "jpeg", quality=95, subsampling=0),
        "jpeg progressive": encode(rgb, "jpeg", progressive=True),
        "jpeg gray": encode(picture("L"), "jpeg"),
        "jpeg cmyk": encode(picture("CMYK"), "jpeg", quality=92),
        "jpeg icc before exif": encode(rgb, "jpeg", icc_profile=b"x" * 70_000, exif=exif(6)),
        "png": encode(rgb, "png"),
        "png gray": encode(picture("L"), "png"),
        "png bits": encode(picture("1"), "png"),
        "png gray alpha": encode(picture("LA"), "png"),
        "png alpha": encode(rgba, "png"),
        "png palette": encode(picture("P"), "png"),
        "png palette clear": encode(picture("P"), "png", transparency=3),
        "png palette alpha": encode(picture("P"), "png", transparency=bytes(range(0, 240, 6))),
        "png rgb clear": encode(rgb, "png", transparency=(250, 20, 30)),
        "png 4 bits": encode(rgb.quantize(11), "png", bits=4),
        "bmp": encode(rgb, "bmp"),
        "bmp gray": encode(picture("L"), "bmp"),
        "bmp palette": encode(picture("P"), "bmp"),
        "bmp 4 bits": encode(rgb.quantize(11), "bmp"),
        "bmp bits": encode(picture("1"), "bmp"),
        "bmp 32 bits": encode(rgba, "bmp"),
        "bmp from the top": _bmp_from_the_top(rgb),
        "gif": encode(picture("P"), "gif"),
        "gif gray": encode(picture("L"), "gif"),
        "gif interlaced": encode(picture("P"), "gif", interlace=1),
        "gif clear": encode(picture("P"), "gif", transparency=3),
        "gif moving": encode(picture("P"), "gif", save_all=True, append_images=[picture("P").rotate(90)] * 3),
        "webp": encode(rgb, "webp", quality=90),
        "webp lossless": encode(rgb, "webp", lossless=True),
        "webp alpha": encode(rgba, "webp", lossless=True),
        "webp lossy alpha": encode(rgba, "webp", quality=90),
        "webp moving": encode(rgb, "webp", save_all=True, append_images=[rgb.rotate(90)] * 3, lossless=True),
    }
    for turn in range(1, 9):
        found[f"jpeg exif {turn}"] = encode(rgb, "jpeg", exif=exif(turn), quality=95)
    for format_ in ("png", "webp"):
        for turn in (3, 6, 8):
            options = {"lossless": True} if format_ == "webp" else {}
            found[f"{format_} exif {turn}"] = encode(rgb, format_, exif=exif(turn), **options)
    return found


def _bmp_from_the_top(image: Image.Image) -> bytes:
    data = encode(image, "bmp")
    start = int.from_bytes(data[10:14], "little")
    row = (image.width * 3 + 3) // 4 * 4
    rows = [data[start + n * row : start + (n + 1) * row] for n in range(image.height)]
    return data[:22] + struct.pack("<i", -image.height) + data[26:start] + b"".join(reversed(rows))
