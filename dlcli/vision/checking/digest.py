"""One data set of pictures as compact numbers: hashes, a small gray copy of each, sizes; and all that is bad."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dlcli.core.lines import BadRow
from dlcli.core.parallel import chunks, parallel
from dlcli.core.progress import Progress
from dlcli.errors import DataError, shown
from dlcli.vision.archives import archives_in, kind
from dlcli.vision.checking.likeness import FloatArray, colors
from dlcli.vision.config import ImageDataConfig, ImagePipelineConfig
from dlcli.vision.headers import EXTENSIONS, UNSUPPORTED_EXTENSIONS
from dlcli.vision.raw import BadItem, Look, look_all, split_item
from dlcli.vision.read import LabelledPicture, scan_labelled
from dlcli.vision.walk import Listing, listing, subfolders

IntArray = npt.NDArray[np.int64]
# The size at which pictures are compared.
SIDE = 32
# Pictures whose pixels are in memory at one time: 48 MB.
_CHUNK = 16_384
# More different labels than this are no classes.
_MOST_LABELS = 10_000


@dataclass(kw_only=True)
class PictureDigest:
    """What is kept of a data set: about a kilobyte a picture.

    Attributes:
        name: how reports call it.
        path: the folder, table or archive.
        items: paths, or `ARCHIVE::NUMBER`, of the pictures that can be decoded.
        where: how messages name each.
        lines: of the table, from 1; None without one.
        keys: hash of each picture's bytes, int64 (n,).
        pixel_keys: hash of each picture's pixels, int64 (n,).
        grays: each picture in shades of gray, uint8 (n, SIDE, SIDE).
        colours: its colours, as `likeness.colors` gives them.
        labels: place of each one's label in `names`, int64 (n,).
        names: the labels, in the order in which they came.
        sizes: height and width, upright, int64 (n, 2).
        formats: how many of each; of pictures in an archive, its kind.
        modes: how many of each, in Pillow's names.
        wrong_ending: rows whose name promises another format, with the one that they are.
        bad: all that cannot be used.
        listing: what was passed over, in a folder.
        beside: how many pictures lie beside the folders of the classes.
        problem: what ended the reading before its end.
    """

    name: str
    path: Path
    items: list[str] = field(default_factory=list)
    where: list[str] = field(default_factory=list)
    lines: list[int | None] = field(default_factory=list)
    keys: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    pixel_keys: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    grays: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, SIDE, SIDE), np.uint8))
    colours: FloatArray = field(default_factory=lambda: np.empty((0, 4, 4, 2), np.float32))
    labels: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    names: list[str] = field(default_factory=list)
    sizes: IntArray = field(default_factory=lambda: np.empty((0, 2), np.int64))
    formats: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    wrong_ending: dict[int, str] = field(default_factory=dict)
    bad: list[BadRow] = field(default_factory=list)
    listing: Listing = field(default_factory=Listing)
    beside: int = 0
    problem: DataError | None = None

    def __len__(self) -> int:
        return len(self.items)

    @property
    def counts(self) -> dict[str, int]:
        """The number of pictures of each class, in the order in which they came."""
        rows = np.bincount(self.labels, minlength=len(self.names))
        return {name: int(rows[place]) for place, name in enumerate(self.names)}

    @property
    def odd_names(self) -> list[int]:
        """Rows of files whose names are not UTF-8, or hold control characters."""
        return [row for row, item in enumerate(self.items) if not item.isascii() and shown(item) != item]


def digest(path: Path, columns: ImageDataConfig, *, part: str, name: str, progress: Progress) -> PictureDigest:
    """Read a data set, and decode every picture of it.

    Args:
        path: a folder with one of pictures for each class, a table of paths, or an archive.
        columns: where path and label stand.
        part: which part of an archive.
        name: how reports call it.
        progress: told of pictures.

    Raises:
        UsageError: there is nothing at `path`, or its type is not known.
    """
    found = PictureDigest(name=name, path=path)
    progress.begin(f"listing {name}")
    pictures = list(_scanned(found, columns, part))
    _take_in_listing(found)
    progress.begin(f"reading {name}", len(pictures))
    looks = list(_looked(pictures, found, progress))
    progress.begin(f"decoding {name}", len(looks))
    _decode(found, looks, progress)
    return found


def _scanned(found: PictureDigest, columns: ImageDataConfig, part: str) -> Iterator[LabelledPicture]:
    labels = set()
    try:
        for one in scan_labelled(found.path, columns, part=part):
            if isinstance(one, BadRow):
                found.bad.append(one)
                continue
            labels.add(one.label)
            if len(labels) > _MOST_LABELS:
                raise DataError(
                    f"{found.path} has more than {_MOST_LABELS:,} different labels",
                    hint="Name the column of the classes with --label-column",
                )
            yield one
    except DataError as error:
        found.problem = error


def _take_in_listing(found: PictureDigest) -> None:
    if not found.path.is_dir() or archives_in(
        found.path
    ):  # Archives are what is read, and nothing that is passed over.
        return
    found.listing = listing(found.path)
    found.listing.pictures.clear()
    found.listing.bad.clear()  # `scan_labelled` has said them.
    found.beside = len(subfolders(found.path)[1].pictures)


def _looked(
    pictures: Sequence[LabelledPicture], found: PictureDigest, progress: Progress
) -> Iterator[tuple[LabelledPicture, Look]]:
    for picture, seen in zip(pictures, look_all(picture.item for picture in pictures), strict=True):
        progress.advance()
        if isinstance(seen, BadItem):
            found.bad.append(seen)
        else:
            yield picture, seen


def _decode(found: PictureDigest, looks: Sequence[tuple[LabelledPicture, Look]], progress: Progress) -> None:
    """Decode all pictures and fill `found`."""
    from dlcli.vision.pixels import decode_items

    config = ImagePipelineConfig(image_size=(SIDE, SIDE), color="rgb")
    codes: dict[str, int] = {}
    labels, keys, pixel_keys, sizes, grays, colours = [], [], [], [], [], []
    for chunk in chunks(looks, _CHUNK):
        pixels, bad = decode_items([picture.item for picture, _ in chunk], config, progress=progress)
        found.bad += bad
        damaged = {getattr(one, "item", None) for one in bad}
        good = [row for row, (picture, _) in enumerate(chunk) if picture.item not in damaged]
        for row in good:
            picture, seen = chunk[row]
            _note(found, picture, seen)
            labels.append(codes.setdefault(picture.label, len(codes)))
            keys.append(_number(seen.digest))
            sizes.append(seen.header.size)
            size = b"%d %d" % seen.header.size
            pixel_keys.append(_number(hashlib.blake2b(pixels[row].tobytes() + size, digest_size=8).digest()))
        grays.append(_gray(pixels[good]))
        colours.append(colors(pixels[good]))
    found.names = list(codes)
    found.labels, found.keys, found.pixel_keys = (np.array(x, np.int64) for x in (labels, keys, pixel_keys))
    found.sizes = np.array(sizes, np.int64).reshape(-1, 2)
    if grays:
        found.grays, found.colours = np.concatenate(grays), np.concatenate(colours)


def _note(found: PictureDigest, picture: LabelledPicture, seen: Look) -> None:
    row, header = len(found.items), seen.header
    found.items.append(picture.item)
    found.where.append(picture.where)
    found.lines.append(picture.line)
    path, number = split_item(picture.item)
    found.formats[header.format if number is None else kind(Path(path))] += 1
    found.modes[header.mode + (f";{header.bits}" if header.bits > 8 else "")] += 1
    ending = os.path.splitext(picture.item)[1].lower()  # noqa: PTH122 - a path may be no UTF-8.
    if number is None and ending and EXTENSIONS.get(ending) != header.format:
        found.wrong_ending[row] = header.format


def _gray(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the luma of ITU-R BT.601 of uint8 (n, height, width, 3)."""
    wide = pixels.astype(np.uint16)
    found: npt.NDArray[np.uint8] = ((wide[..., 0] * 77 + wide[..., 1] * 150 + wide[..., 2] * 29 + 128) >> 8).astype(
        np.uint8
    )
    return found


