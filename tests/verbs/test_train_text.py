"""`dlcli train-text`: what a training leaves, and that it is a function of data, settings and seed."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import REVIEWS, ROOT, Outcome

from verbs.helpers import (
    history,
    read_csv,
    record,
    same_weights,
    snapshot,
    weights,
    without_times,
    write_csv,
    write_folder,
)

Command = Callable[..., Outcome]
Rows = list[dict[str, str]]


def train(dlcli: Command, data: Path, out: str, *flags: str) -> Path:
    """Train two epochs; return the run."""
    outcome = dlcli("train-text", data, "--epochs", "2", "--out", out, *flags)
    assert outcome.code == 0, outcome.err
    return Path(out)


# What a run holds.


def test_the_run_directory(run: Path) -> None:
    assert {name for name in snapshot(run) if not name.startswith(("evaluations/", "baselines/", ".lock"))} == {
        "run.json",
        "model.keras",
        "pipeline/pipeline.json",
        "pipeline/vocabulary.tsv",
        "history.jsonl",
        "metrics.json",
        "validation.npz",
        "log.txt",
        *(f"plots/{name}.png" for name in ("learning-curves", "learning-rate", "norms")),
    }


def test_the_record(run: Path) -> None:
    found = record(run)
    assert (found["schema"], found["status"], found["verb"], found["domain"]) == (1, "finished", "train-text", "text")
    assert found["labels"] == ["neg", "pos"]
    assert found["data"]["training"] + found["data"]["validation"] == len(read_csv(REVIEWS))
    assert found["seed"] == found["config"]["seed"] == 0
    assert found["config"]["data"] == str(REVIEWS)
    assert found["config"]["ngrams"] == 2
    assert found["config"]["features"] == "binary"
    assert not {"out", "force", "resume", "dry_run"} & found["config"].keys()
    assert {"dlcli", "python", "tensorflow", "keras", "numpy"} <= found["machine"]["versions"].keys()
    assert found["machine"]["threads"] >= 1
    assert found["started"] <= found["finished"]
    assert found["seconds"] > 0


def test_the_hashes_are_those_of_the_files(run: Path) -> None:
    hashes = record(run)["hashes"]
    assert set(hashes) == {
        "model.keras",
        "pipeline/pipeline.json",
        "pipeline/vocabulary.tsv",
        "history.jsonl",
        "metrics.json",
        "validation.npz",
    }
    for name, value in hashes.items():
        assert hashlib.sha256((run / name).read_bytes()).hexdigest() == value


def test_the_scores_are_those_of_the_best_epoch(run: Path) -> None:
    scores = json.loads((run / "metrics.json").read_text())
    epochs = history(run)
    best = max(epochs, key=lambda epoch: (epoch["val_accuracy"], -epoch["val_loss"]))
    assert scores == {
        "accuracy": best["val_accuracy"],
        "loss": best["val_loss"],
        "best_epoch": best["epoch"],
        "epochs": len(epochs),
    }
    assert record(run)["scores"] == scores
    # About 4 % of the labels are wrong on purpose.
    assert 0.90 <= scores["accuracy"] <= 0.98
    assert [epoch["epoch"] for epoch in epochs] == list(range(1, len(epochs) + 1))
    assert epochs[-1]["loss"] < epochs[0]["loss"]


def test_the_result_is_what_the_run_says(dlcli: Command, tiny: Path) -> None:
    result = json.loads(dlcli("train-text", tiny, "--out", "o", "--json").out)
    found, scores = record(Path("o")), json.loads(Path("o/metrics.json").read_text())
    assert result["run"] == "o"
    assert result["items"] == {"training": 36, "validation": 4}
    assert result["labels"] == ["neg", "pos"]
    assert {name: result[name] for name in scores} == scores
    assert result["parameters"] == found["model"]["parameters"] == sum(w.size for w in weights(Path("o")))


def test_the_vocabulary_counts_the_training_texts(dlcli: Command, tmp_path: Path) -> None:
    data = [{"text": f"x{n} good film", "label": "pos"} for n in range(6)]
    data += [{"text": f"y{n} bad film", "label": "neg"} for n in range(6)]
    train(dlcli, write_csv(tmp_path / "a.csv", data), "o", "--val-split", "2", "--min-count", "2")
    lines = Path("o/pipeline/vocabulary.tsv").read_text().splitlines()
    assert {tuple(line.split("\t")) for line in lines} == {
        ("term", "count", "texts"),
        ("film", "10", "10"),
        ("good", "5", "5"),
        ("bad", "5", "5"),
        ("good film", "5", "5"),
        ("bad film", "5", "5"),
    }
    assert lines[:2] == ["term\tcount\ttexts", "film\t10\t10"]


def test_max_features_keeps_the_most_frequent(dlcli: Command, small: Path, small_run: Path) -> None:
    train(dlcli, small, "o", "--max-features", "50")
    kept = Path("o/pipeline/vocabulary.tsv").read_text().splitlines()
    assert len(kept) == 1 + 50
    assert kept == (small_run / "pipeline/vocabulary.tsv").read_text().splitlines()[: 1 + 50]


def test_without_out_the_run_is_below_runs(dlcli: Command, tiny: Path) -> None:
    result = json.loads(dlcli("train-text", tiny, "--epochs", "1", "--json").out)
    assert re.fullmatch(r"runs/train-text-\d{8}-[0-9a-f]{4}", result["run"])
    assert record(Path(result["run"]))["status"] == "finished"


def test_a_dry_run_counts_and_writes_nothing(dlcli: Command, small: Path, small_run: Path, tmp_path: Path) -> None:
    outcome = dlcli("train-text", small, "--dry-run", "--out", "o", "--json")
    assert outcome.code == 0
    result, real = json.loads(outcome.out), record(small_run)
    assert result["run"] is None
    assert result["items"] == {part: real["data"][part] for part in ("training", "validation")}
    assert result["parameters"] == real["model"]["parameters"]
    assert result["labels"] == ["neg", "pos"]
    assert list(tmp_path.iterdir()) == []


def test_sample_data_is_found_from_anywhere(dlcli: Command) -> None:
    outcome = dlcli("train-text", "sample_data/reviews.csv", "--dry-run", "--json")
    assert outcome.code == 0
    assert sum(json.loads(outcome.out)["items"].values()) == len(read_csv(ROOT / "sample_data" / "reviews.csv"))


# The same data, the same model.


def test_the_same_seed_gives_the_same_weights(dlcli: Command, small: Path, small_run: Path) -> None:
    again = train(dlcli, small, "again")
    assert same_weights(small_run, again)
    assert without_times(again) == without_times(small_run)
    assert record(again)["data"] == record(small_run)["data"]


def test_another_seed_gives_another_split(dlcli: Command, small: Path, small_run: Path) -> None:
    other = train(dlcli, small, "other", "--seed", "1")
    # The vocabulary is that of the training part alone.
    assert (other / "pipeline/vocabulary.tsv").read_bytes() != (small_run / "pipeline/vocabulary.tsv").read_bytes()
    assert record(other)["data"]["training"] == record(small_run)["data"]["training"]


@pytest.mark.parametrize("kind", ["tsv", "jsonl"])
def test_other_tables_give_the_model_of_the_csv(
    dlcli: Command, tmp_path: Path, rows: Rows, small_run: Path, kind: str
) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "tsv":
        write_csv(path, rows, separator="\t")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    other = train(dlcli, path, "o")
    assert record(other)["data"] == record(small_run)["data"]
    assert same_weights(other, small_run)


def test_other_columns_give_the_model_of_the_csv(
    dlcli: Command, tmp_path: Path, rows: Rows, small: Path, small_run: Path
) -> None:
    renamed = [{"id": str(n), "stars": row["label"], "review": row["text"]} for n, row in enumerate(rows)]
    path = write_csv(tmp_path / "a.csv", renamed)
    other = train(dlcli, path, "o", "--text-column", "review", "--label-column", "stars")
    assert same_weights(other, small_run)
    # The run remembers its columns.
    scores = [json.loads(dlcli("evaluate", r, d, "--json").out) for r, d in ((other, path), (small_run, small))]
    assert scores[0]["loss"] == scores[1]["loss"]


def test_imdb_layout(dlcli: Command, tmp_path: Path, rows: Rows) -> None:
    root = tmp_path / "aclImdb"
    write_folder(root / "train", rows[:200])
    write_folder(root / "test", rows[200:])
    write_folder(root / "train", [{"text": "nobody knows", "label": "unsup"}] * 3)
    (root / "README").write_text("Large Movie Review Dataset")
    run = train(dlcli, root, "o")
    found = record(run)
    assert found["labels"] == ["neg", "pos"]
    assert found["data"]["training"] + found["data"]["validation"] == 200
    result = json.loads(dlcli("evaluate", run, root, "--json").out)
    assert result["n"] == 100
    counts = Counter(row["label"] for row in rows[200:])
    assert {c["label"]: c["n"] for c in result["classes"]} == dict(counts)
    assert result["accuracy"] > 0.7


def test_a_folder_with_val_inside(dlcli: Command, tmp_path: Path, rows: Rows) -> None:
    write_folder(tmp_path / "data/train", rows[:200])
    write_folder(tmp_path / "data/val", rows[200:250])
    run = train(dlcli, tmp_path / "data", "o")
    assert record(run)["data"]["training"] == 200
    assert record(run)["data"]["validation"] == 50


def test_val_is_validated_on_and_not_trained_on(dlcli: Command, tmp_path: Path, rows: Rows, small: Path) -> None:
    val = write_csv(tmp_path / "val.csv", [{"text": f"zebra {r['text']}", "label": r["label"]} for r in rows[:40]])
    run = train(dlcli, small, "o", "--val", str(val))
    assert record(run)["data"]["training"] == 300
    assert record(run)["data"]["validation"] == 40
    assert "zebra" not in (run / "pipeline/vocabulary.tsv").read_text()
    scores = json.loads((run / "metrics.json").read_text())
    result = json.loads(dlcli("evaluate", run, val, "--json").out)
    assert scores["accuracy"] == pytest.approx(result["accuracy"], abs=1e-6)
    assert scores["loss"] == pytest.approx(result["loss"], abs=1e-5)


@pytest.mark.parametrize(("share", "count"), [("0.2", 60), ("20%", 60), ("45", 45)])
def test_val_split_is_a_share_or_a_count(dlcli: Command, small: Path, share: str, count: int) -> None:
    result = json.loads(dlcli("train-text", small, "--val-split", share, "--dry-run", "--json").out)
    assert result["items"]["validation"] == pytest.approx(count, abs=2)
    assert sum(result["items"].values()) == 300


def test_three_classes_in_natural_order(dlcli: Command, three: Path) -> None:
    assert record(three)["labels"] == ["class_1", "class_2", "class_10"]
    result = json.loads(dlcli("predict", three, "--text", "soup and bread", "--proba", "--json").out)
    (row,) = result["predictions"]
    assert row["prediction"] == "class_10"
    assert sum(row[f"p({name})"] for name in result["labels"]) == pytest.approx(1, abs=1e-5)


# Settings do what they say.


def test_class_weights_weigh_the_loss(dlcli: Command, tmp_path: Path) -> None:
    data = [{"text": f"fine film {n}", "label": "pos"} for n in range(90)]
    data += [{"text": f"poor film {n}", "label": "neg"} for n in range(10)]
    path = write_csv(tmp_path / "a.csv", data)
    # The model starts at even odds, so that the first step's loss is log 2 times the mean weight: 81 pos and 9 neg.
    losses = {
        flags: [
            epoch["loss"]
            for epoch in history(train(dlcli, path, f"o{n}", "--class-weight", flags, "--batch-size", "100"))
        ]
        for n, flags in enumerate(("none", "balanced", "neg=11"))
    }
    assert losses["none"][0] == pytest.approx(math.log(2), rel=1e-5)
    assert losses["balanced"][0] == pytest.approx(math.log(2), rel=1e-5)
    assert losses["neg=11"][0] == pytest.approx(2 * math.log(2), rel=1e-5)
    assert losses["balanced"][1] != pytest.approx(losses["none"][1], rel=1e-3)


def test_training_stops_early_and_keeps_the_best(dlcli: Command, small: Path) -> None:
    outcome = dlcli("train-text", small, "--epochs", "40", "--patience", "2", "--lr", "0.05", "--out", "o", "--json")
    result, epochs = json.loads(outcome.out), history(Path("o"))
    assert len(epochs) == result["epochs"] == result["best_epoch"] + 2 < 40
    assert result["accuracy"] == max(epoch["val_accuracy"] for epoch in epochs)


def test_the_learning_rate_is_in_the_history(dlcli: Command, tiny: Path) -> None:
    run = train(dlcli, tiny, "o", "--lr", "0.125", "--optimizer", "sgd")
    assert [epoch["learning_rate"] for epoch in history(run)] == [0.125, 0.125]


# Resuming.


def test_a_resumed_run_ends_as_the_one_that_was_never_stopped(dlcli: Command, tiny: Path, stopped: Path) -> None:
    assert record(stopped)["status"] == "interrupted"
    assert len(history(stopped)) == 2
    # A setting that is given as it was is no changed one.
    outcome = dlcli("train-text", tiny, "--resume", stopped, "--epochs", "4")
    assert outcome.code == 0
    assert [line.split()[1] for line in outcome.lines if line.startswith("epoch")] == ["3/4", "4/4"]
    assert dlcli("train-text", tiny, "--epochs", "4", "--patience", "9", "--out", "whole").code == 0
    assert same_weights(stopped, Path("whole"))
    assert record(stopped)["status"] == "finished"
    assert record(stopped)["hashes"].keys() == record(Path("whole"))["hashes"].keys()
    assert without_times(stopped) == without_times(Path("whole"))
    assert not (stopped / "checkpoints").exists()


def test_resume_of_a_finished_run_says_so_and_changes_nothing(dlcli: Command, run: Path) -> None:
    before = snapshot(run)
    outcome = dlcli("train-text", "--resume", run, "--json")
    assert outcome.code == 0
    assert f"{run} is finished already" in outcome.lines
    assert json.loads(outcome.out)["accuracy"] == record(run)["scores"]["accuracy"]
    assert snapshot(run) == before


def test_resume_from_another_directory(
    dlcli: Command, stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert dlcli("train-text", "--resume", "../stopped").code == 0


def test_a_dry_run_of_a_resume_writes_nothing(dlcli: Command, stopped: Path) -> None:
    before = snapshot(stopped)
    assert dlcli("train-text", "--resume", stopped, "--dry-run").code in (0, 2)
    assert snapshot(stopped) == before
