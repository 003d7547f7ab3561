"""`dlcli inspect` with a look inside: layers, weights, activations, what excites filters, the network drawn."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Outcome, call
from PIL import Image

Command = Callable[..., Outcome]

SHAPES = ROOT / "sample_data" / "shapes"


def a_picture() -> Path:
    return next(path for path in sorted(SHAPES.rglob("*")) if path.suffix in (".png", ".jpg"))


@pytest.fixture(scope="module")
def found(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what is said of the run on shapes when all is asked for at once; the pictures are beside it."""
    out = tmp_path_factory.mktemp("inside")
    flags = ("--layers", "--weights", "all", "--activations", a_picture(), "--visualise", "conv_2", "--steps", "40")
    more = ("--top-activating", "conv_2", "--filters", "0-3", "--top", "3", "--graph", out / "net.svg", "--out", out)
    outcome = call("inspect", shapes, *flags, *more, "--json")
    assert outcome.code == 0, outcome.err
    result: dict[str, Any] = json.loads(outcome.out)
    return result | {"folder": out}


@pytest.fixture(scope="module")
def model(shapes: Path) -> Any:
    from dlcli.serving.predictor import Predictor

    return Predictor(shapes)


def outputs(predictor: Any, layer: str, pixels: Any) -> np.ndarray[Any, Any]:
    """Return what a layer gives, by a model that is made here."""
    from dlcli.core.backend import keras

    network = keras.Model(predictor.model.input, predictor.model.get_layer(layer).output)
    return np.asarray(network.predict(np.asarray(pixels), verbose=0))


def test_layers_are_those_of_keras(found: dict[str, Any], model: Any) -> None:
    expected = [(layer.name, type(layer).__name__, layer.count_params()) for layer in model.model.layers]
    assert [(one["name"], one["kind"], one["parameters"]) for one in found["layers"]] == expected
    by_name = {one["name"]: one for one in found["layers"]}
    assert by_name["conv_1"]["shape"] == [None, 24, 24, 8]
    assert by_name["conv_1"]["inputs"] == ["rescale"]
    assert sum(one["trainable"] for one in found["layers"]) == model.model.count_params()


