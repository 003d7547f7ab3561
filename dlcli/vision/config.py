"""How pictures are read, and how they become pixels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer

from dlcli.core.config import Config, option

# A side beyond this is a mistake: one float32 batch of 32 such pictures would take 6 GB.
_LARGEST_SIDE = 4096


def _image_size(value: Any) -> Any:
    """Read `150` as (150, 150) and `120x160` as height and width."""
    if isinstance(value, str):
        sides = value.strip().lower().split("x")
        if len(sides) > 2 or not all(side.isdecimal() for side in sides):
            raise ValueError(f"expected a size such as 150, or HEIGHTxWIDTH such as 120x160, got {value!r}")
        value = [int(side) for side in sides]
    found = (value, value) if isinstance(value, int) else tuple(value)
    found = found * 2 if len(found) == 1 else found
    if len(found) != 2 or not all(1 <= side <= _LARGEST_SIDE for side in found):
        raise ValueError(f"expected sides from 1 to {_LARGEST_SIDE} pixels, got {value!r}")
    return found


def shown_size(size: tuple[int, int]) -> str:
    """Return a size as `--image-size` takes it."""
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


ImageSize = Annotated[
    tuple[int, int], BeforeValidator(_image_size), PlainSerializer(shown_size, when_used="json-unless-none")
]
"""Height and width in pixels; `150` on the command line or in a recipe is a square."""


class ImageDataConfig(Config):
    """How labelled pictures are read."""

    section = "Data"

    path_column: str = option("path", "Column of the picture's path, relative to the table.", metavar="NAME")
    label_column: str = option("label", "Column of the label.", metavar="NAME")


class ImagePipelineConfig(Config):
    """How a picture becomes pixels: part of a run and of every export."""

    section = "Pictures"

    image_size: ImageSize | None = option(
        None,
        "Size that the model sees: 150, or HEIGHTxWIDTH; without it that of the pictures where all have the same up to "
        "150, else 150.",
        metavar="SIZE",
    )
    resize: Literal["stretch", "letterbox", "crop"] = option(
        "stretch",
        "How a picture of another shape gets that size: stretched; whole, with black bars; or its largest middle part.",
    )
    color: Literal["rgb", "grayscale"] | None = option(
        None, "Channels that the model sees; without it grayscale where all pictures are, else rgb."
    )

    @property
    def channels(self) -> int:
        """How many numbers a pixel has."""
        return 1 if self.color == "grayscale" else 3
