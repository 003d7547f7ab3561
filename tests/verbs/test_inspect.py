"""`dlcli inspect`: the record, its history and its evaluations, as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import Outcome

from verbs.helpers import history, record

Command = Callable[..., Outcome]


def test_json_is_the_record(dlcli: Command, run: Path, scores: dict[str, Any]) -> None:
    result = json.loads(dlcli("inspect", run, "--json").out)
    found = record(run)
    for name in ("status", "verb", "model", "labels", "data", "scores", "config", "machine", "seconds"):
        assert result[name] == found[name]
    assert result["history"] == history(run)
    assert scores["accuracy"] in [evaluation["accuracy"] for evaluation in result["evaluations"]]


def test_the_text(dlcli: Command, run: Path, scores: dict[str, Any]) -> None:
    outcome = dlcli("inspect", run)
    found = record(run)
    lines = outcome.out.splitlines()
    assert lines[0] == f"run          {run} (train-text, finished)"
    assert any(line.split() == ["classes", "neg,", "pos"] for line in lines)
    assert f"{found['model']['parameters']:,} parameters" in outcome.out
    assert f"{found['data']['training']:,} to train on" in outcome.out
    best = int(found["scores"]["best_epoch"])
    assert [line.split()[0] for line in lines if " * " in f"{line} "] == [str(best)]
    assert f"{scores['accuracy']:.4f}" in outcome.out
    assert "ngrams 2" in outcome.out


def test_a_run_that_was_stopped(dlcli: Command, stopped: Path) -> None:
    result = json.loads(dlcli("inspect", stopped, "--json").out)
    assert result["status"] == "interrupted"
    assert [epoch["epoch"] for epoch in result["history"]] == [1, 2]
    assert result["scores"] == {}
    assert "(train-text, interrupted)" in dlcli("inspect", stopped).out


def test_a_run_whose_writer_was_killed_counts_as_interrupted(dlcli: Command, stopped: Path) -> None:
    left = record(stopped)
    (stopped / "run.json").write_text(json.dumps(left | {"status": "running"}))
    assert json.loads(dlcli("inspect", stopped, "--json").out)["status"] == "interrupted"
