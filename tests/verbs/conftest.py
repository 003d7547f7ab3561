"""Runs that the tests of the verbs share; they only read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import REVIEWS, REVIEWS_TEST, ROOT, Outcome, call

from verbs.helpers import read_csv, write_csv


@pytest.fixture(scope="session")
def rows() -> list[dict[str, str]]:
    """Return 300 of the sample reviews."""
    return read_csv(REVIEWS)[:300]


@pytest.fixture(scope="session")
def small(rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CSV of 300 sample reviews."""
    return write_csv(tmp_path_factory.mktemp("small") / "small.csv", rows)


@pytest.fixture(scope="session")
def small_run(small: Path) -> Path:
    """Return a run of two epochs on `small`."""
    path = small.with_name("run")
    outcome = call("train-text", small, "--epochs", "2", "--out", path)
    assert outcome.code == 0, outcome.err
    return path


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of three classes, whose names do not sort by their letters."""
    folder = tmp_path_factory.mktemp("three")
    words = {"class_2": "rain and wind", "class_10": "bread and soup", "class_1": "goal and match"}
    data = [{"text": f"{words[name]} {n}", "label": name} for n in range(30) for name in words]
    path = folder / "run"
    outcome = call("train-text", write_csv(folder / "three.csv", data), "--out", path)
    assert outcome.code == 0, outcome.err
    return path


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run on coloured shapes, in float32 on every processor."""
    path = tmp_path_factory.mktemp("shapes") / "run"
    flags = ("--model", "cnn", "--filters", "8,8", "--hidden-units", "8", "--image-size", "24", "--epochs", "2")
    flags += ("--precision", "float32")
    outcome = call("train-image", ROOT / "sample_data" / "shapes", *flags, "--out", path)
    assert outcome.code == 0, outcome.err
    return path


@pytest.fixture(scope="session")
def scores(run: Path) -> dict[str, Any]:
    """Return what `evaluate --json` says of the run on the held-out reviews."""
    outcome = call("evaluate", run, REVIEWS_TEST, "--json")
    assert outcome.code == 0, outcome.err
    result: dict[str, Any] = json.loads(outcome.out)
    return result


@pytest.fixture(scope="session")
def predictions(run: Path) -> list[dict[str, str]]:
    """Return what `predict --proba` says of the held-out reviews, row by row."""
    outcome = call("predict", run, REVIEWS_TEST, "--proba")
    assert outcome.code == 0, outcome.err
    return read_csv(outcome.out)


@pytest.fixture
def stopped(tiny: Path, dlcli: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a run on `tiny` that Ctrl-C stopped after its second epoch of four."""
    epochs = 0

    def interrupt(self: object, line: str) -> None:
        nonlocal epochs
        epochs += 1
        if epochs == 2:
            raise KeyboardInterrupt

    path = tiny.with_name("stopped")
    with monkeypatch.context() as patch:
        patch.setattr("dlcli.console.Console.epoch", interrupt)
        outcome = dlcli("train-text", tiny, "--epochs", "4", "--patience", "9", "--out", path)
    assert outcome.code == 130, outcome.err
    return path
