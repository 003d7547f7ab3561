"""`dlcli pretrained`: weights fetched from a server that cuts, alters and refuses; files that users bring."""

from __future__ import annotations

import errno
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome
from server import Server, serving

from dlcli.core import transfer
from dlcli.core.record import RunRecord
from dlcli.vision import bases

Command = Callable[..., Outcome]

# It begins as HDF5 does; the rest is random, long enough to be cut in the middle.
CONTENT = b"\x89HDF\r\n\x1a\n" + os.urandom(200_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
NAME = "tiny_notop.h5"


def write_entry(home: Path, address: str, *, name: str = "tiny", hash: str | None = MD5, **changes: Any) -> Path:
    """Write an entry of the user's own, built by keras.applications, whose weights are on a server."""
    keys: dict[str, Any] = {
        "title": "A tiny one",
        "application": "MobileNet",
        "preprocessing": "tf",
        "default_size": 32,
        "smallest_size": 32,
        "feature_layer": "conv_pw_13_relu",
        "parameters": 3_228_864,
        "licence": "CC0",
        **changes,
    }
    stated = {"algorithm": "md5", "hash": hash, "hash_source": "the test"} if hash else {}
    tables = {"blocks": {"stem": "conv1"}, "weights": {"address": address, **stated}}
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    for table, content in tables.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in content.items())]
    path = home / "pretrained" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(transfer, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as state:
        state.files[f"/pub/{NAME}"] = CONTENT
        yield state


@pytest.fixture
def home(dlcli: Command, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the user's cache, which knows a base of the server; Keras' own cache is empty."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    write_entry(tmp_path / "home", f"{server.base}/pub/{NAME}")
    return tmp_path / "home"


def kept(home: Path) -> set[str]:
    """Return the names of what lies in the cache; locks and entries are no weights."""
    found = (path for path in (home / "pretrained").iterdir() if path.suffix not in (".lock", ".toml"))
    return {path.name for path in found}


def test_the_list_says_what_there_is_and_what_is_here(dlcli: Command, home: Path) -> None:
    outcome = dlcli("pretrained")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome == dlcli("pretrained", "list")
    blocks = {block.split()[1]: block for block in outcome.out.split("\n\n")}
    assert {"vgg16", "vgg19", "resnet50", "inceptionv3", "mobilenet", "mobilenetv2", "efficientnetb0", "tiny"} <= set(
        blocks
    )
    assert "224x224, at least 32x32" in blocks["vgg16"]
    assert "14,714,688 parameters, 58.9 MB" in blocks["vgg16"]
    assert "block1, block2, block3, block4, block5" in blocks["vgg16"]
    assert "md5, stated by Keras, keras/src/applications/vgg16.py" in blocks["vgg16"]
    assert "no: dlcli pretrained fetch vgg16" in blocks["vgg16"]
    assert "pretrained/vgg.md" in blocks["vgg16"]
    assert "none stated" in blocks["mobilenet"]
    (one,) = json.loads(dlcli("pretrained", "list", "tiny", "--json").out)["bases"]
    assert (one["name"], one["path"], one["full_path"], one["weights"]["hash"]) == ("tiny", None, None, MD5)


def test_weights_are_fetched_verified_and_found(dlcli: Command, home: Path, server: Server) -> None:
    path = home / "pretrained" / NAME
    missing = dlcli("pretrained", "path", "tiny")
    assert missing.code == 2
    assert missing.lines == [
        "dlcli: the weights of tiny are not on this machine. Fetch them with: dlcli pretrained fetch tiny"
    ]
    outcome = dlcli("pretrained", "fetch", "tiny")
    assert outcome.code == 0, outcome.err
    assert outcome.lines == [
        f"fetching {server.base}/pub/{NAME} ({transfer.in_words(len(CONTENT))}), to {home / 'pretrained'}"
    ]
    assert path.read_bytes() == CONTENT
    assert f"here     {path}\n" in outcome.out
    about = json.loads((home / "pretrained" / f"{NAME}.json").read_text())
    assert (about["md5"], about["verified"], about["size"]) == (MD5, True, len(CONTENT))
    assert dlcli("pretrained", "path", "tiny").out == f"{path}\n"
    again = dlcli("pretrained", "fetch", "tiny")
    assert "was here already" in again.out
    assert len(server.asked) == 1
    server.plan = ["", "error 404"]
    assert dlcli("pretrained", "fetch", "tiny", "--force", "-q").code == 0
    assert len(server.asked) == 2
    # What was there stays where nothing better comes.
    assert dlcli("pretrained", "fetch", "tiny", "--force").code == 5
    assert kept(home) == {NAME, f"{NAME}.json"}
    assert path.read_bytes() == CONTENT


def test_a_cut_goes_on_where_it_was(dlcli: Command, home: Path, server: Server) -> None:
    server.plan = ["cut 100000"]
    outcome = dlcli("pretrained", "fetch", "tiny")
    assert outcome.code == 0, outcome.err
    assert "the connection was cut at 100.0 kB" in outcome.err
    assert server.ranges_asked == [None, "bytes=100000-"]
    assert (home / "pretrained" / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (["altered"], "is not the file that is stated: expected md5"),
        (["error 404"], "has no such file (404). By hand: save {address} as {path}, then run the same command again"),
        (["error 403"], "refuses it (403)"),
        (["error 503"] * 9, "the server is busy (503), 4 times"),
        (["page"], "a web page came instead of the file"),
        (["page as file"], "a web page came instead of the file"),
        (["drop"] * 9, "the connection was cut, 4 times"),
        (["cut 100000", *["drop"] * 9], "100.0 kB of 200.0 kB are kept, and the same command goes on from there"),
    ],
)
def test_what_goes_wrong_leaves_no_weights(
    dlcli: Command, home: Path, server: Server, plan: list[str], words: str
) -> None:
    server.plan = plan
    outcome = dlcli("pretrained", "fetch", "tiny")
    assert (outcome.code, outcome.out) == (5, "")
    line = outcome.lines[-1]
    assert words.format(address=f"{server.base}/pub/{NAME}", path=home / "pretrained" / NAME) in line
    assert line.endswith("From a mirror: dlcli pretrained fetch tiny --mirror URL")
    assert NAME not in kept(home)
    assert dlcli("pretrained", "path", "tiny").code == 2


def test_without_a_network_one_line_says_what_from_where_to_where(dlcli: Command, home: Path) -> None:
    write_entry(home, f"http://nowhere.invalid/pub/{NAME}")
    outcome = dlcli("pretrained", "fetch", "tiny")
    assert outcome.code == 5
    (line,) = outcome.lines
    assert line.startswith(f"dlcli: cannot fetch {NAME}: the name nowhere.invalid cannot be looked up")
    assert f"save http://nowhere.invalid/pub/{NAME} as {home / 'pretrained' / NAME}" in line


def test_a_mirror_serves_the_same_file(dlcli: Command, home: Path, server: Server) -> None:
    server.files[f"/mirror/{NAME}"] = server.files.pop(f"/pub/{NAME}")
    assert dlcli("pretrained", "fetch", "tiny").code == 5
    assert dlcli("pretrained", "fetch", "tiny", "--mirror", f"{server.base}/mirror").code == 0
    assert (home / "pretrained" / NAME).read_bytes() == CONTENT


def test_a_changed_file_in_the_cache_is_noticed(dlcli: Command, home: Path, server: Server) -> None:
    assert dlcli("pretrained", "fetch", "tiny").code == 0
    path = home / "pretrained" / NAME
    path.write_bytes(CONTENT[:-1])
    outcome = dlcli("pretrained", "fetch", "tiny")
    assert outcome.code == 0
    assert f"warning: {path} is not the file that is stated: it is fetched anew" in outcome.err
    assert path.read_bytes() == CONTENT


def test_without_a_stated_hash_it_is_told_and_a_later_change_is_noticed(
    dlcli: Command, home: Path, server: Server
) -> None:
    write_entry(home, f"{server.base}/pub/{NAME}", hash=None)
    path = home / "pretrained" / NAME
    outcome = dlcli("pretrained", "fetch", "tiny")
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert outcome.lines[-1] == (
        f"warning: nobody states a hash for {NAME}, so it was not verified; it has sha256 {digest}"
    )
    assert json.loads((home / "pretrained" / f"{NAME}.json").read_text())["verified"] is False
    assert dlcli("pretrained", "fetch", "tiny").err == ""
    # The publisher has put another file there, which is fetched when it is asked for.
    server.files[f"/pub/{NAME}"] = CONTENT + b"more"
    assert dlcli("pretrained", "fetch", "tiny", "--force").code == 0
    assert path.read_bytes() == CONTENT + b"more"
    server.files[f"/pub/{NAME}"] = CONTENT
    assert dlcli("pretrained", "fetch", "tiny", "--force").code == 0
    path.write_bytes(CONTENT[:-1])
    server.plan = ["error 404"]
    assert dlcli("pretrained", "fetch", "tiny").code == 5
    assert dlcli("pretrained", "fetch", "tiny").code == 0
    assert path.read_bytes() == CONTENT


def test_kerass_own_cache_is_used_where_it_is_right(dlcli: Command, home: Path, server: Server, tmp_path: Path) -> None:
    own = tmp_path / "keras" / "models" / NAME
    own.parent.mkdir(parents=True)
    own.write_bytes(CONTENT)
    outcome = dlcli("pretrained", "fetch", "tiny")
    assert outcome.code == 0
    assert outcome.lines == [f"{NAME} is taken from Keras' cache, {own.parent}"]
    assert str(own) in outcome.out
    assert (server.asked, kept(home)) == ([], set())
    own.write_bytes(CONTENT[:-1])
    outcome = dlcli("pretrained", "fetch", "tiny")
    assert f"warning: {own} is not the file that is stated, so it is not taken" in outcome.err
    assert (len(server.asked), own.read_bytes()) == (1, CONTENT[:-1])
    assert NAME in kept(home)


def test_a_full_disk_is_told_before_anything_comes(dlcli: Command, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(home)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    outcome = dlcli("pretrained", "fetch", "tiny")
    assert outcome.code == 5
    assert (
        f"{NAME} needs {transfer.in_words(len(CONTENT))} in {home / 'pretrained'}, and 1.0 kB are free" in outcome.err
    )
    assert NAME not in kept(home)


def test_two_processes_fetch_once(home: Path, server: Server, tmp_path: Path) -> None:
    server.plan, server.pause = ["slow 1000"], 1.5
    environment = os.environ | {"DLCLI_HOME": str(home), "no_proxy": "127.0.0.1"}
    command = [sys.executable, "-m", "dlcli", "pretrained", "fetch", "tiny"]
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as first,
        subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as second,
    ):
        errors = [process.communicate(timeout=60)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), errors
    assert len(server.asked) == 1
    assert (home / "pretrained" / NAME).read_bytes() == CONTENT


def test_fetching_and_listing_do_not_wait_for_tensorflow(home: Path) -> None:
    code = (
        "import sys; from dlcli.cli import guarded; "
        "codes = [guarded(['pretrained', *words], debug=True) for words in (['fetch', 'tiny'], ['list'])]; "
        "print(codes, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[0, 0] False"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("fetch", "expected the name of a base: dlcli pretrained fetch NAME"),
        ("path", "expected the name of a base: dlcli pretrained path NAME"),
        ("fetch vgg61", "there is no base 'vgg61'. Did you mean 'vgg1"),
        ("add", "expected one file of weights, .keras model or run: dlcli pretrained add FILE"),
        ("add a b", "expected one file of weights, .keras model or run: dlcli pretrained add FILE"),
        ("add none.h5", "none.h5 does not exist"),
        ("list vgg16 --force", "--force goes with fetch and add, not with list"),
        ("list vgg16 --full", "--full goes with fetch and path, not with list"),
        ("fetch vgg16 --name mine", "--name goes with add, not with fetch"),
        ("fetch tiny --full", "no weights of tiny with its head are published"),
        ("fetch tiny --mirror nowhere", "--mirror: expected an address such as https://host/folder, got 'nowhere'"),
        ("ftch", "'ftch' is not one of"),
    ],
)
@pytest.mark.usefixtures("home")
def test_wrong_words(dlcli: Command, server: Server, arguments: str, words: str) -> None:
    outcome = dlcli("pretrained", *arguments.split())
    assert (outcome.code, outcome.out, len(outcome.lines)) == (2, "", 1)
    assert words in outcome.lines[0]
    assert server.asked == []


