"""Damaged tables and text files: bits flipped, cut, spliced, quotes and other bytes put in; by number alone."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import NamedTuple

_WORDS = (
    "good",
    "bad",
    "a film",
    "é",
    "naïve",
    "ß",
    "Ж",
    "日本",
    "\U0001f600",
    'so "called"',
    "one, two",
    "tab\there",
    "",
)
_PUT = {
    "quotes": (b'"', b'""', b'"""', b'",', b'\n"', b"'"),
    "odd bytes": (b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x1a"),
    "line ends": (b"\n", b"\r", b"\r\n", b"\n\r", b"\n\n\n", b"\x0b", b"\x0c", b"\xc2\x85", b"\xe2\x80\xa8"),
    "separators": (b",", b"\t", b",,", b";", b"{", b"}", b"[[[", b"\\", b"\\u", b"\\ud800", b":", b"NaN", b"1e999"),
}
# A block that is doubled again and again would fill the memory of whoever makes it.
_LARGEST = 2_000_000
_WAYS = ("whole", "bits", "cut", "block twice", "block gone", "long line", "deep", *_PUT)


class Mutation(NamedTuple):
    """A damaged file.

    Attributes:
        name: of the file, with its ending.
        data: its bytes.
        encoding: in which it was written.
        way: how it was damaged.
    """

    name: str
    data: bytes
    encoding: str
    way: str


def mutated(number: int, *, seed: int = 5) -> Mutation:
    """Return the damaged file of a number."""
    chance = random.Random(seed * 1_000_003 + number)
    name = chance.choice(("x.csv", "x.tsv", "x.jsonl", "x.txt"))
    encoding = chance.choice(("utf-8", "utf-8", "utf-8", "utf-16", "utf-16-le", "latin-1", "cp1252", "utf-8-sig"))
    data = bytearray(_whole(name, chance).encode(encoding, "replace"))
    way = chance.choice(_WAYS)
    for _ in range(chance.choice((1, 1, 1, 3, 20)) if way != "whole" else 0):
        if len(data) < _LARGEST:
            _damage(data, way, chance)
    return Mutation(name, bytes(data), encoding, way)


def _whole(name: str, chance: random.Random) -> str:
    rows = [
        {"text": " ".join(chance.choices(_WORDS, k=chance.randint(0, 12))), "label": chance.choice(("neg", "pos"))}
        for _ in range(chance.choice((0, 1, 2, 5, 40, 300)))
    ]
    if chance.random() < 0.2:
        rows = [row | {"text": row["text"].replace(" ", "\n", 1)} for row in rows]
    if name == "x.txt":
        return "\n".join(row["text"] for row in rows)
    if name == "x.jsonl":
        return "".join(json.dumps(row, ensure_ascii=chance.random() < 0.5) + "\n" for row in rows)
    file = io.StringIO()
    writer = csv.DictWriter(
        file,
        ("text", "label"),
        delimiter="\t" if name == "x.tsv" else ",",
        lineterminator=chance.choice(("\n", "\r\n", "\r")),
        quoting=chance.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
    )
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _damage(data: bytearray, way: str, chance: random.Random) -> None:
    at = chance.randrange(len(data) + 1)
    until = min(len(data), at + chance.choice((1, 3, 30, 3000)))
    if way in _PUT:
        data[at:at] = chance.choice(_PUT[way]) * chance.choice((1, 1, 1, 2, 5, 100))
    elif way == "bits" and data:
        data[at % len(data)] ^= 1 << chance.randrange(8)
    elif way == "cut":
        del data[at:]
    elif way == "block twice":
        data[at:at] = data[at:until] * chance.choice((1, 1, 3, 20))
    elif way == "block gone":
        del data[at:until]
    elif way == "long line":
        data[at:at] = chance.choice((b"x", b"x ", b"\xc3\xa9", b'"')) * chance.choice((10_000, 200_000))
    elif way == "deep":
        data[at:at] = chance.choice((b"[", b'{"a":', b"[[], ")) * chance.choice((100, 5000))
