"""`dlcli check`: the report, its JSON, and the exit code that CI sees."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import REVIEWS, REVIEWS_TEST, Outcome

from verbs.helpers import write_csv, write_folder

Command = Callable[..., Outcome]
ROWS = [{"text": f"one {c} film of {n}", "label": c} for n in range(12) for c in ("pos", "neg")]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a table with a row of each kind of trouble, and good rows between them."""
    path = write_csv(tmp_path / "a.csv", ROWS)
    path.write_text(path.read_text() + "too,many,cells\n ,pos\nONE pos film of 0!,neg\none pos film of 1,pos\n")
    return path


def findings(outcome: Outcome) -> dict[str, dict[str, Any]]:
    return {finding["name"]: finding for finding in json.loads(outcome.out)["findings"]}


def test_fine_data_has_exit_code_0(dlcli: Command) -> None:
    outcome = dlcli("check", REVIEWS, REVIEWS_TEST)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == "no errors, no warnings"
    rows = [line.split() for line in outcome.out.splitlines()]
    assert [Path(rows[1][0]), *rows[1][1:3]] == [REVIEWS, "3,000", "0"]
    assert ["neg", "1,439", "(48.0%)", "477", "(47.7%)"] in rows


def test_shipped_data_is_found_from_anywhere(dlcli: Command) -> None:
    assert dlcli("check", "sample_data/reviews.csv").code == 0


def test_the_report_is_whole_before_the_exit_code_says_bad(dlcli: Command, data: Path) -> None:
    outcome = dlcli("check", "a.csv")
    assert outcome.code == 3
    assert outcome.lines == ["dlcli: 3 errors: bad-columns, blank-text, conflicts. Mend the data, or see --allow"]
    blocks = outcome.out.rstrip("\n").split("\n\n")
    assert blocks[2:] == [
        "error: a.csv: 1 row has other columns than expected [bad-columns]\n"
        "  line 26: expected 2 columns (text, label), got 3: too,many,cells\n"
        "  Quote texts that hold the separator",
        "error: a.csv: 1 row has a blank text [blank-text]\n"
        "  line 27: the text is blank: label 'pos'\n"
        "  Fill it in, or delete the row",
        "error: a.csv: 1 text with more than one label (0 of them exactly the same text) [conflicts]\n"
        "  line 2 'pos', line 28 'neg': one pos film of 0\n"
        "  Decide for one label, or delete them",
        "warning: a.csv: 1 text repeats an earlier one exactly (1 different) [duplicates]\n"
        "  line 4, line 29: one pos film of 1\n"
        "  The same text on both sides of a split makes the validation score too good: delete them",
        "warning: a.csv: 1 more text repeats an earlier one but for case, punctuation, HTML or space"
        " [near-duplicates]\n"
        "  line 2 'pos', line 28 'neg': one pos film of 0\n"
        "  The same text on both sides of a split makes the validation score too good: delete them",
        "3 errors, 2 warnings",
    ]


