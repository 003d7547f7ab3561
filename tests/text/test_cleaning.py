"""What is dropped of a text, and what stands for a word: against scikit-learn and NLTK."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nltk.stem import LancasterStemmer, PorterStemmer, SnowballStemmer
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, strip_accents_unicode

from dlcli.core.backend import tf
from dlcli.errors import DataError, UsageError
from dlcli.text.cleaning import Cleaner
from dlcli.text.config import CleaningConfig, TextPipelineConfig
from dlcli.text.pipeline import TextPipeline, make_replacer
from dlcli.text.words import DROPPED, WordTable, stemmer
from text import reference

TEXTS, _ = reference.reviews()


def split(text: str, **settings: Any) -> list[str]:
    words = Cleaner(CleaningConfig(**settings)).tokens(tf.constant([text]))
    return [word.decode() for word in words.values.numpy()]


def stands(words: list[str], **settings: Any) -> list[str]:
    config = CleaningConfig(**settings)
    replacer = make_replacer(config, Cleaner(config))
    return [replacer(word) for word in words]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see http://a.example/x?y=1&z=2#top now", ["see", "now"]),
        ("HTTPS://A.EXAMPLE www.b.example.", []),
        ('<a href="http://a.example">http://a.example</a> link', ["link"]),
        ("(http://a.example/) ok", ["(", "ok"]),
        ("awww. http is no address: a.example", ["awww", ".", "http", "is", "no", "address", ":", "a", ".", "example"]),
    ],
)
def test_web_addresses(text: str, expected: list[str]) -> None:
    assert split(text, strip_urls=True) == expected
    assert split(text) != expected or "http:" not in text.lower()


@pytest.mark.parametrize(
    "text", ["café", "ÀÉÎÕÜ ñ", "Ångström ﬁn ﬀ", "ế ṩ", "½ x² ①", "İstanbul", "cafe\u0301", "ｆｕｌｌ", "한국어"]
)
def test_accents_are_those_that_scikit_learn_strips(text: str) -> None:
    assert split(text, strip_accents=True, punctuation="drop") == split(
        strip_accents_unicode(text.lower()), punctuation="drop"
    )
    assert split(text.upper(), strip_accents=True, lowercase=False) == split(
        strip_accents_unicode(text.upper()), lowercase=False
    )


def test_accents_of_all_reviews() -> None:
    texts = [*TEXTS[:500], *(text.replace("e", "é").replace("a", "ą") for text in TEXTS[:500])]
    ours = Cleaner(CleaningConfig(strip_accents=True)).tokens(tf.constant(texts)).to_list()
    theirs = Cleaner(CleaningConfig()).tokens(tf.constant([strip_accents_unicode(t.lower()) for t in texts])).to_list()
    assert ours == theirs


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ("keep", ["9", "/", "10", "b2b", "٣", "ⅷ", "x²", "2x"]),
        ("drop", ["/", "b2b", "x²", "2x"]),
        ("mask", ["0", "/", "0", "b2b", "0", "0", "x²", "2x"]),
    ],
)
def test_numbers(numbers: str, expected: list[str]) -> None:
    assert split("9/10 b2b ٣ Ⅷ x² 2x", numbers=numbers) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Go!", ["g", "o", "!"]),
        ("日本 語。", ["日", "本", "語", "。"]),
        ("cafe\u0301 हिन्दी", ["c", "a", "f", "e\u0301", "हि", "न्", "दी"]),
        ("😀😀", ["😀", "😀"]),
    ],
)
def test_characters(text: str, expected: list[str]) -> None:
    assert split(text, analyzer="char") == expected


def test_short_words_are_dropped_and_punctuation_is_no_word() -> None:
    assert split("I saw a B-movie, é", min_word_length=2) == ["saw", "-", "movie", ","]
    assert split("I saw a B-movie, éé 日本", min_word_length=2, punctuation="drop") == ["saw", "movie", "éé", "日本"]


# Stop words.


def test_stop_words_of_scikit_learn() -> None:
    words = [*sorted(ENGLISH_STOP_WORDS), "film", "good"]
    assert stands(words, stop_words="sklearn") == [DROPPED] * len(ENGLISH_STOP_WORDS) + ["film", "good"]


def test_stop_words_of_a_file_are_normalised_as_the_texts_are(tmp_path: Path) -> None:
    path = tmp_path / "stop.txt"
    path.write_text("\ufeffThe\nCAFÉ\ndon't\n\n  of  \n", encoding="utf-8")
    words = ["the", "cafe", "café", "of", "don", "The"]
    assert stands(words, stop_words=str(path)) == [DROPPED, "cafe", DROPPED, DROPPED, "don", "The"]
    assert stands(words, stop_words=str(path), strip_accents=True)[1] == DROPPED
    assert stands(["The", "the"], stop_words=str(path), lowercase=False) == [DROPPED, "the"]


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (None, UsageError, ["there is no file", "sklearn", "nltk:LANGUAGE"]),
        (b"", DataError, ["has no words", "a word a line"]),
        (b"caf\xe9\n", DataError, ["is not UTF-8"]),
    ],
)
def test_a_bad_file_of_stop_words(
    tmp_path: Path, content: bytes | None, error: type[Exception], words: list[str]
) -> None:
    path = tmp_path / "stop.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error) as caught:
        stands([], stop_words=str(path))
    assert all(word in str(caught.value) for word in words)


@pytest.fixture
def corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder in the place of NLTK's data, with nothing in it."""
    import nltk.corpus.util

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    # NLTK's reader turns into the corpus at the first look, and stays that.
    fresh = nltk.corpus.util.LazyCorpusLoader("stopwords", nltk.corpus.WordListCorpusReader, r"(?!README|\.).*")
    monkeypatch.setattr(nltk.corpus, "stopwords", fresh)
    yield tmp_path


