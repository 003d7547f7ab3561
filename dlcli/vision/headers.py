"""What the first bytes of a picture say: its format, size, channels, orientation. In Python alone: no decoder runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

Format = Literal["jpeg", "png", "bmp", "gif", "webp"]

# A quarter of a gigabyte of RGB, beyond which Pillow warns of a decompression bomb too.
MAX_PIXELS = 2**28 // 3

EXTENSIONS: dict[str, Format] = {
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".jpe": "jpeg",
    ".jfif": "jpeg",
    ".png": "png",
    ".bmp": "bmp",
    ".dib": "bmp",
    ".gif": "gif",
    ".webp": "webp",
}
"""Endings of pictures, with the format each promises; the content alone decides."""

_OTHERS = "tif tiff heic heif avif svg svgz psd ico jp2 j2k jxl raw dng cr2 nef arw eps ai xcf tga ppm pgm pbm exr dcm"
UNSUPPORTED_EXTENSIONS = frozenset(f".{name}" for name in _OTHERS.split(" "))
"""Endings of pictures that cannot be read."""


class Header(NamedTuple):
    """What a picture says of itself.

    Attributes:
        format: by content.
        width: in pixels, as stored; `orientation` may turn it.
        height: in pixels, as stored.
        mode: in Pillow's names: L, LA, P, RGB, RGBA or CMYK.
        bits: of a channel, or of an index into a palette.
        orientation: by EXIF, from 1 (upright) to 8.
    """

    format: Format
    width: int
    height: int
    mode: str
    bits: int
    orientation: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture as it is seen, upright."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)

    @property
    def is_gray(self) -> bool:
        """Whether its format stores no colours."""
        return self.mode in ("L", "LA")


class BadPicture(Exception):
    """Bytes that are no picture we can read.

    Args:
        kind: of trouble, by which a report counts: empty-file, not-a-picture, unsupported, bad-header or bomb.
        what: is wrong.
        hint: what to do next.
    """

    def __init__(
        self, kind: str, what: str, *, hint: str = "Delete it, or put a readable picture in its place"
    ) -> None:
        super().__init__(what)
        self.kind = kind
        self.what = what
        self.hint = hint


def read_header(data: bytes) -> Header:
    """Read what a picture says of itself.

    Args:
        data: of a picture; of all formats the start is enough, where EXIF stands there too.

    Raises:
        BadPicture: it is none, or of a format, size or shape that cannot be read.
    """
    format_ = sniff(data)
    try:
        header = _READERS[format_](data)
    except IndexError:
        raise _bad(format_, "it ends within its header", hint="Copy or download it again") from None
    if header.width < 1 or header.height < 1:
        raise _bad(format_, f"a size of {header.width}x{header.height} pixels")
    if header.width * header.height > MAX_PIXELS:
        raise BadPicture(
            "bomb",
            f"its header claims {header.width}x{header.height} pixels; at most {MAX_PIXELS:,} in all are decoded",
            hint="Make it smaller, or delete it",
        )
    return header


def sniff(data: bytes) -> Format:
    """Return the format that the first bytes show.

    Raises:
        BadPicture: none that we can read.
    """
    if data[:2] == b"\xff\xd8":
        return "jpeg"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:2] == b"BM" and len(data) >= 18 and _little(data, 14, 4) in _BMP_HEADERS:
        return "bmp"
    if not data:
        raise BadPicture("empty-file", "the file is empty (0 bytes)", hint="Copy or download it again")
    seems = _seems(data)
    if seems in _CONVERTIBLE:
        raise BadPicture("unsupported", f"{seems} is not supported", hint="Convert it to JPEG or PNG")
    raise BadPicture("not-a-picture", f"expected a JPEG, PNG, BMP, GIF or WebP picture, found {seems}")


_BMP_HEADERS = (12, 40, 52, 56, 108, 124)
_CONVERTIBLE = ("TIFF", "HEIC", "AVIF", "SVG", "PSD", "JPEG 2000", "JPEG XL", "ICO", "Netpbm", "OpenEXR", "DICOM")
_MAGICS = {
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"8BPS": "PSD",
    b"\0\0\x01\0": "ICO",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"v/1\x01": "OpenEXR",
    b"%PDF": "a PDF",
    b"%!PS": "PostScript",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x93NUMPY": "a NumPy array",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"SQLite": "a database",
    b"RIFF": "sound or video (RIFF)",
    b"ID3": "sound (MP3)",
    b"OggS": "sound (Ogg)",
    b"\x1aE\xdf\xa3": "video (Matroska)",
}
_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC", b"hevc": "HEIC", b"avif": "AVIF"}
_LOOKED_AT = 512


def _seems(data: bytes) -> str:
    """Say what bytes that are no picture seem to be."""
    for magic, name in _MAGICS.items():
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "AVIF" if data[8:12] == b"avis" else "video (MP4)")
    if data[:1] == b"P" and data[1:2] in (b"1", b"2", b"3", b"4", b"5", b"6") and data[2:3].isspace():
        return "Netpbm"
    if data[128:132] == b"DICM":
        return "DICOM"
    start = data[:_LOOKED_AT].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:
        return "SVG"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page"
    if start.startswith(b"<?xml"):
        return "XML"
    if b"git-lfs.github.com" in start:
        return "a Git LFS pointer"
    if not any(byte < 9 or 13 < byte < 32 for byte in start):
        return "text"
    if not any(data[:_LOOKED_AT]):
        return "nothing but zero bytes"
    return "unknown bytes"


def _bad(format_: Format, what: str, *, hint: str = "") -> BadPicture:
    shown = {"jpeg": "JPEG", "png": "PNG", "bmp": "BMP", "gif": "GIF", "webp": "WebP"}[format_]
    return BadPicture("bad-header", f"a damaged {shown}: {what}", **({"hint": hint} if hint else {}))


def _little(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + size], "little")


def _big(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + size], "big")


# Kinds of frame that the decoder has: baseline, extended and progressive, Huffman-coded.
_FRAMES = (0xC0, 0xC1, 0xC2)
_NO_FRAMES = (0xC4, 0xC8, 0xCC)
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


def _jpeg(data: bytes) -> Header:
    """Read the segments up to the frame header (ITU-T T.81, annex B)."""
    at, orientation, is_leading = 2, 0, True
    while True:
        if data[at] != 0xFF or data[at + 1] in (0, 0xFF):  # Fill bytes, or rubbish that decoders pass over too.
            is_leading = False
            if (at := data.find(b"\xff", at + 1)) < 0:
                raise IndexError
            continue
        marker, size = data[at + 1], _big(data, at + 2, 2)
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES:
            break
        if marker in (0xD8, 0xD9, 0xDA) or size < 2:
            raise _bad("jpeg", f"no frame header before byte {at}")
        # Where Exif 2.3, 4.5.4 wants it: among the application segments and comments, before any table.
        is_leading = is_leading and (0xE0 <= marker <= 0xEF or marker == 0xFE)
        if is_leading and marker == 0xE1 and not orientation and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _exif_orientation(data[at + 10 : at + 2 + size])
        at += 2 + size
    bits, height, width, channels = data[at + 4], _big(data, at + 5, 2), _big(data, at + 7, 2), data[at + 9]
    if marker not in _FRAMES or bits != 8:
        kind = f"of {bits} bits a channel" if marker in _FRAMES else "lossless or arithmetically coded"
        raise BadPicture("unsupported", f"JPEG {kind} is not supported", hint="Convert it to plain JPEG or PNG")
    if channels not in _JPEG_MODES:
        raise _bad("jpeg", f"{channels} channels")
    return Header("jpeg", width, height, _JPEG_MODES[channels], bits, orientation or 1)


_PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_PNG_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def _png(data: bytes) -> Header:
    if data[12:16] != b"IHDR":
        raise _bad("png", "no IHDR behind the signature")
    width, height, bits, color = _big(data, 16, 4), _big(data, 20, 4), data[24], data[25]
    if bits not in _PNG_BITS.get(color, ()):
        raise _bad("png", f"{bits} bits of colour type {color}")
    return Header("png", width, height, _PNG_MODES[color], bits, _png_orientation(data))


def _png_orientation(data: bytes) -> int:
    if b"eXIf" not in data:
        return 1
    at = 8
    while at + 8 <= len(data):
        size, name = _big(data, at, 4), data[at + 4 : at + 8]
        if name == b"eXIf":
            return _exif_orientation(data[at + 8 : at + 8 + size]) or 1
        at += 12 + size
    return 1


def _bmp(data: bytes) -> Header:
    size = _little(data, 14, 4)
    if size == 12:
        width, height, bits, compression = _little(data, 18, 2), _little(data, 20, 2), _little(data, 24, 2), 0
    else:
        width, height = _little(data, 18, 4), _little(data, 22, 4)
        height = 2**32 - height if height >= 2**31 else height  # Negative: the first row stands on top.
        bits, compression = _little(data, 28, 2), _little(data, 30, 4)
    masked = bits == 32 and compression == 3 and data[54:66] == _MASKS
    if not (bits in (1, 4, 8, 24, 32) and compression == 0) and not masked:
        what = f"BMP of {bits} bits a pixel and compression {compression} is not supported"
        raise BadPicture("unsupported", what, hint="Convert it to PNG")
    return Header("bmp", width, height, "P" if bits <= 8 else "RGB", min(bits, 8))


# Of the colours in BMP's 32 bits: red, green, blue in the order in which nearly all programs write them.
_MASKS = bytes.fromhex("0000ff00 00ff0000 ff000000")


def _gif(data: bytes) -> Header:
    return Header("gif", _little(data, 6, 2), _little(data, 8, 2), "P", (data[10] & 7) + 1)


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = _little(data, 24, 3) + 1, _little(data, 27, 3) + 1
        mode = "RGBA" if data[20] & 0x10 else "RGB"
        return Header("webp", width, height, mode, 8, _webp_orientation(data) if data[20] & 0x08 else 1)
    if kind == b"VP8L":
        packed = _little(data, 21, 4)
        mode = "RGBA" if packed >> 28 & 1 else "RGB"
        return Header("webp", (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1, mode, 8)
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        return Header("webp", _little(data, 26, 2) & 0x3FFF, _little(data, 28, 2) & 0x3FFF, "RGB", 8)
    if len(data) < 30:
        raise IndexError
    raise _bad("webp", "no picture begins behind its header")


def _webp_orientation(data: bytes) -> int:
    at = 12
    while at + 8 <= len(data):
        size = _little(data, at + 4, 4)
        if data[at : at + 4] == b"EXIF":
            exif = data[at + 8 : at + 8 + size]
            return _exif_orientation(exif.removeprefix(b"Exif\0\0")) or 1
        at += 8 + size + size % 2
    return 1


def _exif_orientation(tiff: bytes) -> int:
    """Return the value of tag 0x0112 (Exif 2.3, 4.6.4) in the first directory; 0 where there is no valid one."""
    number = {b"II*\0": _little, b"MM\0*": _big}.get(tiff[:4])
    if number is None:
        return 0
    try:
        at = number(tiff, 4, 4)
        for entry in range(at + 2, at + 2 + 12 * number(tiff, at, 2), 12):
            if number(tiff, entry, 2) == 0x0112:
                value = number(tiff, entry + 8, 2)
                return value if 1 <= value <= 8 else 0
    except IndexError:
        pass
    return 0


_READERS: dict[Format, Callable[[bytes], Header]] = {
    "jpeg": _jpeg,
    "png": _png,
    "bmp": _bmp,
    "gif": _gif,
    "webp": _webp,
}
