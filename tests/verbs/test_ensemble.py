"""`dlcli ensemble`: one run of several, which every other verb takes for a run like any other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REVIEWS_TEST, Outcome, call

from verbs.helpers import read_csv, record, snapshot

Command = Callable[..., Outcome]

TEXTS = ["It was not good at all.", "", "good " * 90, "日本語 👍"]
TEXTS += [row["text"] for row in read_csv(REVIEWS_TEST)[:40]]


@pytest.fixture(scope="module")
def cnn(small: Path, small_run: Path) -> Path:
    """Return a run beside `small_run`, on the same data, that reads words in their order."""
    path = small.with_name("cnn")
    settings = ("--model", "cnn", "--epochs", "3", "--embedding-dim", "16", "--units", "16")
    outcome = call("train-text", small, *settings, "--out", path)
    assert outcome.code == 0, outcome.err
    return path


@pytest.fixture(scope="module")
def result(small: Path, small_run: Path, cnn: Path) -> dict[str, Any]:
    """Return what `ensemble --json` says of the two."""
    outcome = call("ensemble", small_run, cnn, "--out", small.with_name("both"), "--json")
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


@pytest.fixture
def both(result: dict[str, Any]) -> Path:
    return Path(result["run"])


@pytest.fixture
def edited(cnn: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that copies the CNN and changes its record, as if it were another run."""

    def edit(**changes: dict[str, Any] | list[str] | str) -> Path:
        shutil.copytree(cnn, tmp_path / "edited")
        content = record(cnn)
        for name, change in changes.items():
            content[name] = content[name] | change if isinstance(change, dict) else change
        (tmp_path / "edited" / "run.json").write_text(json.dumps(content))
        return tmp_path / "edited"

    return edit


def validation(run: Path) -> tuple[Any, Any]:
    with np.load(run / "validation.npz") as file:
        return file["labels"], file["outputs"]


def log_loss(labels: Any, outputs: Any) -> float:
    return float(-np.log(outputs[np.arange(len(labels)), labels].astype(np.float64)).mean())


def test_its_probabilities_are_the_formula(small_run: Path, cnn: Path, both: Path, result: dict[str, Any]) -> None:
    from dlcli.serving.predictor import Predictor

    weights = [member["weight"] for member in result["members"]]
    members = [Predictor(run).outputs(TEXTS).astype(np.float64) for run in (small_run, cnn)]
    product = np.prod([outputs**weight for outputs, weight in zip(members, weights, strict=True)], axis=0)
    expected = product / product.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(Predictor(both).outputs(TEXTS), expected, atol=1e-6)


def test_the_weights_are_those_with_the_lowest_log_loss(
    small_run: Path, cnn: Path, both: Path, result: dict[str, Any]
) -> None:
    labels, ours = validation(both)
    losses = [log_loss(labels, validation(run)[1]) for run in (small_run, cnn)]
    assert [member["loss"] for member in result["members"]] == pytest.approx(losses, rel=1e-5)
    assert result["loss"] == pytest.approx(log_loss(labels, ours), rel=1e-5)
    assert result["loss"] < min(losses)
    assert sum(member["weight"] for member in result["members"]) == pytest.approx(1)
    assert (result["weights_from"], result["validation"]) == ("validation", len(labels))


def test_its_validation_outputs_are_its_answers(both: Path) -> None:
    from dlcli.core.progress import Silent
    from dlcli.serving.predictor import Predictor
    from dlcli.text.config import TextDataConfig
    from dlcli.text.corpus import read_corpus

    config = record(both)["config"]
    corpus = read_corpus(
        Path(config["data"]),
        val=None,
        columns=TextDataConfig(**{name: config[name] for name in TextDataConfig.model_fields}),
        val_split=config["val_split"],
        seed=config["seed"],
        skip_bad=False,
        progress=Silent(),
    )
    labels, outputs = validation(both)
    np.testing.assert_array_equal(labels, corpus.validation.labels)
    np.testing.assert_allclose(Predictor(both).outputs(corpus.validation.items), outputs, atol=1e-5)


