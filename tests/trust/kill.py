"""Kill trainings at random moments, resume them, and compare with ones that nobody killed: bit for bit.

    python tests/trust/kill.py --kills 100 --jobs 2

Each training is one of those below, with dropout, plateau or early stopping. It gets SIGKILL, is resumed, gets SIGKILL
again, up to four times, until it ends. Many kills wait until a checkpoint or the end of the run is being written, or
until features are being computed; a process is then held still (SIGSTOP) to see what it was killed in. The trainings go
on until there are enough kills, and enough of them within a save. In the end weights, history without its times, scores
and the answers on the validation data equal those of the training that nobody killed, and nothing half-written is left.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import h5py
import numpy as np
from trust.figures import ROOT, keep, options

REVIEWS = ROOT / "sample_data" / "reviews.csv"
SHAPES = ROOT / "sample_data" / "shapes"
COMMON = "--epochs 8 --batch-size 32 --checkpoint-minutes 0.003 --device cpu "
NGRAM = f"train-text {REVIEWS} {COMMON} --ngrams 2 --ngram-dropout 0.3 "
CNN = f"train-text {REVIEWS} {COMMON} --model cnn --units 8 --embedding-dim 8 --max-length 40 "
BILSTM = f"train-text {REVIEWS} {COMMON} --model bilstm --units 4 --embedding-dim 8 --max-length 20 --batch-size 64 "
PICTURES = f"train-image {SHAPES} {COMMON} --filters 4,8 --hidden-units 8 --image-size 24 "
FINETUNE = f"finetune {SHAPES} {COMMON} --base shipped --hidden-units 8 "
PLATEAU = "--schedule plateau --monitor val_loss --patience 3 --epochs 12 "
TRAININGS = {
    "ngram, dropout, early stopping": NGRAM + "--lr 0.003 --patience 2 --epochs 20",
    "ngram, hidden layers, one-cycle, accumulation": NGRAM
    + "--optimizer rmsprop --lr 0.002 --schedule one-cycle --accumulate 3 --hidden-units 8 --dropout 0.3 --epochs 5",
    "ngram, lion, EMA, warm-up, clipping": NGRAM
    + "--optimizer lion --lr 0.0005 --ema 0.98 --warmup 0.1 --clip-norm 0.5 --patience 6",
    "cnn, dropout of three kinds, plateau": CNN
    + "--lr 0.01 --word-dropout 0.1 --embedding-dropout 0.2 --dropout 0.3 "
    + PLATEAU,
    "bilstm, recurrent dropout, plateau": BILSTM
    + "--lr 0.02 --recurrent-dropout 0.2 --padding pre "
    + PLATEAU
    + "--epochs 6",
    "pictures, augmentation, MixUp, CutMix, dropout, plateau": PICTURES
    + "--model cnn --lr 0.01 --augment strong --mixup 0.2 --cutmix 1 --dropout 0.3 "
    + PLATEAU,
    "pictures from a file, batch normalisation, EMA": PICTURES + "--model cnn-bn --augment book --cache disk --ema 0.9",
    "frozen base, features of changed copies, dropout, plateau": FINETUNE
    + "--freeze-base --lr 0.01 --augment book --augment-copies 2 --dropout 0.3 "
    + PLATEAU,
    "base trained from a block up, lower rates, EMA": FINETUNE + "--unfreeze block4 --lower-lr 0.5 --ema 0.9",
}
# What kills wait for, and how often beside the others; "features" only where there are any that are kept.
AIMS = {"anywhere": 15, "training": 20, "checkpoint": 30, "final save": 25, "features": 60}
SAVES = ("checkpoint", "final save")
PLACES = (*SAVES, "features", "elsewhere")


def main() -> int:
    """Kill until there are enough kills, within saves too, and print what came of them."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="at least (default 100)")
    parser.add_argument("--saves", type=int, default=30, help="at least so many within a save (default 30)")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at the same time (default 1)")
    parser.add_argument("--only", default="", help="of the trainings, those whose label has this in it")
    given = parser.parse_args()
    labels = [label for label in TRAININGS if given.only in label]
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="dlcli-kill-") as folder, ThreadPoolExecutor(given.jobs) as pool:
        references = list(pool.map(lambda label: uninterrupted(Path(folder), label), labels))
        rounds: list[Round] = []
        numbers, lock = itertools.count(), threading.Lock()

        def work(_: int) -> None:
            while True:
                kills = [place for one in rounds for place in one.places]
                within = sum(place in SAVES for place in kills)
                if len(kills) >= given.kills and within >= given.saves:
                    return
                with lock:
                    number = next(numbers)
                chance = random.Random(f"{given.seed} {number}")
                reference = references[number % len(references)]
                aims = SAVES if len(kills) >= given.kills else tuple(AIMS)
                done = killed(Path(folder) / f"run-{number}", reference, chance, aims=aims)
                rounds.append(done)
                print(f"{len(kills) + len(done.places):3} {done}", flush=True)

        list(pool.map(work, range(given.jobs)))
    keep("kill", _table(rounds), seed=given.seed, write=given.write)
    return int(not all(one.problem == "" for one in rounds))


