"""Make each write, flush and rename of a save fail, one after the other: there is always the old state or the new one.

    python tests/trust/disks.py --only export

Each case below is a command. A first, undisturbed time counts the calls that write below its folder (`faults.py`, by
a shim that is loaded before the C library, so that those of HDF5 and of TensorFlow's C++ count too); then the command
is run once for every call (of many writes in a row to one file, for some: `--writes`), which fails: as a full disk
(ENOSPC) or a broken one (EIO) does once, or as one that is full from then on. Each time the exit code must be 5 and
one line must name a file; what stood there must be as it was byte by byte, or the new one whole; no temporary file
may be left; and the same command again, or `--resume`, must come to what the undisturbed one has made, weights bit
for bit. A small tmpfs that really is full is one case more, where one can be mounted. What the shim does not cover is
said in `faults.py`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import REVIEWS, ROOT, Outcome, call
from trust import faults
from trust.faults import Call, Faults
from trust.figures import keep, options

SHAPES = ROOT / "sample_data" / "shapes"
_TRAIN = "--epochs 2 --checkpoint-minutes 0.0001 --device cpu --out run"
_TEXT = f"train-text tiny.csv --ngrams 2 --schedule plateau --monitor val_loss --dropout 0.2 --batch-size 18 {_TRAIN}"
_PICTURES = f"train-image shapes --model cnn --filters 4 --hidden-units 4 --image-size 16 --batch-size 8 {_TRAIN}"
_AUGMENT = "augment few out --augment book --copies 1"


def training_line(out: str) -> str:
    """Return the words of a short training on the small table."""
    return f"{_TEXT.removesuffix('run')}{out}"


FAULTS = {
    "full once": (errno.ENOSPC, False),
    "broken once": (errno.EIO, False),
    "full from then on": (errno.ENOSPC, True),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command that saves something.

    Attributes:
        command: the words behind `dlcli`, said in a folder that holds the inputs.
        makes: what it makes or changes there.
        inputs: of `_inputs`, what the folder holds.
        first: commands that make what stands there before.
        resumes: the verb of a training: a run that was begun is resumed.
        goes_on: whether what was begun stays, for the same command to go on with.
        optional: parts of paths whose failure is a warning: the result does not depend on them.
    """

    command: str
    makes: str
    inputs: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    resumes: str = ""
    goes_on: bool = False
    optional: tuple[str, ...] = ("log.txt",)


