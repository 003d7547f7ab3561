"""Draw docs/img/augmentation.png: what each operation does to one drawn picture.

python docs/make_augmentation.py [FILE]
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dlcli.vision.augmentation.config import PRESETS, MixingConfig, Strengths
from dlcli.vision.augmentation.draws import given
from dlcli.vision.augmentation.engine import Augmentation
from dlcli.vision.augmentation.mixing import mix

Array = np.ndarray[Any, Any]
SIDE, COLUMNS, GAP, MARGIN, HEAD = 132, 7, 12, 20, 38
# Drawn as large as this and made smaller, for smooth edges.
FINE = 4
TURNED: dict[str, Any] = {"rotation": 30.0, "zoom_x": 1.35, "zoom_y": 1.35}
# Title, detail, what is drawn, and the fill mode.
CELLS: list[tuple[str, str, dict[str, Any], Any]] = [
    ("original", "", {}, "nearest"),
    ("rotation", "25°", {"rotation": 25.0}, "nearest"),
    ("width shift", "20 % of the width", {"shift_x": 0.2 * SIDE}, "nearest"),
    ("height shift", "20 % of the height", {"shift_y": 0.2 * SIDE}, "nearest"),
    ("shear", "20°", {"shear": 20.0}, "nearest"),
    ("zoom", "factors of 0.7", {"zoom_x": 0.7, "zoom_y": 0.7}, "nearest"),
    ("zoom", "factors 0.8 and 1.4", {"zoom_x": 0.8, "zoom_y": 1.4}, "nearest"),
    ("horizontal flip", "", {"flip_x": True}, "nearest"),
    ("vertical flip", "", {"flip_y": True}, "nearest"),
    ("brightness", "factor 1.4", {"brightness": 1.4}, "nearest"),
    ("contrast", "factor 0.4", {"contrast": 0.4}, "nearest"),
    ("saturation", "factor 0.3", {"saturation": 0.3}, "nearest"),
    ("hue", "a fifth of the circle", {"hue": 0.2}, "nearest"),
    ("channel shift", "-60 levels", {"channel_shift": -60.0}, "nearest"),
    ("grayscale", "", {"grayscale": True}, "nearest"),
    ("blur", "2 pixels", {"blur": 2.0}, "nearest"),
    ("noise", "25 levels", {"noise": 25.0}, "nearest"),
    ("erasing", "", {"erased": [45, 60, 50, 55]}, "nearest"),
    ("fill nearest", "beyond the edge", TURNED, "nearest"),
    ("fill reflect", "beyond the edge", TURNED, "reflect"),
    ("fill wrap", "beyond the edge", TURNED, "wrap"),
    ("fill constant", "beyond the edge", TURNED, "constant"),
]


def main() -> None:
    """Draw the picture."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "img" / "augmentation.png"
    scene = landscape()
    cells = [(title, detail, changed(scene, parameters, fill)) for title, detail, parameters, fill in CELLS]
    cells += [("MixUp", "in training", mixed(scene, MixingConfig(mixup=1.0)))]
    cells += [("CutMix", "in training", mixed(scene, MixingConfig(cutmix=1.0)))]
    for preset, copies in (("light", (1,)), ("book", (1,)), ("strong", (1, 4))):
        augmentation = Augmentation(PRESETS[preset], seed=1)
        found = augmentation.copies(scene, key=5, numbers=copies)
        cells += [(f"--augment {preset}", "all together", picture) for picture, _ in found]
    image = grid(cells)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def changed(picture: Array, parameters: dict[str, Any], fill: Any) -> Array:
    """Do to a picture what the parameters say."""
    strengths = Strengths(fill_mode=fill, fill_value=255.0)
    return Augmentation(strengths, seed=0).one(picture, given([parameters]), 0, item=0, epoch=0)


def mixed(picture: Array, config: MixingConfig) -> Array:
    """Return the picture mixed with another one, by halves or nearly so."""
    pair = np.stack([picture, night()])
    found = [mix(pair, np.arange(2), epoch, config, seed=0) for epoch in range(40)]
    images, _ = min(found, key=lambda mixture: abs(mixture[1][0] - 0.6))
    return images[0]


