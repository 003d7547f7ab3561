"""`--skip-bad` for texts: bad rows are left out, counted and all named; without it the first one ends the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome
from trust.bad_cases import GOOD, write
from verbs.helpers import read_csv, record

from dlcli.core.lines import BadRow, strict

Command = Callable[..., Outcome]
BAD = GOOD + 'a,b,c\n"open,pos\nno label,\nx\0y,neg\ngood film,pos\n'
KINDS = [(42, "bad-columns"), (43, "bad-quotes"), (44, "empty-label"), (45, "nul-character")]


def skipped(path: Path) -> list[tuple[int, str]]:
    lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    assert {line["file"] for line in lines} == {"bad.csv"}
    assert all(line["where"].startswith(f"line {line['line']}") and line["problem"] for line in lines)
    return [(line["line"], line["kind"]) for line in lines]


@pytest.fixture(autouse=True)
def bad(dlcli: Command) -> None:
    write("bad.csv", BAD)


def test_a_training_goes_on_without_them(dlcli: Command) -> None:
    arguments = ("train-text", "bad.csv", "--epochs", "1", "--out", "o")
    assert dlcli(*arguments).code == 3
    outcome = dlcli(*arguments, "--skip-bad")
    assert outcome.code == 0, outcome.err
    assert "warning: bad.csv: 4 bad rows are left out; the run's skipped.jsonl names them" in outcome.lines
    assert skipped(Path("o/skipped.jsonl")) == KINDS
    assert sum(record(Path("o"))["data"][part] for part in ("training", "validation")) == 41
    refused = dlcli("eject", "o", "script.py")
    assert (refused.code, "left bad ones out" in refused.err) == (2, True), refused.err


def test_cleaned_tables_and_features_leave_them_out(dlcli: Command) -> None:
    assert dlcli("tokenize", "bad.csv", "bag").code == 3
    outcome = dlcli("tokenize", "bad.csv", "bag", "--skip-bad", "--json")
    assert (outcome.code, json.loads(outcome.out)["texts"], json.loads(outcome.out)["skipped"]) == (0, 41, 4)
    assert skipped(Path("bag/skipped.jsonl")) == KINDS
    assert dlcli("tokenize", "bad.csv", "bag", "--skip-bad", "--force").code == 0
    outcome = dlcli("clean", "bad.csv", "c.csv", "--skip-bad")
    assert "skipped   3 bad rows, named in c.skipped.jsonl" in outcome.out
    # A cleaning needs no label.
    assert skipped(Path("c.skipped.jsonl")) == [one for one in KINDS if one[1] != "empty-label"]
    assert len(read_csv(Path("c.csv"))) == 42


def test_answers_leave_them_out(dlcli: Command, run: Path) -> None:
    assert dlcli("predict", run, "bad.csv").code == 3
    outcome = dlcli("predict", run, "bad.csv", "--skip-bad")
    assert len(read_csv(outcome.out)) == 42
    assert "warning: bad.csv: 3 bad rows are left out: bad.csv, line 42: expected 2 columns" in outcome.err
    outcome = dlcli("evaluate", run, "bad.csv", "--skip-bad", "--bootstrap", "0", "--no-baselines", "--json")
    found = json.loads(outcome.out)
    assert (found["n"], found["skipped"]) == (41, 4)


def test_nothing_but_bad_rows_is_an_error(dlcli: Command) -> None:
    write("all.csv", "text,label\na,b,c\nd\n")
    outcome = dlcli("train-text", "all.csv", "--skip-bad", "--out", "o")
    assert (outcome.code, "all.csv has no good row: all 2 are bad" in outcome.lines[-1]) == (3, True)


def test_what_stops_the_reading_is_never_skipped() -> None:
    last = BadRow("nothing is read", source=Path("a.csv"), kind="bad-quotes", hint="", last=True)
    with pytest.raises(BadRow, match="nothing is read"):
        list(strict(["a", last], lambda bad: None))
