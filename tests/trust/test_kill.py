"""Two kills in a save, short: `kill.py` is the long proof."""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import call
from trust import kill


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_training_that_is_killed_in_saves_ends_as_the_uninterrupted_one(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = "--epochs 6 --batch-size 8 --ngram-dropout 0.3 --patience 3 --checkpoint-minutes 0.01"
    monkeypatch.setitem(kill.TRAININGS, "tiny", f"train-text {tiny} {settings}")

    def here(path: Path, label: str) -> int:
        return call(*kill.command(path, label)).code

    reference = kill.Reference("tiny", tmp_path / "reference", before=0.0, training=0.5)
    assert here(reference.path, "tiny") == 0
    found = kill.killed(tmp_path / "run", reference, random.Random(1), aims=kill.SAVES, most=2, finish=here)
    assert found.problem == ""
    assert found.places and set(found.places) <= set(kill.SAVES)


def test_a_kill_behind_the_commit_leaves_nothing_behind(run: Path, tmp_path: Path) -> None:
    """The run is finished, and its checkpoints are the last to go."""
    killed = tmp_path / "killed"
    shutil.copytree(run, killed)
    (killed / "checkpoints").mkdir()
    (killed / "checkpoints" / "epoch-1.npz").touch()
    assert kill.difference(killed, run) == "left: checkpoints"
    outcome = call("train-text", "--resume", killed)
    assert outcome.code == 0 and "is finished already" in outcome.err
    assert kill.difference(killed, run) == ""


def test_a_difference_is_seen(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    assert kill.difference(other, run) == ""
    (other / "history.jsonl").write_text('{"epoch": 1}\n')
    np.savez(other / "validation.npz", labels=np.zeros(3))
    assert kill.difference(other, run) == "other history, other answers"
    (other / ".model.7.tmp.keras").touch()
    assert kill.difference(other, run) == "left: .model.7.tmp.keras"
