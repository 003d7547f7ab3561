"""How much memory is left to this process."""

from __future__ import annotations

import contextlib
from pathlib import Path

_MEMINFO, _STATUS = Path("/proc/meminfo"), Path("/proc/self/status")
# Where Linux says how much a container may take, and takes: of control groups version 2, and 1.
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def available_memory() -> int | None:
    """Return the bytes that this process can still take without swapping; None where the system does not tell."""
    free = _field(_MEMINFO, "MemAvailable")
    if free is None:
        return None
    left = [limit - used for limit, used in (*_of_groups(), *_of_limits()) if limit is not None and used is not None]
    return max(0, min([free, *left]))


def _of_groups() -> list[tuple[int | None, int | None]]:
    return [(_number(most), _number(used)) for most, used in _GROUPS]


def _of_limits() -> list[tuple[int | None, int | None]]:
    """Return the limits of this process (`ulimit -d`, `ulimit -v`), and what it has of each."""
    import resource

    named = ((resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize"))
    limits = [(resource.getrlimit(kind)[0], _field(_STATUS, name)) for kind, name in named]
    return [(None if limit == resource.RLIM_INFINITY else limit, used) for limit, used in limits]


def _field(table: Path, name: str) -> int | None:
    """Return a field of one of Linux' tables, in bytes."""
    with contextlib.suppress(OSError, ValueError):
        for line in table.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


def _number(path: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):  # "max" is no limit.
        return int(Path(path).read_text(encoding="ascii"))
    return None
