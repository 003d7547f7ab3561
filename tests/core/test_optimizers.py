"""Optimizers equal references in NumPy and double precision, on the bowl of the lecture notes: x^4/100 + 100 y^2."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from dlcli.core.backend import keras, tf
from dlcli.core.optimizers import make_optimizer
from dlcli.core.training_config import TrainingConfig
from dlcli.errors import UsageError

START = np.array([9.0, 0.7])
# The batches' gradients are those of the bowl times these, so that no two are alike.
SCALES = [1.0, 0.4, 1.7, -0.8, 1.2, 0.6, -0.3, 1.0, 0.7, 1.3]
State = dict[str, np.ndarray]
Rule = Callable[..., np.ndarray]


def bowl_gradient(point: np.ndarray) -> np.ndarray:
    """Return the gradient of x^4/100 + 100 y^2."""
    x, y = point
    return np.array([4 * x**3 / 100, 200 * y])


# The references: each returns what is taken from the weights; `t` counts the steps from 1. Where the papers' epsilon
# stands differs between libraries: here it stands where Keras' documentation of each class has it.


def sgd(g: np.ndarray, s: State, t: int, lr: np.ndarray, momentum: float = 0.0, nesterov: bool = False) -> np.ndarray:
    """Sutskever et al. 2013, with the learning rate inside the velocity."""
    s["v"] = momentum * s["v"] - lr * g
    return lr * g - momentum * s["v"] if nesterov else -s["v"]


def rmsprop(
    g: np.ndarray, s: State, t: int, lr: np.ndarray, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7
) -> np.ndarray:
    """Hinton, lecture 6e of his course."""
    s["v"] = rho * s["v"] + (1 - rho) * g**2
    s["m"] = momentum * s["m"] + lr * g / np.sqrt(s["v"] + epsilon)
    return s["m"]


def adagrad(g: np.ndarray, s: State, t: int, lr: np.ndarray, epsilon: float = 1e-7) -> np.ndarray:
    """Duchi et al. 2011; the sum of squares starts at 0.1."""
    s["v"] = s["v"] + g**2
    return lr * g / np.sqrt(0.1 + s["v"] + epsilon)


def adadelta(g: np.ndarray, s: State, t: int, lr: np.ndarray, rho: float = 0.95, epsilon: float = 1e-7) -> np.ndarray:
    """Zeiler 2012, algorithm 1, times a learning rate."""
    s["v"] = rho * s["v"] + (1 - rho) * g**2
    step = np.sqrt(s["d"] + epsilon) / np.sqrt(s["v"] + epsilon) * g
    s["d"] = rho * s["d"] + (1 - rho) * step**2
    return lr * step


def adam(
    g: np.ndarray,
    s: State,
    t: int,
    lr: np.ndarray,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
) -> np.ndarray:
    """Kingma & Ba 2015, in the form at the end of their section 2; AMSGrad of Reddi et al. 2018."""
    s["m"] = beta_1 * s["m"] + (1 - beta_1) * g
    s["v"] = beta_2 * s["v"] + (1 - beta_2) * g**2
    s["top"] = np.maximum(s["top"], s["v"]) if amsgrad else s["v"]
    return lr * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * s["m"] / (np.sqrt(s["top"]) + epsilon)


def adamax(
    g: np.ndarray,
    s: State,
    t: int,
    lr: np.ndarray,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> np.ndarray:
    """Kingma & Ba 2015, algorithm 2."""
    s["m"] = beta_1 * s["m"] + (1 - beta_1) * g
    s["v"] = np.maximum(beta_2 * s["v"], np.abs(g))
    return lr / (1 - beta_1**t) * s["m"] / (s["v"] + epsilon)


def nadam(
    g: np.ndarray,
    s: State,
    t: int,
    lr: np.ndarray,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> np.ndarray:
    """Dozat 2016, algorithm 2 with the momentum's schedule of its section on warming up: b1 (1 - 0.96^t / 2)."""

    def mu(step: int) -> float:
        return beta_1 * (1 - 0.5 * 0.96**step)

    s["m"] = beta_1 * s["m"] + (1 - beta_1) * g
    s["v"] = beta_2 * s["v"] + (1 - beta_2) * g**2
    until = np.prod([mu(step) for step in range(1, t + 1)])
    first = mu(t + 1) * s["m"] / (1 - until * mu(t + 1)) + (1 - mu(t)) * g / (1 - until)
    return lr * first / (np.sqrt(s["v"] / (1 - beta_2**t)) + epsilon)