def test_the_record(small_run: Path, cnn: Path, both: Path, result: dict[str, Any]) -> None:
    found, first, second = record(both), record(small_run), record(cnn)
    assert (found["status"], found["verb"], found["domain"]) == ("finished", "ensemble", "text")
    assert found["config"]["members"] == [str(small_run.resolve()), str(cnn.resolve())]
    assert found["config"]["weights"] == [member["weight"] for member in result["members"]]
    assert found["data"].pop("members") == [first["hashes"]["model.keras"], second["hashes"]["model.keras"]]
    assert found["data"] == first["data"]
    assert found["labels"] == first["labels"]
    assert found["model"]["parameters"] == first["model"]["parameters"] + second["model"]["parameters"]
    assert (
        found["scores"]
        == json.loads((both / "metrics.json").read_text())
        == {
            "accuracy": result["accuracy"],
            "loss": result["loss"],
        }
    )
    assert {"pipeline/1/vocabulary.tsv", "pipeline/2/vocabulary.tsv", "validation.npz"} <= found["hashes"].keys()


def test_another_process_predicts_the_same(both: Path) -> None:
    """What the ensemble is made of is registered by whoever loads it, and not by the verb that made it."""
    arguments = ["predict", both, "--text", "not good at all", "--text", "", "--proba"]
    done = subprocess.run(
        [sys.executable, "-m", "dlcli", *map(str, arguments)], capture_output=True, text=True, env=dict(os.environ)
    )
    assert (done.returncode, done.stderr) == (0, "")
    for theirs, ours in zip(read_csv(done.stdout), read_csv(call(*arguments).out), strict=True):
        assert float(theirs["p(pos)"]) == pytest.approx(float(ours["p(pos)"]), abs=1e-5)


def test_every_other_verb_takes_it(dlcli: Command, small_run: Path, both: Path) -> None:
    found = json.loads(dlcli("export", both, "--out", "served", "--verify", "64", "--json").out)
    assert (found["verified"], found["largest_difference"] <= 1e-5) == (64, True)
    found = json.loads(dlcli("evaluate", both, REVIEWS_TEST, "--bootstrap", "0", "--json").out)
    assert found["n"] == 1000
    assert [baseline["name"] for baseline in found["baselines"]] == ["majority", "tfidf"]
    assert dlcli("evaluate", both, REVIEWS_TEST, "--threshold", "best-f1", "--bootstrap", "0").code == 0
    found = json.loads(dlcli("compare", small_run, both, "--plot", "c.png", "--json").out)
    assert [one["against"] for one in found["paired"]]
    assert found["settings"].keys() == {"members", "weights"}
    assert dlcli("predict", both, "--text", "").code == 0
    outcome = dlcli("inspect", both)
    assert outcome.code == 0
    assert f"{record(both)['config']['weights'][0]:.2f} {small_run.resolve()}, " in outcome.out


def test_given_weights_are_scaled(dlcli: Command, small_run: Path, cnn: Path) -> None:
    first, second = (
        json.loads(dlcli("ensemble", small_run, cnn, "--weights", weights, "--out", weights, "--json").out)
        for weights in ("0.75,0.25", "3,1")
    )
    assert [member["weight"] for member in second["members"]] == [0.75, 0.25]
    assert first["weights_from"] == "given"
    assert first | {"run": ""} == second | {"run": ""}


def test_an_ensemble_of_an_ensemble(dlcli: Command, cnn: Path, both: Path) -> None:
    from dlcli.serving.predictor import Predictor

    assert dlcli("ensemble", both, cnn, "--weights", "1,1", "--out", "o").code == 0
    product = np.prod([Predictor(run).outputs(TEXTS).astype(np.float64) for run in (both, cnn)], axis=0) ** 0.5
    expected = product / product.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(Predictor(Path("o")).outputs(TEXTS), expected, atol=1e-6)


