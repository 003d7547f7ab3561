"""`eject`: scripts that run without dlcli and give the weights of the run."""

from __future__ import annotations

import ast
import json
import math
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Outcome, call

from dlcli.errors import ModelError
from dlcli.results.eject.network import _value
from verbs.helpers import read_csv, write_csv

Command = Callable[..., Outcome]
SAME = "the weights of the run"
# Settings that most of the script's conditions depend on.
NASTY = (
    "--features tfidf --stop-words sklearn --stem porter --min-df 2 --max-df 90% --max-features 300 --strip-accents"
    " --numbers mask --min-word-length 2 --class-weight balanced --optimizer adamw --schedule cosine --warmup 0.2"
)


def run_script(script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Run an ejected script in this process, which has TensorFlow; return its last line."""
    monkeypatch.chdir(script.parent)
    capsys.readouterr()
    runpy.run_path(str(script))
    return capsys.readouterr().out.splitlines()[-1]


def require_alone(script: Path) -> None:
    """See that a script needs no dlcli, and is as short as it is promised."""
    source = script.read_text(encoding="utf-8")
    compile(source, str(script), "exec")
    assert "\nimport dlcli" not in source and "\nfrom dlcli" not in source
    assert source.count("\n") <= 120


def test_the_script_of_bigrams_is_run_and_verified(small_run: Path, dlcli: Command, tmp_path: Path) -> None:
    outcome = dlcli("eject", small_run, "train.py", "--verify")
    assert outcome.code == 0, outcome.err
    assert "its weights are those of the run, bit for bit" in outcome.out
    require_alone(tmp_path / "train.py")
    before = (tmp_path / "train.py").read_bytes()
    outcome = dlcli("eject", small_run, "train.py")
    assert outcome.code == 5 and "exists already" in outcome.lines[-1]
    assert (tmp_path / "train.py").read_bytes() == before


@pytest.mark.parametrize("model", ["cnn --units 8 --embedding-dim 8 --padding pre --max-length 30", f"bow {NASTY}"])
def test_the_script_of_a_text_model_gives_its_weights(
    model: str, tiny: Path, small: Path, dlcli: Command, monkeypatch: Any, capsys: Any
) -> None:
    data = write_csv(tiny.with_name("texts.csv"), read_csv(small)[:60])
    outcome = dlcli("train-text", data, "--model", *model.split(), "--epochs", "2", "--out", "run")
    assert outcome.code == 0, outcome.err
    outcome = dlcli("eject", "run", "train.py")
    assert outcome.code == 0, outcome.err
    assert run_script(tiny.with_name("train.py"), monkeypatch, capsys) == SAME


def test_the_script_of_a_picture_model_gives_its_weights(
    shapes: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    outcome = call("eject", shapes, tmp_path / "train.py")
    assert outcome.code == 0, outcome.err
    require_alone(tmp_path / "train.py")
    assert run_script(tmp_path / "train.py", monkeypatch, capsys) == SAME


def test_the_layers_of_a_script_compute_in_what_those_of_the_run_did(
    dlcli: Command, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    """In mixed precision the last layer computes in float32; processors with AMX take bfloat16 by themselves."""
    small = "--model cnn --filters 4 --hidden-units 4 --image-size 16 --epochs 1 --precision bfloat16"
    outcome = dlcli("train-image", ROOT / "sample_data" / "shapes", *small.split(), "--out", "run")
    assert outcome.code == 0, outcome.err
    assert dlcli("eject", "run", "train.py").code == 0
    assert run_script(tmp_path / "train.py", monkeypatch, capsys) == SAME


def test_what_the_script_leaves_out_stands_in_its_header(tiny: Path, dlcli: Command) -> None:
    dlcli("train-text", tiny, "--epochs", "1", "--ema", "0.9", "--out", "run")
    outcome = dlcli("eject", "run", "train.py")
    assert outcome.code == 0, outcome.err
    head = tiny.with_name("train.py").read_text().split('"""')[1]
    assert "Left out, so the weights will differ:\n- --ema (averaged weights)" in head
    assert "left out     --ema (averaged weights)" in outcome.out
    outcome = dlcli("eject", "run", "other.py", "--verify")
    assert outcome.code == 2 and "the script leaves out --ema (averaged weights)" in outcome.lines[-1]
    assert not tiny.with_name("other.py").exists()


def test_what_cannot_be_ejected_is_refused(small_run: Path, dlcli: Command) -> None:
    assert dlcli("eject", small_run, "train.txt").code == 2
    outcome = dlcli("eject", "nowhere", "train.py")
    assert outcome.code == 2 and "nowhere does not exist" in outcome.lines[-1]


SCHEDULES = [
    "step",
    "exponential",
    "inverse-time",
    "polynomial",
    "cosine --cycles 3 --cycle-growth 2 --end-lr 0.001",
    "one-cycle --peak 0.4",
    "slanted-triangular",
]


@pytest.mark.parametrize("flags", SCHEDULES)
def test_the_schedule_of_a_script_is_the_runs(flags: str) -> None:
    from dlcli.core.schedules import learning_rate
    from dlcli.core.training_config import TrainingConfig
    from dlcli.results.eject.script import rate_source

    name, *others = flags.split()
    names = [flag.removeprefix("--").replace("-", "_") for flag in others[::2]]
    settings = dict(zip(names, others[1::2], strict=True))
    config = TrainingConfig.model_validate({"schedule": name, "epochs": 7, "lr": 0.3, **settings})
    scope: dict[str, Any] = {"math": math}
    exec(rate_source(config), scope)  # The source is dlcli's own.
    formula = scope["_" + name.replace("-", "_")]
    for step in range(70):
        time = step / 10
        assert formula(time, 7) == learning_rate(config, time=time, step=0.1), time


def test_a_name_of_quotes_and_code_stays_a_name(small_run: Path, dlcli: Command, tmp_path: Path) -> None:
    copy = tmp_path / '"""; raise SystemExit; \\u0041'
    shutil.copytree(small_run, copy)
    outcome = dlcli("eject", copy, "train.py")
    assert outcome.code == 0, outcome.err
    tree = ast.parse((tmp_path / "train.py").read_text())
    assert not any(isinstance(node, ast.Raise) for node in ast.walk(tree))


def test_what_a_record_says_is_no_code(small_run: Path, tmp_path: Path) -> None:
    """A run from somebody else, whose record was forged."""
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    content = json.loads((run / "run.json").read_text())
    content["machine"]["processor"]["name"] = 'x"""\nraise SystemExit(7)\n"""\\'
    (run / "run.json").write_text(json.dumps(content))
    assert call("eject", run, tmp_path / "train.py").code == 0
    tree = ast.parse((tmp_path / "train.py").read_text())
    assert "raise SystemExit(7)" in (ast.get_docstring(tree) or "")
    assert isinstance(tree.body[1], ast.Import)
    del content["machine"]["versions"]
    (run / "run.json").write_text(json.dumps(content))
    outcome = call("eject", run, tmp_path / "other.py")
    assert outcome.code == 4 and "it has no 'versions'" in outcome.lines[-1]


@pytest.mark.parametrize(
    "setting",
    [
        {"class_name": "get_file", "module": "keras.utils", "config": {}},
        {"class_name": "Zeros", "module": "keras.initializers or exit()", "config": {}},
        {"class_name": "Zeros", "module": "keras.initializers", "config": {"a=exit()": 1}},
        {"class_name": "Zeros", "module": "keras.initializers", "config": {"lambda": 1}},
        {"class_name": "exit()", "module": None, "config": {}},
        {"class_name": "function", "module": "builtins", "config": "mine>exit"},
    ],
)
def test_a_setting_that_was_forged_is_not_written(setting: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="the model has a setting that no layer has"):
        _value(setting)