@dataclass(frozen=True)
class Reference:
    """A training that nobody killed.

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


@dataclass
class Round:
    """A training that was killed and resumed until it ended.

    Attributes:
        label: of its settings.
        places: what it was killed in, each time.
        problem: what is not as it should be in the end.
    """

    label: str
    places: list[str] = field(default_factory=list)
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.label}: killed in {', '.join(self.places) or 'nothing'}: {self.problem or 'identical'}"


def to_the_end(path: Path, label: str) -> int:
    """Train, or go on, in a process of its own that nobody kills; return its exit code."""
    return start(path, label).wait()


def uninterrupted(folder: Path, label: str) -> Reference:
    """Train without a kill."""
    path = folder / f"reference-{list(TRAININGS).index(label)}"
    process = start(path, label)
    before = _wait(process, path.exists)
    started = time.perf_counter()
    if process.wait() != 0:
        raise SystemExit(f"the training that nobody killed failed: {label}: {_said(path)}")
    reference = Reference(label, path, before, time.perf_counter() - started)
    print(f"uninterrupted: {before:.1f} + {reference.training:.1f} s, {len(history(path))} epochs: {label}", flush=True)
    return reference


def killed(
    path: Path,
    reference: Reference,
    chance: random.Random,
    *,
    aims: tuple[str, ...],
    most: int = 4,
    finish: Callable[[Path, str], int] = to_the_end,
) -> Round:
    """Kill a training up to four times, resume it to its end, and compare it with the one that nobody killed.

    Args:
        path: the run to make; it is removed when all is well.
        reference: to compare with.
        chance: draws what each kill waits for, and how much longer.
        aims: of `AIMS`, what they may wait for.
        most: kills.
        finish: goes on after the last kill.
    """
    found = Round(reference.label)
    possible = [aim for aim in aims if aim != "features" or _features(reference.path)]
    code = -signal.SIGKILL
    while code != 0:
        if code != -signal.SIGKILL:
            found.problem = f"resume failed with exit code {code}: {_said(path)}"
            return found
        if len(found.places) == most:
            code = finish(path, reference.label)
            continue
        before = _Traces.of(path)
        process = start(path, reference.label)
        aim = chance.choices(possible, [AIMS[one] for one in possible])[0]
        _wait_for(aim, path, process, reference, before, chance)
        process.send_signal(signal.SIGKILL)
        code = process.wait()
        if code == -signal.SIGKILL:
            found.places.append(_place(path, before, reference))
    found.problem = difference(path, reference.path)
    if not found.problem:
        for made in (path, _home(path)):
            shutil.rmtree(made, ignore_errors=True)
    return found


@dataclass(frozen=True)
class _Traces:
    """What tells that a save is going on: files that were not there when the process began."""

    files: frozenset[tuple[str, int]]

    @classmethod
    def of(cls, path: Path) -> _Traces:
        found: set[tuple[str, int]] = set()
        for folder in (path, path / "checkpoints"):
            with contextlib.suppress(OSError):
                found |= {(entry.name, entry.inode()) for entry in os.scandir(folder)}
        return cls(frozenset(found))

    def since(self, before: _Traces) -> list[str]:
        """Return the names of the files that are new."""
        return [name for name, _ in self.files - before.files]


def _save(path: Path, before: _Traces) -> str:
    """Say which save is half done, as far as one can see from outside, or nothing."""
    new = _Traces.of(path).since(before)
    unfinished = [name for name in new if name.startswith(".") and ".tmp" in name]
    if any(name.startswith((".epoch-", ".state.")) for name in unfinished):
        return "checkpoint"
    if any(name.startswith((".model.", ".metrics.", ".validation.")) for name in unfinished):
        return "final save"
    if "model.keras" in new and (path / "checkpoints").exists():
        return "final save"  # Committed or not: the checkpoints are the last to go.
    state = path / "checkpoints" / "state.json"
    if not state.exists():
        return "checkpoint" if any(name.startswith("epoch-") for name in new) else ""
    content = json.loads(state.read_text(encoding="utf-8"))
    step = f"-step-{content['step']}" if content["step"] else ""
    counted = {f"epoch-{content['epoch']}{step}.npz", f"epoch-{content['best_epoch']}.npz"}
    between = any(name.startswith("epoch-") and name not in counted for name in new)
    return "checkpoint" if between or any(name.startswith(".history.") for name in unfinished) else ""


def _place(path: Path, before: _Traces, reference: Reference) -> str:
    """Say what a kill fell into."""
    if place := _save(path, before):
        return place
    filling = path.exists() and 0 < _features(path) < _features(reference.path)
    return "features" if filling else "elsewhere"


def _wait_for(
    aim: str, path: Path, process: subprocess.Popen[bytes], reference: Reference, before: _Traces, chance: random.Random
) -> None:
    """Return when a process shall be killed, or has ended; in a save it is stopped and looked at first."""
    if aim == "anywhere":
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.0, reference.before + reference.training))
        return
    # The first thing that is written, and the first that a resumed training writes again.
    _wait(process, lambda: "run.json" in _Traces.of(path).since(before))
    if aim == "features":
        most = chance.uniform(0.0, 0.9) * _features(reference.path)
        _wait(process, lambda: _features(path) > most or (path / "checkpoints").exists())
        return
    if aim != "final save":  # Epochs and not seconds: the machine may be busier than before.
        epochs = len(history(reference.path))
        until = chance.randint(min(_epochs(path), epochs - 1), epochs - 1)
        _wait(process, lambda: _epochs(path) >= until)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.0, reference.training / epochs))
    if aim in SAVES:
        longer = chance.uniform(0.0, 0.02)
        while True:
            _wait(process, lambda: _save(path, before) in (aim, "final save"), look=0.0005)
            time.sleep(longer)
            if process.poll() is not None:
                return
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.002)
            if _save(path, before) in SAVES:
                return
            process.send_signal(signal.SIGCONT)


def _wait(process: subprocess.Popen[bytes], reached: Callable[[], bool], *, look: float = 0.005) -> float:
    """Wait until something is reached or the process ends; return the seconds."""
    started = time.perf_counter()
    while process.poll() is None and not reached():
        time.sleep(look)
    return time.perf_counter() - started


def start(path: Path, label: str) -> subprocess.Popen[bytes]:
    """Start a training, or go on with it, with a cache of its own: a kill may fall while features are computed."""
    with path.with_name(f"{path.name}.err").open("wb") as err:
        return subprocess.Popen(
            [sys.executable, "-m", "dlcli", *command(path, label)],
            cwd=ROOT,
            env={**os.environ, "DLCLI_HOME": str(_home(path))},
            stdout=subprocess.DEVNULL,
            stderr=err,
            start_new_session=True,
        )


def command(path: Path, label: str) -> list[str]:
    """Return the arguments that start a training, or go on with it."""
    words = TRAININGS[label].split()
    # Before the run directory exists nothing has begun: the same command starts it.
    rest = [words[0], "--resume", str(path)] if path.exists() else [*words, "--out", str(path)]
    return [*rest, "-q"]


def _said(path: Path) -> str:
    return path.with_name(f"{path.name}.err").read_text(encoding="utf-8")[-500:]


def _home(path: Path) -> Path:
    return path.with_name(f"{path.name}-home")


def _features(path: Path) -> int:
    """Return how many bytes of features a run has in its cache."""
    return sum(file.stat().st_size for file in _home(path).glob("features/*/rows.bin"))


def difference(path: Path, reference: Path) -> str:
    """Say in what a run differs from another one, or what it has left half-written; nothing where all is well."""
    if json.loads((path / "run.json").read_text(encoding="utf-8"))["status"] != "finished":
        return "not finished"
    if left := [file.name for file in path.rglob(".*.tmp*")] + [path.name for path in path.glob("checkpoints")]:
        return f"left: {', '.join(left)}"
    looks: dict[str, Callable[[Path], Any]] = {
        "weights": lambda run: _bytes(weights(run)),
        "history": history,
        "scores and best epoch": lambda run: json.loads((run / "metrics.json").read_text(encoding="utf-8")),
        "answers": lambda run: _bytes(dict(np.load(run / "validation.npz"))),
    }
    return ", ".join(f"other {name}" for name, look in looks.items() if look(path) != look(reference))


def _epochs(path: Path) -> int:
    """Return how many epochs are done, as far as history tells."""
    file = path / "history.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def history(run: Path) -> list[dict[str, Any]]:
    """Return the history without its times."""
    lines = (run / "history.jsonl").read_text(encoding="utf-8").splitlines()
    times = ("seconds", "step_ms")
    return [{name: v for name, v in json.loads(line).items() if name not in times} for line in lines]


def weights(run: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a run's model."""
    found: dict[str, np.ndarray[Any, Any]] = {}
    with (
        zipfile.ZipFile(run / "model.keras") as archive,
        archive.open("model.weights.h5") as file,
        h5py.File(file) as h5,
    ):
        h5.visititems(lambda name, node: found.update({name: node[()]}) if isinstance(node, h5py.Dataset) else None)
    return found


def _bytes(arrays: dict[str, np.ndarray[Any, Any]]) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {name: (str(array.dtype), np.shape(array), np.asarray(array).tobytes()) for name, array in arrays.items()}


def _table(rounds: list[Round]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "| training | trainings | kills | in a checkpoint | in the final save | computing features | identical |",
        "|---|---|---|---|---|---|---|",
    ]
    for label in [*dict.fromkeys(one.label for one in rounds), "all"]:
        some = [one for one in rounds if label in (one.label, "all")]
        places = Counter(place for one in some for place in one.places)
        counts = [len(some), places.total(), *(places[place] for place in PLACES[:3])]
        counts.append(sum(one.problem == "" for one in some))
        lines.append(f"| {label} | " + " | ".join(map(str, counts)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
