"""The data of a training: labelled texts, cleaned of blank ones and split into a training and a validation side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dlcli.core import dataset
from dlcli.core.dataset import Corpus, IntArray, Side
from dlcli.core.folders import parts_of
from dlcli.core.lines import Skipped
from dlcli.core.progress import Progress
from dlcli.resources import resolve_input
from dlcli.text.config import TextDataConfig
from dlcli.text.read import Texts, read_labelled


def read_corpus(
    data: Path,
    *,
    val: Path | None,
    columns: TextDataConfig,
    skip_bad: bool,
    val_split: float | int,
    seed: int,
    progress: Progress,
) -> Corpus:
    """Read the data of a training; the same arguments and files give the same two sides.

    Args:
        data: a table, or a folder with a folder for each class; its `val/` counts.
        val: validation data of its own; without it a part of `data`.
        columns: where text and label stand.
        skip_bad: leave bad rows out; else the first one is raised.
        val_split: share or count of the items to validate on, when there are none of their own.
        seed: of the split.
        progress: told of stages, and of blank texts that are left out.

    Raises:
        UsageError: a path that does not exist.
        DataError: bad content, with its line; a class that is in one side only.
    """
    path = resolve_input(data)
    progress.begin(f"reading {path}")
    skipped: list[dict[str, Any]] = []

    def read(source: Path, part: str) -> Texts:
        bad = Skipped(skipped.append)
        found = read_labelled(source, columns, part=part, skip=bad if skip_bad else None)
        if bad.count:
            progress.warn(f"{source}: {bad.count:,} bad rows are left out; the run's skipped.jsonl names them")
        return found

    texts = read(path, "train")
    blank = len(texts.blank)
    texts = _without_blanks(texts, progress)
    held_out = None
    if val is not None:
        held_out = _without_blanks(read(resolve_input(val), "val"), progress)
    elif "val" in parts_of(path):
        held_out = _without_blanks(read(path, "val"), progress)

    names = dataset.label_names(texts.labels, where=texts.source)
    labels = dataset.label_ids(texts.labels, names, where=texts.source)
    fingerprint = dataset.fingerprint(texts.texts, texts.labels)
    about: dict[str, Any] = {
        "names": names,
        "repeated": len(texts.texts) - len(set(texts.texts)),
        "blank": blank,
        "skipped": skipped,
    }
    if held_out is not None:
        return Corpus(
            training=Side(items=texts.texts, labels=labels),
            validation=Side(
                items=held_out.texts, labels=dataset.label_ids(held_out.labels, names, where=held_out.source)
            ),
            fingerprint=dataset.fingerprint([fingerprint, *held_out.texts], ["", *held_out.labels]),
            **about,
        )
    parts = dataset.split(texts.texts, labels, names, share=val_split, seed=seed, where=texts.source)

    def side(rows: IntArray) -> Side:
        return Side(items=[texts.texts[row] for row in rows], labels=labels[rows])

    return Corpus(training=side(parts.training), validation=side(parts.validation), fingerprint=fingerprint, **about)


def _without_blanks(texts: Texts, progress: Progress) -> Texts:
    if not texts.blank:
        return texts
    some = ", ".join(texts.blank[:3]) + (", ..." if len(texts.blank) > 3 else "")
    progress.warn(f"{texts.source}: {len(texts.blank):,} blank texts are left out ({some})")
    return texts.without_blanks()
