"""One source to its files: read, decoded once, copied as often as is wanted; called on threads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from dlcli.vision.augmentation.manifest import Recipe
from dlcli.vision.augmentation.output import Output
from dlcli.vision.augmentation.pictures import decode_picture, encode_picture
from dlcli.vision.augmentation.plan import Source
from dlcli.vision.raw import BadItem, read_raw


@dataclass(frozen=True)
class Done:
    """The rows of a source's files, and whether they were there already."""

    rows: list[dict[str, Any]]
    reused: bool


class Copier:
    """Writes the files of sources.

    Args:
        recipe: how copies are made.
        output: where files go.
        originals: whether the source itself is written.
    """

    def __init__(self, recipe: Recipe, output: Output, *, originals: bool) -> None:
        self._recipe = recipe
        self._output = output
        self._originals = originals
        self._augmentation = recipe.augmentation()

    def __call__(self, source: Source) -> Done | BadItem:
        """Write the files of one source; return their rows, or what is wrong with it."""
        try:
            return self._copy(source)
        except BadItem as bad:
            return bad

    def _copy(self, source: Source) -> Done:
        data = read_raw(source.item)
        digest = hashlib.sha256(data).hexdigest()
        files = source.files(originals=self._originals)
        if (rows := self._output.rows_of(source.name, digest, files)) is not None:
            return Done(rows, True)
        recipe = self._recipe
        # All of it before the first file: of a picture that is damaged, nothing is written.
        picture = decode_picture(source.item, data, recipe.size, resize=recipe.resize)
        rows = []
        if self._originals:
            rows.append(self._row(source, digest, source.name, 0, data))
        numbers = range(1, len(source.copies) + 1)
        made = self._augmentation.copies(picture, key=source.key, numbers=numbers)
        for number, name, (copy, parameters) in zip(numbers, source.copies, made, strict=True):
            data = encode_picture(copy, source.format, quality=recipe.quality)
            rows.append(self._row(source, digest, name, number, data) | {"parameters": parameters})
        return Done(rows, False)

    def _row(self, source: Source, digest: str, name: str, copy: int, data: bytes) -> dict[str, Any]:
        written = self._output.write(name, data)
        return {"file": name, "sha256": written, "source": source.name, "source_sha256": digest, "copy": copy}
