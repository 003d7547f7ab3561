"""When two texts count as the same, and what looks as if an encoding went wrong; no model sees any of it."""

from __future__ import annotations

import re
import unicodedata

# Tags (a letter, / or ! follows the bracket, so that "<3" and "a < b" stay) and entities, as the text graph drops them.
HTML = r"</?[A-Za-z!][^<>]*>|&[A-Za-z][A-Za-z0-9]{1,7};|&#[0-9]{1,7};|&#[Xx][0-9A-Fa-f]{1,6};"
_HTML = re.compile(HTML)
# UTF-8 that was read as Latin-1 or cp1252, in the forms that no language writes: what became of accented letters, of
# typographic quotes and dashes, of two Cyrillic letters, of emoji. (French writes "é" before a no-break space and "»".)
_FOLLOWING = "\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_MOJIBAKE = re.compile(f"[ÂÃ][{_FOLLOWING}]|â[€\u0080][{_FOLLOWING}]|(?:[ÐÑ][{_FOLLOWING}]){{2}}|ð[Ÿ\u009f]")


class _Characters(dict[int, "str | None"]):
    """For `str.translate`: punctuation, white space and control characters become a space, invisible ones nothing.

    Filled as characters are met. Letters with their marks, digits and symbols (+, $, emoji) stay.
    """

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        category = unicodedata.category(character)
        became = None if category == "Cf" else " " if category[0] in "PZ" or category in ("Cc", "Sk") else character
        self[code] = became
        return became


_CHARACTERS = _Characters()


def without_html(text: str) -> str:
    """Return a text with a space for each HTML tag and entity."""
    return _HTML.sub(" ", text) if "<" in text or "&" in text else text


def normalised(text: str) -> str:
    """Return what two texts share that differ in case, punctuation and white space alone.

    Args:
        text: without HTML.

    Returns:
        its words in lower case (NFKC), a space between two; empty for a text of nothing but punctuation.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.lower().translate(_CHARACTERS).split())


def is_mojibake(text: str) -> bool:
    """Say whether a text looks like UTF-8 that was read in another encoding, such as "cafÃ©"."""
    return not text.isascii() and _MOJIBAKE.search(text) is not None
