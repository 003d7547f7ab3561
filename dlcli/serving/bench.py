"""How fast a run or an export answers, and what it takes: each measured in a process of its own.

So nobody's memory, caches or threads count for another's, and what a LiteRT or ONNX file takes is without TensorFlow.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dlcli.errors import ModelError

# Single items that are answered before the clock runs: functions are traced, and caches filled, by then.
_WARM_UP = 20
# Fewest and most single answers, and fewest batches, that are timed; between them as many as fit the time.
_FEWEST, _MOST, _FEWEST_BATCHES = 20, 5_000, 3
_STATUS = Path("/proc/self/status")
# How many threads the runtimes take, as they read it from their surroundings.
_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is measured.

    Attributes:
        path: of a run, or of an export's folder.
        is_run: which of them.
        items: raw: texts, or pictures as they are read for a run.
        domain: `text` or `vision`.
        batch_size: items that are answered together.
        seconds: for the single answers, and again for the batches.
        threads: how many processors are used; None for all.
        started: by the clock of this machine.
    """

    path: str
    is_run: bool
    items: list[str]
    domain: str
    batch_size: int
    seconds: float
    threads: int | None
    started: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was found.

    Attributes:
        start_seconds: from the start of the process to its first answer, imports and loading included.
        median_ms: of the time for one item, from raw input to the answer.
        p90_ms: nine of ten are answered within it.
        p99_ms: likewise 99 of 100.
        answers: how many single answers were timed.
        items_per_second: in batches, by the median batch.
        batches: how many were timed.
        peak_bytes: the most memory that the process had in use.
        processor: what it ran on.
    """

    start_seconds: float
    median_ms: float
    p90_ms: float
    p99_ms: float
    answers: int
    items_per_second: float
    batches: int
    peak_bytes: int
    processor: str


def measure(job: Job) -> Measured:
    """Measure in a process of its own.

    Args:
        job: what.

    Raises:
        ModelError: the process failed; says its last line.
    """
    with tempfile.TemporaryDirectory() as folder:
        order, answer = Path(folder) / "job.json", Path(folder) / "measured.json"
        threads = {} if job.threads is None else dict.fromkeys(_THREADS, str(job.threads))
        order.write_text(json.dumps({**asdict(job), "started": time.time()}), encoding="utf-8")
        command = [sys.executable, "-m", "dlcli.serving.bench", str(order), str(answer)]
        done = subprocess.run(
            command, env=os.environ | threads, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
            last = re.sub(r"^dlcli\.errors\.\w+: ", "", last)
            raise ModelError(f"{job.path} cannot be measured: {last}")
        return Measured(**json.loads(answer.read_text(encoding="utf-8")))


def measured_here(job: Job) -> Measured:
    """Measure in this process, which has done nothing else."""
    if job.threads is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.threads])
    answer, items = _opened(job)
    answer(items[:1])
    start = time.time() - job.started
    singles = _timed(answer, [[item] for item in items], seconds=job.seconds, warm_up=_WARM_UP, fewest=_FEWEST)
    together = [list(itertools.islice(itertools.cycle(items), first, first + job.batch_size)) for first in _firsts(job)]
    batches = _timed(answer, together, seconds=job.seconds, warm_up=len(together), fewest=_FEWEST_BATCHES)
    return Measured(
        start_seconds=start,
        median_ms=1000 * _percentile(singles, 0.5),
        p90_ms=1000 * _percentile(singles, 0.9),
        p99_ms=1000 * _percentile(singles, 0.99),
        answers=len(singles),
        items_per_second=job.batch_size / _percentile(batches, 0.5),
        batches=len(batches),
        peak_bytes=_peak_memory(),
        processor=_processor(),
    )


def _opened(job: Job) -> tuple[Callable[[Sequence[Any]], Any], list[Any]]:
    """Load what answers; the items as it takes them."""
    if job.is_run:
        from dlcli.serving.predictor import Predictor

        return Predictor(Path(job.path)).outputs, job.items
    from dlcli.serving.artefacts import Artefact

    artefact = Artefact.open(Path(job.path))
    if job.domain != "vision":
        return artefact.outputs, job.items
    from dlcli.vision.raw import read_raw

    return artefact.outputs, [read_raw(item) for item in job.items]


def _firsts(job: Job) -> list[int]:
    """Return where a few different batches begin among the items."""
    return [number * job.batch_size for number in range(max(1, min(4, len(job.items) // job.batch_size)))]


def _timed(
    answer: Callable[[Sequence[Any]], Any],
    inputs: Sequence[Sequence[Any]],
    *,
    seconds: float,
    warm_up: int,
    fewest: int,
) -> list[float]:
    """Return the seconds of answers, after some that do not count; inputs take turns."""
    turns = itertools.cycle(inputs)
    for _ in range(warm_up):
        answer(next(turns))
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < fewest or (time.perf_counter() < end and len(times) < _MOST):
        some, before = next(turns), time.perf_counter()
        answer(some)
        times.append(time.perf_counter() - before)
    return times


def _percentile(times: Sequence[float], share: float) -> float:
    """Return the smallest time within which this share of the answers came."""
    ranked = sorted(times)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def _peak_memory() -> int:
    """Return the most bytes that this process had in memory.

    Linux's own counter of it begins anew with each program; that of `getrusage` keeps what the parent had.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _processor() -> str:
    import platform

    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    order, found = map(Path, sys.argv[1:])
    measured = measured_here(Job(**json.loads(order.read_text(encoding="utf-8"))))
    found.write_text(json.dumps(asdict(measured)), encoding="utf-8")
