"""The folder that `augment` writes: nothing of anybody else's is touched, and what was stopped can go on.

While it is written it holds `.augmentation/`: the settings, a journal with a line for each source that is done, and
files that are not finished. The manifest is written last; then that folder goes. What was stopped goes on where the
journal and the files agree; since each file is a function of its source and the settings, the tree becomes the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from dlcli.core.files import jsonl, require_writable_parent, write_text
from dlcli.core.lines import SKIPPED
from dlcli.core.locks import alone
from dlcli.errors import SurroundingsError, from_os_error, shown
from dlcli.vision.augmentation.manifest import MANIFEST, read_manifest

WORK = ".augmentation"
_SETTINGS, _JOURNAL = "settings.json", "journal.jsonl"
# How a copy is called: one that a kill left is in no journal.
_COPY = re.compile(r"-aug\d+\.\w+$")
_AGAIN = "Choose another OUT, or add --force to write it anew"


class Output:
    """A folder that is being written; made by `opened`.

    Attributes:
        resumed: whether it was begun before.
    """

    def __init__(self, root: Path, *, resumed: bool) -> None:
        self.root = root
        self.resumed = resumed
        self._work = root / WORK
        self._done = _journal(self._work / _JOURNAL)
        self._numbers = count()
        self._made: set[str] = set()
        self._log: TextIO | None = None

    def rows_of(self, name: str, digest: str, files: tuple[str, ...]) -> list[dict[str, Any]] | None:
        """Return the rows of a source that was done before the stop, if all its files are as they were written.

        Args:
            name: of the source.
            digest: its SHA-256.
            files: that it should have.
        """
        rows = self._done.get(name)
        if rows is None or tuple(row["file"] for row in rows) != files:
            return None
        is_same = all(row["source_sha256"] == digest and self._sha256(row["file"]) == row["sha256"] for row in rows)
        return rows if is_same else None

    def write(self, name: str, data: bytes) -> str:
        """Write a file, whole or not at all, from any thread; return its SHA-256."""
        path = os.path.join(self.root, name)  # noqa: PTH118 - the name may be no UTF-8, and there are many.
        temporary = os.path.join(self._work, f"{next(self._numbers)}.tmp")  # noqa: PTH118
        folder = os.path.dirname(path)  # noqa: PTH120
        try:
            if folder not in self._made:
                os.makedirs(folder, exist_ok=True)  # noqa: PTH103
                self._made.add(folder)
            with open(temporary, "wb", buffering=0) as file:  # noqa: PTH123
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
            os.replace(temporary, path)  # noqa: PTH105
        except OSError as error:
            with contextlib.suppress(OSError):  # It takes space on a disk that may be full.
                os.unlink(temporary)  # noqa: PTH108
            raise from_os_error(error, path) from error
        return hashlib.sha256(data).hexdigest()

    def note(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Note that a source is done."""
        if self._done.get(name) == rows:
            return
        try:
            if self._log is None:
                self._log = (self._work / _JOURNAL).open("a", encoding="utf-8")
                self._log.write("\n")  # What a kill has cut short ends here.
            self._log.write(json.dumps({"source": name, "rows": rows}) + "\n")
            self._log.flush()
        except OSError as error:
            raise from_os_error(error, self._work / _JOURNAL) from error

    def finish(self, rows: list[dict[str, Any]], header: dict[str, Any], skipped: list[dict[str, Any]]) -> None:
        """Write the manifest, and what was skipped if anything was; flush all; take the work folder away."""
        self.close()
        for name in set(_files(self._done.values())) - set(_files([rows])):
            (self.root / name).unlink(missing_ok=True)  # Of a source that is gone since the stop.
        if hasattr(os, "sync"):
            os.sync()
        (self.root / SKIPPED).unlink(missing_ok=True)  # Of a stop just before the manifest.
        if skipped:
            write_text(self.root / SKIPPED, jsonl(skipped))
        write_text(self.root / MANIFEST, jsonl([header, *rows]))
        # The settings last: while they stand, what was stopped goes on.
        _remove_all(path for path in self._work.iterdir() if path.name != _SETTINGS)
        shutil.rmtree(self._work, ignore_errors=True)

    def close(self) -> None:
        """Close the journal."""
        if self._log is not None:
            with contextlib.suppress(OSError):
                self._log.close()

    def _sha256(self, name: str) -> str:
        try:
            return hashlib.sha256((self.root / name).read_bytes()).hexdigest()
        except OSError:
            return ""


