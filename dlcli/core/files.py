"""Files written whole or not at all, and their hashes."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from dlcli.errors import SurroundingsError, UsageError, from_os_error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; flush it and rename it to `path` when the block ends well.

    Args:
        path: the file (or folder) to make or to replace; a reader sees the old one or the new one, never a part.

    Yields:
        where to write; it keeps the suffix of `path`.

    Raises:
        SurroundingsError: the disk is full or not writable; `path` is as it was.
    """
    temporary = beside(path)
    try:
        yield temporary
        commit(temporary, path)
    except OSError as error:
        raise from_os_error(error, path) from error
    finally:
        _remove(temporary)


def commit(temporary: Path, path: Path, *, flush_each: bool = True) -> None:
    """Flush a finished file or folder and rename it to `path`, which it replaces.

    Args:
        temporary: what was written, beside `path`.
        path: its name from now on.
        flush_each: False flushes all of the machine at once, where that is possible: for folders of very many files.

    Raises:
        SurroundingsError: the disk is full or not writable; `path` is as it was, or the new one whole.
    """
    if path.is_dir() and not temporary.is_dir():
        raise SurroundingsError(f"{path} is a folder, expected a file", hint="Move it away")
    try:
        if flush_each or not hasattr(os, "sync"):
            _flush(temporary)
        else:
            os.sync()
        if path.is_dir():  # A folder cannot be renamed onto a full one.
            exchange(temporary, path)
        else:
            temporary.replace(path)
        _flush_directory(path.parent)
    except OSError as error:
        raise from_os_error(error, path) from error
    if temporary.is_dir():
        _remove(temporary)  # The old one.


def exchange(temporary: Path, path: Path) -> None:
    """Let two folders change names, at once where the system can.

    Elsewhere `path` has no name for a moment; a failure leaves it as it was.

    Args:
        temporary: the new one; in the end the old one.
        path: the old one; in the end the new one.
    """
    if _exchanged(temporary, path):
        return
    aside = beside(path, ending="old")
    path.rename(aside)
    try:
        temporary.rename(path)
    except OSError:
        aside.rename(path)
        raise
    aside.rename(temporary)


def _exchanged(one: Path, other: Path) -> bool:
    """Let Linux exchange two names (renameat2); return whether it, and the file system, know how to."""
    import ctypes

    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here, both = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if renameat2(here, os.fsencode(one), here, os.fsencode(other), both) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM):
        return False
    raise OSError(number, os.strerror(number), os.fspath(other))


def beside(path: Path, *, ending: str = "tmp") -> Path:
    """Return a hidden name beside `path` that no other process takes; it keeps the suffix."""
    # Processes of two machines, or of two containers, may have one number.
    return path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}.{ending}{path.suffix}")


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes have left beside `path`; only for who holds its lock."""
    for left in path.parent.glob(f".{glob.escape(path.stem)}.*-*.tmp{glob.escape(path.suffix)}"):
        _remove(left)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def jsonl(records: Iterable[dict[str, Any]]) -> str:
    """Return records as JSON lines."""
    return "".join(json.dumps(record) + "\n" for record in records)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes(root: Path, *parts: str) -> dict[str, str]:
    """Return the SHA-256 of files and of all files in folders, by their path relative to `root`.

    Args:
        root: the folder that the names are relative to.
        *parts: names of files and folders in it.
    """
    files = []
    for part in parts:
        path = root / part
        files += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return {file.relative_to(root).as_posix(): sha256(file) for file in files}


def require_writable_parent(path: Path, *, keep: bool = True, option: str = "--out") -> None:
    """Find out before any work whether `path` can be made.

    Args:
        path: a file or folder that will be made; missing parents are made.
        keep: False takes the parents away again, for a trial that leaves nothing.
        option: which names it.

    Raises:
        SurroundingsError: its parent cannot be made or written.
    """
    missing = [] if keep else [parent for parent in path.parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        for parent in missing:
            parent.rmdir()
    except OSError as error:
        raise SurroundingsError(
            f"cannot write to {path.parent} ({error.strerror})",
            hint=f"Choose another {f'place with {option}' if option.startswith('--') else option}",
        ) from error


def require_free_file(
    path: Path, *, option: str, endings: Collection[str], force: bool, read: Iterable[Path] = ()
) -> None:
    """Find out before any work whether a file can be made.

    Args:
        path: the file.
        option: which names it.
        endings: one of which it must have, such as `.csv`; none for any.
        force: whether a file that stands there may be replaced.
        read: what the command reads, and what nothing may replace.

    Raises:
        UsageError: it has another ending, or is one of those that are read.
        SurroundingsError: it is there already, is a folder or a device, or cannot be made.
    """
    if endings and path.suffix.lower() not in endings:
        raise UsageError(f"{option}: expected a file ending in {', '.join(endings)}, got {path}")
    if path.is_dir():
        raise SurroundingsError(f"{path} is a folder, expected a file", hint=f"Choose another {option}")
    if path.exists() and not path.is_file():
        raise SurroundingsError(
            f"{path} is a device, a pipe or a socket, expected a file", hint=f"Choose another {option}"
        )
    if path.exists() and any(one.exists() and path.samefile(one) for one in read):
        raise UsageError(f"{path} is read by this command, and would be lost", hint=f"Name another {option}")
    if path.exists() and not force:
        raise SurroundingsError(f"{path} exists already", hint="Add --force to replace it")
    require_writable_parent(path, option=option)


def _flush(path: Path) -> None:
    for file in path.rglob("*") if path.is_dir() else (path,):
        if file.is_file():
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())


def _flush_directory(path: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
