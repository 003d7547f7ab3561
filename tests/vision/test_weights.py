"""Weights of bases: both layouts give Keras' own features, and what does not fit is named."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from dlcli.core.backend import keras
from dlcli.core.progress import Silent
from dlcli.errors import ModelError, UsageError
from dlcli.vision import architectures, bases, weights

# What Keras itself writes and reads the older layout with; imported behind dlcli's quiet import of TensorFlow.
legacy_h5_format = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
SIDE = 32
APPLICATIONS = {"vgg16": "VGG16", "mobilenet": "MobileNet"}
LAYOUTS = ["older.h5", "newer.weights.h5", "whole.h5"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLCLI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "home"


def drawn(model: Any) -> Any:
    """Give a network random weights, those of its normalisations too."""
    draws = np.random.default_rng(7)
    for layer in model.layers:
        for variable in layer.weights:
            if "normal" in type(layer).__name__.lower():
                variable.assign(draws.uniform(0.5, 1.5, variable.shape))
    return model


def features(model: Any) -> np.ndarray[Any, Any]:
    pixels = np.random.default_rng(3).uniform(-1, 1, (3, SIDE, SIDE, 3)).astype(np.float32)
    return np.asarray(keras.ops.convert_to_numpy(model(pixels, training=False)), np.float32)


def write_older(model: Any, path: Path) -> Path:
    """Save weights in the layout in which Keras publishes its own."""
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return path


class Saved:
    """A network of keras.applications with random weights, in files."""

    def __init__(self, name: str, folder: Path) -> None:
        self.base = bases.find(name)
        make = getattr(keras.applications, APPLICATIONS[name])
        network = drawn(make(include_top=False, weights=None, input_shape=(SIDE, SIDE, 3)))
        self.features = features(network)
        self.folder = folder
        write_older(network, folder / "older.h5")
        network.save_weights(folder / "newer.weights.h5")
        with h5py.File(folder / "whole.h5", "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file.create_group("model_weights"), network)

    def build(self, path: Path) -> Any:
        return architectures.build(self.base, height=SIDE, width=SIDE, weights=path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Saved]:
    made: dict[str, Saved] = {}

    def get(name: str) -> Saved:
        if name not in made:
            made[name] = Saved(name, tmp_path_factory.mktemp(name))
        return made[name]

    return get


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", APPLICATIONS)
def test_features_are_those_of_keras_applications(saved: Callable[[str], Saved], name: str, layout: str) -> None:
    network = saved(name)
    model = network.build(network.folder / layout)
    assert model.layers[-1].name == network.base.feature_layer
    assert model.count_params() == network.base.parameters
    found = features(model)
    assert np.ptp(found) > 0
    assert np.array_equal(found, network.features)


def test_the_layout_is_known_by_the_content(saved: Callable[[str], Saved], tmp_path: Path) -> None:
    network = saved("mobilenet")
    for layout, name in (("older.h5", "a.weights.h5"), ("newer.weights.h5", "a.h5")):
        (tmp_path / name).write_bytes((network.folder / layout).read_bytes())
        assert np.array_equal(features(network.build(tmp_path / name)), network.features)


def test_a_base_is_read_out_of_the_file_with_its_head(home: Path, tmp_path: Path) -> None:
    whole = drawn(keras.applications.MobileNet(weights=None, input_shape=(SIDE, SIDE, 3)))
    base = bases.find("mobilenet")
    assert base.full is not None and base.weights is not None
    folder = tmp_path / "keras" / "models"
    folder.mkdir(parents=True)
    write_older(whole, folder / base.full.name)
    path = weights.obtain(base, progress=Silent())
    assert path == folder / base.full.name
    model = architectures.build(base, height=SIDE, width=SIDE, weights=path)
    maps = keras.Model(whole.input, whole.get_layer(base.feature_layer).output)
    assert np.array_equal(features(model), features(maps))


@pytest.fixture(scope="module")
def inception() -> Any:
    """Return Inception V3 as it is built when other networks were built before it."""
    return architectures.build(bases.find("inceptionv3"), height=75, width=75, weights=None)


def test_names_of_layers_are_the_same_in_every_process(inception: Any) -> None:
    names = [layer.name for layer in inception.layers]
    base = bases.find("inceptionv3")
    places = [names.index(first) for first in base.blocks.values()]
    assert names[:4] == ["input_layer", "conv2d", "batch_normalization", "activation"]
    assert places == sorted(places)
    # A block begins right behind the one below it.
    assert [names[place - 1] for place in places[2:]] == [f"mixed{n}" for n in range(10)]
    assert (inception.count_params(), names[-1]) == (base.parameters, base.feature_layer)


def test_an_inception_takes_weights_that_another_process_named(inception: Any, tmp_path: Path) -> None:
    other = drawn(keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(75, 75, 3)))
    assert other.layers[1].name != inception.layers[1].name
    weights.load(inception, write_older(other, tmp_path / "a.h5"))
    pairs = zip(inception.get_weights(), other.get_weights(), strict=True)
    assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)
    saved = [layer["name"] for layer in inception.get_config()["layers"]]
    assert saved == [layer.name for layer in inception.layers]


def test_efficientnet_is_built_as_for_its_published_weights() -> None:
    base = bases.find("efficientnetb0")
    model = architectures.build(base, height=SIDE, width=SIDE, weights=None)
    names = [layer.name for layer in model.layers]
    assert names[:4] == ["input_layer", "rescaling", "normalization", "rescaling_1"]
    assert np.allclose(model.get_layer("rescaling_1").scale, [0.229**-0.5, 0.224**-0.5, 0.225**-0.5])
    assert [first for first in base.blocks.values() if first not in names] == []
    assert (model.count_params(), names[-1]) == (base.parameters, base.feature_layer)


@pytest.mark.parametrize("name", ["mobilenetv2", "resnet50", "vgg19"])
def test_entries_hold_what_keras_builds(name: str) -> None:
    base = bases.find(name)
    model = architectures.build(base, height=SIDE, width=SIDE, weights=None)
    names = [layer.name for layer in model.layers]
    places = [names.index(first) for first in base.blocks.values()]
    assert places == sorted(places)
    assert set(base.marks) <= set(names)
    assert (model.count_params(), names[-1]) == (base.parameters, base.feature_layer)
    assert bases.recognised(names) == base


def test_pictures_that_are_too_small_are_refused() -> None:
    with pytest.raises(UsageError, match="75x74 are too small for inceptionv3, which takes at least 75x75"):
        architectures.build(bases.find("inceptionv3"), height=75, width=74, weights=None)


# What does not fit.


@pytest.fixture(scope="module")
def small() -> Any:
    """Return a network of two convolutions and a normalisation."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Conv2D(5, 3, name="second"),
        ],
        name="small",
    )