# Without TensorFlow: what CI tries.
PLAIN = {
    "clean --force": Case(
        command="clean tiny.csv out.csv --lowercase --force",
        makes="out.csv",
        inputs=("tiny.csv",),
        first=("clean tiny.csv out.csv",),
    ),
    "augment": Case(command=_AUGMENT, makes="out", inputs=("few",), goes_on=True),
    "augment --force": Case(
        command=f"{_AUGMENT} --seed 1 --force", makes="out", inputs=("few",), first=(_AUGMENT,), goes_on=True
    ),
}
CASES = PLAIN | {
    "clean": Case(command="clean tiny.csv out.csv", makes="out.csv", inputs=("tiny.csv",)),
    "augment --preview": Case(command="augment few --augment book --preview out.png", makes="out.png", inputs=("few",)),
    "check --quarantine": Case(
        command="check shapes --quarantine out --force",
        makes="out",
        inputs=("shapes", "twins"),
        first=("check shapes --quarantine out",),
    ),
    "train-text": Case(command=_TEXT, makes="run", inputs=("tiny.csv",), resumes="train-text"),
    "train-text --force": Case(
        command=f"{_TEXT} --seed 3 --force", makes="run", inputs=("tiny.csv",), first=(_TEXT,), resumes="train-text"
    ),
    "train-image --cache disk": Case(
        command=f"{_PICTURES} --augment book --cache disk", makes="run", inputs=("shapes",), resumes="train-image"
    ),
    "finetune, cached features": Case(
        command=f"finetune shapes --base shipped --freeze-base --image-size 32 --batch-size 8 {_TRAIN}",
        makes="run",
        inputs=("shapes",),
        resumes="finetune",
    ),
    "ensemble": Case(command="ensemble text other --weights 1,1 --out out", makes="out", inputs=("text", "other")),
    "tokenize": Case(
        command="tokenize tiny.csv out --features tfidf --force",
        makes="out",
        inputs=("tiny.csv",),
        first=("tokenize tiny.csv out",),
    ),
    "export savedmodel": Case(
        command="export text --out out --force",
        makes="out",
        inputs=("text", "other"),
        first=("export other --out out",),
    ),
    "export keras": Case(command="export text --format keras --out out", makes="out", inputs=("text",)),
    "export litert": Case(command="export pictures --format litert --out out", makes="out", inputs=("pictures",)),
    "export onnx": Case(command="export pictures --format onnx --out out", makes="out", inputs=("pictures",)),
    "evaluate": Case(
        command="evaluate text tiny.csv --save-predictions out.csv --force",
        makes="out.csv",
        inputs=("text", "tiny.csv"),
        first=("evaluate text tiny.csv --save-predictions out.csv",),
        optional=("evaluations", "baselines"),
    ),
    "predict": Case(
        command="predict text tiny.csv --proba --out out.csv --force",
        makes="out.csv",
        inputs=("text", "tiny.csv"),
        first=("predict text tiny.csv --out out.csv",),
    ),
    "report": Case(
        command="report text tiny.csv --out out.html --force",
        makes="out.html",
        inputs=("text", "tiny.csv"),
        first=("report text --out out.html",),
        optional=("evaluations", "baselines"),
    ),
    "explain": Case(command="explain text --text film --html out.html", makes="out.html", inputs=("text",)),
    "features": Case(
        command="features shapes out.npz --base shipped --image-size 32", makes="out.npz", inputs=("shapes",)
    ),
    "eject": Case(command="eject text out.py", makes="out.py", inputs=("text",)),
    "pretrained add": Case(
        command="pretrained add pictures --name mine", makes="home/pretrained/mine.toml", inputs=("pictures",)
    ),
    "inspect --graph": Case(command="inspect pictures --graph out.png", makes="out.png", inputs=("pictures",)),
}


@dataclass
class Tally:
    """What came of one case.

    Attributes:
        calls: that write, by kind.
        faults: how many of them failed.
        without: how often the command came to its result all the same: a second way, or a file that it can do without.
        problems: what was wrong.
    """

    calls: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    without: int = 0
    problems: list[str] = field(default_factory=list)


def main() -> int:
    """Run the cases and print what came of them."""
    parser = options("Make each write, flush and rename of a save fail.")
    parser.add_argument("--only", default="", help="of the cases, those whose name has this in it")
    parser.add_argument(
        "--writes",
        type=int,
        default=4,
        help="of more writes in a row to one file the first, the last and so many drawn ones fail (default 4); 0: all",
    )
    parser.add_argument("--most", type=int, default=0, help="of all calls of a command, so many fail; 0: all")
    parser.add_argument("--every", action="store_true", help="each call fails in all ways, else in one of them")
    parser.add_argument("--plain", action="store_true", help="only cases that need no TensorFlow")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dlcli-disks-") as name:
        folder = Path(name).resolve()
        if not faults.here():
            if not faults.possible():
                print("the shim needs Linux and gcc: nothing was tried")
                return 0
            arguments = [*sys.argv[1:], *([] if "--seed" in sys.argv else ["--seed", str(chosen.seed)])]
            return faults.again(__file__, *arguments, folder=folder)
        cases = {name: case for name, case in (PLAIN if chosen.plain else CASES).items() if chosen.only in name}
        tallies = run(cases, folder, writes=chosen.writes, most=chosen.most, every=chosen.every, seed=chosen.seed)
        full = [] if chosen.plain or chosen.only else small_disk(folder)
    keep("disks", _table(tallies, full), seed=chosen.seed, write=chosen.write)
    return int(any(tally.problems for tally in tallies.values()) or any(full))


def run(cases: dict[str, Case], folder: Path, *, writes: int, most: int, every: bool, seed: int) -> dict[str, Tally]:
    """Run cases in a folder.

    Args:
        cases: by name.
        folder: for all files.
        writes: of writes in a row to one file, how many drawn ones fail beside the first and the last; 0 for all.
        most: of all calls, how many fail; 0 for all.
        every: whether each call fails in all ways, or in one of them: another one with the next seed.
        seed: of which.
    """
    shim = Faults()
    inputs = Inputs(folder / "inputs")
    tallies = {}
    for name, case in cases.items():
        begun = time.perf_counter()
        tallies[name] = tally = _Trial(case, inputs, folder / "case", shim).all(
            writes=writes, most=most, every=every, seed=seed
        )
        seconds = time.perf_counter() - begun
        print(
            f"{name}: {sum(tally.calls.values())} calls, {tally.faults} faults, {tally.without} done without, "
            f"{len(tally.problems)} problems, {seconds:.0f} s",
            flush=True,
        )
    return tallies


