"""Every bad row is named with its line, and no good one is lost: few rows here, a million in `million.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import call
from trust import million


@pytest.mark.usefixtures("dlcli")
def test_all_bad_rows_are_named_and_no_good_one_is_lost(tmp_path: Path) -> None:
    def command(*arguments: object) -> million.Ran:
        outcome = call(*arguments)
        return million.Ran(outcome.out, outcome.err, 0.0, 0.0)

    written = million.write(tmp_path / "big.csv", rows=4000, seed=3)
    assert len(written.bad) == 40
    found, _ = million.problems(tmp_path / "big.csv", written, rows=4000, command=command)
    assert not found