def lion(g: np.ndarray, s: State, t: int, lr: np.ndarray, beta_1: float = 0.9, beta_2: float = 0.99) -> np.ndarray:
    """Chen et al. 2023, algorithm 2."""
    step = lr * np.sign(beta_1 * s["m"] + (1 - beta_1) * g)
    s["m"] = beta_2 * s["m"] + (1 - beta_2) * g
    return step


RULES: dict[str, Rule] = {
    "sgd": sgd,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "adam": adam,
    "adamw": adam,
    "adamax": adamax,
    "nadam": nadam,
    "lion": lion,
}
RATES = {
    "sgd": 0.004,
    "rmsprop": 0.05,
    "adagrad": 0.3,
    "adadelta": 30.0,
    "adam": 0.1,
    "adamw": 0.1,
    "adamax": 0.1,
    "nadam": 0.1,
    "lion": 0.03,
}


def reference(
    name: str,
    lr: float,
    *,
    factors: tuple[float, float] = (1.0, 1.0),
    weight_decay: tuple[float, float] = (0.0, 0.0),
    clip_norm: float | None = None,
    clip_value: float | None = None,
    accumulate: int = 1,
    ema: float | None = None,
    **options: Any,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the weights after each batch, their averages, and the norm of each batch's gradient."""
    point, rates = START.copy(), lr * np.array(factors)
    state: State = {key: np.zeros(2) for key in ("m", "v", "d", "top")}
    waiting: list[np.ndarray] = []
    average: np.ndarray | None = None
    points, averages, norms, steps = [], [], [], 0
    for scale in SCALES:
        waiting.append(scale * bowl_gradient(point))
        norms.append(np.sqrt((waiting[-1] ** 2).sum()))
        if len(waiting) == accumulate:
            gradient, waiting, steps = np.mean(waiting, axis=0), [], steps + 1
            if clip_norm is not None:
                gradient = gradient * min(1.0, clip_norm / np.sqrt((gradient**2).sum()))
            if clip_value is not None:
                gradient = np.clip(gradient, -clip_value, clip_value)
            decayed = point - rates * np.array(weight_decay) * point
            moved = decayed - RULES[name](gradient, state, steps, rates, **options)
            point = np.where(np.array(factors) == 0, point, moved)
            average = point if ema is None or average is None else ema * average + (1 - ema) * point
        points.append(point)
        averages.append(START if average is None else average)
    return np.array(points), np.array(averages), np.array(norms)


class Coordinate(keras.layers.Layer):  # type: ignore[misc]
    """One number, as a layer's weight."""

    def __init__(self, value: float, weight: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number = self.add_weight(shape=(1,), initializer=keras.initializers.Constant(value), name=weight)

    def call(self, inputs: Any) -> Any:
        return inputs + self.number


def bowl() -> Any:
    """Return a model whose weights are a point: x is a kernel, y a bias."""
    inputs = keras.Input((1,))
    layers = (Coordinate(START[0], "kernel", name="x"), Coordinate(START[1], "bias", name="y"))
    return keras.Model(inputs, layers[1](layers[0](inputs)))


def point_of(model: Any) -> np.ndarray:
    return np.array([float(variable.numpy()[0]) for variable in model.trainable_variables])


def steps(model: Any, optimizer: Any) -> Iterator[np.ndarray]:
    """Take a step a batch, as `fit` does it; yield the point after each."""
    x, y = model.trainable_variables
    for scale in SCALES:
        with tf.GradientTape() as tape:
            loss = scale * tf.reduce_sum(x.value**4 / 100 + 100 * y.value**2)
        optimizer.apply(tape.gradient(loss, [x.value, y.value]), [x, y])
        yield point_of(model)


def made(model: Any, **settings: Any) -> Any:
    return make_optimizer(TrainingConfig(**settings).resolved(), model)


CASES: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.8, "nesterov": True}),
    ("rmsprop", {}),
    ("rmsprop", {"rho": 0.8, "momentum": 0.5, "epsilon": 0.01}),
    ("adagrad", {}),
    ("adagrad", {"epsilon": 10.0}),
    ("adadelta", {}),
    ("adadelta", {"rho": 0.7, "epsilon": 0.001}),
    ("adam", {}),
    ("adam", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1}),
    ("adam", {"beta_1": 0.0}),
    ("adam", {"beta_2": 0.0}),
    ("adam", {"amsgrad": True, "beta_2": 0.5}),
    ("adamw", {"weight_decay": 0.0}),
    ("adamw", {"weight_decay": 0.0, "amsgrad": True, "beta_2": 0.5}),
    ("adamax", {}),
    ("adamax", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1}),
    ("nadam", {}),
    ("nadam", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1}),
    ("lion", {}),
    ("lion", {"beta_1": 0.3, "beta_2": 0.6}),
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_ten_steps_equal_the_reference(name: str, options: dict[str, Any]) -> None:
    model = bowl()
    optimizer = made(model, optimizer=name, lr=RATES[name], **options)
    options.pop("weight_decay", None)
    expected, _, norms = reference(name, RATES[name], **options)
    np.testing.assert_allclose(list(steps(model, optimizer)), expected, rtol=2e-5, atol=2e-5)
    assert np.abs(expected[-1] - START).min() > 0.05, "the bowl was gone down"
    assert optimizer.gradient_norm == pytest.approx(norms.mean(), rel=1e-4)


