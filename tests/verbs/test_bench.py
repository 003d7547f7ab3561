"""`dlcli bench`: which artefacts are measured, what the table says, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import REVIEWS, Outcome

from dlcli.serving.bench import Job, Measured
from dlcli.serving.card import Card

Command = Callable[..., Outcome]


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Return the jobs that are given, and measure none of them."""
    found: list[Job] = []

    def measure(job: Job) -> Measured:
        found.append(job)
        return Measured(
            start_seconds=1.234,
            median_ms=5.0 * len(found),
            p90_ms=12.0,
            p99_ms=34.5,
            answers=99,
            items_per_second=1234.5,
            batches=9,
            peak_bytes=250_000_000,
            processor="Some Processor",
        )

    monkeypatch.setattr("dlcli.serving.bench.measure", measure)
    return found


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def export(folder: Path, **fields: Any) -> Path:
    """Write what an export is known by."""
    folder.mkdir(parents=True)
    (folder / "model.keras").write_bytes(b"x" * 2_000_000)
    settings = {
        "made_by": "dlcli 0",
        "format": "keras",
        "quantize": "none",
        "file": "model.keras",
        "domain": "text",
        "labels": ["neg", "pos"],
        "outputs": "probabilities",
        "inputs": [],
        "output": "classes",
        "preprocessing": {},
        "run": {},
    }
    Card(**(settings | fields)).write(folder)
    return folder


def test_the_run_and_all_its_exports(dlcli: Command, copy: Path, jobs: list[Job]) -> None:
    export(copy / "exports" / "keras")
    export(copy / "exports" / "all" / "keras")
    export(Path("dist"), labels=["neg", "pos"])
    flags = ("--artefact", "dist/model.keras", "--artefact", copy / "exports" / "keras", "--batch-size", "7")
    outcome = dlcli("bench", copy, *flags, "--items", "10", "--threads", "2", "--seconds", "0.5")
    assert outcome.code == 0, outcome.err
    assert [(Path(job.path), job.is_run) for job in jobs] == [
        (copy, True),
        (copy / "exports" / "all" / "keras", False),
        (copy / "exports" / "keras", False),
        (Path("dist"), False),
    ]
    assert {(job.batch_size, job.threads, job.seconds, len(job.items)) for job in jobs} == {(7, 2, 0.5, 10)}
    assert len(set(jobs[0].items)) == 10 and jobs[0].items[0] in REVIEWS.read_text(encoding="utf-8").replace('""', '"')
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["MB", "start", "s", "median", "ms", "p90", "ms", "p99", "ms", "items/s", "memory", "MB"]
    assert lines[2].split() == ["keras", "2.0", "1.23", "10.00", "12.00", "34.50", "1,234", "250"]
    assert lines[4].startswith("keras (dist)")
    assert lines[-1].startswith("Some Processor, threads: 2; 10 raw texts; one at a time")


def test_json(dlcli: Command, run: Path, jobs: list[Job]) -> None:
    result = json.loads(dlcli("bench", run, "--data", REVIEWS, "--items", "3", "--json").out)
    assert (result["schema"], result["items"], result["threads"]) == (1, 3, None)
    (one,) = result["artefacts"]
    assert (one["name"], one["format"], one["median_ms"], one["answers"]) == ("run", "run", 5.0, 99)
    assert one["bytes"] > 10_000


def test_what_is_refused(dlcli: Command, copy: Path, jobs: list[Job]) -> None:
    Path("empty").mkdir()
    export(Path("other"), labels=["a", "b"])
    export(Path("changed"))
    Path("changed/model.keras").write_bytes(b"y")
    for arguments, code, words in (
        (("--artefact", "nowhere"), 2, "--artefact: nowhere does not exist. Expected what dlcli export wrote"),
        (("--artefact", "empty"), 4, "empty is no export: it has no model.json"),
        (("--artefact", "other"), 2, "other answers with other classes than"),
        (("--artefact", "changed"), 4, "changed is damaged: model.keras is not what was saved"),
        (("--data", "none.csv"), 2, "there are no items to answer: none.csv does not exist. Name some with --data"),
        (("--seconds", "0"), 2, "--seconds: expected more than 0"),
        (("--path-column", "a"), 2, "--path-column is for pictures"),
    ):
        outcome = dlcli("bench", copy, *arguments)
        assert (outcome.code, outcome.out) == (code, ""), outcome.err
        assert words in outcome.lines[-1]
    assert dlcli("bench", "nowhere").code == 2
    (copy / "run.json").write_text(json.dumps(json.loads((copy / "run.json").read_text()) | {"status": "interrupted"}))
    assert dlcli("bench", copy).code == 4
    assert jobs == []