# Files that one already has.


def test_a_file_that_one_has_is_known_by_its_hash(dlcli: Command, home: Path, server: Server, tmp_path: Path) -> None:
    mine = tmp_path / "from a colleague.h5"
    mine.write_bytes(CONTENT)
    outcome = dlcli("pretrained", "add", mine)
    assert (outcome.code, outcome.err) == (0, "")
    path = home / "pretrained" / NAME
    assert f"name     tiny\nhere     {path}\n" in outcome.out
    assert path.read_bytes() == CONTENT
    assert json.loads((home / "pretrained" / f"{NAME}.json").read_text())["verified"] is True
    assert "was here already" in dlcli("pretrained", "fetch", "tiny").out
    assert server.asked == []


def test_a_file_that_is_not_what_its_name_says_is_refused(dlcli: Command, home: Path, tmp_path: Path) -> None:
    for content in (CONTENT[:-1], b"<!DOCTYPE html>"):
        (tmp_path / NAME).write_bytes(content)
        outcome = dlcli("pretrained", "add", tmp_path / NAME)
        assert (outcome.code, outcome.out) == (4, "")
        assert f"is not the file that is published under its name: expected md5 {MD5} (the test), got" in outcome.err
    assert kept(home) == set()


def test_a_file_of_nobody_is_refused(dlcli: Command, home: Path, tmp_path: Path) -> None:
    (tmp_path / "own.h5").write_bytes(CONTENT[:-1])
    outcome = dlcli("pretrained", "add", tmp_path / "own.h5")
    assert outcome.code == 4
    assert "is no file that is published of a base: neither its hash nor its name is known" in outcome.lines[-1]
    outcome = dlcli("pretrained", "add", tmp_path / "own.h5", "--preprocessing", "tf")
    assert outcome.code == 2


