"""Recipes: the shipped ones are valid; wrong ones are refused before a step runs; right ones run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Outcome
from verbs.helpers import record, snapshot

from dlcli import recipes
from dlcli.errors import UsageError
from dlcli.resources import resource

Command = Callable[..., Outcome]

TWO_STEPS = """
title = "Two steps"
summary = "${train.run}: ${judge.accuracy} on ${judge.n} items, ${data}"

[shared]
data = "tiny.csv"
gate = 0.5

[[steps]]
name = "train"
use = "train-text"
with = { data = "${data}", epochs = 1, out = "o" }

[[steps]]
name = "judge"
use = "evaluate"
with = { run = "${train.run}", data = "${data}", min_accuracy = "${gate}" }

[[steps]]
name = "ask"
use = "predict"
with = { run = "${train.run}", text = ["good film", "bad film"] }
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "two.toml"
    path.write_text(TWO_STEPS)
    return path


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid(path: Path) -> None:
    recipe = recipes.load(path)
    assert recipe.title
    assert recipes.find(path.stem).read_bytes() == path.read_bytes()
    for step in recipe.steps:
        data = step.with_.get("data", "")
        assert not data.startswith("sample_data/") or resource(data).exists()


def test_a_recipe_runs_its_steps_and_fills_its_summary(dlcli: Command, recipe: Path, tiny: Path) -> None:
    outcome = dlcli("run", recipe)
    assert outcome.code == 0, outcome.err
    assert outcome.out == "o: 1.0000 on 40 items, tiny.csv\n"
    assert [line for line in outcome.lines if line.startswith("[")] == [
        "[1/3] train: dlcli train-text",
        "[2/3] judge: dlcli evaluate",
        "[3/3] ask: dlcli predict",
    ]
    assert record(Path("o"))["config"]["epochs"] == 1


def test_the_results_are_by_step(dlcli: Command, recipe: Path, tiny: Path) -> None:
    result = json.loads(dlcli("run", recipe, "--json", "-q").out)
    assert list(result["steps"]) == ["train", "judge", "ask"]
    assert result["steps"]["judge"]["accuracy"] == 1.0
    assert [row["prediction"] for row in result["steps"]["ask"]["predictions"]] == ["pos", "neg"]


