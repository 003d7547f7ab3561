"""Tokens found in the raw text that they come from."""

from __future__ import annotations

import numpy as np
import pytest

from dlcli.results.explain.texts import words_of
from dlcli.text.cleaning import Cleaner
from dlcli.text.config import CleaningConfig
from dlcli.text.words import WordTable


def shown(text: str, words: dict[str, str] | None = None, **settings: object) -> list[str | None]:
    """Return the pieces of a text that its words stand for."""
    cleaner = Cleaner(CleaningConfig(**settings), WordTable(replacements=words or {}))
    (found,) = words_of([text], cleaner)
    return [None if place is None else text[slice(*place)] for place in found.places]


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("", {}, []),
        ("Not BAD, at all!", {}, ["Not", "BAD", ",", "at", "all", "!"]),
        ("so<br />good &amp; bad", {}, ["so", "good", "bad"]),
        ("br <br /> br", {}, ["br", "br"]),
        ("a<b>b", {"strip_html": False}, ["a", "<", "b", ">", "b"]),
        ("see www.film.com/see now", {"strip_urls": True}, ["see", "now"]),
        ("DON'T stop", {"punctuation": "drop"}, ["DON", "T", "stop"]),
        ("Cafe\u0301 CAFÉ naïve", {"strip_accents": True}, ["Cafe\u0301", "CAFÉ", "naïve"]),
        ("İstanbul ΣΑΣ Straße", {}, ["İstanbul", "ΣΑΣ", "Straße"]),
        ("7 of 10 films", {"numbers": "drop"}, ["of", "films"]),
        ("7 of 10 films", {"numbers": "mask"}, ["7", "of", "10", "films"]),
        ("a fine , old one", {"min_word_length": 3}, ["fine", ",", "old", "one"]),
        ("ab c", {"analyzer": "char"}, ["a", "b", "c"]),
        ("東京 good", {"analyzer": "char"}, ["東", "京", "g", "o", "o", "d"]),
        ("👍 good\u00a0film\x00 end", {}, ["👍", "good", "film", "end"]),
        ("it´s 60", {}, ["it", "´", "s", "60"]),
        ("ﬁne ½", {"strip_accents": True}, ["ﬁne", "½", "½", "½"]),
    ],
)
def test_words_are_found(text: str, settings: dict[str, object], expected: list[str]) -> None:
    assert shown(text, **settings) == expected


def test_stop_words_are_left_out_and_stems_stand_for_their_words() -> None:
    assert shown("The films of the year", {"the": "", "of": "", "films": "film"}) == ["films", "year"]


def test_several_texts_keep_their_own_words() -> None:
    cleaner = Cleaner(CleaningConfig())
    texts = ["one two", "", "two <br> THREE two"]
    found = words_of(texts, cleaner)
    pieces = [[t[slice(*p)] for p in words.places if p is not None] for t, words in zip(texts, found, strict=True)]
    assert pieces == [["one", "two"], [], ["two", "THREE", "two"]]
    keys = np.concatenate([words.keys for words in found])
    assert keys[1] == keys[2] == keys[4] != keys[3]


def test_a_token_that_is_nowhere_leaves_the_others_in_their_places() -> None:
    from dlcli.results.explain.alignment import place_tokens

    found = place_tokens("one two three", ["one", "deux", "three"], strip_html=True, strip_urls=False)
    assert found == [(0, 3), None, (8, 13)]
    # A word that is only further on, behind words that are nobody's, is not taken for this one.
    assert place_tokens("one two one", ["two", "one"], strip_html=True, strip_urls=False)[0] is None
