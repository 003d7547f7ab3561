"""Stop commands politely, at random moments: SIGTERM and SIGINT, once or twice.

    python tests/trust/stop.py --stops 50

Trainings of all domains, evaluate, augment and export get a signal in a random stage of their work, or in the first
moments of the process. They end within 10 seconds, with exit code 143 or 130 and one line on stderr. A training keeps
a checkpoint that is at most one step behind what its progress has shown, is resumed, stopped again, and ends with the
weights of one that nobody stopped. Some get the signal twice, the second time as soon as a checkpoint is being written:
they end at once, and can be resumed too. The others leave nothing half-written, and the same command ends as if nobody
had stopped the first one.
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
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from trust import kill
from trust.figures import ROOT, keep, options

REVIEWS_TEST = ROOT / "sample_data" / "reviews-test.csv"
CODES = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}
TRAININGS = [
    "ngram, dropout, early stopping",
    "cnn, dropout of three kinds, plateau",
    "pictures, augmentation, MixUp, CutMix, dropout, plateau",
    "frozen base, features of changed copies, dropout, plateau",
]
# What works on a folder of its own: {place}; {run} is a run of the first training in there.
OTHERS = {
    "evaluate": f"evaluate {{run}} {REVIEWS_TEST} --save-predictions {{place}}/answers.csv --bootstrap 2000 --force",
    "augment": f"augment {kill.SHAPES} {{place}}/copies --augment strong --copies 8 --force",
    "export": "export {run} --format savedmodel --verify 64 --out {place}/savedmodel --force",
    "export (onnx)": "export {run} --format onnx --verify 64 --out {place}/onnx --force",
}
KINDS = ("once", "once", "twice", "first moments")
LIMIT = 10.0
# The command, with a line for each stage of its progress (and its steps) and each step in a file.
_TOLD = """
import os, sys, time
log = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
from dlcli.__main__ import main
from dlcli.console import Console
begin, advance = Console.begin, Console.advance
def told_begin(self, task, total=None):
    os.write(log, f"{task}\\t{total or 0}\\t{time.time()}\\n".encode())
    begin(self, task, total)
def told_advance(self, count=1):
    os.write(log, f"+{count}\\n".encode())
    advance(self, count)
