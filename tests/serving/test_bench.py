"""What is measured, and how: counts, percentiles, memory, and a process that fails."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dlcli.errors import ModelError
from dlcli.serving import bench
from dlcli.serving.bench import Job

JOB = Job(path="r", is_run=True, items=["a", "b", "c"], domain="text", batch_size=2, seconds=0.05, threads=None)


def test_percentiles_are_times_that_were_measured() -> None:
    times = [float(number) for number in range(100, 0, -1)]
    assert [bench._percentile(times, share) for share in (0.5, 0.9, 0.99)] == [51, 91, 100]
    assert bench._percentile([3.0], 0.99) == 3


def test_warm_up_does_not_count_and_inputs_take_turns() -> None:
    seen: list[Any] = []

    def answer(some: Any) -> None:
        seen.append(some)
        time.sleep(0.05 if len(seen) <= 2 else 0.001)

    times = bench._timed(answer, [["a"], ["b"]], seconds=0.03, warm_up=2, fewest=5)
    assert max(times) < 0.05 and 5 <= len(times) == len(seen) - 2
    assert seen[:4] == [["a"], ["b"], ["a"], ["b"]]


def test_at_least_a_few_are_measured_however_slow() -> None:
    assert len(bench._timed(lambda some: time.sleep(0.01), [[1]], seconds=0.001, warm_up=0, fewest=4)) == 4


def test_batches_are_full_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(bench, "_opened", lambda job: (lambda some: asked.append(list(some)), job.items))
    found = bench.measured_here(replace(JOB, started=time.time() - 5, items=list("abcdefg")))
    assert {tuple(some) for some in asked if len(some) > 1} == {("a", "b"), ("c", "d"), ("e", "f")}
    assert {len(some) for some in asked} == {1, 2}
    assert found.start_seconds > 5 and found.median_ms <= found.p90_ms <= found.p99_ms
    assert 10e6 < found.peak_bytes < 1e12
    asked.clear()
    bench.measured_here(replace(JOB, batch_size=5))
    assert {tuple(some) for some in asked if len(some) > 1} == {("a", "b", "c", "a", "b")}


def test_a_run_is_measured(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_WARM_UP", 1)
    monkeypatch.setattr(bench, "_FEWEST", 2)
    found = bench.measured_here(replace(JOB, path=str(run), started=time.time()))
    assert found.median_ms > 0 and found.items_per_second > 1
    assert found.answers >= 2 and found.batches >= 3


def test_a_process_of_its_own_says_what_went_wrong(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere cannot be measured: \S+nowhere does not exist"):
        bench.measure(replace(JOB, path=str(tmp_path / "nowhere"), is_run=False))


def test_a_process_of_its_own_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for what answers, which says where it was asked."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, dlcli.serving.artefacts as artefacts\n"
        "class Stand:\n"
        "    outputs = staticmethod(lambda items: len(os.sched_getaffinity(0)) == 1 or 1 / 0)\n"
        "artefacts.Artefact.open = staticmethod(lambda path: Stand)\n"
    )
    root = Path(bench.__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{root}")
    found = bench.measure(replace(JOB, is_run=False, threads=1))
    assert found.start_seconds > 0 and found.answers >= 20
    # Without TensorFlow, which alone takes several times as much.
    assert found.peak_bytes < 300e6
    json.dumps(found.processor)
