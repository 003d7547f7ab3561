"""Kill a training at random moments, resume it, and compare with one that was never stopped: bit for bit.

    python tests/trust/kill.py --kills 30

Each round starts `dlcli train-text` (early stopping and n-gram dropout on), sends SIGKILL at a random moment, resumes
the run until it is finished, and compares every weight and the whole history, less its times, with the uninterrupted
run's.
One kill in five falls anywhere in the life of the process; the others fall after the run directory was made, where
there is something to lose. Prints a line a round; the exit code is 1 when any round differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
REVIEWS = ROOT / "sample_data" / "reviews.csv"
SETTINGS = [
    "--ngrams",
    "2",
    "--ngram-dropout",
    "0.3",
    "--epochs",
    "12",
    "--patience",
    "4",
    "--batch-size",
    "16",
    "--lr",
    "0.001",
]
# Seconds between two looks whether the run directory is there.
_LOOK = 0.01


def main() -> int:
    """Run the rounds and print what came of them."""
    parser = argparse.ArgumentParser(description="Kill a training at random moments; the weights must not change.")
    parser.add_argument("--kills", type=int, default=30, help="rounds (default 30)")
    parser.add_argument("--seed", type=int, default=None, help="of the random moments (default: the clock)")
    parser.add_argument("--data", type=Path, default=REVIEWS, help="CSV to train on (default: the sample reviews)")
    options = parser.parse_args()
    seed = int(time.time()) if options.seed is None else options.seed
    moments = random.Random(seed)
    print(f"seed {seed}; dlcli train-text {options.data} {' '.join(SETTINGS)}")
    with tempfile.TemporaryDirectory(prefix="dlcli-kill-") as folder:
        reference = Path(folder) / "reference"
        process = _start(options.data, reference)
        before = _wait_for(reference, process, 3600.0)
        started = time.perf_counter()
        process.wait()
        training = time.perf_counter() - started
        epochs = f"{len(history(reference))} epochs"
        print(f"uninterrupted: {before:.1f} s until the run directory is there, then {training:.1f} s for {epochs}")
        same = 0
        for number in range(1, options.kills + 1):
            anywhere = moments.random() < 0.2
            moment = moments.uniform(0.0, before + training if anywhere else training)
            found, equal = _round(options.data, Path(folder) / f"run-{number}", reference, moment, anywhere=anywhere)
            same += equal
            when = f"{moment:5.2f} s after {'its start' if anywhere else 'the run was made'}"
            print(f"kill {number:3}, {when:32} {found:30} {'identical' if equal else 'DIFFERENT'}", flush=True)
        print(f"{same} of {options.kills} resumed to identical weights and history")
    return int(same != options.kills)


def _round(data: Path, run: Path, reference: Path, moment: float, *, anywhere: bool) -> tuple[str, bool]:
    """Kill one training; return what it had come to, and whether its resumed end equals the reference."""
    process = _start(data, run)
    if not anywhere:
        _wait_for(run, process, 3600.0)
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    found = status(run)
    # Before the run directory exists nothing has begun: the same command starts it.
    resumed = _start(data, run) if not run.exists() else _dlcli("train-text", "--resume", str(run), "-q")
    if resumed.wait() != 0:
        return f"{found}, resume failed", False
    return found, weights_equal(run, reference) and history(run) == history(reference)


def _wait_for(path: Path, process: subprocess.Popen[bytes], limit: float) -> float:
    """Wait until a path is there or the process has ended; return the seconds."""
    started = time.perf_counter()
    while not path.exists() and process.poll() is None and time.perf_counter() - started < limit:
        time.sleep(_LOOK)
    return time.perf_counter() - started


def status(run: Path) -> str:
    """Say how far a run has come."""
    if not run.exists():
        return "no run yet"
    state = run / "checkpoints" / "state.json"
    epochs = f"{json.loads(state.read_text())['epoch']} epochs done" if state.exists() else "no checkpoint"
    found = json.loads((run / "run.json").read_text())["status"]
    return found if found == "finished" else f"{found}, {epochs}"


def history(run: Path) -> list[dict[str, Any]]:
    """Return the history of a run, less its times."""
    records = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


def weights(run: Path) -> dict[str, Any]:
    """Return all weights of a run's model by their place in the file."""
    found: dict[str, Any] = {}
    with zipfile.ZipFile(run / "model.keras") as archive, archive.open("model.weights.h5") as file:
        h5py.File(file).visititems(
            lambda name, item: found.update({name: item[()]}) if hasattr(item, "dtype") else None
        )
    return found


def weights_equal(run: Path, reference: Path) -> bool:
    """Say whether two runs' models are the same, bit for bit."""
    ours, theirs = weights(run), weights(reference)
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def _start(data: Path, run: Path) -> subprocess.Popen[bytes]:
    return _dlcli("train-text", str(data), "--out", str(run), "-q", *SETTINGS)


def _dlcli(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dlcli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)


if __name__ == "__main__":
    sys.exit(main())