def test_an_option_matters() -> None:
    """The cases above can fail: each option changes the way, by more than they allow for."""
    for name, options in CASES:
        if options and options != {"weight_decay": 0.0}:
            known = {key: value for key, value in options.items() if key != "weight_decay"}
            plain, other = (reference(name, RATES[name], **given)[0] for given in ({}, known))
            assert np.abs(plain - other).max() > 1e-3, (name, options)


@pytest.mark.parametrize("name", RULES)
def test_weight_decay_is_decoupled_and_spares_biases(name: str) -> None:
    model = bowl()
    optimizer = made(model, optimizer=name, lr=RATES[name], weight_decay=0.5)
    expected, _, _ = reference(name, RATES[name], weight_decay=(0.5, 0.0))
    np.testing.assert_allclose(list(steps(model, optimizer)), expected, rtol=2e-5, atol=2e-5)


def test_adamw_decays_unasked_and_adam_does_not() -> None:
    for name, decay in (("adamw", 0.004), ("adam", 0.0)):
        model = bowl()
        expected, _, _ = reference("adam", 0.1, weight_decay=(decay, 0.0))
        found = list(steps(model, made(model, optimizer=name, lr=0.1)))
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["sgd", "adam", "lion", "adagrad"])
@pytest.mark.parametrize("clip", [{"clip_norm": 20.0}, {"clip_value": 15.0}], ids=["norm", "value"])
def test_clipping(name: str, clip: dict[str, float]) -> None:
    model = bowl()
    optimizer = made(model, optimizer=name, lr=RATES[name], **clip)
    expected, _, norms = reference(name, RATES[name], **clip)
    np.testing.assert_allclose(list(steps(model, optimizer)), expected, rtol=2e-5, atol=2e-5)
    assert optimizer.gradient_norm == pytest.approx(norms.mean(), rel=1e-4), "the norm is that before clipping"
    assert norms.max() > 20


