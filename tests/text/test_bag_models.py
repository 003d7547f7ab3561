"""The models of bags of n-grams equal their formulas, written out in NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.core.backend import keras
from dlcli.text.bag_models import BagEmbedding, NgramWeights, bow, mlp, naive_bayes_weights, ngram
from dlcli.text.config import TextModelConfig, TextPipelineConfig
from dlcli.text.encoded import EncodedTexts
from dlcli.text.pipeline import TextPipeline
from text import reference

TEXTS, LABELS = reference.reviews()
VOCABULARY = 50


def random_texts(count: int, *, seed: int = 0) -> EncodedTexts:
    random = np.random.default_rng(seed)
    rows = [np.sort(random.choice(np.arange(1, VOCABULARY + 1), size=size, replace=False)) for size in
            random.integers(0, 20, size=count)]  # fmt: skip
    lengths = np.array([len(row) for row in rows], np.int64)
    return EncodedTexts(np.concatenate(rows).astype(np.int32), lengths)


def padded(texts: EncodedTexts, width: int | None = None) -> np.ndarray:
    rows = np.split(texts.ids, np.cumsum(texts.lengths)[:-1])
    result = np.zeros((len(rows), width or int(texts.lengths.max())), np.int32)
    for place, row in zip(result, rows, strict=True):
        place[: len(row)] = row
    return result


def filled(layer: BagEmbedding, *, seed: int = 1) -> np.ndarray:
    """Give a layer a random table; return it."""
    table = np.random.default_rng(seed).normal(size=layer.table.shape).astype(np.float32)
    layer.table.assign(table)
    return table


class Weighted:
    """The two layers of the n-gram model in a row."""

    def __init__(self, dim: int, weights: np.ndarray, **settings: Any) -> None:
        self.weights = NgramWeights(VOCABULARY, weights=weights, **settings)
        self.weights.build((None, None))
        self.embedding = BagEmbedding(VOCABULARY, dim)
        self.embedding.build([(None, None), (None, None)])

    def __call__(self, ids: np.ndarray, **settings: Any) -> Any:
        return self.embedding([ids, self.weights(ids, **settings)])


def embedding(dim: int = 3, **settings: Any) -> tuple[Weighted, np.ndarray, np.ndarray]:
    weights = np.random.default_rng(2).uniform(0, 3, size=VOCABULARY).astype(np.float32)
    layers = Weighted(dim, weights, **settings)
    return layers, filled(layers.embedding), np.concatenate([[0], weights])


def by_the_book(ids: np.ndarray, table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Put each text's weights into a row of length one over the vocabulary, and multiply it with the table."""
    rows = np.zeros((len(ids), len(weights)))
    for row, text in zip(rows, ids, strict=True):
        for number in text:
            row[number] = weights[number]
        row /= max(np.linalg.norm(row), 1e-6)
    return rows @ table.astype(np.float64)