def test_the_text(dlcli: Command, small_run: Path, cnn: Path) -> None:
    outcome = dlcli("ensemble", small_run, cnn, "--weights", "1,0", "--out", "o")
    assert outcome.code == 0
    lines = [line.split() for line in outcome.out.splitlines()]
    assert lines[1][:2] == [str(small_run), "1.00"]
    assert lines[3] == ["ensemble", *lines[1][2:]]
    assert "which picked the best epochs: scores on test data are lower" in outcome.out
    assert outcome.lines[-1].endswith(f"{cnn} has the weight 0: it counts for nothing")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"data": {"fingerprint": "0" * 64}}, "were trained on different data"),
        ({"config": {"seed": 1}}, "validated on different items"),
    ],
)
def test_without_common_validation_items_weights_are_needed(
    dlcli: Command, small_run: Path, edited: Callable[..., Path], changes: dict[str, Any], why: str
) -> None:
    other = edited(**changes)
    outcome = dlcli("ensemble", small_run, other, "--out", "o")
    assert outcome.code == 2
    assert f"{small_run} and {other} {why}" in outcome.err
    assert "--weights, such as 0.5,0.5" in outcome.err
    outcome = dlcli("ensemble", small_run, other, "--weights", "1,1", "--out", "o", "--json")
    assert outcome.code == 0
    assert "the ensemble has no validation scores" in outcome.err
    found = json.loads(outcome.out)
    assert (found["validation"], found["accuracy"], found["members"][0]["loss"]) == (None, None, None)
    assert record(Path("o"))["scores"] == {}
    assert dlcli("inspect", "o").code == 0
    assert "keeps no validation outputs" in dlcli("evaluate", "o", REVIEWS_TEST, "--threshold", "best-f1").err


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"labels": ["bad", "pos"]}, 3, "have different labels: only"),
        ({"model": {"outputs": "scores"}}, 2, "gives scores without bounds, an ensemble needs probabilities"),
        ({"model": {"precision": "bfloat16"}}, 2, "computes in float32, "),
        ({"status": "interrupted"}, 4, "was interrupted"),
        ({"domain": "vision"}, 2, "expected one that classifies texts"),
    ],
)
def test_runs_that_do_not_go_together(
    dlcli: Command,
    small_run: Path,
    edited: Callable[..., Path],
    changes: dict[str, Any],
    code: int,
    text: str,
) -> None:
    outcome = dlcli("ensemble", small_run, edited(**changes), "--out", "o")
    assert (outcome.code, outcome.out, len(outcome.lines)) == (code, "", 1)
    assert text in outcome.err
    assert not Path("o").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ("", 2, "RUN... is missing"),
        ("RUN", 2, "expected at least two finished runs, got 1"),
        ("RUN nowhere", 2, "nowhere does not exist"),
        ("RUN RUN", 2, "is named twice"),
        ("RUN COPY", 2, "is a copy of"),
        ("RUN CNN --weights 1", 2, "--weights: expected one for each of the 2 runs, got 1"),
        ("RUN CNN --weights 0,0", 2, "--weights: expected one above 0"),
        ("RUN CNN --weights=-1,2", 2, "--weights: expected at least 0, got '-1'"),
        ("RUN CNN --weights nan,2", 2, "--weights: expected a finite number"),
        ("RUN CNN --weights a,2", 2, "--weights: expected a valid number"),
        ("RUN CNN --out CNN --force", 2, "is one of the runs"),
        ("RUN CNN --out BOTH", 5, "holds a run already. Choose another --out, or add --force to replace it\n"),
        ("RUN CNN --out full", 5, "no run of ours"),
    ],
)
def test_wrong_arguments(
    dlcli: Command, small_run: Path, cnn: Path, both: Path, arguments: str, code: int, text: str
) -> None:
    shutil.copytree(cnn, "full/cnn")
    known = {"RUN": small_run, "COPY": Path("copy"), "CNN": cnn, "BOTH": both}
    if "COPY" in arguments:
        shutil.copytree(small_run, "copy")
    before = snapshot(small_run.parent)
    outcome = dlcli("ensemble", *(known.get(word, word) for word in arguments.split()))
    assert (outcome.code, outcome.out, len(outcome.lines)) == (code, "", 1)
    assert text in outcome.err
    assert snapshot(small_run.parent) == before


def test_it_is_no_training_to_go_on_with(dlcli: Command, small: Path, both: Path) -> None:
    outcome = dlcli("train-text", "--resume", both)
    assert (outcome.code, "It has no training to go on with" in outcome.err) == (2, True)
    outcome = dlcli("train-text", small, "--from", both, "--out", "o")
    assert (outcome.code, "Start from one of its members" in outcome.err) == (2, True)


@pytest.mark.parametrize("stands", [False, True])
def test_one_that_was_stopped_leaves_what_was_there(
    dlcli: Command, small_run: Path, cnn: Path, both: Path, monkeypatch: pytest.MonkeyPatch, stands: bool
) -> None:
    def stopped(*arguments: object, **settings: object) -> None:
        raise KeyboardInterrupt

    if stands:
        shutil.copytree(both, "o")
    before = snapshot(Path())
    arguments = ("ensemble", small_run, cnn, "--weights", "1,1", "--out", "o", "--force")
    with monkeypatch.context() as patch:
        patch.setattr("dlcli.core.run.Run._write", stopped)
        assert dlcli(*arguments).code == 130
    assert snapshot(Path()) == before
    assert dlcli(*arguments).code == 0
    assert [path.name for path in Path().iterdir() if path.name != "home"] == ["o"]
