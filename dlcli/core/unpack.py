"""Archives, unpacked into a folder that appears whole or not at all, and holds nothing but plain files."""

from __future__ import annotations

import fnmatch
import functools
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from dlcli.core.files import beside, commit, remove_leftovers
from dlcli.core.progress import Progress
from dlcli.errors import SurroundingsError, from_os_error

# Data packs well where it repeats itself; what is large, and so much larger than its archive, is made to fill a disk.
_EXPANSION, _SMALL = 100, 2**30


def allowance(stored: int) -> int:
    """Return how many bytes of data may come of so many packed ones."""
    return max(_SMALL, _EXPANSION * stored)


class ArchiveError(SurroundingsError):
    """An archive that is damaged, or holds what may not be unpacked."""


def unpack(archive: Path, folder: Path, *, leave_out: Iterable[str] = (), progress: Progress) -> int:
    """Unpack a tar or zip archive.

    Args:
        archive: a `.zip`, or else a tar archive, compressed or not.
        folder: made, or replaced, when all is unpacked; of which the caller holds the lock.
        leave_out: patterns of files that are not wanted.
        progress: told of each file.

    Returns:
        the number of files.

    Raises:
        ArchiveError: it is no archive, is cut short, or holds what may not be unpacked: paths that lead out of the
            folder, links, devices, far more than its size.
        SurroundingsError: the disk is full or not writable. In either case `folder` is as it was.
    """
    remove_leftovers(folder)
    temporary = beside(folder)
    patterns = tuple(leave_out)
    count = 0
    progress.begin(f"unpacking {archive.name}")
    try:
        left = allowance(archive.stat().st_size)
        for name, size, write in _members(archive):
            left -= size
            if left < 0:
                raise ArchiveError(f"{archive} expands to far more than its size; nothing was unpacked")
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                write(temporary)
                count += 1
        if not count:
            raise ArchiveError(f"{archive} holds no files")
        # A hundred thousand reviews are a hundred thousand files.
        commit(temporary, folder, flush_each=False)
    except (tarfile.TarError, zipfile.BadZipFile, NotImplementedError, zlib.error, lzma.LZMAError, EOFError):
        raise _damaged(archive) from None
    except OSError as error:
        if error.errno is None:  # gzip's and bz2's own, which are no errors of the system.
            raise _damaged(archive) from None
        raise from_os_error(error, folder) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return count


def _members(archive: Path) -> Iterator[tuple[str, int, Callable[[Path], object]]]:
    """Yield name and size of each file in an archive, and what writes it below a folder: to be called at once."""
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                # The upper half is the mode of the file on a system that knows links, else 0.
                kind = stat.S_IFMT(member.external_attr >> 16)
                _require_plain(member.filename, archive, plain=member.is_dir() or kind in (0, stat.S_IFREG))
                if member.flag_bits & 1:
                    raise ArchiveError(f"{archive}: {member.filename!r} is encrypted; nothing was unpacked")
                if not member.is_dir():
                    yield member.filename, member.file_size, functools.partial(opened.extract, member)
        return
    with tarfile.open(archive) as tar:
        # Python before 3.11.4 has no filter; what it would refuse is refused below.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        for entry in tar:
            _require_plain(entry.name, archive, plain=entry.isfile() or entry.isdir())
            if entry.isfile():
                yield entry.name, entry.size, functools.partial(tar.extract, entry, set_attrs=False)
        _require_end(tar, archive)


def _require_end(tar: tarfile.TarFile, archive: Path) -> None:
    """Read to the end: tarfile takes damage between two files for the end, and gzip's checksum stands behind it."""
    rest = tar.fileobj
    assert rest is not None
    rest.seek(tar.offset)
    empty = True
    while block := rest.read(1 << 20):
        empty = False
        if block.strip(b"\0"):
            raise _damaged(archive)
    if empty:
        raise _damaged(archive)


def _damaged(archive: Path) -> ArchiveError:
    return ArchiveError(f"{archive} is no archive, or a damaged one")


def _require_plain(name: str, archive: Path, *, plain: bool) -> None:
    """Refuse what no data set needs and what an archive can do harm with."""
    path = PurePosixPath(name)
    wrong = ""
    if path.is_absolute() or ".." in path.parts or "\\" in name or re.match("[A-Za-z]:", name):
        wrong = "leads out of its folder"
    elif not plain:
        wrong = "is a link or a device"
    if wrong:
        raise ArchiveError(f"{archive}: {name!r} {wrong}; nothing was unpacked")
