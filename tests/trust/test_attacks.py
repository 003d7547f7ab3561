"""Files that attack, and damaged ones: each refused in one line, nothing run, read or asked."""

from __future__ import annotations

import importlib
import json
import random
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import REVIEWS, call
from trust import attacks, hostile, mutants
from trust.hostile import CONFIG, WEIGHTS, parts, written

from dlcli.core import keras_files, known_layers, strangers
from dlcli.core.backend import keras, tf
from dlcli.errors import DiskFullError, DlcliError, ModelError
from dlcli.serving.saved_models import require_harmless


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, run: Path) -> Path:
    """Return a folder with a base, its weights, and a run of texts."""
    folder = tmp_path_factory.mktemp("honest")
    attacks.honest_base(folder)
    shutil.copytree(run, folder / "texts")
    return folder


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[attacks.Watch]:
    watch = attacks.Watch(tmp_path)
    yield watch
    watch.close()
    sys.path.remove(str(tmp_path))
    assert watch.marks == []


def refused(path: Path, *, stranger: bool = False) -> str:
    with pytest.raises(ModelError) as caught:
        keras_files.load(path, stranger=stranger)
    assert caught.value.message.startswith(str(path))
    return str(caught.value)


def test_attacks_through_a_config(folder: Path, tmp_path: Path, watch: attacks.Watch) -> None:
    content = parts(folder / "base.keras")
    config = json.loads(content[CONFIG])
    for name, _, layer in hostile.configs(watch.trap):
        changed = json.dumps(hostile.with_layer(config, layer)).encode()
        written(tmp_path / "evil.keras", {**content, CONFIG: changed})
        words = refused(tmp_path / "evil.keras")
        assert ("take more weights than it has" if "memory" in name else "is refused: ") in words, name


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_attacks_through_an_archive(folder: Path, tmp_path: Path, watch: attacks.Watch) -> None:
    for _, make in hostile.archives(folder / "base.keras", tmp_path / "evil.keras", watch.trap):
        make()
        refused(tmp_path / "evil.keras")


def test_attacks_through_hdf5(folder: Path, tmp_path: Path, watch: attacks.Watch) -> None:
    source = (folder / "base.weights.h5").read_bytes()
    for name, _, change in hostile.stores(watch.trap):
        weights = hostile.stored(source, tmp_path / "evil.weights.h5", change)
        written(tmp_path / "evil.keras", {**parts(folder / "base.keras"), WEIGHTS: weights.read_bytes()})
        words = refused(tmp_path / "evil.keras", stranger=True)
        assert "is damaged (" in words, name


def test_the_commands_refuse_them(
    folder: Path, tmp_path: Path, watch: attacks.Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLCLI_HOME", str(tmp_path / "home"))
    _, _, layer = next(hostile.configs(watch.trap))
    content = parts(folder / "base.keras")
    changed = json.dumps(hostile.with_layer(json.loads(content[CONFIG]), layer)).encode()
    path = written(tmp_path / "evil.keras", {**content, CONFIG: changed})
    run = attacks.forged(folder / "texts", tmp_path / "forged", path)
    for line in (*attacks.openings(path), ("predict", run, REVIEWS)):
        outcome = call(*line)
        assert (outcome.code, outcome.out, len(outcome.lines)) == (4, "", 1), outcome.err
        assert "Lambda 'evil' of keras.layers is none of the layers that are known to be safe" in outcome.err


def test_a_run_vouches_for_all_that_is_read(folder: Path, tmp_path: Path, watch: attacks.Watch) -> None:
    for name, run in attacks.forgeries(folder / "texts", tmp_path / "run", watch.trap):
        outcome = call("predict", run, REVIEWS)
        assert (outcome.code, outcome.out) == (4, ""), name
        assert f"{run} is refused: " in outcome.err, name


def test_a_checkpoint_holds_no_pickles(tmp_path: Path, watch: attacks.Watch) -> None:
    from dlcli.core.checkpoint import Checkpoints, TrainingState
    from dlcli.core.files import sha256

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    file = hostile.pickled_arrays(tmp_path / "epoch-1.npz", watch.trap.mark, ["0", "1"])
    state = TrainingState(epoch=1, hashes={file.name: sha256(file)})
    (tmp_path / "state.json").write_text(state.model_dump_json())
    with pytest.raises(ModelError, match="allow_pickle=False"):
        Checkpoints(tmp_path, model).restore()


def test_a_saved_model_does_arithmetic_alone(tmp_path: Path, watch: attacks.Watch) -> None:
    for number, work in enumerate((lambda text: tf.io.read_file(text), lambda text: tf.strings.lower(text))):
        module = tf.Module()
        module.serve = tf.function(work, input_signature=[tf.TensorSpec([], tf.string)])
        tf.saved_model.save(module, str(tmp_path / str(number)), signatures=module.serve)
    with pytest.raises(ModelError, match=r"is refused: its operation ReadFile is none"):
        require_harmless(tmp_path / "0")
    require_harmless(tmp_path / "1")
    attacks.swap_operation(tmp_path / "1" / "saved_model.pb", tmp_path / "1" / "saved_model.pb", "SaveV2")
    with pytest.raises(ModelError, match="SaveV2"):
        require_harmless(tmp_path / "1")


def test_an_export_s_own_code_is_not_run(folder: Path, tmp_path: Path, watch: attacks.Watch) -> None:
    from dlcli.serving.artefacts import Artefact

    exports = {format: tmp_path / format for format in ("keras", "savedmodel")}
    for format, path in exports.items():
        attacks.done(call("export", folder / "texts", "--format", format, "--out", path, "-q"))
    good = attacks.Honest(folder, folder, folder, folder, exports=exports)
    refusals = {
        "keras": "none of the layers that are known",
        "Saved": "(operation (WriteFile|PyFunc)|function __inference_writes_1) is none that",
    }
    for name, export in attacks.export_attacks(good, tmp_path / "evil", watch.trap):
        with pytest.raises(ModelError, match=refusals["keras" if "keras" in name else "Saved"]):
            Artefact.open(export)
    for path in exports.values():
        assert Artefact.open(path).outputs(["good"]).shape == (1, 2)


def test_what_is_harmless_loads_as_before(folder: Path) -> None:
    plain = keras.saving.load_model(folder / "base.keras", compile=False).get_weights()
    for stranger in (False, True):
        model = keras_files.load(folder / "base.keras", stranger=stranger)
        assert all(np.array_equal(a, b) for a, b in zip(plain, model.get_weights(), strict=True))


def leaves(kind: str, *shape: int) -> str:
    """Return a program that leaves no bytes, and says that they are an array."""
    return f"echo '{json.dumps({'arrays': [['a', kind, shape]], 'order': None})}' > found.json; : > numbers.bin"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("exec sleep 60", "reading it took more than 1.0 seconds"),
        ("kill -SEGV $$", "what read it ended with -11"),
        ("exit 0", "what read it ended with 0"),
        ('echo "[" > found.json', "Expecting value"),
        (leaves("float32", 9), "a is not all there"),
        (leaves("float32", -1), "a is no array of numbers"),
        (leaves("object", 0), "a is no array of numbers"),
    ],
)
def test_a_process_that_a_file_takes_over_harms_no_other(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, words: str
) -> None:
    taken = tmp_path / "taken"
    taken.write_text(f"#!/bin/sh\n{program}\n")
    taken.chmod(taken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(taken))
    monkeypatch.setattr(strangers, "_SECONDS", 0.25)
    assert words in refused(folder / "base.keras", stranger=True)