@pytest.fixture(params=["older", "newer"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Any], Path]:
    """Return what saves a network in one of the layouts."""

    def save(model: Any) -> Path:
        if request.param == "older":
            return write_older(model, tmp_path / "a.h5")
        model.save_weights(tmp_path / "a.weights.h5")
        return tmp_path / "a.weights.h5"

    return save


def of(*stack: Any) -> Any:
    return keras.Sequential([keras.Input((8, 8, 3)), *stack])


def refused(model: Any, path: Path) -> str:
    """Return the message of the error, and see that the model is as it was."""
    before = model.get_weights()
    with pytest.raises(ModelError) as caught:
        weights.load(model, path)
    assert str(path) in str(caught.value)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    return str(caught.value)


def test_other_shapes_are_named(small: Any, write: Callable[[Any], Path]) -> None:
    layers = keras.layers
    path = write(of(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Conv2D(6, 3)))
    words = refused(small, path)
    assert "weights of another network: the layer second takes 3x3x4x5 + 5, and conv2d" in words
    assert "there has 3x3x4x6 + 6" in words


def test_missing_layers_are_named(small: Any, write: Callable[[Any], Path]) -> None:
    path = write(of(keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()))
    assert "the layer second takes 3x3x4x5 + 5, and the file ends before it" in refused(small, path)


def test_layers_on_top_are_left_where_they_are(small: Any, write: Callable[[Any], Path]) -> None:
    layers = keras.layers
    more = of(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Conv2D(5, 3), layers.Conv2D(5, 1))
    before = small.get_weights()
    try:
        weights.load(small, write(more))
        assert all(np.array_equal(a, b) for a, b in zip(small.get_weights(), more.get_weights(), strict=False))
    finally:
        small.set_weights(before)


def test_a_layer_without_its_bias_is_told(small: Any, write: Callable[[Any], Path]) -> None:
    layers = keras.layers
    path = write(of(layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization(), layers.Conv2D(5, 3)))
    assert "the layer first takes 3x3x3x4 + 4, and " in refused(small, path)


