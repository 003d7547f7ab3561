"""Networks taken apart: where they are cut, what is frozen, and that nothing they compute changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlcli.core.backend import keras
from dlcli.errors import UsageError
from dlcli.vision import networks
from dlcli.vision.networks import FEATURES, attach, base_layers, block_factors, cut, first_trained, freeze, preprocess

layers = keras.layers
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)


def finetuned(base: Any, size: int = 64) -> Any:
    """Put a head with dropout on a base."""
    pixels = keras.Input((size, size, 3), dtype="uint8")
    rows = layers.GlobalAveragePooling2D(name=FEATURES)(attach(base, preprocess(pixels, "tf")))
    return networks.separate(keras.Model(pixels, layers.Dense(2, name="classes")(layers.Dropout(0.5)(rows))))


@pytest.fixture(scope="module")
def branching() -> Any:
    """Return a base with a shortcut, and dropout in one of its branches."""
    pixels = keras.Input((64, 64, 3))
    stem = layers.Conv2D(4, 3, strides=2, name="stem")(pixels)
    inner = layers.Dropout(0.5, name="drop")(layers.Conv2D(4, 3, padding="same", name="inner")(stem))
    maps = layers.Add(name="add")([stem, inner])
    return keras.Model(pixels, layers.Conv2D(6, 3, name="top")(maps))


@pytest.mark.parametrize("kind", ["tf", "caffe", "torch"])
def test_preprocessing_is_that_of_keras(kind: str) -> None:
    pixels = keras.Input((64, 64, 3), dtype="uint8")
    model = keras.Model(pixels, preprocess(pixels, kind))
    expected = keras.applications.imagenet_utils.preprocess_input(PIXELS.astype(np.float32), mode=kind)
    np.testing.assert_allclose(model(PIXELS), expected, rtol=1e-6, atol=1e-5)


def test_a_frozen_base_is_cut_off_below_the_heads_dropout(branching: Any) -> None:
    model = finetuned(branching)
    freeze(model, None, norms=False)
    parts = cut(model)
    assert parts is not None
    frozen, trained = parts
    assert frozen.output_shape == (None, 6)
    assert [layer.name for layer in trained.layers][-1] == "classes"
    assert len(trained.trainable_variables) == 2
    np.testing.assert_allclose(trained(frozen(PIXELS)), model(PIXELS), atol=1e-6)


@pytest.mark.parametrize(("first", "shape"), [("top", (31, 31, 4)), ("inner", (31, 31, 4))])
def test_a_network_is_cut_where_all_goes_through_one_tensor(branching: Any, first: str, shape: tuple[int, ...]) -> None:
    model = finetuned(branching)
    freeze(model, first, norms=False)
    parts = cut(model)
    assert parts is not None
    frozen, trained = parts
    assert frozen.output_shape[1:] == shape
    # Below `top` the branches have met; below `inner` is the stem alone.
    assert ("add" in [layer.name for layer in frozen.layers]) == (first == "top")
    np.testing.assert_allclose(trained(frozen(PIXELS)), model(PIXELS), atol=1e-6)


def test_a_network_that_is_trained_from_its_pixels_is_not_cut(branching: Any) -> None:
    model = finetuned(branching)
    freeze(model, first_trained(model, "all", {}), norms=False)
    assert cut(model) is None


def test_models_inside_a_model_are_laid_out_flat(branching: Any) -> None:
    nested = keras.Sequential([keras.Input((64, 64, 3)), branching, layers.ReLU(name="last")])
    model = finetuned(nested)
    names = [layer.name for layer in base_layers(model)]
    assert names[1:] == ["preprocess", "stem", "inner", "drop", "add", "top", "last"]
    found = keras.Model(model.input, model.get_layer("last").output)(PIXELS)
    np.testing.assert_allclose(found, nested(PIXELS / np.float32(127.5) - 1), atol=1e-5)
    assert finetuned(nested, size=32).get_layer("last").output.shape == (None, 13, 13, 6)


def test_where_training_begins(branching: Any) -> None:
    model, blocks = finetuned(branching), {"block1": "stem", "block2": "inner", "gone": "nowhere"}
    for start, first in {"all": "stem", "1": "top", "3": "stem", "block2": "inner", "add": "add"}.items():
        assert first_trained(model, start, blocks) == first
    with pytest.raises(UsageError, match=r"no block or layer 'blok2'\. Blocks: block1, block2"):
        first_trained(model, "blok2", blocks)
    with pytest.raises(UsageError, match="expected 1 to 3 layers"):
        first_trained(model, "0", blocks)
    with pytest.raises(UsageError, match="Did you mean 'inner'"):
        first_trained(model, "iner", {})


def test_lower_blocks_learn_more_slowly(branching: Any) -> None:
    model = finetuned(branching)
    freeze(model, "stem", norms=False)
    assert block_factors(model, {"block1": "stem", "block2": "top"}, 0.5) == {"top": 0.5, "inner": 0.25, "stem": 0.25}
    assert block_factors(model, {}, 0.5) == {"top": 0.5, "inner": 0.25, "stem": 0.125}
    assert block_factors(model, {}, 1.0) == {}
