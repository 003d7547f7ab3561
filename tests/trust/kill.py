"""Stop a training at random moments, resume it, and compare with one that was never stopped: bit for bit.

    python tests/trust/kill.py --kills 50

Each round starts `dlcli train-text`, `train-image` or `finetune` with one of the settings below, sends SIGKILL,
SIGTERM or SIGINT at a random moment, resumes the run until it is finished, and compares every weight and the whole
history, less its times, with the uninterrupted run's. Some SIGKILLs wait until a checkpoint is being written. One
stop in five falls anywhere in the life of the process; the others fall after the run directory was made, where there
is something to lose. Prints a line a round; the exit code is 1 when any round differs.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
REVIEWS = ROOT / "sample_data" / "reviews.csv"
COMMON = ["--epochs", "12", "--batch-size", "16", "--checkpoint-minutes", "0.005"]
NGRAM = "--ngrams 2 --ngram-dropout 0.3 "
SETTINGS = {
    "adam, early stopping": NGRAM + "--lr 0.001 --patience 4",
    "sgd, momentum, plateau": NGRAM + "--optimizer sgd --lr 1 --momentum 0.9 --schedule plateau --monitor val_loss "
    "--patience 5",
    "rmsprop, one-cycle, accumulation": NGRAM + "--optimizer rmsprop --lr 0.01 --schedule one-cycle --accumulate 3 "
    "--patience 0",
    "lion, EMA, warm-up, clipping": NGRAM + "--optimizer lion --lr 0.0005 --ema 0.98 --warmup 0.1 --clip-norm 0.5 "
    "--patience 6",
    "nadam, hidden layers, dropout": NGRAM
    + "--optimizer nadam --lr 0.002 --hidden-units 16 --dropout 0.3 --embedding-dim 8 "
    "--schedule cosine --cycles 2 --metrics auc,f1 --monitor val_auc --patience 0",
    "cnn, dropout of three kinds, plateau": "--model cnn --units 8 --embedding-dim 8 --schedule plateau "
    "--monitor val_loss --patience 5",
    "bilstm, recurrent dropout, pre-padding": "--model bilstm --units 4 --embedding-dim 8 --recurrent-dropout 0.2 "
    "--padding pre --batch-size 64 --epochs 4",
}
SHAPES = ROOT / "sample_data" / "shapes"
PICTURES = {
    "pictures, augmentation, MixUp and CutMix, dropout": "--model cnn --filters 8,8 --hidden-units 16 --image-size 32 "
    "--augment strong --mixup 0.2 --cutmix 1 --dropout 0.3",
    "pictures from a file, batch normalisation, EMA": "--model cnn-bn --filters 4,8 --hidden-units 8 --image-size 24 "
    "--augment book --cache disk --ema 0.9",
}
FINETUNED = {
    "frozen base, changed copies, dropout": "--base shipped --augment book --augment-copies 2",
    "base trained from a block up, lower rates, EMA": "--base shipped --unfreeze block4 --lower-lr 0.5 --ema 0.9",
}
SIGNALS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}
# Seconds between two looks at the run directory.
_LOOK = 0.005


def main() -> int:
    """Run the rounds and print what came of them."""
    parser = argparse.ArgumentParser(description="Stop a training at random moments; the weights must not change.")
    parser.add_argument("--kills", type=int, default=50, help="rounds (default 50)")
    parser.add_argument("--seed", type=int, default=None, help="of the random moments (default: the clock)")
    parser.add_argument("--data", type=Path, default=REVIEWS, help="CSV to train on (default: the sample reviews)")
    parser.add_argument("--only", default="", help="of the settings, those whose label has this in it")
    options = parser.parse_args()
    seed = int(time.time()) if options.seed is None else options.seed
    chance = random.Random(seed)
    print(f"seed {seed}; dlcli train-text {options.data}, train-image and finetune {SHAPES}, {' '.join(COMMON)} ...")
    with tempfile.TemporaryDirectory(prefix="dlcli-kill-") as name:
        folder = Path(name)
        labels = [label for label in (*SETTINGS, *PICTURES, *FINETUNED) if options.only in label]
        references = [_uninterrupted(options.data, folder, number, label) for number, label in enumerate(labels)]
        same = 0
        for number in range(options.kills):
            stop = _Stop.draw(chance, references[number % len(references)])
            found, equal = _round(options.data, folder / f"run-{number}", stop)
            same += equal
            print(f"{number + 1:3} {stop}: {found:36} {'identical' if equal else 'DIFFERENT'}", flush=True)
        print(f"{same} of {options.kills} resumed to identical weights and history")
    return int(same != options.kills)


@dataclass(frozen=True)
class Reference:
    """A training that was never stopped.

    Attributes:
        label: of its settings.
        path: the run.
        before: seconds until the run directory was there.
        training: seconds from then to the end.
    """

    label: str
    path: Path
    before: float
    training: float


@dataclass(frozen=True)
class _Stop:
    """When and how a training is stopped."""

    reference: Reference
    signal: signal.Signals
    moment: float
    anywhere: bool
    within_a_save: bool

    @classmethod
    def draw(cls, chance: random.Random, reference: Reference) -> _Stop:
        number = chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        anywhere = chance.random() < 0.2
        whole = reference.before + reference.training if anywhere else reference.training
        within = number == signal.SIGKILL and not anywhere and chance.random() < 0.5
        return cls(reference, number, chance.uniform(0.0, whole), anywhere, within)

    def __str__(self) -> str:
        since = "its start" if self.anywhere else "the run was made"
        when = f"{self.moment:5.2f} s after {since}" + (", in a save" if self.within_a_save else "")
        return f"{self.signal.name} {when:40} {self.reference.label:34}"


def _uninterrupted(data: Path, folder: Path, number: int, label: str) -> Reference:
    path = folder / f"reference-{number}"
    process = _start(data, path, label)
    before = _wait_for(path, process)
    started = time.perf_counter()
    if process.wait() != 0:
        raise SystemExit(f"the training that nobody stopped failed: {label}")
    reference = Reference(label, path, before, time.perf_counter() - started)
    print(f"uninterrupted: {before:.1f} + {reference.training:.1f} s, {len(history(path))} epochs: {label}", flush=True)
    return reference


def _round(data: Path, run: Path, stop: _Stop) -> tuple[str, bool]:
    """Stop one training; return what it had come to, and whether its resumed end equals the reference."""
    label = stop.reference.label
    process = _start(data, run, label)
    if not stop.anywhere:
        _wait_for(run, process)
    try:
        process.wait(timeout=stop.moment)
    except subprocess.TimeoutExpired:
        if stop.within_a_save:
            _wait_for_a_save(run, process)
        process.send_signal(stop.signal)
    code = process.wait()
    found = status(run)
    if code not in (0, SIGNALS[stop.signal]):
        # A signal that comes while Python starts ends it in Python's own way.
        found += f", exit code {code}"
    # Before the run directory exists nothing has begun: the same command starts it.
    again = _start(data, run, label) if not run.exists() else _dlcli(run, _verb(label), "--resume", str(run), "-q")
    if again.wait() != 0:
        return f"{found}, resume failed ({again.returncode})", False
    return found, same_weights(run, stop.reference.path) and history(run) == history(stop.reference.path)


def _start(data: Path, run: Path, label: str) -> subprocess.Popen[bytes]:
    source = data if label in SETTINGS else SHAPES
    settings = (SETTINGS | PICTURES | FINETUNED)[label]
    return _dlcli(run, _verb(label), str(source), *COMMON, *settings.split(), "--out", str(run), "-q")


def _verb(label: str) -> str:
    return "train-text" if label in SETTINGS else "train-image" if label in PICTURES else "finetune"


def _dlcli(run: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a command with a cache of the run's own: a stop may fall while features are computed."""
    return subprocess.Popen(
        [sys.executable, "-m", "dlcli", *arguments],
        cwd=ROOT,
        env={**os.environ, "DLCLI_HOME": str(run.with_name(f"{run.name}-home"))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> float:
    """Wait until a path exists or the process ends; return the seconds."""
    started = time.perf_counter()
    while not path.exists() and process.poll() is None:
        time.sleep(_LOOK)
    return time.perf_counter() - started


def _wait_for_a_save(run: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a checkpoint is half-written, or the process ends."""
    while process.poll() is None and not any(run.rglob(".*.tmp*")):
        time.sleep(0)


def status(run: Path) -> str:
    """Say what a stop has left."""
    if not run.exists():
        return "no run yet"
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    state = run / "checkpoints" / "state.json"
    if not state.exists():
        return f"{record['status']}, no checkpoint"
    content = json.loads(state.read_text(encoding="utf-8"))
    return f"{record['status']}, epoch {content['epoch']} step {content['step']}"


def history(run: Path) -> list[dict[str, Any]]:
    """Return the history without its times."""
    lines = (run / "history.jsonl").read_text(encoding="utf-8").splitlines()
    times = ("seconds", "step_ms")
    return [{name: v for name, v in json.loads(line).items() if name not in times} for line in lines]


def same_weights(first: Path, second: Path) -> bool:
    """Say whether two runs' weights are equal bit for bit."""
    one, other = (_weights(run) for run in (first, second))
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def _weights(run: Path) -> dict[str, np.ndarray[Any, Any]]:
    found: dict[str, np.ndarray[Any, Any]] = {}
    with (
        zipfile.ZipFile(run / "model.keras") as archive,
        archive.open("model.weights.h5") as file,
        h5py.File(file) as h5,
    ):
        h5.visititems(lambda name, node: found.update({name: node[()]}) if isinstance(node, h5py.Dataset) else None)
    return found


if __name__ == "__main__":
    sys.exit(main())