class Inputs:
    """What the commands read, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def lay(self, names: Iterable[str], place: Path) -> None:
        """Copy inputs into a folder."""
        for name in names:
            path = self.folder / name
            if not path.exists():
                self._make(name, path)
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, place / name, **_MERGE[path.is_dir()])
        if "twins" in names:
            shutil.move(place / "twins" / "twin.png", place / "shapes" / "circle" / "twin.png")
            shutil.rmtree(place / "twins")

    def _make(self, name: str, path: Path) -> None:
        if name == "tiny.csv":
            path.write_text("".join(REVIEWS.read_text(encoding="utf-8").splitlines(keepends=True)[:41]), "utf-8")
        elif name in ("shapes", "few"):
            for one in sorted(SHAPES.glob("*")):
                (path / one.name).mkdir(parents=True)
                for picture in sorted(one.iterdir())[: 4 if name == "shapes" else 1]:
                    shutil.copyfile(picture, path / one.name / picture.name)
        elif name == "twins":
            path.mkdir()
            shutil.copyfile(min((SHAPES / "circle").iterdir()), path / "twin.png")
        else:
            data = "shapes" if name == "pictures" else "tiny.csv"
            if not (self.folder / data).exists():
                self._make(data, self.folder / data)
            line = {"text": _TEXT, "other": f"{_TEXT} --seed 7", "pictures": _PICTURES}[name]
            with inside(self.folder):
                _must(line.replace("--out run", f"--out {name}"))


_MERGE: dict[bool, dict[str, Any]] = {True: {"dirs_exist_ok": True}, False: {}}


class _Trial:
    """One case: the command undisturbed, and with each of its calls failing."""

    def __init__(self, case: Case, inputs: Inputs, folder: Path, shim: Faults) -> None:
        self.case, self.folder, self.shim = case, folder, shim
        self.before = folder.with_name("before")
        for path in (self.before, folder):
            shutil.rmtree(path, ignore_errors=True)
        self.before.mkdir()
        inputs.lay(case.inputs, self.before)
        # The folder of every trial has the same name: settings hold whole paths.
        shutil.copytree(self.before, folder)
        with inside(folder):
            for line in case.first:
                _must(line)
        shutil.rmtree(self.before)
        folder.rename(self.before)
        self.old = _exact(self.before / case.makes)
        self.calls = self._undisturbed()

    def _undisturbed(self) -> list[Call]:
        outcome = self._run(0)
        assert outcome.code == 0, f"{self.case.command}: {outcome.err}"
        self.new = meaning(self.folder / self.case.makes)
        return self.shim.calls()

    def all(self, *, writes: int, most: int, every: bool, seed: int) -> Tally:
        tally = Tally(calls=Counter(one.kind for one in self.calls))
        chance = random.Random(seed)
        numbers = _chosen(self.calls, writes, chance)
        if most and most < len(numbers):
            numbers = sorted(chance.sample(numbers, most))
        for place, number in enumerate(numbers):
            for fault in FAULTS if every else [list(FAULTS)[(place + seed) % len(FAULTS)]]:
                tally.faults += 1
                for problem in self._disturbed(number, fault, tally):
                    one = self.calls[number - 1]
                    name = one.path.removeprefix(f"{self.folder}/")
                    tally.problems.append(f"call {number}, {one.kind} {name}, {fault}: {problem}")
                    print(f"    {tally.problems[-1]}", flush=True)
        return tally

    def _disturbed(self, number: int, fault: str, tally: Tally) -> Iterator[str]:
        """Let one call fail; yield what is wrong then."""
        outcome = self._run(number, *FAULTS[fault])
        calls = self.shim.calls()
        if len(calls) < number:
            return  # Threads: the call was not reached this time.
        path = calls[number - 1].path
        if path == str(self.folder):  # A trial whether anything can be written there, which has a second way.
            return
        if outcome.code == 0:
            is_optional = any(part in path for part in self.case.optional)
            tally.without += 1
            found = meaning(self.folder / self.case.makes)
            if found != self.new or (calls[number - 1].kind == "flush" and not is_optional):
                yield f"exit code 0: {_difference(found, self.new)} {outcome.err[-300:]}"
        else:
            yield from self._wrong_end(outcome)
        yield from (f"left: {name}" for name in _leftovers(self.folder) if not self.case.goes_on)
        if outcome.code == 0:
            return
        again = self._go_on()
        if again.code:
            yield f"again: exit code {again.code}, {again.err[-300:]}"
        elif meaning(self.folder / self.case.makes) != self.new:
            yield f"again: another result, {_difference(meaning(self.folder / self.case.makes), self.new)}"
        yield from (f"left in the end: {name}" for name in _leftovers(self.folder))

    def _wrong_end(self, outcome: Outcome) -> Iterator[str]:
        lines = [line for line in outcome.lines if line.startswith("dlcli: ")]
        if outcome.code != 5 or len(lines) != 1 or outcome.lines[-1:] != lines:
            yield f"exit code {outcome.code}: {outcome.err[-400:]}"
        elif not re.search(rf"\b({self.case.makes}|home)\b|cannot write to", lines[0].partition(". ")[0]):
            yield f"names no file: {lines[0]}"
        made = self.folder / self.case.makes
        if self.case.goes_on or _exact(made) == self.old:
            return
        if self.case.resumes and (made / "run.json").exists():
            status = json.loads((made / "run.json").read_bytes())["status"]
            if status in ("interrupted", "running"):
                return
        # When the very last flush fails, the run is whole; its checkpoints go with the next `--resume`.
        kept = "checkpoints/" if self.case.resumes else "/"
        found = {name: value for name, value in meaning(made).items() if not name.startswith(kept)}
        if found != self.new:
            yield f"neither old nor new: {_difference(found, self.new)}"

    def _go_on(self) -> Outcome:
        """Run the same command again, or resume what it has begun."""
        record = self.folder / self.case.makes / "run.json"
        line = self.case.command
        if self.case.resumes and record.exists() and _exact(record.parent) != self.old:
            line = f"{self.case.resumes} --resume {self.case.makes}"
        elif not self.case.goes_on and "--force" not in line and (self.folder / self.case.makes).exists():
            line += " --force"  # The new one is there already.
        with inside(self.folder):
            return call(*line.split())

    def _run(self, number: int, error: int = 0, lasting: bool = False) -> Outcome:
        """Run the command in a fresh folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.before, self.folder)
        with inside(self.folder):
            self.shim.watch(self.folder)
            self.shim.arm(number, error, lasting=lasting)
            try:
                return call(*self.case.command.split())
            finally:
                self.shim.watch(None)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Be in a folder, with the user's cache in it."""
    was = Path.cwd()
    os.chdir(folder)
    os.environ["DLCLI_HOME"] = str(folder / "home")
    try:
        yield
    finally:
        os.chdir(was)


