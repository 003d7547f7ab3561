"""Word vectors learnt from texts: counts and PMI beside plain ones, near neighbours, and `--unlabelled`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Outcome

from dlcli.core.progress import Silent
from dlcli.errors import DataError, NumbersError, UsageError
from dlcli.text import cooccurrence
from dlcli.text.config import TextDataConfig, TextModelConfig, TextPipelineConfig
from dlcli.text.cooccurrence import count_neighbours, learn_vectors, positive_pmi
from dlcli.text.pipeline import TextPipeline
from dlcli.text.read import read_unlabelled

Command = Callable[..., Outcome]
Array = np.ndarray[Any, Any]

WORDS = 12
DRAWS = np.random.default_rng(0)
# Ids 1 to 11: the twelfth word is in no text. 0 is unknown.
TEXTS = [DRAWS.integers(0, WORDS, length).tolist() for length in DRAWS.integers(0, 15, 40)]


class Noted(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def chunked(texts: list[list[int]], size: int) -> Iterator[tuple[Array, Array]]:
    for start in range(0, len(texts), size):
        some = texts[start : start + size]
        yield (
            np.array([word for text in some for word in text], np.int64),
            np.array([len(text) for text in some], np.int64),
        )


def plain_counts(texts: list[list[int]]) -> Array:
    counts = np.zeros((WORDS, WORDS))
    for text in texts:
        for place, word in enumerate(text):
            for other in range(max(0, place - 4), min(len(text), place + 5)):
                if other != place and word and text[other]:
                    counts[word - 1, text[other] - 1] += 1 / abs(other - place)
    return counts


def plain_pmi(counts: Array) -> Array:
    smoothed = counts.sum(axis=0) ** 0.75
    expected = np.outer(counts.sum(axis=1) / counts.sum(), smoothed / smoothed.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        pmi = np.log(counts / counts.sum() / expected)
    return np.where(counts > 0, np.maximum(pmi, 0), 0)


class TestNumbers:
    def test_counts_are_those_of_a_loop(self) -> None:
        found = count_neighbours(chunked(TEXTS, 7), WORDS)
        np.testing.assert_allclose(found.counts.toarray() / 12, plain_counts(TEXTS), rtol=1e-12)
        assert (found.texts, found.words) == (40, sum(map(len, TEXTS)))

    @pytest.mark.parametrize(("chunk", "block"), [(1, 1), (3, 50), (40, 10), (40, 10**9)])
    def test_chunks_change_nothing(self, monkeypatch: pytest.MonkeyPatch, chunk: int, block: int) -> None:
        expected = count_neighbours(chunked(TEXTS, 7), WORDS).counts.toarray()
        monkeypatch.setattr(cooccurrence, "_BLOCK", block)
        assert np.array_equal(count_neighbours(chunked(TEXTS, chunk), WORDS).counts.toarray(), expected)

    def test_pmi_is_that_of_the_formula(self) -> None:
        counts = count_neighbours(chunked(TEXTS, 40), WORDS).counts
        found = positive_pmi(counts).toarray()
        np.testing.assert_allclose(found, plain_pmi(plain_counts(TEXTS)), rtol=1e-4, atol=1e-6)
        assert (found > 0).sum() > 20
        assert not found[WORDS - 1].any()

    def test_too_many_pairs_for_the_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cooccurrence, "available_memory", lambda: 1000)
        with pytest.raises(NumbersError, match=r"pairs of words do not fit .* --max-features"):
            count_neighbours(chunked(TEXTS, 40), WORDS)


PLACES, TASTES = ("paris", "london", "berlin"), ("sweet", "sour", "bitter")
MORE = [
    f"{start} {word} {end} {number % 7}"
    for number in range(40)
    for words, start, end in ((PLACES, "we flew to", "by night"), (TASTES, "it tasted", "and cold"))
    for word in words
]


@pytest.fixture(scope="module")
def pipeline() -> TextPipeline:
    """Return words of which some are in the other texts; a text is cut to three."""
    config = TextPipelineConfig(max_length=3).for_model("cnn")
    return TextPipeline.adapt([" ".join(PLACES + TASTES), "to by tasted cold we it alone lonely"], config)[0]


def learn(pipeline: TextPipeline, texts: list[str] = MORE, *, dim: int = 8, seed: int = 0) -> dict[str, Array]:
    vectors = learn_vectors(iter(texts), pipeline, dim=dim, seed=seed, progress=Silent())
    assert (vectors.shape, vectors.dtype) == ((len(pipeline.vocabulary), dim), np.float32)
    return dict(zip(pipeline.vocabulary.terms, vectors, strict=True))


class TestVectors:
    def test_words_with_the_same_neighbours_are_near(self, pipeline: TextPipeline) -> None:
        found = learn(pipeline)

        def cosine(first: str, second: str) -> float:
            product = found[first] @ found[second]
            return float(product / np.linalg.norm(found[first]) / np.linalg.norm(found[second]))

        assert min(cosine("paris", other) for other in PLACES) > 0.95
        assert min(cosine("bitter", other) for other in TASTES) > 0.95
        assert max(cosine(place, taste) for place in PLACES for taste in TASTES) < 0.3

    def test_whole_texts_are_read_whatever_the_pipeline_cuts(self, pipeline: TextPipeline) -> None:
        ids, lengths = next(iter(pipeline.sequences(["unheard of we flew to paris by night"])))
        assert lengths.tolist() == [8]
        terms = ["", *pipeline.vocabulary.terms]
        assert [terms[number] for number in ids] == ["", "", "we", "", "to", "paris", "by", ""]

    def test_words_of_no_text_have_none(self, pipeline: TextPipeline) -> None:
        found = learn(pipeline)
        missing = {word for word, vector in found.items() if np.isnan(vector).any()}
        assert missing == {"alone", "lonely"}
        assert np.isnan(found["alone"]).all()

    def test_all_are_of_one_length(self, pipeline: TextPipeline) -> None:
        for dim in (2, 8):
            found = np.array([vector for vector in learn(pipeline, dim=dim).values() if not np.isnan(vector).any()])
            np.testing.assert_allclose(np.sqrt(np.mean(found**2, axis=1)), 0.1, rtol=1e-4)

    def test_the_same_texts_and_seed_give_the_same(self, pipeline: TextPipeline) -> None:
        first, second = learn(pipeline), learn(pipeline)
        assert all(np.array_equal(first[word], second[word], equal_nan=True) for word in first)

    def test_more_dimensions_than_words_are_zero(self, pipeline: TextPipeline) -> None:
        found = learn(pipeline, dim=50)
        assert not found["paris"][len(found) :].any()
        assert found["paris"][: len(found)].any()

    def test_what_was_read_is_told(self, pipeline: TextPipeline) -> None:
        told = Noted()
        learn_vectors(MORE, pipeline, dim=2, seed=0, progress=told)
        assert told.notes[0].startswith(
            f"word vectors learnt from 240 texts, {sum(len(text.split()) for text in MORE):,} words: for 12 of 14 words"
        )

    @pytest.mark.parametrize("texts", [[], ["nothing known here"], ["paris", "london"]])
    def test_texts_without_pairs_of_known_words(self, pipeline: TextPipeline, texts: list[str]) -> None:
        with pytest.raises(DataError, match=rf"in {len(texts)} texts no two words .* --text-column"):
            learn(pipeline, texts)


class TestReading:
    COLUMNS = TextDataConfig()

    def test_a_table_with_blanks_and_labels(self, tmp_path: Path) -> None:
        path = tmp_path / "more.csv"
        path.write_text("label,text\n,good\nneg, \npos,bad\n", encoding="utf-8")
        assert list(read_unlabelled(path, self.COLUMNS)) == ["good", "bad"]

    def test_of_a_folder_with_parts_the_training_part_counts(self, tmp_path: Path) -> None:
        for name in ("train/pos", "train/unsup", "test/pos"):
            (tmp_path / name).mkdir(parents=True)
            (tmp_path / name / "1.txt").write_text(name, encoding="utf-8")
        assert list(read_unlabelled(tmp_path, self.COLUMNS)) == ["train/pos", "train/unsup"]

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="does not exist"):
            next(read_unlabelled(tmp_path / "more.csv", self.COLUMNS))
        for content in ("text\n", 'text\n" "\n'):
            path = tmp_path / "blank.csv"
            path.write_text(content, encoding="utf-8")
            with pytest.raises(DataError, match="has no text"):
                next(read_unlabelled(path, self.COLUMNS))


class TestCommand:
    @pytest.fixture
    def more(self, tmp_path: Path) -> Path:
        path = tmp_path / "more.csv"
        path.write_text("text\n" + "a good film and not a bad film\n" * 3, encoding="utf-8")
        return path

    def test_the_embedding_starts_with_what_was_learnt(self, dlcli: Command, tiny: Path, more: Path) -> None:
        flags = ("--model", "cnn", "--unlabelled", more.name, "--embedding-dim", "4", "--epochs", "1", "--units", "2")
        done = dlcli("train-text", tiny, *flags, "--freeze-embedding", "--batch-size", "36", "--out", "o")
        assert done.code == 0, done.err
        assert "word vectors learnt from 39 texts, " in done.err
        config = json.loads(Path("o/run.json").read_text(encoding="utf-8"))["config"]
        assert config["unlabelled"] == str(more)

        from dlcli.serving.predictor import Predictor

        run = Predictor(Path("o"))
        words = list(run.pipeline.vocabulary.terms)
        table = run.model.get_layer("embedding").get_weights()[0][2:]
        assert table.shape == (len(words), 4)
        # The training texts say nothing else of both; vectors at random would be much smaller.
        good, bad = table[words.index("good")], table[words.index("bad")]
        assert good @ bad > 0.8 * np.linalg.norm(good) * np.linalg.norm(bad)
        assert np.abs(table).max() > 0.1

    @pytest.mark.parametrize(
        ("flags", "code", "words"),
        [
            ("--model cnn --unlabelled mor.csv", 2, ["mor.csv does not exist", "'more.csv'"]),
            ("--model cnn --unlabelled blank.csv", 3, ["blank.csv has no text"]),
            ("--model cnn --unlabelled other.csv", 3, ["other.csv", "'text'", "review"]),
            ("--model cnn --unlabelled hollow", 3, ["hollow has no text"]),
            ("--unlabelled more.csv", 2, ["--unlabelled does not go with --model ngram", "cnn"]),
            ("--model cnn --unlabelled more.csv --vectors v.txt", 2, ["--unlabelled and --vectors do not go together"]),
            ("--model cnn --freeze-embedding", 2, ["--freeze-embedding is for --vectors or --unlabelled"]),
        ],
    )
    @pytest.mark.usefixtures("more")
    def test_refused_in_one_line(
        self, dlcli: Command, tiny: Path, tmp_path: Path, flags: str, code: int, words: list[str]
    ) -> None:
        (tmp_path / "blank.csv").write_text("text\n \n", encoding="utf-8")
        (tmp_path / "other.csv").write_text("review\ngood\n", encoding="utf-8")
        (tmp_path / "hollow").mkdir()
        done = dlcli("train-text", tiny, "--out", "o", *flags.split())
        assert done.code == code, done.err
        assert len(done.lines) == 1
        for word in words:
            assert word in done.err
        assert not Path("o").exists()


def test_frozen_vectors_may_be_learnt_ones() -> None:
    config = TextModelConfig(model="lstm", unlabelled=Path("more.csv"), freeze_embedding=True)
    assert config.resolved_model().embedding_dim == 64