Console.begin, Console.advance = told_begin, told_advance
main()
"""


def main() -> int:
    """Stop commands, and print what came of it."""
    parser = options("Stop commands politely, at random moments.")
    parser.add_argument("--stops", type=int, default=50, help="at least (default 50)")
    given = parser.parse_args()
    chance = random.Random(given.seed)
    print(f"seed {given.seed}", flush=True)
    stops: list[Stop] = []
    with tempfile.TemporaryDirectory(prefix="dlcli-stop-") as name:
        folder = Path(name)
        references = [uninterrupted(folder, label) for label in TRAININGS]
        wholes = {verb: whole(folder, verb, references[0].path) for verb in OTHERS}
        for number in itertools.count():
            if len(stops) >= given.stops:
                break
            if number % 3 == 0:
                reference = references[number // 3 % len(references)]
                done = stopped_training(folder / f"run-{number}", reference, chance)
            else:
                verb = list(OTHERS)[(number // 3 * 2 + number % 3 - 1) % len(OTHERS)]
                done = [stopped_other(folder / f"place-{number}", verb, references[0].path, wholes[verb], chance)]
            stops += done
            for stop in done:
                print(f"{len(stops):3} {stop}", flush=True)
    keep("stop", table(stops), seed=given.seed, write=given.write)
    return int(any(stop.problems for stop in stops))


@dataclass
class Stop:
    """What came of one stop.

    Attributes:
        what: the command.
        kind: of `KINDS`.
        number: the signal.
        stage: that the command had told of last.
        seconds: from the (second) signal to the end.
        lost: steps of a training that the checkpoint does not have; None where there is none.
        problems: what is not as it should be.
    """

    what: str
    kind: str
    number: signal.Signals
    stage: str = ""
    seconds: float = 0.0
    lost: int | None = None
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lost = "" if self.lost is None else f", {self.lost} steps lost"
        what = f"{self.what}: {self.number.name} {self.kind} in {self.stage!r}: {self.seconds:.1f} s{lost}"
        return f"{what}: {'; '.join(self.problems) or 'as it should be'}"


def uninterrupted(folder: Path, label: str) -> kill.Reference:
    """Train without a stop."""
    path = folder / f"reference-{TRAININGS.index(label)}"
    started = time.perf_counter()
    ended = subprocess.run([sys.executable, "-c", _TOLD, _log(path), *kill.command(path, label)], **_surroundings(path))
    if ended.returncode:
        raise SystemExit(f"the training that nobody stopped failed: {label}")
    return kill.Reference(label, path, before=0.0, training=time.perf_counter() - started)


def stopped_training(path: Path, reference: kill.Reference, chance: random.Random, *, most: int = 3) -> list[Stop]:
    """Stop a training up to three times, resume it, and compare it with the one that nobody stopped."""
    found: list[Stop] = []
    stages = _stages(_lines(reference.path))
    while True:
        kind = chance.choice(KINDS)
        words = kill.command(path, reference.label)
        if len(found) == most or (path.exists() and _status(path) == "finished"):
            ended = subprocess.run([sys.executable, "-m", "dlcli", *words], **_surroundings(path))
            problem = f"resume: exit code {ended.returncode}" if ended.returncode else ""
            problem = problem or kill.difference(path, reference.path)
            found[-1].problems += [problem] if problem else []
            return found
        stop = _stop(words, path, reference.label, kind, stages, chance)
        if stop is None:  # It was done before the signal came.
            found = found or [Stop(reference.label, kind, signal.SIGINT)]
            continue
        if kind == "once" and stop.stage.startswith("epoch "):
            stop.lost = _lost(path)
            if stop.lost > 1:
                stop.problems.append(f"{stop.lost} steps lost")
        found.append(stop)


def whole(folder: Path, verb: str, run: Path) -> Path:
    """Return the folder in which another command has worked that nobody stopped."""
    place = folder / f"whole-{len(list(folder.glob('whole-*')))}"
    words = _prepared(place, verb, run)
    ended = subprocess.run([sys.executable, "-c", _TOLD, _log(place), *words], **_surroundings(place))
    if ended.returncode:
        raise SystemExit(f"{verb}, which nobody stopped, failed")
    return place


def stopped_other(place: Path, verb: str, run: Path, reference: Path, chance: random.Random) -> Stop:
    """Stop another command; look at what it leaves, and whether it ends as it should the next time."""
    words = _prepared(place, verb, run)
    before = _files(place)
    kind = chance.choice(["once", "once", "first moments"])
    stages = _stages(_lines(reference))
    stop = _stop(words, place, verb, kind, stages, chance) or Stop(verb, "too late", signal.SIGINT)
    expected, found = _files(reference), _files(place)
    for name, content in found.items():
        if name not in expected or (content != expected[name] and content != before.get(name)):
            stop.problems.append(f"left {name}")
    if "export" in verb and len(found) not in (len(before), len(expected)):
        stop.problems.append("left a part of the artefact")
    ended = subprocess.run([sys.executable, "-m", "dlcli", *words], **_surroundings(place))
    if ended.returncode or _files(place) != expected:
        stop.problems.append(f"the same command again: exit code {ended.returncode}")
    return stop


def _prepared(place: Path, verb: str, run: Path) -> list[str]:
    shutil.copytree(run, place / "run")
    return [*OTHERS[verb].format(place=place, run=place / "run").split(), "-q"]


def _files(place: Path) -> dict[str, str]:
    """Return what a command has written, by its name: hashes, or sizes where no two are the same."""
    from dlcli.core.files import sha256

    files = {file.relative_to(place).as_posix(): file for file in place.rglob("*") if file.is_file()}
    # What a stopped augment goes on with; times and paths, and names that converters number anew.
    kept = {name: file for name, file in files.items() if "/.augmentation/" not in name and not name.endswith(".lock")}
    varies = ("run/evaluations/", "savedmodel/", "onnx/")
    return {name: "whole" if name.startswith(varies) else sha256(file) for name, file in kept.items()}


def _stop(
    words: list[str], place: Path, what: str, kind: str, stages: list[tuple[str, float]], chance: random.Random
) -> Stop | None:
    """Start a command, stop it, and look at how it ends; None when it has ended by itself."""
    stop = Stop(what, kind, chance.choice(list(CODES)))
    command = ["-m", "dlcli"] if kind == "first moments" else ["-c", _TOLD, _log(place)]
    aimed = chance.randrange(len(stages))
    longer = chance.uniform(0.0, 1.5 if kind == "first moments" else stages[aimed][1])
    later = {stage for stage, _ in stages[aimed:]}  # A training that goes on has earlier stages no more.
    Path(_log(place)).unlink(missing_ok=True)
    with place.with_name(f"{place.name}.err").open("w+", encoding="utf-8") as err:
        process = subprocess.Popen(
            [sys.executable, *command, *words],
            stderr=err,
            # A shell's background jobs ignore SIGINT, and their children with them.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            **_surroundings(place),
        )
        while process.poll() is None:
            if hears(process) if kind == "first moments" else later.intersection(_told(place)):
                break
            time.sleep(0.005)
        _pause(process, longer)
        if process.poll() is not None:
            return None
        stop.stage = (_told(place) or ["the start"])[-1]
        process.send_signal(stop.number)
        if kind == "twice":
            _wait_for_checkpoint(process, place)
            process.send_signal(stop.number)
        started = time.perf_counter()
        try:
            code = process.wait(timeout=6 * LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        stop.seconds = time.perf_counter() - started
        err.seek(0)
        said = err.read()
    if stop.seconds > LIMIT:
        stop.problems.append(f"took {stop.seconds:.1f} s")
    expected, word = CODES[stop.number]
    if (code, said) != (expected, f"dlcli: {word}\n"):
        stop.problems.append(f"exit code {code}, said {said[-300:]!r}")
    return stop


def hears(process: subprocess.Popen[Any]) -> bool:
    """Say whether a process is past Python's own start, in which any program in Python ends in Python's way."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return True
    (caught,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def _pause(process: subprocess.Popen[Any], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)


def _wait_for_checkpoint(process: subprocess.Popen[Any], path: Path) -> None:
    """Wait until a checkpoint is half-written, or a tenth of a second."""
    until = time.perf_counter() + 0.1
    while process.poll() is None and time.perf_counter() < until:
        if any((path / "checkpoints").glob(".*.tmp*")):
            return


def _surroundings(place: Path) -> dict[str, Any]:
    """Return what all commands are started with: a cache of their own, as in `kill`."""
    home = place.with_name(f"{place.name}-home")
    return {"cwd": ROOT, "env": {**os.environ, "DLCLI_HOME": str(home)}, "stdout": subprocess.DEVNULL}


def _log(place: Path) -> str:
    return str(place.with_name(f"{place.name}.log"))


def _lines(place: Path) -> list[str]:
    path = Path(_log(place))
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _stages(lines: list[str]) -> list[tuple[str, float]]:
    """Return the stages that a command has told of, and the seconds of each."""
    begun = [line.split("\t") for line in lines if "\t" in line]
    times = [float(time) for *_, time in begun]
    return [
        (stage[0], end - start) for stage, start, end in zip(begun, times, [*times[1:], times[-1] + 0.2], strict=True)
    ]


def _told(place: Path) -> list[str]:
    """Return the stages that a command has told of."""
    return [line.split("\t")[0] for line in _lines(place) if "\t" in line]


def _lost(path: Path) -> int:
    """Return how many of the steps that a training has shown its checkpoint does not have."""
    lines = _lines(path)
    begun = max(number for number, line in enumerate(lines) if line.startswith("epoch "))
    epoch, steps, _ = lines[begun].split("\t")
    shown = (int(epoch.split()[1].split("/")[0]) - 1) * int(steps) + sum(map(int, lines[begun + 1 :]))
    state = json.loads((path / "checkpoints" / "state.json").read_text(encoding="utf-8"))
    return shown - int(state["epoch"] * int(steps) + state["step"])


def table(stops: list[Stop]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "| command | stops | in the first moments | twice | longest (s) | most steps lost | as it should be |",
        "|---" * 7 + "|",
    ]
    for what in [*dict.fromkeys(stop.what for stop in stops), "all"]:
        some = [stop for stop in stops if what in (stop.what, "all")]
        kinds = [stop.kind for stop in some]
        lost = [stop.lost for stop in some if stop.lost is not None]
        cells = [len(some), kinds.count("first moments"), kinds.count("twice"), f"{max(s.seconds for s in some):.1f}"]
        cells += [max(lost, default="-"), sum(not stop.problems for stop in some)]
        lines.append(f"| {what} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _status(path: Path) -> str:
    return str(json.loads((path / "run.json").read_text(encoding="utf-8"))["status"])


if __name__ == "__main__":
    sys.exit(main())
