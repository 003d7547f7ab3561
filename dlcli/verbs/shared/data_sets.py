"""Data sets on this machine: what is fetched before work that needs it, by `dlcli data fetch` and by recipes."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from dlcli.core.progress import Progress
from dlcli.datasets import ARCHIVES, DataSet
from dlcli.errors import SurroundingsError
from dlcli.resources import home

# Written into the folder of a data set that was fetched.
RECORD = ".fetched.json"


def obtain(entry: DataSet, progress: Progress, *, mirror: str = "", force: bool = False) -> bool:
    """See that a data set is on this machine.

    Args:
        entry: which.
        progress: told of what comes.
        mirror: a base address to take its file from instead.
        force: fetch it even if it is there, and replace it.

    Returns:
        whether it was fetched now.

    Raises:
        SurroundingsError: it cannot be had, is not what the registry states, or does not fit on the disk.
    """
    from dlcli.core.fetch import exclusive, fetch
    from dlcli.core.files import write_text
    from dlcli.core.transfer import Remote

    if entry.here and not force:
        return False
    remote = Remote(
        address=entry.address,
        size=entry.size,
        hash=entry.hash,
        algorithm=entry.algorithm,
        source=entry.hash_source,
    )
    path = home() / "downloads" / entry.name / entry.file
    with exclusive(entry.folder, progress), _naming_other_ways(entry, mirror):
        if entry.here and not force:  # Somebody else has fetched it meanwhile.
            return False
        fetched = fetch(remote, path, progress=progress, mirror=mirror)
        if not entry.hash:
            progress.warn(
                f"nobody states a hash for {remote.name}, so it was not verified; "
                f"it has {entry.algorithm} {fetched.hash} (kept in {entry.folder / RECORD})"
            )
        _lay_out(entry, path, progress)
        _require_parts(entry)
        about = {
            "address": fetched.address,
            "size": fetched.size,
            entry.algorithm: fetched.hash,
            "verified": bool(entry.hash),
            "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_text(entry.folder / RECORD, json.dumps(about, indent=2) + "\n")
        shutil.rmtree(path.parent, ignore_errors=True)
    return True


def _lay_out(entry: DataSet, path: Path, progress: Progress) -> None:
    """Unpack the file into the data set's folder, or put it there as it is."""
    from dlcli.core.files import replacing
    from dlcli.core.unpack import ArchiveError, unpack

    if path.name.lower().endswith(ARCHIVES):
        try:
            unpack(path, entry.folder, leave_out=entry.leave_out, progress=progress)
        except ArchiveError:
            path.unlink()  # It would be taken for the right one at the next try.
            raise
        return
    with replacing(entry.folder) as temporary:
        temporary.mkdir()
        shutil.copyfile(path, temporary / path.name)


def _require_parts(entry: DataSet) -> None:
    for part in (entry.data, *entry.parts.values()):
        if not (entry.folder / part).exists():
            raise SurroundingsError(
                f"what came for {entry.name} has no {part}, which its entry names",
                hint=f"Look into {entry.folder}, or set the entry right",
            )


@contextlib.contextmanager
def _naming_other_ways(entry: DataSet, mirror: str) -> Iterator[None]:
    """Say in the hint of what could not be fetched that there are mirrors."""
    from dlcli.core.transfer import FetchError

    try:
        yield
    except FetchError as error:
        if not mirror:
            error.hint = f"{error.hint}. From a mirror: dlcli data fetch {entry.name} --mirror URL"
        raise
