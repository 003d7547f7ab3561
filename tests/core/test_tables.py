"""The tolerant parser: every bad row is named by its line, and no good row behind it is lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from dlcli.core import lines
from dlcli.core.lines import BadRow
from dlcli.core.tables import Row, scan_rows
from dlcli.text.config import TextDataConfig
from dlcli.text.read import scan_labelled

Found = tuple[list[tuple[int, str]], list[tuple[int | None, str]]]


def scan(path: Path, encoding: str = "utf-8") -> Found:
    """Return the good rows (line, text) and the bad ones (line, kind)."""
    good: list[tuple[int, str]] = []
    bad: list[tuple[int | None, str]] = []
    for item in scan_rows(path, encoding=encoding, required={"text": "--text-column", "label": "--label-column"}):
        if isinstance(item, Row):
            good.append((item.line, item.cells["text"]))
        else:
            bad.append((item.line, item.kind))
    return good, bad


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def _table(rows: str | bytes, name: str = "x.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(b"text,label\n" + (rows if isinstance(rows, bytes) else rows.encode()))
        return path

    return _table


Table = Callable[[str | bytes], Path]

CASES: dict[str, tuple[str | bytes, Found]] = {
    "columns": ("a,x\nb\nc,x,y\nd,x\n", ([(2, "a"), (5, "d")], [(3, "bad-columns"), (4, "bad-columns")])),
    "bytes": (b"a,x\nb\xe9,x\nc\xe9\xe9,\xff\nd,x\n", ([(2, "a"), (5, "d")], [(3, "bad-bytes"), (4, "bad-bytes")])),
    "NUL": ("a,x\nb\0,x\nd,x\n", ([(2, "a"), (4, "d")], [(3, "nul-character")])),
    "text after a quote": ('"a" b,x\nc,x\n', ([(3, "c")], [(2, "bad-quotes")])),
    "unclosed to the end": ('"a,x\nb,x\nc,x', ([(3, "b"), (4, "c")], [(2, "bad-quotes")])),
    "unclosed to the next quote": ('"a,x\nb,x\n"c ""d""",x\n', ([(3, "b"), (4, 'c "d"')], [(2, "bad-quotes")])),
    "unclosed twice": ('"a,x\nb,x\n"c,x\nd,x\n', ([(3, "b"), (5, "d")], [(2, "bad-quotes"), (4, "bad-quotes")])),
    "a long text with a bad byte is one row": (b'"a\nb\xe9\nc",x\nd,x\n', ([(5, "d")], [(3, "bad-bytes")])),
    "trouble in lines that a quote swallowed": (
        b'"a,x\nb\xe9,x\nc\0,x\nd,x\n',
        ([(5, "d")], [(2, "bad-quotes"), (3, "bad-bytes"), (4, "nul-character")]),
    ),
    "a bad byte in the line of an open quote": (b'"a\xe9,x\nb,x\n', ([(3, "b")], [(2, "bad-bytes")])),
    "carriage returns": (
        'a,x\r\n"b\r\nc",x\r\nd\r\ne,x\r\n',
        ([(2, "a"), (3, "b\r\nc"), (6, "e")], [(5, "bad-columns")]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_rows_behind_a_bad_one_are_read(table: Table, case: str) -> None:
    content, expected = CASES[case]
    assert scan(table(content)) == expected


def test_offsets_of_bad_bytes_count_from_the_beginning_of_the_file(table: Table) -> None:
    path = table('schön,x\n"open,x\n'.encode() + b"caf\xe9,x\n")
    bad = [item for item in scan_rows(path, encoding="utf-8") if isinstance(item, BadRow)]
    assert [item.message for item in bad] == [
        f"{path}, line 3: a quote that opens here is never closed",
        f"{path}, line 4, byte {path.read_bytes().index(0xE9)}: 0xe9 is not utf-8",
    ]
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    marked = [item for item in scan_rows(path, encoding="utf-8") if isinstance(item, BadRow)]
    assert marked[1].where == f"line 4, byte {path.read_bytes().index(0xE9)}"


@pytest.mark.parametrize("encoding", ["cp1252", "shift_jis", "gb18030", "ascii"])
def test_bad_bytes_of_other_encodings_cost_one_row(table: Table, encoding: str) -> None:
    path = table(b"a,x\nb\x81 ,x\nc,x\n")
    assert scan(path, encoding) == ([(2, "a"), (4, "c")], [(3, "bad-bytes")])


def test_json_goes_on_behind_every_kind_of_trouble(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(
        b'{"text": "a", "label": "x"}\n{"text": \n[1]\n{"text": "b"}\n\n{"text": "\xe4", "label": "x"}\n'
        b'{"text": 1.5, "label": "x"}\n{"text": "\\u0000", "label": "x"}\n{"text": "c", "label": " "}\n'
        b'{"text": "d", "label": "x"}'
    )
    items = list(scan_labelled(path, TextDataConfig(), part="train"))
    assert [(i.line, i.item) for i in items if not isinstance(i, BadRow)] == [(1, "a"), (10, "d")]
    assert [(i.line, i.kind) for i in items if isinstance(i, BadRow)] == [
        (2, "bad-json"),
        (3, "bad-json"),
        (4, "bad-columns"),
        (6, "bad-bytes"),
        (7, "bad-type"),
        (8, "nul-character"),
        (9, "empty-label"),
    ]


def test_twenty_thousand_rows_with_bad_ones_of_every_kind(table: Table) -> None:
    """Every bad line is named, every good row is there: the kinds are drawn, also one after the other."""
    draw = random.Random(5)
    kinds = {
        "bad-columns": lambda n: f"row {n},x,y\n".encode(),
        "bad-bytes": lambda n: f"caf{n}".encode() + b"\xe9,x\n",
        "nul-character": lambda n: f"row\0 {n},x\n".encode(),
        "bad-quotes": lambda n: (f'"row {n},x\n' if n % 2 else f'"row" {n},x\n').encode(),
    }
    content, good, bad, line = [], [], [], 2
    for n in range(20_000):
        if draw.random() < 0.02:
            kind = draw.choice(list(kinds))
            content.append(kinds[kind](n))
            bad.append((line, kind))
        else:
            text = draw.choice([f"row {n}", f"schön {n}, “ja”", f'"{n}" it said', f"one {n}\ntwo, three\n\nfour"])
            quoted = '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text
            content.append(f"{quoted},x\n".encode())
            good.append((line, text))
        line += content[-1].count(b"\n")
    found_good, found_bad = scan(table(b"".join(content)))
    assert len(bad) > 300
    assert found_bad == bad
    assert found_good == good


def test_a_quote_that_is_never_closed_does_not_read_all_of_a_large_file(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_LONGEST", 1000)
    good, bad = scan(table('"a,x\n' + "b,x\n" * 10_000))
    assert (len(good), bad) == (10_000, [(2, "bad-quotes")])


def test_a_file_whose_every_quote_is_wrong_ends(table: Table) -> None:
    """Each line opens a quote that runs on to the end: to read all behind each again would take hours."""
    path = table('a",b,"\n' * 20_000)
    bad = [item for item in scan_rows(path, encoding="utf-8") if isinstance(item, BadRow)]
    assert [item.line for item in bad[:3]] == [2, 3, 4]
    assert len(bad) < 20
    assert bad[-1].message == (
        f"{path}, line {len(bad) + 1}: up to line 20001 nothing is read: too many quotes before it do not match"
    )