def test_a_disk_that_gets_full_leaves_nothing(
    dlcli: Command, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)

    def copy(source: Path, target: Path) -> None:
        target.write_bytes(CONTENT[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", copy)
    outcome = dlcli("pretrained", "add", tmp_path / NAME)
    assert outcome.code == 5
    assert "the disk is full" in outcome.lines[-1]
    assert kept(home) == set()


def test_without_a_hash_the_layers_decide(dlcli: Command, home: Path, server: Server, tmp_path: Path) -> None:
    import h5py

    from dlcli.core.backend import keras

    legacy_h5_format = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
    write_entry(home, f"{server.base}/pub/{NAME}", hash=None)
    make = keras.applications.MobileNet
    right = make(include_top=False, weights=None, input_shape=(32, 32, 3))
    wrong = make(include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.25)
    for name, model in (("right.h5", right), ("wrong.h5", wrong)):
        with h5py.File(tmp_path / name, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, model)
    outcome = dlcli("pretrained", "add", tmp_path / "wrong.h5", "--name", "tiny")
    assert outcome.code == 4
    assert "the layer conv1 takes 3x3x3x32, and conv1 there has 3x3x3x8" in outcome.lines[-1]
    assert NAME not in kept(home)
    outcome = dlcli("pretrained", "add", tmp_path / "right.h5", "--name", "tiny")
    assert outcome.code == 0, outcome.err
    assert f"nobody states a hash for {NAME}: the layers are those of tiny" in outcome.err
    assert (home / "pretrained" / NAME).read_bytes() == (tmp_path / "right.h5").read_bytes()


# Models of one's own.


def convolutions(side: int = 16, channels: int = 3, *, before: tuple[Any, ...] = (), dtype: str = "float32") -> Any:
    from dlcli.core.backend import keras

    layers = keras.layers
    stack = [
        layers.Conv2D(4, 3, padding="same", name="first"),
        layers.MaxPooling2D(name="halved"),
        layers.Conv2D(5, 3, padding="same", name="second"),
        layers.GlobalAveragePooling2D(name="mean"),
        layers.Dense(7, name="hidden"),
        layers.Dense(2, name="answers"),
    ]
    return keras.Sequential([keras.Input((side, side, channels), dtype=dtype), *before, *stack])


def test_a_model_of_ones_own_becomes_a_base_without_its_head(dlcli: Command, home: Path, tmp_path: Path) -> None:
    from dlcli.core import keras_files

    convolutions().save(tmp_path / "mine.keras")
    unsaid = dlcli("pretrained", "add", tmp_path / "mine.keras")
    assert unsaid.code == 2
    assert "nothing says which numbers the model takes" in unsaid.lines[-1]
    assert "--preprocessing unit" in unsaid.lines[-1]
    outcome = dlcli("pretrained", "add", tmp_path / "mine.keras", "--preprocessing", "unit")
    assert outcome.code == 0, outcome.err
    base = bases.find("mine")
    assert base.path == home / "pretrained" / "mine.keras"
    assert (base.preprocessing, base.default_size, base.smallest_size) == ("unit", 16, 2)
    assert (base.feature_layer, base.blocks) == ("second", {"block1": "first", "block2": "second"})
    model = keras_files.load(base.path)
    assert model.output_shape == (None, 8, 8, 5)
    assert [layer.name for layer in model.layers][-1] == "second"
    assert model.count_params() == base.parameters
    assert dlcli("pretrained", "path", "mine").out == f"{base.path}\n"
    assert "in mine.keras" in dlcli("pretrained", "list", "mine").out
    assert "nothing to fetch" in dlcli("pretrained", "fetch", "mine").out

    again = dlcli("pretrained", "add", tmp_path / "mine.keras", "--preprocessing", "tf")
    assert again.code == 5
    assert "exists already. Add --force to replace it" in again.lines[-1]
    assert dlcli("pretrained", "add", tmp_path / "mine.keras", "--preprocessing", "tf", "--force").code == 0
    assert bases.find("mine").preprocessing == "tf"
    taken = dlcli("pretrained", "add", tmp_path / "mine.keras", "--name", "vgg16", "--force")
    assert taken.code == 2
    assert "a base 'vgg16' ships with dlcli" in taken.lines[-1]


def test_what_scales_itself_takes_pixels_as_they_are(dlcli: Command, home: Path, tmp_path: Path) -> None:
    from dlcli.core.backend import keras

    convolutions(before=(keras.layers.Rescaling(1 / 127.5, -1),)).save(tmp_path / "scales.keras")
    convolutions(dtype="uint8").save(tmp_path / "bytes.keras")
    for name in ("scales", "bytes"):
        assert dlcli("pretrained", "add", tmp_path / f"{name}.keras").code == 0
        assert bases.find(name).preprocessing == "none"


def test_a_cut_base_of_keras_is_recognised(dlcli: Command, home: Path, tmp_path: Path) -> None:
    from dlcli.core.backend import keras

    whole = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3))
    keras.Model(whole.input, whole.get_layer("conv_pw_12_relu").output).save(tmp_path / "cut.keras")
    outcome = dlcli("pretrained", "add", tmp_path / "cut.keras")
    assert outcome.code == 0, outcome.err
    base = bases.find("cut")
    assert (base.preprocessing, base.feature_layer, base.smallest_size) == ("tf", "conv_pw_12_relu", 32)
    assert list(base.blocks)[-2:] == ["block11", "block12"]
    assert "weights of mobilenet: Apache 2.0" in base.licence


