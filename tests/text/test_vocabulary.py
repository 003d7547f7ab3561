"""Counting, cutting and saving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlcli.text.vocabulary import KeyCounter, Vocabulary, most_frequent

SINGLES = np.array([5, 9, 5, 7, 5, 9, 0], np.int64)
PAIRS = np.array([100, 101, 100, 0, 0, 102, 101], np.int64)


def ranked(**settings: int | None) -> list[tuple[int, int]]:
    counters = []
    for keys in (SINGLES, PAIRS):
        counters.append(KeyCounter())
        for some in np.array_split(keys, 3):
            counters[-1].add(some)
    keys, counts = most_frequent(counters, **{"min_count": 1, "max_features": None, **settings})
    return list(zip(keys.tolist(), counts.tolist(), strict=True))


def test_by_count_then_length_then_key_and_zero_is_none() -> None:
    assert ranked() == [(5, 3), (9, 2), (100, 2), (101, 2), (7, 1), (102, 1)]


def test_rare_keys_are_dropped() -> None:
    assert ranked(min_count=2) == [(5, 3), (9, 2), (100, 2), (101, 2)]
    assert ranked(min_count=4) == []


@pytest.mark.parametrize("size", [1, 3, 6, 100])
def test_only_so_many_are_kept(size: int) -> None:
    assert ranked(max_features=size) == ranked()[:size]


def test_saved_terms_and_counts_come_back(tmp_path: Path) -> None:
    terms = ["good", "not good", "\u2028", "a\x1c", "é", "#", '"', "5\u00a0"]
    counts = np.arange(len(terms), 0, -1) * 10**10
    texts = counts // 2
    Vocabulary(keys=np.arange(len(terms)), counts=counts, texts=texts, terms=terms).save(tmp_path / "v.tsv")
    again, numbers, in_texts = Vocabulary.read(tmp_path / "v.tsv")
    assert again == terms
    assert numbers.tolist() == counts.tolist()
    assert in_texts.tolist() == texts.tolist()
    assert numbers.dtype == np.int64
    start = f"term\tcount\ttexts\ngood\t{counts[0]}\t{texts[0]}\nnot good\t{counts[1]}\t{texts[1]}\n"
    assert (tmp_path / "v.tsv").read_text(encoding="utf-8").startswith(start)


@pytest.mark.parametrize(
    "content", ["", "good\t1\t1\n", "good\n", "good\tmany\t1\n", "good\t1\n", "good\t1\t1\n\nbad\t1\t1\n"]
)
def test_other_lines_are_a_value_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "v.tsv").write_text("term\tcount\ttexts\n" * (content != "good\t1\t1\n") + content)
    with pytest.raises(ValueError, match=r"invalid literal|not enough values|expected the header"):
        Vocabulary.read(tmp_path / "v.tsv")