def landscape() -> Array:
    """Draw a house, a tree and hills under the sun."""
    image, draw, s = sheet((126, 188, 236), (222, 240, 250))
    draw.ellipse((s(0.70), s(0.08), s(0.88), s(0.26)), "#ffd34e")
    draw.polygon([s(-0.1), s(0.75), s(0.25), s(0.34), s(0.62), s(0.75)], "#7f93a8")
    draw.polygon([s(0.3), s(0.75), s(0.72), s(0.40), s(1.1), s(0.75)], "#98a9ba")
    draw.ellipse((s(-0.5), s(0.62), s(1.5), s(1.7)), "#7fb650")
    draw.ellipse((s(-0.9), s(0.76), s(0.9), s(1.8)), "#6aa33f")
    draw.rectangle((s(0.14), s(0.52), s(0.42), s(0.78)), "#f4e6cf")
    draw.polygon([s(0.09), s(0.53), s(0.28), s(0.36), s(0.47), s(0.53)], "#c8482e")
    draw.rectangle((s(0.18), s(0.58), s(0.25), s(0.66)), "#4f7fae")
    draw.rectangle((s(0.31), s(0.60), s(0.38), s(0.78)), "#7a4a2b")
    draw.rectangle((s(0.71), s(0.62), s(0.75), s(0.83)), "#6b4a2f")
    for x, y, r in ((0.73, 0.52, 0.12), (0.66, 0.58, 0.08), (0.81, 0.58, 0.08)):
        draw.ellipse((s(x - r), s(y - r), s(x + r), s(y + r)), "#2f7d4f")
    for x, y, color in (
        (0.2, 0.9, "#e85d75"),
        (0.5, 0.92, "#fff3b0"),
        (0.58, 0.85, "#e85d75"),
        (0.88, 0.92, "#fff3b0"),
    ):
        draw.ellipse((s(x - 0.02), s(y - 0.02), s(x + 0.02), s(y + 0.02)), color)
    return small(image)


def night() -> Array:
    """Draw a sailing boat by night, which is mixed in."""
    image, draw, s = sheet((24, 26, 62), (88, 66, 120))
    draw.ellipse((s(0.12), s(0.10), s(0.34), s(0.32)), "#f6efd8")
    draw.rectangle((0, s(0.66), s(1), s(1)), "#20406e")
    draw.polygon([s(0.24), s(0.68), s(0.84), s(0.68), s(0.72), s(0.82), s(0.36), s(0.82)], "#b5502f")
    draw.polygon([s(0.56), s(0.18), s(0.56), s(0.62), s(0.82), s(0.62)], "#f2f2f2")
    draw.polygon([s(0.52), s(0.26), s(0.52), s(0.62), s(0.32), s(0.62)], "#d9dde6")
    return small(image)


def sheet(top: tuple[int, ...], below: tuple[int, ...]) -> tuple[Image.Image, ImageDraw.ImageDraw, Any]:
    """Return a sky, what draws on it, and a function from shares of its side to pixels."""
    side = SIDE * FINE
    rows = np.linspace(0, 1, side)[:, None, None]
    sky = np.broadcast_to(np.array(top) * (1 - rows) + np.array(below) * rows, (side, side, 3))
    image = Image.fromarray(sky.astype(np.uint8))
    return image, ImageDraw.Draw(image), lambda share: round(share * side)


def small(image: Image.Image) -> Array:
    """Return the pixels of a drawing at its size in the grid."""
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def grid(cells: list[tuple[str, str, Array]]) -> Image.Image:
    """Draw all cells with their titles."""
    rows = -(-len(cells) // COLUMNS)
    width = 2 * MARGIN + COLUMNS * (SIDE + GAP) - GAP
    image = Image.new("RGB", (width, 2 * MARGIN + rows * (HEAD + SIDE + GAP) - GAP), "#ffffff")
    draw = ImageDraw.Draw(image)
    bold, plain = ImageFont.load_default(14), ImageFont.load_default(11)
    for number, (title, detail, picture) in enumerate(cells):
        left = MARGIN + number % COLUMNS * (SIDE + GAP)
        top = MARGIN + number // COLUMNS * (HEAD + SIDE + GAP)
        draw.text((left, top), title, "#1b1f24", font=bold)
        draw.text((left, top + 18), detail, "#6b7280", font=plain)
        image.paste(Image.fromarray(picture), (left, top + HEAD))
    return image


if __name__ == "__main__":
    main()
