"""The registry of pretrained bases, held against Keras itself."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from conftest import ROOT

from dlcli.errors import UsageError
from dlcli.vision import bases
from dlcli.vision.bases import Base

SHIPPED = sorted(path.stem for path in (ROOT / "pretrained").glob("*.toml"))
KERAS = ["efficientnetb0", "inceptionv3", "mobilenet", "mobilenetv2", "resnet50", "vgg16", "vgg19"]
ENTRY = """
title = "Mine"
application = "MobileNet"
preprocessing = "tf"
default_size = 32
smallest_size = 32
feature_layer = "conv_pw_13_relu"
parameters = 3_228_864
licence = "CC0"

[blocks]
stem = "conv1"
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLCLI_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "pretrained"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_entry_is_whole(name: str) -> None:
    base = bases.find(name)
    assert base.licence and base.title and (ROOT / "pretrained" / f"{base.family}.md").is_file()
    assert 1 <= base.smallest_size <= base.default_size
    if base.file:
        assert base.path.is_file()
    else:
        assert base.citation and base.homepage and base.weights and base.full
        assert all(file.address.startswith("https://") for file in base.published)


@pytest.mark.parametrize("name", KERAS)
def test_addresses_and_hashes_are_those_that_keras_states(name: str) -> None:
    from dlcli.core.backend import keras

    base = bases.find(name)
    source = inspect.getsource(inspect.getmodule(getattr(keras.applications, base.application)))
    # Constants that stand on several lines, and the address that is put together of a folder and a name.
    text = re.sub(r'"\s*\n\s*f?"', "", source)
    for file in base.published:
        folder = file.address.removesuffix(file.name)
        assert file.address in text or folder in text
        if file.hash:
            assert (file.algorithm, len(file.hash)) == ("md5", 32)
            assert f'"{file.hash}"' in text
            assert file.hash_source in (f"Keras, keras/src/applications/{path}.py" for path in _modules())
        else:
            assert "hash" not in re.search(r"# Load weights.*", source, re.DOTALL)[0]  # type: ignore[index]
    classes = inspect.getsource(keras.applications.imagenet_utils.decode_predictions)
    assert bases.CLASSES.hash in classes


def _modules() -> list[str]:
    return ["vgg16", "vgg19", "resnet", "inception_v3", "mobilenet", "mobilenet_v2", "efficientnet"]


@pytest.mark.parametrize("name", KERAS)
def test_a_base_is_recognised_whole_and_cut(name: str) -> None:
    base = bases.find(name)
    layers = [*base.blocks.values(), *base.marks, base.feature_layer, "flatten", "classes"]
    found = bases.recognised(layers)
    assert found is not None
    assert (found.name, found.blocks) == (name, base.blocks)


def test_what_is_no_base_of_keras_is_not_recognised() -> None:
    assert bases.recognised(["conv_1", "conv_2", "norm_1", "pool_1"]) is None
    assert bases.recognised(["conv2d", "conv2d_1", "conv2d_8", "conv2d_15", "conv2d_22", "conv2d_27"]) is None
    assert bases.recognised(["block1_conv1", "block2_conv1"]) is None
    # DenseNet and ResNet V2 have such names too, and other preprocessing.
    assert bases.recognised([f"conv{n}_block1_1_conv" for n in range(2, 6)]) is None
    assert bases.recognised([]) is None


def test_a_base_cut_above_a_block_keeps_the_blocks_below() -> None:
    mobilenet = bases.find("mobilenet")
    found = bases.recognised([layer for block, layer in mobilenet.blocks.items() if block != "block13"])
    assert found is not None
    assert (found.name, list(found.blocks)) == ("mobilenet", list(mobilenet.blocks)[:-1])


def test_what_is_between_may_not_be_missing() -> None:
    layers = [layer for block, layer in bases.find("mobilenet").blocks.items() if block != "block4"]
    assert bases.recognised(layers) is None


def test_a_users_own_entry_comes_first(cache: Path) -> None:
    (cache / "mobilenet.toml").write_text(ENTRY)
    assert bases.find("mobilenet").title == "Mine"
    assert bases.known()["mobilenet"] == cache / "mobilenet.toml"
    assert bases.referred("base:mobilenet") == bases.find("mobilenet")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('title = "Mine"', "title: Field required"),
        ("default_size = 32", "default_size: Field required"),
        ('application = "MobileNet"', "expected either the application that builds it, or the file that holds it"),
        ('+file = "mine.keras"', "expected either the application that builds it, or the file that holds it"),
        ('+weigths = ""', "unknown key 'weigths'. Did you mean 'weights'?"),
        ('+[weights]\nadress = "https://h/a.h5"', "unknown key 'weights.adress'. Did you mean 'address'?"),
        ('+[weights]\naddress = "ftp://h/a.h5"', "weights.address: String should match pattern"),
        (
            '+[weights]\naddress = "https://h/a.h5"\nalgorithm = "md5"\nhash = "12"\nhash_source = "I"',
            "hash: expected 32 digits of md5",
        ),
        (
            f'+[weights]\naddress = "https://h/a.h5"\nhash = "{"0" * 64}"',
            "hash_source is missing: say who states the hash",
        ),
        ("+=", "is not valid TOML"),
    ],
)
def test_a_wrong_entry_is_told(cache: Path, change: str, words: str) -> None:
    text = ENTRY.replace(change, "")
    if change.startswith("+["):
        text = ENTRY + change[1:]
    elif change.startswith("+"):
        text = change[1:] + ENTRY
    (cache / "mine.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        bases.find("mine")
    assert str(cache / "mine.toml") in str(caught.value)
    assert words in str(caught.value)


def test_the_nearest_name_is_named() -> None:
    with pytest.raises(UsageError, match=r"there is no base 'mobilnet'\. Did you mean 'mobilenet'\?"):
        bases.find("mobilnet")


def test_a_published_file_is_found_by_its_name() -> None:
    vgg16 = bases.find("vgg16")
    assert bases.published("vgg16_weights_tf_dim_ordering_tf_kernels.h5") == [(vgg16, vgg16.full)]
    assert bases.published("mine.h5") == []
    assert {file.name for file in vgg16.published} == {
        "vgg16_weights_tf_dim_ordering_tf_kernels.h5",
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    }
    assert Base.model_validate(vgg16.model_dump()) == vgg16
