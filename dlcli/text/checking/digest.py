"""One data set as compact numbers: of each text two hashes, its label and its length; of bad rows the first ones."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.lines import BadRow
from dlcli.core.progress import Progress
from dlcli.errors import DataError
from dlcli.text.config import TextDataConfig
from dlcli.text.normalise import is_mojibake, normalised, without_html
from dlcli.text.read import LabelledText, scan_labelled

IntArray = npt.NDArray[np.int64]
# More different labels than this are no classes.
_MOST_LABELS = 10_000
# Rows between two reports of progress.
_REPORT = 16_384


@dataclass(kw_only=True)
class Digest:
    """What is kept of a data set: 28 bytes a row, and lists of bounded length.

    Attributes:
        name: how reports call it.
        path: the table or folder.
        keys: hash of each text, int64 (n,); 64 bits, so that two of a million texts share one by chance once in
            40 million times.
        normal_keys: hash of each text as `normalised`, int64 (n,).
        labels: place of each row's label in `names`, int64 (n,).
        words: number of words of each text, int64 (n,).
        names: the labels, in the order in which they came.
        replaced: rows, from 0, with U+FFFD.
        mojibake: rows, from 0, that look as if they had been read in another encoding.
        bad: how many bad rows of each kind.
        first_bad: the first ones of each kind.
        problem: what ended the reading before its end.
    """

    name: str
    path: Path
    keys: IntArray
    normal_keys: IntArray
    labels: IntArray
    words: IntArray
    names: list[str]
    replaced: IntArray
    mojibake: IntArray
    bad: Counter[str] = field(default_factory=Counter)
    first_bad: dict[str, list[BadRow]] = field(default_factory=dict)
    problem: DataError | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def counts(self) -> dict[str, int]:
        """The number of rows of each class, the classes sorted by name."""
        rows = np.bincount(self.labels, minlength=len(self.names))
        return {name: int(rows[place]) for place, name in sorted(enumerate(self.names), key=lambda pair: pair[1])}


def digest(path: Path, columns: TextDataConfig, *, name: str, show: int, exact: bool, progress: Progress) -> Digest:
    """Stream a data set past.

    Args:
        path: a table, or a folder with a folder for each class.
        columns: where text and label stand.
        name: how reports call it.
        show: how many bad rows of a kind are kept.
        exact: texts are the same only when they are equal, so that both hashes are that of the text.
        progress: told of rows.

    Raises:
        UsageError: the path, its type or the encoding is not known.
    """
    found = _Gathered(show=show, exact=exact)
    problem = None
    progress.begin(f"reading {name}")
    try:
        for number, item in enumerate(scan_labelled(path, columns, part="train"), start=1):
            found.add(item)
            if number % _REPORT == 0:
                progress.advance(_REPORT)
                found.require_classes(path, columns)
        found.require_classes(path, columns)
    except DataError as error:
        problem = error
    return Digest(
        name=name,
        path=path,
        keys=_numbers(found.keys),
        normal_keys=_numbers(found.keys if exact else found.normal_keys),
        labels=_numbers(found.labels),
        words=_numbers(found.words),
        names=list(found.codes),
        bad=found.bad,
        first_bad=found.first_bad,
        replaced=_numbers(found.replaced),
        mojibake=_numbers(found.mojibake),
        problem=problem,
    )


def recall(digested: Digest, columns: TextDataConfig, rows: set[int]) -> dict[int, LabelledText]:
    """Read some rows, from 0, once more: their texts are not kept.

    A second pass up to the last one that is asked for costs less than to keep a million excerpts.
    """
    found: dict[int, LabelledText] = {}
    if not rows:
        return found
    number = -1
    for item in scan_labelled(digested.path, columns, part="train"):
        if isinstance(item, BadRow) or item.blank:
            continue
        number += 1
        if number in rows:
            found[number] = item
            if len(found) == len(rows):
                break
    return found


class _Gathered:
    """What has passed, in arrays that grow."""

    def __init__(self, *, show: int, exact: bool) -> None:
        self.show = show
        self.exact = exact
        self.keys = array("q")
        self.normal_keys = array("q")
        self.labels = array("i")
        self.words = array("i")
        self.codes: dict[str, int] = {}
        self.bad: Counter[str] = Counter()
        self.first_bad: dict[str, list[BadRow]] = {}
        self.replaced = array("q")
        self.mojibake = array("q")

    def add(self, item: LabelledText | BadRow) -> None:
        """Take in the next row."""
        if isinstance(item, BadRow):
            return self._add_bad(item)
        if item.blank:
            return self._add_bad(_blank(item))
        text = item.item
        bare = without_html(text)
        # Python's hash: SipHash with a key of this process, so 64 bits that nobody can make collide on purpose.
        key = hash(text)
        self.keys.append(key)
        if not self.exact:
            normal = normalised(bare)
            self.normal_keys.append(hash(normal) if normal else key)
        self.labels.append(self.codes.setdefault(item.label, len(self.codes)))
        self.words.append(len(bare.split()))
        if not text.isascii():
            if "\ufffd" in text:
                self.replaced.append(len(self.keys) - 1)
            if is_mojibake(text):
                self.mojibake.append(len(self.keys) - 1)
        return None

    def require_classes(self, path: Path, columns: TextDataConfig) -> None:
        """Stop at a column that is a number or a text: its values would fill the memory."""
        if len(self.codes) > _MOST_LABELS:
            raise DataError(
                f"{path}: column {columns.label_column!r} has more than {_MOST_LABELS:,} different values",
                hint="Name the column of the classes with --label-column",
            )

    def _add_bad(self, bad: BadRow) -> None:
        self.bad[bad.kind] += 1
        first = self.first_bad.setdefault(bad.kind, [])
        if len(first) < self.show:
            first.append(bad)


def _blank(item: LabelledText) -> BadRow:
    in_table = item.line is not None
    return BadRow(
        "the text is blank",
        source=Path(item.where),
        where=item.where if in_table else "",
        line=item.line,
        kind="blank-text",
        hint="Fill it in, or delete the row",
        excerpt=f"label {item.label!r}",
    )


def _numbers(values: Any) -> IntArray:
    return np.array(values, dtype=np.int64)
