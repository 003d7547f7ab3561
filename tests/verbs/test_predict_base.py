"""`dlcli predict base:NAME`: a base answers with ImageNet's classes; `--top K` of a base and of a run."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import ROOT, Outcome
from server import serving

from dlcli.core import transfer
from dlcli.vision import bases
from dlcli.vision.bases import Base, WeightsFile
from verbs.helpers import read_csv
from verbs.test_pretrained import write_entry

Command = Callable[..., Outcome]

SHAPES = ROOT / "sample_data" / "shapes"
PICTURES = [SHAPES / name / "000.jpg" for name in ("circle", "square", "triangle")]
SIDE = 32
# Two of ImageNet's classes are called alike too.
NAMES = ["crane" if number in (3, 900) else f"thing_{number}" for number in range(1000)]
CLASSES = json.dumps({str(n): [f"n{n:08}", name] for n, name in enumerate(NAMES)}).encode()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, np.ndarray[Any, Any]]:
    """Return a small network's weights as Keras publishes them, and what Keras itself answers with them."""
    from dlcli.core.backend import keras
    from dlcli.core.progress import Silent
    from dlcli.vision.config import ImagePipelineConfig
    from dlcli.vision.pipeline import PicturePipeline

    legacy_h5_format = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
    network = keras.applications.MobileNet(weights=None, input_shape=(SIDE, SIDE, 3))
    draws = np.random.default_rng(5)
    for layer in network.layers:
        if hasattr(layer, "kernel"):  # As He et al. draw them: others let the signal vanish on its way up.
            taken = np.prod(layer.kernel.shape[:2]) * (1 if "_dw_" in layer.name else layer.kernel.shape[2])
            layer.kernel.assign(draws.normal(0, (2 / taken) ** 0.5, layer.kernel.shape))
    path = tmp_path_factory.mktemp("published") / "tiny.h5"
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    pipeline = PicturePipeline(ImagePipelineConfig(image_size=(SIDE, SIDE), color="rgb"))
    pixels = pipeline.pixels([str(picture) for picture in PICTURES], Silent())[np.arange(3)]
    ready = keras.applications.mobilenet.preprocess_input(pixels.astype(np.float32))
    return path.read_bytes(), np.asarray(network(ready, training=False))


