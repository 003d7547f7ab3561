"""Exports opened again: each with its own runtime, and none that was changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import call

from dlcli.errors import ModelError, UsageError
from dlcli.serving.artefacts import Artefact
from dlcli.serving.predictor import Predictor

TEXTS = ["It was not good at all.", "", "São Paulo <br /> &amp; a naïve été", "good " * 400, "日本語 👍"]


@pytest.fixture(scope="module")
def onnx(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("onnx") / "export"
    outcome = call("export", run, "--format", "onnx", "--out", out)
    assert outcome.code == 0, outcome.err
    return out


@pytest.mark.parametrize("file", ["", "model.onnx"])
def test_it_answers_as_the_run(run: Path, onnx: Path, file: str) -> None:
    artefact = Artefact.open(onnx / file)
    assert (artefact.format, artefact.labels, artefact.card.outputs) == ("onnx", ["neg", "pos"], "probabilities")
    answers = artefact.outputs(TEXTS)
    np.testing.assert_allclose(answers, Predictor(run).outputs(TEXTS), atol=1e-5)
    assert (answers.shape, answers.dtype) == ((len(TEXTS), 2), np.float32)
    assert artefact.outputs([]).shape == (0, 2)


def change(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return damage


def edit(**fields: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        card = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps(card | fields))

    return damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (change("model.onnx"), "is damaged: model.onnx is not what was saved"),
        (change("vocabulary.tsv"), "is damaged: vocabulary.tsv"),
        (change("runner.py"), "is damaged: runner.py"),
        (lambda folder: (folder / "characters.json").unlink(), "characters.json is missing"),
        (lambda folder: (folder / "model.json").unlink(), "is no export: it has no model.json"),
        (lambda folder: (folder / "model.json").write_text("{"), "model.json is damaged or from a newer dlcli"),
        (edit(schema=2), "model.json is damaged or from a newer dlcli"),
        (edit(more=1), "model.json is damaged or from a newer dlcli"),
    ],
)
def test_a_changed_one_is_refused(onnx: Path, tmp_path: Path, damage: Callable[[Path], None], words: str) -> None:
    damage(Path(shutil.copytree(onnx, tmp_path / "copy")))
    with pytest.raises(ModelError, match=words) as caught:
        Artefact.open(tmp_path / "copy")
    assert caught.value.exit_code == 4


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        Artefact.open(tmp_path / "nothing")
