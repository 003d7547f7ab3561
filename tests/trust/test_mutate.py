"""Damaged texts are read as Python's own modules read them, or named: few here, ten thousand in `mutate.py`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from text.mutations import mutated
from trust.mutate import attempt


def test_damaged_texts_are_read_or_named(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    for number in range(250):
        outcome, problem = attempt(tmp_path, mutated(number))
        assert outcome != "failed", f"{number}: {problem}"
        counts[outcome] += 1
    assert min(counts["read"], counts["named"]) > 60
