"""Two processes at one place: the second says who holds it, or waits, or both are right; what the dead left is no lock.

    python tests/trust/together.py --only names

- `names`: runs that are started at the same moment without `--out` get a directory each. The random part of the name is
  cut to 64 values, so that they do collide.
- `whole`: a few of them, from the command line to the end.
- `running`: while a process writes a run, each command that needs it ends with exit code 5 and names that process.
- `dead`: locks that were left over, whose process id is now another program's, and writers that were killed, hold
  nothing.
- `pairs`: two processes with the same command at the same moment, or a little apart. Each ends well, or with exit
  code 5 and the reason; what stands there in the end is what one alone makes.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import Outcome, call
from server import serving
from trust.disks import Inputs, inside, meaning, training_line
from trust.figures import keep, options


def main() -> int:
    """Run the trials and print what came of them."""
    parser = options("Two processes at one place.")
    parser.add_argument("--names", type=int, default=50, help="runs that are started at the same moment")
    parser.add_argument("--rounds", type=int, default=4, help="of each pair")
    parser.add_argument("--only", default="", help="one of names, whole, running, dead, pairs")
    parser.add_argument("--pair", default="", help="of the pairs, those whose name has this in it")
    chosen = parser.parse_args()
    problems: list[str] = []
    rows = ["| at one place | tries | as promised |", "|---|--:|--:|"]
    with tempfile.TemporaryDirectory(prefix="dlcli-together-") as name:
        folder = Path(name).resolve()
        trials: dict[str, Callable[[], Iterator[tuple[str, int, list[str]]]]] = {
            "names": lambda: names(folder, chosen.names),
            "whole": lambda: whole(folder, chosen.rounds),
            "running": lambda: running(folder),
            "dead": lambda: dead(folder),
            "pairs": lambda: pairs(folder, chosen.rounds, random.Random(chosen.seed), chosen.pair),
        }
        for trial, make in trials.items():
            if chosen.only in ("", trial):
                for what, tries, wrong in make():
                    print(f"{what}: {tries - len(wrong)} of {tries}", *wrong, sep="\n    ", flush=True)
                    rows.append(f"| {what} | {tries} | {tries - len(wrong)} |")
                    problems += wrong
    keep("together", "\n".join(rows), seed=chosen.seed, write=chosen.write)
    return int(bool(problems))


# Runs that are started at the same moment.


def names(folder: Path, count: int) -> Iterator[tuple[str, int, list[str]]]:
    """Start runs at the same moment, as far as their directories."""
    place = folder / "names"
    place.mkdir()
    fork = multiprocessing.get_context("fork")
    assert "tensorflow" not in sys.modules, "its threads do not live through a fork"
    importlib.import_module("dlcli.core.run")  # Once, and not in each process.
    barrier, results = fork.Barrier(count), fork.SimpleQueue()
    processes = [fork.Process(target=_take_a_name, args=(place, barrier, results)) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    found = [results.get() for process in processes if process.exitcode == 0]
    wrong = [f"process {process.pid}: exit code {process.exitcode}" for process in processes if process.exitcode]
    if len({path for path, _ in found}) != len(found):
        wrong.append(f"{len(found)} runs in {len({path for path, _ in found})} directories")
    for path, pid in found:
        record = json.loads((place / path / "run.json").read_bytes())
        if (record["pid"], record["seed"]) != (pid, pid):
            wrong.append(f"{path} of process {pid} says {record['pid']}")
    if left := {path.name for path in (place / "runs").iterdir()} - {Path(path).name for path, _ in found}:
        wrong.append(f"left: {left}")
    yield f"{count} runs started at the same moment have a directory each", count, wrong


def _take_a_name(place: Path, barrier: Any, results: Any) -> None:
    """Make a run in a directory of its own, and keep it until all have one."""
    from dlcli.core import run as runs

    os.chdir(place)
    runs.secrets.token_hex = lambda size=None: f"{random.SystemRandom().randrange(64):04x}"  # type: ignore[assignment]
    record = runs.RunRecord(verb="train-text", domain="text", config={}, seed=os.getpid())
    barrier.wait(60)
    with runs.claimed(None, "train-text") as path, runs.create(path, record, force=False) as run:
        results.put((str(run.path), os.getpid()))
        barrier.wait(60)


def whole(folder: Path, count: int) -> Iterator[tuple[str, int, list[str]]]:
    """Start whole trainings at the same moment."""
    place = folder / "whole"
    place.mkdir()
    Inputs(folder / "inputs").lay(("tiny.csv",), place)
    command = [sys.executable, "-m", "dlcli", *training_line("").removesuffix("--out ").split(), "-q"]
    with inside(place):
        started = [_quietly(command) for _ in range(count)]
        errors = [(process.communicate()[1], process.returncode) for process in started]
    wrong = [f"exit code {code}: {error}" for error, code in errors if code]
    runs = list((place / "runs").iterdir())
    if len(runs) != count:
        wrong.append(f"{count} runs in {len(runs)} directories")
    if len({json.dumps(meaning(run), sort_keys=True) for run in runs}) > 1:
        wrong.append("the runs differ")
    yield "whole trainings of one command, started at the same moment without --out", count, wrong


def _quietly(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


# A run that is being written.

_WRITER = """
import sys
from pathlib import Path
from dlcli.core.record import RunRecord
from dlcli.core.run import create
record = RunRecord.model_validate_json(Path(sys.argv[2]).read_bytes())
record.status = "running"
with create(Path(sys.argv[1]), record, force=True) as run:
    print("ready", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def writer(path: Path, record: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process write a run, with the record of another one."""
    command = [sys.executable, "-c", _WRITER, str(path), str(record)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


NEED_THE_RUN = (
    "evaluate run tiny.csv",
    "predict run tiny.csv",
    "report run",
    "export run --out out",
    "eject run out.py",
    "explain run --text film",
    "ensemble run other",
    "train-text --resume run",
    "train-text tiny.csv --out run --force",
    "train-text tiny.csv --from run",
)


def running(folder: Path) -> Iterator[tuple[str, int, list[str]]]:
    """Ask for a run that another process writes."""
    place = folder / "running"
    place.mkdir()
    Inputs(folder / "inputs").lay(("tiny.csv", "text", "other"), place)
    shutil.copyfile(place / "text" / "run.json", folder / "record.json")
    with inside(place), writer(place / "run", folder / "record.json") as process:
        yield "commands on a run that is being written", len(NEED_THE_RUN), refused(NEED_THE_RUN, process.pid)


def refused(lines: tuple[str, ...], pid: int) -> list[str]:
    """Return which commands are not refused with exit code 5 and the process id of who writes the run."""
    wrong = []
    for line in lines:
        outcome = call(*line.split())
        if outcome.code != 5 or f"run is still running (process {pid})" not in outcome.err:
            wrong.append(f"{line}: exit code {outcome.code}, {outcome.err[-300:]}")
    return wrong


# What the dead have left.


def dead(folder: Path) -> Iterator[tuple[str, int, list[str]]]:
    """Meet what a killed process, or a machine that was started anew, has left."""
    place = folder / "dead"
    place.mkdir()
    Inputs(folder / "inputs").lay(("tiny.csv", "shapes"), place)
    with inside(place):
        reference = _reference(place)
        yield "a run whose writer was killed, resumed", *_resumed(place, reference)
        yield "locks of the dead, with the process id of another program", *_stale(place)


def _reference(place: Path) -> dict[str, Any]:
    outcome = call(*training_line("reference").split())
    assert outcome.code == 0, outcome.err
    return meaning(place / "reference")


def _resumed(place: Path, reference: dict[str, Any]) -> tuple[int, list[str]]:
    """Kill a training; give its record the number of a program that runs; resume it."""
    command = [sys.executable, "-m", "dlcli", *training_line("run").split()]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (place / "run" / "checkpoints" / "state.json").exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    record = place / "run" / "run.json"
    content = json.loads(record.read_bytes())
    record.write_text(json.dumps(content | {"pid": os.getppid()}))
    (place / "run" / ".lock").write_text(f"{os.getppid()}\n")
    wrong = []
    if content["status"] == "running":
        outcome = call("evaluate", "run", "tiny.csv")
        if outcome.code != 4 or "run was interrupted" not in outcome.err:
            wrong.append(f"evaluate: exit code {outcome.code}, {outcome.err}")
    outcome = call("train-text", "--resume", "run")
    if outcome.code or meaning(place / "run") != reference:
        wrong.append(f"--resume: exit code {outcome.code}, {outcome.err}")
    return 1, wrong


def _stale(place: Path) -> tuple[int, list[str]]:
    """Leave locks and half-written folders as a machine does that lost its power; say the commands."""
    left = f"{os.getppid()}\n"
    for lock in (place / ".copies.lock", place / ".bag.lock", place / ".found.lock"):
        lock.write_text(left)
    (place / f".bag.{os.getppid()}-0a1b2c3d.tmp").mkdir()
    lines = (
        "augment shapes copies --augment book --copies 1",
        "tokenize tiny.csv bag",
        "check shapes --quarantine found",
    )
    outcomes = {line: call(*line.split()) for line in lines}
    wrong = [f"{line}: exit code {one.code}, {one.err}" for line, one in outcomes.items() if one.code]
    names = [path.name for path in place.iterdir()]
    return len(lines), wrong + [f"left: {name}" for name in names if re.search(r"^\.(bag|copies|found)\.", name)]


# The same command twice.


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two processes with one command.

    Attributes:
        command: in a folder that holds the inputs.
        makes: what is looked at in the end.
        inputs: of `Inputs`.
        both: whether both must end well, by waiting or by sharing; else one may be refused.
    """

    command: str
    makes: str
    inputs: tuple[str, ...]
    both: bool = False


_FINETUNE = "finetune shapes --base shipped --freeze-base --image-size 32 --epochs 1 --batch-size 8 --out run-{number}"
PAIRS = {
    "augment into one folder": Pair(
        command="augment shapes out --augment book --copies 2", makes="out", inputs=("shapes",)
    ),
    "clean into one file": Pair(
        command="clean tiny.csv out.csv --force", makes="out.csv", inputs=("tiny.csv",), both=True
    ),
    "tokenize into one folder": Pair(command="tokenize tiny.csv out", makes="out", inputs=("tiny.csv",)),
    "check --quarantine into one folder": Pair(
        command="check shapes --quarantine out", makes="out", inputs=("shapes", "twins")
    ),
    "data fetch of one data set": Pair(command="data fetch mine", makes="home/data/mine", inputs=(), both=True),
    "train-text into one run": Pair(command=training_line("run"), makes="run", inputs=("tiny.csv",)),
    "train-text --force onto one run": Pair(
        command=training_line("text") + " --force", makes="text", inputs=("tiny.csv", "text")
    ),
    "ensemble into one run": Pair(
        command="ensemble text other --weights 1,1 --out out", makes="out", inputs=("text", "other")
    ),
    "export into one folder": Pair(command="export text --out out", makes="out", inputs=("text",)),
    "evaluate one run": Pair(
        command="evaluate text tiny.csv", makes="text/evaluations", inputs=("text", "tiny.csv"), both=True
    ),
    "predict into one file": Pair(
        command="predict text tiny.csv --out out.csv --force", makes="out.csv", inputs=("text", "tiny.csv"), both=True
    ),
    "finetune with one feature cache": Pair(command=_FINETUNE, makes="run-1", inputs=("shapes",), both=True),
    "pretrained add of one name": Pair(
        command="pretrained add pictures --name mine --force",
        makes="home/pretrained",
        inputs=("pictures",),
        both=True,
    ),
}


def pairs(folder: Path, rounds: int, chance: random.Random, only: str) -> Iterator[tuple[str, int, list[str]]]:
    """Start each command twice, at the same moment or a little apart."""
    inputs = Inputs(folder / "inputs")
    with serving() as server:
        server.files["/mine.csv"] = ("text,label\n" + "good film,pos\nbad film,neg\n" * 50_000).encode()
        entry = f'title = "mine"\naddress = "{server.base}/mine.csv"\nlicence = "none"\ndata = "mine.csv"\n'
        for name, pair in PAIRS.items():
            if only not in name:
                continue
            trial = _PairTrial(pair, inputs, folder / "pair", entry)
            wrong = []
            for number in range(rounds):
                apart = 0.0 if number % 2 == 0 else chance.uniform(0, trial.seconds)
                wrong += [f"{name}, {apart:.2f} s apart: {problem}" for problem in trial.round(apart)]
            yield name, rounds, wrong


class _PairTrial:
    """One command: alone, then twice at a time."""

    def __init__(self, pair: Pair, inputs: Inputs, folder: Path, entry: str) -> None:
        self.pair, self.inputs, self.folder, self.entry = pair, inputs, folder, entry
        self._fresh()
        started = time.perf_counter()
        with inside(folder):
            process = self._start(1)
            error = process.communicate()[1]
            assert process.returncode == 0, error
        self.seconds = time.perf_counter() - started
        self.alone = self._made()

    def round(self, apart: float) -> Iterator[str]:
        """Start both; yield what is wrong."""
        self._fresh()
        with inside(self.folder):
            processes = [self._start(1)]
            time.sleep(apart)
            processes.append(self._start(2))
            said = [process.communicate() for process in processes]
            outcomes = [Outcome(process.returncode, *one) for process, one in zip(processes, said, strict=True)]
        if all(outcome.code for outcome in outcomes):
            yield f"neither ended well: {outcomes}"
        for outcome in outcomes:
            reason = re.search(r"process \d+|holds what|holds a run|is not empty|holds an earlier", outcome.err)
            if outcome.code not in (0, 5) or (outcome.code == 5 and (self.pair.both or not reason)):
                yield f"exit code {outcome.code}: {outcome.err[-400:]}"
        if self._made() != self.alone:
            yield f"another result than alone: {sorted(set(self._made()) ^ set(self.alone)) or 'content'}"
        yield from (f"left: {path}" for path in self.folder.rglob(".*.tmp*"))

    def _fresh(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.inputs.lay(self.pair.inputs, self.folder)
        (self.folder / "home" / "data").mkdir(parents=True)
        (self.folder / "home" / "data" / "mine.toml").write_text(self.entry, encoding="utf-8")

    def _start(self, number: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "dlcli", *self.pair.command.format(number=number).split(), "-q"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _made(self) -> dict[str, Any]:
        found = meaning(self.folder / self.pair.makes)
        return {name: value for name, value in found.items() if not name.endswith((".lock", ".fetched.json"))}


if __name__ == "__main__":
    sys.exit(main())
