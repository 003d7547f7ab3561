"""How each part of `text_ngram.py` is run: dlcli, its two peers, the help pages, the million rows."""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inputs import TRAIN_ROWS, write_invented_rows
from measure import Finished, NotMeasured, run_process

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
DLCLI = [sys.executable, "-m", "dlcli"]
TEXTBOOK_EPOCHS = 5
TEXTBOOK_BATCH = 32
HELP_RUNS = 20
HEAVY = ("numpy", "pandas", "tensorflow")
MANY_ROWS = 1_000_000


@dataclass(frozen=True)
class Trial:
    """One run of one peer.

    Attributes:
        wall: seconds of the whole process.
        peak_mb: its peak memory.
        accuracy: share of the 5,000 validation rows that it got right; None where it was not trained in full.
        notes: what else the peer reports of itself, in seconds or plain numbers.
    """

    wall: float
    peak_mb: float
    accuracy: float | None
    notes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """What every runner needs to know: the two CSV files, the work folder, a quick run or a full one."""

    train: Path
    validation: Path
    work: Path
    quick: bool
    fasttext_python: Path | None

    def log(self, name: str) -> Path:
        """Return where the output of a process goes."""
        return self.work / "logs" / name


Runner = Callable[[Bench, int], Trial]


def run_dlcli(bench: Bench, number: int) -> Trial:
    """Train dlcli's bigram classifier and read the score that its run directory holds."""
    run = fresh(bench.work / f"run-{number}")
    flags = ["--ngrams", "2", "--val", str(bench.validation), "--out", str(run), "-q"]
    command = [*DLCLI, "train-text", str(bench.train), *flags]
    finished = run_process(command, log=bench.log(f"dlcli-{number}"), cwd=REPOSITORY)
    return Trial(finished.wall, finished.peak_mb, read_accuracy(run))


def run_fasttext(bench: Bench, number: int) -> Trial:
    """Train fastText with bigrams."""
    python = bench.fasttext_python or fasttext_environment(bench.log("fasttext-install"))
    command = [str(python), str(HERE / "peers/fasttext_bigrams.py"), *map(str, (bench.train, bench.validation))]
    finished = run_process([*command, str(bench.work)], log=bench.log(f"fasttext-{number}"), cwd=bench.work)
    said = last_json(finished)
    return Trial(finished.wall, finished.peak_mb, said["accuracy"], {"train_seconds": said["train_seconds"]})


def run_textbook(bench: Bench, number: int) -> Trial:
    """Train the textbook's script; a quick run is one epoch of 2,000 reviews, scaled to five of all.

    Scaled: preparation as it was (the index is made from all reviews), then five epochs of as many steps as all
    reviews make, each step and each validation as long as those measured. The slow first step is left out.
    """
    script = [sys.executable, str(HERE / "peers/textbook_bigrams.py"), str(bench.train), str(bench.validation)]
    limits = ["--epochs", "1", "--limit", "2000"] if bench.quick else ["--epochs", str(TEXTBOOK_EPOCHS)]
    log = bench.log(f"textbook-{number}")
    finished = run_process([*script, *limits], log=log, cwd=bench.work, env={"TF_CPP_MIN_LOG_LEVEL": "3"})
    said = last_json(finished)
    epochs = said["epochs"]
    if bench.quick:
        steps = TRAIN_ROWS // TEXTBOOK_BATCH
        epoch = steps * epochs[0]["step_seconds"] + epochs[0]["validation_seconds"]
        seconds = said["prepare_seconds"] + TEXTBOOK_EPOCHS * epoch
        return Trial(seconds, finished.peak_mb, None, {"best_seconds": seconds, "best_epoch": TEXTBOOK_EPOCHS})
    best = max(range(len(epochs)), key=lambda epoch: epochs[epoch]["accuracy"])
    notes = {"best_seconds": epochs[best]["seconds"], "best_epoch": best + 1}
    return Trial(finished.wall, finished.peak_mb, epochs[best]["accuracy"], notes)


def run_many_rows(bench: Bench) -> Trial:
    """Train dlcli for two epochs on a million short invented rows."""
    source = bench.work / "many-rows.csv"
    write_invented_rows(source, rows=MANY_ROWS)
    run = fresh(bench.work / "run-many-rows")
    command = [*DLCLI, "train-text", str(source), "--ngrams", "2", "--epochs", "2", "--out", str(run), "-q"]
    finished = run_process(command, log=bench.log("many-rows"), cwd=REPOSITORY)
    return Trial(finished.wall, finished.peak_mb, read_accuracy(run))


def time_help(bench: Bench, verb: Sequence[str]) -> tuple[float, list[str]]:
    """Time a help page and list the heavy packages that it imports.

    Args:
        bench: where the output goes.
        verb: words before `--help`, such as ("train-text",).

    Returns:
        Median seconds of 20 whole processes of the installed command, after one that warms the disk's cache; and those
        of numpy, pandas and tensorflow that were imported.
    """
    script = Path(sys.executable).with_name("dlcli")
    if not script.exists():
        raise NotMeasured(f"no dlcli command beside {Path(sys.executable).name}; install the project first")
    log = bench.log("help")
    walls = [run_process([str(script), *verb, "--help"], log=log, cwd=bench.work).wall for _ in range(HELP_RUNS + 1)]
    traced = [sys.executable, "-X", "importtime", "-m", "dlcli", *verb, "--help"]
    finished = run_process(traced, log=bench.log("help-imports"), cwd=REPOSITORY)
    imported = set(re.findall(r"^import time:.*\|\s*([A-Za-z_]\w*)", finished.stderr, flags=re.MULTILINE))
    return statistics.median(walls[1:]), sorted(imported.intersection(HEAVY))


def fasttext_environment(log: Path) -> Path:
    """Return the Python of a virtual environment that has fastText, made at the first call.

    It is kept in the user's cache folder, for fastText needs numpy<2 and may have to be compiled.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "dlcli-bench" / "fasttext"
    python = folder / "bin" / "python"
    if python.exists() and subprocess.run([python, "-c", "import fasttext"], capture_output=True).returncode == 0:
        return python
    try:
        run_process([sys.executable, "-m", "venv", "--clear", str(folder)], log=log, cwd=HERE)
        run_process([str(python), "-m", "pip", "install", "-q", "numpy<2", "fasttext-wheel"], log=log, cwd=HERE)
    except NotMeasured as error:
        raise NotMeasured(f"installing fasttext-wheel: {error}; or name one with --fasttext-python PATH") from error
    return python


def fresh(folder: Path) -> Path:
    """Return the folder's path, with whatever an earlier benchmark left there removed."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def read_accuracy(run: Path) -> float:
    """Return the validation accuracy that a run directory holds."""
    path = run / "metrics.json"
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["accuracy"])
    except (OSError, KeyError, ValueError) as error:
        raise NotMeasured(f"{path.name} of the finished run holds no accuracy: {error!r}") from error


def last_json(finished: Finished) -> dict[str, Any]:
    """Return the JSON object on the last line that a peer printed."""
    said: dict[str, Any] = json.loads(finished.stdout.strip().splitlines()[-1])
    return said