@pytest.mark.parametrize("name", RULES)
def test_accumulation_averages_batches_into_one_step(name: str) -> None:
    """The mean is what is clipped, and a step what decays."""
    model = bowl()
    optimizer = made(model, optimizer=name, lr=RATES[name], weight_decay=0.1, accumulate=3, clip_norm=20.0)
    expected, _, norms = reference(name, RATES[name], weight_decay=(0.1, 0.0), accumulate=3, clip_norm=20.0)
    np.testing.assert_allclose(list(steps(model, optimizer)), expected, rtol=2e-5, atol=2e-5)
    assert optimizer.gradient_norm == pytest.approx(norms.mean(), rel=1e-4)


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("name", ["sgd", "adam", "lion"])
def test_averages_of_the_weights(name: str, accumulate: int) -> None:
    """The average begins as the weights after the first step, and moves when they do: once a step."""
    model = bowl()
    optimizer = made(model, optimizer=name, lr=RATES[name], ema=0.7, accumulate=accumulate)
    points, averages, _ = reference(name, RATES[name], ema=0.7, accumulate=accumulate)
    for number, found in enumerate(steps(model, optimizer)):
        np.testing.assert_allclose(found, points[number], rtol=2e-5, atol=2e-5)
        with optimizer.averaged():
            np.testing.assert_allclose(point_of(model), averages[number], rtol=2e-5, atol=2e-5)
        np.testing.assert_array_equal(point_of(model), found)
    with pytest.raises(KeyError), optimizer.averaged():
        raise KeyError
    np.testing.assert_array_equal(point_of(model), found)
    optimizer.use_averages()
    np.testing.assert_allclose(point_of(model), averages[-1], rtol=2e-5, atol=2e-5)


def test_without_averages_nothing_is_swapped() -> None:
    model = bowl()
    optimizer = made(model, optimizer="adam", lr=0.1)
    *_, last = steps(model, optimizer)
    with optimizer.averaged():
        np.testing.assert_array_equal(point_of(model), last)
    optimizer.use_averages()
    np.testing.assert_array_equal(point_of(model), last)


@pytest.mark.parametrize("name", RULES)
def test_layers_have_learning_rates_of_their_own(name: str) -> None:
    """The factor is one on the weight decay too, and 0 freezes."""
    model = bowl()
    optimizer = made(model, optimizer=name, lr=RATES[name], weight_decay=0.2, layer_lr="x=0.1, y=0")
    expected, _, _ = reference(name, RATES[name], factors=(0.1, 0.0), weight_decay=(0.2, 0.0))
    found = np.array(list(steps(model, optimizer)))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
    np.testing.assert_array_equal(found[:, 1], np.float32(START[1]))


def test_a_layer_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        made(bowl(), layer_lr="xx=0.1")
    assert caught.value.message == "--layer-lr: the model has no layer 'xx' with weights"
    assert caught.value.hint == "Did you mean 'x'?"


def test_the_norm_starts_anew() -> None:
    model = bowl()
    optimizer = made(model, optimizer="sgd", lr=1e-30)
    assert optimizer.gradient_norm == 0.0
    for _ in steps(model, optimizer):
        pass
    norm = np.sqrt((bowl_gradient(START) ** 2).sum())
    assert optimizer.gradient_norm == pytest.approx(norm * np.mean(np.abs(SCALES)), rel=1e-5)
    optimizer.reset_gradient_norm()
    assert optimizer.gradient_norm == 0.0
    next(steps(model, optimizer))
    assert optimizer.gradient_norm == pytest.approx(norm, rel=1e-5)