def test_a_full_disk_is_no_damage(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = tmp_path / "full"
    full.write_text('#!/bin/sh\necho \'{"error": "", "full": true}\' > found.json\n')
    full.chmod(full.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(full))
    with pytest.raises(DiskFullError):
        keras_files.load(folder / "base.keras", stranger=True)


def test_the_process_has_limits_and_nothing_of_our_environment(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that is found before NumPy writes down what the process may do."""
    monkeypatch.setenv("SECRET_TOKEN", "x")
    (tmp_path / "h5py.py").write_text(
        "import json, os, resource\n"
        "names = ('AS', 'FSIZE', 'CPU', 'CORE', 'NOFILE')\n"
        "limits = {name: resource.getrlimit(getattr(resource, f'RLIMIT_{name}'))[0] for name in names}\n"
        f"open({str(tmp_path / 'seen')!r}, 'w').write(json.dumps([limits, dict(os.environ)]))\n"
        "raise ValueError('seen')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "is damaged (seen)" in refused(folder / "base.keras", stranger=True)
    limits, environment = json.loads((tmp_path / "seen").read_text())
    assert limits["CORE"] == 0 and limits["NOFILE"] <= 64 and 0 < limits["CPU"] <= 60
    assert limits["AS"] <= 2**30 + 2 * strangers.SMALL and limits["FSIZE"] <= 2 * strangers.SMALL
    assert "SECRET_TOKEN" not in environment and environment["HDF5_PLUGIN_PRELOAD"] == "::"


def test_what_is_allowed_is_there_and_is_ours() -> None:
    import dlcli.core.ensemble
    import dlcli.text.domain
    import dlcli.vision.domain  # noqa: F401

    for module, names in known_layers.KNOWN.items():
        if module.startswith("keras.src") or module == "keras.models":
            found = importlib.import_module(module)
        else:
            found = importlib.import_module("keras") if module == "keras" else getattr(keras, module.split(".")[1])
        assert [
            name for name in names if not hasattr(found, name) and name not in ("Functional", "FloatDTypePolicy")
        ] == []
    assert all(hasattr(keras.activations, name) for name in known_layers.ACTIVATIONS)
    ours = {name.removeprefix("dlcli>") for name in keras.saving.get_custom_objects() if name.startswith("dlcli>")}
    assert {name for name in ours if not name.startswith("Core")} == known_layers.OURS


@pytest.mark.parametrize("kind", mutants.KINDS)
def test_damaged_files_are_loaded_or_refused(folder: Path, tmp_path: Path, kind: str) -> None:
    for number in range(2):
        place = tmp_path / str(number)
        place.mkdir()
        try:
            mutants.open_mutant(kind, folder, place, random.Random(f"{kind} {number}"))
        except DlcliError as error:
            assert error.exit_code in (2, 3, 4, 5, 6) and str(error)