def test_a_gate_that_is_not_met_stops_the_recipe(dlcli: Command, recipe: Path, tmp_path: Path) -> None:
    # Labels that follow nothing cannot be learnt.
    rows = [f"same words here {n % 5} {n},{'pos' if n % 7 < 3 else 'neg'}" for n in range(60)]
    (tmp_path / "noise.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    outcome = dlcli("run", recipe, "--set", "data=noise.csv", "--set", "gate=0.99", "--json")
    assert outcome.code == 7
    assert outcome.lines[-1].startswith("dlcli: ")
    assert "expected at least 0.99" in outcome.lines[-1]
    steps = json.loads(outcome.out)["steps"]
    assert list(steps) == ["train", "judge"]
    assert steps["judge"]["gate"] == "not met"


def test_an_error_names_its_step(dlcli: Command, recipe: Path) -> None:
    outcome = dlcli("run", recipe, "--set", "data=nowhere.csv")
    assert outcome.code == 2
    assert outcome.lines[-1] == "dlcli: step 'train': nowhere.csv does not exist"


def test_flags_beat_the_recipe_and_the_recipe_beats_the_defaults(dlcli: Command, recipe: Path, tiny: Path) -> None:
    changes = ["train.epochs=2", "train.class-weight=balanced", "train.lr=0.5", 'train.out="else where"']
    assert dlcli("run", recipe, *(part for change in changes for part in ("--set", change))).code == 0
    config = record(Path("else where"))["config"]
    assert (config["epochs"], config["class_weight"], config["lr"], config["ngrams"]) == (2, "balanced", 0.5, 2)


BAD: list[tuple[str, str, str, list[str]]] = [
    # what is wrong, text of the recipe, its replacement, words of the message
    ("not TOML", 'title = "Two steps"', "title = ", ["two.toml", "TOML"]),
    ("no title", 'title = "Two steps"', "", ["two.toml", "title"]),
    ("unknown key", "summary = ", "sumary = ", ["two.toml", "unknown key 'sumary'", "Did you mean 'summary'?"]),
    ("unknown key of a step", 'use = "predict"\nwith', 'use = "predict"\nwiht', ["wiht", "Did you mean 'with'?"]),
    ("a step without a verb", 'use = "evaluate"\n', "", ["two.toml", "use"]),
    ("unknown verb", '"train-text"', '"trian-text"', ["step 'train'", "'trian-text'", "Did you mean 'train-text'?"]),
    ("unknown setting", "epochs = 1", "epoch = 1", ["step 'train'", "'epoch'", "Did you mean 'epochs'?"]),
    ("unknown reference", 'data = "${data}", ep', 'data = "${dat}", ep', ["step 'train'", "${dat}", "'data'"]),
    ("a later step", 'data = "${data}", ep', 'data = "${judge.n}", ep', ["step 'train'", "${judge.n}"]),
    ("a name twice", 'name = "judge"', 'name = "train"', ["step 'train'", "same name"]),
    ("a name of a shared value", 'name = "ask"', 'name = "data"', ["step 'data'", "same name"]),
    ("a step's own result", '"${train.run}", text', '"${ask.run}", text', ["step 'ask'", "${ask.run}"]),
    ("a name with a dot", 'name = "ask"', 'name = "a.sk"', ["two.toml", "name"]),
    ("an unknown reference in the summary", "${judge.accuracy}", "${jugde.accuracy}", ["${jugde.accuracy}"]),
    ("a bad value", "epochs = 1", "epochs = 0", ["step 'train'", "epochs", "got 0"]),
    ("a bad value of a later step", "text = [", "format = 'xml', text = [", ["step 'ask'", "format", "'xml'"]),
]


@pytest.mark.parametrize(("wrong", "old", "new", "words"), BAD, ids=[bad[0] for bad in BAD])
@pytest.mark.usefixtures("tiny")
def test_a_wrong_recipe_is_refused_before_a_step_runs(
    dlcli: Command, recipe: Path, tmp_path: Path, wrong: str, old: str, new: str, words: list[str]
) -> None:
    assert TWO_STEPS.count(old) == 1
    recipe.write_text(TWO_STEPS.replace(old, new))
    before = snapshot(tmp_path)
    outcome = dlcli("run", "two.toml")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.lines[-1].startswith("dlcli: ")
    for word in words:
        assert word in outcome.lines[-1]
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("train.epoch=2", ["'epoch'", "Did you mean 'epochs'?"]),
        ("trian.epochs=2", ["'trian'", "Did you mean 'train'?"]),
        ("dta=a.csv", ["'dta'", "Did you mean 'data'?"]),
        ("train.epochs", ["step.setting=value", "'train.epochs'"]),
        ("train.epochs=many", ["epochs", "'many'"]),
        ("judge.min_accuracy=2", ["min_accuracy", "got 2"]),
    ],
)
@pytest.mark.usefixtures("tiny")
def test_a_wrong_change_is_refused_before_a_step_runs(
    dlcli: Command, recipe: Path, tmp_path: Path, change: str, words: list[str]
) -> None:
    before = snapshot(tmp_path)
    outcome = dlcli("run", recipe, "--set", change)
    assert outcome.code == 2
    for word in words:
        assert word in outcome.lines[-1]
    assert snapshot(tmp_path) == before


def test_no_recipe(dlcli: Command, tmp_path: Path) -> None:
    (tmp_path / "steps.toml").write_text('title = "nothing"\nsteps = []\n')
    outcome = dlcli("run", "steps.toml")
    assert outcome.code == 2
    assert "steps" in outcome.err


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("${n}", 1234),
        ("${n} items", "1,234 items"),
        ("${x}", 0.123456),
        ("at ${x}", "at 0.1235"),
        (["${n}", {"a": "${s.f}"}], [1234, {"a": "field"}]),
        ("$n ${", "$n ${"),
        (7, 7),
        (True, True),
    ],
)
def test_fill(value: Any, filled: Any) -> None:
    found = recipes.fill(value, {"n": 1234, "x": 0.123456, "s.f": "field"})
    assert found == filled
    assert type(found) is type(filled)


def test_fill_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"\$\{train\.rnu\} is not known here\. Did you mean 'train\.run'\?"):
        recipes.fill("${train.rnu}", {"train.run": "o"})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("x = " + "[" * 100_000, "is not valid TOML"),
        ("x = " + "1" * 5_000, "is not valid TOML"),
        ('title = "t"\n[[steps]]\nname = "s"\nuse = "run"\nwith = {recipe = "r.toml"}', "a recipe runs no recipes"),
        ('title = "t"\nshared.a = "${a}"\n[[steps]]\nname = "s"\nuse = "doctor"', "a shared value refers to ${a}"),
    ],
)
def test_recipes_that_would_never_end_or_be_read(dlcli: Command, content: str, words: str) -> None:
    Path("r.toml").write_text(content)
    for line in (("run", "r.toml"), ("run", "r.toml", "--dry-run")):
        outcome = dlcli(*line)
        assert (outcome.code, outcome.out, len(outcome.lines)) == (2, "", 1)
        assert words in outcome.err


def test_a_byte_order_mark_before_a_recipe(dlcli: Command) -> None:
    Path("r.toml").write_text('\ufefftitle = "t"\n[[steps]]\nname = "s"\nuse = "doctor"\n')
    assert dlcli("run", "r.toml", "--dry-run").code == 0
