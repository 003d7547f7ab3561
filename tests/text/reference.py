"""The text pipeline once more, in plain Python and by the book: what the TensorFlow graph is held against."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

REVIEWS = Path(__file__).resolve().parents[2] / "sample_data" / "reviews.csv"


def reviews() -> tuple[list[str], list[str]]:
    with REVIEWS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def words(text: str, *, punctuation: str = "keep") -> list[str]:
    text = re.sub(r"<br />", " ", text.lower())
    return re.findall(r"\w+|[^\w\s]" if punctuation == "keep" else r"\w+", text)


def ngrams(text: str, longest: int, *, punctuation: str = "keep") -> Iterator[str]:
    tokens = words(text, punctuation=punctuation)
    for size in range(1, longest + 1):
        for start in range(len(tokens) - size + 1):
            yield " ".join(tokens[start : start + size])


def count(texts: list[str], longest: int, *, punctuation: str = "keep") -> Counter[str]:
    counter: Counter[str] = Counter()
    for text in texts:
        counter.update(ngrams(text, longest, punctuation=punctuation))
    return counter