def test_a_model_of_any_size_takes_the_size_of_what_it_is_like(dlcli: Command, home: Path, tmp_path: Path) -> None:
    from dlcli.core.backend import keras

    pixels = keras.Input((None, None, 3))
    maps = pixels
    for number in range(1, 4):
        maps = keras.layers.Conv2D(4, 3, name=f"block{number}_conv1")(maps)
    keras.Model(pixels, maps).save(tmp_path / "like.keras")
    maps = keras.layers.Conv2D(4, 3, name="other")(pixels)
    keras.Model(pixels, maps).save(tmp_path / "odd.keras")
    assert dlcli("pretrained", "add", tmp_path / "like.keras").code == 0
    base = bases.find("like")
    assert (base.default_size, base.smallest_size, base.preprocessing) == (224, 32, "caffe")
    outcome = dlcli("pretrained", "add", tmp_path / "odd.keras", "--preprocessing", "unit")
    assert outcome.code == 4
    assert "takes pictures of any size. Save it for pictures of one size" in outcome.lines[-1]


@pytest.fixture(scope="module")
def unsafe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of `.keras` files that must not be loaded."""
    from dlcli.core.backend import keras

    folder = tmp_path_factory.mktemp("unsafe")
    layers = keras.layers

    class Odd(layers.Layer):  # type: ignore[name-defined, misc]
        def call(self, inputs: Any) -> Any:
            return inputs

    kinds = {
        "lambda": convolutions(before=(layers.Lambda(lambda pixels: pixels / 255, name="scale"),)),
        "custom": convolutions(before=(Odd(name="odd"),)),
        "registered": convolutions(before=(keras.saving.register_keras_serializable("mine")(Odd)(name="odd"),)),
        "gray": convolutions(channels=1),
        "good": convolutions(),
    }
    for name, model in kinds.items():
        model.save(folder / f"{name}.keras")
    content = (folder / "good.keras").read_bytes()
    middle = len(content) // 2
    (folder / "cut.keras").write_bytes(content[:middle])
    (folder / "flipped.keras").write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    (folder / "page.keras").write_text("<!DOCTYPE html><html>Log in</html>")
    (folder / "empty.keras").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lambda", "lambda.keras is refused: Lambda 'scale' of keras.layers is none of the layers that are known"),
        ("custom", "custom.keras is refused: Odd 'odd' of "),
        (
            "registered",
            "registered.keras is refused: Odd 'odd' of mine is none of the layers that are known",
        ),
        ("gray", "cannot be a base: expected one picture with three channels as its input, got 16x16x1"),
        ("cut", "cut.keras is damaged, or no .keras file"),
        ("flipped", "flipped.keras is damaged"),
        ("page", "page.keras is damaged, or no .keras file"),
        ("empty", "empty.keras is damaged, or no .keras file"),
    ],
)
def test_unsafe_and_damaged_models_are_refused(dlcli: Command, home: Path, unsafe: Path, name: str, words: str) -> None:
    outcome = dlcli("pretrained", "add", unsafe / f"{name}.keras", "--preprocessing", "unit")
    assert (outcome.code, outcome.out) == (4, "")
    assert words in outcome.lines[-1]
    assert len(outcome.lines) == 1
    assert kept(home) == set()


def test_a_run_of_pictures_becomes_a_base(dlcli: Command, home: Path, tmp_path: Path, shapes: Path) -> None:
    import numpy as np

    from dlcli.core import keras_files
    from dlcli.core.backend import keras
    from dlcli.serving.predictor import Predictor

    outcome = dlcli("pretrained", "add", shapes, "--name", "shapes")
    assert outcome.code == 0, outcome.err
    base = bases.find("shapes")
    assert (base.preprocessing, base.default_size, base.smallest_size) == ("none", 24, 4)
    assert base.blocks == {"block1": "conv_1", "block2": "conv_2"}
    assert base.title == "cnn, trained by dlcli train-image on 3 classes"
    model, whole = keras_files.load(base.path), Predictor(shapes).model
    pixels = np.random.default_rng(1).integers(0, 256, (2, 24, 24, 3), np.uint8)
    maps = keras.Model(whole.input, whole.get_layer(base.feature_layer).output)
    assert model.output_shape == (None, 6, 6, 8)
    assert np.array_equal(model(pixels, training=False), maps(pixels, training=False))


def test_a_run_of_texts_is_no_base(dlcli: Command, home: Path, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    RunRecord(status="finished", verb="train-text", domain="text", config={}).write(tmp_path / "texts")
    outcome = dlcli("pretrained", "add", tmp_path / "texts")
    assert outcome.code == 2
    assert "classifies texts, and a base takes pictures" in outcome.lines[-1]
