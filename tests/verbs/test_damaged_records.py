"""Records of runs that were damaged or forged, and outputs that would destroy what is read: refused in one line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Outcome

from verbs.helpers import snapshot

Command = Callable[..., Outcome]
DAMAGED = "run.json is damaged or from a newer dlcli"


@pytest.fixture
def mine(small_run: Path, tmp_path: Path) -> Path:
    """Return a copy of a run, in the current folder."""
    shutil.copytree(small_run, tmp_path / "mine")
    return Path("mine")


def change(run: Path, **parts: Any) -> None:
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(content | parts))


def refused(outcome: Outcome, code: int, words: str) -> None:
    assert (outcome.code, outcome.out) == (code, ""), outcome.err
    assert words in outcome.lines[-1], outcome.err


VERBS = ("predict mine --text a", "evaluate mine small.csv", "report mine", "eject mine out.py", "reproduce mine")


@pytest.mark.parametrize("line", VERBS)
def test_settings_that_are_gone(dlcli: Command, mine: Path, small: Path, line: str) -> None:
    shutil.copyfile(small, "small.csv")
    change(mine, config={})
    words = "of the run is damaged" if line.split()[0] in ("predict", "evaluate", "report") else DAMAGED
    if line != "predict mine --text a":  # That asks for none of them.
        refused(dlcli(*line.split()), 4, words)


@pytest.mark.parametrize("wrong", [{"epochs": -1}, {"ngrams": "x"}, {"data": 3}, {"more": 1}])
def test_settings_that_no_verb_has(dlcli: Command, mine: Path, wrong: dict[str, Any]) -> None:
    config = json.loads((mine / "run.json").read_text())["config"]
    change(mine, config=config | wrong)
    for line in ("eject mine out.py", "train-text --resume mine", "train-text a.csv --from mine"):
        Path("a.csv").write_text("text,label\na,pos\nb,neg\n")
        outcome = dlcli(*line.split())
        if "--resume" in line:  # It is finished: nothing is trained.
            assert outcome.code in (0, 4)
        else:
            refused(outcome, 4, f"{DAMAGED} ({next(iter(wrong))}: ")


def test_a_verb_that_there_is_not(dlcli: Command, mine: Path) -> None:
    change(mine, verb="nix")
    refused(dlcli("eject", "mine", "out.py"), 4, f"{DAMAGED} (there is no verb 'nix'")
    change(mine, verb="x; rm")
    refused(dlcli("predict", "mine", "--text", "a"), 4, f"{DAMAGED} (verb: ")


def test_a_record_that_never_ends(dlcli: Command, mine: Path) -> None:
    (mine / "run.json").unlink()
    os.mkfifo(mine / "run.json")
    refused(dlcli("predict", "mine", "--text", "a"), 4, "is not a run: it has no run.json")
    (mine / "run.json").unlink()
    (mine / "run.json").symlink_to("/dev/zero")
    refused(dlcli("predict", "mine", "--text", "a"), 4, "mine is refused: run.json leads out of it")
    (mine / "run.json").unlink()
    with (mine / "run.json").open("wb") as file:
        file.truncate(17 * 2**20)
    refused(dlcli("predict", "mine", "--text", "a"), 4, "it is too large")


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"data": "a"}', "[" * 100_000])
def test_an_evaluation_that_is_damaged_is_left_out(dlcli: Command, mine: Path, content: str) -> None:
    (mine / "evaluations").mkdir(exist_ok=True)
    (mine / "evaluations" / "bad.json").write_text(content)
    outcome = dlcli("inspect", "mine")
    assert outcome.code == 0
    assert outcome.lines[-1].startswith("warning: mine/evaluations/bad.json is left out: ")


@pytest.mark.parametrize(
    "line",
    [
        "predict mine small.csv --out small.csv --force",
        "predict mine small.csv --out link.csv --force",
        "predict mine small.csv --out mine/run.json --format jsonl --force",
        "predict mine small.csv --out mine/model.keras --format csv --force",
        "evaluate mine small.csv --save-predictions small.csv --force",
        "features x.npz x.npz --base shipped --force",
    ],
)
def test_what_is_read_is_not_replaced(dlcli: Command, mine: Path, small: Path, line: str) -> None:
    shutil.copyfile(small, "small.csv")
    Path("link.csv").symlink_to("small.csv")
    Path("x.npz").touch()
    before = snapshot(Path())
    refused(dlcli(*line.split()), 2, "is read by this command, and would be lost")
    assert snapshot(Path()) == before


def test_neither_devices_nor_folders_are_replaced(dlcli: Command, mine: Path) -> None:
    os.mkfifo("pipe.csv")
    refused(dlcli("predict", "mine", "--text", "a", "--out", "pipe.csv", "--force"), 5, "pipe.csv is a device, a pipe")
    assert Path("pipe.csv").is_fifo()
    (mine / "report.html").mkdir()
    (mine / "report.html" / "kept").touch()
    refused(dlcli("report", "mine"), 5, "mine/report.html is a folder, expected a file")
    assert (mine / "report.html" / "kept").exists()


def test_a_picture_is_not_replaced_by_its_explanation(dlcli: Command, shapes: Path) -> None:
    shutil.copyfile(next((ROOT / "sample_data" / "shapes").rglob("*.jpg")), "cat.png")
    before = snapshot(Path())
    refused(
        dlcli("explain", shapes, "cat.png", "--out", "cat.png", "--force"),
        2,
        "is read by this command, and would be lost",
    )
    assert snapshot(Path()) == before


def test_an_empty_path_is_not_the_current_folder(dlcli: Command, mine: Path) -> None:
    for line in (("check", ""), ("clean", "", "out.csv"), ("predict", "mine", "")):
        refused(dlcli(*line), 2, "expected a path, got ''")
