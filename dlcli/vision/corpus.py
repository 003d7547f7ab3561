"""The data of a training: labelled pictures, looked at, and split into a training and a validation side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.core import dataset
from dlcli.core.dataset import Corpus, IntArray, Side
from dlcli.core.lines import BadRow
from dlcli.core.progress import Progress
from dlcli.resources import resolve_input
from dlcli.vision.config import ImageDataConfig
from dlcli.vision.headers import Header
from dlcli.vision.read import parts_of, scan_labelled
from dlcli.vision.screening import screen

FALLBACK_SIZE = (150, 150)
"""What the model sees where pictures have many sizes, or large ones: what the notes take."""


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """Labelled pictures that could be looked at, and what could not.

    Attributes:
        source: what they were read from.
        items: paths, or numbers in an archive.
        labels: one for each item.
        digests: equal for equal files.
        headers: what each says of itself.
        bad: what is wrong with the others.
    """

    source: str
    items: list[str]
    labels: list[str]
    digests: list[str]
    headers: list[Header]
    bad: list[BadRow]


def read_corpus(
    data: Path,
    *,
    val: Path | None,
    columns: ImageDataConfig,
    skip_bad: bool,
    val_split: float | int,
    seed: int,
    progress: Progress,
) -> Corpus:
    """Read the data of a training; the same arguments and files give the same two sides.

    Each file is read once, and its header looked at: empty ones, other files that are named like pictures, and bombs
    are found before the first step. The rest of what can be wrong is found when the pictures are decoded.

    Args:
        data: a folder with one of pictures for each class (its `val/` counts), a table of paths, or an archive.
        val: validation data of its own; without it a part of `data`.
        columns: where path and label stand in a table.
        skip_bad: decode all pictures and leave bad ones out; else the first reading that finds some raises.
        val_split: share or count of the items to validate on, when there are none of their own.
        seed: of the split; equal files are on one side.
        progress: told of stages.

    Returns:
        the two sides; `settings` has the size and the colours that fit the training pictures.

    Raises:
        UsageError: a path that does not exist.
        DataError: bad files, with their names; a class that is in one side only.
    """
    path = resolve_input(data)
    found = _look_at(path, columns, part="train", skip_bad=skip_bad, progress=progress)
    held_out = None
    if val is not None:
        held_out = _look_at(resolve_input(val), columns, part="val", skip_bad=skip_bad, progress=progress)
    elif "val" in parts_of(path):
        held_out = _look_at(path, columns, part="val", skip_bad=skip_bad, progress=progress)

    names = dataset.label_names(found.labels, where=found.source)
    labels = dataset.label_ids(found.labels, names, where=found.source)
    fingerprint = dataset.fingerprint(found.digests, found.labels)
    about: dict[str, Any] = {
        "names": names,
        "skipped": [bad.record() for bad in found.bad + (held_out.bad if held_out else [])],
        "settings": _settings(found),
        "repeated": len(found.digests) - len(set(found.digests)),
    }
    if held_out is not None:
        known = set(found.digests)
        if shared := sum(digest in known for digest in held_out.digests):
            progress.warn(f"{shared:,} of {len(held_out.items):,} validation pictures are in the training data too")
        return Corpus(
            training=Side(items=found.items, labels=labels),
            validation=Side(
                items=held_out.items, labels=dataset.label_ids(held_out.labels, names, where=held_out.source)
            ),
            fingerprint=dataset.fingerprint([fingerprint, *held_out.digests], ["", *held_out.labels]),
            **about,
        )
    parts = dataset.split(found.digests, labels, names, share=val_split, seed=seed, where=found.source)

    def side(rows: IntArray) -> Side:
        return Side(items=[found.items[row] for row in rows], labels=labels[rows])

    return Corpus(training=side(parts.training), validation=side(parts.validation), fingerprint=fingerprint, **about)


def _look_at(path: Path, columns: ImageDataConfig, *, part: str, skip_bad: bool, progress: Progress) -> _Looked:
    """Read what pictures there are, and the header of each."""
    found = screen(scan_labelled(path, columns, part=part), source=path, skip_bad=skip_bad, progress=progress)
    if found.bad:
        progress.warn(f"{path}: {len(found.bad):,} bad files are left out; the run's skipped.jsonl names them")
    return _Looked(
        source=str(path),
        items=[row.item for row in found.rows],
        labels=[row.label for row in found.rows],
        digests=[look.digest.hex() for look in found.looks],
        headers=[look.header for look in found.looks],
        bad=found.bad,
    )


def _settings(found: _Looked) -> dict[str, Any]:
    """Return the size and the colours that fit the pictures."""
    sizes = {header.size for header in found.headers}
    size = next(iter(sizes))
    fits = len(sizes) == 1 and max(size) <= max(FALLBACK_SIZE)
    return {
        "image_size": size if fits else FALLBACK_SIZE,
        "color": "grayscale" if all(header.is_gray for header in found.headers) else "rgb",
    }
