"""What C libraries write on stderr, kept away: libjpeg names no file, and has a line for every odd byte."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_depth = 0
_open = contextlib.ExitStack()


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Send what is written to file descriptor 2 to nowhere during the block; Python's `sys.stderr` goes on as it was.

    Blocks may overlap, on threads: the first to begin turns the noise off, the last to end turns it on again.
    """
    global _depth
    with _lock:
        _depth += 1
        if _depth == 1:
            with contextlib.suppress(OSError):  # There is no stderr to keep.
                _open.enter_context(_silenced())
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if not _depth:
                _open.close()


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    saved, before = os.dup(2), sys.stderr
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        with open(saved, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False) as own:
            before.flush()
            if _writes_there(before):
                sys.stderr = own
            os.dup2(nowhere, 2)
            yield
    finally:
        os.dup2(saved, 2)
        sys.stderr = before
        os.close(saved)
        os.close(nowhere)


def _writes_there(stream: object) -> bool:
    """Say whether a stream ends in file descriptor 2: the process' own does, and a progress bar's in its place."""
    stream = getattr(stream, "rich_proxied_file", stream)
    try:
        return bool(stream.fileno() == 2)  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False
