"""A few commands in one process: `soak.py` does three hundred, and trains for half an hour."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from trust import soak


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_commands_in_one_process_leave_no_file_open(tmp_path: Path) -> None:
    count = len(soak.VERBS) + 2
    files = [files for _, files in soak.of_short_runs(tmp_path, count)]
    assert len(files) == count
    assert files[-2:] == [files[-3]] * 2, "each verb once; then two again"


def test_growth_is_seen() -> None:
    steady, leaking = [(2**30, 8)] * 60, [(2**30 + n * 2**22, 8 + n // 30) for n in range(60)]
    assert soak.growths(steady)[1] == [0, 0]
    rows, growth = soak.growths(leaking)
    assert min(growth) > soak.MOST
    assert rows[1] == "open files | 8 | 9 | +12.5%"