def _must(line: str) -> None:
    outcome = call(*line.split())
    assert outcome.code == 0, f"{line}: {outcome.err}"


def _chosen(calls: list[Call], writes: int, chance: random.Random) -> list[int]:
    """Return the numbers of the calls that shall fail, from 1: all, but of writes in a row to a file some."""
    found: list[int] = []
    row: list[int] = []
    for number, one in enumerate([*calls, Call("end", "")], start=1):
        if row and (one.kind != "write" or one.path != calls[row[-1] - 1].path):
            some = row if not writes or len(row) <= writes else {row[0], row[-1], *chance.sample(row, writes)}
            found += sorted(some)[: writes or None] if writes == 1 else sorted(some)
            row = []
        if one.kind == "write":
            row.append(number)
        elif number <= len(calls):
            found.append(number)
    return sorted(found)


def _leftovers(folder: Path) -> list[str]:
    """Return temporary files that nobody will go on with."""
    found = re.compile(r"^\..*\.(tmp|old)|\.tmp$")
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if found.search(path.name))


# What is in a place, byte by byte, and what it means.

_VOLATILE = {"argv", "pid", "started", "finished", "seconds", "step_ms", "hashes", "created", "sha256", "bytes"}


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield "", path
    elif path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and file.name not in (".lock", "log.txt"):
                yield file.relative_to(path).as_posix(), file


