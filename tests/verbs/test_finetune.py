"""`finetune` and `features` by the real command: what is frozen stays, what is kept is right, and bad input."""

from __future__ import annotations

import functools
import json
import runpy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Outcome, call
from PIL import Image
from vision.tiny_base import save_base

from verbs.helpers import history, record, same_weights, without_times

Command = Callable[..., Outcome]
SHAPES = ROOT / "sample_data" / "shapes"
SHORT = ("--head", "flatten-dense", "--hidden-units", 8, "--lr", 0.005, "--epochs", 4, "--batch-size", 32)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Let the module's fixtures share one cache of features."""
    path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLCLI_HOME", str(path))
        yield path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small network for pictures of 24 x 24 pixels, with random weights."""
    return save_base(tmp_path_factory.mktemp("base") / "base.keras")


@pytest.fixture(scope="module")
def frozen(home: Path, base: Path) -> Path:
    """Return a run with a frozen base."""
    path = base.with_name("frozen")
    outcome = call("finetune", SHAPES, "--base", base, "--freeze-base", *SHORT, "--out", path)
    assert outcome.code == 0, outcome.err
    return path


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch, home: Path) -> list[int]:
    """Count the pictures that go through a frozen part, in the module's cache."""
    from dlcli.vision.features import FrozenPart

    monkeypatch.setenv("DLCLI_HOME", str(home))
    counts: list[int] = []
    compute = FrozenPart.__call__

    def counted(self: FrozenPart, pixels: Any) -> Any:
        counts.append(len(pixels))
        return compute(self, pixels)

    monkeypatch.setattr(FrozenPart, "__call__", counted)
    return counts


@functools.cache
def weights_by_layer(path: Path) -> dict[str, list[np.ndarray[Any, Any]]]:
    """Return the weights of a run, or of a `.keras` file, that nothing writes any more; the path is absolute."""
    from dlcli.core.backend import keras

    model = keras.saving.load_model(path / "model.keras" if path.is_dir() else path, compile=False)
    return {layer.name: layer.get_weights() for layer in model.layers}


def changed(first: Path, second: Path, layer: str) -> bool:
    one, other = (weights_by_layer(path.resolve())[layer] for path in (first, second))
    return not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_frozen_base_stays_as_it_is(frozen: Path, base: Path) -> None:
    for layer in ("block1_conv", "block1_norm", "block2_conv"):
        assert not changed(base, frozen, layer)
    about = record(frozen)
    assert about["status"] == "finished" and about["verb"] == "finetune"
    assert about["config"]["image_size"] == "24" and about["config"]["hidden_units"] == [8]
    assert len(about["data"]["base"]) == 64
    losses = [epoch["loss"] for epoch in history(frozen)]
    assert losses[-1] < losses[0]


