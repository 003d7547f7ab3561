"""What an augmented folder says of itself: `augmentation.jsonl`, from which each copy can be made again.

Its first line holds the settings, each other one a file: its SHA-256, its source with the source's SHA-256, the number
of the copy (0 for the original), and the parameters that were drawn.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli import __version__
from dlcli.errors import DataError
from dlcli.vision.augmentation.config import Strengths
from dlcli.vision.augmentation.draws import given
from dlcli.vision.augmentation.engine import Augmentation
from dlcli.vision.augmentation.pictures import ENDINGS, FileFormat, decode_picture, encode_picture, versions
from dlcli.vision.augmentation.plan import key_of
from dlcli.vision.headers import EXTENSIONS

MANIFEST = "augmentation.jsonl"
_SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How copies are made.

    Attributes:
        strengths: of the augmentation.
        seed: of the draws.
        size: height and width of the copies; each source's own when None.
        resize: how a picture of another shape gets that size.
        quality: of JPEG and WebP.
    """

    strengths: Strengths
    seed: int
    size: tuple[int, int] | None = None
    resize: str = "stretch"
    quality: int = 90

    def header(self) -> dict[str, Any]:
        """Return the first line of the manifest, without what does not change a copy."""
        return {
            "schema": _SCHEMA,
            "written_by": f"dlcli {__version__}",
            **dataclasses.asdict(self),
            "versions": versions(),
        }

    @staticmethod
    def of(header: dict[str, Any]) -> Recipe:
        """Return the recipe in the first line of a manifest."""
        strengths = header["strengths"]
        pairs: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in strengths.items()
        }
        size = tuple(header["size"]) if header["size"] else None
        rest = {name: header[name] for name in ("seed", "resize", "quality")}
        return Recipe(strengths=Strengths(**pairs), size=size, **rest)

    def augmentation(self) -> Augmentation:
        """Return what changes the pictures."""
        return Augmentation(self.strengths, seed=self.seed, threads=1)


def read_manifest(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read the manifest of an augmented folder: its first line, and a row for each file.

    Raises:
        DataError: it is damaged.
    """
    path = folder / MANIFEST
    try:
        header, *rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if header["schema"] != _SCHEMA or not all({"file", "source", "copy"} <= row.keys() for row in rows):
            raise ValueError("it is of another schema")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is damaged: {error}", hint="Write the folder again with dlcli augment") from None
    return header, rows


def make_again(header: dict[str, Any], row: dict[str, Any], source: bytes) -> bytes:
    """Make the bytes of a file again, from its source and the manifest alone.

    Args:
        header: the manifest's first line.
        row: of the file.
        source: the bytes of its source.
    """
    if row["copy"] == 0:
        return source
    recipe = Recipe.of(header)
    picture = decode_picture(row["source"], source, recipe.size, resize=recipe.resize)
    draws, key = given([row["parameters"]]), key_of(row["source"])
    copy = recipe.augmentation().one(picture, draws, 0, item=key, epoch=row["copy"])
    return encode_picture(copy, format_of(row["file"]), quality=recipe.quality)


def format_of(name: str) -> FileFormat:
    """Return the format of a copy, which its ending tells."""
    format = EXTENSIONS[Path(name).suffix.lower()]
    assert format in ENDINGS
    return format  # type: ignore[return-value]
