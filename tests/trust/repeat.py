"""The same command twice, and with other numbers of workers, in processes of their own: the same bytes.

    python tests/trust/repeat.py

Trains with one command of each kind twice, and twice with `--deterministic`, and compares weights, history and
scores; answers, judges and reports twice, and compares the files, but for what a clock measured; augments with 1, 2 and
8 workers, and compares the pictures.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import REVIEWS, REVIEWS_TEST, ROOT
from trust.figures import keep, options
from verbs.helpers import same_weights, snapshot, without_times

SHAPES = ROOT / "sample_data" / "shapes"
TEXT = f"train-text {REVIEWS} --epochs 2 --max-length 40 "
TRAININGS = {
    "ngram": f"train-text {REVIEWS} --ngrams 2 --ngram-dropout 0.3 --epochs 2",
    "cnn of texts": TEXT + "--model cnn --units 8 --dropout 0.3",
    "bilstm": TEXT + "--model bilstm --units 4 --recurrent-dropout 0.2",
    "pictures, augmentation, MixUp": f"train-image {SHAPES} --model cnn --filters 8,8 --image-size 32 --epochs 2 "
    "--augment strong --mixup 0.2 --dropout 0.3",
    "finetune, changed copies": f"finetune {SHAPES} --base shipped --augment book --augment-copies 2 --epochs 2",
}
WAYS = ("", "--deterministic")
# What a clock measured, in JSON and in pages.
_TIMES = re.compile(r'"(seconds|step_ms|started|finished|created|pid|seconds_per_epoch)": ?("[^"]*"|[0-9.e-]+)')
_SHOWN_TIMES = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:]{5,8}(\+00:00| UTC)?|\d+(\.\d+)? (s|ms|seconds|minutes)\b")


def main() -> int:
    """Do everything twice and print what was equal."""
    given = options(__doc__.splitlines()[0]).parse_args()
    found: list[tuple[str, str, bool]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, (label, line) in enumerate(TRAININGS.items()):
            found += trained_twice(label, f"{line} --seed {given.seed % 2**31}", folder / str(number))
        found += used_twice(folder / "0" / "0-first", folder)
        found.append(augmented(folder / "augmented", seed=given.seed % 2**31))
    lines = ["| what | beside | equal |", "|---|---|---|"]
    lines += [f"| {what} | {beside} | {'yes' if equal else '**no**'} |" for what, beside, equal in found]
    keep("repeat", "\n".join(lines), seed=given.seed, write=given.write)
    return int(not all(equal for *_, equal in found))


def trained_twice(label: str, line: str, folder: Path, *, ways: tuple[str, ...] = WAYS) -> list[tuple[str, str, bool]]:
    """Train with one command, and again; in each of some ways."""
    folder.mkdir()
    found = []
    for number, flags in enumerate(ways):
        first, second = (folder / f"{number}-{turn}" for turn in ("first", "second"))
        for path in (first, second):
            run(f"{line} {flags} --out {path}", home=path.with_name(f"{path.name}-home"))
        beside = f"the same with `{flags}`, again" if flags else "the same command again"
        found.append((f"weights, history, scores: {label}", beside, same_runs(first, second)))
    return found


def same_runs(one: Path, other: Path) -> bool:
    """Say whether two runs are the same but for their times."""
    files = ("metrics.json", "validation.npz")
    return (
        same_weights(one, other)
        and without_times(one) == without_times(other)
        and all((one / name).read_bytes() == (other / name).read_bytes() for name in files)
        and snapshot(one / "pipeline") == snapshot(other / "pipeline")
    )


def used_twice(trained: Path, folder: Path) -> list[tuple[str, str, bool]]:
    """Predict, evaluate and report twice from one run."""
    found = []
    commands = {
        "predictions": f"predict {trained} {REVIEWS_TEST} --proba --out OUT.csv",
        "scores of `evaluate`": f"evaluate {trained} {REVIEWS_TEST} --json",
        "the HTML report": f"report {trained} {REVIEWS_TEST} --out OUT.html",
        "the report in Markdown": f"report {trained} {REVIEWS_TEST} --format markdown --out OUT.md",
    }
    for number, (what, line) in enumerate(commands.items()):
        answers = []
        for turn in range(2):
            out = folder / f"used-{number}-{turn}"
            said = run(line.replace("OUT", str(out)), home=folder / f"home-{turn}")
            files = sorted(folder.glob(f"{out.name}.*"))
            text = files[0].read_text(encoding="utf-8") if files else said
            answers.append(_SHOWN_TIMES.sub("", _TIMES.sub("", text)).replace(str(out), "OUT"))
        found.append((what, "the same command again, but for times", answers[0] == answers[1]))
    return found


def augmented(folder: Path, *, seed: int) -> tuple[str, str, bool]:
    """Augment with several numbers of workers."""
    folder.mkdir()
    pictures = []
    for workers in (1, 2, 8):
        out = folder / str(workers)
        line = f"augment {SHAPES} {out} --copies 3 --augment strong --seed {seed} --workers {workers}"
        run(line, home=folder / "home")
        own = (".json", ".jsonl", ".lock")  # They name the folder, the number of workers, and times.
        pictures.append({name: digest for name, digest in snapshot(out).items() if not name.endswith(own)})
    assert len(pictures[0]) >= 180
    equal = pictures[0] == pictures[1] == pictures[2]
    return f"{len(pictures[0]):,} pictures of `augment`", "1, 2 and 8 workers", equal


def run(line: str, *, home: Path) -> str:
    """Run a command in a process and a home of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "dlcli", *shlex.split(line), "-q"],
        cwd=ROOT,
        env=os.environ | {"DLCLI_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"dlcli {line}: exit code {done.returncode}: {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
