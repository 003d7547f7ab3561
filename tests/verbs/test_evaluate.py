"""`dlcli evaluate`: its scores are scikit-learn's on what `predict` answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REVIEWS_TEST, Outcome
from sklearn import metrics

from dlcli.core.dataset import fingerprint
from verbs.helpers import read_csv, record, write_csv, write_folder

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
        assert {name: found[name] for name in ("label", "precision", "recall", "f1", "n")} == {
            "label": names[number],
            "precision": pytest.approx(precision[number]),
            "recall": pytest.approx(recall[number]),
            "f1": pytest.approx(f1[number]),
            "n": n[number],
        }
    binary = np.array([label == "pos" for label in true])
    expected = {
        "auc": metrics.roc_auc_score(binary, probabilities[:, 1]),
        "average_precision": metrics.average_precision_score(binary, probabilities[:, 1]),
        "brier": metrics.brier_score_loss(binary, probabilities[:, 1]),
        "balanced_accuracy": metrics.balanced_accuracy_score(true, predicted),
        "f1_weighted": metrics.f1_score(true, predicted, average="weighted"),
    }
    assert {name: scores["metrics"][name]["value"] for name in expected} == pytest.approx(expected, abs=1e-5)
    assert scores["metrics"]["accuracy"]["value"] == scores["accuracy"]


def test_every_score_has_an_interval_about_it(scores: dict[str, Any]) -> None:
    for name, score in scores["metrics"].items():
        if name.startswith("top_"):
            assert score["value"] is None
            assert "there are 2 classes" in score["undefined"]
        else:
            assert score["low"] < score["value"] < score["high"], name


def test_the_baselines_stand_beside_it(scores: dict[str, Any]) -> None:
    majority, tfidf = scores["baselines"]
    assert (majority["name"], tfidf["name"]) == ("majority", "tfidf")
    assert majority["metrics"]["accuracy"]["value"] == scores["classes"][1]["n"] / 1000
    # Word order matters in these reviews: pairs of words help, and the run is better still.
    assert 0.85 < tfidf["metrics"]["accuracy"]["value"] < scores["accuracy"]
    verdict = scores["verdict"]
    assert verdict["against"] == "tfidf"
    assert verdict["difference"] == pytest.approx(scores["accuracy"] - tfidf["metrics"]["accuracy"]["value"])
    assert verdict["text"].startswith("better than the TF-IDF logistic regression by ")
    assert verdict["significant"]


def test_the_text_shows_the_scores(dlcli: Command, run: Path, scores: dict[str, Any]) -> None:
    text = dlcli("evaluate", run, REVIEWS_TEST).out
    lines = [line.split() for line in text.splitlines()]
    accuracy = scores["metrics"]["accuracy"]
    others = [f"{baseline['metrics']['accuracy']['value']:.4f}" for baseline in scores["baselines"]]
    shown = [f"{accuracy['value']:.4f}", f"{accuracy['low']:.4f}", "to", f"{accuracy['high']:.4f}", *others]
    assert lines[0] == ["items", "1,000"]
    assert ["accuracy", *shown] in lines
    assert ["neg", *map(str, scores["confusion"][0])] in lines
    assert scores["verdict"]["text"].split() in lines
    assert max(map(len, text.splitlines())) <= 100


def test_without_intervals_and_baselines(dlcli: Command, run: Path, scores: dict[str, Any]) -> None:
    plain = dlcli("evaluate", run, REVIEWS_TEST, "--bootstrap", "0", "--no-baselines")
    assert f"accuracy           {scores['accuracy']:.4f}\n" in plain.out
    assert "interval" not in plain.out
    assert "TF-IDF" not in plain.out
    found = json.loads(dlcli("evaluate", run, REVIEWS_TEST, "--bootstrap", "0", "--no-baselines", "--json").out)
    assert (found["baselines"], found["verdict"]) == ([], None)
    assert {score["low"] for score in found["metrics"].values()} == {None}


def test_the_scores_are_kept_in_the_run(dlcli: Command, small_run: Path) -> None:
    shutil.copytree(small_run, "run")
    shutil.rmtree("run/evaluations", ignore_errors=True)
    found = json.loads(dlcli("evaluate", "run", REVIEWS_TEST, "--no-baselines", "--json").out)
    (file,) = Path("run/evaluations").iterdir()
    kept = json.loads(file.read_text())
    texts = read_csv(REVIEWS_TEST)
    assert kept.pop("fingerprint") == fingerprint([row["text"] for row in texts], [row["label"] for row in texts])
    assert kept == found


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


# Gates.


def test_all_gates_are_listed_and_the_unmet_ones_named_on_one_line(dlcli: Command, run: Path) -> None:
    bounds = ["--min", "f1=0.5", "--min", "accuracy=0.999", "--max", "ece=0.000001", "--max", "loss=9"]
    outcome = dlcli("evaluate", run, REVIEWS_TEST, "--no-baselines", "--min-accuracy", "0.6", *bounds)
    assert outcome.code == 7
    gates = [line for line in outcome.out.splitlines() if line.startswith("gate: ")]
    assert [": met (" in line for line in gates] == [True, True, False, False, True]
    assert gates[0].startswith("gate: accuracy at least 0.6: met (0.9")
    (line,) = outcome.lines
    assert line.startswith("dlcli: accuracy is 0.9")
    assert "expected at least 0.999; ece is 0." in line
    assert "f1_macro" not in line


def test_the_bound_is_held_against_a_gate_where_asked(dlcli: Command, run: Path, scores: dict[str, Any]) -> None:
    accuracy = scores["metrics"]["accuracy"]
    wanted = f"accuracy={(accuracy['low'] + accuracy['value']) / 2}"
    assert dlcli("evaluate", run, REVIEWS_TEST, "--no-baselines", "--min", wanted).code == 0
    outcome = dlcli("evaluate", run, REVIEWS_TEST, "--no-baselines", "--min", wanted, "--gate", "lower")
    assert outcome.code == 7
    assert f"the lower bound of accuracy is {accuracy['low']:.4f}, expected at least" in outcome.err


def test_better_than_another_run(dlcli: Command, run: Path, small_run: Path) -> None:
    flags = ("--no-baselines", "--json", "--gate", "lower")
    better = dlcli("evaluate", run, REVIEWS_TEST, "--better-than", small_run, *flags)
    assert better.code == 0
    found = json.loads(better.out)
    assert found["better_than"]["low"] > 0
    assert found["gates"][0]["met"]
    other = json.loads(dlcli("evaluate", small_run, REVIEWS_TEST, "--no-baselines", "--json").out)
    assert found["better_than"]["difference"] == pytest.approx(found["accuracy"] - other["accuracy"])
    for flags in (("--gate", "point"), ("--gate", "lower")):
        worse = dlcli("evaluate", small_run, REVIEWS_TEST, "--no-baselines", "--better-than", run, *flags)
        assert worse.code == 7
        assert f"not better than {run} (-" in worse.err
        # No run is better than itself.
        assert dlcli("evaluate", run, REVIEWS_TEST, "--no-baselines", "--better-than", run, *flags).code == 7


def test_a_score_that_is_undefined_meets_no_gate(dlcli: Command, run: Path, one_class: Path) -> None:
    outcome = dlcli("evaluate", run, one_class, "--min", "auc=0.1")
    assert outcome.code == 7
    assert "undefined: auc, average_precision (all items are of one class)" in outcome.out
    assert "no items of 'neg'" in outcome.out
    assert outcome.lines[-1] == "dlcli: auc is undefined, expected at least 0.1 (all items are of one class)"


def test_one_item(dlcli: Command, run: Path, one_class: Path) -> None:
    rows = read_csv(one_class)[:1]
    result = dlcli("evaluate", run, write_csv(one_class.with_name("one.csv"), rows), "--json")
    found = json.loads(result.out)
    accuracy = found["metrics"]["accuracy"]
    assert (found["n"], accuracy["value"] in (0, 1)) == (1, True)
    # Nothing is certain after one item.
    assert accuracy["high"] - accuracy["low"] > 0.7
    assert found["metrics"]["log_loss"]["low"] is None


@pytest.fixture
def one_class(tmp_path: Path) -> Path:
    rows = [row for row in read_csv(REVIEWS_TEST) if row["label"] == "pos"][:60]
    return write_csv(tmp_path / "pos.csv", rows)


# Thresholds.


def test_a_threshold_takes_the_second_class_at_or_over_it(
    dlcli: Command, run: Path, scores: dict[str, Any], predictions: Rows
) -> None:
    found = json.loads(dlcli("evaluate", run, REVIEWS_TEST, "--threshold", "0.8", "--no-baselines", "--json").out)
    taken = ["pos" if float(row["p(pos)"]) >= 0.8 else "neg" for row in predictions]
    true = [row["label"] for row in predictions]
    assert found["confusion"] == metrics.confusion_matrix(true, taken, labels=["neg", "pos"]).tolist()
    assert found["accuracy"] == metrics.accuracy_score(true, taken)
    for name in ("auc", "average_precision", "log_loss", "brier", "ece"):
        assert found["metrics"][name] == scores["metrics"][name]


def test_the_best_threshold_is_that_of_the_validation_data(dlcli: Command, run: Path) -> None:
    outcome = dlcli("evaluate", run, REVIEWS_TEST, "--threshold", "best-f1", "--no-baselines", "--json")
    threshold = json.loads(outcome.out)["threshold"]
    with np.load(run / "validation.npz") as file:
        labels, second = file["labels"], file["outputs"][:, 1]
    best = max(metrics.f1_score(labels, second >= value, average="macro") for value in second)
    assert metrics.f1_score(labels, second >= threshold["value"], average="macro") == pytest.approx(best)
    assert threshold["class"] == "pos"
    assert f"on the run's {len(labels)} validation items" in threshold["source"]
    assert "threshold  0." in dlcli("evaluate", run, REVIEWS_TEST, "--threshold", "best-f1", "--no-baselines").out


# Slices and rows.


@pytest.fixture
def by_country(tmp_path: Path) -> Path:
    rows = read_csv(REVIEWS_TEST)[:300]
    return write_csv(tmp_path / "c.csv", [{**row, "country": ["de", "fr", ""][n % 3]} for n, row in enumerate(rows)])


def test_slices(dlcli: Command, run: Path, by_country: Path, predictions: Rows) -> None:
    outcome = dlcli("evaluate", run, by_country, "--slice", "country", "--slice", "label", "--no-baselines", "--json")
    found = json.loads(outcome.out)["slices"]
    assert [(row["value"], row["n"]) for row in found["country"]] == [("de", 100), ("fr", 100), ("(empty)", 100)]
    right = [row["label"] == row["prediction"] for row in predictions[:300]]
    for number, row in enumerate(found["country"]):
        assert row["accuracy"]["value"] == pytest.approx(sum(right[number::3]) / 100)
        assert row["accuracy"]["low"] < row["accuracy"]["value"] < row["accuracy"]["high"]
    assert [row["value"] for row in found["label"]] == ["pos", "neg"] or len(found["label"]) == 2
    text = dlcli("evaluate", run, by_country, "--slice", "country", "--no-baselines").out
    assert any(line.split()[:2] == ["(empty)", "100"] for line in text.splitlines())


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_predictions_row_by_row(
    dlcli: Command, run: Path, by_country: Path, tmp_path: Path, predictions: Rows, form: str
) -> None:
    flags = ("--no-baselines", "--bootstrap", "0", "--save-predictions", f"p.{form}")
    outcome = dlcli("evaluate", run, by_country, *flags)
    assert "300 predictions in p." in outcome.out
    text = Path(f"p.{form}").read_text(encoding="utf-8")
    rows = read_csv(text) if form == "csv" else [json.loads(line) for line in text.splitlines()]
    assert list(rows[0]) == ["text", "label", "country", "prediction", "probability", "p(neg)", "p(pos)"]
    for row, expected, given in zip(rows, predictions, read_csv(by_country), strict=False):
        assert {name: row[name] for name in given} == given
        assert {name: str(row[name]) for name in ("prediction", "probability", "p(pos)")} == {
            name: expected[name] for name in ("prediction", "probability", "p(pos)")
        }
    assert len(rows) == 300
    # It is there now.
    again = dlcli("evaluate", run, by_country, *flags)
    assert again.code == 5
    assert "exists already" in again.err
    assert dlcli("evaluate", run, by_country, *flags, "--threshold", "1", "--force").code == 0
    assert "pos" not in {row["prediction"] for row in read_csv(Path("p.csv"))} if form == "csv" else True


def test_predictions_of_a_folder_name_its_files(dlcli: Command, run: Path) -> None:
    write_folder(Path("f"), read_csv(REVIEWS_TEST)[:10])
    flags = ("--no-baselines", "--save-predictions", "p.csv")
    assert dlcli("evaluate", run, "f", *flags).code == 0
    rows = read_csv(Path("p.csv"))
    assert list(rows[0])[:3] == ["file", "label", "prediction"]
    assert {Path(row["file"]).parent.name for row in rows} == {"neg", "pos"}


def test_what_is_interrupted_leaves_no_rows(
    dlcli: Command, run: Path, by_country: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(self: object, texts: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dlcli.results.answers.Answerer.__call__", stopped)
    before = sorted(Path().iterdir())
    outcome = dlcli("evaluate", run, by_country, "--no-baselines", "--save-predictions", "p.csv")
    assert (outcome.code, outcome.out, outcome.lines[-1]) == (130, "", "dlcli: interrupted")
    assert sorted(Path().iterdir()) == before


def test_memory_holds_a_chunk_of_texts(
    dlcli: Command, run: Path, scores: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.results.answers.CHUNK", 64)
    found = json.loads(dlcli("evaluate", run, REVIEWS_TEST, "--json").out)
    assert found["confusion"] == scores["confusion"]
    assert found["loss"] == pytest.approx(scores["loss"], abs=1e-6)
    assert found["verdict"]["difference"] == scores["verdict"]["difference"]


# Runs that give scores, many classes, what does not fit.


@pytest.fixture
def scoring(small_run: Path, tmp_path: Path) -> Path:
    """Return a run whose outputs count as scores, as those of a hinge loss do."""
    path = tmp_path / "scoring"
    shutil.copytree(small_run, path)
    content = record(path)
    content["model"]["outputs"] = "scores"
    (path / "run.json").write_text(json.dumps(content))
    return path


def test_scores_that_are_no_probabilities(dlcli: Command, scoring: Path, small_run: Path) -> None:
    found = json.loads(dlcli("evaluate", scoring, REVIEWS_TEST, "--json").out)
    assert found["loss"] is None
    assert found["metrics"]["auc"]["undefined"] == "the run gives scores, not probabilities"
    assert found["calibration"] == []
    plain = json.loads(dlcli("evaluate", small_run, REVIEWS_TEST, "--json").out)
    assert found["accuracy"] == plain["accuracy"]
    text = dlcli("evaluate", scoring, REVIEWS_TEST).out
    assert "undefined: auc, average_precision, log_loss, brier, ece (the run gives scores" in text
    assert dlcli("inspect", scoring).code == 0
    for flags, words in (
        ("--min auc=0.5", "a gate on auc needs probabilities"),
        ("--threshold 0.5", "--threshold needs probabilities"),
    ):
        outcome = dlcli("evaluate", scoring, REVIEWS_TEST, *flags.split())
        assert outcome.code == 2
        assert words in outcome.err
    assert dlcli("evaluate", scoring, REVIEWS_TEST, "--no-baselines", "--save-predictions", "p.csv").code == 0
    assert list(read_csv(Path("p.csv"))[0]) == ["text", "label", "prediction", "score", "score(neg)", "score(pos)"]


def test_other_verbs_say_scores_too(dlcli: Command, scoring: Path) -> None:
    rows = read_csv(dlcli("predict", scoring, "--text", "good", "--proba").out)
    assert list(rows[0]) == ["text", "prediction", "score", "score(neg)", "score(pos)"]
    json_rows = json.loads(dlcli("predict", scoring, "--text", "good", "--json").out)["predictions"]
    assert list(json_rows[0]) == ["text", "prediction", "score"]
    assert dlcli("predict", scoring, "--text", "good", "--out", "p.csv").code == 0
    outcome = dlcli("export", scoring, "--out", "served", "--verify", "8", "--json")
    assert outcome.code == 0, outcome.err
    import tensorflow as tf

    signature = tf.saved_model.load("served").signatures["serving_default"]
    assert set(signature(text=tf.constant(["good"]))) == {"label", "scores", "class_names"}


def test_three_classes(dlcli: Command, three: Path) -> None:
    words = {"class_2": "rain and wind", "class_10": "bread and soup", "class_1": "goal and match"}
    rows = [{"text": f"{words[name]} {n}", "label": name} for n in range(10) for name in words]
    path = write_csv(Path("t.csv"), rows)
    found = json.loads(dlcli("evaluate", three, path, "--json").out)
    assert found["metrics"]["top_2_accuracy"]["value"] == 1
    assert found["metrics"]["top_3_accuracy"]["value"] is None
    assert found["metrics"]["auc"]["value"] == 1
    # All are right: Wilson's interval, where resampling shows no spread.
    assert found["metrics"]["accuracy"]["low"] == pytest.approx(30 / (30 + 1.96**2), abs=1e-3)
    assert "top_2_accuracy" in dlcli("evaluate", three, path).out
    outcome = dlcli("evaluate", three, path, "--threshold", "0.5")
    assert outcome.code == 2
    assert "--threshold is for two classes" in outcome.err


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        ("--min acuracy=0.9", 2, ["--min", "'acuracy'", "Did you mean 'accuracy'?"]),
        ("--max ece", 2, ["--max: expected NAME=VALUE", "'ece'"]),
        ("--threshold 1.5", 2, ["--threshold", "from 0 to 1", "1.5"]),
        ("--threshold best", 2, ["--threshold", "best-f1", "'best'"]),
        ("--bootstrap 5", 2, ["--bootstrap", "at least 100"]),
        ("--gate lower --bootstrap 0", 2, ["--gate lower needs intervals"]),
        ("--slice contry", 3, ["no column 'contry'", "text, label", "country", "Did you mean 'country'?"]),
        ("--save-predictions p.txt", 2, [".csv", ".jsonl", "p.txt"]),
        ("--better-than nowhere", 2, ["nowhere does not exist"]),
    ],
)
def test_what_does_not_fit(
    dlcli: Command, run: Path, by_country: Path, flags: str, code: int, words: list[str]
) -> None:
    outcome = dlcli("evaluate", run, by_country, *flags.split())
    assert (outcome.code, outcome.out, len(outcome.lines)) == (code, "", 1)
    for word in words:
        assert word in outcome.err


def test_slices_of_a_folder_and_answers_that_are_there_already(dlcli: Command, run: Path, three: Path) -> None:
    write_folder(Path("f"), read_csv(REVIEWS_TEST)[:10])
    outcome = dlcli("evaluate", run, "f", "--slice", "country")
    assert outcome.code == 2
    assert "--slice needs a table" in outcome.err
    path = write_csv(Path("a.csv"), [{"text": "good", "label": "pos", "prediction": "?"}])
    outcome = dlcli("evaluate", run, path, "--save-predictions", "p.csv")
    assert outcome.code == 3
    assert "has a column 'prediction' already" in outcome.err
    outcome = dlcli("evaluate", run, REVIEWS_TEST, "--better-than", three)
    assert outcome.code == 3
    assert "different labels" in outcome.err
    assert "'class_1'" in outcome.err


def test_a_run_that_cannot_be_written_is_evaluated(dlcli: Command, small_run: Path) -> None:
    shutil.copytree(small_run, "run")
    for name in ("evaluations", "baselines"):
        shutil.rmtree(f"run/{name}", ignore_errors=True)
        Path(f"run/{name}").write_text("in the way")
    outcome = dlcli("evaluate", "run", REVIEWS_TEST)
    assert outcome.code == 0
    assert "the scores are not kept in the run" in outcome.err
    assert "the TF-IDF logistic regression is not kept in the run" in outcome.out