@contextlib.contextmanager
def opened(root: Path, settings: dict[str, Any], *, names: Collection[str], force: bool) -> Iterator[Output]:
    """Begin a folder, or go on with one that was stopped.

    Args:
        root: the folder.
        settings: JSON; only what was begun with the same goes on.
        names: of all files that will be written.
        force: whether what augment wrote there may be deleted first.

    Yields:
        where to write.

    Raises:
        SurroundingsError: the folder holds something else; another process writes it; it cannot be written.
    """
    require_writable_parent(root, option="OUT")
    if root.exists() and not root.is_dir():
        raise SurroundingsError(f"{root} is a file, expected a folder", hint="Choose another OUT")
    work = root / WORK
    with alone(root, option="OUT"):
        begun = _begun(root, force=force)
        try:
            work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise from_os_error(error, work) from error
        if begun and not _same(work / _SETTINGS, settings):
            if not force:
                what = f"{root} holds an augment that was stopped, with other settings or another source"
                raise SurroundingsError(what, hint=f"Give the same, to go on. {_AGAIN}")
            _require_nothing_else(root, {*names, *_files(_journal(work / _JOURNAL).values())})
            (work / _JOURNAL).unlink(missing_ok=True)
            _remove_all(path for path in root.iterdir() if path.name != WORK)
            begun = False
        if not begun:
            write_text(work / _SETTINGS, json.dumps(settings))
        for pattern in (f"{WORK}/*.tmp", ".augmentation.*.tmp.jsonl", ".skipped.*.tmp.jsonl"):
            _remove_all(root.glob(pattern))
        output = Output(root, resumed=begun)
        try:
            yield output
        finally:
            output.close()


def _begun(root: Path, *, force: bool) -> bool:
    """Return whether a folder was begun; empty one that was finished, where it may be replaced."""
    if (root / WORK / _SETTINGS).is_file():
        return True
    if (root / MANIFEST).is_file():
        shutil.rmtree(root / WORK, ignore_errors=True)  # Stopped between its last two steps: it is finished.
    if root.is_dir() and any(path.name != WORK for path in root.iterdir()):
        _require_ours(root, force=force)
        _remove_all(root.iterdir())
    return False


def _require_ours(root: Path, *, force: bool) -> None:
    """Find out that a folder holds what augment wrote, all of it and nothing else, and may be replaced."""
    if not (root / MANIFEST).is_file():
        raise SurroundingsError(f"{root} is not empty, and augment did not write it", hint="Choose another OUT")
    if not force:
        raise SurroundingsError(f"{root} holds what augment wrote", hint=_AGAIN)
    _, rows = read_manifest(root)
    _require_nothing_else(root, set(_files([rows])))


def _require_nothing_else(root: Path, ours: Collection[str]) -> None:
    for folder, folders, names in os.walk(root):
        if WORK in folders:
            folders.remove(WORK)
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")  # noqa: PTH118
            if path not in ours and path not in (MANIFEST, SKIPPED) and not _COPY.search(path):
                what = f"{root} holds {shown(path)}, which augment did not write"
                raise SurroundingsError(what, hint="Choose another OUT")


def _files(rows_of: Iterable[list[dict[str, Any]]]) -> Iterator[str]:
    return (row["file"] for rows in rows_of for row in rows)


def _remove_all(paths: Iterable[Path]) -> None:
    for path in list(paths):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _same(path: Path, settings: dict[str, Any]) -> bool:
    try:
        return bool(json.loads(path.read_text(encoding="utf-8")) == json.loads(json.dumps(settings)))
    except ValueError:
        return False


def _journal(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each source that is done; a line that was cut short is no line."""
    found: dict[str, list[dict[str, Any]]] = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            found[record["source"]] = record["rows"]
    return found