class TestNaiveBayesWeights:
    def counts(self, texts: EncodedTexts) -> np.ndarray:
        rows = np.split(texts.ids, np.cumsum(texts.lengths)[:-1])
        return np.array([np.bincount(row, minlength=VOCABULARY + 1)[1:] > 0 for row in rows], float)

    def ratio(self, counts: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Wang & Manning 2012, equation 2, with alpha = 1."""
        p, q = 1 + counts[chosen].sum(axis=0), 1 + counts[~chosen].sum(axis=0)
        return np.abs(np.log((p / p.sum()) / (q / q.sum())))

    def test_two_classes(self) -> None:
        texts, labels = random_texts(80), np.random.default_rng(3).integers(2, size=80)
        weights = naive_bayes_weights(texts, labels, vocabulary_size=VOCABULARY, classes=2)
        expected = self.ratio(self.counts(texts), labels == 1)
        np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(weights, self.ratio(self.counts(texts), labels == 0), rtol=1e-5, atol=1e-7)
        assert (weights.shape, weights.dtype) == ((VOCABULARY,), np.float32)

    @pytest.mark.parametrize("classes", [3, 5])
    def test_more_classes_are_each_held_against_the_rest(self, classes: int) -> None:
        texts, labels = random_texts(80), np.arange(80) % classes
        weights = naive_bayes_weights(texts, labels, vocabulary_size=VOCABULARY, classes=classes)
        expected = np.max([self.ratio(self.counts(texts), labels == label) for label in range(classes)], axis=0)
        np.testing.assert_allclose(weights, expected, rtol=1e-5)

    def test_real_texts(self) -> None:
        pipeline, encoded = TextPipeline.adapt(TEXTS, TextPipelineConfig(ngrams=2, min_count=2))
        labels = np.array([int(label == "pos") for label in LABELS])
        weights = naive_bayes_weights(encoded, labels, vocabulary_size=len(pipeline.vocabulary), classes=2)
        places = {term: place for place, term in enumerate(pipeline.vocabulary.terms)}
        counts = np.zeros((len(TEXTS), len(places)))
        for row, text in zip(counts, TEXTS, strict=True):
            row[[places[term] for term in set(reference.ngrams(text, 2)) if term in places]] = 1
        np.testing.assert_allclose(weights, self.ratio(counts, labels == 1), rtol=1e-5, atol=1e-6)
        assert weights[places["loved"]] > weights[places["the"]]

    def test_a_class_without_texts_gives_numbers(self) -> None:
        texts = random_texts(10)
        weights = naive_bayes_weights(texts, np.zeros(10, np.int64), vocabulary_size=VOCABULARY, classes=3)
        assert np.all(np.isfinite(weights))


class TestNgramEmbedding:
    @pytest.mark.parametrize("dim", [1, 2, 8])
    def test_the_output_is_the_mean_by_the_book(self, dim: int) -> None:
        layer, table, weights = embedding(dim)
        ids = padded(random_texts(30))
        result = layer(ids).numpy()
        np.testing.assert_allclose(result, by_the_book(ids, table, weights), rtol=1e-4, atol=1e-5)
        assert layer.embedding.compute_output_shape([ids.shape, ids.shape]) == result.shape == (30, dim)

    def test_padding_changes_nothing(self) -> None:
        layer, _, _ = embedding()
        texts = random_texts(30)
        narrow, wide = (layer(padded(texts, width)).numpy() for width in (None, 300))
        np.testing.assert_allclose(narrow, wide, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("width", [0, 1, 7])
    def test_a_text_without_n_grams_is_zero(self, width: int) -> None:
        layer, _, _ = embedding()
        np.testing.assert_array_equal(layer(np.zeros((2, width), np.int32)).numpy(), np.zeros((2, 3)))

    def test_a_text_does_not_depend_on_its_neighbours(self) -> None:
        layer, _, _ = embedding()
        ids = padded(random_texts(30))
        alone = np.concatenate([layer(row[np.newaxis]).numpy() for row in ids])
        np.testing.assert_allclose(layer(ids).numpy(), alone, rtol=1e-5, atol=1e-6)

    def test_dropout_is_off_at_inference(self) -> None:
        ids = padded(random_texts(30))
        with_dropout, without = embedding(dropout=0.6)[0], embedding()[0]
        for settings in ({}, {"training": False}):
            np.testing.assert_array_equal(with_dropout(ids, **settings).numpy(), without(ids).numpy())

    def test_dropout_leaves_out_whole_n_grams_and_keeps_length_one(self) -> None:
        _, _, weights = embedding()
        ids = np.arange(1, 13, dtype=np.int32)[np.newaxis].repeat(400, axis=0)
        layer = Weighted(VOCABULARY + 1, weights[1:], dropout=0.5, seed=4)
        layer.embedding.table.assign(np.eye(VOCABULARY + 1, dtype=np.float32))
        rows = layer(ids, training=True).numpy()
        kept = rows[:, 1:13] > 0
        assert kept.mean() == pytest.approx(0.5, abs=0.03)
        assert not rows[:, 13:].any()
        for row, mask in zip(rows[:, 1:13], kept, strict=True):
            left = weights[1:13] * mask
            np.testing.assert_allclose(row, left / max(np.linalg.norm(left), 1e-6), rtol=1e-4, atol=1e-6)

    def test_dropout_is_a_function_of_its_seed(self) -> None:
        ids = padded(random_texts(30))
        one, same, other = (embedding(dropout=0.5, seed=seed)[0] for seed in (1, 1, 2))
        first = one(ids, training=True).numpy()
        np.testing.assert_array_equal(first, same(ids, training=True).numpy())
        assert not np.array_equal(first, other(ids, training=True).numpy())
        assert not np.array_equal(first, one(ids, training=True).numpy()), "each step draws anew"

    def test_the_fixed_weights_are_not_trained(self) -> None:
        layer, _, _ = embedding()
        assert not layer.weights.trainable_variables
        assert [v.name for v in layer.embedding.trainable_variables] == ["table"]


def build(classes: int, dim: int | None = None, *, seed: int = 0, dropout: float = 0.0) -> Any:
    texts = random_texts(60)
    return ngram(
        texts,
        np.arange(60) % classes,
        vocabulary_size=VOCABULARY,
        classes=classes,
        config=TextModelConfig(embedding_dim=dim, ngram_dropout=dropout),
        seed=seed,
    )


class TestNgramModel:
    @pytest.mark.parametrize(("classes", "dim"), [(2, 1), (3, 3), (64, 64), (100, 64)])
    def test_the_embedding_is_as_large_as_documented(self, classes: int, dim: int) -> None:
        model = build(classes)
        assert model.get_layer("embedding").dim == dim
        assert model.output_shape == (None, classes)

    @pytest.mark.parametrize("dim", [1, 2, 5, 8])
    @pytest.mark.parametrize("classes", [2, 3])
    def test_it_starts_undecided_and_can_learn(self, classes: int, dim: int) -> None:
        model = build(classes, dim)
        np.testing.assert_allclose(model(padded(random_texts(5))).numpy(), 1 / classes, rtol=1e-6)
        kernel = model.get_layer("classes").kernel.numpy()
        assert np.linalg.matrix_rank(kernel) >= 1, "a zero head over a zero table would never move"

    @pytest.mark.parametrize("dim", [None, 8])
    def test_the_start_is_a_function_of_the_seed(self, dim: int | None) -> None:
        keras.utils.set_random_seed(1)
        one = build(2, dim).get_weights()
        keras.utils.set_random_seed(2)
        for left, right in zip(one, build(2, dim).get_weights(), strict=True):
            np.testing.assert_array_equal(left, right)

    def test_the_model_is_a_softmax_over_the_embedding(self) -> None:
        model = build(3)
        layer, head = model.get_layer("embedding"), model.get_layer("classes")
        table = filled(layer)
        head.bias.assign([0.1, -0.2, 0.3])
        ids = padded(random_texts(30, seed=5))
        weights = model.get_layer("ngram_weights").ngram_weights.numpy()
        scores = by_the_book(ids, table, weights) @ head.kernel.numpy() + head.bias.numpy()
        expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(model.predict(ids, verbose=0), expected, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("dropout", [0.0, 0.4])
    def test_a_saved_model_answers_the_same(self, tmp_path: Path, dropout: float) -> None:
        model = build(3, dropout=dropout)
        filled(model.get_layer("embedding"))
        model.save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras", compile=False, safe_mode=True)
        for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        ids = padded(random_texts(30, seed=5))
        np.testing.assert_array_equal(model(ids).numpy(), again(ids).numpy())
        layer = again.get_layer("embedding")
        assert layer.get_config() == model.get_layer("embedding").get_config()
        assert again.get_layer("ngram_weights").ngram_weights.numpy()[0] == 0, "padding weighs nothing"


def valued_texts(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids, counts, and the same as rows over the vocabulary."""
    ids = padded(random_texts(count))
    values = np.random.default_rng(6).integers(1, 5, size=ids.shape) * (ids > 0)
    rows = np.zeros((count, VOCABULARY + 1))
    np.put_along_axis(rows, ids, values, axis=1)
    rows[:, 0] = 0
    return ids, values.astype(np.float32), rows


def softmax(scores: np.ndarray) -> np.ndarray:
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


class TestBow:
    @pytest.mark.parametrize("classes", [2, 4])
    def test_it_is_a_linear_model_of_the_values(self, classes: int) -> None:
        model = bow(valued=True, vocabulary_size=VOCABULARY, classes=classes, config=TextModelConfig(), seed=0)
        ids, values, rows = valued_texts(30)
        np.testing.assert_allclose(model([ids, values]).numpy(), 1 / classes, rtol=1e-6)
        layer = model.get_layer("classes")
        layer.bias_weights.assign(np.arange(classes))
        expected = softmax(rows @ filled(layer) + np.arange(classes))
        np.testing.assert_allclose(model([ids, values]).numpy(), expected, rtol=1e-4, atol=1e-6)

    def test_without_values_each_n_gram_counts_once(self) -> None:
        model = bow(
            valued=False, vocabulary_size=VOCABULARY, classes=2, config=TextModelConfig(), seed=0, output="linear"
        )
        ids, _, rows = valued_texts(30)
        expected = (rows > 0) @ filled(model.get_layer("classes"))
        np.testing.assert_allclose(model(ids).numpy(), expected, rtol=1e-4, atol=1e-5)


class TestMlp:
    def test_the_first_layer_is_dense_over_the_bag(self) -> None:
        config = TextModelConfig(hidden_units=(5, 3), model="mlp")
        model = mlp(valued=True, vocabulary_size=VOCABULARY, classes=2, config=config, seed=0)
        ids, values, rows = valued_texts(30)
        first, second, head = (model.get_layer(name) for name in ("embedding", "hidden_1", "classes"))
        hidden = np.maximum(rows @ first.table.numpy() + first.bias_weights.numpy(), 0)
        hidden = np.maximum(hidden @ second.kernel.numpy() + second.bias.numpy(), 0)
        expected = softmax(hidden @ head.kernel.numpy() + head.bias.numpy())
        np.testing.assert_allclose(model([ids, values]).numpy(), expected, rtol=1e-4, atol=1e-6)

    def test_a_saved_model_answers_the_same(self, tmp_path: Path) -> None:
        config = TextModelConfig(hidden_units=(5,), activation="penalized_tanh", model="mlp")
        model = mlp(valued=False, vocabulary_size=VOCABULARY, classes=2, config=config, seed=0)
        model.save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras", compile=False, safe_mode=True)
        ids = padded(random_texts(30))
        np.testing.assert_array_equal(model(ids).numpy(), again(ids).numpy())
