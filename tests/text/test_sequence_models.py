"""The sequence models: shapes, padding, first weights, files, and that the order of words counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from dlcli.core.backend import keras
from dlcli.errors import UsageError
from dlcli.text.config import SEQUENCE_MODELS, TextModelConfig
from dlcli.text.defaults import MODEL_DEFAULTS, TRAINING_DEFAULTS
from dlcli.text.sequence_layers import LocalMaxPooling, MaskedPooling, PaddingBehind, ReverseWords, SelfAttention
from dlcli.text.sequence_models import build

VOCABULARY, CLASSES, LONGEST = 30, 3, 9
POOLINGS = [(name, mode) for name in SEQUENCE_MODELS for mode in ("max", "mean")] + [
    ("bilstm", "last"),
    ("rnn", "last"),
]


def model_of(name: str, *, seed: int = 1, vectors: Any = None, output: str = "softmax", **settings: Any) -> Any:
    sizes = {"embedding_dim": 8, "units": 6} | settings
    if name != "cnn":
        sizes = {"layers": 2} | sizes
    if vectors is not None:
        sizes["embedding_dim"] = vectors.shape[1]
    config = TextModelConfig(model=name, **sizes)
    return build(
        config,
        vocabulary_size=VOCABULARY,
        classes=CLASSES,
        seed=seed,
        max_length=LONGEST + 2,
        vectors=vectors,
        output=output,
    )


def padded(before: int = 0, behind: int = 0) -> np.ndarray:
    """Return five texts, one of them without words and one as long as the widest; their words are known or not (1)."""
    random = np.random.default_rng(3)
    rows = np.zeros((5, before + LONGEST + behind), np.int32)
    for row, size in zip(rows, (1, 4, 7, LONGEST, 0), strict=True):
        row[before : before + size] = random.integers(1, VOCABULARY + 2, size)
    return rows


@pytest.mark.parametrize(("name", "mode"), POOLINGS)
def test_padding_changes_nothing(name: str, mode: str) -> None:
    model = model_of(name, pooling=mode)
    for variable in model.trainable_variables:  # Biases of zero would hide padding that counts.
        if "bias" in variable.path or "beta" in variable.path:
            variable.assign(np.linspace(-0.5, 0.7, variable.shape[-1]) * np.ones(variable.shape))
    expected = model(padded()).numpy()
    assert expected.shape == (5, CLASSES)
    np.testing.assert_allclose(expected.sum(axis=1), 1, rtol=1e-5)
    assert len(np.unique(expected[:, 0].round(6))) == 5, "the texts differ in their answers"
    for before, behind in ((3, 0), (0, 5), (2, 1)):
        np.testing.assert_allclose(model(padded(before, behind)).numpy(), expected, atol=1e-5)
    alone = model(padded()[1:2, :4]).numpy()
    np.testing.assert_allclose(alone[0], expected[1], atol=1e-5)


@pytest.mark.parametrize("name", SEQUENCE_MODELS)
def test_a_saved_model_is_the_same(name: str, tmp_path: Path) -> None:
    model = model_of(name, hidden_units=(5,), dropout=0.2, l2=1e-4)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(again(padded()).numpy(), model(padded()).numpy())
    assert len(again.losses) == len(model.losses) > 0


@pytest.mark.parametrize("name", SEQUENCE_MODELS)
def test_the_seed_decides_the_weights(name: str) -> None:
    weights = [model_of(name, seed=seed, embedding_dropout=0.5, dropout=0.5).get_weights() for seed in (1, 1, 2)]
    for first, same, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, same)
        assert np.unique(first).size == 1 or first.ndim == 1 or not np.array_equal(first, other)
    kernels = [weight for weight in weights[0] if weight.ndim == 2 and weight.any()]
    for number, kernel in enumerate(kernels):
        assert not any(kernel.shape == other.shape and np.allclose(kernel, other) for other in kernels[:number])


def test_names_of_layers() -> None:
    def trained(name: str, **settings: Any) -> list[str]:
        return sorted(layer.name for layer in model_of(name, **settings).layers if layer.trainable_variables)

    assert trained("cnn", kernel_sizes=(2, 3)) == ["classes", "conv_2", "conv_3", "embedding"]
    assert trained("gru") == ["classes", "embedding", "gru_1", "gru_2"]
    assert trained("bilstm", layers=1) == ["classes", "embedding", "lstm_1_backward", "lstm_1_forward"]
    assert trained("cnn-lstm", layers=1, hidden_units=(4,)) == ["classes", "conv_5", "embedding", "hidden_1", "lstm_1"]
    norms = ["attention_1_norm", "feed_forward_1_norm", "norm", "positions"]
    inner = ["attention_1", "feed_forward_1_inner", "feed_forward_1_outer"]
    assert trained("transformer", layers=1) == sorted([*inner, *norms, "classes", "embedding"])


def test_scores_without_bounds() -> None:
    scores = model_of("cnn", output="linear")(padded()).numpy()
    assert scores.min() < 0
    probabilities = model_of("cnn")(padded()).numpy()
    np.testing.assert_allclose(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), probabilities, rtol=1e-4)


@pytest.mark.parametrize("name", ["cnn", "lstm", "transformer"])
def test_sixteen_bits(name: str) -> None:
    expected = model_of(name)(padded()).numpy()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = model_of(name)
    finally:
        keras.config.set_dtype_policy(before)
    answers = model(padded())
    assert answers.dtype == "float32"
    np.testing.assert_allclose(answers.numpy(), expected, atol=0.03)


class TestVectors:
    vectors = np.random.default_rng(0).normal(size=(VOCABULARY, 4)).astype(np.float32)

    def test_the_embedding_starts_with_them(self) -> None:
        vectors = self.vectors.copy()
        vectors[5] = np.nan
        table = model_of("cnn", vectors=vectors).get_layer("embedding").get_weights()[0]
        known = np.arange(VOCABULARY) != 5
        np.testing.assert_array_equal(table[2:][known], vectors[known])
        assert 0 < np.abs(table[7]).max() <= 0.05, "a word without a vector starts at random"

    def test_frozen(self) -> None:
        settings = {"vectors": Path("vectors.txt"), "freeze_embedding": True}
        config = TextModelConfig(model="cnn", units=3, **settings)
        model = build(config, vocabulary_size=VOCABULARY, classes=2, seed=0, max_length=9, vectors=self.vectors)
        assert not model.get_layer("embedding").trainable_variables
        assert model.get_layer("embedding").embeddings.shape == (VOCABULARY + 2, 4)

    def test_another_size_is_refused(self) -> None:
        config = TextModelConfig(model="cnn", embedding_dim=5)
        with pytest.raises(UsageError, match="--embedding-dim 5 is not the size of the vectors, 4"):
            build(config, vocabulary_size=VOCABULARY, classes=2, seed=0, max_length=9, vectors=self.vectors)


class TestLayers:
    ids = np.array([[0, 0, 3, 4, 5], [6, 7, 0, 0, 0], [1, 2, 3, 4, 5], [0, 0, 0, 0, 0]], np.int32)
    sizes = (3, 2, 5, 0)
    behind = np.array([[3, 4, 5, 0, 0], [6, 7, 0, 0, 0], [1, 2, 3, 4, 5], [0, 0, 0, 0, 0]])
    inputs = np.random.default_rng(0).normal(size=(4, 5, 2)).astype(np.float32) - 2

    def test_padding_goes_behind(self) -> None:
        np.testing.assert_array_equal(PaddingBehind()(self.ids), self.behind)

    def test_words_turned_round(self) -> None:
        turned = ReverseWords()(self.inputs, self.behind != 0)
        for row, before, size in zip(np.asarray(turned), self.inputs, self.sizes, strict=True):
            np.testing.assert_array_equal(row[:size], before[:size][::-1])
            np.testing.assert_array_equal(row[size:], before[size:])

    @pytest.mark.parametrize("mode", ["max", "mean", "last"])
    def test_pooling_of_words_alone(self, mode: str) -> None:
        of = {"max": lambda x: x.max(axis=0), "mean": lambda x: x.mean(axis=0), "last": lambda x: x[-1]}[mode]
        rows = [of(row[:size]) if size else np.zeros(2) for row, size in zip(self.inputs, self.sizes, strict=True)]
        np.testing.assert_allclose(MaskedPooling(mode)(self.inputs, self.behind != 0), rows, rtol=1e-5)

    @pytest.mark.parametrize("size", [1, 2, 4, 7])
    def test_local_pooling(self, size: int) -> None:
        pooled, mask = map(np.asarray, LocalMaxPooling(size)(self.inputs, self.behind != 0))
        assert pooled.shape == (4, -(-5 // size), 2)
        for row, shown, before, words in zip(pooled, mask, self.inputs, self.sizes, strict=True):
            expected = [before[start : min(start + size, words)].max(axis=0) for start in range(0, words, size)]
            assert shown.sum() == len(expected)
            np.testing.assert_array_equal(row[: len(expected)], np.reshape(expected, (-1, 2)))

    def test_attention_is_the_formula(self) -> None:
        random = np.random.default_rng(1)
        inputs = random.normal(size=(2, 5, 4)).astype(np.float32)
        layer = SelfAttention(2)
        answer = np.asarray(layer(inputs, np.array([[True] * 3 + [False] * 2, [True] * 5])))
        for number, size in enumerate((3, 5)):
            shown = inputs[number, :size]
            parts = np.split(shown @ layer.inner_kernel.numpy(), 3, axis=1)
            heads = []
            for query, key, value in zip(*(np.split(part, 2, axis=1) for part in parts), strict=True):
                scores = np.exp(query @ key.T / np.sqrt(2))
                heads.append(scores / scores.sum(axis=1, keepdims=True) @ value)
            expected = np.concatenate(heads, axis=1) @ layer.outer_kernel.numpy()
            np.testing.assert_allclose(answer[number, :size], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["cnn", "bilstm"])
def test_word_order_is_learnt(name: str) -> None:
    """Texts of the same words, good or bad by which of two neighbours comes first: no bag of words can tell them."""
    random = np.random.default_rng(0)
    texts = random.integers(4, 12, size=(192, 5)).astype(np.int32)
    labels = random.integers(2, size=192)
    for text, label, place in zip(texts, labels, random.integers(4, size=192), strict=True):
        text[place : place + 2] = (2, 3) if label else (3, 2)
    config = TextModelConfig(model=name, embedding_dim=16, units=16, dropout=0.0, embedding_dropout=0.0)
    model = build(config, vocabulary_size=10, classes=2, seed=0, max_length=6)
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    model.fit(texts[:128], labels[:128], batch_size=32, epochs=10, verbose=0)
    assert (model(texts[128:]).numpy().argmax(axis=1) == labels[128:]).mean() > 0.9


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"units": 3}, "--units does not go with --model ngram; it goes with cnn, rnn, lstm, gru, bilstm, bigru, "),
            ({"model": "cnn", "layers": 2}, "--layers does not go with --model cnn; it goes with rnn, lstm, gru, "),
            ({"model": "lstm", "kernel_sizes": "3"}, "--kernel-sizes does not go with --model lstm; it goes with cnn"),
            ({"model": "lstm", "heads": 2}, "--heads does not go with --model lstm; it goes with transformer"),
            ({"model": "cnn", "recurrent_dropout": 0.1}, "--recurrent-dropout does not go with --model cnn; it goes"),
            (
                {"model": "cnn", "ngram_dropout": 0.1},
                "--ngram-dropout does not go with --model cnn; it goes with",
            ),
            ({"model": "bow", "hidden_units": "8"}, "--hidden-units does not go with --model bow; it goes with ngram"),
            ({"model": "cnn", "pooling": "last"}, "--pooling last does not go with --model cnn; it goes with rnn"),
            ({"model": "lstm", "activation": "elu"}, "--activation is for hidden layers: give --hidden-units too"),
            ({"model": "cnn-lstm", "kernel_sizes": "3,5"}, "--kernel-sizes: cnn-lstm takes one, got 2"),
            ({"model": "cnn", "kernel_sizes": "3,3"}, "--kernel-sizes: each can be given once"),
            ({"model": "cnn", "freeze_embedding": True}, "--freeze-embedding is for --vectors or --unlabelled"),
            ({"model": "cnn", "freeze_epochs": 2}, "--freeze-epochs is for --vectors or --unlabelled"),
            ({"model": "transformer", "heads": 5}, "--heads 5 must divide the size of the embedding, "),
        ],
    )
    def test_what_does_not_fit(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(ValidationError) as caught:
            TextModelConfig(**settings)
        assert message in str(caught.value)

    @pytest.mark.parametrize("name", SEQUENCE_MODELS)
    def test_what_is_not_given_is_the_models_own(self, name: str) -> None:
        filled = TextModelConfig(model=name).resolved_model()
        assert {key: getattr(filled, key) for key in MODEL_DEFAULTS[name]} == MODEL_DEFAULTS[name]
        assert TextModelConfig(**filled.model_dump()) == filled, "the resolved settings are settings"
        assert TextModelConfig(model=name, units=7, dropout=0.0).resolved_model().units == 7
        assert TextModelConfig(model=name, units=7, dropout=0.0).resolved_model().dropout == 0.0
        assert set(TRAINING_DEFAULTS[name]) >= {"lr", "batch_size", "max_length", "max_features"}

    def test_the_ngram_model_keeps_its_own_ways(self) -> None:
        assert TextModelConfig().resolved_model() == TextModelConfig(dropout=0.0)