def _number(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "little", signed=True)


def settle_pixels(data: Sequence[PictureDigest]) -> None:
    """Decide by all pixels where files of other bytes have the same small picture and the same size."""
    from dlcli.vision.pixels import native_pixels

    keys, pixel_keys = (np.concatenate([getattr(one, name) for one in data]) for name in ("keys", "pixel_keys"))
    order = np.lexsort((keys, pixel_keys))
    same = (pixel_keys[order][1:] == pixel_keys[order][:-1]) & (keys[order][1:] != keys[order][:-1])
    doubtful = set(pixel_keys[order][1:][same].tolist())
    rows = [(one, row) for one in data for row, key in enumerate(one.pixel_keys.tolist()) if key in doubtful]

    def hashed(place: tuple[PictureDigest, int]) -> int:
        one, row = place
        pixels = native_pixels(one.items[row])
        return _number(hashlib.blake2b(pixels.tobytes() + repr(pixels.shape).encode(), digest_size=8).digest())

    for (one, row), key in zip(rows, parallel(hashed, rows), strict=True):
        one.pixel_keys[row] = key


def unsupported(counts: Counter[str]) -> dict[str, int]:
    """Return the endings of pictures that cannot be read, with their numbers."""
    return {ending: count for ending, count in sorted(counts.items()) if ending in UNSUPPORTED_EXTENSIONS}
