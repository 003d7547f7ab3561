"""Data sets on this machine: what is fetched before work that needs it, by `dlcli data fetch` and by recipes."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dlcli.core.progress import Progress
from dlcli.datasets import ARCHIVES, DataSet, File
from dlcli.errors import SurroundingsError
from dlcli.resources import home

# Written into the folder of a data set that was fetched.
RECORD = ".fetched.json"


def obtain(entry: DataSet, progress: Progress, *, mirror: str = "", force: bool = False) -> bool:
    """See that a data set is on this machine.

    Args:
        entry: which.
        progress: told of what comes.
        mirror: a base address to take its files from instead.
        force: fetch it even if it is there, and replace it.

    Returns:
        whether it was fetched now.

    Raises:
        SurroundingsError: it cannot be had, is not what the registry states, or does not fit on the disk.
    """
    from dlcli.core.fetch import exclusive, naming_mirrors
    from dlcli.core.files import write_text

    if entry.here and not force:
        return False
    downloads = home() / "downloads" / entry.name
    with exclusive(entry.folder, progress), naming_mirrors(f"dlcli data fetch {entry.name}", mirror=mirror):
        if entry.here and not force:  # Somebody else has fetched it meanwhile.
            return False
        about = [_fetch(file, entry, downloads, progress=progress, mirror=mirror) for file in entry.fetched]
        _lay_out(entry, downloads, progress)
        _require_parts(entry)
        record = {
            **(about[0] if entry.address else {"files": about}),
            "verified": entry.vouched,
            "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_text(entry.folder / RECORD, json.dumps(record, indent=2) + "\n")
        shutil.rmtree(downloads, ignore_errors=True)
    return True


def _fetch(file: File, entry: DataSet, folder: Path, *, progress: Progress, mirror: str) -> dict[str, Any]:
    """Bring one file into a folder; return what is known of it."""
    from dlcli.core.fetch import fetch
    from dlcli.core.transfer import Remote

    remote = Remote(
        address=file.address,
        size=file.size,
        hash=file.hash,
        algorithm=entry.algorithm,
        source=entry.hash_source,
    )
    fetched = fetch(remote, folder / file.name, progress=progress, mirror=mirror)
    if not file.hash:
        progress.warn(
            f"nobody states a hash for {remote.name}, so it was not verified; "
            f"it has {entry.algorithm} {fetched.hash} (kept in {entry.folder / RECORD})"
        )
    return {"address": fetched.address, "size": fetched.size, entry.algorithm: fetched.hash}


def _lay_out(entry: DataSet, downloads: Path, progress: Progress) -> None:
    """Unpack the file that came into the data set's folder, or put all there as they are."""
    from dlcli.core.files import replacing
    from dlcli.core.unpack import ArchiveError, unpack

    paths = [downloads / file.name for file in entry.fetched]
    if paths[0].name.lower().endswith(ARCHIVES):
        try:
            unpack(paths[0], entry.folder, leave_out=entry.leave_out, progress=progress)
        except ArchiveError:
            paths[0].unlink()  # It would be taken for the right one at the next try.
            raise
        return
    with replacing(entry.folder) as temporary:
        temporary.mkdir()
        for path in paths:
            shutil.copyfile(path, temporary / path.name)


def _require_parts(entry: DataSet) -> None:
    for part in (entry.data, *entry.parts.values()):
        if not (entry.folder / part).exists():
            raise SurroundingsError(
                f"what came for {entry.name} has no {part}, which its entry names",
                hint=f"Look into {entry.folder}, or set the entry right",
            )