@pytest.fixture
def home(
    dlcli: Command, published: tuple[bytes, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Return the user's cache, which knows a base, whose files are on a server."""
    monkeypatch.setattr(transfer, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    with serving() as server:
        server.files = {"/pub/tiny.h5": published[0], "/pub/classes.json": CLASSES}
        digest = hashlib.md5(CLASSES).hexdigest()
        about = WeightsFile(
            address=f"{server.base}/pub/classes.json", algorithm="md5", hash=digest, hash_source="the test"
        )
        monkeypatch.setattr(bases, "CLASSES", about)
        entry = write_entry(tmp_path / "home", f"{server.base}/pub/notop.h5")
        digest = hashlib.md5(published[0]).hexdigest()
        stated = f'algorithm = "md5"\nhash = "{digest}"\nhash_source = "the test"\n'
        entry.write_text(entry.read_text() + f'[full]\naddress = "{server.base}/pub/tiny.h5"\n{stated}')
        yield tmp_path / "home"


def best(answers: np.ndarray[Any, Any], count: int) -> list[tuple[str, Any]]:
    """Return the names and probabilities of a picture's best classes."""
    order = np.argsort(-answers)[:count]
    names = [f"crane (n{n:08})" if NAMES[n] == "crane" else NAMES[n] for n in order]
    return [(name, pytest.approx(float(answers[n]), abs=2e-5)) for name, n in zip(names, order, strict=True)]


def test_a_base_answers_as_keras_does(
    dlcli: Command, home: Path, published: tuple[bytes, np.ndarray[Any, Any]]
) -> None:
    expected = [best(answers, 3) for answers in published[1]]
    assert len({pairs[0][0] for pairs in expected} | {pairs[1][0] for pairs in expected}) > 2
    Path("list.csv").write_text("path\n" + "".join(f"{picture}\n" for picture in PICTURES))
    outcome = dlcli("predict", "base:tiny", "list.csv", "--top", "3")
    assert outcome.code == 0, outcome.err
    rows = read_csv(outcome.out)
    assert list(rows[0])[:5] == ["path", "prediction", "probability", "prediction_2", "probability_2"]
    for row, pairs in zip(rows, expected, strict=True):
        found = [(row[f"prediction{end}"], float(row[f"probability{end}"])) for end in ("", "_2", "_3")]
        assert found == pairs
    # The head's weights and the names are here now, and nothing else is asked for.
    again = dlcli("predict", "base:tiny", PICTURES[0], "--top", "3", "--json")
    assert "fetching" not in again.err
    result = json.loads(again.out)
    assert (result["run"], len(result["labels"]), len(set(result["labels"]))) == ("base:tiny", 1000, 1000)
    (answer,) = result["predictions"]
    assert [(one["prediction"], one["probability"]) for one in answer["top"]] == expected[0]
    shown = dlcli("predict", "base:tiny", PICTURES[0], "--top", "3").out.splitlines()
    assert shown[0] == str(PICTURES[0])
    assert [line.split("  ", 2)[-1] for line in shown[1:]] == [name for name, _ in expected[0]]
    assert [line.split()[0] for line in shown[1:]] == [f"{one['probability']:.4f}" for one in answer["top"]]
    assert "full_path" in dlcli("pretrained", "list", "tiny", "--json").out
    assert "(with its head)" in dlcli("pretrained", "list", "tiny").out


def test_the_head_and_the_names_are_fetched_together(dlcli: Command, home: Path) -> None:
    outcome = dlcli("pretrained", "fetch", "tiny", "--full")
    assert outcome.code == 0, outcome.err
    folder = home / "pretrained"
    assert [line.split("  ")[-1].strip() for line in outcome.out.splitlines()[1:3]] == [
        str(folder / "tiny.h5"),
        str(folder / "classes.json"),
    ]
    assert dlcli("pretrained", "path", "tiny", "--full").out == f"{folder / 'tiny.h5'}\n"


def test_weights_of_another_network_are_told(
    dlcli: Command, home: Path, published: tuple[bytes, Any], tmp_path: Path
) -> None:
    entry = home / "pretrained" / "tiny.toml"
    entry.write_text(entry.read_text().replace('"MobileNet"', '"VGG16"'))
    outcome = dlcli("predict", "base:tiny", PICTURES[0])
    assert (outcome.code, outcome.out) == (4, "")
    assert "weights of another network: the layer block1_conv1 takes 3x3x3x64 + 64, and conv1" in outcome.lines[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("base:tinny PICTURE", "there is no base 'tinny'. Did you mean 'tiny'?"),
        ("base:tiny --text a", "--text is for texts, and base:tiny classifies pictures"),
        ("base:tiny PICTURE --tta 3", "--tta draws as the training of a run did, and a base has none"),
        ("base:tiny none.jpg", "none.jpg does not exist"),
        ("base:mine PICTURE", "the base mine has no classes of its own. Train a head for yours: dlcli finetune"),
        ("base:tiny PICTURE --top 0", "--top: expected at least 1"),
    ],
)
def test_wrong_words(dlcli: Command, home: Path, arguments: str, words: str) -> None:
    write_entry(home, "https://host.invalid/a.h5", name="mine")
    outcome = dlcli("predict", *(PICTURES[0] if word == "PICTURE" else word for word in arguments.split()))
    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.lines[-1]


@pytest.mark.parametrize("verb", ["evaluate base:tiny SHAPES", "export base:tiny"])
def test_other_verbs_take_no_base(dlcli: Command, home: Path, verb: str) -> None:
    outcome = dlcli(*(SHAPES if word == "SHAPES" else word for word in verb.split()))
    assert outcome.code == 2
    assert outcome.lines[-1] == "dlcli: base:tiny is no run. Expected the directory of a run"


def test_class_names_that_are_none_are_told(tmp_path: Path) -> None:
    from dlcli.errors import ModelError
    from dlcli.serving.base_predictor import read_classes

    for content in ("", "[]x", '{"1": ["a", "b"]}', '{"0": "ab c"}'):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(ModelError, match="holds no class names"):
            read_classes(tmp_path / "a.json")


# The best classes of a run.


def test_the_best_classes_of_a_run(dlcli: Command, shapes: Path) -> None:
    every = read_csv(dlcli("predict", shapes, PICTURES[0].parent, "--proba").out)[:4]
    for count in (2, 9):  # There are three.
        rows = read_csv(dlcli("predict", shapes, PICTURES[0].parent, "--top", count, "--format", "csv").out)[:4]
        for row, whole in zip(rows, every, strict=True):
            order = sorted(("circle", "square", "triangle"), key=lambda name: -float(whole[f"p({name})"]))
            ends = ["", "_2", "_3"][:count]
            assert [row[f"prediction{end}"] for end in ends] == order[:count]
            assert [row[f"probability{end}"] for end in ends] == [whole[f"p({name})"] for name in order[:count]]
            assert "prediction_4" not in row and "top" not in row


def test_the_best_classes_of_texts(dlcli: Command, small_run: Path) -> None:
    outcome = dlcli("predict", small_run, "--text", "good", "--text", "bad", "--top", "2")
    lines = outcome.out.splitlines()
    assert [lines[0], lines[3]] == ["good", "bad"]
    assert {line.split()[1] for line in lines[1:3]} == {"neg", "pos"}
    lined = dlcli("predict", small_run, "--text", "good", "--top", "2", "--format", "jsonl", "--out", "p.jsonl")
    assert lined.code == 0, lined.err
    (row,) = [json.loads(line) for line in Path("p.jsonl").read_text().splitlines()]
    assert [one["prediction"] for one in row["top"]] == [line.split()[1] for line in lines[1:3]]
    assert row["prediction"] == row["top"][0]["prediction"]


@pytest.mark.parametrize("column", ["top", "prediction_2", "probability"])
def test_a_column_that_the_best_classes_would_take_is_told(dlcli: Command, small_run: Path, column: str) -> None:
    Path("a.csv").write_text(f"text,{column}\ngood,1\n")
    outcome = dlcli("predict", small_run, "a.csv", "--top", "2")
    assert outcome.code == 3
    assert f"a.csv has a column '{column}' already" in outcome.lines[-1]


def test_a_base_is_a_whole_entry(home: Path) -> None:
    base: Base = bases.find("tiny")
    assert base.full is not None and base.full.name == "tiny.h5"


def test_inspect_looks_into_a_base(dlcli: Command, home: Path) -> None:
    flags = ("--layers", "--weights", "conv1", "--visualise", "conv1", "--filters", "3", "--steps", "5")
    outcome = dlcli("inspect", "base:tiny", *flags, "--graph", "net.svg", "--json")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert {"conv1", "conv_dw_13", "predictions"} <= {one["name"] for one in result["layers"]}
    assert [one["shape"] for one in result["weights"]] == [[3, 3, 3, 32]]
    assert [Path(picture).name for picture in result["pictures"]] == [
        "weights-conv1.png",
        "visualised-conv1.png",
        "net.svg",
    ]
    assert all(Path(picture).exists() for picture in result["pictures"])
    for bad, words in (("", "has no record"), ("--top-activating conv1", "Name some with --data")):
        outcome = dlcli("inspect", "base:tiny", *bad.split())
        assert (outcome.code, words in outcome.err) == (2, True), outcome.err