def _exact(path: Path) -> dict[str, str]:
    return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in _files(path)}


def meaning(path: Path) -> dict[str, Any]:
    """Return what is the same each time that a command is run."""
    return {name: _meaning_of(file) for name, file in _files(path) if "tmp" not in name}


def _meaning_of(file: Path) -> Any:
    if file.suffix in (".json", ".jsonl"):
        text = file.read_text(encoding="utf-8")
        return [_stable(json.loads(line)) for line in (text.splitlines() if file.suffix == ".jsonl" else [text])]
    if file.suffix == ".keras":
        return _weights(file)
    if file.suffix in (".pb", ".html", ".onnx", ".tflite", ".index"):
        return "there" if file.stat().st_size else "empty"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stable(inner) for key, inner in value.items() if key not in _VOLATILE}
    return [_stable(inner) for inner in value] if isinstance(value, list) else value


def _weights(file: Path) -> dict[str, str]:
    import h5py

    found: dict[str, str] = {}
    with zipfile.ZipFile(file) as archive, archive.open("model.weights.h5") as opened, h5py.File(opened) as h5:
        h5.visititems(
            lambda name, node: (
                found.update({name: hashlib.sha256(node[()].tobytes()).hexdigest()})
                if isinstance(node, h5py.Dataset)
                else None
            )
        )
    return found


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    names = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    return ", ".join(f"{name} ({'missing' if name not in found else 'differs'})" for name in names)


# A disk that really is full.


def small_disk(folder: Path) -> list[str]:
    """Train into disks that are too small by more and less, make them larger, and resume.

    Returns:
        a line a disk: what was wrong, or nothing; no line where no disk can be mounted.
    """
    place = folder / "small"
    place.mkdir()
    if not _mounted(place, "size=64m"):
        return []
    inputs = Inputs(folder / "inputs")
    inputs.lay(("tiny.csv",), folder)
    line = f"{_TEXT.removesuffix('run').replace('tiny.csv', str(folder / 'tiny.csv'))}{place / 'run'}"
    found = []
    try:
        with inside(folder):
            _must(line)
            wanted, used = meaning(place / "run"), shutil.disk_usage(place).used
            for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1):
                shutil.rmtree(place / "run")
                size = max(4096, int(used * share))
                assert _mounted(place, f"remount,size={size}")
                found.append("; ".join(_on_a_small_disk(line, place, wanted)))
                print(f"a disk of {size:,} bytes: {found[-1] or 'good'}", flush=True)
    finally:
        subprocess.run(["umount", place], check=True)
    return found


def _on_a_small_disk(line: str, place: Path, wanted: dict[str, Any]) -> Iterator[str]:
    outcome = call(*line.split())
    is_right = outcome.code == 0 and meaning(place / "run") == wanted
    if not is_right and (outcome.code != 5 or "the disk is full" not in outcome.err):
        yield f"exit code {outcome.code}: {outcome.err[-300:]}"
    assert _mounted(place, "remount,size=64m")
    is_begun = (place / "run" / "run.json").exists()
    again = call("train-text", "--resume", place / "run") if is_begun else call(*line.split())
    if again.code or meaning(place / "run") != wanted:
        yield f"again: exit code {again.code}, {again.err[-300:]}"
    yield from (f"left: {name}" for name in _leftovers(place))


def _mounted(place: Path, options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "none", place]
    return os.name == "posix" and shutil.which("mount") is not None and not subprocess.run(command).returncode


def _table(tallies: dict[str, Tally], full: list[str]) -> str:
    rows = ["| command | calls that write | faults | done without | old or new, and then the same |"]
    rows.append("|---|--:|--:|--:|---|")
    for name, tally in tallies.items():
        good = tally.faults - len({problem.split(": ")[0] for problem in tally.problems})
        calls = sum(tally.calls.values())
        rows.append(f"| {name} | {calls:,} | {tally.faults:,} | {tally.without:,} | {good:,} of {tally.faults:,} |")
    if full:
        good = full.count("")
        rows.append(f"| a training on a tmpfs that is full | | {len(full):,} | | {good:,} of {len(full):,} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
