"""The wheel holds the data folders inside the package, and works away from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_wheel_lays_data_inside_the_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"dlcli"}
    for part in (
        "pipelines/quickstart.toml",
        "pipelines/data/imdb.toml",
        "sample_data/reviews.csv",
        "pretrained/README.md",
        "pretrained/vgg16.toml",
        "pretrained/vgg.md",
        "results/templates/report.html",
        "cli.py",
    ):
        assert f"dlcli/{part}" in names


def test_installed_wheel_finds_its_recipe_and_data(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = os.environ | {"PYTHONPATH": str(site)}
    code = (
        "import dlcli.resources as r, json, pathlib; "
        "print(json.dumps([str(r.resource('pipelines/quickstart.toml')), "
        "str(r.resolve_input(pathlib.Path('sample_data/reviews.csv')))]))"
    )
    found = json.loads(_python("-c", code, cwd=elsewhere, env=environment))
    assert all(Path(path).is_relative_to(site / "dlcli") and Path(path).is_file() for path in found)
    assert "quickstart" in _python("-m", "dlcli", "run", cwd=elsewhere, env=environment)


def test_editable_install_reads_the_live_files() -> None:
    from dlcli.resources import resource

    assert resource("pipelines/quickstart.toml") == ROOT / "pipelines" / "quickstart.toml"


@pytest.mark.parametrize("name", ["run", "dev"])
def test_lock_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert "://" not in text
    pinned = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert all("==" in line for line in pinned)
    assert text.count("--hash=sha256:") >= len(pinned)


def test_lock_holds_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = (ROOT / "requirements" / "run.txt").read_text()
    for requirement in project["dependencies"]:
        name = requirement.split(">")[0]
        assert f"\n{name}==" in f"\n{pinned}", name


def _python(*arguments: str, cwd: Path, env: dict[str, str]) -> str:
    process = subprocess.run([sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return process.stdout