def test_what_is_no_weights_is_told(small: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    for content, words in (
        (b"", "expected HDF5 (.h5), got an empty file"),
        (b"<!DOCTYPE html><html>Log in</html>", "expected HDF5 (.h5), got a web page"),
        (b"PK\x03\x04", "got an archive (a .keras model is given as the base itself)"),
        (b"text,label\n", "expected HDF5 (.h5), got something else"),
    ):
        path.write_bytes(content)
        assert words in refused(small, path)
    with h5py.File(path, "w") as file:
        file["numbers"] = [1, 2]
    assert "it has neither layer names nor layers" in refused(small, path)
    with pytest.raises(UsageError, match=r"none\.h5 does not exist"):
        weights.load(small, tmp_path / "none.h5")


def test_truncated_files_are_told(small: Any, write: Callable[[Any], Path]) -> None:
    path = write(small)
    content = path.read_bytes()
    for length in (100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        assert "is damaged (" in refused(small, path)


def test_damage_never_gets_past_as_something_else(small: Any, write: Callable[[Any], Path]) -> None:
    """Flip bytes all over the file: what is noticed is a ModelError, and nothing is a crash."""
    path = write(small)
    content = bytearray(path.read_bytes())
    before = small.get_weights()
    for place in range(0, len(content), len(content) // 20):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            weights.load(small, path)
        except ModelError:
            continue
        finally:
            small.set_weights(before)


def test_numbers_that_are_none_are_told(small: Any, write: Callable[[Any], Path]) -> None:
    kernel = small.get_layer("second").kernel
    kept = kernel.numpy()
    kernel.assign(np.full(kernel.shape, np.nan, np.float32))
    path = write(small)
    kernel.assign(kept)
    assert "is damaged (the layer second holds NaN or infinity)" in refused(small, path)


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("names", ["first_W_1:0 first_b_1:0", "first/kernel:0 first/bias:0"])
def test_files_of_keras_1_and_2_are_read(small: Any, tmp_path: Path, names: str, parts: int) -> None:
    """As the published ones are: names in bytes, layers without weights among them, long lists in several parts."""
    before = small.get_weights()
    values = [np.full(value.shape, number + 1, np.float32) for number, value in enumerate(before)]
    stored = {"input_1": {}, "first": dict(zip(names.split(), values[:2], strict=True)), "flatten": {}}
    stored["norm"] = {f"norm/{n}:0": value for n, value in zip("abcd", values[2:6], strict=True)}
    stored["second"] = {"second/kernel:0": values[6], "second/bias:0": values[7]}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        layers = np.array([name.encode() for name in stored])
        for number, some in enumerate(np.array_split(layers, parts)):
            file.attrs["layer_names" if parts == 1 else f"layer_names{number}"] = some
        for name, variables in stored.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = np.array([key.encode() for key in variables], "S")
            for key, value in variables.items():
                group[key] = value
    try:
        weights.load(small, tmp_path / "a.h5")
        assert all(np.array_equal(a, b) for a, b in zip(small.get_weights(), values, strict=True))
    finally:
        small.set_weights(before)


@pytest.fixture
def linked(small: Any, tmp_path: Path) -> Iterator[Callable[[Callable[[Any], None]], Path]]:
    """Return what saves the network with one layer that a function has changed in the file."""
    other = write_older(small, tmp_path / "other.h5")
    assert other.is_file()

    def make(change: Callable[[Any], None]) -> Path:
        path = write_older(small, tmp_path / "a.h5")
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    yield make


def test_nothing_outside_the_file_is_read(small: Any, linked: Callable[[Callable[[Any], None]], Path]) -> None:
    def external(file: Any) -> None:
        del file["second"]
        file["second"] = h5py.ExternalLink("other.h5", "second")

    def soft(file: Any) -> None:
        del file["second"]
        file["second"] = h5py.SoftLink("/first")

    def stored_elsewhere(file: Any) -> None:
        name = file["second"].attrs["weight_names"][0]
        del file["second"][name]
        file["second"].create_dataset(name, (3, 3, 4, 5), dtype="f4", external=[("other.h5", 0, h5py.h5f.UNLIMITED)])

    for change, words in (
        (external, "second is missing, or a link"),
        (soft, "second is missing, or a link"),
        (stored_elsewhere, "stands in another file"),
    ):
        assert words in refused(small, linked(change))


def test_a_file_under_a_published_name_is_held_against_its_hash(small: Any, tmp_path: Path) -> None:
    path = write_older(small, tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5")
    words = refused(small, path)
    assert "is not the file that is published under its name: expected md5 6d6bbae143d832006294945121d1f1fc" in words
    assert "(Keras, keras/src/applications/vgg16.py)" in words


def test_dtype_policies_keep_the_weights(saved: Callable[[str], Saved]) -> None:
    network = saved("mobilenet")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = network.build(network.folder / "older.h5")
    finally:
        keras.config.set_dtype_policy(before)
    assert model.compute_dtype == "bfloat16"
    kernel = model.get_layer("conv1").kernel
    assert keras.backend.standardize_dtype(kernel.dtype) == "float32"
    found = features(model)
    assert np.corrcoef(found.ravel(), network.features.ravel())[0, 1] > 0.99
