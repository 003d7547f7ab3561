"""What is wrong with labelled pictures, before a training: bad files, repeats, leaks, classes, sizes."""

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
from dlcli.core.progress import Progress
from dlcli.errors import shown
from dlcli.vision.checking import repeats
from dlcli.vision.checking.copies import Copies
from dlcli.vision.checking.digest import PictureDigest, digest, unsupported
from dlcli.vision.checking.mentions import Mark, Mentions, bad_row
from dlcli.vision.checking.pool import Pool
from dlcli.vision.config import ImageDataConfig
from dlcli.vision.read import parts_of

BAD = {
    "empty-file": ("file", "empty (0 bytes)"),
    "not-a-picture": ("file", "no picture by content"),
    "unsupported": ("file", "of a format that cannot be read"),
    "bad-header": ("file", "damaged in the header"),
    "damaged": ("file", "damaged or cut short"),
    "bomb": ("file", "too large to be decoded"),
    "missing-file": ("file", "not there, or a link to nothing"),
    "unreadable-file": ("file", "not readable"),
    "unreadable-folder": ("folder", "not readable"),
    "symlink-loop": ("link", "leading in a circle"),
    "name-collision": ("name", "there twice, as NFC and as NFD"),
    "bad-name": ("folder", "named in no UTF-8"),
    "empty-class": ("class", "without pictures"),
    "bad-archive": ("picture", "not readable in its archive"),
    "bad-path": ("row", "without a path"),
    "bad-columns": ("row", "of other columns than expected"),
    "bad-bytes": ("row", "not UTF-8"),
    "nul-character": ("row", "with a NUL or half a character"),
    "bad-quotes": ("row", "with quotes that do not match"),
    "bad-json": ("row", "no valid JSON object"),
    "bad-type": ("row", "with something else than text"),
    "bad-label": ("row", "with control characters in the label"),
    "empty-label": ("row", "without a label"),
}
"""Kinds of what cannot be used: what it is, and what is wrong with it."""

# A picture with a side of fewer pixels shows next to nothing.
_TINY = 8


@dataclass(frozen=True, kw_only=True)
class PictureReport:
    """What was read, and what is wrong with it.

    Attributes:
        data: of each data set its name, pictures, bad ones, classes, sizes, formats, modes and what was passed over.
        findings: in the order of the data sets, then of their pairs.
        marks: every picture that is bad or repeats another one.
    """

    data: list[dict[str, Any]]
    findings: list[Finding]
    marks: list[Mark]


def check_pictures(
    paths: Sequence[Path], columns: ImageDataConfig, *, show: int, exact: bool, progress: Progress
) -> PictureReport:
    """Check data sets, each alone and every two together; the first one is what is trained on.

    Every picture is decoded, as a training does it. About a kilobyte of each is kept.

    Args:
        paths: folders with a folder for each class, tables of paths, or archives; `train`, `val` and `test` in one are
            data sets each.
        columns: where path and label stand, in a table.
        show: how many pictures or groups each finding names.
        exact: pictures are the same only when all their pixels are; otherwise also when they are re-encoded, resized,
            mirrored, brightened or cropped a little.
        progress: told of stages and pictures.

    Raises:
        UsageError: a path is not there, or of no known type.
        DataError: a manifest of `dlcli augment` is damaged.
    """
    sources = [source for path in paths for source in _sources(path)]
    data = [
        digest(path, columns, part=part, name=name, progress=progress)
        for (path, part), name in zip(sources, _names(sources), strict=True)
    ]
    pool = Pool(data, exact=exact, progress=progress)
    copies = Copies(pool, progress=progress)
    mentions = Mentions(pool, show=show)
    findings: list[Finding] = []
    for which in range(len(data)):
        findings += _alone(which, mentions, copies)
    for first, second in itertools.combinations(range(len(data)), 2):
        findings += repeats.leaks(pool, first, second, mentions)
        findings += copies.leaks(pool, first, second, mentions)
    for which in range(1, len(data)):
        findings += label_findings(
            data[0].counts,
            data[which].counts,
            data=(data[0].name, data[which].name),
            rows="pictures",
            named=lambda names, which=which: _of_classes(which, names, mentions),  # type: ignore[misc]
        )
    return PictureReport(data=[_summary(one) for one in data], findings=findings, marks=mentions.marks)


