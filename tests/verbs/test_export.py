"""`dlcli export`: artefacts answer as the run does, without dlcli, and wrong ones are caught."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REVIEWS_TEST, ROOT, Outcome, call

from dlcli.errors import ModelError
from verbs.helpers import read_csv, record, snapshot

Command = Callable[..., Outcome]

TEXTS = ["It was not good at all.", "", "São Paulo <br /> &amp; a naïve été", "good " * 400, "x\ny\tz", "日本語 👍"]


@pytest.fixture(scope="module")
def served(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("served") / "1"
    outcome = call("export", run, "--format", "savedmodel", "--out", out, "--verify", "64", "--json")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert result["verified"] == 64
    assert 0 <= result["largest_difference"] <= 1e-5
    return out


@pytest.fixture(scope="module")
def other_run(small_run: Path) -> Path:
    return small_run


def test_plain_tensorflow_gives_the_same_answers(run: Path, served: Path, tmp_path: Path) -> None:
    from dlcli.serving.predictor import Predictor

    texts = [*TEXTS, *(row["text"] for row in read_csv(REVIEWS_TEST)[:100])]
    script = """if True:
        import json, os, sys
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tensorflow as tf
        signature = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
        answer = signature(text=tf.constant(json.load(sys.stdin)))
        assert not {name for name in sys.modules if name.partition(".")[0] == "dlcli"}
        print(json.dumps({
            "shapes": {name: list(value.shape) for name, value in answer.items()},
            "probabilities": answer["probabilities"].numpy().tolist(),
            "label": [label.decode() for label in answer["label"].numpy()],
            "class_names": [[name.decode() for name in row] for row in answer["class_names"].numpy()],
        }))
    """
    done = subprocess.run(
        [sys.executable, "-c", script, str(served)],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    expected = Predictor(run).outputs(texts)
    assert np.abs(np.array(answer["probabilities"]) - expected).max() < 1e-5
    assert answer["label"] == [["neg", "pos"][row.argmax()] for row in expected]
    assert answer["class_names"] == [["neg", "pos"]] * len(texts)
    assert answer["shapes"] == {
        "probabilities": [len(texts), 2],
        "label": [len(texts)],
        "class_names": [len(texts), 2],
    }


def test_the_card_says_where_it_comes_from(run: Path, served: Path) -> None:
    card = json.loads((served / "model.json").read_text())
    found = record(run)
    assert card["labels"] == ["neg", "pos"]
    assert card["run"]["data"] == found["data"]
    assert card["run"]["validation"] == found["scores"]
    assert card["verified"]["items"] == 64
    assert sorted(card["hashes"]) == sorted(snapshot(served).keys() - {"model.json"})
    assert card["made_by"].startswith("dlcli ")


def test_no_text_at_all(served: Path) -> None:
    import tensorflow as tf

    signature = tf.saved_model.load(str(served)).signatures["serving_default"]
    answer = signature(text=tf.constant([], tf.string))
    assert answer["probabilities"].shape == (0, 2)


def test_the_export_of_another_run_is_caught(run: Path, other_run: Path, tmp_path: Path) -> None:
    from dlcli.serving.export import write
    from dlcli.serving.predictor import Predictor
    from dlcli.serving.verify import verify

    write(Predictor(other_run), tmp_path / "other", format="savedmodel")
    with pytest.raises(ModelError, match=r"does not answer as the run: .*, most for '") as caught:
        verify(Predictor(run), tmp_path / "other", TEXTS)
    assert caught.value.exit_code == 4


def test_an_export_with_other_labels_is_caught(run: Path, tmp_path: Path) -> None:
    from dlcli.serving.export import write
    from dlcli.serving.predictor import Predictor
    from dlcli.serving.verify import verify

    swapped = Predictor(run)
    swapped.labels = ["pos", "neg"]
    write(swapped, tmp_path / "swapped", format="savedmodel")
    with pytest.raises(ModelError, match="its classes are"):
        verify(Predictor(run), tmp_path / "swapped", TEXTS)


def test_verify_that_fails_is_code_4(dlcli: Command, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcli.serving.verify.tolerance", lambda *_: -1.0)
    outcome = dlcli("export", run, "--out", "served", "--verify", "8")
    assert outcome.code == 4
    assert "does not answer as the run" in outcome.lines[-1]


def test_without_out_it_is_in_the_run(dlcli: Command, small_run: Path) -> None:
    outcome = dlcli("export", small_run, "--json")
    result: dict[str, Any] = json.loads(outcome.out)
    assert Path(result["out"]) == small_run / "exports" / "savedmodel"
    assert (small_run / "exports/savedmodel/saved_model.pb").is_file()
    assert (result["verified"], result["largest_difference"]) == (0, None)
    # It is no part of what the run vouches for.
    assert dlcli("inspect", small_run).code == 0


def test_an_export_is_replaced_only_with_force(dlcli: Command, small_run: Path) -> None:
    assert dlcli("export", small_run, "--out", "served/1").code == 0
    before = snapshot(Path("served"))
    outcome = dlcli("export", small_run, "--out", "served/1")
    assert outcome.code == 5
    assert "--force" in outcome.err
    assert snapshot(Path("served")) == before
    assert dlcli("export", small_run, "--out", "served/1", "--force").code == 0
    assert sorted(path.name for path in Path("served").iterdir()) == ["1"]


def test_verify_with_other_texts(dlcli: Command, small_run: Path) -> None:
    outcome = dlcli("export", small_run, "--out", "o", "--verify", "16", "--verify-data", REVIEWS_TEST, "--json")
    assert json.loads(outcome.out)["verified"] == 16


def test_verify_when_the_training_data_is_gone(dlcli: Command, small_run: Path) -> None:
    shutil.copytree(small_run, "o")
    content = record(small_run)
    content["config"]["data"] = str(Path("gone.csv").resolve())
    Path("o/run.json").write_text(json.dumps(content), encoding="utf-8")
    outcome = dlcli("export", "o", "--out", "served", "--verify", "4")
    assert outcome.code == 2
    assert "--verify-data" in outcome.err
    assert not Path("served").exists()


def test_a_run_that_was_moved_is_exported(dlcli: Command, small_run: Path, tmp_path: Path) -> None:
    shutil.copytree(small_run, tmp_path / "moved")
    assert dlcli("export", "moved", "--out", "o", "--verify", "4").code == 0


ALONE = """if True:
    import importlib.abc, runpy, sys
    class Refused(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            assert name.partition(".")[0] not in {"dlcli", "tensorflow", "keras", "pydantic", "scipy"}, name
    sys.meta_path.insert(0, Refused())
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


def answer(folder: Path, *arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run an export's runner in a process that has neither dlcli nor TensorFlow."""
    command = [sys.executable, "-c", ALONE, folder / "runner.py", *arguments]
    return subprocess.run(list(map(str, command)), input=stdin, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def onnx(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("onnx") / "dist"
    flags = ("--format", "onnx", "--quantize", "int8", "--verify", "12", "--verify-data", REVIEWS_TEST)
    outcome = call("export", run, *flags, "--out", out, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    (found,) = json.loads(outcome.out)["artefacts"]
    assert (found["format"], found["quantize"], found["file"]) == ("onnx", "int8", "model.onnx")
    assert 1e-5 < found["largest_difference"] <= found["tolerance"]
    assert found["accuracy"]["items"] == len(read_csv(REVIEWS_TEST))
    assert found["accuracy"]["export"] > 0.9
    assert abs(found["accuracy"]["export"] - found["accuracy"]["run"]) <= 1 - found["accuracy"]["same_answers"] < 0.02
    return out


def test_the_card_of_a_quantised_onnx_file(onnx: Path) -> None:
    card = json.loads((onnx / "model.json").read_text())
    assert (card["schema"], card["domain"], card["outputs"]) == (1, "text", "probabilities")
    assert card["inputs"] == [{"name": "ids", "dtype": "int32", "shape": [None, None]}]
    assert card["output"] == "probabilities"
    assert card["preprocessing"]["ngrams"] == [1, 2]
    assert card["verified"]["items"] == 12
    files = {"model.onnx", "vocabulary.tsv", "characters.json", "runner.py"}
    assert card["hashes"].keys() == files == {path.name for path in onnx.iterdir()} - {"model.json"}


def test_its_runner_is_a_program(run: Path, onnx: Path, tmp_path: Path) -> None:
    from dlcli.serving.predictor import Predictor

    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in TEXTS), encoding="utf-8")
    done = answer(onnx, "--lines", tmp_path / "texts.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [row["item"] for row in found["items"]] == TEXTS
    expected = Predictor(run).outputs(TEXTS)
    assert np.abs(np.array([row["outputs"] for row in found["items"]]) - expected).max() < 0.05
    assert [row["label"] for row in found["items"]] == [["neg", "pos"][row.argmax()] for row in expected]
    done = answer(onnx, "I loved it, it was wonderful.", "dull\x1b[31m", "--lines", "-", stdin="It was boring.\n")
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["pos", "neg", "neg"]
    assert "\x1b" not in done.stdout
    assert answer(onnx).returncode == 2


def test_an_ngram_model_has_no_int8_litert_file(dlcli: Command, small_run: Path) -> None:
    outcome = dlcli("export", small_run, "--format", "litert", "--quantize", "int8", "--out", "o")
    assert outcome.code == 2
    assert "ngram" in outcome.err and "--quantize float16" in outcome.err
    assert not Path("o").exists()


@pytest.fixture(scope="module")
def litert(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("litert") / "dist"
    outcome = call("export", shapes, "--format", "litert", "--verify", "6", "--out", out)
    assert outcome.code == 0, outcome.err
    return out


def test_a_picture_run_as_a_litert_file(shapes: Path, litert: Path, tmp_path: Path) -> None:
    from dlcli.serving.predictor import Predictor

    pictures = [str(path) for path in sorted((ROOT / "sample_data/shapes").glob("*/00*.jpg"))[::5]]
    done = answer(litert, "--json", *pictures)
    assert (done.returncode, done.stderr) == (0, "")
    outputs = np.array([row["outputs"] for row in json.loads(done.stdout)["items"]])
    assert np.abs(outputs - Predictor(shapes).outputs(pictures)).max() < 1e-3
    (tmp_path / "x.png").write_text("no picture")
    done = answer(litert, tmp_path / "x.png")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "x.png cannot be decoded" in done.stderr


def test_keras_alone_opens_a_keras_file(dlcli: Command, small_run: Path) -> None:
    # The second time it is verified by a process that has no dlcli.
    outcome = dlcli("export", small_run, "--format", "keras", "--out", "o", "--verify", "3", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["largest_difference"] <= 1e-5
    assert "dlcli." not in Path("o/layers.py").read_text()


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        ("--quantize int8", 2, "--quantize int8 goes with --format litert, onnx or all, not savedmodel"),
        ("--format keras --quantize float16", 2, "not keras"),
        ("--format onnx --quantize int4", 2, "'int4'"),
        ("--format litert --quantize int8 --verify-data other.csv", 3, "'maybe'"),
        ("--format litert --quantize int8 --verify-data nolabel.csv", 3, "label"),
        ("--format onnx --quantize dynamic --verify 4 --verify-data empty.csv", 3, "has nothing to verify with"),
    ],
)
def test_what_is_found_before_tensorflow_starts(
    dlcli: Command, run: Path, monkeypatch: pytest.MonkeyPatch, flags: str, code: int, words: str
) -> None:
    Path("other.csv").write_text("text,label\na,pos\nb,maybe\n")
    Path("nolabel.csv").write_text("text\na\n")
    Path("empty.csv").write_text("text,label\n")
    monkeypatch.setitem(sys.modules, "dlcli.serving.predictor", None)  # An import of it would be an error.
    outcome = dlcli("export", run, *flags.split(), "--out", "o")
    assert outcome.code == code
    assert words in outcome.err
    assert not Path("o").exists()


@pytest.mark.parametrize(
    ("format", "missing", "extra"), [("onnx", "tf2onnx", "onnx"), ("litert", "ai_edge_litert", "litert")]
)
def test_a_missing_extra_is_named(
    dlcli: Command, run: Path, monkeypatch: pytest.MonkeyPatch, format: str, missing: str, extra: str
) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    for asked in (format, "all"):
        outcome = dlcli("export", run, "--format", asked, "--out", "o")
        assert outcome.code == 2
        assert f"needs {missing.replace('_', '-')}. pip install 'dlcli[{extra}]'" in outcome.err


def test_a_folder_with_somebody_s_model_json_is_left_alone(dlcli: Command, run: Path) -> None:
    Path("o").mkdir()
    Path("o/model.json").write_text('{"format": "layers-model"}')
    outcome = dlcli("export", run, "--out", "o", "--force")
    assert outcome.code == 5
    assert "no export of ours" in outcome.err
