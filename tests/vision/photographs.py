"""Pictures that have the statistics of photographs and are all different; and copies of them as people make them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps


def photograph(seed: int, *, height: int = 96, width: int = 128) -> Image.Image:
    """Return coloured noise whose amplitudes fall as 1/f, as those of photographs do."""
    generator = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    frequency[0, 0] = 1
    planes = [np.fft.ifft2(np.fft.fft2(generator.normal(size=(height, width))) / frequency).real for _ in range(3)]
    mixed = planes[0][..., None] + 0.4 * np.stack(planes, axis=-1)
    pixels = 128 + 50 * (mixed - mixed.mean()) / mixed.std()
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, format_: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def reencoded(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(encoded(image, "JPEG", quality=quality))).convert("RGB")


def cropped(image: Image.Image, share: float) -> Image.Image:
    """Return a picture without `share` of its width and height, most of that from above and the left."""
    x, y = round(image.width * share), round(image.height * share)
    return image.crop(
        (round(0.8 * x), round(0.7 * y), image.width - x + round(0.8 * x), image.height - y + round(0.7 * y))
    )


def copies(image: Image.Image) -> dict[str, Image.Image]:
    """Return copies as people make them."""
    return {
        "re-encoded": reencoded(image, 40),
        "resized": image.resize((image.width // 2, image.height // 2)),
        "mirrored": ImageOps.mirror(image),
        "brighter": ImageEnhance.Brightness(image).enhance(1.25),
        "gray": ImageOps.grayscale(image).convert("RGB"),
        "cropped": cropped(image, 0.05),
        "mirrored, cropped, re-encoded": reencoded(ImageOps.mirror(cropped(image, 0.08)), 60),
    }


def put(path: Path, data: bytes | Image.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else encoded(data))
    return path


def classes(root: Path, *, each: int = 6, first: int = 0, names: tuple[str, ...] = ("cat", "dog")) -> Path:
    """Write a folder of pictures for each class."""
    for place, name in enumerate(names):
        for number in range(each):
            put(root / name / f"{number}.png", photograph(first + 1000 * place + number))
    return root