def _sources(path: Path) -> list[tuple[Path, str]]:
    """Return the data sets at a path: folders, or parts of an archive."""
    parts = parts_of(path) if path.exists() else []
    return [(path / part, "train") if (path / part).is_dir() else (path, part) for part in parts] or [(path, "train")]


def _names(sources: Sequence[tuple[Path, str]]) -> list[str]:
    """Return the names of data sets; what is given twice is told apart."""
    paths = Counter(path for path, _ in set(sources))
    seen: Counter[str] = Counter()
    names = []
    for path, part in sources:
        name = f"{path} {part}" if paths[path] > 1 else str(path)
        seen[name] += 1
        names.append(shown(name if seen[name] == 1 else f"{name} ({seen[name]})"))
    return names


def _summary(data: PictureDigest) -> dict[str, Any]:
    sizes = None
    if len(data):
        shapes = Counter(map(tuple, data.sizes.tolist()))
        usual = [{"height": h, "width": w, "pictures": n} for (h, w), n in shapes.most_common(5)]
        sizes = {
            **{
                side: dict(zip(("min", "median", "max"), map(int, np.percentile(values, (0, 50, 100))), strict=True))
                for side, values in (("height", data.sizes[:, 0]), ("width", data.sizes[:, 1]))
            },
            "different": len(shapes),
            "most_common": usual,
        }
    passed = {"hidden": data.listing.hidden, "system": data.listing.system, **sorted_counts(data.listing.unsupported)}
    return {
        "data": data.name,
        "path": shown(str(data.path)),
        "pictures": len(data),
        "bad": len(data.bad),
        "classes": data.counts,
        "sizes": sizes,
        "formats": sorted_counts(data.formats),
        "modes": sorted_counts(data.modes),
        "passed_over": {name: count for name, count in passed.items() if count},
    }


def sorted_counts(counts: Counter[str]) -> dict[str, int]:
    """Return counts as a dictionary, the largest first."""
    return dict(counts.most_common())


def _alone(which: int, mentions: Mentions, copies: Copies) -> Iterator[Finding]:
    data = mentions.pool.data[which]
    yield from _unreadable(data)
    yield from _bad(data, mentions)
    yield from _files(which, mentions)
    if not len(data):
        return
    yield from repeats.conflicts(mentions.pool, which, mentions)
    yield from class_findings(
        data.counts,
        data=data.name,
        things="pictures",
        rows="pictures",
        distinct=_distinct(data) if which == 0 else None,
        named=lambda names: _of_classes(which, names, mentions),
    )
    yield from repeats.duplicates(mentions.pool, which, mentions)
    yield from copies.within(mentions.pool, which)
    yield from _sizes(which, mentions)


def _unreadable(data: PictureDigest) -> Iterator[Finding]:
    if data.problem is not None:
        text, hint = data.problem.message, data.problem.hint
        yield Finding(name="unreadable", level="error", data=(data.name,), count=1, text=text, hint=hint)
    elif not len(data):
        text, hint = "no good pictures", "Expected a folder of pictures for each class"
        yield Finding(name="no-pictures", level="error", data=(data.name,), count=1, text=text, hint=hint)


def _bad(data: PictureDigest, mentions: Mentions) -> Iterator[Finding]:
    kinds = dict.fromkeys([*BAD, *(bad.kind for bad in data.bad)])
    for kind in kinds:
        if found := [bad for bad in data.bad if bad.kind == kind]:
            for bad in found:
                mentions.mark_bad(bad)
            thing, what = BAD.get(kind, ("file", "of no use"))
            several = thing + ("es" if thing == "class" else "s")
            text = f"1 {thing} is {what}" if len(found) == 1 else f"{len(found):,} {several} are {what}"
            items = [
                {"rows": [bad_row(data.name, bad)], "count": 1, "what": bad.what} for bad in found[: mentions.show]
            ]
            yield Finding(
                name=kind,
                level="error",
                data=(data.name,),
                count=len(found),
                text=text,
                hint=found[0].hint,
                items=items,
            )


