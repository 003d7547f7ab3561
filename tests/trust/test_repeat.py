"""The same commands twice, in this process: `repeat.py` does it in processes of their own, and with more models."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import call
from trust import attacks, repeat


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(line: str, *, home: Path) -> str:
        with monkeypatch.context() as patch:
            patch.setitem(os.environ, "DLCLI_HOME", str(home))
            outcome = call(*shlex.split(line), "-q")
        assert outcome.code == 0, outcome.err
        return outcome.out

    monkeypatch.setattr(repeat, "run", run)


def test_the_same_command_makes_the_same_bytes(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"train-text {tiny} --ngrams 2 --ngram-dropout 0.3 --epochs 2 --batch-size 8"
    assert [equal for *_, equal in repeat.trained_twice("tiny", line, tmp_path / "0", ways=("",))] == [True]
    monkeypatch.setattr(repeat, "REVIEWS_TEST", tiny)
    found = repeat.used_twice(tmp_path / "0" / "0-first", tmp_path)
    assert [what for what, _, equal in found if not equal] == [] and len(found) == 4


def test_other_bytes_are_seen(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    assert repeat.same_runs(run, other)
    with np.load(run / "validation.npz") as kept:
        np.savez(other / "validation.npz", labels=kept["labels"], outputs=np.nextafter(kept["outputs"], np.float32(1)))
    attacks.vouch(other, "run.json")
    assert not repeat.same_runs(run, other)
