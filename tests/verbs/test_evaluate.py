"""`dlcli evaluate`: its scores are scikit-learn's on what `predict` answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REVIEWS_TEST, Outcome
from sklearn import metrics

from verbs.helpers import read_csv, write_csv

Command = Callable[..., Outcome]
Rows = list[dict[str, str]]


def test_accuracy_on_reviews_that_the_run_has_not_seen(scores: dict[str, Any]) -> None:
    assert scores["n"] == 1000
    # About 4 % of the labels are wrong on purpose: no honest score is higher.
    assert 0.90 <= scores["accuracy"] <= 0.965


def test_the_scores_are_those_of_the_predictions(scores: dict[str, Any], predictions: Rows) -> None:
    names = ["neg", "pos"]
    true, predicted = [row["label"] for row in predictions], [row["prediction"] for row in predictions]
    precision, recall, f1, n = metrics.precision_recall_fscore_support(true, predicted, labels=names)
    probabilities = np.array([[float(row[f"p({name})"]) for name in names] for row in predictions])
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    assert scores["accuracy"] == metrics.accuracy_score(true, predicted)
    assert scores["f1_macro"] == pytest.approx(metrics.f1_score(true, predicted, average="macro"))
    assert scores["loss"] == pytest.approx(metrics.log_loss(true, probabilities, labels=names), abs=1e-5)
    assert scores["confusion"] == metrics.confusion_matrix(true, predicted, labels=names).tolist()
    for number, found in enumerate(scores["classes"]):
        assert found == {
            "label": names[number],
            "precision": pytest.approx(precision[number]),
            "recall": pytest.approx(recall[number]),
            "f1": pytest.approx(f1[number]),
            "n": n[number],
        }


def test_the_text_shows_the_scores(dlcli: Command, run: Path, scores: dict[str, Any]) -> None:
    lines = dlcli("evaluate", run, REVIEWS_TEST).out.splitlines()
    assert lines[0].split() == ["accuracy", f"{scores['accuracy']:.4f}"]
    assert ["neg", *map(str, scores["confusion"][0])] in [line.split() for line in lines]


def test_the_scores_are_kept_in_the_run(run: Path, scores: dict[str, Any]) -> None:
    (kept,) = (
        content
        for file in (run / "evaluations").glob("reviews-test-*.json")
        if (content := json.loads(file.read_text()))["n"] == 1000 and "gate" not in content
    )
    assert kept.pop("fingerprint")
    assert {**kept, "run": scores["run"]} == scores


@pytest.mark.parametrize(("wanted", "code", "gate"), [("0.5", 0, "met"), ("0.999", 7, "not met")])
def test_a_gate(dlcli: Command, small_run: Path, wanted: str, code: int, gate: str) -> None:
    outcome = dlcli("evaluate", small_run, REVIEWS_TEST, "--min-accuracy", wanted, "--json")
    assert outcome.code == code
    # The result is there also when the gate is not met.
    result = json.loads(outcome.out)
    assert (result["gate"], result["min_accuracy"]) == (gate, float(wanted))
    if code:
        assert outcome.lines[-1] == f"dlcli: accuracy is {result['accuracy']:.4f}, expected at least {wanted}"


def test_a_gate_is_met_by_the_very_score(dlcli: Command, run: Path, scores: dict[str, Any]) -> None:
    assert dlcli("evaluate", run, REVIEWS_TEST, "--min-accuracy", scores["accuracy"]).code == 0


def test_blank_texts_are_scored_and_counted(dlcli: Command, small_run: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [{"text": t, "label": "pos"} for t in ("good", " ", "")])
    outcome = dlcli("evaluate", small_run, path, "--json")
    result = json.loads(outcome.out)
    assert (result["n"], result["blank"]) == (3, 2)
    assert "2 blank texts" in outcome.err


def test_a_class_without_items(dlcli: Command, small_run: Path, tmp_path: Path) -> None:
    rows = [row for row in read_csv(REVIEWS_TEST) if row["label"] == "pos"][:50]
    result = json.loads(dlcli("evaluate", small_run, write_csv(tmp_path / "a.csv", rows), "--json").out)
    assert [c["n"] for c in result["classes"]] == [0, 50]
    assert result["confusion"][0] == [0, 0]
    assert result["accuracy"] == result["confusion"][1][1] / 50


def test_the_order_of_the_rows_does_not_matter(dlcli: Command, small_run: Path, tmp_path: Path) -> None:
    rows = read_csv(REVIEWS_TEST)
    turned = write_csv(tmp_path / "a.csv", rows[::-1])
    results = [json.loads(dlcli("evaluate", small_run, path, "--json").out) for path in (REVIEWS_TEST, turned)]
    assert results[0]["confusion"] == results[1]["confusion"]
    assert results[0]["loss"] == pytest.approx(results[1]["loss"], abs=1e-7)
