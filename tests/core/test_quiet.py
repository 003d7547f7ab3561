"""Noise of C libraries: kept away, while Python's own lines arrive."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


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


@pytest.mark.parametrize(("stop", "shown"), [(ImportError("no such symbol"), "noise\n"), (KeyboardInterrupt(), "")])
def test_what_an_import_writes_is_shown_when_it_fails_and_not_when_it_is_stopped(
    stop: BaseException, shown: str, capfd: pytest.CaptureFixture[str]
) -> None:
    from dlcli.core.backend import _stderr_kept

    with pytest.raises(type(stop)), _stderr_kept():
        os.write(2, b"noise\n")
        raise stop
    assert capfd.readouterr().err == shown
