"""Names and texts of data inside Markdown, where they must stay what they are: no markup, no links, no mentions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dlcli.errors import printable

# CommonMark 0.31, section 2.4: a backslash before punctuation makes it a character.
_SPECIAL = re.compile(r"([\\`*_\[\]<>&|~!$]|:(?=//))")
# GitHub makes links of these in the text that is left: a space without width keeps them apart from what follows.
_REFERENCES = re.compile(r"([@#])(?=\w)")
# Marks that turn the direction of what follows (Unicode Standard Annex 9); Markdown has no way to isolate a name.
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def escaped(text: str) -> str:
    """Return a text as Markdown on one line."""
    return _REFERENCES.sub("\\1\N{ZERO WIDTH SPACE}", _SPECIAL.sub(r"\\\1", _one_line(text)))


def code(text: str) -> str:
    """Return a text as a code span, in which nothing is markup and GitHub makes no links."""
    text = _one_line(text) or " "
    fence = "`" * (_longest_run(text) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"


def fenced(text: str) -> str:
    """Return lines as a block of code."""
    text = _DIRECTIONS.sub("\N{REPLACEMENT CHARACTER}", printable(text))
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}\n{text}\n{fence}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = True) -> str:
    """Return a table of GitHub's Markdown.

    Args:
        header: titles of the columns, as Markdown.
        rows: cells, as Markdown; a bar in one is escaped, also in code, as tables want it.
        numbers: whether all columns but the first hold numbers, and stand to the right.
    """
    marks = ["---", *["---:" if numbers else "---"] * (len(header) - 1)]
    lines = [header, marks, *rows]
    return "\n".join(f"| {' | '.join(_BAR.sub(chr(92) + '|', cell) for cell in line)} |" for line in lines)


_BAR = re.compile(r"(?<!\\)\|")


def _one_line(text: str) -> str:
    text = _DIRECTIONS.sub("\N{REPLACEMENT CHARACTER}", printable(text))
    return " ".join(text.split())


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
