"""The one loading path of a finished run."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dlcli.core.backend import keras, tf
from dlcli.core.files import sha256
from dlcli.errors import ModelError, NumbersError, UsageError
from dlcli.serving.predictor import Predictor

REVIEWS = Path(__file__).resolve().parents[2] / "sample_data" / "reviews-test.csv"


@pytest.fixture(scope="module")
def predictor(run: Path) -> Predictor:
    return Predictor(run)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Return texts of very different lengths, in no order, empty and unknown ones among them."""
    with REVIEWS.open(encoding="utf-8", newline="") as file:
        rows = [row["text"] for row in csv.DictReader(file)][:150]
    random = np.random.default_rng(0)
    mixed = [text * int(random.integers(1, 6)) for text in rows] + ["", "xyzzy", "not bad at all", " "]
    return [mixed[place] for place in random.permutation(len(mixed))]


def test_answers_stand_in_the_order_of_the_items(predictor: Predictor, texts: list[str]) -> None:
    together = predictor.outputs(texts)
    alone = np.concatenate([predictor.outputs([text]) for text in texts[:12]])
    np.testing.assert_allclose(together[:12], alone, atol=1e-6)
    order = np.random.default_rng(1).permutation(len(texts))
    np.testing.assert_allclose(predictor.outputs([texts[place] for place in order]), together[order], atol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 64, 10_000])
def test_the_size_of_a_batch_changes_nothing(
    predictor: Predictor, texts: list[str], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = predictor.outputs(texts[:60])
    monkeypatch.setattr(predictor._forward, "batch_size", size)
    np.testing.assert_allclose(predictor.outputs(texts[:60]), expected, atol=1e-6)


def test_answers_are_those_of_the_model_on_the_graph_s_ids(run: Path, predictor: Predictor, texts: list[str]) -> None:
    model = keras.saving.load_model(run / "model.keras", compile=False)
    expected = model(predictor.pipeline.graph(tf.constant(texts))).numpy()
    answers = predictor.outputs(texts)
    np.testing.assert_allclose(answers, expected, atol=1e-6)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert (answers.shape, answers.dtype) == ((len(texts), 2), np.float32)


def test_no_items_have_no_answers(predictor: Predictor) -> None:
    assert predictor.outputs([]).shape == (0, 2)


def test_texts_without_a_known_word_have_the_answer_of_an_empty_one(predictor: Predictor) -> None:
    answers = predictor.outputs(["", "xyzzy", "<br />"])
    np.testing.assert_array_equal(answers, answers[[0, 0, 0]])
    assert np.isfinite(answers).all()


def test_answers_that_are_no_numbers_are_an_error(run: Path) -> None:
    predictor = Predictor(run)
    bias = predictor.model.layers[-1].bias
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(NumbersError, match="answers 2 of 2 items with NaN or infinity"):
        predictor.outputs(["good", "bad"])


@pytest.mark.parametrize("name", ["ResourceExhaustedError", "MemoryError"])
def test_exhausted_memory_is_named_with_the_model(run: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor(run, batch_size=32)

    def exhausted(_: object) -> None:
        raise type(name, (MemoryError,), {})("OOM when allocating tensor")

    monkeypatch.setattr(predictor._forward, "_call", exhausted)
    with pytest.raises(NumbersError, match=f"out of memory: {run / 'model.keras'} answers 32 items together"):
        predictor.outputs(["good"])


def test_it_learnt_what_the_words_say(predictor: Predictor) -> None:
    assert predictor.labels == ["neg", "pos"]
    answers = predictor.outputs(["I loved it. It was wonderful.", "I hated it. It was dull and boring."])
    assert answers.argmax(axis=1).tolist() == [1, 0]


class TestDamage:
    @pytest.fixture
    def copy(self, run: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(run, tmp_path / "copy"))

    def change(self, path: Path, **fields: object) -> None:
        record = json.loads((path / "run.json").read_text())
        (path / "run.json").write_text(json.dumps(record | fields))

    def test_a_copy_of_a_run_works(self, copy: Path) -> None:
        assert Predictor(copy).outputs(["good"]).shape == (1, 2)

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="does not exist"):
            Predictor(tmp_path / "nothing")

    @pytest.mark.parametrize("name", ["model.keras", "pipeline/vocabulary.tsv", "pipeline/pipeline.json"])
    def test_a_changed_file(self, copy: Path, name: str) -> None:
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
        with pytest.raises(ModelError, match=f"{name} is not what was saved"):
            Predictor(copy)

    def test_a_model_that_keras_cannot_load(self, copy: Path) -> None:
        (copy / "model.keras").write_bytes(b"no archive")
        hashes = json.loads((copy / "run.json").read_text())["hashes"]
        self.change(copy, hashes=hashes | {"model.keras": sha256(copy / "model.keras")})
        with pytest.raises(ModelError, match=r"model\.keras is damaged, or no \.keras file"):
            Predictor(copy)

    def test_a_model_with_code_inside_is_refused(self, copy: Path) -> None:
        model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x + 1)])
        model.save(copy / "model.keras")
        hashes = json.loads((copy / "run.json").read_text())["hashes"]
        self.change(copy, hashes=hashes | {"model.keras": sha256(copy / "model.keras")})
        with pytest.raises(ModelError, match=r"Lambda .* is none of the layers that are known"):
            Predictor(copy)

    @pytest.mark.parametrize("domain", ["sound", "", "text.domain", "verbs"])
    def test_a_domain_that_we_do_not_have(self, copy: Path, domain: str) -> None:
        self.change(copy, domain=domain)
        with pytest.raises(ModelError):
            Predictor(copy)

    def test_a_run_that_was_interrupted(self, copy: Path) -> None:
        self.change(copy, status="interrupted")
        with pytest.raises(ModelError, match="was interrupted"):
            Predictor(copy)
