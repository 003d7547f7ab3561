"""What is wrong with labelled texts, before a training: bad rows, repeats, leaks, classes, lengths, characters."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.findings import Finding, Level
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
}
"""Kinds of bad rows, and what rows of that kind have."""

# A class with fewer rows than this has at most one to validate on, where a tenth is split off.
_FEW_ROWS = 10
# From here on a model that knows only the large class scores 91 % of accuracy; `--class-weight balanced` helps.
_IMBALANCE = 10
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
    counts = data.counts
    lonely = [name for name, texts in _different_texts(data).items() if texts < 2] if training else []
    if training:
        yield from _learnable(data, lonely, mentions)
    if few := [name for name, rows in counts.items() if rows < _FEW_ROWS and name not in lonely]:
        text = f"fewer than {_FEW_ROWS} rows in {_listed(few, counts)}"
        yield _finding("rare-classes", data, len(few), text, "Scores of such a class are luck: add texts")
    spellings: dict[str, list[str]] = {}
    for name in counts:
        spellings.setdefault("".join(name.casefold().split()), []).append(name)
    if alike := [names for names in spellings.values() if len(names) > 1]:
        text = "classes that differ only by case or space: " + "; ".join(_listed(names, counts) for names in alike)
        yield _finding("similar-classes", data, len(alike), text, "If they are one class, spell it in one way")


def _learnable(data: Digest, lonely: Sequence[str], mentions: Mentions) -> Iterator[Finding]:
    """Say why not all classes can be learned, or not well: `lonely` ones have fewer than two different texts."""
    counts = data.counts
    if len(counts) == 1:
        text, hint = f"only one class, {next(iter(counts))!r}", "Expected at least two; --label-column names them"
        yield _finding("one-class", data, 1, text, hint, level="error")
    if lonely:
        rows = [int(np.argmax(data.labels == data.names.index(name))) for name in lonely[: mentions.show]]
        yield _finding(
            "small-classes",
            data,
            len(lonely),
            f"fewer than two different texts in {_listed(lonely, counts)}",
            "A class needs a text to train on and one to validate on: add texts, or delete the class",
            level="error",
            items=[{"rows": mentions.of(data, [row]), "count": 1} for row in rows],
        )
    largest, smallest = max(counts, key=lambda name: counts[name]), min(counts, key=lambda name: counts[name])
    if len(counts) > 1 and counts[largest] >= _IMBALANCE * counts[smallest]:
        text = f"{largest!r} has {counts[largest] / counts[smallest]:,.0f} times the rows of {smallest!r}"
        hint = "Train with --class-weight balanced, and judge by f1_macro, not by accuracy"
        yield _finding("imbalance", data, 1, text, hint)


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
    if not len(first) or not len(other):
        return
    sides = (first.name, other.name)
    if unknown := [name for name in other.counts if name not in first.names]:
        rows = [int(np.argmax(other.labels == other.names.index(name))) for name in unknown[: mentions.show]]
        yield Finding(
            name="unknown-classes",
            level="error",
            data=sides,
            count=len(unknown),
            text=f"classes that {first.name} does not have: {_listed(unknown, other.counts)}",
            hint="What was not trained on cannot be predicted: evaluate refuses such data",
            items=[{"rows": mentions.of(other, [row]), "count": 1} for row in rows],
        )
    if missing := [name for name in first.counts if name not in other.names]:
        yield Finding(
            name="missing-classes",
            level="warning",
            data=sides,
            count=len(missing),
            text=f"no rows of classes that {first.name} has: {_listed(missing, first.counts)}",
            hint="A score on it says nothing of them",
        )


def _naming(
    name: str, data: Digest, rows: np.ndarray[Any, np.dtype[np.int64]], text: str, hint: str, mentions: Mentions
) -> Finding:
    items = [{"rows": mentions.of(data, [row]), "count": 1} for row in rows[: mentions.show].tolist()]
    return _finding(name, data, len(rows), text, hint, items=items)


def _finding(
    name: str, data: Digest, count: int, text: str, hint: str, *, level: Level = "warning", items: Any = ()
) -> Finding:
    return Finding(name=name, level=level, data=(data.name,), count=count, text=text, hint=hint, items=list(items))


def _are(count: int) -> str:
    return "1 text is" if count == 1 else f"{count:,} texts are"


def _listed(names: Sequence[str], counts: dict[str, int]) -> str:
    """Return some classes with their rows."""
    shown = [f"{name!r} ({counts[name]:,})" for name in names[:5]]
    return ", ".join(shown) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
