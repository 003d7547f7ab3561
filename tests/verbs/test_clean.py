"""`dlcli clean`: the texts that the pipeline would see, everything else as it was."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import REVIEWS, Outcome
from nltk.stem import PorterStemmer
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from text import reference

from dlcli.core.backend import tf
from dlcli.text.cleaning import Cleaner
from dlcli.text.config import CleaningConfig
from verbs.helpers import read_csv, snapshot, write_csv

Command = Callable[..., Outcome]

ROWS = read_csv(REVIEWS)
ODD = [
    "I <3 this & that; a < b > c <b>bold</b> &amp; &lt;br&gt;",
    "İstanbul ΟΔΟΣ ﬁn café cafe\u0301 日本語です。 😀😀",
    "see http://a.example/x?y=1, 9/10 (1990s) ... _ __ don't U.S.A.",
    "\ttabs\nand\u2028lines\u00a0",
]


def test_a_table_keeps_all_but_the_text(dlcli: Command, tmp_path: Path) -> None:
    rows = [
        {"id": str(n), "review": row["text"], "stars": row["label"], "note": 'a "b", c'}
        for n, row in enumerate(ROWS[:50])
    ]
    write_csv(tmp_path / "a.csv", rows)
    outcome = dlcli("clean", "a.csv", "b.csv", "--text-column", "review")
    assert (outcome.code, outcome.err) == (0, "")
    expected = [row | {"review": " ".join(reference.words(row["review"]))} for row in rows]
    assert read_csv(Path("b.csv")) == expected


def test_stop_words_and_stems_are_those_of_a_loop(dlcli: Command) -> None:
    flags = "--punctuation drop --numbers drop --min-word-length 3 --stop-words sklearn --stem porter --json"
    outcome = dlcli("clean", REVIEWS, "b.csv", *shlex.split(flags))
    stem = PorterStemmer().stem
    counts = dict.fromkeys(("words_in", "numbers", "short_words", "stop_words", "words_out"), 0)
    distinct, expected = set(), []
    for row in ROWS:
        words = reference.words(row["text"], punctuation="drop")
        counts["words_in"] += len(words)
        counts["numbers"] += sum(word.isdecimal() for word in words)
        words = [word for word in words if not word.isdecimal()]
        counts["short_words"] += sum(len(word) < 3 for word in words)
        words = [word for word in words if len(word) >= 3]
        distinct |= set(words)
        counts["stop_words"] += sum(word in ENGLISH_STOP_WORDS for word in words)
        words = [stem(word) for word in words if word not in ENGLISH_STOP_WORDS]
        counts["words_out"] += len(words)
        expected.append({"text": " ".join(words), "label": row["label"]})
    assert read_csv(Path("b.csv")) == expected
    result = json.loads(outcome.out)
    assert {name: result[name] for name in counts} == counts
    assert (result["rows"], result["distinct_words"]) == (len(ROWS), len(distinct))
    assert result["stemmed_words"] == sum(stem(word) != word for word in distinct - ENGLISH_STOP_WORDS)


SETTINGS = [
    "",
    "--punctuation drop --no-lowercase",
    "--no-strip-html --numbers mask --strip-urls",
    "--numbers drop --min-word-length 2 --stop-words sklearn",
    "--strip-accents --stem snowball:english",
    "--analyzer char",
]


@pytest.mark.parametrize("flags", SETTINGS)
def test_what_is_cleaned_is_what_the_pipeline_sees(dlcli: Command, tmp_path: Path, flags: str) -> None:
    """To split the cleaned text gives the words of the raw one, with stop words gone and stems in place."""
    from dlcli.cli import cli
    from dlcli.text.pipeline import make_replacer

    texts = [*ODD, *(row["text"] for row in ROWS[:200])]
    write_csv(tmp_path / "a.csv", [{"text": text} for text in texts])
    arguments = shlex.split(flags)
    assert dlcli("clean", "a.csv", "b.csv", *arguments).code == 0
    command = cli.get_command(None, "clean")  # type: ignore[arg-type, union-attr]
    given = command.make_context("clean", ["a", "b", *arguments]).params  # type: ignore[union-attr]
    config = CleaningConfig(**{n: v for n, v in given.items() if v is not None and n in CleaningConfig.model_fields})
    cleaner = Cleaner(config)
    replacer = make_replacer(config, cleaner)

    def words(some: list[str]) -> list[list[str]]:
        return [[word.decode() for word in row] for row in cleaner.tokens(tf.constant(some)).to_list()]

    seen = [[stem for word in row if (stem := replacer(word))] for row in words(texts)]
    cleaned = [row["text"] for row in read_csv(Path("b.csv"))]
    assert words(cleaned) == seen
    assert cleaned == [" ".join(row) for row in seen]
    # So to clean it once more changes nothing, where stems are not cut again.
    if "--stem" not in flags:
        assert dlcli("clean", "b.csv", "c.csv", *arguments).code == 0
        assert Path("c.csv").read_bytes() == Path("b.csv").read_bytes()


@pytest.mark.parametrize("source", ["a.csv", "a.tsv", "a.jsonl"])
@pytest.mark.parametrize("target", ["b.csv", "b.tsv", "b.ndjson"])
def test_formats_by_their_endings(dlcli: Command, tmp_path: Path, source: str, target: str) -> None:
    rows = [{"text": 'Good, "FILM"\tindeed', "label": "pos"}, {"text": "bad <br /> film", "label": 'ne"g\t,'}]
    if source == "a.jsonl":
        (tmp_path / source).write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        write_csv(tmp_path / source, rows, separator="\t" if source == "a.tsv" else ",")
    assert dlcli("clean", source, target, "--punctuation", "drop").code == 0
    again = dlcli("clean", target, "c.jsonl")
    assert again.code == 0, again.err
    found = [json.loads(line) for line in Path("c.jsonl").read_text(encoding="utf-8").splitlines()]
    assert found == [{"text": "good film indeed", "label": "pos"}, {"text": "bad film", "label": 'ne"g\t,'}]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"d/pos/1.txt": "Good!", "d/neg/2.txt": "BAD"},
            [("d/neg/2.txt", "neg", "bad"), ("d/pos/1.txt", "pos", "good !")],
        ),
        ({"d/2.txt": "Good!", "d/1.txt": "BAD"}, [("d/1.txt", None, "bad"), ("d/2.txt", None, "good !")]),
    ],
)
def test_a_folder_becomes_a_table(dlcli: Command, tmp_path: Path, files: dict[str, str], expected: Any) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert dlcli("clean", "d", "b.csv").code == 0
    rows = read_csv(Path("b.csv"))
    assert [(row["file"], row.get("label"), row["text"]) for row in rows] == expected


def test_rows_without_a_word_stay_and_are_counted(dlcli: Command, tmp_path: Path) -> None:
    texts = ["good", "the", "", "<br />"] + ["of the"] * 5
    write_csv(tmp_path / "a.csv", [{"text": text, "label": "x"} for text in texts])
    outcome = dlcli("clean", "a.csv", "b.csv", "--stop-words", "sklearn")
    assert [row["text"] for row in read_csv(Path("b.csv"))] == ["good", *[""] * 8]
    assert outcome.lines == ["warning: 8 of 9 texts have no word left; their rows stay"]
    assert "8 have no word left (line 3, line 4, line 5, line 6, line 7, ...)" in outcome.out


def test_many_chunks_keep_their_order(dlcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcli.text.counting.CHUNK", 3)
    rows = [{"text": f"row {n} of the table " + "x " * (n % 7), "n": str(n)} for n in range(100)]
    write_csv(tmp_path / "a.csv", rows)
    assert dlcli("clean", "a.csv", "b.csv", "--stop-words", "sklearn").code == 0
    expected = [row | {"text": " ".join(f"row {n} table {'x ' * (n % 7)}".split())} for n, row in enumerate(rows)]
    assert read_csv(Path("b.csv")) == expected


BAD: list[tuple[str, int, list[str]]] = [
    ("a.csv", 2, ["OUT"]),
    ("", 2, ["DATA"]),
    ("nowhere.csv b.csv", 2, ["nowhere.csv does not exist"]),
    ("a.csv b.xlsx", 2, ["OUT", ".csv, .tsv", "b.xlsx"]),
    ("a.csv b", 2, ["OUT", ".jsonl"]),
    ("a.csv b.csv --text-column review", 3, ["no column 'review'", "--text-column"]),
    ("a.csv b.csv --label-column x", 2, ["--label-column"]),
    ("a.csv b.csv --stop-words nowhere.txt", 2, ["--stop-words", "'nowhere.txt'"]),
    ("a.csv b.csv --stem snowball:klingon", 2, ["--stem", "'klingon'"]),
    ("a.csv b.csv --min-word-length 0", 2, ["--min-word-length", "at least 1"]),
    ("a.csv b.csv --min-word-length 99 --punctuation drop", 3, ["no word is left of the 2 texts", "Clean less"]),
    ("header.csv b.csv", 3, ["header.csv has no rows"]),
    ("bad.csv b.csv", 3, ["bad.csv, line 3", "expected 2 columns"]),
    ("a.csv a.csv", 2, ["a.csv is read by this command", "OUT"]),
    ("a.csv a.csv --force", 2, ["a.csv is read by this command"]),
    ("a.csv link.csv --force", 2, ["link.csv is read by this command"]),
    ("a.csv mine.csv", 5, ["mine.csv exists already", "--force"]),
    ("a.csv folder.csv --force", 5, ["folder.csv is a folder"]),
    ("a.csv mine.csv/b.csv", 5, ["cannot write", "OUT"]),
]


@pytest.mark.parametrize(("arguments", "code", "words"), BAD, ids=[arguments for arguments, _, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(
    dlcli: Command, tmp_path: Path, arguments: str, code: int, words: list[str]
) -> None:
    files = {"a.csv": "text,label\nfine,pos\nso so,neg\n", "header.csv": "text,label\n", "mine.csv": "mine"}
    files |= {"bad.csv": "text,label\nfine,pos\na,b,c\n", "folder.csv/notes.txt": "mine"}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.csv")
    before = snapshot(tmp_path)
    outcome = dlcli("clean", *shlex.split(arguments))
    assert (outcome.code, len(outcome.lines)) == (code, 1), outcome.err
    for word in words:
        assert word in outcome.lines[-1]
    assert snapshot(tmp_path) == before


def test_force_replaces_the_file(dlcli: Command, tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [{"text": "Fine"}])
    (tmp_path / "b.csv").write_text("mine")
    assert dlcli("clean", "a.csv", "b.csv", "--force").code == 0
    assert Path("b.csv").read_text() == "text\nfine\n"
