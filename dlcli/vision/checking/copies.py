"""Copies made by `dlcli augment`: its manifest knows their originals, however little they look like them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from dlcli.core.findings import Finding
from dlcli.core.parallel import chunks, parallel
from dlcli.core.progress import Progress
from dlcli.errors import DataError
from dlcli.vision.checking.mentions import Mentions
from dlcli.vision.checking.pool import Pool
from dlcli.vision.raw import BETWEEN, read_raw

MANIFEST = "augmentation.jsonl"
"""What `augment` writes into its folder: a line of settings, then one for each file, with its and its source's hash."""
_CHUNK = 256


class Copies:
    """Which pictures of a pool are copies, and of which originals: by content, so that files may have been moved.

    Args:
        pool: all pictures.
        progress: told of pictures.

    Raises:
        DataError: a manifest is damaged.
    """

    def __init__(self, pool: Pool, *, progress: Progress) -> None:
        self._copies: dict[int, str] = {}
        self._families: dict[int, set[str]] = {}
        origins = _read_manifests(one.path for one in pool.data)
        if not origins:
            return
        progress.begin("looking for augmented copies", len(pool.keys))
        sources = set(origins.values())
        items = [item for one in pool.data for item in one.items]
        for row, digest in enumerate(_digests(items)):
            progress.advance()
            if digest in origins:
                self._copies[row] = origins[digest]
            # A copy may have been augmented again: it is an original too.
            if family := {origins.get(digest, ""), digest} & sources:
                self._families[row] = family

    def within(self, pool: Pool, which: int) -> Iterator[Finding]:
        """Say that a data set holds copies: a random split of it puts some beside their originals."""
        rows = pool.rows(which)
        copies = [row for row in self._copies if row in rows]
        if copies:
            origins = len({self._copies[row] for row in copies})
            yield Finding(
                name="augmented-copies",
                level="warning",
                data=(pool.data[which].name,),
                count=len(copies),
                text=f"{len(copies):,} of {len(rows):,} pictures are augmented copies of {origins:,} originals",
                hint="A split at random puts copies on both sides: split first (--val), or let the training augment",
            )

    def leaks(self, pool: Pool, first: int, second: int, mentions: Mentions) -> Iterator[Finding]:
        """Find the pictures of one data set that have the original, or a copy of it, in another one."""
        inside: dict[str, int] = {}
        for row in pool.rows(first):
            for origin in self._families.get(row, ()):
                inside.setdefault(origin, row)
        pairs = []
        for row in pool.rows(second):
            family = [origin for origin in self._families.get(row, ()) if origin in inside]
            # The same file on both sides is a leak already.
            if family and pool.keys[row] != pool.keys[inside[family[0]]]:
                pairs.append((row, inside[family[0]]))
        if pairs:
            names = (pool.data[first].name, pool.data[second].name)
            mentions.mark("augmented-leaks", pairs)
            yield Finding(
                name="augmented-leaks",
                level="error",
                data=names,
                count=len(pairs),
                text=f"{len(pairs):,} of {len(pool.rows(second)):,} pictures are augmented copies of those in "
                f"{names[0]}, or their originals",
                hint="Split first, then augment the training part alone (dlcli augment --parts train)",
                items=[mentions.item(pair) for pair in pairs[: mentions.show]],
            )


def _read_manifests(paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of each copy's original by that of the copy, of all manifests in or above the data sets."""
    folders = {folder.resolve() for path in paths for folder in (path, path.parent)}
    found: dict[str, str] = {}
    for manifest in sorted(folder / MANIFEST for folder in folders if (folder / MANIFEST).is_file()):
        try:
            _, *lines = manifest.read_text(encoding="utf-8").splitlines()
            for row in map(json.loads, lines):
                if row["copy"] > 0:
                    found[row["sha256"]] = row["source_sha256"]
        except (ValueError, KeyError, TypeError) as error:
            what = f"{manifest} is damaged ({type(error).__name__}: {error})"
            raise DataError(what, hint="Write the folder again with dlcli augment, or delete that file") from None
    return found


def _digests(items: list[str]) -> Iterator[str]:
    def work(chunk: list[str]) -> list[str]:
        return ["" if BETWEEN in item else hashlib.sha256(read_raw(item)).hexdigest() for item in chunk]

    return chain.from_iterable(parallel(work, chunks(items, _CHUNK)))
