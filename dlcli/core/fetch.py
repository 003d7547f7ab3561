"""The one downloader, of data sets and of weights: a file comes whole and verified, or not at all.

Only a file whose size and hash are those stated gets its name. What has come of it by then is kept when the connection
is cut or the process ends, and the next try goes on with it; see `transfer.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dlcli.core.files import commit
from dlcli.core.locks import HeldError, held, lock_of
from dlcli.core.progress import Progress
from dlcli.core.transfer import FetchError, Remote, Transfer, in_words
from dlcli.errors import SurroundingsError, Terminated


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file that is there now.

    Attributes:
        address: where it was to come from.
        size: in bytes.
        hash: of the file, by the algorithm of its `Remote`.
        new: whether any of it came over the network now.
    """

    address: str
    size: int
    hash: str
    new: bool


def fetch(remote: Remote, path: Path, *, progress: Progress, mirror: str = "") -> Fetched:
    """Bring a file, unless it is there already.

    Args:
        remote: which, and what vouches for it.
        path: where it shall be; its folder is made.
        progress: told of what comes, and of what is cut.
        mirror: a base address to take it from instead.

    Returns:
        the size and the hash of what is at `path`.

    Raises:
        FetchError: it cannot be had, or what came is not what is stated; nothing wrong is kept.
        SurroundingsError: the disk is full, or not writable.
        UsageError: the mirror is no address.
    """
    address = remote.at(mirror)
    with exclusive(path, progress):
        if path.is_file():
            progress.begin(f"verifying {path.name}")
            found = _digest(path, remote.algorithm)
            if _vouched(remote, path, found):
                return Fetched(address=address, size=path.stat().st_size, hash=found, new=False)
            progress.warn(f"{path} is not the file that is stated: it is fetched anew")
        transfer = Transfer(remote, address, path, progress)
        try:
            transfer.complete()
        except (KeyboardInterrupt, Terminated):
            if transfer.have:
                progress.note(f"{in_words(transfer.have)} are kept: the same command goes on from there")
            raise
        progress.begin(f"verifying {path.name}")
        found, size = _digest(transfer.part, remote.algorithm), transfer.have
        if not _vouched(remote, transfer.part, found):
            transfer.discard()
            raise remote.altered(address, f"{remote.algorithm} {remote.hash}", found)
        commit(transfer.part, path)
        transfer.discard()
    return Fetched(address=address, size=size, hash=found, new=transfer.received > 0)


@contextlib.contextmanager
def exclusive(path: Path, progress: Progress, *, doing: str = "fetching") -> Iterator[None]:
    """Let one process at a time make what shall be at `path`; others wait, and then find it.

    Args:
        path: a file or folder; its parent is made.
        progress: told when somebody else is at it.
        doing: what it is that they do.

    Raises:
        SurroundingsError: its parent cannot be made or written.
    """
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(lock_of(path), timeout=0))
        except HeldError as error:
            progress.note(f"{error.who} is {doing} {path.name}: waiting for it")
            stack.enter_context(held(lock_of(path), timeout=-1))
        except OSError as error:
            raise SurroundingsError(
                f"cannot write to {path.parent} ({error.strerror})",
                hint="Set DLCLI_HOME to a folder that you can write",
            ) from error
        yield


@contextlib.contextmanager
def naming_mirrors(command: str, *, mirror: str) -> Iterator[None]:
    """Say in the hint of what could not be fetched that there are mirrors.

    Args:
        command: which takes `--mirror`.
        mirror: the one that was given, if any: then there is nothing to say.
    """
    try:
        yield
    except FetchError as error:
        if not mirror:
            error.hint = f"{error.hint}. From a mirror: {command} --mirror URL"
        raise


def _vouched(remote: Remote, path: Path, found: str) -> bool:
    """Say whether a file is what is stated of it; where nothing is stated, any is."""
    return remote.size in (None, path.stat().st_size) and remote.hash in ("", found)


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
