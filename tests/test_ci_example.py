"""The files of docs/ci.md, run as a CI service would run them."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import REVIEWS, REVIEWS_TEST, ROOT

EXAMPLES = ROOT / "docs" / "ci"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout of somebody's project that has the script and its data."""
    shutil.copy(EXAMPLES / "train-and-gate.sh", tmp_path)
    (tmp_path / "data").mkdir()
    shutil.copy(REVIEWS, tmp_path / "data" / "train.csv")
    shutil.copy(REVIEWS_TEST, tmp_path / "data" / "test.csv")
    return tmp_path


@pytest.fixture
def trained(checkout: Path, run: Path) -> Path:
    """Return the checkout with a `dlcli` in it that has trained already: a run stands where a training would end."""
    program = checkout / "bin" / "dlcli"
    program.parent.mkdir()
    program.write_text(
        "#!/usr/bin/env bash\n"
        'if [[ $1 == train-text && $3 == --out ]]; then cp -r "$RUN" "$4"; '
        'else exec "$PYTHON" -m dlcli "$@"; fi\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    shutil.copytree(run, checkout / "run")
    return checkout


def bash(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub Actions does: by bash, ending at the first error."""
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    summary = str(folder / "summary.md")
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command],
        cwd=folder,
        env=os.environ
        | {"PATH": path, "CI": "true", "GITHUB_STEP_SUMMARY": summary, "PYTHONPATH": str(ROOT)}
        | {"PYTHON": sys.executable, "RUN": str(folder / "run")},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_workflow(checkout: Path) -> None:
    workflow = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text(encoding="utf-8"))
    steps = [step for step in workflow["jobs"]["train"]["steps"] if "run" in step]
    assert [step["name"] for step in steps] == [
        *("Install", "Check that everything is there", "Train, judge, export", "Show the scores")
    ]
    # The package under test is what the first step would install.
    for step in steps[1:]:
        done = bash(step["run"], checkout)
        assert done.returncode == 0, done.stderr
    scores = json.loads((checkout / "build" / "scores.json").read_text(encoding="utf-8"))
    assert scores["accuracy"] > 0.9
    assert "status" not in (checkout / "summary.md").read_text()
    assert "finished" in (checkout / "summary.md").read_text()
    assert (checkout / "build" / "model" / "saved_model.pb").is_file()
    assert not (checkout / "build" / "candidate").exists()


def test_a_gate_that_is_not_met_stops_the_script(trained: Path) -> None:
    test = trained / "data" / "test.csv"
    header, *rows = test.read_text(encoding="utf-8").splitlines()
    chance = random.Random(0)
    # Labels by chance: no run can be right about them.
    rows = [row.rsplit(",", 1)[0] + "," + chance.choice(("pos", "neg")) for row in rows[:200]]
    test.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    done = bash("./train-and-gate.sh data/train.csv data/test.csv build", trained)
    assert done.returncode == 7, done.stderr
    assert done.stdout == "a gate is not met: nothing is exported\n"
    assert "accuracy" in done.stderr.splitlines()[-1]
    assert (trained / "build" / "candidate" / "run.json").is_file()
    assert not (trained / "build" / "model").exists()


def test_bad_data_is_told_apart(trained: Path) -> None:
    (trained / "data" / "test.csv").write_text("text,label\ngood,strange\n")
    done = bash("./train-and-gate.sh data/train.csv data/test.csv build", trained)
    assert done.returncode == 3
    assert done.stdout == "the data is bad\n"
