"""Words that are dropped, and words that are cut to their stems: what a language's grammar says of single words."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dlcli.core.files import write_text
from dlcli.errors import DataError, UsageError, nearest

_NLTK, _SNOWBALL = "nltk:", "snowball:"
_STEMMERS = ("none", "porter", "lancaster", "snowball:LANGUAGE")
_LISTS = ("none", "sklearn", "nltk:LANGUAGE", "a file with a word a line")
DROPPED = ""
_HEADER = "word\tstands_for\n"


@dataclass(frozen=True, kw_only=True)
class WordTable:
    """What becomes of some words: the stem that stands for each, or `DROPPED`; all others stay as they are."""

    replacements: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.replacements)

    def save(self, path: Path) -> None:
        """Write a table: a header, and a line a word with what stands for it."""
        write_text(path, _HEADER + "".join(f"{word}\t{stem}\n" for word, stem in self.replacements.items()))

    @staticmethod
    def read(path: Path) -> WordTable:
        """Read what `save` wrote.

        Raises:
            ValueError: a line is not of the form that `save` writes.
        """
        content = path.read_text(encoding="utf-8")
        if not content.startswith(_HEADER):
            raise ValueError(f"expected the header {_HEADER.strip()!r}")
        table = {}
        for line in content.removeprefix(_HEADER).split("\n")[:-1]:
            word, tab, stem = line.partition("\t")
            if not tab:
                raise ValueError(f"expected a word, a tab and what stands for it, got {line!r}")
            table[word] = stem
        return WordTable(replacements=table)


class Replacer:
    """What stands for a word, found out once for each distinct word.

    Args:
        stop_words: words to drop, as they are after normalising.
        stem: cuts a word to its stem; None leaves it.
    """

    def __init__(self, stop_words: frozenset[str], stem: Callable[[str], str] | None) -> None:
        self._stop_words = stop_words
        self._stem = stem
        self._known: dict[str, str] = {}

    @property
    def known(self) -> int:
        """How many distinct words came."""
        return len(self._known)

    @property
    def stemmed(self) -> int:
        """How many of them have a stem that differs."""
        return sum(stem not in (word, DROPPED) for word, stem in self._known.items())

    def __call__(self, word: str) -> str:
        """Return the stem of a word, or `DROPPED`."""
        found = self._known.get(word)
        if found is None:
            found = self._known[word] = self._find(word)
        return found

    def _find(self, word: str) -> str:
        if word in self._stop_words:
            return DROPPED
        # Of punctuation marks and numbers there is no stem. A stemmer may leave nothing of a word; then it stays.
        return (self._stem(word) or word) if self._stem is not None and any(map(str.isalpha, word)) else word

    def table(self, words: Iterable[str]) -> WordTable:
        """Return what stands for those of `words` that do not stay as they are, and all stop words."""
        found = dict.fromkeys(sorted(self._stop_words), DROPPED)
        found |= {word: stem for word in words if (stem := self(word)) != word}
        return WordTable(replacements=found)


def stop_words(name: str, normalise: Callable[[Sequence[str]], list[list[str]]]) -> frozenset[str]:
    """Return the words of a stop list, as they are after normalising.

    Args:
        name: `none`, `sklearn`, `nltk:LANGUAGE`, or the path of a file with a word a line.
        normalise: turns texts into their tokens: lists of words are written with capitals, accents or apostrophes that
            the texts have no more. What it splits in parts (don't: don, ', t) can never be met and has no effect.

    Raises:
        UsageError: there is no such list, file or language, or NLTK's data is not installed.
        DataError: the file is no text.
    """
    if name == "none":
        return frozenset()
    if name == "sklearn":
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        words: Iterable[str] = ENGLISH_STOP_WORDS
    elif name.startswith(_NLTK):
        words = _nltk_list(name.removeprefix(_NLTK))
    else:
        words = _words_of_file(name)
    return frozenset(tokens[0] for tokens in normalise(sorted(words)) if len(tokens) == 1)


def _nltk_list(language: str) -> list[str]:
    from nltk.corpus import stopwords

    try:
        languages = stopwords.fileids()
        if language not in languages:
            raise UsageError(
                f"--stop-words: NLTK has no list {language!r}",
                hint=nearest(language, languages),
            )
        return list(stopwords.words(language))
    except LookupError:
        raise UsageError(
            f"--stop-words {_NLTK}{language}: NLTK's stop words are not on this machine",
            hint="python -m nltk.downloader stopwords, or --stop-words sklearn for English",
        ) from None


def _words_of_file(name: str) -> list[str]:
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"--stop-words: expected {', '.join(_LISTS)}; there is no file {name!r}")
    try:
        words = path.read_text(encoding="utf-8-sig").split()
    except UnicodeDecodeError as error:
        raise DataError(f"--stop-words: {path} is not UTF-8 ({error.reason})", hint="Save it as UTF-8") from None
    if not words:
        raise DataError(f"--stop-words: {path} has no words", hint="Expected a word a line")
    return words


def stemmer(name: str) -> Callable[[str], str] | None:
    """Return what cuts a word to its stem, by NLTK; None for `none`.

    Args:
        name: `none`, `porter` (Porter 1980, with NLTK's extensions), `lancaster` (Paice 1990) or `snowball:LANGUAGE`.

    Raises:
        UsageError: there is none of that name or language.
    """
    if name == "none":
        return None
    known = name in ("porter", "lancaster")
    if not known and not name.startswith(_SNOWBALL):
        raise UsageError(f"--stem: expected one of {', '.join(_STEMMERS)}, got {name!r}", hint=nearest(name, _STEMMERS))
    if known:
        return _nltk_stemmer(name)
    language, languages = name.removeprefix(_SNOWBALL), _snowball_languages()
    if language not in languages:
        raise UsageError(
            f"--stem: Snowball has no language {language!r}",
            hint=nearest(language, languages),
        )
    return _nltk_stemmer(language)


def _snowball_languages() -> list[str]:
    from nltk.stem.snowball import SnowballStemmer

    return [language for language in SnowballStemmer.languages if language != "porter"]


@functools.cache
def _nltk_stemmer(name: str) -> Callable[[str], str]:
    from nltk.stem import LancasterStemmer, PorterStemmer, SnowballStemmer

    by_name = {"porter": PorterStemmer, "lancaster": LancasterStemmer}
    stem: Callable[[str], str] = (by_name[name]() if name in by_name else SnowballStemmer(name)).stem
    return stem
