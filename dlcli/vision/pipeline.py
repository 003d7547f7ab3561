"""From a picture file to the pixels that a model takes: what a run keeps, and every export carries inside."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from dlcli.core.backend import tf
from dlcli.core.files import write_text
from dlcli.core.progress import Progress, Silent
from dlcli.errors import ModelError
from dlcli.vision import cache
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.decode import decode_batch
from dlcli.vision.inputs import DecodedAnew, RowInputs, Rows
from dlcli.vision.pixels import decode_items
from dlcli.vision.raw import read_raw, require_good

_SETTINGS = "pictures.json"
# Bytes of decoded pictures that are held together where more stream past.
_TOGETHER = 256 * 2**20


class PicturePipeline(tf.Module):  # type: ignore[misc]
    """The graph from the bytes of picture files to pixels.

    Args:
        config: size and channels; both are known.

    Attributes:
        place: where decoded pictures are kept, as `--cache` says it.
    """

    input_name = "image"

    def __init__(self, config: ImagePipelineConfig) -> None:
        super().__init__()
        assert config.image_size is not None and config.color is not None, "resolved when the data was read"
        self.config = config
        self.place = "ram"
        self.shape = (*config.image_size, config.channels)
        self.together = max(64, min(16_384, _TOGETHER // math.prod(self.shape)))

    def encode(self, items: Sequence[str]) -> RowInputs:
        """Decode pictures, all of them at once.

        Raises:
            DataError: some of them cannot be decoded; names them.
        """
        return RowInputs(self.pixels(items, Silent()))

    def pixels(self, items: Sequence[str], progress: Progress) -> Rows:
        """Decode pictures, or have them decoded when they are asked for.

        Args:
            items: which.
            progress: told of each picture.

        Returns:
            uint8 (pictures, height, width, channels).

        Raises:
            DataError: some of them cannot be decoded; names them.
            SurroundingsError: the disk of the cache is full.
        """
        place = cache.chosen(self.place, len(items) * math.prod(self.shape))
        if place == "none":
            return DecodedAnew(items, self.config)
        room = cache.allocate((len(items), *self.shape), place)
        pixels, bad = decode_items(items, self.config, out=room, progress=progress)
        require_good(bad)
        return pixels

    def raw(self, items: Sequence[str]) -> list[bytes]:
        """Return the bytes of pictures, which `graph` takes."""
        return [read_raw(item) for item in items]

    def graph(self, pictures: tf.Tensor) -> tf.Tensor:
        """Turn the bytes of pictures, strings (n,), into pixels, uint8 (n, height, width, channels)."""
        return decode_batch(pictures, self.config)

    def save(self, folder: Path) -> None:
        """Write the settings into a folder, which is made if need be."""
        folder.mkdir(exist_ok=True)
        write_text(folder / _SETTINGS, json.dumps(self.config.model_dump(mode="json"), indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> PicturePipeline:
        """Read what `save` wrote.

        Raises:
            ModelError: the file is missing or damaged.
        """
        try:
            settings = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
            return cls(ImagePipelineConfig.model_validate(settings))
        except Exception as error:  # The hashes of a run may be forged with its files, which hold anything then.
            raise ModelError(f"{folder} holds no readable picture pipeline ({error})") from error