def test_kept_features_give_the_history_of_those_computed_anew(
    dlcli: Command, frozen: Path, base: Path, computed: list[int]
) -> None:
    given = ("finetune", SHAPES, "--base", base, *SHORT)
    assert dlcli(*given, "--out", "again").code == 0
    assert not computed
    assert same_weights(frozen, Path("again"))
    assert dlcli(*given, "--cache", "none", "--out", "anew").code == 0
    assert sum(computed) > 4 * 100
    for kept, anew in zip(history(frozen), history(Path("anew")), strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert kept[name] == pytest.approx(anew[name], abs=1e-5)


def test_what_changed_is_computed_anew_and_nothing_else(
    dlcli: Command, frozen: Path, base: Path, computed: list[int], tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(SHAPES, photos)
    one = next((photos / "circle").iterdir())
    Image.effect_noise((40, 40), 64).convert("RGB").save(one)
    run = ("finetune", photos, "--base", base, "--epochs", 1, "--out", "r", "--force")
    assert dlcli(*run, "--head", "flatten-dense", "--hidden-units", 4).code == 0
    assert sum(computed) == 1
    assert dlcli(*run, "--preprocessing", "unit", "--dry-run").code == 0
    computed.clear()
    assert dlcli(*run, "--preprocessing", "unit").code == 0
    assert sum(computed) == sum(1 for _ in photos.glob("*/*.jpg"))


def test_copies_are_kept_and_online_changes_are_not(
    dlcli: Command, base: Path, computed: list[int], tmp_path: Path
) -> None:
    given = ("finetune", SHAPES, "--base", base, "--augment", "light", *SHORT, "--val-split", "0.2")
    outcome = dlcli(*given, "--augment-copies", 2, "--epochs", 1, "--out", "copies")
    assert outcome.code == 0, outcome.err
    assert any("2 changed copies" in line for line in outcome.lines)
    training, validation = (record(Path("copies"))["data"][side] for side in ("training", "validation"))
    assert sum(computed) <= 3 * training + validation
    computed.clear()
    assert dlcli(*given, "--augment-copies", 3, "--epochs", 1, "--out", "more").code == 0
    assert sum(computed) == training  # The third copy of each alone.
    computed.clear()
    assert dlcli(*given, "--augment-online", "--epochs", 2, "--out", "online").code == 0
    assert sum(computed) == 2 * training


def test_a_base_is_unfrozen_from_a_layer_up(dlcli: Command, frozen: Path) -> None:
    given = ("finetune", SHAPES, "--from", frozen, "--lr", 0.001, "--epochs", 1)
    assert dlcli(*given, "--unfreeze", "block2_conv", "--out", "upper").code == 0
    upper = Path("upper")
    assert changed(frozen, upper, "block2_conv") and changed(frozen, upper, "classes")
    assert not changed(frozen, upper, "block1_conv") and not changed(frozen, upper, "block1_norm")
    assert dlcli(*given, "--unfreeze", "all", "--lower-lr", 0.5, "--out", "all").code == 0
    assert changed(frozen, Path("all"), "block1_conv") and not changed(frozen, Path("all"), "block1_norm")
    assert record(Path("all"))["config"]["layer_lr"] == "block2_conv=0.5,block1_conv=0.25"
    assert dlcli("evaluate", upper, SHAPES, "--no-baselines", "--min-accuracy", 0.34).code == 0
    assert dlcli("export", upper, "--out", "served", "--verify", 8, "--verify-data", SHAPES).code == 0


def test_two_steps_in_one_command(dlcli: Command, base: Path) -> None:
    given = ("--base", base, *SHORT, "--epochs", 1, "--then-unfreeze", 1, "--then-epochs", 2)
    outcome = dlcli("finetune", SHAPES, *given, "--then-lr", 0.0005, "--out", "both", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["run"] == "both"
    first, second = record(Path("both-frozen")), record(Path("both"))
    assert (first["config"]["epochs"], second["config"]["epochs"]) == (1, 2)
    assert (first["config"]["unfreeze"], second["config"]["unfreeze"]) == (None, "1")
    assert second["config"]["lr"] == 0.0005
    assert changed(Path("both-frozen"), Path("both"), "block2_conv")
    shutil.rmtree("both")
    assert dlcli("finetune", "--resume", "both-frozen").code == 0  # Goes on where a kill between the steps stopped it.
    assert record(Path("both"))["config"]["from_"].endswith("both-frozen")


def test_small_pictures_are_enlarged_inside_the_model(dlcli: Command, base: Path) -> None:
    given = ("--base", base, "--preprocessing", "caffe", "--image-size", 12, "--upsample", 2)
    outcome = dlcli("finetune", SHAPES, *given, "--epochs", 1, "--out", "r")
    assert outcome.code == 0, outcome.err
    assert record(Path("r"))["config"]["image_size"] == "12"
    assert dlcli("export", "r", "--out", "served", "--verify", 4, "--verify-data", SHAPES).code == 0


def test_a_run_is_a_base(dlcli: Command, frozen: Path) -> None:
    outcome = dlcli("finetune", SHAPES, "--base", frozen, *SHORT, "--epochs", 1, "--out", "r")
    assert outcome.code == 0, outcome.err
    assert not changed(frozen, Path("r"), "block2_conv")


COPIES = ("--augment", "light", "--augment-copies", 1, *SHORT, "--epochs", 3)


@pytest.fixture(scope="module")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run on copies that nobody stopped."""
    path = base.with_name("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLCLI_HOME", str(tmp_path_factory.mktemp("whole")))
        outcome = call("finetune", SHAPES, "--base", base, *COPIES, "--out", path)
    assert outcome.code == 0, outcome.err
    return path


@pytest.mark.parametrize("moment", ["epoch", "filling"])
def test_a_stopped_run_goes_on_to_the_same_weights(
    dlcli: Command, base: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    place = {"epoch": "dlcli.console.Console.epoch", "filling": "dlcli.vision.feature_store.FeatureStore.append"}
    times = 0

    def interrupt(self: object, *_: object) -> None:
        nonlocal times
        times += 1
        if times == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place[moment], interrupt)
        outcome = dlcli("finetune", SHAPES, "--base", base, *COPIES, "--out", "stopped")
    assert outcome.code == 130
    assert any("dlcli finetune --resume stopped" in line for line in outcome.lines)
    assert dlcli("finetune", "--resume", "stopped").code == 0
    assert same_weights(Path("stopped"), whole)
    assert without_times(Path("stopped")) == without_times(whole)


def test_the_shipped_base_has_learnt_something(dlcli: Command) -> None:
    found = []
    for weights in ("imagenet", "none"):
        given = ("--base", "shipped", "--weights", weights, "--val-split", 0.3, "--epochs", 12, "--batch-size", 8)
        outcome = dlcli("finetune", SHAPES, *given, "--out", weights, "--json")
        assert outcome.code == 0, outcome.err
        found.append(json.loads(outcome.out)["accuracy"])
    assert found[0] > 0.5  # Of three classes.
    assert found[0] > found[1] + 0.1


def test_features_for_other_tools(dlcli: Command, base: Path, computed: list[int]) -> None:
    outcome = dlcli("features", SHAPES, "f.npz", "--base", base)
    assert outcome.code == 0, outcome.err
    assert 'numpy.load("f.npz")' in outcome.out
    with np.load("f.npz") as arrays:
        found, labels, files = arrays["features"], arrays["labels"], arrays["files"]
    assert found.shape == (len(files), 12) and found.dtype == np.float32
    assert [Path(file).parent.name for file in files] == labels.tolist()
    assert dlcli("features", SHAPES / "circle", "g.npz", "--base", base, "--no-labels", "--pooling", "none").code == 0
    with np.load("g.npz") as arrays:
        assert sorted(arrays.files) == ["features", "files"]
        assert arrays["features"].shape[1:] == (6, 6, 12)
        np.testing.assert_allclose(arrays["features"].mean(axis=(1, 2)), found[labels == "circle"], rtol=1e-5)


BAD: dict[str, tuple[int, tuple[object, ...], tuple[str, ...]]] = {
    "unknown base": (2, ("--base", "vg16"), ("no base 'vg16'", "Did you mean 'vgg16'?")),
    "no file": (2, ("--base", "gone.keras"), ("gone.keras does not exist",)),
    "no model": (4, ("--base", "text.keras"), ("text.keras is damaged, or no .keras file",)),
    "both": (2, ("--freeze-base", "--unfreeze", "all"), ("--freeze-base or --unfreeze",)),
    "no change": (2, ("--augment-online",), ("--augment-online", "--augment")),
    "linear": (2, ("--head", "linear", "--hidden-units", 3), ("--hidden-units does not go with --head linear",)),
    "second step alone": (2, ("--then-lr", 0.1), ("--then-unfreeze",)),
    "weights for a model": (2, ("--base", "base.keras", "--weights", "w.h5"), ("--weights w.h5",)),
    "too small": (2, ("--base", "vgg16", "--weights", "none", "--image-size", 16), ("too small", "32x32")),
    "no weights": (2, ("--base", "vgg16", "--weights", "gone.h5", "--image-size", 32), ("gone.h5",)),
    "layer": (2, ("--base", "base.keras", "--unfreeze", "block9"), ("no block or layer 'block9'",)),
    "count": (2, ("--base", "base.keras", "--unfreeze", "99"), ("expected 1 to 3 layers",)),
    "bound": (5, ("--base", "base.keras"), ("over the bound", "DLCLI_FEATURES_GB")),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(dlcli: Command, base: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    shutil.copy(base, "base.keras")
    Path("text.keras").write_text("no model", encoding="utf-8")
    if case == "bound":
        monkeypatch.setenv("DLCLI_FEATURES_GB", "0.000001")
    code, given, words = BAD[case]
    outcome = dlcli("finetune", SHAPES, *given, "--epochs", 1, "--out", "r")
    assert outcome.code == code, outcome.err
    for word in words:
        assert word in outcome.lines[-1]
    assert not Path("r", "model.keras").exists()


def test_a_base_with_code_in_it_is_refused(dlcli: Command, tmp_path: Path) -> None:
    from dlcli.core.backend import keras

    layers = [keras.Input((24, 24, 3)), keras.layers.Conv2D(4, 3), keras.layers.Lambda(lambda maps: maps * 2)]
    keras.Sequential(layers).save("lambda.keras")
    outcome = dlcli("finetune", SHAPES, "--base", "lambda.keras", "--out", "r")
    assert outcome.code == 4
    assert "Lambda" in outcome.lines[-1]


def test_a_changed_base_is_not_gone_on_with(dlcli: Command, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(base, "base.keras")

    def interrupt(self: object, line: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dlcli.console.Console.epoch", interrupt)
        assert dlcli("finetune", SHAPES, "--base", "base.keras", *SHORT, "--out", "r").code == 130
    save_base(Path("base.keras"), seed=2)
    outcome = dlcli("finetune", "--resume", "r")
    assert outcome.code == 2
    assert "the base that r started from has changed" in outcome.lines[-1]


def test_the_script_of_a_frozen_base_gives_the_weights_of_the_run(
    frozen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = call("eject", frozen, tmp_path / "train.py")
    assert outcome.code == 0, outcome.err
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    runpy.run_path("train.py")
    assert capsys.readouterr().out.splitlines()[-1] == "the weights of the run"
