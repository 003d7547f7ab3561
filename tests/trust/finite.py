"""Numbers that are none, and memory that is not there: exit code 6, finite weights or none, and a hint that helps.

    python tests/trust/finite.py

Trains models of both domains with settings that explode, and with numbers in the data that are NaN or infinite; asks
for steps that do not fit a limit of the memory, and follows the hint. What is kept must be finite, and must answer.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import REVIEWS, ROOT, Outcome, call
from trust.figures import keep, options
from verbs.helpers import weights

SHAPES = ROOT / "sample_data" / "shapes"
TEXT = f"train-text {REVIEWS} --device cpu --epochs 3 --batch-size 64 "
SEQUENCES = TEXT + "--max-length 40 "
PICTURES = f"train-image {SHAPES} --device cpu --epochs 3 --batch-size 16 --image-size 32 "
# What explodes: each step multiplies the weights, or the penalty on them has no number.
EXPLODING = {
    "ngram, learning rate 1e30": TEXT + "--optimizer sgd --lr 1e30",
    "ngram, penalty that grows 50-fold a step": TEXT + "--optimizer sgd --lr 1 --l2 25 --patience 0",
    "ngram, one step an epoch": TEXT + "--optimizer sgd --lr 1e30 --batch-size 4096",
    "cnn of pictures, penalty, one step an epoch": PICTURES
    + "--model cnn --filters 4,4 --optimizer sgd --lr 1 --l2 1e9 --patience 0 --batch-size 200",
    "cnn of texts, learning rate 1e20": SEQUENCES + "--model cnn --units 8 --optimizer sgd --lr 1e20",
    "bilstm, learning rate 1e38": SEQUENCES + "--model bilstm --units 4 --optimizer sgd --lr 1e38",
    "cnn of pictures, learning rate 1e10": PICTURES + "--model cnn --filters 4,4 --optimizer sgd --lr 1e10",
    "resnet, learning rate 1e20": PICTURES + "--model resnet --filters 4,4 --optimizer sgd --lr 1e20",
    "finetune, learning rate 1e38": f"finetune {SHAPES} --base shipped --epochs 3 --optimizer sgd --lr 1e38",
}
MEMORY = f"train-image {SHAPES} --device cpu --epochs 1 --image-size 512 --model resnet --filters 32,64 --batch-size "
# Bytes that the process may have, where a step of all 162 pictures takes several times as many.
LIMIT = 2_500_000_000


@dataclass(frozen=True)
class Found:
    """What became of a case.

    Attributes:
        case: what was tried.
        code: the exit code.
        said: the error line.
        kept: what is left: `nothing`, or how it is.
        held: whether the promise was.
    """

    case: str
    code: int
    said: str
    kept: str
    held: bool


def main() -> int:
    """Try every case and print the table."""
    given = options(__doc__.splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = [
            exploding(case, line, folder / str(n), seed=given.seed % 1000)
            for n, (case, line) in enumerate(EXPLODING.items())
        ]
        found += [*bad_numbers(folder), out_of_memory(folder)]
    rows = [f"| {one.case} | {one.code} | {one.said} | {one.kept} |" for one in found]
    held = sum(one.held for one in found)
    rows.append(f"\n{held} of {len(found)} as promised.")
    keep(
        "finite",
        "\n".join(["| case | exit code | what is said | what is kept |", "|---|---|---|---|", *rows]),
        seed=given.seed,
        write=given.write,
    )
    return int(held < len(found))


def exploding(case: str, line: str, run: Path, *, seed: int) -> Found:
    """Train with settings that explode; what is kept must be finite, and must answer."""
    outcome = call(*shlex.split(line), "--seed", seed, "--out", run, "-q")
    if not (run / "model.keras").exists():
        kept, whole = "nothing: no epoch was finite", not (run / "checkpoints" / "state.json").exists()
    else:
        whole = all(np.isfinite(array).all() for array in weights(run)) and _answers(run)
        epochs = len((run / "history.jsonl").read_text(encoding="utf-8").splitlines())
        kept = f"the best of {epochs} epochs, all weights finite" if whole else "NOT FINITE"
    said = outcome.lines[-1] if outcome.lines else ""
    # Units that all end at zero, or at a bound, survive any rate: then there is nothing to say.
    held = whole and (outcome.code == 0 or (outcome.code == 6 and "--lr" in said))
    return Found(case, outcome.code, _short(outcome, run), kept, held)


def bad_numbers(folder: Path) -> list[Found]:
    """Give numbers that are none as data, and as weights."""
    pixels = np.zeros((8, 4, 4, 3), np.float32)
    pixels[3, 1, 1, 1] = np.nan
    np.savez(folder / "nan.npz", x_train=pixels, y_train=np.arange(8) % 2)
    (folder / "vectors.txt").write_text("good 1 2\nbad 1 inf\n", encoding="utf-8")
    cases = {
        "NaN in an array of pictures": (f"train-image {folder / 'nan.npz'} --model linear", 3),
        "infinity in a file of word vectors": (SEQUENCES + f"--model cnn --vectors {folder / 'vectors.txt'}", 3),
        "NaN as the weight of a class": (TEXT + "--class-weight pos=nan", 2),
        "NaN as the learning rate": (TEXT + "--lr nan", 2),
        "infinity as the learning rate": (TEXT + "--lr inf", 2),
    }
    found = []
    for number, (case, (line, code)) in enumerate(cases.items()):
        run = folder / f"bad-{number}"
        outcome = call(*shlex.split(line), "--out", run, "-q")
        found.append(
            Found(case, outcome.code, _short(outcome, folder), "nothing", outcome.code == code and not run.exists())
        )
    return found


def out_of_memory(folder: Path) -> Found:
    """Ask for a step that does not fit, and then for the batch size that the error line names."""
    first = _limited(MEMORY + "256", folder / "memory")
    match = re.search(r"--batch-size (\d+) should fit", first.stderr)
    second = _limited(MEMORY + match[1], folder / "memory") if match else None
    fits = second is not None and second.returncode == 0
    kept = f"nothing; with --batch-size {match[1] if match else '?'} it {'trains' if fits else 'FAILS'}"
    outcome = Outcome(first.returncode, "", first.stderr)
    case = f"steps of 256 pictures of 512x512 within {LIMIT / 1e9:g} GB"
    return Found(case, outcome.code, _short(outcome, folder), kept, outcome.code == 6 and fits)


def _limited(line: str, run: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that may have so much memory."""
    return subprocess.run(
        [sys.executable, "-m", "dlcli", *shlex.split(line), "--out", run, "-q"],
        cwd=ROOT,
        env=os.environ | {"DLCLI_HOME": f"{run}-home"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, resource.RLIM_INFINITY)),
        capture_output=True,
        text=True,
    )


def _answers(run: Path) -> bool:
    data = next(SHAPES.glob("*/*")) if (run / "pipeline" / "pictures.json").exists() else None
    outcome = call("predict", run, *([data] if data else ["--text", "good"]), "--json")
    return outcome.code == 0 and "nan" not in outcome.out.lower()


def _short(outcome: Outcome, folder: Path) -> str:
    line = outcome.lines[-1] if outcome.lines else ""
    return line.removeprefix("dlcli: ").replace(f"{folder}/", "").replace(f"{ROOT}/", "").replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
