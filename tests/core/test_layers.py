"""Activations, initialisers and penalties by name are those of their formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.tiny import fit, probabilities, vectors
from dlcli.core.backend import keras
from dlcli.core.layers import ACTIVATIONS, INITIALIZERS, activation, dropout, head, hidden, initializer, penalty
from dlcli.core.training_config import LayerConfig
from dlcli.errors import UsageError

X = np.array([-8.0, -3.5, -2.0, -0.7, -0.1, 0.0, 0.2, 0.9, 2.0, 3.5, 5.9, 7.0])
SIGMOID = 1 / (1 + np.exp(-X))
# Klambauer et al. 2017.
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805
FORMULAS: dict[str, np.ndarray] = {
    "elu": np.where(X > 0, X, np.exp(X) - 1),
    # Courbariaux et al. 2015, with the slope that Keras 3 has.
    "hard_sigmoid": np.clip(X / 6 + 0.5, 0, 1),
    "leaky_relu": np.where(X > 0, X, 0.2 * X),
    "linear": X,
    "penalized_tanh": np.where(X > 0, np.tanh(X), np.tanh(X) / 4),
    "relu": np.maximum(X, 0),
    "relu6": np.clip(X, 0, 6),
    "selu": SCALE * np.where(X > 0, X, ALPHA * (np.exp(X) - 1)),
    "sigmoid": SIGMOID,
    "softmax": np.exp(X) / np.exp(X).sum(),
    "softplus": np.log1p(np.exp(X)),
    "softsign": X / (1 + np.abs(X)),
    "swish": X * SIGMOID,
    "tanh": np.tanh(X),
}


class TestActivations:
    def test_all_are_tested(self) -> None:
        assert set(FORMULAS) == set(ACTIVATIONS)

    @pytest.mark.parametrize("name", ACTIVATIONS)
    def test_each_equals_its_formula(self, name: str) -> None:
        found = activation(name)(keras.ops.convert_to_tensor(X[None], "float32")).numpy()[0]
        np.testing.assert_allclose(found, FORMULAS[name], rtol=1e-5, atol=1e-6)

    def test_the_nearest_is_named(self) -> None:
        with pytest.raises(UsageError) as caught:
            activation("leaky-relu")
        assert caught.value.message == "--activation: there is no activation 'leaky-relu'"
        assert caught.value.hint == "Did you mean 'leaky_relu'?"

    def test_each_survives_a_save(self, tmp_path: Path) -> None:
        """One model with a branch for each: the file is loaded in safe mode, as every run is."""
        inputs = keras.Input((4,))
        branches = [
            hidden(inputs, (3,), LayerConfig(activation=name), seed=number) for number, name in enumerate(ACTIVATIONS)
        ]
        names = [f"{name}_layer" for name in ACTIVATIONS]
        outputs = []
        for branch, name in zip(branches, names, strict=True):
            layer = branch._keras_history.operation
            layer.name = name
            outputs.append(branch)
        model = keras.Model(inputs, keras.layers.Concatenate()(outputs))
        points = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32) * 3
        expected = model.predict_on_batch(points)
        model.save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras", compile=False, safe_mode=True)
        np.testing.assert_array_equal(again.predict_on_batch(points), expected)
        # Each branch is the activation of what a dense layer of its weights gives.
        for number, name in enumerate(ACTIVATIONS):
            layer = again.get_layer(names[number])
            before = points @ layer.kernel.numpy() + layer.bias.numpy()
            own = expected[:, 3 * number : 3 * number + 3]
            np.testing.assert_allclose(own, np.asarray(activation(name)(before)), rtol=1e-4, atol=1e-5)


FAN_IN, FAN_OUT = 300, 200
# Name and parameters: mean, standard deviation, and the largest size where there is one.
TRUNCATED = 0.87962566103423978  # The deviation of a normal distribution that is cut at two of its own.
STATISTICS = {
    "glorot_uniform": (0, np.sqrt(2 / (FAN_IN + FAN_OUT)), np.sqrt(6 / (FAN_IN + FAN_OUT))),
    "glorot_normal": (0, np.sqrt(2 / (FAN_IN + FAN_OUT)), 2 * np.sqrt(2 / (FAN_IN + FAN_OUT)) / TRUNCATED),
    "he_uniform": (0, np.sqrt(2 / FAN_IN), np.sqrt(6 / FAN_IN)),
    "he_normal": (0, np.sqrt(2 / FAN_IN), 2 * np.sqrt(2 / FAN_IN) / TRUNCATED),
    "lecun_uniform": (0, np.sqrt(1 / FAN_IN), np.sqrt(3 / FAN_IN)),
    "lecun_normal": (0, np.sqrt(1 / FAN_IN), 2 * np.sqrt(1 / FAN_IN) / TRUNCATED),
    "random_normal": (0, 0.05, None),
    "random_normal:mean=1,stddev=0.02": (1, 0.02, None),
    "random_uniform": (0, 0.1 / np.sqrt(12), 0.05),
    "random_uniform:minval=-0.2,maxval=0.4": (0.1, 0.6 / np.sqrt(12), 0.4),
    "truncated_normal:stddev=0.3": (0, 0.3 * TRUNCATED, 0.6),
    "variance_scaling": (0, np.sqrt(1 / FAN_IN), 2 * np.sqrt(1 / FAN_IN) / TRUNCATED),
    "variance_scaling:scale=3,mode=fan_avg,distribution=uniform": (
        *(0, np.sqrt(3 / (FAN_IN + FAN_OUT) * 2)),
        np.sqrt(9 / (FAN_IN + FAN_OUT) * 2),
    ),
    "constant:value=0.7": (0.7, 0, 0.7),
    "ones": (1, 0, 1),
    "zeros": (0, 0, 0),
}


class TestInitializers:
    def drawn(self, text: str, seed: int = 5) -> np.ndarray:
        return np.asarray(initializer(text, seed=seed)((FAN_IN, FAN_OUT), dtype="float32"))

    @pytest.mark.parametrize("text", STATISTICS)
    def test_their_statistics(self, text: str) -> None:
        values = self.drawn(text)
        mean, deviation, largest = STATISTICS[text]
        # Of 60,000 numbers: four standard errors.
        assert values.mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(values.size) + 1e-6)
        assert values.std() == pytest.approx(deviation, rel=0.02, abs=1e-6)
        if largest is not None:
            assert np.abs(values).max() <= largest * (1 + 1e-5)
            assert np.abs(values).max() >= largest * 0.97

    def test_the_others(self) -> None:
        square = self.drawn("orthogonal:gain=2")
        np.testing.assert_allclose(square.T @ square, 4 * np.eye(FAN_OUT), atol=1e-4)
        np.testing.assert_array_equal(self.drawn("identity:gain=3"), 3 * np.eye(FAN_IN, FAN_OUT))
        assert {text.partition(":")[0] for text in STATISTICS} | {"orthogonal", "identity"} == set(INITIALIZERS)

    @pytest.mark.parametrize("text", ["he_normal", "random_uniform", "orthogonal", "variance_scaling"])
    def test_the_seed_decides(self, text: str) -> None:
        np.testing.assert_array_equal(self.drawn(text), self.drawn(text))
        assert not np.array_equal(self.drawn(text), self.drawn(text, seed=6))

    @pytest.mark.parametrize(
        ("text", "message", "hint"),
        [
            ("he_norml", "there is no initializer 'he_norml'", "Did you mean 'he_normal'?"),
            ("", "there is no initializer ''", "Known: constant, glorot_normal"),
            ("random_normal:std=1", "random_normal has no parameter 'std'", "Did you mean 'stddev'?"),
            ("random_normal:seed=1", "random_normal has no parameter 'seed'", "Known: mean, stddev"),
            ("zeros:value=1", "zeros has no parameter 'value'", ""),
            ("random_normal:stddev=big", "expected a number for stddev, got 'big'", ""),
            ("random_normal:stddev", "expected a number for stddev, got ''", ""),
            ("variance_scaling:scale=-1", "'variance_scaling:scale=-1': ", ""),
            ("variance_scaling:mode=fan", "'variance_scaling:mode=fan': ", ""),
            ("variance_scaling:distribution=even", "'variance_scaling:distribution=even': ", ""),
        ],
    )
    def test_what_does_not_exist(self, text: str, message: str, hint: str) -> None:
        with pytest.raises(UsageError) as caught:
            initializer(text, seed=0)
        assert caught.value.message.startswith(f"--initializer: {message}")
        assert caught.value.hint.startswith(hint)


def network(config: LayerConfig, units: tuple[int, ...] = (5,), *, classes: int = 2, seed: int = 0) -> Any:
    inputs = keras.Input((3,))
    return keras.Model(
        inputs, head(hidden(inputs, units, config, seed=seed), classes, config, activation="softmax", seed=seed)
    )


class TestNetworks:
    def test_shapes_and_names(self) -> None:
        model = network(LayerConfig(dropout=0.5, activation="tanh"), (7, 4), classes=3)
        dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
        assert [(layer.name, layer.kernel.shape) for layer in dense] == [
            ("hidden_1", (3, 7)),
            ("hidden_2", (7, 4)),
            ("classes", (4, 3)),
        ]
        assert [layer.activation.__name__ for layer in dense] == ["tanh", "tanh", "softmax"]
        drops = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
        assert [layer.rate for layer in drops] == [0.5] * 3, "one before each dense layer"
        assert len({layer.seed for layer in drops}) == 3
        assert model.layers.index(drops[0]) < model.layers.index(dense[0]) < model.layers.index(drops[1])

    def test_without_units_there_is_the_head_alone(self) -> None:
        assert [layer.name for layer in network(LayerConfig(), ()).layers[1:]] == ["classes"]
        inputs = keras.Input((3,))
        assert dropout(inputs, LayerConfig(), seed=0) is inputs

    def test_layers_of_one_shape_start_apart_and_each_seed_anew(self) -> None:
        first, second, third = (network(LayerConfig(), (6, 6), seed=seed) for seed in (0, 0, 1))
        weights = [layer.kernel.numpy() for layer in first.layers if layer.name.startswith("hidden")]
        assert not np.array_equal(weights[1][:3], weights[0])
        for one, same, other in zip(first.weights, second.weights, third.weights, strict=True):
            np.testing.assert_array_equal(one.numpy(), same.numpy())
            assert "bias" in one.path or not np.array_equal(one.numpy(), other.numpy())

    def test_the_head_computes_in_float32(self) -> None:
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            model = network(LayerConfig())
        finally:
            keras.config.set_dtype_policy(before)
        assert model.get_layer("hidden_1").compute_dtype == "bfloat16"
        assert model.get_layer("classes").compute_dtype == "float32"
        assert model(np.ones((2, 3), np.float32)).dtype == "float32"

    def test_penalties_are_in_the_training_loss_and_in_no_other(self, tmp_path: Path) -> None:
        rates = {"l1": 0.01, "l2": 0.02, "bias_l1": 0.03, "bias_l2": 0.04, "activity_l1": 0.05, "activity_l2": 0.06}
        training, validation = vectors(40), vectors(30, seed=1)
        settings = {"epochs": 1, "batch_size": 40, "optimizer": "sgd", "lr": 1e-30, "label_smoothing": 0.0}
        records = []
        for number, config in enumerate((LayerConfig(), LayerConfig(**rates))):
            model = network(config)
            for variable in model.trainable_variables:
                if "bias" in variable.path:
                    variable.assign(np.linspace(-0.5, 1, variable.shape[0]))
            records.append(fit(tmp_path / str(number), model, training, validation, **settings).history[0])
        first, last = (model.get_layer(name) for name in ("hidden_1", "classes"))
        kernels, biases = ([getattr(layer, part).numpy() for layer in (first, last)] for part in ("kernel", "bias"))
        rows = training.inputs.rows  # type: ignore[attr-defined]
        outputs = np.maximum(rows @ kernels[0] + biases[0], 0)
        expected = (
            sum(0.01 * np.abs(kernel).sum() + 0.02 * (kernel**2).sum() for kernel in kernels)
            + sum(0.03 * np.abs(bias).sum() + 0.04 * (bias**2).sum() for bias in biases)
            # Of the hidden layer alone, and an item's mean, so that it does not depend on the size of batches.
            + (0.05 * np.abs(outputs).sum() + 0.06 * (outputs**2).sum()) / 40
        )
        assert records[1]["loss"] - records[0]["loss"] == pytest.approx(expected, rel=1e-4)
        assert records[1]["val_loss"] == records[0]["val_loss"]

    def test_no_penalty_is_none(self) -> None:
        assert penalty(0.0, 0.0) is None
        assert penalty(0.1, 0.0) is not None and penalty(0.0, 0.1) is not None

    def test_a_linear_network_of_the_layers_is_the_formula(self) -> None:
        points = vectors(10, classes=4)
        model = network(LayerConfig(initializer="random_normal:stddev=1"), (), classes=4)
        kernel = model.get_layer("classes").kernel.numpy()
        assert kernel.std() > 0.5
        expected = probabilities(points, kernel.astype(np.float64))
        np.testing.assert_allclose(model(points.inputs.rows).numpy(), expected, rtol=1e-4)  # type: ignore[attr-defined]
