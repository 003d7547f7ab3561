"""Run dlcli for long: many short runs in one process, and one long training. Memory and open files do not grow.

    python tests/trust/soak.py --runs 300 --minutes 30

The short runs are train-text, train-image, evaluate, predict and augment in turn, through the command's own boundary,
in a process of their own that notes its resident memory and open file descriptors after each. The long training is
`dlcli train-image` with augmentation and many checkpoints, looked at from outside every second. After a warm-up, the
median of an early window and that of the last one differ by less than 5 %.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from trust.figures import ROOT, keep, options

SHAPES = ROOT / "sample_data" / "shapes"
MOST = 0.05
VERBS = {
    "train-text": "train-text {texts} --epochs 2 --force --out {folder}/text",
    "train-image": f"train-image {SHAPES} --model cnn --filters 4,8 --hidden-units 8 --image-size 24 --augment light "
    "--epochs 2 --force --out {folder}/pictures",
    "evaluate": "evaluate {folder}/text {texts}",
    "predict": f"predict {{folder}}/pictures {SHAPES} --out {{folder}}/answers.csv --force",
    "augment": f"augment {SHAPES} {{folder}}/copies --augment book --copies 1 --force",
}
LONG = (
    f"train-image {SHAPES} --model cnn --filters 4,8 --hidden-units 8 --image-size 24 --augment strong --mixup 0.2 "
    "--epochs 1000000 --patience 0 --checkpoint-minutes 0.01 -q --out {folder}/long"
)
Sample = tuple[int, int]  # Bytes of resident memory, and open file descriptors.


def main() -> int:
    """Run both, and print what grew."""
    parser = options("Run dlcli for long: memory and file descriptors do not grow.")
    parser.add_argument("--runs", type=int, default=300, help="short runs in one process (default 300)")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the long training (default 30)")
    parser.add_argument("--child", type=Path, help="do the short runs here (the script starts itself so)")
    given = parser.parse_args()
    if given.child is not None:
        short_runs(given.child, given.runs)
        return 0
    lines = ["| what | | early | last | growth |", "|---|---|---|---|---|"]
    grown = []
    with tempfile.TemporaryDirectory(prefix="dlcli-soak-") as name:
        folder = Path(name)
        looks = {
            f"{given.runs} short runs": lambda: list(of_short_runs(folder, given.runs)),
            f"a training of {given.minutes:g} minutes": lambda: list(of_long_training(folder, given.minutes)),
        }
        for what, look in looks.items():
            cells, growth = growths(look())
            grown += growth
            lines += [f"| {what} | {row} |" for row in cells]
    keep("soak", "\n".join(lines), seed=given.seed, write=given.write)
    return int(any(one >= MOST for one in grown))


def growths(samples: list[Sample]) -> tuple[list[str], list[float]]:
    """Compare the second sixth of samples with the last one: rows of a table, and shares."""
    size = max(1, len(samples) // 6)
    rows, found = [], []
    for name, unit, values in zip(("memory", "open files"), (2**20, 1), zip(*samples, strict=True), strict=True):
        early, last = (statistics.median(part) / unit for part in (values[size : 2 * size], values[-size:]))
        found.append(last / early - 1)
        shown = (f"{value:.0f} MB" if unit > 1 else f"{value:.0f}" for value in (early, last))
        rows.append(f"{name} | {' | '.join(shown)} | {found[-1]:+.1%}")
    return rows, found


def of_short_runs(folder: Path, runs: int) -> Iterator[Sample]:
    """Yield a sample after each of many short runs in one process."""
    arguments = [sys.executable, __file__, "--child", str(folder), "--runs", str(runs)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=_environment(folder)) as process:
        assert process.stdout is not None
        for number, line in enumerate(process.stdout, start=1):
            memory, files, verb = json.loads(line)
            if number % 25 == 0:
                print(f"run {number}: {verb}: {memory / 2**20:.0f} MB, {files} files", flush=True)
            yield memory, files
    assert process.returncode == 0, "a run failed"


def short_runs(folder: Path, runs: int) -> None:
    """Do short runs in this process; print a sample after each."""
    from conftest import call

    texts = folder / "texts.csv"
    rows = [f"good film number {n},pos" if n % 2 else f"bad film number {n},neg" for n in range(60)]
    texts.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    for verb in itertools.islice(itertools.cycle(VERBS), runs):
        outcome = call(*VERBS[verb].format(folder=folder, texts=texts).split(), "-q")
        assert outcome.code == 0, f"{verb}: {outcome.err}"
        print(json.dumps([*sample(os.getpid()), verb]), flush=True)


def of_long_training(folder: Path, minutes: float) -> Iterator[Sample]:
    """Yield a sample of a long training every second; end it politely."""
    arguments = LONG.format(folder=folder).split()
    process = subprocess.Popen(
        [sys.executable, "-m", "dlcli", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, env=_environment(folder)
    )
    while not (folder / "long" / "history.jsonl").exists() and process.poll() is None:
        time.sleep(0.1)
    until = time.monotonic() + 60 * minutes
    for number in itertools.count(1):
        if time.monotonic() > until or process.poll() is not None:
            break
        memory, files = sample(process.pid)
        if number % 60 == 0:
            epochs = len((folder / "long" / "history.jsonl").read_text(encoding="utf-8").splitlines())
            print(f"minute {number // 60}: epoch {epochs}: {memory / 2**20:.0f} MB, {files} files", flush=True)
        yield memory, files
        time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143, "the long training failed"


def sample(pid: int) -> Sample:
    """Return the resident memory of a process in bytes, and the number of its open files."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "DLCLI_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}


if __name__ == "__main__":
    sys.exit(main())
