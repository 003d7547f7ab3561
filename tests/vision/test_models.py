"""The image models: sizes, names, first weights, files, precision, and what each refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from dlcli.core.backend import keras
from dlcli.vision.model_config import ImageModelConfig
from dlcli.vision.models import build

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
