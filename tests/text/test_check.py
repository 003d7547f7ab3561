"""What a check finds in texts: counted, named by line, and nothing where nothing is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from dlcli.core.findings import Finding
from dlcli.core.progress import Silent
from dlcli.text.checking.check import BAD_ROWS, TextReport, check_texts
from dlcli.text.config import TextDataConfig
from dlcli.text.normalise import is_mojibake, normalised, without_html
from dlcli.verbs.check import Allowed

Rows = list[tuple[str, str]]
Write = Callable[[str, Rows], Path]

# Twenty different texts of seven words in two classes: nothing is wrong with them.
FINE: Rows = [(f"a {w} film that I saw once", c) for c in ("pos", "neg") for w in [f"{c}{n}ish" for n in range(10)]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(name: str, rows: Rows) -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps({"text": t, "label": c}) + "\n" for t, c in rows), encoding="utf-8")
        return path

    return _write


def report(*paths: Path, show: int = 10, exact: bool = False) -> TextReport:
    return check_texts(paths, TextDataConfig(), show=show, exact=exact, progress=Silent())


def found(*paths: Path, **settings: Any) -> dict[str, Finding]:
    findings = report(*paths, **settings).findings
    assert len({(f.name, f.data) for f in findings}) == len(findings)
    return {finding.name: finding for finding in findings}


def lines(finding: Finding) -> list[list[int]]:
    return [[row["line"] for row in item["rows"]] for item in finding.items]


def test_nothing_is_wrong_with_fine_data(write: Write) -> None:
    result = report(write("a.jsonl", FINE))
    assert result.findings == []
    assert result.data == [
        {
            "data": str(write("a.jsonl", FINE)),
            "path": str(write("a.jsonl", FINE)),
            "rows": 20,
            "bad_rows": 0,
            "classes": {"neg": 10, "pos": 10},
            "words": {"min": 7, "median": 7.0, "mean": 7.0, "p95": 7.0, "max": 7},
        }
    ]


def test_lengths_are_in_words_without_html(write: Write) -> None:
    rows = [(" ".join(["word"] * n) + "<br />", c) for n in range(1, 101) for c in ("pos", "neg")]
    words = report(write("a.jsonl", rows)).data[0]["words"]
    assert words == {"min": 1, "median": 50.5, "mean": 50.5, "p95": pytest.approx(95.05), "max": 100}


class TestRepeats:
    def test_duplicates_are_named_with_their_first_row(self, write: Write) -> None:
        path = write("a.jsonl", [*FINE, FINE[3], FINE[1], FINE[3], FINE[3]])
        duplicates = found(path)["duplicates"]
        assert (duplicates.level, duplicates.count, duplicates.data) == ("warning", 4, (str(path),))
        assert lines(duplicates) == [[2, 22], [4, 21, 23]]
        assert [(item["count"], item["exact"]) for item in duplicates.items] == [(2, True), (4, True)]
        assert duplicates.items[0]["rows"][1] == {
            "data": str(path),
            "where": "line 22",
            "line": 22,
            "label": "pos",
            "excerpt": "a pos1ish film that I saw once",
        }
        assert found(path).keys() == {"duplicates"}

    def test_texts_that_are_the_same_after_normalising(self, write: Write) -> None:
        rows = [*FINE, ("A pos0ish film,<br />that I saw -- ONCE!", "pos"), (FINE[0][0], "pos")]
        path = write("a.jsonl", rows)
        findings = found(path)
        assert (findings["near-duplicates"].level, findings["near-duplicates"].count) == ("warning", 1)
        assert lines(findings["near-duplicates"]) == [[1, 21]]
        assert (findings["near-duplicates"].items[0]["exact"], findings["near-duplicates"].items[0]["count"]) == (
            False,
            3,
        )
        assert findings["duplicates"].count == 1
        assert found(path, exact=True).keys() == {"duplicates"}

    def test_conflicting_labels_are_an_error(self, write: Write) -> None:
        path = write("a.jsonl", [*FINE, (FINE[2][0], "neg"), (FINE[4][0].upper(), "neg"), (FINE[5][0], "pos")])
        conflicts = found(path)["conflicts"]
        assert (conflicts.level, conflicts.count) == ("error", 2)
        assert lines(conflicts) == [[3, 21], [5, 22]]
        assert [[row["label"] for row in item["rows"]] for item in conflicts.items] == [["pos", "neg"]] * 2
        assert [item["exact"] for item in conflicts.items] == [True, False]
        assert "2 texts with more than one label (1 of them exactly the same text)" in conflicts.text
        assert found(path, exact=True)["conflicts"].count == 1

    def test_leaks_are_found_between_every_two(self, write: Write) -> None:
        first = write("a.jsonl", FINE)
        second = write("b.jsonl", [(f"another text {n}", c) for n in range(20) for c in ("pos", "neg")] + [FINE[7]])
        third = write(
            "c.jsonl", [("A POS7ISH film that I saw once.", "neg"), *[(f"third {n}", "pos") for n in range(20)]]
        )
        leaks = [f for f in report(first, second, third).findings if f.name == "leaks"]
        assert [(f.data, f.count, f.level) for f in leaks] == [
            ((str(first), str(second)), 1, "error"),
            ((str(first), str(third)), 1, "error"),
            ((str(second), str(third)), 1, "error"),
        ]
        assert [lines(f) for f in leaks] == [[[41, 8]], [[1, 8]], [[1, 41]]]
        assert "1 exactly, 0 after normalising; 0 with another label" in leaks[0].text
        assert "0 exactly, 1 after normalising; 1 with another label" in leaks[1].text
        assert not [f for f in report(first, third, exact=True).findings if f.name == "leaks"]

    def test_the_same_file_twice_leaks_all_of_it(self, write: Write) -> None:
        path = write("a.jsonl", FINE)
        leaks = found(path, path)["leaks"]
        assert leaks.data == (str(path), f"{path} (2)")
        assert (leaks.count, len(leaks.items)) == (20, 10)
        assert leaks.text.startswith("it is the same file, 20 texts of 20 are in")

    def test_what_is_named_is_bounded_and_all_is_counted(self, write: Write) -> None:
        path = write("a.jsonl", FINE * 3)
        for show in (0, 3):
            duplicates = found(path, show=show)["duplicates"]
            assert (duplicates.count, len(duplicates.items)) == (40, show)


NORMALISED = [
    ("It's  GOOD,\n\treally!", "it s good really"),
    ("Ｆｕｌｌ ｗｉｄｔｈ…", "full width"),
    ("cafe\u0301 d\u00e9j\u00e0", "café déjà"),
    ("हिन्दी की किताब।", "हिन्दी की किताब"),
    ("co\u00adoperate\u200b «oui»\u00a0!", "cooperate oui"),
    ("C++ for $5 😀", "c++ for $5 😀"),
    ("日本語。テキスト", "日本語 テキスト"),
    (":-)", ""),
]


class TestNormalising:
    @pytest.mark.parametrize(("text", "expected"), NORMALISED)
    def test_what_counts_as_the_same(self, text: str, expected: str) -> None:
        assert normalised(text) == expected

    def test_marks_of_vowels_tell_words_apart(self) -> None:
        assert normalised("की") != normalised("का")

    def test_html_is_dropped_and_comparisons_are_not(self) -> None:
        assert without_html("a<br/>b &amp; <3 a < b > c").split() == ["a", "b", "<3", "a", "<", "b", ">", "c"]

    def test_texts_of_punctuation_alone_are_the_same_only_when_equal(self, write: Write) -> None:
        path = write("a.jsonl", [*FINE, (":-)", "pos"), (":-(", "neg")])
        assert found(path).keys() == {"one-word-texts"}


class TestClasses:
    def test_a_class_without_two_different_texts_cannot_be_learned(self, write: Write) -> None:
        rows = [*FINE, ("only me", "rare"), *[("we are all one", "same")] * 3]
        findings = found(write("a.jsonl", rows))
        small = findings["small-classes"]
        assert (small.level, small.count) == ("error", 2)
        assert "'rare' (1), 'same' (3)" in small.text
        assert lines(small) == [[21], [22]]
        assert "rare-classes" not in findings

    def test_in_later_data_sets_a_small_class_is_a_warning(self, write: Write) -> None:
        findings = found(write("a.jsonl", FINE), write("b.jsonl", [("some new one", "pos"), ("new two", "neg")]))
        assert {(f.name, f.level) for f in findings.values()} == {("rare-classes", "warning")}

    def test_imbalance_is_a_warning(self, write: Write) -> None:
        rows = [*FINE, *[(f"more of the same {n}", "pos") for n in range(90)]]
        imbalance = found(write("a.jsonl", rows))["imbalance"]
        assert (imbalance.level, imbalance.text) == ("warning", "'pos' has 10 times the rows of 'neg'")
        assert not found(write("a.jsonl", rows[:-1]))

    def test_one_class_is_an_error(self, write: Write) -> None:
        assert found(write("a.jsonl", FINE[:10]))["one-class"].level == "error"

    def test_classes_that_differ_by_case_or_space(self, write: Write) -> None:
        rows = [(t, {"pos": "so so", "neg": "neg"}[c]) for t, c in FINE] + [(f"odd {n}", "So  So") for n in range(10)]
        alike = found(write("a.jsonl", rows))["similar-classes"]
        assert (alike.level, alike.count) == ("warning", 1)
        assert "'So  So' (10), 'so so' (10)" in alike.text

    def test_label_sets_that_differ(self, write: Write) -> None:
        second = write("b.jsonl", [(f"{c} {n} is new", c) for n in range(10) for c in ("pos", "mixed")])
        findings = found(write("a.jsonl", FINE), second)
        assert {name: f.level for name, f in findings.items()} == {
            "unknown-classes": "error",
            "missing-classes": "warning",
        }
        assert lines(findings["unknown-classes"]) == [[2]]
        assert "'mixed' (10)" in findings["unknown-classes"].text
        assert "'neg' (10)" in findings["missing-classes"].text

    def test_a_column_of_texts_is_no_column_of_labels(self, write: Write) -> None:
        path = write("a.jsonl", [("text", f"label {n}") for n in range(10_001)])
        (finding,) = report(path).findings[:1]
        assert finding.name == "unreadable"
        assert "more than 10,000 different values" in finding.text


class TestOutliers:
    def test_texts_far_longer_than_the_others(self, write: Write) -> None:
        rows = [
            *FINE * 10,
            (" ".join(f"w{n}" for n in range(150)), "pos"),
            (" ".join(f"w{n}" for n in range(90)), "pos"),
        ]
        long = found(write("a.jsonl", rows))["long-texts"]
        assert (long.count, lines(long)) == (1, [[201]])
        assert "longest 150" in long.text

    def test_texts_of_one_word(self, write: Write) -> None:
        short = found(write("a.jsonl", [*FINE, ("good", "pos"), ("<br />", "neg")]))["one-word-texts"]
        assert (short.count, lines(short)) == (2, [[21], [22]])

    def test_one_word_is_usual_where_no_spaces_are_written(self, write: Write) -> None:
        assert not found(write("a.jsonl", [(f"とても良い映画でした{n}{c}", c) for n in range(20) for c in "ab"]))

    def test_what_an_encoding_has_damaged(self, write: Write) -> None:
        rows = [*FINE, ("cafÃ© au lait was good I think", "pos"), ("caf\ufffd au lait was bad I think", "neg")]
        findings = found(write("a.jsonl", rows))
        assert (lines(findings["mojibake"]), lines(findings["replaced-characters"])) == ([[21]], [[22]])
        assert {f.level for f in findings.values()} == {"warning"}

    @pytest.mark.parametrize("text", ["café", "it’s — “so”", "привет мир", "great 😀", "naïve Ångström"])
    @pytest.mark.parametrize("wrong", ["latin-1", "cp1252"])
    def test_mojibake_is_known_and_right_texts_are_not_taken_for_it(self, text: str, wrong: str) -> None:
        assert not is_mojibake(text)
        assert is_mojibake(text.encode().decode(wrong, "replace"))

    @pytest.mark.parametrize("text", ["voilà\u00a0» fatigué\u00a0»", "SÃO PAULO, MAÇÃ", "Âge d’or", "à\u00a0« oui"])
    def test_languages_with_accents_are_no_mojibake(self, text: str) -> None:
        assert not is_mojibake(text)


class TestBadRows:
    def test_kinds_of_bad_rows_are_those_that_can_be_allowed(self) -> None:
        assert set(BAD_ROWS) < set(get_args(Allowed))

    def test_every_kind_is_counted_and_named(self, tmp_path: Path) -> None:
        good = "".join(f"{text},{label}\n" for text, label in FINE)
        path = tmp_path / "a.csv"
        path.write_bytes(
            b"text,label\n" + good.encode() + b"a,b,c\na,\n ,pos\n\xc2\xa0,pos\nn\0,pos\ncaf\xe9,pos\n"
            b'"open,pos\n' + good.replace("film", "book").encode()
        )
        result = report(path)
        assert [(f.name, f.count, lines(f)) for f in result.findings] == [
            ("bad-columns", 1, [[22]]),
            ("bad-bytes", 1, [[27]]),
            ("nul-character", 1, [[26]]),
            ("bad-quotes", 1, [[28]]),
            ("empty-label", 1, [[23]]),
            ("blank-text", 2, [[24], [25]]),
        ]
        assert {f.level for f in result.findings} == {"error"}
        assert (result.data[0]["rows"], result.data[0]["bad_rows"]) == (40, 7)
        bytes_ = result.findings[1]
        offset = path.read_bytes().index(0xE9)
        assert bytes_.items == [
            {
                "rows": [
                    {"data": str(path), "where": f"line 27, byte {offset}", "line": 27, "excerpt": "caf\ufffd,pos"}
                ],
                "count": 1,
                "what": "0xe9 is not utf-8",
            }
        ]

    def test_lines_are_those_of_the_file_also_behind_bad_rows(self, tmp_path: Path) -> None:
        """Rows that a finding names are read a second time."""
        path = tmp_path / "a.csv"
        rows = "".join(f"{text},{label}\n" for text, label in FINE)
        path.write_text(f'text,label\nx,y,z\n\n ,pos\n{rows}"two\nlines",pos\nx\n{FINE[0][0]},pos\n')
        assert lines(found(path)["duplicates"]) == [[5, 28]]

    def test_a_table_that_cannot_be_read_does_not_hide_the_others(self, write: Write, tmp_path: Path) -> None:
        bad = tmp_path / "b.csv"
        bad.write_text("review,label\na,b\n")
        findings = report(bad, write("a.jsonl", [*FINE, FINE[0]])).findings
        assert [(f.name, f.level) for f in findings] == [("unreadable", "error"), ("duplicates", "warning")]
        assert findings[0].text == f"{bad} has no column 'text'; its columns are: review, label"
        assert findings[0].hint == "Name yours with --text-column"

    def test_an_encoding_that_cannot_go_on_ends_the_reading_there(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_bytes("text,label\n".encode("utf-16") + b"\x00\xd8" + "a,b\n".encode("utf-16-le"))
        columns = TextDataConfig(encoding="utf-16")
        (finding,) = check_texts([path], columns, show=3, exact=False, progress=Silent()).findings
        assert (finding.name, finding.level) == ("unreadable", "error")
        assert finding.text.startswith(f"{path}")
        assert "utf-16" in finding.text

    @pytest.mark.parametrize(("content", "name"), [("text,label\n", "no-rows"), ("", "unreadable")])
    def test_no_rows(self, tmp_path: Path, content: str, name: str) -> None:
        path = tmp_path / "a.csv"
        path.write_text(content)
        assert [(f.name, f.level) for f in report(path).findings] == [(name, "error")]


class TestFolders:
    @pytest.fixture
    def imdb(self, tmp_path: Path) -> Path:
        for part in ("train", "test"):
            for number, (text, label) in enumerate(FINE):
                file = tmp_path / "d" / part / label / f"{number:02}.txt"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"{part} {text}")
        return tmp_path / "d"

    def test_each_part_is_a_data_set(self, imdb: Path) -> None:
        (imdb / "test/pos/00.txt").write_bytes((imdb / "train/pos/05.txt").read_bytes())
        result = report(imdb)
        assert [one["data"] for one in result.data] == [str(imdb / "train"), str(imdb / "test")]
        (leak,) = result.findings
        assert (leak.name, leak.count) == ("leaks", 1)
        assert [(row["where"], row["line"]) for row in leak.items[0]["rows"]] == [
            (str(imdb / "test/pos/00.txt"), None),
            (str(imdb / "train/pos/05.txt"), None),
        ]

    def test_bad_files_are_named(self, imdb: Path) -> None:
        train = imdb / "train"
        (train / "neg/a.txt").write_bytes(b"one\ncaf\xe9")
        (train / "neg/b.txt").write_bytes(b"\0")
        (train / "neg/c.txt").write_bytes(b"\n")
        result = report(train)
        assert [(f.name, f.text, f.items[0]["rows"][0]["where"]) for f in result.findings] == [
            ("bad-bytes", "1 file has bytes that are not of the encoding", f"{train}/neg/a.txt, line 2, byte 7"),
            ("nul-character", "1 file has a NUL or half a character", f"{train}/neg/b.txt"),
            ("blank-text", "1 file has a blank text", f"{train}/neg/c.txt"),
        ]
        assert (result.data[0]["rows"], result.data[0]["bad_rows"]) == (20, 3)
