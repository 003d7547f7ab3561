"""`dlcli doctor`: what is there, and the remedy for what is not."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Outcome

import dlcli as package

Command = Callable[..., Outcome]


def test_versions_and_devices(dlcli: Command) -> None:
    result = json.loads(dlcli("doctor", "--json").out)
    assert result["dlcli"] == package.__version__
    assert result["python"] == platform.python_version()
    for name, version in result["packages"].items():
        assert version == importlib.metadata.version(name)
    assert {"tensorflow", "keras", "numpy"} <= result["packages"].keys()
    assert result["devices"][0] == "cpu"
    assert result["threads"] == os.cpu_count()
    assert result["free_disk_gb"] > 0


def test_nothing_is_missing(dlcli: Command) -> None:
    outcome = dlcli("doctor")
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1] == "Nothing is missing."


def test_what_is_missing_has_a_remedy(dlcli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in ("tensorflow", "rich"):
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr("importlib.metadata.version", version)
    monkeypatch.setattr("dlcli.verbs.doctor.resource", lambda name: Path("nowhere") / name)
    result = json.loads(dlcli("doctor", "--json").out)
    assert result["packages"]["tensorflow"] is None
    assert "tensorflow is missing: pip install tensorflow" in result["problems"]
    assert "rich is missing: pip install rich" in result["problems"]
    assert sum("sample_data/ is missing" in problem for problem in result["problems"]) == 1
    assert result["devices"] == ["none: TensorFlow is missing"]
    assert "Nothing is missing" not in dlcli("doctor").out
