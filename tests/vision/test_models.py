"""The image models: sizes, names, first weights, files, precision, and what each refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError

from dlcli.core.backend import keras
from dlcli.core.training_config import TrainingConfig
from dlcli.vision.defaults import TRAINING_DEFAULTS, training_defaults
from dlcli.vision.model_config import ImageModelConfig
from dlcli.vision.models import auto, build

MODELS = get_args(ImageModelConfig.model_fields["model"].annotation)
CLASSES = 3
SMALL: dict[str, dict[str, Any]] = {
    "linear": {},
    "mlp": {"hidden_units": (8, 4)},
    "cnn": {"filters": (4, 8), "hidden_units": (8,)},
    "cnn-bn": {"filters": (4, 8), "hidden_units": (8,)},
    "resnet": {"filters": (4, 8, 8)},
    "rnn": {"units": 6, "layers": 2},
}


def model_of(
    name: str,
    *,
    size: tuple[int, int] = (13, 9),
    channels: int = 3,
    seed: int = 1,
    output: str = "softmax",
    **more: Any,
) -> Any:
    config = ImageModelConfig(model=name, **(SMALL[name] | more))  # type: ignore[arg-type]
    height, width = size
    return build(config, height=height, width=width, channels=channels, classes=CLASSES, seed=seed, output=output)


def pictures(*, size: tuple[int, int] = (13, 9), channels: int = 3) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (4, *size, channels), np.uint8)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("size", "channels"), [((8, 8), 1), ((13, 31), 3), ((101, 120), 1)])
def test_any_size(name: str, size: tuple[int, int], channels: int) -> None:
    model = model_of(name, size=size, channels=channels)
    answers = model(pictures(size=size, channels=channels))
    assert model.input.dtype == "uint8"
    assert (answers.shape, answers.dtype) == ((4, CLASSES), "float32")
    np.testing.assert_allclose(answers.numpy().sum(axis=1), 1, rtol=1e-5)
    assert len(np.unique(answers.numpy()[:, 0].round(6))) == 4, "the pictures differ in their answers"


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_is_the_same(name: str, tmp_path: Path) -> None:
    more = {"conv_dropout": 0.1, "norm_position": "post"} if name in ("cnn-bn", "resnet") else {}
    model = model_of(name, dropout=0.2, l2=1e-4, **more)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(again(pictures()).numpy(), model(pictures()).numpy())
    assert len(again.losses) == len(model.losses) > 0


@pytest.mark.parametrize("name", MODELS)
def test_the_seed_decides_the_weights(name: str) -> None:
    weights = [model_of(name, seed=seed, dropout=0.5).get_weights() for seed in (1, 1, 2)]
    for first, same, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, same)
        assert first.ndim == 1 or not np.array_equal(first, other)
    kernels = [weight for weight in weights[0] if weight.ndim > 1]
    for number, kernel in enumerate(kernels):
        assert not any(kernel.shape == other.shape and np.allclose(kernel, other) for other in kernels[:number])


@pytest.mark.parametrize("name", MODELS)
def test_sixteen_bits(name: str) -> None:
    expected = model_of(name)(pictures()).numpy()
    before = keras.config.dtype_policy()
    for policy in ("mixed_bfloat16", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        try:
            model = model_of(name)
        finally:
            keras.config.set_dtype_policy(before)
        answers = model(pictures())
        assert answers.dtype == "float32"
        np.testing.assert_allclose(answers.numpy(), expected, atol=0.03)


def test_names_of_layers() -> None:
    def trained(name: str, **more: Any) -> list[str]:
        return [layer.name for layer in model_of(name, **more).layers if layer.trainable_variables]

    assert trained("linear") == ["classes"]
    assert trained("mlp") == ["hidden_1", "hidden_2", "classes"]
    assert trained("cnn") == ["conv_1", "conv_2", "hidden_1", "classes"]
    assert trained("rnn", cell="gru") == ["gru_1", "gru_2", "classes"]
    pairs = [f"{kind}_{number}" for number in (1, 2, 3, 4) for kind in ("conv", "norm")]
    assert trained("cnn-bn") == [*pairs, "hidden_1", "classes"]
    assert trained("cnn-bn", layers=1, pooling="mean", hidden_units=()) == [*pairs[:4], "classes"]
    block = [f"stage_1_block_1_{kind}_{number}" for number in (1, 2) for kind in ("conv", "norm")]
    assert trained("resnet", filters=(4, 8)) == [
        "stem_conv",
        "stem_norm",
        "stage_1_conv",
        "stage_1_norm",
        *block,
        "classes",
    ]


@pytest.mark.parametrize(
    ("name", "size", "filters", "stride"),
    [
        ("cnn", (8, 8), (32,), 1),
        ("cnn", (28, 28), (32, 64), 1),
        ("cnn", (32, 300), (32, 64), 1),
        ("cnn", (150, 150), (32, 64, 128, 128), 2),
        ("cnn-bn", (224, 224), (32, 64, 128, 128, 128), 2),
        ("linear", (28, 28), (), None),
    ],
)
def test_the_size_of_the_picture_decides_the_depth(
    name: Any, size: tuple[int, int], filters: tuple[int, ...], stride: int | None
) -> None:
    found = ImageModelConfig(model=name).resolved_model(size)
    assert (found.filters, found.stem_stride) == (filters, stride)
    assert ImageModelConfig(model=name).resolved_model().filters == ()


def test_what_is_given_beats_what_fits() -> None:
    found = ImageModelConfig(model="cnn", filters=(4,), stem_stride=3, hidden_units=(7,), dropout=0).resolved_model(
        (28, 28)
    )
    assert (found.filters, found.stem_stride, found.hidden_units, found.dropout) == ((4,), 3, (7,), 0)
    assert found.resolved_model((150, 150)) == found
    assert ImageModelConfig(model="cnn", pooling="mean").resolved_model().hidden_units == ()


@pytest.mark.parametrize("given", ["16", 16, [16], (16,)])
def test_one_size_is_a_list_of_one(given: Any) -> None:
    assert ImageModelConfig(filters=given).filters == (16,)


def test_norm_position() -> None:
    """Behind a relu the normalisation gets nothing negative; before it, it does, and the convolution needs no bias."""
    for position, signs in (("pre", True), ("post", False)):
        model = model_of("cnn-bn", norm_position=position)
        before = keras.Model(model.input, model.get_layer("norm_1").input)(pictures()).numpy()
        assert bool(before.min() < 0) is signs
        assert model.get_layer("conv_1").use_bias is not signs


def test_pixels_are_scaled_inside() -> None:
    model = model_of("linear", rescale="1/127.5")
    scaled = keras.Model(model.input, model.get_layer("rescale").output)
    values = np.broadcast_to(np.array([0, 51, 255], np.uint8), (1, 13, 9, 3))
    np.testing.assert_allclose(scaled(values).numpy()[0, 0, 0], [0, 0.4, 2], rtol=1e-6)


def test_settings_of_layers_reach_all_models() -> None:
    for name in MODELS:
        plain = name in ("linear", "rnn")
        settings = {"initializer": "random_normal:stddev=0.5", "l2": 0.01, "bias_l1": 0.02}
        model = model_of(name, **settings, **({} if plain else {"activation": "tanh", "activity_l2": 0.03}))
        kernels = [weight for weight in model.trainable_variables if weight.name == "kernel"]
        assert all(0.3 < float(np.std(kernel.numpy())) < 0.7 for kernel in kernels)
        expected = len(
            [weight for weight in model.trainable_variables if weight.name != "gamma" and weight.name != "beta"]
        )
        model(pictures())
        assert len(model.losses) == expected + (0 if plain else len(kernels) - 1)


def test_scores_without_bounds() -> None:
    scores = model_of("cnn", output="linear")(pictures()).numpy()
    assert scores.min() < 0
    np.testing.assert_allclose(
        np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), model_of("cnn")(pictures()).numpy(), rtol=1e-4
    )


REFUSED = [
    (
        {"model": "linear", "filters": "32"},
        "--filters does not go with --model linear; it goes with cnn, cnn-bn, resnet",
    ),
    ({"model": "linear", "activation": "tanh"}, "--activation does not go with --model linear"),
    ({"model": "linear", "hidden_units": "8"}, "--hidden-units does not go with --model linear"),
    ({"model": "mlp", "kernel_size": 3}, "--kernel-size does not go with --model mlp"),
    ({"model": "cnn", "norm_position": "post"}, "--norm-position does not go with --model cnn; it goes with cnn-bn"),
    ({"model": "cnn", "blocks": 2}, "--blocks does not go with --model cnn; it goes with resnet"),
    ({"model": "cnn", "units": 2}, "--units does not go with --model cnn; it goes with rnn"),
    ({"model": "resnet", "layers": 2}, "--layers does not go with --model resnet"),
    ({"model": "rnn", "conv_dropout": 0.0}, "--conv-dropout does not go with --model rnn"),
    ({"model": "rnn", "activation": "relu"}, "--activation is for dense layers: give --hidden-units too"),
    ({"rescale": "0"}, "greater than 0"),
    ({"rescale": "1/0"}, "expected a factor such as 1/255 or 0.004, got '1/0'"),
    ({"rescale": "nan"}, "finite"),
    ({"filters": "32,0"}, "greater than or equal to 1"),
]


@pytest.mark.parametrize(("settings", "words"), REFUSED, ids=[str(case[0]) for case in REFUSED])
def test_what_does_not_go_with_a_model_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ImageModelConfig(**settings)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("given", "factor", "shown"),
    [
        ("1/255", 1 / 255, "1/255"),
        (1 / 255, 1 / 255, "1/255"),
        ("1", 1.0, 1.0),
        ("2/255", 2 / 255, 2 / 255),
        (1e-9, 1e-9, 1e-9),
    ],
)
def test_a_factor_is_shown_as_it_is_written(given: Any, factor: float, shown: Any) -> None:
    config = ImageModelConfig(rescale=given)
    assert config.rescale == factor
    kept = config.model_dump(mode="json")
    assert kept["rescale"] == shown
    assert ImageModelConfig(**kept).rescale == factor


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_defaults_of_training(name: str) -> None:
    assert TRAINING_DEFAULTS.keys() == set(MODELS)
    for items in (None, 100, 50_000):
        found = training_defaults(name, items=items, size=(28, 28))
        config = TrainingConfig(**found)
        assert config.epochs > 1 and config.patience == 0
    assert auto(ImageModelConfig(model=name)).jit == ()  # type: ignore[arg-type]


def test_fewer_pictures_get_more_epochs_and_smaller_batches() -> None:
    found = [training_defaults("cnn", items=items, size=None) for items in (1_600, 10_000, 54_000)]
    assert [(one["epochs"], one["batch_size"], one["lr"]) for one in found] == [
        (40, 32, 0.001),
        (20, 64, 0.002),
        (10, 64, 0.002),
    ]
    assert training_defaults("cnn", items=None, size=None) == TRAINING_DEFAULTS["cnn"] == found[2]
