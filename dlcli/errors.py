"""Every error that dlcli reports itself: one line, what to do next, and an exit code.

A message says what was expected, what was found and where (file, line); `hint` says what to do next.
`cli.py` prints both on one line and exits with `exit_code`. Anything else that escapes is a bug of ours (1).
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable

_NO_SPACE = "No space left"
# What oneDNN says, and no more, when it gets no memory for an operation.
_ONEDNN = "could not execute a primitive"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class DlcliError(Exception):
    """An error that a user can act on.

    Args:
        message: what was expected, what was found, and where.
        hint: what to do next; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        stop = "" if self.message.endswith((".", "?")) else "."
        return f"{self.message}{stop} {self.hint}" if self.hint else self.message


class UsageError(DlcliError):
    """Flags, recipe keys, a missing extra, an input path that does not exist, changed settings at a resume."""

    exit_code = 2


class DataError(DlcliError):
    """Content, columns, labels."""

    exit_code = 3


class ModelError(DlcliError):
    """An unsafe or damaged model or run; an export that does not answer as the run does."""

    exit_code = 4


class SurroundingsError(DlcliError):
    """Output not empty or not writable, a lock, a disk, a network."""

    exit_code = 5


class NumbersError(DlcliError):
    """NaN, infinity, memory."""

    exit_code = 6


class GateError(DlcliError):
    """A score that a gate asked for was not reached."""

    exit_code = 7


class Terminated(BaseException):
    """SIGTERM arrived; a `BaseException`, as `KeyboardInterrupt` is, so that no handler swallows it."""


class DiskFullError(SurroundingsError):
    """No space, or no quota, is left.

    Args:
        path: what was being written, if known.
    """

    def __init__(self, path: object = None) -> None:
        where = f", while writing {path}" if path else ""
        super().__init__(f"the disk is full{where}", hint="Free some space, then run the same command again")


def from_os_error(error: OSError, path: object = None) -> DlcliError:
    """Turn an error of the operating system into one of ours.

    Args:
        error: what a file operation raised.
        path: what was being read or written, where the error itself does not say.
    """
    path = path or error.filename
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(path)
    return SurroundingsError(f"{error.strerror or error}" + (f": {path}" if path else ""))


def memory_is_exhausted(error: BaseException) -> bool:
    """Say whether an error of Python or TensorFlow means that there was not enough memory."""
    kind, text = type(error).__name__, str(error)
    if kind == "ResourceExhaustedError":  # TensorFlow's, for memory and for disks.
        return _NO_SPACE not in text
    return isinstance(error, MemoryError) or (kind == "AbortedError" and _ONEDNN in text)


def disk_is_full(error: BaseException) -> bool:
    """Say whether an error of TensorFlow means that a disk is full."""
    return type(error).__name__ == "ResourceExhaustedError" and _NO_SPACE in str(error)


def printable(text: str) -> str:
    """Replace control characters, so that a name in the data cannot steer the terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Say which known word was probably meant.

    Args:
        word: what was given.
        known: what exists.
        cutoff: how alike two words must be, from 0 to 1.

    Returns:
        `Did you mean 'x'?`, or else `Known: a, b, c` (empty when nothing is known).
    """
    choices = sorted(known)
    close = difflib.get_close_matches(word, choices, n=1, cutoff=cutoff)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {', '.join(choices)}" if choices else ""
