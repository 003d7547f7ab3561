"""What is wrong with labelled texts, before a training: bad rows, repeats, leaks, classes, lengths, characters."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.class_findings import class_findings, label_findings
from dlcli.core.findings import Finding
from dlcli.core.folders import parts_of
from dlcli.core.progress import Progress
from dlcli.text.checking import repeats
from dlcli.text.checking.digest import Digest, digest
from dlcli.text.checking.mentions import Mentions
from dlcli.text.config import TextDataConfig

BAD_ROWS = {
    "bad-columns": "other columns than expected",
    "bad-bytes": "bytes that are not of the encoding",
    "nul-character": "a NUL or half a character",
    "bad-quotes": "quotes that do not match",
    "bad-json": "no valid JSON object",
    "bad-type": "something else than text",
    "empty-label": "no label",
    "blank-text": "a blank text",
    "unreadable-file": "nothing that can be read",
    "unreadable-folder": "nothing that can be read",
    "symlink-loop": "a link in a circle in its place",
    "bad-name": "a name that is not UTF-8, or with control characters",
}
"""Kinds of bad rows, and what rows of that kind have."""

# A text is long when it has over five times the words of the longest of the usual 95 %, and is not short for a text.
_LONG, _LONG_WORDS = 5, 100
# One word is odd where half of all texts have at least this many. (Languages without spaces have one a text.)
_USUAL_WORDS = 5


@dataclass(frozen=True, kw_only=True)
class TextReport:
    """What was read, and what is wrong with it.

    Attributes:
        data: of each data set its name, rows, bad rows, classes with their rows, and words a text.
        findings: in the order of the data sets, then of their pairs.
    """

    data: list[dict[str, Any]]
    findings: list[Finding]


def check_texts(
    paths: Sequence[Path], columns: TextDataConfig, *, show: int, exact: bool, progress: Progress
) -> TextReport:
    """Check data sets, each alone and every two together; the first one is what is trained on.

    Memory does not grow with the length of the texts: 28 bytes a row are kept.

    Args:
        paths: tables, or folders with a folder for each class; `train`, `val`, `test` in a folder are data sets each.
        columns: where text and label stand.
        show: how many rows or groups each finding names.
        exact: texts are the same only when they are equal; otherwise also when they differ in case, punctuation, HTML
            and white space alone.
        progress: told of stages and rows.

    Raises:
        UsageError: a path, its type or the encoding is not known.
    """
    sources = [path / part if part else path for path in paths for part in parts_of(path) or [""]]
    data = [
        digest(path, columns, name=name, show=show, exact=exact, progress=progress)
        for path, name in zip(sources, _names(sources), strict=True)
    ]
    progress.begin("comparing")
    mentions = Mentions(columns, show=show)
    findings: list[Finding] = []
    for one in data:
        findings += _alone(one, mentions, training=one is data[0])
    for first, second in itertools.combinations(data, 2):
        findings += repeats.leaks(first, second, mentions)
    for other in data[1:]:
        findings += _labels(data[0], other, mentions)
    progress.begin("reading once more what is named")
    mentions.fill()
    return TextReport(data=[_summary(one) for one in data], findings=findings)


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the names of data sets; a file that is given twice is told apart."""
    seen: Counter[Path] = Counter()
    names = []
    for path in paths:
        seen[path] += 1
        names.append(str(path) if seen[path] == 1 else f"{path} ({seen[path]})")
    return names


def _summary(data: Digest) -> dict[str, Any]:
    words = None
    if len(data):
        words = {
            "min": int(data.words.min()),
            "median": float(np.median(data.words)),
            "mean": float(data.words.mean()),
            "p95": float(np.percentile(data.words, 95)),
            "max": int(data.words.max()),
        }
    return {
        "data": data.name,
        "path": str(data.path),
        "rows": len(data),
        "bad_rows": data.bad.total(),
        "classes": data.counts,
        "words": words,
    }


def _alone(data: Digest, mentions: Mentions, *, training: bool) -> Iterator[Finding]:
    yield from _unreadable(data)
    yield from _bad_rows(data, mentions)
    if not len(data):
        return
    yield from repeats.conflicts(data, mentions)
    yield from _classes(data, mentions, training=training)
    yield from repeats.duplicates(data, mentions)
    yield from _lengths(data, mentions)
    yield from _characters(data, mentions)