def test_statistics_are_numpys_on_the_file(found: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    import h5py

    with zipfile.ZipFile(shapes / "model.keras") as archive:
        file = archive.extract("model.weights.h5", tmp_path)
    with h5py.File(file) as stored:
        arrays: list[np.ndarray[Any, Any]] = []
        stored.visititems(lambda name, item: arrays.append(item[()]) if hasattr(item, "shape") else None)
    for one in found["weights"]:
        (array,) = [a for a in arrays if list(a.shape) == one["shape"] and abs(a.max() - one["max"]) < 1e-7]
        assert one["mean"] == pytest.approx(array.mean(dtype=np.float64), abs=1e-9)
        assert one["std"] == pytest.approx(array.std(dtype=np.float64), abs=1e-9)
        assert one["norm"] == pytest.approx(np.sqrt((array.astype(np.float64) ** 2).sum()))
        assert one["zeros"] == (array == 0).mean()
        assert sum(one["histogram"]["counts"]) == array.size
    assert (found["folder"] / "weights-conv_1.png").exists()
    assert not (found["folder"] / "weights-conv_2.png").exists()  # It reads no pixels.


def test_activations_are_the_layers_outputs(found: dict[str, Any], model: Any) -> None:
    pixels = model.pipeline.encode([str(a_picture())]).rows
    by_name = {one["layer"]: one for one in found["activations"]}
    assert list(by_name) == ["rescale", "conv_1", "pool_1", "conv_2", "pool_2"]
    for name in ("conv_1", "pool_2"):
        expected = outputs(model, name, pixels)[0]
        assert by_name[name]["shape"] == list(expected.shape)
        assert by_name[name]["mean"] == pytest.approx(float(expected.mean()), rel=1e-4)
        assert by_name[name]["strongest"][0] == int(expected.mean(axis=(0, 1)).argmax())
        with Image.open(found["folder"] / f"activations-{name}.png") as picture:
            assert picture.width <= 1400


def test_the_top_picture_is_the_argmax_of_the_data(found: dict[str, Any], model: Any) -> None:
    files = [str(path) for path in sorted(SHAPES.rglob("*")) if path.suffix in (".png", ".jpg")]
    maps = outputs(model, "conv_2", model.pipeline.encode(files).rows)
    for one in found["top_activating"]:
        largest = maps[..., one["filter"]].max(axis=(1, 2))
        first = one["inputs"][0]
        assert first["activation"] == pytest.approx(float(largest.max()), rel=1e-4)
        assert [item["activation"] for item in one["inputs"]] == pytest.approx(
            sorted(largest, reverse=True)[:3], rel=1e-4
        )
        if largest.max() > 0:
            number = files.index(str(Path(first["item"])))
            assert largest[number] == pytest.approx(largest.max(), rel=1e-5)
            top, left, bottom, right = first["region"]
            row, column = np.argwhere(maps[number, ..., one["filter"]] == largest[number])[0]
            # Each output of conv_2 sees 3 x 3 of the pooled, which are 8 x 8 pixels around it.
            assert (top, left) == (max(0, 2 * row - 3), max(0, 2 * column - 3))
            assert bottom - top <= 8 and right - left <= 8
    assert (found["folder"] / "top-conv_2.png").exists()


def test_what_is_outside_the_region_does_not_matter(model: Any) -> None:
    """Pixels outside what a filter is said to see change nothing of its output; those inside do."""
    from dlcli.results.inspection.receptive import receptive_fields, region

    fields = receptive_fields(model.model)["conv_2"]
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (1, *model.pipeline.shape), np.uint8)
    for place in ((0, 0), (5, 7), (11, 11)):
        top, left, bottom, right = region(fields, place, sides=(24, 24))
        other = random.integers(0, 256, pixels.shape, np.uint8)
        inside = other.copy()
        other[:, top:bottom, left:right] = pixels[:, top:bottom, left:right]
        first, same, changed = (outputs(model, "conv_2", one)[0, place[0], place[1]] for one in (pixels, other, inside))
        assert np.array_equal(first, same)
        assert not np.array_equal(first, changed)
        # No smaller region does: a row or column less of it changes the output.
        for cut in ((top, top + 1, left, right), (bottom - 1, bottom, left, right), (top, bottom, left, left + 1)):
            edge = pixels.copy()
            edge[:, cut[0] : cut[1], cut[2] : cut[3]] = 255 - edge[:, cut[0] : cut[1], cut[2] : cut[3]]
            assert not np.array_equal(first, outputs(model, "conv_2", edge)[0, place[0], place[1]])


def test_what_was_made_excites_a_filter_more_than_noise(found: dict[str, Any]) -> None:
    open_ = [one for one in found["visualise"] if one["noise"] > 1e-3]
    assert open_
    assert all(one["activation"] > 1.3 * one["noise"] for one in open_)
    assert (found["folder"] / "visualised-conv_2.png").exists()


def test_what_was_made_is_the_same_again(found: dict[str, Any], model: Any) -> None:
    from dlcli.core.progress import Silent
    from dlcli.results.inspection.ascent import visualise

    alone = visualise(model.model, "conv_2", [2], steps=40, seed=0, progress=Silent())
    assert float(alone.activations[0]) == pytest.approx(found["visualise"][2]["activation"], rel=0.02)
    assert model.model.get_layer("conv_2").activation.__name__ == "relu"  # As it was.


def test_the_drawing_has_every_layers_name(found: dict[str, Any]) -> None:
    text = (found["folder"] / "net.svg").read_text(encoding="utf-8")
    for layer in found["layers"]:
        assert f">{layer['name']}<" in text
        assert f">{layer['kind']}<" in text
    assert f">{found['layers'][2]['parameters']:,}<" in text
    assert "<script" not in text and "<metadata" not in text