def _files(which: int, mentions: Mentions) -> Iterator[Finding]:
    """Say what is odd about files that can be used, or that nobody reads."""
    data, first = mentions.pool.data[which], mentions.pool.rows(which).start
    if data.wrong_ending:
        rows = list(data.wrong_ending)
        text = f"{_files_are(len(rows))} of another format than the name says; the content counts"
        what = {row: f"it is {_FORMATS[format_]}" for row, format_ in data.wrong_ending.items()}
        items = [mentions.item([first + row], what=what[row]) for row in rows[: mentions.show]]
        yield _warning("wrong-extension", data, len(rows), text, "Other programs may refuse them: rename them", items)
    if rows := data.odd_names:
        text = f"{_files_are(len(rows))} named in no UTF-8, or with control characters"
        items = [mentions.item([first + row]) for row in rows[: mentions.show]]
        yield _warning("odd-names", data, len(rows), text, "Tables and JSON cannot name them: rename them", items)
    if counts := unsupported(data.listing.unsupported):
        count = sum(counts.values())
        text = f"{_files_are(count)} passed over: {', '.join(f'{n:,} {ending}' for ending, n in counts.items())}"
        yield _warning("passed-over", data, count, text, "Convert them to JPEG or PNG to have them read")
    if data.beside:
        text = f"{_files_are(data.beside)} passed over beside the folders of the classes"
        yield _warning("without-class", data, data.beside, text, "Move them into the folder of their class")


def _sizes(which: int, mentions: Mentions) -> Iterator[Finding]:
    data, first = mentions.pool.data[which], mentions.pool.rows(which).start
    tiny = np.flatnonzero(data.sizes.min(1) < _TINY).tolist()
    if tiny and np.median(data.sizes.min(1)) >= 2 * _TINY:
        text = f"{len(tiny):,} {'picture has' if len(tiny) == 1 else 'pictures have'} a side under {_TINY} pixels"
        what = {row: "{1}x{0} pixels".format(*data.sizes[row].tolist()) for row in tiny}
        items = [mentions.item([first + row], what=what[row]) for row in tiny[: mentions.show]]
        yield _warning("tiny-pictures", data, len(tiny), text, "Look whether they show what their label says", items)
    flat = np.flatnonzero(data.grays.max((1, 2)) == data.grays.min((1, 2))).tolist()
    if flat:
        text = f"{len(flat):,} {'picture is' if len(flat) == 1 else 'pictures are'} of one shade alone"
        items = [mentions.item([first + row]) for row in flat[: mentions.show]]
        yield _warning("blank-pictures", data, len(flat), text, "Nothing can be learned from them: delete them", items)


_FORMATS = {"jpeg": "JPEG", "png": "PNG", "bmp": "BMP", "gif": "GIF", "webp": "WebP"}


def _distinct(data: PictureDigest) -> dict[str, int]:
    """Return how many different pictures each class has."""
    found = np.unique(np.stack([data.labels, data.pixel_keys]), axis=1)[0]
    counts = np.bincount(found, minlength=len(data.names))
    return {name: int(count) for name, count in zip(data.names, counts, strict=True)}


def _of_classes(which: int, names: Sequence[str], mentions: Mentions) -> list[dict[str, Any]]:
    data, first = mentions.pool.data[which], mentions.pool.rows(which).start
    rows = [int(np.argmax(data.labels == data.names.index(name))) for name in names[: mentions.show]]
    return [mentions.item([first + row]) for row in rows]


def _warning(
    name: str, data: PictureDigest, count: int, text: str, hint: str, items: Sequence[dict[str, Any]] = ()
) -> Finding:
    return Finding(name=name, level="warning", data=(data.name,), count=count, text=text, hint=hint, items=list(items))


def _files_are(count: int) -> str:
    return "1 file is" if count == 1 else f"{count:,} files are"