def _unreadable(data: Digest) -> Iterator[Finding]:
    if data.problem is not None:
        text, hint = data.problem.message, data.problem.hint
        yield Finding(name="unreadable", level="error", data=(data.name,), count=1, text=text, hint=hint)
    elif not len(data):
        text, hint = "no good rows", "Expected a header and at least two rows"
        yield Finding(name="no-rows", level="error", data=(data.name,), count=1, text=text, hint=hint)


def _bad_rows(data: Digest, mentions: Mentions) -> Iterator[Finding]:
    for kind, has in BAD_ROWS.items():
        if count := data.bad[kind]:
            first = data.first_bad.get(kind, [])
            thing = "file" if data.path.is_dir() else "row"
            yield Finding(
                name=kind,
                level="error",
                data=(data.name,),
                count=count,
                text=f"1 {thing} has {has}" if count == 1 else f"{count:,} {thing}s have {has}",
                hint=first[0].hint if first else "",
                items=[{"rows": [mentions.of_bad(data, bad)], "count": 1, "what": bad.what} for bad in first],
            )


def _classes(data: Digest, mentions: Mentions, *, training: bool) -> Iterator[Finding]:
    yield from class_findings(
        data.counts,
        data=data.name,
        things="texts",
        rows="rows",
        distinct=_different_texts(data) if training else None,
        named=lambda names: _of_classes(data, names, mentions),
    )


def _of_classes(data: Digest, names: Sequence[str], mentions: Mentions) -> list[dict[str, Any]]:
    rows = [int(np.argmax(data.labels == data.names.index(name))) for name in names[: mentions.show]]
    return [{"rows": mentions.of(data, [row]), "count": 1} for row in rows]


def _different_texts(data: Digest) -> dict[str, int]:
    """Return how many different texts each class has."""
    order = np.lexsort((data.keys, data.labels))
    labels, keys = data.labels[order], data.keys[order]
    new = np.concatenate(([True], (labels[1:] != labels[:-1]) | (keys[1:] != keys[:-1])))
    found = np.bincount(labels[new], minlength=len(data.names))
    return {name: int(texts) for name, texts in zip(data.names, found, strict=True)}


def _lengths(data: Digest, mentions: Mentions) -> Iterator[Finding]:
    usual = max(_LONG_WORDS, _LONG * float(np.percentile(data.words, 95)))
    rows = np.flatnonzero(data.words > usual)
    if len(rows):
        rows = rows[np.argsort(-data.words[rows], kind="stable")]
        text = f"{_are(len(rows))} longer than {usual:,.0f} words, the longest {data.words.max():,}"
        yield _naming("long-texts", data, rows, text, "Look whether they are several texts run together", mentions)
    rows = np.flatnonzero(data.words <= 1)
    if len(rows) and np.median(data.words) >= _USUAL_WORDS:
        text = f"{_are(len(rows))} of one word or none"
        yield _naming("one-word-texts", data, rows, text, "Look whether they say what their label says", mentions)


def _characters(data: Digest, mentions: Mentions) -> Iterator[Finding]:
    if len(data.mojibake):
        text = f"{_are(len(data.mojibake))} read in a wrong encoding once, as in 'cafÃ©'"
        hint = "Export the table anew as UTF-8; if this file itself is in another one, name it with --encoding"
        yield _naming("mojibake", data, data.mojibake, text, hint, mentions)
    if len(data.replaced):
        text = f"{_are(len(data.replaced))} with U+FFFD, which stands for what an earlier program could not read"
        yield _naming("replaced-characters", data, data.replaced, text, "Export the table anew as UTF-8", mentions)


def _labels(first: Digest, other: Digest, mentions: Mentions) -> Iterator[Finding]:
    yield from label_findings(
        first.counts,
        other.counts,
        data=(first.name, other.name),
        rows="rows",
        named=lambda names: _of_classes(other, names, mentions),
    )


def _naming(
    name: str, data: Digest, rows: np.ndarray[Any, np.dtype[np.int64]], text: str, hint: str, mentions: Mentions
) -> Finding:
    items = [{"rows": mentions.of(data, [row]), "count": 1} for row in rows[: mentions.show].tolist()]
    return Finding(name=name, level="warning", data=(data.name,), count=len(rows), text=text, hint=hint, items=items)


def _are(count: int) -> str:
    return "1 text is" if count == 1 else f"{count:,} texts are"