def test_stop_words_of_nltk(corpora: Path) -> None:
    folder = corpora / "corpora" / "stopwords"
    folder.mkdir(parents=True)
    (folder / "english").write_text("the\nof\n")
    (folder / "german").write_text("der\nFür\n", encoding="utf-8")
    assert stands(["the", "of", "der", "film"], stop_words="nltk:english") == [DROPPED, DROPPED, "der", "film"]
    assert stands(["the", "für"], stop_words="nltk:german") == ["the", DROPPED]
    with pytest.raises(UsageError, match=r"no list 'germn'\. Did you mean 'german'"):
        stands([], stop_words="nltk:germn")


@pytest.mark.usefixtures("corpora")
def test_nothing_is_downloaded_when_the_data_of_nltk_is_missing() -> None:
    with pytest.raises(UsageError) as caught:
        stands([], stop_words="nltk:english")
    assert "NLTK's stop words are not on this machine" in str(caught.value)
    assert "python -m nltk.downloader stopwords" in str(caught.value)


# Stems.


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("porter", PorterStemmer()),
        ("lancaster", LancasterStemmer()),
        ("snowball:english", SnowballStemmer("english")),
        ("snowball:german", SnowballStemmer("german")),
    ],
)
def test_stems_are_those_of_nltk(name: str, theirs: Any) -> None:
    words = sorted({word for text in TEXTS for word in reference.words(text) if word.isalpha()})
    assert len(words) > 1000
    assert stands(words, stem=name) == [theirs.stem(word) or word for word in words]


def test_what_is_no_word_has_no_stem() -> None:
    marks = ["!", "'", "10", "1990s", "_", "😀"]
    assert stands(marks, stem="porter") == ["!", "'", "10", "1990", "_", "😀"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("portr", ["--stem", "'portr'", "'porter'"]),
        ("snowball:klingon", ["no language 'klingon'", "english", "german"]),
        ("snowball:germn", ["Did you mean 'german'?"]),
        ("snowball:porter", ["no language 'porter'"]),
    ],
)
def test_a_stemmer_that_does_not_exist(name: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        stemmer(name)
    assert all(word in str(caught.value) for word in words)


def test_words_that_training_did_not_see_stay_as_they_are(tmp_path: Path) -> None:
    """The graph has a table of words, not a stemmer: an unknown form of a known stem is unknown, everywhere alike."""
    pipeline, _ = TextPipeline.adapt(
        ["running films", "run", "the film"], TextPipelineConfig(stem="porter", min_count=1)
    )
    assert set(pipeline.vocabulary.terms) == {"run", "film", "the"}
    texts = tf.constant(["running films", "run film", "runs filming"])
    assert pipeline.ids(texts).ids.row_lengths().numpy().tolist() == [2, 2, 0]
    pipeline.save(tmp_path)
    assert (
        pipeline.encode(["running", "runs"]).ids.tolist()
        == TextPipeline.load(tmp_path).encode(["running", "runs"]).ids.tolist()
    )


def test_a_stop_word_is_dropped_before_n_grams_are_made() -> None:
    settings = TextPipelineConfig(stop_words="sklearn", stem="porter", ngrams=2, min_count=1)
    pipeline, _ = TextPipeline.adapt(["the movie of movies was acted"], settings)
    assert set(pipeline.vocabulary.terms) == {"movi", "act", "movi movi", "movi act"}


def test_a_table_of_words_comes_back(tmp_path: Path) -> None:
    table = WordTable(replacements={"films": "film", "the": DROPPED, '"': "'", "\u2028": "x"})
    table.save(tmp_path / "words.tsv")
    assert WordTable.read(tmp_path / "words.tsv") == table
