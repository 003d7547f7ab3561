"""What people's names and texts do to those who look: spreadsheets compute nothing, terminals obey nothing."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Outcome
from trust.bad_cases import GOOD, write
from verbs.helpers import read_csv

from dlcli.cli import guarded
from dlcli.errors import printable, shown
from dlcli.verbs.shared.result import facts, table
from dlcli.verbs.shared.rows import write_rows

Command = Callable[..., Outcome]
FORMULAS = ["=1+1", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"]
HARMLESS = ["a=1", "-5", "+1.5", "-1e-7", "", "'=1", "é", "1-2"]


def written(rows: list[dict[str, object]], **options: bool) -> list[list[str]]:
    stream = io.StringIO()
    write_rows(rows, stream, "csv", **options)
    return list(csv.reader(io.StringIO(stream.getvalue(), newline="")))


def test_formulas_are_escaped_on_request_alone() -> None:
    rows = [{"=x": cell, "score": -0.5} for cell in FORMULAS + HARMLESS]
    assert written(rows)[1:] == [[cell, "-0.5"] for cell in FORMULAS + HARMLESS]
    header, *cells = written(rows, escape=True)
    assert header == ["'=x", "score"]
    assert cells == [[f"'{cell}", "-0.5"] for cell in FORMULAS] + [[cell, "-0.5"] for cell in HARMLESS]


def test_verbs_escape_formulas(dlcli: Command, run: Path) -> None:
    write("a.csv", "text,label\n=good film,pos\n-bad film,neg\n")
    assert dlcli("predict", run, "a.csv", "--out", "p.csv", "--escape-formulas").code == 0
    assert [row["text"] for row in read_csv(Path("p.csv"))] == ["'=good film", "'-bad film"]
    assert [row["text"] for row in read_csv(dlcli("predict", run, "a.csv").out)] == ["=good film", "-bad film"]
    arguments = ("--save-predictions", "e.csv", "--escape-formulas", "--bootstrap", "0", "--no-baselines")
    assert dlcli("evaluate", run, "a.csv", *arguments).code == 0
    assert [row["text"] for row in read_csv(Path("e.csv"))] == ["'=good film", "'-bad film"]
    assert dlcli("clean", "a.csv", "c.tsv", "--escape-formulas").code == 0
    assert "\n'- bad film\t" in Path("c.tsv").read_text() or "\n'-bad film\t" in Path("c.tsv").read_text()


@pytest.mark.parametrize(
    "character", [*map(chr, range(9)), "\x0b", "\r", "\x1b", "\x7f", "\x9b", "\u202e", "\u2066", "\udcff"]
)
def test_no_character_steers_a_terminal(character: str) -> None:
    assert printable(f"a{character}b") == "a\ufffdb"
    assert shown(f"a{character}\n\tb") == "a\ufffd\ufffd\ufffdb"


def test_letters_of_all_scripts_are_shown() -> None:
    text = "naïve 日本 עברית العربية \u200f\U0001f600 a\nb\tc"
    assert printable(text) == text


def test_what_people_see_of_names_is_one_line() -> None:
    assert table([("a\nb", "1")]) == "a\\nb  1"
    assert facts([("a", "b\nc")]) == "a  b\\nc"


STEER = "\x1b]0;owned\x07\u202e"


@pytest.mark.parametrize("flags", [(), ("--top", "2", "--format", "text")])
def test_a_text_that_steers_a_terminal(dlcli: Command, run: Path, flags: tuple[str, ...]) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    with contextlib.redirect_stdout(Terminal()) as out:
        assert guarded(["predict", str(run), "--text", f"good{STEER}", *flags], debug=False) == 0
    assert "owned" in out.getvalue()
    assert not set(STEER[:1] + STEER[-2:]) & set(out.getvalue())
    assert STEER in dlcli("predict", run, "--text", f"good{STEER}").out, "a table in a pipe keeps the data"


@pytest.mark.parametrize(
    "arguments",
    [
        (STEER,),
        ("check", f"--{STEER}"),
        ("check", f"{STEER}.csv"),
        ("check", "a.csv", "--show", STEER),
        ("check", "a.csv", "--allow", STEER),
        ("check", "a.csv", "--label-column", STEER),
        ("run", STEER),
        ("inspect", STEER),
    ],
)
def test_no_error_echoes_what_steers_a_terminal(dlcli: Command, arguments: tuple[str, ...]) -> None:
    write("a.csv", GOOD)
    outcome = dlcli(*arguments)
    assert outcome.code in (2, 3)
    assert not set(STEER[:1] + STEER[-2:]) & set(outcome.out + outcome.err)


def test_bytes_that_are_not_utf_8_are_a_usage_error(dlcli: Command) -> None:
    for arguments in (("predict", "r", "--text", "\udcff"), ("check", "\udcff.csv")):
        outcome = dlcli(*arguments)
        assert (outcome.code, "is not UTF-8, or holds a NUL" in outcome.err) == (2, True)
