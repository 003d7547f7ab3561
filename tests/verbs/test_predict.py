"""`dlcli predict`: every way in, every way out, and the rows as they came."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import REVIEWS_TEST, Outcome

from verbs.helpers import read_csv, snapshot, write_csv

Command = Callable[..., Outcome]
Rows = list[dict[str, str]]


def answers(rows: Any) -> list[tuple[str, float]]:
    """Return label and probability of each row."""
    return [(row["prediction"], float(row["probability"])) for row in rows]


def jsonl(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_word_order_counts(dlcli: Command, run: Path) -> None:
    texts = {"It was good.": "pos", "It was not good at all.": "neg", "It was not bad at all.": "pos"}
    flags = [part for text in texts for part in ("--text", text)]
    rows = read_csv(dlcli("predict", run, *flags).out)
    assert {row["text"]: row["prediction"] for row in rows} == texts
    assert list(rows[0]) == ["text", "prediction", "probability"]


def test_the_probabilities_belong_to_the_prediction(predictions: Rows) -> None:
    assert len(predictions) == 1000
    for row in predictions:
        found = {name: float(row[f"p({name})"]) for name in ("neg", "pos")}
        assert sum(found.values()) == pytest.approx(1, abs=2e-6)
        assert row["prediction"] == max(found, key=lambda name: found[name])
        assert float(row["probability"]) == max(found.values())


def test_rows_and_columns_stay_as_they_were(predictions: Rows) -> None:
    assert list(predictions[0]) == ["text", "label", "prediction", "probability", "p(neg)", "p(pos)"]
    assert [{name: row[name] for name in ("text", "label")} for row in predictions] == read_csv(REVIEWS_TEST)


def test_other_columns_survive(dlcli: Command, run: Path, tmp_path: Path) -> None:
    rows = [
        {"id": "7", "text": "It was good.", "note": 'two\nlines, "quoted"'},
        {"id": "3", "text": "", "note": "é"},
        {"id": "5", "text": "It was <br />bad.", "note": ""},
    ]
    found = read_csv(dlcli("predict", run, write_csv(tmp_path / "a.csv", rows)).out)
    assert [{name: row[name] for name in ("id", "text", "note")} for row in found] == rows
    assert [row["prediction"] for row in found][::2] == ["pos", "neg"]


@pytest.fixture(scope="module")
def expected(run: Path) -> list[tuple[str, float]]:
    """Return the answers of the run to the first twenty held-out reviews."""
    from dlcli.serving.predictor import Predictor

    probabilities = Predictor(run).outputs([row["text"] for row in read_csv(REVIEWS_TEST)[:20]])
    return [(["neg", "pos"][row.argmax()], pytest.approx(float(row.max()), abs=2e-6)) for row in probabilities]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "folder", "stdin", "text", "column"])
def test_every_way_in_gives_the_same_answers(
    dlcli: Command, run: Path, tmp_path: Path, expected: list[tuple[str, float]], kind: str
) -> None:
    rows = read_csv(REVIEWS_TEST)[:20]
    arguments: list[object] = [tmp_path / f"a.{kind}"]
    stdin = ""
    if kind == "csv":
        write_csv(tmp_path / "a.csv", rows)
    elif kind == "tsv":
        write_csv(tmp_path / "a.tsv", rows, separator="\t")
    elif kind == "jsonl":
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "folder":
        (tmp_path / "a.folder").mkdir()
        for number, row in enumerate(rows):
            (tmp_path / "a.folder" / f"{number:02}.txt").write_text(row["text"], encoding="utf-8")
    elif kind == "stdin":
        arguments, stdin = ["-"], "".join(f"{row['text']}\n" for row in rows)
    elif kind == "text":
        arguments = [part for row in rows for part in ("--text", row["text"])]
    else:
        write_csv(tmp_path / "a.csv", [{"review": row["text"]} for row in rows])
        arguments = [tmp_path / "a.csv", "--text-column", "review"]
    outcome = dlcli("predict", run, *arguments, "--format", "csv", stdin=stdin)
    assert outcome.code == 0, outcome.err
    found = read_csv(outcome.out)
    assert answers(found) == expected
    if kind == "folder":
        assert [Path(row["file"]).name for row in found] == [f"{number:02}.txt" for number in range(20)]


@pytest.mark.parametrize(
    ("flags", "form"),
    [
        ("", "csv"),
        ("--format jsonl", "jsonl"),
        ("--out p.csv", "csv"),
        ("--out p.jsonl", "jsonl"),
        ("--out p.ndjson", "jsonl"),
        ("--out p.txt --format jsonl", "jsonl"),
        ("--out p.jsonl --format csv", "csv"),
        ("--json", "json"),
    ],
)
def test_every_way_out_holds_the_same_rows(
    dlcli: Command, run: Path, tmp_path: Path, expected: list[tuple[str, float]], flags: str, form: str
) -> None:
    rows = read_csv(REVIEWS_TEST)[:20]
    path = write_csv(tmp_path / "a.csv", rows)
    before = snapshot(tmp_path)
    outcome = dlcli("predict", run, path, *flags.split())
    assert outcome.code == 0, outcome.err
    text = outcome.out
    if "--out" in flags:
        out = Path(flags.split()[1])
        text = out.read_text(encoding="utf-8")
        assert outcome.out == f"20 predictions in {out}\n"
        assert snapshot(tmp_path).keys() - before.keys() == {out.name}
    found: Any = {"csv": read_csv, "jsonl": jsonl, "json": lambda t: json.loads(t)["predictions"]}[form](text)
    assert answers(found) == expected
    assert [row["label"] for row in found] == [row["label"] for row in rows]


def test_texts_on_the_command_line_go_to_a_file_too(dlcli: Command, run: Path) -> None:
    outcome = dlcli("predict", run, "--text", "good", "--text", "bad", "--out", "p.jsonl", "--json")
    assert [row["text"] for row in jsonl(Path("p.jsonl").read_text())] == ["good", "bad"]
    result = json.loads(outcome.out)
    assert (result["n"], result["out"]) == (2, "p.jsonl")


def test_values_of_json_keep_their_types(dlcli: Command, run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 7, "tags": ["a"], "text": "It was good", "rating": null}\n')
    (row,) = jsonl(dlcli("predict", run, "a.jsonl", "--format", "jsonl").out)
    assert (row["id"], row["tags"], row["rating"]) == (7, ["a"], None)


def test_a_column_that_not_every_json_line_has_survives(dlcli: Command, run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "good"}\n{"text": "bad", "note": "mine"}\n')
    rows = jsonl(dlcli("predict", run, "a.jsonl", "--format", "jsonl").out)
    assert [row.get("note") for row in rows] == [None, "mine"]


def test_a_table_longer_than_a_chunk_keeps_its_order(
    dlcli: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.verbs.predict._CHUNK", 7)
    rows = [{"id": str(n), "text": "good " * (n % 5 + 1)} for n in range(50)]
    found = read_csv(dlcli("predict", run, write_csv(tmp_path / "a.csv", rows)).out)
    assert [row["id"] for row in found] == [str(n) for n in range(50)]


def test_nothing_to_classify(dlcli: Command, run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n")
    for arguments in (["a.csv"], ["-"]):
        outcome = dlcli("predict", run, *arguments)
        assert outcome.code == 3
        assert "nothing to classify" in outcome.err


def test_the_batch_size_changes_no_answer(small_run: Path, small: Path, dlcli: Command) -> None:
    usual = read_csv(dlcli("predict", small_run, small, "--proba").out)
    small_batches = read_csv(dlcli("predict", small_run, small, "--proba", "--batch-size", "7").out)
    for one, other in zip(usual, small_batches, strict=True):
        assert one["prediction"] == other["prediction"]
        assert float(one["probability"]) == pytest.approx(float(other["probability"]), abs=3e-6)