def test_a_table_without_the_column(dlcli: Command, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,stars\na,b\n")
    outcome = dlcli("check", "a.csv")
    assert outcome.code == 3
    assert outcome.out.split("\n\n")[1] == (
        "error: a.csv has no column 'label'; its columns are: text, stars [unreadable]\n"
        "  Name yours with --label-column"
    )


def test_what_is_allowed_is_a_warning(dlcli: Command, data: Path) -> None:
    allow = [word for name in ("bad-columns", "blank-text", "conflicts") for word in ("--allow", name)]
    outcome = dlcli("check", "a.csv", *allow)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == "no errors, 5 warnings"
    assert dlcli("check", "a.csv", *allow[:-2]).code == 3
    assert dlcli("check", "a.csv", *allow[:-2], "--exact").code == 0


def test_json(dlcli: Command, data: Path) -> None:
    outcome = dlcli("check", "a.csv", "--json", "--show", "1")
    assert outcome.code == 3
    result = json.loads(outcome.out)
    assert (result["schema"], result["errors"], result["warnings"]) == (1, 3, 2)
    assert result["data"][0] == {
        "data": "a.csv",
        "path": "a.csv",
        "rows": 26,
        "bad_rows": 2,
        "classes": {"neg": 13, "pos": 13},
        "words": {"min": 5, "median": 5.0, "mean": 5.0, "p95": 5.0, "max": 5},
    }
    assert [finding["level"] for finding in result["findings"]] == ["error"] * 3 + ["warning"] * 2
    assert findings(outcome)["conflicts"] == {
        "name": "conflicts",
        "level": "error",
        "data": ["a.csv"],
        "count": 1,
        "text": "1 text with more than one label (0 of them exactly the same text)",
        "hint": "Decide for one label, or delete them",
        "items": [
            {
                "rows": [
                    {
                        "data": "a.csv",
                        "where": f"line {line}",
                        "line": line,
                        "label": label,
                        "excerpt": excerpt,
                    }
                    for line, label, excerpt in [(2, "pos", "one pos film of 0"), (28, "neg", "ONE pos film of 0!")]
                ],
                "count": 2,
                "exact": False,
            }
        ],
    }


def test_a_leak(dlcli: Command, tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ROWS)
    write_csv(tmp_path / "b.csv", [{"text": row["text"] + " new", "label": row["label"]} for row in ROWS] + ROWS[4:6])
    outcome = dlcli("check", "a.csv", "b.csv")
    assert outcome.code == 3
    assert "  b.csv line 26 'pos', a.csv line 6 'pos': one pos film of 2\n" in outcome.out
    assert "error: b.csv: 2 texts of 26 are in a.csv too: 2 exactly, 0 after normalising" in outcome.out
    assert dlcli("check", "a.csv", "b.csv", "--allow", "leaks").code == 0
    assert dlcli("check", "a.csv", "a.csv").code == 3


def test_folders_and_tables_are_compared(dlcli: Command, tmp_path: Path) -> None:
    write_folder(tmp_path / "d" / "train", ROWS)
    write_csv(tmp_path / "b.csv", [{"text": f"new {row['text']}", "label": row["label"]} for row in ROWS])
    outcome = dlcli("check", "d", "b.csv", "--json")
    assert outcome.code == 0
    assert [one["data"] for one in json.loads(outcome.out)["data"]] == ["d/train", "b.csv"]
    (tmp_path / "d/train/pos/bad.txt").write_bytes(b"\xff")
    outcome = dlcli("check", "d", "b.csv")
    assert outcome.code == 3
    assert "  d/train/pos/bad.txt, line 1, byte 0: 0xff is not utf-8\n" in outcome.out


def test_unicode_reaches_the_report_and_control_characters_do_not(dlcli: Command, tmp_path: Path) -> None:
    rows = [*ROWS, *[{"text": "größer \x1b[31m — 😀 日本", "label": "pos"}] * 2]
    write_csv(tmp_path / "ü.csv", rows)
    outcome = dlcli("check", "ü.csv")
    assert outcome.code == 0
    assert "  line 26, line 27: größer \ufffd[31m — 😀 日本\n" in outcome.out
    assert json.loads(dlcli("check", "ü.csv", "--json").out)["findings"][0]["data"] == ["ü.csv"]


def test_half_a_character_of_json_can_be_printed(dlcli: Command, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "\\ud800", "label": "a"}\n')
    outcome = dlcli("check", "a.jsonl", "--json")
    assert outcome.code == 3
    assert findings(outcome)["nul-character"]["items"][0]["rows"][0]["excerpt"] == "\ufffd"


def test_no_numbers_package_is_waited_for_that_a_check_does_not_need(data: Path) -> None:
    code = "import sys; from dlcli.cli import guarded; guarded(['check', sys.argv[1]], debug=False); " + (
        "print(*{'tensorflow', 'keras', 'sklearn', 'pandas'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(data)], capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines()[1:] == [""]
