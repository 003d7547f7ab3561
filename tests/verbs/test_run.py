"""`dlcli run`: the shipped recipes, by name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from conftest import Outcome

from dlcli import recipes
from verbs.helpers import same_weights

Command = Callable[..., Outcome]


def test_without_a_name_the_recipes_are_listed(dlcli: Command) -> None:
    outcome = dlcli("run")
    assert outcome.code == 0
    assert {line.split()[0] for line in outcome.out.splitlines()} == set(recipes.shipped())
    assert "quickstart" in recipes.shipped()


def test_a_dry_run_shows_the_steps_and_runs_none(dlcli: Command, tmp_path: Path) -> None:
    outcome = dlcli("run", "quickstart", "--dry-run")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "dlcli train-text sample_data/reviews.csv --ngrams 2 --out runs/quickstart --force",
        "dlcli evaluate ${train.run} sample_data/reviews-test.csv",
        "dlcli predict ${train.run} --text 'not good at all' --text 'not bad at all, I would watch it again'",
        "dlcli export ${train.run} --format savedmodel --verify 64",
    ]
    assert list(tmp_path.iterdir()) == []


def test_quickstart(dlcli: Command, run: Path) -> None:
    outcome = dlcli("run", "quickstart", "--set", "run=runs/mine", "--set", "ship.verify=8")
    assert outcome.code == 0, outcome.err
    assert [line for line in outcome.lines if line.startswith("[")] == [
        "[1/4] train: dlcli train-text",
        "[2/4] judge: dlcli evaluate",
        "[3/4] ask: dlcli predict",
        "[4/4] ship: dlcli export",
    ]
    # A step is what the verb alone would be.
    assert same_weights(Path("runs/mine"), run)
    assert Path("runs/mine/exports/savedmodel/saved_model.pb").is_file()
    # It ends with scores, answers, and what to type next.
    (evaluation,) = Path("runs/mine/evaluations").glob("*.json")
    accuracy = json.loads(evaluation.read_text())["accuracy"]
    assert 0.90 <= accuracy <= 0.965
    assert re.search(rf"^accuracy +{accuracy:.4f} ", outcome.out, re.MULTILINE)
    assert re.search(r"^not good at all +neg +0\.", outcome.out, re.MULTILINE)
    assert re.search(r"^not bad at all.* pos +0\.", outcome.out, re.MULTILINE)
    assert "8 texts answered as by the run" in outcome.out
    assert "dlcli inspect runs/mine" in outcome.out
    assert "${" not in outcome.out
