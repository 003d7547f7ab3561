"""A disk that fails: short, and without TensorFlow; the long trial is `python tests/trust/disks.py`."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome
from trust import disks, faults

from dlcli.core import files
from dlcli.core.record import RunRecord
from dlcli.core.run import create
from dlcli.errors import SurroundingsError


@pytest.mark.skipif(not faults.possible(), reason="needs Linux and gcc")
def test_each_call_that_writes_may_fail(tmp_path: Path) -> None:
    command = [sys.executable, disks.__file__, "--plain", "--writes", "1", "--seed", "8"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| ") and "command" not in line]
    assert [row[1].strip() for row in rows] == list(disks.PLAIN)
    assert all(int(row[3].replace(",", "")) >= 6 for row in rows), "few calls were made to fail"


@pytest.mark.parametrize("at_once", [True, False])
def test_a_rename_that_fails_while_a_run_is_replaced_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    record = RunRecord(verb="v", domain="d", config={})
    with create(tmp_path / "r", record.model_copy(update={"seed": 1}), force=False) as run:
        run.log("old")
    before = {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir()}
    rename, failed = Path.rename, []

    def fails_once(one: Path, other: Path) -> Path:
        if other.name == "r" and not failed:
            failed.append(other)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(one, other)

    if at_once:
        monkeypatch.setattr(files, "_exchanged", fails_once)
    else:
        monkeypatch.setattr(files, "_exchanged", lambda *_: False)
        monkeypatch.setattr(Path, "rename", fails_once)
    with pytest.raises(SurroundingsError, match="Input/output error"), create(tmp_path / "r", record, force=True):
        pass
    assert {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_fails_under_tensorflow_is_named(
    dlcli: Callable[..., Outcome], run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    import tensorflow as tf

    def fails(*_: Any, **__: Any) -> None:
        raise tf.errors.UnknownError(None, None, f".out/variables; {os.strerror(number)} [Op:SaveV2]")

    monkeypatch.setattr(tf.saved_model, "save", fails)
    outcome = dlcli("export", run, "--out", "out")
    assert outcome.code == 5
    expected = {errno.EIO: "Input/output error: out", errno.ENOSPC: "the disk is full, while writing out"}
    assert outcome.lines[-1].startswith(f"dlcli: {expected[number]}")
    assert list(tmp_path.iterdir()) == []