def test_pictures_that_are_there_need_force(dlcli: Command, found: dict[str, Any], shapes: Path) -> None:
    outcome = dlcli("inspect", shapes, "--weights", "conv_1", "--out", found["folder"])
    assert (outcome.code, "weights-conv_1.png exists already" in outcome.err) == (5, True)
    assert dlcli("inspect", shapes, "--weights", "conv_1", "--out", found["folder"], "--force").code == 0


def test_the_text_of_it(dlcli: Command, shapes: Path, tmp_path: Path) -> None:
    outcome = dlcli("inspect", shapes, "--layers", "--weights", "conv_1", "--out", tmp_path)
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "parameters", "trained"]
    assert any(re.fullmatch(r"conv_1 +Conv2D +24 x 24 x 8 +224 +224", line) for line in lines)
    assert any(line.startswith("conv_1 kernel") and line.endswith("|") for line in lines)


def test_words_that_excite_a_filter(dlcli: Command, tiny: Path) -> None:
    """Of a filter of width 3 those windows are found whose embeddings give the most: computed here by hand."""
    flags = ("--model", "cnn", "--kernel-sizes", "3", "--epochs", "1", "--out", "r")
    assert dlcli("train-text", tiny, *flags, "--embedding-dim", "8", "--units", "4").code == 0
    result = json.loads(dlcli("inspect", "r", "--top-activating", "conv_3", "--top", "4", "--json").out)
    from dlcli.serving.predictor import Predictor

    predictor = Predictor(Path("r"))
    table = predictor.model.get_layer("embedding").get_weights()[0]
    kernel, bias = predictor.model.get_layer("conv_3").get_weights()
    texts = [line.split(",")[0] for line in tiny.read_text().splitlines()[1:]]
    best: dict[str, np.ndarray[Any, Any]] = {}
    for text in texts:
        words, ids = text.split(), predictor.pipeline.encode([text]).ids  # type: ignore[attr-defined]
        rows = np.concatenate([np.zeros((1, 8)), table[np.asarray(ids)], np.zeros((1, 8))])
        values = [np.maximum(0, np.einsum("kd,kdf->f", rows[at : at + 3], kernel) + bias) for at in range(len(words))]
        for at, value in enumerate(values):
            window = " ".join(words[max(0, at - 1) : at + 2])
            best[window] = np.maximum(best.get(window, -np.inf), value)
    assert len(result["top_activating"]) == 4
    for one in result["top_activating"]:
        largest = sorted((float(value[one["filter"]]) for value in best.values()), reverse=True)
        assert one["inputs"][0]["activation"] == pytest.approx(largest[0], rel=1e-4, abs=1e-6)
        for item in one["inputs"]:
            assert item["activation"] == pytest.approx(best[item["words"]][one["filter"]], rel=1e-4, abs=1e-6)
            assert item["words"] in item["item"]
    assert len({item["words"] for item in result["top_activating"][0]["inputs"]}) == 4


@pytest.mark.parametrize(("flags", "code", "words"), [
    ("--visualise classes", 2, "--visualise makes pictures"),
    ("--activations a.png", 2, "--activations draws feature maps of a picture"),
    ("--of conv_1", 2, "--of goes with --activations"),
    ("--filters 0-3", 2, "--filters goes with --visualise or --top-activating"),
    ("--data x.csv --top-activating classes", 2, "x.csv does not exist"),
    ("--top-activating classes --filters 3-1", 2, "expected numbers such as 0-15,20"),
    ("--graph net.jpg", 2, "expected a file ending in .png, .svg"),
    ("--weights clases", 2, "Did you mean 'classes'?"),
    ("--top-activating clases", 2, "Did you mean 'classes'?"),
    ("--top-activating classes --filters 7", 2, "classes has the filters 0 to 1, got 7"),
    ("--top-activating ngram_weights", 2, "'ngram_weights' has no filters"),
])  # fmt: skip
def test_bad_input(dlcli: Command, run: Path, flags: str, code: int, words: str) -> None:
    outcome = dlcli("inspect", run, *flags.split())
    assert (outcome.code, words in outcome.err) == (code, True), outcome.err
    assert not (run / "inspection").exists()


