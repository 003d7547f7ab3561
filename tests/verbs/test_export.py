"""`dlcli export`: the SavedModel answers as the run does, without dlcli, and a wrong one is caught."""

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
from conftest import REVIEWS_TEST, Outcome, call

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
    with pytest.raises(ModelError, match=r"does not answer as the run: .* item \d+ of 6, '") as caught:
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


def test_verify_when_the_training_data_is_gone(dlcli: Command, tiny: Path) -> None:
    assert dlcli("train-text", tiny, "--epochs", "1", "--out", "o").code == 0
    tiny.unlink()
    outcome = dlcli("export", "o", "--out", "served", "--verify", "4")
    assert outcome.code == 2
    assert "--verify-data" in outcome.err
    assert not Path("served").exists()


def test_a_run_that_was_moved_is_exported(dlcli: Command, small_run: Path, tmp_path: Path) -> None:
    shutil.copytree(small_run, tmp_path / "moved")
    assert dlcli("export", "moved", "--out", "o", "--verify", "4").code == 0
