"""Noise of C libraries: kept away, while Python's own lines arrive."""

from __future__ import annotations

import subprocess
import sys


def test_only_what_c_writes_is_kept_away() -> None:
    code = """
import os, sys
from dlcli.core.quiet import quiet_libraries
print("before", file=sys.stderr)
with quiet_libraries(), quiet_libraries():
    os.write(2, b"noise\\n")
    print("within", file=sys.stderr)
os.write(2, b"after\\n")
print("end", file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["before", "within", "after", "end"]
