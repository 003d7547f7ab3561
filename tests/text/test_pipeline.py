"""The text graph equals plain Python and scikit-learn, whatever the text."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from dlcli.core.backend import tf
from dlcli.errors import DataError, ModelError
from dlcli.text import bags, counting
from dlcli.text import pipeline as pipeline_module
from dlcli.text.cleaning import Cleaner
from dlcli.text.config import CleaningConfig, TextPipelineConfig
from dlcli.text.encoded import EncodedTexts
from dlcli.text.pipeline import TextPipeline
from text import reference

TEXTS, LABELS = reference.reviews()


def split(text: str, **settings: Any) -> list[str]:
    words = Cleaner(CleaningConfig(**settings)).tokens(tf.constant([text]))
    return [word.decode() for word in words.values.numpy()]


def adapt(texts: list[str], **settings: Any) -> tuple[TextPipeline, EncodedTexts]:
    return TextPipeline.adapt(texts, TextPipelineConfig(**{"ngrams": 2, "min_count": 1, **settings}))


def ids_of(encoded: EncodedTexts) -> list[list[int]]:
    return [row.tolist() for row in np.split(encoded.ids, np.cumsum(encoded.lengths)[:-1])]


def terms_of(pipeline: TextPipeline, encoded: EncodedTexts) -> list[set[str]]:
    terms = ["", *pipeline.vocabulary.terms]
    return [{terms[number] for number in row} for row in ids_of(encoded)]


class TestNormalisation:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Good FILM", ["good", "film"]),
            ("STRASSE Straße GROẞ", ["strasse", "straße", "groß"]),
            ("ΟΔΟΣ ΣΑΣ Σ", ["οδος", "σας", "σ"]),
            ("İstanbul I ı", ["i̇stanbul", "i", "ı"]),
            ("ÀÉÎ ŽŠ ЖУК ԱՐԵՎ", ["àéî", "žš", "жук", "արեվ"]),
        ],
    )
    def test_lower_case_is_that_of_python(self, text: str, expected: list[str]) -> None:
        assert split(text) == text.lower().split() == expected

    def test_case_is_kept_when_asked(self) -> None:
        assert split("Good FILM ÀÉ", lowercase=False) == ["Good", "FILM", "ÀÉ"]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("one<br />two<BR>three</p>", ["one", "two", "three"]),
            ('<a href="x.html" title="very good">link</a>', ["link"]),
            ("<!-- note --> <!DOCTYPE html> x", ["x"]),
            ("fish &amp; chips&nbsp;now &lt;3 &#39; &#8217;s &AMP; x", ["fish", "chips", "now", "3", "s", "x"]),
            ("I &#x27;think&#x2019; so", ["i", "think", "so"]),
            ("&frac12; of it, m&sup2;", ["of", "it", ",", "m"]),
            ("over\n<b\nclass=x>lines</b\n>", ["over", "lines"]),
        ],
    )
    def test_tags_and_entities_are_dropped(self, text: str, expected: list[str]) -> None:
        assert split(text) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("I <3 this", ["i", "<", "3", "this"]),
            ("a < b > c", ["a", "<", "b", ">", "c"]),
            ("if x<5 and y>3", ["if", "x", "<", "5", "and", "y", ">", "3"]),
            (">:-( <-- ->", [">", ":", "-", "(", "<", "-", "-", "-", ">"]),
            ("R&B and Q&A; AT&T", ["r", "&", "b", "and", "q", "&", "a", ";", "at", "&", "t"]),
            ("a lone < at the end <", ["a", "lone", "<", "at", "the", "end", "<"]),
        ],
    )
    def test_what_is_no_html_survives(self, text: str, expected: list[str]) -> None:
        assert split(text) == expected

    def test_html_is_kept_when_asked(self) -> None:
        assert split("a<br/>b &amp;", strip_html=False) == ["a", "<", "br", "/", ">", "b", "&", "amp", ";"]

    @pytest.mark.parametrize("number", [i for i in range(0x10000) if chr(i).isspace()] + [0x200B, 0xFEFF])
    @pytest.mark.parametrize("punctuation", ["keep", "drop"])
    def test_every_white_space_splits_and_is_no_token(self, number: int, punctuation: str) -> None:
        assert split(f"one{chr(number)}two", punctuation=punctuation) == ["one", "two"]

    @pytest.mark.parametrize(
        ("text", "keep", "drop"),
        [
            ("Wow!! It's 9/10.", ["wow", "!", "!", "it", "'", "s", "9", "/", "10", "."], ["wow", "it", "s", "9", "10"]),
            ("snake_case x²", ["snake_case", "x²"], ["snake_case", "x²"]),
            ("“quotes”—dash… 10€", ["“", "quotes", "”", "—", "dash", "…", "10", "€"], ["quotes", "dash", "10"]),
            ("great 😀😀", ["great", "😀", "😀"], ["great"]),
            ("日本語 です。", ["日本語", "です", "。"], ["日本語", "です"]),
            ("...", [".", ".", "."], []),
        ],
    )
    def test_punctuation(self, text: str, keep: list[str], drop: list[str]) -> None:
        assert split(text) == keep
        assert split(text, punctuation="drop") == drop

    @pytest.mark.parametrize("word", ["cafe\u0301", "हिन्दी", "தமிழ்", "ภาษาไทย", "שָׁלוֹם"])
    def test_combining_marks_stay_in_their_word(self, word: str) -> None:
        for punctuation in ("keep", "drop"):
            assert split(f"a {word} b", punctuation=punctuation) == ["a", word, "b"]

    def test_what_stands_behind_a_nul_is_not_lost(self) -> None:
        assert split("good\0film at all")[-3:] == ["film", "at", "all"]

    @pytest.mark.parametrize("locale", ["tr_TR.UTF-8", "lt_LT.UTF-8"])
    def test_the_locale_of_the_machine_does_not_matter(self, locale: str) -> None:
        """ICU lowers I to dotless ı where the process is Turkish; a run must answer the same everywhere."""
        text = "TITLE I İ Ì Í Ĩ"
        code = (
            "from dlcli.core.backend import tf; from dlcli.text.config import CleaningConfig as C\n"
            "from dlcli.text.cleaning import Cleaner\n"
            f"print(ascii([w.decode() for w in Cleaner(C()).tokens(tf.constant([{text!a}])).values.numpy()]))"
        )
        environment = {**os.environ, "LC_ALL": locale, "LANG": locale}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=True
        )
        assert done.stdout.strip() == ascii(text.lower().split())


class TestAgainstOthers:
    def test_words_are_those_of_scikit_learn(self) -> None:
        analyze = CountVectorizer(token_pattern=r"(?u)\b\w+\b").build_analyzer()
        cleaner = Cleaner(CleaningConfig(punctuation="drop", strip_html=False))
        ours = [[w.decode() for w in row] for row in cleaner.tokens(tf.constant(TEXTS)).to_list()]
        assert ours == [analyze(text) for text in TEXTS]

    @pytest.mark.parametrize("punctuation", ["keep", "drop"])
    def test_words_are_those_of_plain_python(self, punctuation: str) -> None:
        cleaner = Cleaner(CleaningConfig(punctuation=punctuation))
        ours = [[w.decode() for w in row] for row in cleaner.tokens(tf.constant(TEXTS)).to_list()]
        assert ours == [reference.words(text, punctuation=punctuation) for text in TEXTS]

    @pytest.mark.parametrize("ngrams", [1, 2, 3])
    @pytest.mark.parametrize("min_count", [1, 2, 5])
    def test_the_vocabulary_and_the_ids_are_those_of_a_counter(self, ngrams: int, min_count: int) -> None:
        expected = {t: n for t, n in reference.count(TEXTS, ngrams).items() if n >= min_count}
        pipeline, encoded = adapt(TEXTS, ngrams=ngrams, min_count=min_count)
        vocabulary = pipeline.vocabulary
        assert dict(zip(vocabulary.terms, vocabulary.counts.tolist(), strict=True)) == expected
        assert len(vocabulary) == len(expected)
        assert terms_of(pipeline, encoded) == [set(reference.ngrams(t, ngrams)) & expected.keys() for t in TEXTS]
        rows = ids_of(encoded)
        assert all(len(row) == len(set(row)) for row in rows), "each n-gram of a text once"
        ranks = [(-n, t.count(" ")) for t, n in zip(vocabulary.terms, vocabulary.counts.tolist(), strict=True)]
        assert ranks == sorted(ranks), "by falling count, then by length"

    @pytest.mark.parametrize("size", [1, 100, 5000, 10**9])
    def test_max_features_keeps_the_most_frequent(self, size: int) -> None:
        counter = reference.count(TEXTS, 2)
        vocabulary = adapt(TEXTS, ngrams=2, max_features=size)[0].vocabulary
        kept = dict(zip(vocabulary.terms, vocabulary.counts.tolist(), strict=True))
        assert len(kept) == min(size, len(counter))
        assert kept.items() <= counter.items()
        assert sorted(kept.values()) == sorted(sorted(counter.values(), reverse=True)[:size])

    def test_without_min_count_few_n_grams_are_all_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        counter = reference.count(TEXTS[:200], 2)
        pipeline, _ = adapt(TEXTS[:200], min_count=None)
        assert (len(pipeline.vocabulary), pipeline.config.min_count) == (len(counter), 1)
        monkeypatch.setattr(pipeline_module, "_FEW", 100)
        pipeline, _ = adapt(TEXTS[:200], min_count=None)
        assert pipeline.config.min_count == 2
        assert len(pipeline.vocabulary) == sum(n >= 2 for n in counter.values())


class TestNgrams:
    def test_none_crosses_two_texts(self) -> None:
        vocabulary = adapt(["a b", "c", "", "d e f"], ngrams=3)[0].vocabulary
        assert set(vocabulary.terms) == {*"abcdef", "a b", "d e", "e f", "d e f"}

    @pytest.mark.parametrize("ngrams", [1, 2, 5, 8])
    def test_texts_shorter_than_the_longest_n_gram_are_fine(self, ngrams: int) -> None:
        pipeline, encoded = adapt(["a", "b c"], ngrams=ngrams)
        assert set(pipeline.vocabulary.terms) == ({"a", "b", "c", "b c"} if ngrams > 1 else {"a", "b", "c"})
        assert encoded.lengths.tolist() == ([1, 3] if ngrams > 1 else [1, 2])

    def test_the_order_of_words_matters(self) -> None:
        vocabulary = adapt(["a b", "b a", "a a b", "b a a"], ngrams=3)[0].vocabulary
        expected = Counter({"a": 6, "b": 4, "a b": 2, "b a": 2, "a a": 2, "a a b": 1, "b a a": 1})
        assert dict(zip(vocabulary.terms, vocabulary.counts.tolist(), strict=True)) == expected

    @pytest.mark.parametrize("texts", [[""], ["", "", ""], ["<br />", "\u200b", " \n"]])
    def test_empty_texts_have_no_ids(self, texts: list[str]) -> None:
        pipeline, _ = adapt(["a b"])
        encoded = pipeline.encode(texts)
        assert (encoded.ids.tolist(), encoded.lengths.tolist()) == ([], [0] * len(texts))
        assert pipeline.graph(tf.constant(texts)).numpy().tolist() == [[0]] * len(texts)

    def test_a_batch_of_empty_texts_is_one_wide(self) -> None:
        """No sequence model takes a row of nothing."""
        pipeline, _ = adapt(TEXTS[:50], ngrams=1)
        (batch,) = pipeline.encode(["", ""]).dataset(tf.data.Dataset.from_tensors([0, 1]))
        assert batch.numpy().tolist() == [[0], [0]]
        assert pipeline.graph(tf.constant([], tf.string)).shape == (0, 1)

    def test_empty_texts_among_others_stay_in_their_places(self) -> None:
        pipeline, encoded = adapt(["", "a", "", "a b", ""], ngrams=2)
        assert encoded.lengths.tolist() == [0, 1, 0, 3, 0]
        assert pipeline.encode(["", "b", "", "x", ""]).lengths.tolist() == [0, 1, 0, 0, 0]

    def test_no_texts_have_no_ids(self) -> None:
        pipeline, _ = adapt(["a b"])
        assert len(pipeline.encode([])) == 0

    def test_unknown_n_grams_have_no_id(self) -> None:
        pipeline, _ = adapt(["a b"], ngrams=2)
        assert terms_of(pipeline, pipeline.encode(["b a x", "x y"])) == [{"a", "b"}, set()]

    def test_no_n_gram_is_an_error(self) -> None:
        with pytest.raises(DataError) as caught:
            adapt(["a b", "c d"], min_count=2)
        assert caught.value.message == "no word occurs 2 times in the 2 training texts"
        assert caught.value.hint == "Lower --min-count"


@pytest.fixture(scope="module")
def adapted() -> tuple[TextPipeline, EncodedTexts]:
    return adapt(TEXTS, ngrams=3, min_count=2)


class TestOneGraph:
    def test_encode_equals_the_encoding_of_adapt(self, adapted: tuple[TextPipeline, EncodedTexts]) -> None:
        pipeline, encoded = adapted
        again = pipeline.encode(TEXTS)
        np.testing.assert_array_equal(again.ids, encoded.ids)
        np.testing.assert_array_equal(again.lengths, encoded.lengths)
        assert (again.ids.dtype, again.lengths.dtype) == (np.int32, np.int64)

    def test_the_graph_gives_the_same_ids_padded(self, adapted: tuple[TextPipeline, EncodedTexts]) -> None:
        pipeline, encoded = adapted
        padded = pipeline.graph(tf.constant(TEXTS[:50])).numpy()
        assert padded.shape[1] == max(encoded.lengths[:50])
        assert [row[row > 0].tolist() for row in padded] == ids_of(encoded)[:50]

    def test_batches_are_the_rows_asked_for(self, adapted: tuple[TextPipeline, EncodedTexts]) -> None:
        encoded, rows = adapted[1], [17, 3, 2999, 3]
        batch = next(iter(encoded.dataset(tf.data.Dataset.from_tensors(tf.constant(rows, tf.int64))))).numpy()
        assert [row[row > 0].tolist() for row in batch] == [ids_of(encoded)[row] for row in rows]
        assert batch.shape[1] == max(encoded.lengths[rows])

    def test_it_survives_saving(self, adapted: tuple[TextPipeline, EncodedTexts], tmp_path: Path) -> None:
        """Keys are computed anew from the terms, and equal those of the texts."""
        pipeline, encoded = adapted
        pipeline.save(tmp_path / "p")
        again = TextPipeline.load(tmp_path / "p")
        assert again.config == pipeline.config
        np.testing.assert_array_equal(again.vocabulary.keys, pipeline.vocabulary.keys)
        np.testing.assert_array_equal(again.vocabulary.counts, pipeline.vocabulary.counts)
        assert list(again.vocabulary.terms) == list(pipeline.vocabulary.terms)
        np.testing.assert_array_equal(again.encode(TEXTS).ids, encoded.ids)

    def test_odd_tokens_survive_saving(self, tmp_path: Path) -> None:
        texts = [
            "a\u001cb \u2028 c\x7f \u200d \ufe0f cafe\u0301 # \\ \"q\" 'x' \x01 \u2060",
            "İ ß 𝒳 😀‍👩 0\t1\r\n2",
        ] * 2
        pipeline, encoded = adapt(texts, ngrams=2)
        pipeline.save(tmp_path)
        again = TextPipeline.load(tmp_path)
        np.testing.assert_array_equal(again.vocabulary.keys, pipeline.vocabulary.keys)
        np.testing.assert_array_equal(again.encode(texts).ids, encoded.ids)

    @pytest.mark.parametrize("name", ["pipeline.json", "vocabulary.tsv", "words.tsv"])
    @pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b"{}{", b"term without a count\n"])
    def test_a_damaged_pipeline_is_a_model_error(self, tmp_path: Path, name: str, content: bytes | None) -> None:
        adapt(["a cats"], stem="porter")[0].save(tmp_path)
        (tmp_path / name).unlink()
        if content is not None:
            (tmp_path / name).write_bytes(content)
        elif name == "words.tsv":
            pytest.skip("without it no word is replaced; a run's hashes tell that it is missing")
        with pytest.raises(ModelError, match="holds no readable text pipeline"):
            TextPipeline.load(tmp_path)

    def test_chunks_change_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        texts = [*TEXTS[:40], "", *TEXTS[40:80], ""]
        whole, encoded = adapt(texts, ngrams=3, min_count=2)
        monkeypatch.setattr(counting, "CHUNK", 3)
        monkeypatch.setattr(counting, "_COUNTED", 50)
        monkeypatch.setattr(bags, "_BLOCK", 50)
        monkeypatch.setattr(pipeline_module, "_BLOCK", 50)
        cut, pieces = adapt(texts, ngrams=3, min_count=2)
        np.testing.assert_array_equal(cut.vocabulary.keys, whole.vocabulary.keys)
        assert list(cut.vocabulary.terms) == list(whole.vocabulary.terms)
        for one in (pieces, cut.encode(texts), whole.encode(texts)):
            np.testing.assert_array_equal(one.ids, encoded.ids)
            np.testing.assert_array_equal(one.lengths, encoded.lengths)

    def test_chunks_change_no_sequence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        texts = [*TEXTS[:40], "", *TEXTS[40:80], ""]
        whole = adapt(texts, ngrams=1, features="ids", min_count=2)[1]
        monkeypatch.setattr(pipeline_module, "_BLOCK", 50)
        pipeline, pieces = adapt(texts, ngrams=1, features="ids", min_count=2)
        for one in (pieces, pipeline.encode(texts)):
            np.testing.assert_array_equal(one.ids, whole.ids)
            np.testing.assert_array_equal(one.lengths, whole.lengths)

    def test_the_vocabulary_is_a_function_of_the_texts_not_of_their_order(self) -> None:
        one, other = adapt(TEXTS[:300])[0].vocabulary, adapt(TEXTS[:300][::-1])[0].vocabulary
        np.testing.assert_array_equal(one.keys, other.keys)
        assert list(one.terms) == list(other.terms)
