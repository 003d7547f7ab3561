"""Reading tables and folders: every row, or one line that names the bad one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlcli.core.folders import parts_of
from dlcli.core.lines import strict
from dlcli.core.tables import scan_rows
from dlcli.errors import DataError, UsageError
from dlcli.text.config import TextDataConfig
from dlcli.text.read import read_labelled, scan_texts, text_files

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


def read(path: Path, **settings: Any) -> list[tuple[str, str]]:
    part = settings.pop("part", "train")
    found = read_labelled(path, TextDataConfig(**settings), part=part)
    return list(zip(found.texts, found.labels, strict=True))


ROWS = [("good, really", "pos"), ('a "bad" film', "neg")]
TABLES = {
    "x.csv": 'text,label\n"good, really",pos\n"a ""bad"" film",neg\n',
    "x.CSV": 'label,text\r\npos,"good, really"\r\nneg,"a ""bad"" film"\r\n',
    "x.tsv": 'text\tlabel\ngood, really\tpos\n"a ""bad"" film"\tneg\n',
    "x.tab": 'n\ttext\tlabel\n1\tgood, really\tpos\n\n2\t"a ""bad"" film"\tneg',
    "x.jsonl": '{"text": "good, really", "label": "pos"}\n\n{"label": "neg", "text": "a \\"bad\\" film", "n": [1]}\n',
    "x.ndjson": '{"text": "good, really", "label": "pos"}\n{"label": "neg", "text": "a \\"bad\\" film"}',
}


class TestTables:
    @pytest.mark.parametrize("name", TABLES)
    def test_every_kind_gives_the_same_rows(self, write: Write, name: str) -> None:
        assert read(write(name, TABLES[name])) == ROWS

    @pytest.mark.parametrize("name", TABLES)
    @pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf_8"])
    def test_a_byte_order_mark_is_understood(self, write: Write, name: str, encoding: str) -> None:
        assert read(write(name, b"\xef\xbb\xbf" + TABLES[name].encode()), encoding=encoding) == ROWS

    @pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le"])
    def test_other_encodings_are_read_when_named(self, write: Write, encoding: str) -> None:
        path = write("x.csv", "text,label\nschön,gut\nübel,schlecht\n".encode(encoding))
        assert read(path, encoding=encoding) == [("schön", "gut"), ("übel", "schlecht")]

    def test_columns_are_named_by_the_config(self, write: Write) -> None:
        path = write("x.csv", "id,review,stars\n1,good,5\n2,bad,1\n")
        assert read(path, text_column="review", label_column="stars") == [("good", "5"), ("bad", "1")]

    def test_a_text_over_several_lines_is_one_text(self, write: Write) -> None:
        path = write("x.csv", 'text,label\n"one\ntwo\r\nthree",pos\nfour,neg\n')
        assert read(path) == [("one\ntwo\r\nthree", "pos"), ("four", "neg")]

    def test_a_very_long_text_is_read(self, write: Write) -> None:
        assert len(read(write("x.csv", f"text,label\n{'word ' * 100_000},pos\n"))[0][0]) == 500_000

    def test_labels_are_stripped_and_texts_are_not(self, write: Write) -> None:
        assert read(write("x.csv", "text,label\n good , pos \n")) == [(" good ", "pos")]

    def test_whole_numbers_and_truth_values_of_json_are_labels(self, write: Write) -> None:
        path = write("x.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": true}\n{"text": 7, "label": "x"}\n')
        assert read(path) == [("a", "1"), ("b", "True"), ("7", "x")]

    def test_blank_texts_are_kept_and_listed(self, write: Write) -> None:
        path = write("x.csv", 'text,label\ngood,pos\n,pos\n" \n\u00a0",neg\nbad,neg\n')
        found = read_labelled(path, TextDataConfig())
        assert len(found.texts) == 4
        assert found.blank == ["line 3", "line 4"]
        assert list(zip(*[iter(found.without_blanks().texts)] * 2, strict=True)) == [("good", "bad")]
        assert found.without_blanks().labels == ["pos", "neg"]

    def test_nothing_but_blank_texts_is_an_error(self, write: Write) -> None:
        path = write("x.csv", "text,label\n,pos\n ,neg\n")
        with pytest.raises(DataError) as caught:
            read_labelled(path, TextDataConfig()).without_blanks()
        assert caught.value.message == f"{path} has no text: all 2 are blank"

    def test_rows_come_with_all_columns_and_their_lines(self, write: Write) -> None:
        rows = list(strict(scan_rows(write("x.csv", 'a,b\n"1\n1",2\n\n3,4\n'), encoding="utf-8")))
        assert [(row.where, row.cells) for row in rows] == [
            ("line 2", {"a": "1\n1", "b": "2"}),
            ("line 5", {"a": "3", "b": "4"}),
        ]

    def test_rows_stream(self, write: Write) -> None:
        """The first rows are there before the bad one, far behind, is met."""
        path = write("x.csv", "text,label\n" + "good,pos\n" * 100_000 + "bad\n")
        rows = strict(scan_rows(path, encoding="utf-8"))
        assert next(rows).cells == {"text": "good", "label": "pos"}
        with pytest.raises(DataError, match="line 100002"):
            list(rows)


BAD = {
    "empty": ("x.csv", "", "{path} is empty"),
    "header alone": ("x.csv", "text,label\n", "{path} has no rows"),
    "no column": ("x.csv", "review,label\na,b\n", "{path} has no column 'text'; its columns are: review, label"),
    "other separator": ("x.csv", "text;label\na;b\n", "{path} has no column 'text'; its columns are: text;label"),
    "twice": ("x.csv", "text,label,text\na,b,c\n", "{path}: column 'text' stands twice in the header"),
    "too many": ("x.csv", "text,label\na,b\na,b,c\n", "{path}, line 3: expected 2 columns (text, label), got 3"),
    "too few": ("x.csv", 'text,label\n"a\nb",c\nd\n', "{path}, line 4: expected 2 columns (text, label), got 1"),
    "no label": ("x.csv", "text,label\na,b\nc, \n", "{path}, line 3: the label is empty"),
    "unclosed": ("x.csv", 'text,label\na,b\n"c,d\ne,f\n', "{path}, line 3: a quote that opens here is never closed"),
    "stray quote": ("x.csv", 'text,label\n"a" b,c\n', "{path}, line 2: ',' expected after '\"'"),
    "NUL": ("x.csv", "text,label\na,b\nc\0,d\n", "{path}, line 3: a NUL character"),
    "latin-1": (
        "x.csv",
        b"text,label\ngood,pos\nsch\xf6n,pos\n",
        "{path}, line 3, byte 23: 0xf6 is not utf-8",
    ),
    "UTF-16": ("x.csv", "text,label\na,b\n".encode("utf-16"), "{path} is UTF-16, expected plain text"),
    "bad JSON": (
        "x.jsonl",
        '{"text": "a", "label": "b"}\n{"text": \n',
        "{path}, line 2: not valid JSON (Expecting value: line 2 column 1 (char 10))",
    ),
    "JSON list": ("x.jsonl", "[1]\n", "{path}, line 1: expected a JSON object, got list"),
    "JSON null": ("x.jsonl", '{"text": null, "label": "b"}\n', "{path}, line 1: expected text in 'text', got NoneType"),
    "JSON float": ("x.jsonl", '{"text": "a", "label": 0.5}\n', "{path}, line 1: expected text in 'label', got float"),
    "JSON column": (
        "x.jsonl",
        '{"text": "a", "label": "b"}\n{"txt": "a", "label": "b"}\n',
        "{path}, line 2: there is no column 'text'; its columns are: txt, label",
    ),
    "JSON bytes": (
        "x.jsonl",
        b'{"text": "a", "label": "b"}\n{"text": "\xe4", "label": "b"}\n',
        "{path}, line 2, byte 38: 0xe4 is not utf-8",
    ),
}


class TestBadTables:
    @pytest.mark.parametrize("case", BAD)
    def test_the_message_names_the_line(self, write: Write, case: str) -> None:
        name, content, message = BAD[case]
        path = write(name, content)
        with pytest.raises(DataError) as caught:
            read(path)
        assert caught.value.message == message.format(path=path)
        assert caught.value.hint

    def test_a_missing_key_of_json_names_file_and_line_as_all_errors_do(self, write: Write) -> None:
        path = write(*BAD["JSON column"][:2])
        with pytest.raises(DataError) as caught:
            read(path)
        assert caught.value.message.startswith(f"{path}, line 2")
        assert "'text'" in caught.value.message
        assert "txt, label" in caught.value.message

    @pytest.mark.parametrize(
        "line",
        [
            '{"text": "a", "label": ' + "9" * 5000 + "}",
            '{"text": ' + "[" * 100_000 + "}",
            r'{"text": "a\ud800", "label": "b"}',
            r'{"text": "a\u0000b", "label": "b"}',
        ],
        ids=["a number of 5000 digits", "too deep", "half a surrogate pair", "NUL"],
    )
    def test_json_that_python_reads_and_we_cannot_use_is_a_data_error(self, write: Write, line: str) -> None:
        path = write("x.jsonl", f'{{"text": "a", "label": "b"}}\n{line}\n')
        with pytest.raises(DataError) as caught:
            read(path)
        assert f"{path}, line 2" in caught.value.message

    def test_a_byte_in_the_middle_of_a_large_file_is_found(self, write: Write) -> None:
        head = "text,label\n" + "schön,pos\n" * 20_000
        path = write("x.csv", head.encode() + b"caf\xe9,pos\n")
        with pytest.raises(DataError) as caught:
            read(path)
        place = f"line 20002, byte {len(head.encode()) + 3}"
        assert caught.value.message == f"{path}, {place}: 0xe9 is not utf-8"
        assert caught.value.hint == "Name its encoding, such as --encoding latin-1"

    def test_an_unknown_encoding_is_a_usage_error(self, write: Write) -> None:
        with pytest.raises(UsageError, match="--encoding: 'utf-9' is not known"):
            read(write("x.csv", "text,label\na,b\n"), encoding="utf-9")

    def test_an_unknown_type_is_a_usage_error(self, write: Write) -> None:
        path = write("x.xlsx", "PK")
        with pytest.raises(UsageError) as caught:
            read(path)
        assert caught.value.message == (
            f"{path}: expected a file ending in .csv, .tsv, .tab, .jsonl, .ndjson or a folder, got '.xlsx'"
        )

    def test_a_missing_file_names_a_near_one(self, write: Write) -> None:
        path = write("reviews.csv", "text,label\n")
        with pytest.raises(UsageError) as caught:
            read(path.with_name("review.csv"))
        assert caught.value.message == f"{path.with_name('review.csv')} does not exist"
        assert caught.value.hint == "Did you mean 'reviews.csv'?"


class TestFolders:
    @pytest.fixture
    def imdb(self, write: Write, tmp_path: Path) -> Path:
        for part in ("train", "test"):
            for name in ("pos", "neg"):
                for number in (2, 10):
                    write(f"d/{part}/{name}/{number}.txt", f"{part} {name} {number}")
        write("d/train/unsup/0.txt", "no label")
        write("d/train/labeledBow.feat", "1:2")
        write("d/README", "about")
        write("d/train/pos/.hidden.txt", "x")
        write("d/train/.cache/x.txt", "x")
        return tmp_path / "d"

    def test_imdb_s_layout_is_understood(self, imdb: Path) -> None:
        assert parts_of(imdb) == ["train", "test"]
        assert read(imdb) == [
            ("train neg 10", "neg"),
            ("train neg 2", "neg"),
            ("train pos 10", "pos"),
            ("train pos 2", "pos"),
        ]
        assert {text.split()[0] for text, _ in read(imdb, part="test")} == {"test"}

    def test_a_folder_a_class_is_read_without_parts(self, imdb: Path) -> None:
        assert read(imdb / "test", part="test") == read(imdb, part="test")

    def test_where_each_text_came_from_is_told(self, imdb: Path, write: Write) -> None:
        blank = write("d/train/pos/3.txt", " \n")
        assert read_labelled(imdb, TextDataConfig()).blank == [str(blank)]

    def test_files_deeper_in_a_class_count(self, imdb: Path, write: Write) -> None:
        write("d/train/pos/more/1.txt", "deep\r\ntext")
        assert ("deep\r\ntext", "pos") in read(imdb)

    @pytest.mark.parametrize(
        ("files", "message"),
        [
            ({"d/a.txt": b"x"}, "{root} has no folders"),
            ({"d/pos/a.txt": b"x", "d/neg/a.md": b"x"}, "{root}/neg has no .txt files"),
            ({"d/pos/a.txt": b"ok\nsch\xf6n"}, "{root}/pos/a.txt, line 2, byte 6: 0xf6 is not utf-8"),
            ({"d/pos/a.txt": b"a\0b"}, "{root}/pos/a.txt: a NUL character"),
        ],
    )
    def test_what_is_wrong_is_named(self, write: Write, tmp_path: Path, files: dict[str, bytes], message: str) -> None:
        for name, content in files.items():
            write(name, content)
        with pytest.raises(DataError) as caught:
            read(tmp_path / "d")
        assert caught.value.message == message.format(root=tmp_path / "d")

    def test_encoding_and_mark_hold_for_files(self, write: Write, tmp_path: Path) -> None:
        write("d/a/1.txt", b"\xef\xbb\xbfsch\xc3\xb6n")
        assert read(tmp_path / "d") == [("schön", "a")]
        write("d/a/1.txt", b"sch\xf6n")
        assert read(tmp_path / "d", encoding="latin-1") == [("schön", "a")]


class TestTexts:
    def test_texts_of_a_table_come_with_their_cells(self, write: Write) -> None:
        path = write("x.csv", "id,text\n1,good\n2,\n")
        assert list(strict(scan_texts(path, column="text", encoding="utf-8"))) == [
            ("good", {"id": "1", "text": "good"}, "line 2"),
            ("", {"id": "2", "text": ""}, "line 3"),
        ]

    def test_a_table_of_one_column_needs_no_label(self, write: Write) -> None:
        found = strict(scan_texts(write("x.csv", "text\na\nb\n"), column="text", encoding="utf-8"))
        assert [text.item for text in found] == ["a", "b"]

    def test_texts_of_a_folder_come_with_their_files(self, write: Write, tmp_path: Path) -> None:
        for name in ("b.txt", "a/c.txt", ".h/x.txt", "x.csv"):
            write(f"d/{name}", name)
        root = tmp_path / "d"
        assert text_files(root) == [root / "a" / "c.txt", root / "b.txt"]
        assert [text.item for text in strict(scan_texts(root, column="text", encoding="utf-8"))] == ["a/c.txt", "b.txt"]

    def test_unicode_line_separators_do_not_split_json(self, write: Write) -> None:
        line = json.dumps({"text": "a\u2028b\u0085c", "label": "x"}, ensure_ascii=False)
        assert read(write("x.jsonl", line + "\n")) == [("a\u2028b\u0085c", "x")]