def test_units_of_classes_have_their_names_and_an_ensemble_its_members(
    dlcli: Command, run: Path, small_run: Path
) -> None:
    outcome = dlcli(
        "inspect", run, "--top-activating", "classes", "--top", "1", "--data", small_run.with_name("small.csv")
    )
    assert [line for line in outcome.out.splitlines() if line.endswith("of classes")] == [
        "neg of classes",
        "pos of classes",
    ]
    assert dlcli("ensemble", run, small_run, "--weights", "1,1", "--out", "both").code == 0
    names = [one["name"] for one in json.loads(dlcli("inspect", "both", "--layers", "--json").out)["layers"]]
    assert {"member_1", "member_1/embedding", "member_2/classes", "classes"} <= set(names)
    outcome = dlcli("inspect", "both", "--top-activating", "classes")
    assert (outcome.code, f"Look into one of its runs: {run}" in outcome.err) == (2, True)


def test_a_run_that_was_stopped_has_no_network(dlcli: Command, stopped: Path) -> None:
    outcome = dlcli("inspect", stopped, "--layers")
    assert (outcome.code, "was interrupted. Finish it with: dlcli train-text --resume" in outcome.err) == (4, True)


def test_numbers_that_are_none_are_named(tmp_path: Path) -> None:
    from dlcli.core.backend import keras
    from dlcli.results.inspection.weights import statistics
    from dlcli.verbs.shared.inspection_text import weights_table

    layer = keras.layers.Dense(2, name="bad")
    layer.build((None, 2))
    layer.set_weights([np.array([[np.nan, 1], [2, np.inf]], np.float32), np.array([np.nan, np.nan], np.float32)])
    kernel, bias = statistics({"bad": layer})
    assert (kernel["nan"], kernel["infinite"], kernel["mean"]) == (1, 1, 1.5)
    assert (bias["nan"], bias["mean"], bias["histogram"]) == (2, None, None)
    assert "bad kernel: 1 NaN and 1 infinite numbers" in weights_table([kernel, bias])


def test_layers_inside_others_are_listed() -> None:
    from dlcli.core.backend import keras
    from dlcli.results.inspection.drawing import network_figure
    from dlcli.results.inspection.structure import layers_of

    words = keras.Input((4, 3), name="words")
    both = keras.layers.Bidirectional(keras.layers.LSTM(2, name="lstm"), name="both")(words)
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="dense")], name="inner")
    model = keras.Model(words, keras.layers.Add(name="sum")([both, inner(both)]))
    found = {layer.name: layer for layer in layers_of(model)}
    assert found["both"].parameters == 2 * found["both/forward_lstm"].parameters == 96
    assert found["inner/dense"].depth == 1
    assert found["sum"].inputs == ("both", "inner")
    texts = [text.get_text() for text in network_figure(list(found.values()), title="t", subtitle="s").axes[0].texts]
    assert {"words", "both", "inner", "sum", "Bidirectional"} <= set(texts)
    assert "dense" not in texts


def test_long_networks_stand_in_columns_cut_where_one_thing_flows() -> None:
    from dlcli.results.inspection.drawing import _columns, _ranks
    from dlcli.results.inspection.structure import Layer

    layers, before = [], ""
    for number in range(60):
        inputs = (before, f"l{number - 3}") if number % 6 == 5 else (before,) if before else ()
        before = f"l{number}"
        layers.append(Layer(name=before, kind="Add", shape=(None, 2), parameters=0, trainable=0, inputs=inputs))
    columns = _columns(_ranks(layers))
    assert [rank[0].name for column in columns for rank in column] == [layer.name for layer in layers]
    assert 2 <= len(columns) <= 6
    assert max(map(len, columns)) <= 30
    for column in columns[1:]:
        first = int(column[0][0].name[1:])
        assert first % 6 not in (3, 4, 5)
