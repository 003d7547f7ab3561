"""`reproduce` by the real command: the same weights again, or exit code 7."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome, call

from verbs.helpers import record, same_weights

Command = Callable[..., Outcome]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run beside its data."""
    folder = tmp_path_factory.mktemp("original")
    texts = [f"good film {n},pos" if n % 2 else f"bad film {n},neg" for n in range(40)]
    (folder / "data.csv").write_text("\n".join(["text,label", *texts, ""]))
    settings = ("--epochs", "2", "--ngram-dropout", "0.2")
    outcome = call("train-text", folder / "data.csv", *settings, "--out", folder / "run")
    assert outcome.code == 0, outcome.err
    return folder / "run"


@pytest.fixture
def trained(original: Path, tmp_path: Path) -> Path:
    """Return a copy of the run that may be changed."""
    shutil.copytree(original, tmp_path / "run")
    data = shutil.copy(original.parent / "data.csv", tmp_path / "data.csv")
    change(tmp_path / "run", data=str(data))
    return tmp_path / "run"


def change(run: Path, **settings: Any) -> None:
    """Write other settings into a run's record."""
    content = record(run)
    content["config"] |= settings
    (run / "run.json").write_text(json.dumps(content))


def test_a_run_is_reproduced_bit_for_bit(trained: Path, dlcli: Command) -> None:
    second = trained.with_name("second")
    outcome = dlcli("reproduce", trained, "--json", "--out", second)
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["same"] and found["reproduced"]
    assert found["largest_difference"] == 0
    assert found["epochs"] == [2, 2] and found["same_epochs"] == 2
    assert all(first == again for first, again in found["scores"].values())
    assert same_weights(trained, second)


def test_another_result_is_exit_code_7_unless_it_is_within_the_tolerance(trained: Path, dlcli: Command) -> None:
    change(trained, seed=1)
    outcome = dlcli("reproduce", trained)
    assert outcome.code == 7
    assert f"{trained} was not reproduced: the result differs" in outcome.lines[-1]
    assert "differ by up to" in outcome.out and "reproduced  no" in outcome.out
    assert not list(trained.parent.glob("*reproduce*"))
    outcome = dlcli("reproduce", trained, "--tolerance", "1", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["reproduced"] and not found["same"]
    assert found["largest_difference"] > 0


def test_changed_data_is_told_before_the_training(trained: Path, dlcli: Command) -> None:
    data = trained.with_name("data.csv")
    data.write_text(data.read_text() + "one more,pos\n")
    outcome = dlcli("reproduce", trained)
    assert outcome.code == 2
    assert "the data has changed" in outcome.lines[-1]
    assert "epoch" not in outcome.err


def test_what_cannot_be_reproduced_is_refused(trained: Path, dlcli: Command) -> None:
    outcome = dlcli("reproduce", trained, "--out", trained)
    assert outcome.code == 5
    trained.with_name("data.csv").unlink()
    outcome = dlcli("reproduce", trained)
    assert outcome.code == 2
    assert "does not exist" in outcome.lines[-1]
    (trained / "model.keras").write_bytes(b"x")
    outcome = dlcli("reproduce", trained)
    assert outcome.code == 4
    assert "is damaged" in outcome.lines[-1]