class TestSparseGradients:
    IDS = ([1, 3, 3, 1, 5, 3], [2, 2, 2, 2, 2, 2], [0, 1, 2, 3, 4, 5], [4, 4, 1, 1, 0, 0])

    def walk(self, name: str, *, sparse: bool, **settings: Any) -> tuple[np.ndarray, float, list[float]]:
        """Take steps on a table; return it, the mean norm, and the norms."""
        random = np.random.default_rng(0)
        inputs = keras.Input((6,), dtype="int32")
        table = keras.layers.Embedding(7, 3, embeddings_initializer=keras.initializers.RandomNormal(seed=1), name="t")
        model = keras.Model(inputs, table(inputs))
        (variable,) = model.trainable_variables
        optimizer = made(model, optimizer=name, lr=0.05, **settings)
        norms = []
        for ids in self.IDS:
            factors = tf.constant(random.normal(size=(6, 3)), tf.float32)
            one_hot = tf.one_hot(ids, 7)
            with tf.GradientTape() as tape:
                rows = keras.ops.take(variable, np.array(ids), axis=0) if sparse else one_hot @ variable.value
                loss = tf.reduce_sum(rows * factors)
            (gradient,) = tape.gradient(loss, [variable.value])
            assert isinstance(gradient, tf.IndexedSlices) is sparse
            norms.append(float(np.linalg.norm(one_hot.numpy().T @ factors.numpy())))
            optimizer.apply([gradient], [variable])
        return variable.numpy(), optimizer.gradient_norm, norms

    @pytest.mark.parametrize("name", RULES)
    def test_the_rows_are_summed_first(self, name: str) -> None:
        sparse, norm, norms = self.walk(name, sparse=True)
        dense, _, _ = self.walk(name, sparse=False)
        np.testing.assert_allclose(sparse, dense, rtol=1e-5, atol=1e-6)
        assert norm == pytest.approx(np.mean(norms), rel=1e-5)

    @pytest.mark.parametrize(
        "settings", [{"clip_norm": 0.5}, {"clip_value": 0.1}, {"accumulate": 2}, {"ema": 0.5}, {"weight_decay": 0.3}]
    )
    def test_with_all_that_may_be_added(self, settings: dict[str, Any]) -> None:
        sparse, norm, norms = self.walk("adam", sparse=True, **settings)
        dense, _, _ = self.walk("adam", sparse=False, **settings)
        np.testing.assert_allclose(sparse, dense, rtol=1e-5, atol=1e-6)
        assert norm == pytest.approx(np.mean(norms), rel=1e-5)


class TestLossScaling:
    """float16 is for GPUs; its loss scaling is the same arithmetic on a CPU."""

    @pytest.fixture(autouse=True)
    def float16(self) -> Iterator[None]:
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy("mixed_float16")
        yield
        keras.config.set_dtype_policy(before)

    def test_steps_equal_the_reference(self) -> None:
        model = bowl()
        optimizer = made(model, optimizer="adam", lr=0.1, ema=0.7)
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        x, y = model.trainable_variables
        points, averages, norms = reference("adam", 0.1, ema=0.7)
        for number, scale in enumerate(SCALES):
            with tf.GradientTape() as tape:
                loss = optimizer.scale_loss(scale * tf.reduce_sum(x.value**4 / 100 + 100 * y.value**2))
            assert abs(float(loss)) > 2**15 * abs(scale)
            optimizer.apply(tape.gradient(loss, [x.value, y.value]), [x, y])
            np.testing.assert_allclose(point_of(model), points[number], rtol=2e-5, atol=2e-5)
            with optimizer.averaged():
                np.testing.assert_allclose(point_of(model), averages[number], rtol=2e-5, atol=2e-5)
        assert optimizer.gradient_norm == pytest.approx(norms.mean(), rel=1e-4)
        optimizer.reset_gradient_norm()
        assert optimizer.gradient_norm == 0.0
        optimizer.use_averages()
        np.testing.assert_allclose(point_of(model), averages[-1], rtol=2e-5, atol=2e-5)

    def test_a_gradient_without_bounds_is_skipped(self) -> None:
        model = bowl()
        optimizer = made(model, optimizer="adam", lr=0.1)
        optimizer.apply([tf.constant([np.inf]), tf.constant([1.0])], model.trainable_variables)
        np.testing.assert_array_equal(point_of(model), np.float32(START))
        assert optimizer.gradient_norm == 0.0
        assert float(optimizer.dynamic_scale.numpy()) == 2**14

    def test_all_state_is_there_before_the_first_step(self) -> None:
        """A checkpoint numbers the variables: what came later would shift them."""
        model = bowl()
        optimizer = made(model, optimizer="nadam", lr=0.1)
        before = [id(variable) for variable in optimizer.variables]
        optimizer.apply([tf.constant([1.0]), tf.constant([1.0])], model.trainable_variables)
        assert [id(variable) for variable in optimizer.variables] == before
