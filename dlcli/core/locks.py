"""One process at a time: locks that the operating system lets go when their holder ends, however it ends.

The lock is on a file, whose first line is the process id of who holds it, or held it last. A file that is left over
locks nothing. Where a file system knows no locks at all, filelock takes the file itself for the lock: one that a
killed process has left is then seen through on the same machine alone, and must be removed by hand on others.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import filelock

from dlcli.core.files import remove_leftovers
from dlcli.errors import SurroundingsError, from_os_error

# A moment's patience: somebody may be looking whether the lock is held.
_PATIENCE = 0.3


class HeldError(Exception):
    """Another process holds the lock.

    Args:
        pid: of that process; 0 where that is not known.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        super().__init__(self.who)

    @property
    def who(self) -> str:
        """The holder, for a message."""
        return f"process {self.pid}" if self.pid else "another process"


@contextlib.contextmanager
def held(path: Path, *, timeout: float = _PATIENCE, passing: bool = False) -> Iterator[None]:
    """Hold a lock.

    Args:
        path: its file, which is made.
        timeout: seconds to wait for it; -1 for ever.
        passing: whether the file goes when the lock does.

    Raises:
        HeldError: another process has it.
        OSError: its file cannot be made or locked.
    """
    lock = cast("filelock.BaseFileLock", filelock.FileLock(path))
    try:
        lock.acquire(timeout=timeout)
    except filelock.Timeout:
        raise HeldError(_holder(path)) from None
    try:
        if not isinstance(lock, filelock.SoftFileLock):  # That says it by itself.
            with contextlib.suppress(OSError):
                path.write_text(f"{os.getpid()}\n", encoding="ascii")
        yield
    finally:
        if passing:
            with contextlib.suppress(OSError):
                path.unlink()
        lock.release()


def is_held(path: Path) -> bool:
    """Say whether a process holds a lock."""
    if not path.exists():
        return False
    try:
        with filelock.FileLock(path, timeout=0):
            return False
    except filelock.Timeout:
        return True
    except OSError:  # A place that cannot be written has no writer.
        return False


@contextlib.contextmanager
def alone(path: Path, *, option: str = "--out") -> Iterator[None]:
    """Let one process at a time make or replace a folder; what killed ones have left beside it goes.

    Args:
        path: the folder; its parent is there.
        option: which names it.

    Raises:
        SurroundingsError: another process does so now; or the parent cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(lock_of(path), passing=True))
        except HeldError as error:
            hint = f"Wait for it, or choose another {option}"
            raise SurroundingsError(f"{error.who} writes {path}", hint=hint) from None
        except OSError as error:
            raise from_os_error(error, path) from error
        remove_leftovers(path)
        yield


def lock_of(path: Path) -> Path:
    """Return the file beside `path` that stands for it."""
    return path.with_name(f".{path.name}.lock")


def _holder(path: Path) -> int:
    """Return the process id in a lock's file; 0 where there is none."""
    try:
        return int(path.read_text(encoding="ascii").split("\n")[0])
    except (OSError, ValueError):
        return 0
