"""Damaged pictures: bits flipped, ends cut off, headers and lengths overwritten. A function of the number alone."""

from __future__ import annotations

import random

from vision.pictures import every_kind

_LENGTHS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\1\0\0", b"\xff\xff")


def mutated(count: int, *, seed: int = 5) -> list[tuple[str, bytes]]:
    """Return `count` damaged pictures with the kind each was."""
    kinds = list(every_kind().items())
    return [_mutation(*kinds[number % len(kinds)], random.Random(seed * 1_000_003 + number)) for number in range(count)]


def _mutation(kind: str, data: bytes, chance: random.Random) -> tuple[str, bytes]:
    found = bytearray(data)
    how = chance.choice(("bits", "header bits", "cut", "lengths", "header lengths", "doubled", "zeros"))
    header = min(len(found), 80)
    if how in ("bits", "header bits"):
        for _ in range(chance.choice((1, 1, 3, 20))):
            found[chance.randrange(header if how == "header bits" else len(found))] ^= 1 << chance.randrange(8)
    elif how == "cut":
        del found[chance.randrange(len(found)) :]
    elif how in ("lengths", "header lengths"):
        at, value = chance.randrange(2, header if how == "header lengths" else len(found)), chance.choice(_LENGTHS)
        found[at : at + len(value)] = value
    elif how == "doubled":
        first, last = sorted(chance.choices(range(len(found)), k=2))
        found[first:first] = found[first:last]
    else:
        first = chance.randrange(len(found))
        found[first : first + chance.randrange(1, 200)] = b"\0" * chance.randrange(1, 200)
    return f"{kind}, {how}", bytes(found)
