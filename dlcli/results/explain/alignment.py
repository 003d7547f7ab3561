"""Where the tokens of a text stand in it: cleaning changes letters and drops markup, and keeps no places.

Tokens come in the text's order, so each is looked for behind the one before it, with both folded to what cleaning
cannot change: no case, no accents, compatibility forms undone. What is between two tokens was dropped: no word.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

from dlcli.text.normalise import HTML

_HTML = re.compile(HTML)
_URL = re.compile(r"(?i)\b(?:https?://|www\.)[^\s<>\"]+")


def place_tokens(
    text: str, tokens: Sequence[str], *, strip_html: bool, strip_urls: bool
) -> list[tuple[int, int] | None]:
    """Find the tokens of a text in it.

    Args:
        text: raw.
        tokens: all of them, in their order, after cleaning.
        strip_html: whether they are without HTML.
        strip_urls: whether they are without web addresses.

    Returns:
        for each the place of its first character and that behind its last one; None where it cannot be told.
    """
    if strip_html:
        text = _HTML.sub(_blank, text)
    if strip_urls:
        text = _URL.sub(_blank, text)
    folded, places = _folded(text)
    found: list[tuple[int, int] | None] = []
    behind, lost = 0, False
    for token in tokens:
        wanted, _ = _folded(token)
        at = folded.find(wanted, behind) if wanted.strip() else -1
        # Behind a token that was not found its letters are still to come.
        if at < 0 or (not lost and _has_word(folded[behind:at])):
            found.append(None)
            lost = True
            continue
        behind, lost = at + len(wanted), False
        found.append((places[at], _with_marks(text, places[behind - 1] + 1)))
    return found


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


def _folded(text: str) -> tuple[str, list[int]]:
    """Return a text folded, and for each of its characters the place of the one that it comes from."""
    if text.isascii():
        return text.lower(), list(range(len(text)))
    parts = [_fold(character) for character in text]
    return "".join(parts), [place for place, part in enumerate(parts) for _ in part]


@functools.cache
def _fold(character: str) -> str:
    parts = unicodedata.normalize("NFKD", character)
    folded = "".join(part for part in parts if not unicodedata.combining(part)).casefold()
    # An accent that stands alone is a space with a mark on it.
    return folded if folded.strip() or not folded or character.isspace() else character


def _has_word(text: str) -> bool:
    return any(character.isalnum() or character == "_" for character in text)


def _with_marks(text: str, stop: int) -> int:
    """Return a place, behind the marks that belong to the letter before it."""
    while stop < len(text) and unicodedata.combining(text[stop]):
        stop += 1
    return stop
