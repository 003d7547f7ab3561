"""What the first bytes of a picture say; what is none is named."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageOps

from dlcli.vision.headers import MAX_PIXELS, BadPicture, read_header
from vision.pictures import bomb_png, every_kind

KINDS = every_kind()


@pytest.mark.parametrize("kind", KINDS)
def test_format_and_size_are_pillow_s(kind: str) -> None:
    image = Image.open(io.BytesIO(KINDS[kind]))
    header = read_header(KINDS[kind])
    assert header.format == str(image.format).lower() == kind.split()[0]
    assert (header.width, header.height) == image.size
    assert header.size == ImageOps.exif_transpose(image).size[::-1]
    assert header.orientation == image.getexif().get(0x0112, 1)


@pytest.mark.parametrize(
    ("kind", "mode", "bits", "gray"),
    [
        ("jpeg", "RGB", 8, False),
        ("jpeg gray", "L", 8, True),
        ("jpeg cmyk", "CMYK", 8, False),
        ("png bits", "L", 1, True),
        ("png gray alpha", "LA", 8, True),
        ("png 4 bits", "P", 4, False),
        ("gif", "P", 6, False),
        ("webp alpha", "RGBA", 8, False),
    ],
)
def test_channels_are_told(kind: str, mode: str, bits: int, gray: bool) -> None:
    header = read_header(KINDS[kind])
    assert (header.mode, header.bits, header.is_gray) == (mode, bits, gray)


BAD = {
    "empty": (b"", "empty-file", "the file is empty (0 bytes)"),
    "text": (b"once upon a time", "not-a-picture", "found text"),
    "html": (b"\n<!DOCTYPE html><html>", "not-a-picture", "found an HTML page"),
    "pdf": (b"%PDF-1.7", "not-a-picture", "found a PDF"),
    "zip": (b"PK\x03\x04", "not-a-picture", "found a zip archive"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "not-a-picture", "found a Git LFS pointer"),
    "zeros": (bytes(600), "not-a-picture", "found nothing but zero bytes"),
    "tiff": (b"II*\0\x08\0\0\0", "unsupported", "TIFF is not supported"),
    "heic": (b"\0\0\0\x18ftypheic", "unsupported", "HEIC is not supported"),
    "avif": (b"\0\0\0\x18ftypavif", "unsupported", "AVIF is not supported"),
    "svg": (b"<?xml version='1.0'?>\n<svg xmlns=", "unsupported", "SVG is not supported"),
    "psd": (b"8BPS\0\1", "unsupported", "PSD is not supported"),
    "cut jpeg": (KINDS["jpeg"][:100], "bad-header", "a damaged JPEG: it ends within its header"),
    "cut png": (KINDS["png"][:20], "bad-header", "a damaged PNG: it ends within its header"),
    "cut webp": (KINDS["webp"][:16], "bad-header", "a damaged WebP: it ends within its header"),
    "bomb": (bomb_png(), "bomb", f"its header claims 60000x60000 pixels; at most {MAX_PIXELS:,} in all are decoded"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_picture_is_named(case: str) -> None:
    data, kind, what = BAD[case]
    with pytest.raises(BadPicture) as caught:
        read_header(data)
    assert caught.value.kind == kind
    assert caught.value.what.endswith(what)
    assert caught.value.hint


def test_every_cut_is_read_or_named() -> None:
    for data in KINDS.values():
        for end in range(0, min(len(data), 700), 7):
            try:
                assert read_header(data[:end]).width in (53, 37)
            except BadPicture as bad:
                assert bad.what
