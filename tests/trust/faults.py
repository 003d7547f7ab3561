"""Calls that write below a folder, counted, and one of them made to fail: what `faults.c` does, as Python calls it.

What is not covered: pages of a memory-mapped file that the kernel writes back (dlcli reserves their space beforehand),
`sync()`, which reports nothing, `close()` of a plain file, and the removal of files.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).with_suffix(".c")


class Call(NamedTuple):
    """A call that writes: what it does, and to which file or folder."""

    kind: str
    path: str


class Faults:
    """The shim, in a process that was started with it."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._library.faults_noted.restype = ctypes.c_char_p

    def watch(self, folder: Path | None) -> None:
        """Count calls below a folder from now on; None for nowhere."""
        self._library.faults_watch(os.fsencode(folder.resolve()) if folder else b"")

    def arm(self, number: int, error: int = 0, *, lasting: bool = False) -> None:
        """Begin to count anew; let a call fail.

        Args:
            number: which, from 1; 0 for none.
            error: that it fails with, an errno.
            lasting: whether all later calls that take space fail, too, as on a disk that stays full.
        """
        self._library.faults_arm(number, error, lasting)

    def calls(self) -> list[Call]:
        """Return the calls since `arm`."""
        lines = os.fsdecode(self._library.faults_noted()).splitlines()
        return [Call(kind, os.path.normpath(path)) for kind, path in (line.split("\t", 1) for line in lines)]


def here() -> bool:
    """Say whether this process was started with the shim."""
    return hasattr(ctypes.CDLL(None), "faults_arm")


def possible() -> bool:
    """Say whether the shim can be made on this machine."""
    return sys.platform == "linux" and shutil.which("gcc") is not None


def again(script: str, *arguments: str, folder: Path) -> int:
    """Run a script with the shim, which is compiled into a folder; return its exit code."""
    library = folder / "faults.so"
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl", "-lpthread"], check=True)
    environment = {**os.environ, "LD_PRELOAD": str(library), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run([sys.executable, script, *arguments], env=environment).returncode
