"""`dlcli compare`: what differs, the scores that evaluate gives, and tests on the same items."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REVIEWS, REVIEWS_TEST, Outcome, call

from dlcli.results.paired import mcnemar
from verbs.helpers import read_csv, record

Command = Callable[..., Outcome]


@pytest.fixture(scope="module")
def unigrams(run: Path) -> Path:
    """Return a run beside `run`, on the same data, that differs in one setting."""
    path = run.with_name("unigrams")
    outcome = call("train-text", REVIEWS, "--ngrams", "1", "--out", path)
    assert outcome.code == 0, outcome.err
    return path


@pytest.fixture(scope="module")
def compared(run: Path, unigrams: Path) -> dict[str, Any]:
    outcome = call("compare", unigrams, run, "--on", REVIEWS_TEST, "--json")
    assert outcome.code == 0, outcome.err
    result: dict[str, Any] = json.loads(outcome.out)
    return result


def test_what_differs(compared: dict[str, Any]) -> None:
    assert compared["settings"] == {"ngrams": {"unigrams": 1, "reviews": 2}}
    assert [one["name"] for one in compared["runs"]] == ["unigrams", "reviews"]


def test_the_scores_are_those_of_evaluate(compared: dict[str, Any], scores: dict[str, Any], run: Path) -> None:
    assert compared["n"] == 1000
    assert compared["runs"][1]["test"] == scores["metrics"]
    assert compared["runs"][1]["validation"] == record(run)["scores"]


def test_the_test_is_on_the_same_items(compared: dict[str, Any], run: Path, unigrams: Path) -> None:
    true = [row["label"] for row in read_csv(REVIEWS_TEST)]
    right = [
        np.array([row["prediction"] for row in read_csv(call("predict", path, REVIEWS_TEST).out)]) == np.array(true)
        for path in (unigrams, run)
    ]
    gains, losses = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    (found,) = compared["paired"]
    assert (found["name"], found["against"]) == ("unigrams", "reviews")
    assert (found["only_this_right"], found["only_the_other_right"]) == (gains, losses)
    assert found["difference"] == pytest.approx((gains - losses) / 1000)
    assert found["low"] < found["difference"] < found["high"] < 0
    assert found["p"] == found["p_holm"] == mcnemar(gains, losses) < 1e-6
    assert found["significant"]


def test_the_text(dlcli: Command, compared: dict[str, Any], run: Path, unigrams: Path) -> None:
    outcome = dlcli("compare", unigrams, run, "--on", REVIEWS_TEST)
    lines = [line.split() for line in outcome.out.splitlines()]
    assert ["ngrams", "1", "2"] in lines
    accuracy = compared["runs"][0]["test"]["accuracy"]
    shown = [f"{accuracy['value']:.4f}", f"{accuracy['low']:.4f}", "to", f"{accuracy['high']:.4f}"]
    assert any(line[:5] == ["unigrams", *shown] for line in lines)
    assert "accuracy against reviews, the best, on the same items:" in outcome.out
    assert lines[-1][0] == "unigrams"
    assert lines[-1][-1] == "significant"
    assert max(map(len, outcome.out.splitlines())) <= 100


def test_without_data_the_same_validation_items_are_compared(dlcli: Command, run: Path, unigrams: Path) -> None:
    outcome = dlcli("compare", run, unigrams, "--json")
    found = json.loads(outcome.out)
    right = []
    for path in (run, unigrams):
        with np.load(path / "validation.npz") as file:
            right.append(file["outputs"].argmax(axis=1) == file["labels"])
    (paired,) = found["paired"]
    assert paired["difference"] == pytest.approx(right[1].mean() - right[0].mean())
    assert (found["data"], found["paired_on"]) == (None, "validation items")
    assert "test" not in found["runs"][0]
    assert "validation picks the best epoch" in found["notes"][-1]


def test_runs_that_validated_on_other_items_are_not_compared_item_by_item(
    dlcli: Command, run: Path, small_run: Path
) -> None:
    found = json.loads(dlcli("compare", run, small_run, "--json").out)
    assert found["paired"] == []
    assert found["notes"][0].startswith("run: validated on other items than reviews")
    assert "--on DATA" in found["notes"][0]
    assert {"data", "training items", "data fingerprint"} <= found["settings"].keys()


def test_a_run_and_its_copy_do_not_differ(dlcli: Command, run: Path) -> None:
    shutil.copytree(run, "copy")
    outcome = dlcli("compare", run, "copy", "--on", REVIEWS_TEST)
    assert "the runs have the same settings" in outcome.out
    assert outcome.out.splitlines()[-1].split() == [
        "copy",
        "+0.0",
        "+0.0",
        "to",
        "+0.0",
        "1",
        "1",
        "not",
        "significant",
    ]


def test_what_is_no_finished_run_is_left_out_by_name(dlcli: Command, run: Path, unigrams: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for source, name in ((run, "a"), (unigrams, "b"), (run, "stopped"), (run, "damaged")):
        shutil.copytree(source, runs / name)
    (runs / "none").mkdir()
    (runs / "notes.txt").write_text("not a run")
    (runs / "stopped" / "run.json").write_text(json.dumps(record(run) | {"status": "interrupted"}))
    (runs / "damaged" / "history.jsonl").write_text("")
    outcome = dlcli("compare", *sorted(runs.iterdir()), "--json")
    assert outcome.code == 0
    assert [one["name"] for one in json.loads(outcome.out)["runs"]] == ["a", "b"]
    assert len(outcome.lines) == 4
    for name in ("damaged", "none", "notes.txt", "stopped"):
        assert any(line.startswith("warning: left out: ") and name in line for line in outcome.lines)


def test_names_that_are_not_unique_are_paths(dlcli: Command, run: Path) -> None:
    shutil.copytree(run, f"other/{run.name}")
    found = json.loads(dlcli("compare", run, f"other/{run.name}", "--json").out)
    assert [one["name"] for one in found["runs"]] == [str(run), f"other/{run.name}"]


def test_many_settings_are_shown_in_several_tables(dlcli: Command, run: Path, unigrams: Path) -> None:
    names = [f"{'long-name-' * 3}{number}" for number in range(4)]
    for name in names:
        shutil.copytree(unigrams, name)
    outcome = dlcli("compare", run, *names)
    assert max(len(line) for line in outcome.out.splitlines() if not line.startswith("validation picks")) <= 120
    assert outcome.out.count("differs") == 2


def test_the_histories_in_one_picture(dlcli: Command, run: Path, unigrams: Path) -> None:
    outcome = dlcli("compare", run, unigrams, "--plot", "curves.png")
    assert outcome.code == 0, outcome.err
    assert "histories in curves.png" in outcome.out
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")
    again = dlcli("compare", run, unigrams, "--plot", "curves.png")
    assert again.code == 5
    assert "--force" in again.err
    assert dlcli("compare", run, unigrams, "--plot", "curves.png", "--force").code == 0


def test_runs_of_other_labels(dlcli: Command, run: Path, three: Path) -> None:
    outcome = dlcli("compare", run, three)
    assert outcome.code == 3
    assert "different labels" in outcome.err
    assert "only" in outcome.err
    assert "'class_10'" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("", 2, ["RUN... is missing"]),
        ("RUN", 2, ["at least two finished runs, got 1"]),
        ("RUN RUN", 2, ["at least two finished runs, got 1"]),
        ("RUN nowhere", 2, ["nowhere does not exist"]),
        ("RUN OTHER --on nowhere.csv", 2, ["nowhere.csv does not exist"]),
        ("RUN OTHER --plot curves.svg", 2, ["--plot", ".png", "curves.svg"]),
        ("RUN OTHER --bootstrap 3", 2, ["--bootstrap", "at least 100"]),
    ],
)
def test_what_does_not_fit(
    dlcli: Command, run: Path, unigrams: Path, arguments: str, code: int, words: list[str]
) -> None:
    known = {"RUN": run, "OTHER": unigrams}
    outcome = dlcli("compare", *(known.get(word, word) for word in arguments.split()))
    assert (outcome.code, outcome.out) == (code, "")
    assert len(outcome.lines) == 1
    for word in words:
        assert word in outcome.err
