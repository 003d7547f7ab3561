"""Every model of the toolkit in every format: the table of docs/shipping.md.

    python tests/trust/exports.py [MODEL ...]

Trains each model for two epochs on the sample data, exports it in all formats and quantised in all ways, verifies
each artefact with its own runtime, and prints the largest difference of an output, or that there is none, and why. A
quarter of an hour; the exit code is 1 when an artefact does not answer as its run.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import REVIEWS, REVIEWS_TEST, ROOT, call
from trust.figures import keep, options

SHAPES = ROOT / "sample_data" / "shapes"
DIGITS = ROOT / "sample_data" / "digits"
_TEXT = f"train-text {REVIEWS} --epochs 2 --device cpu "
_SEQUENCE = _TEXT + "--max-length 40 "
_PICTURES = f"train-image {SHAPES} --image-size 32 --epochs 2 --device cpu "
RUNS = {
    "ngram": _TEXT + "--ngrams 2",
    "ngram, hidden layers": _TEXT + "--hidden-units 16 --activation penalized_tanh",
    "ngram, hinge": _TEXT + "--loss hinge",
    "bow, TF-IDF": _TEXT + "--model bow",
    "bow, counts": _TEXT + "--model bow --features counts --ngrams 2",
    "bow, binary": _TEXT + "--model bow --features binary --stop-words sklearn --stem porter",
    "mlp (text)": _TEXT + "--model mlp",
    "cnn (text)": _SEQUENCE + "--model cnn",
    "rnn (text)": _SEQUENCE + "--model rnn",
    "lstm": _SEQUENCE + "--model lstm --padding pre",
    "gru": _SEQUENCE + "--model gru",
    "bilstm": _SEQUENCE + "--model bilstm --layers 2",
    "bigru": _SEQUENCE + "--model bigru --pooling last",
    "cnn-lstm": _SEQUENCE + "--model cnn-lstm",
    "transformer": _SEQUENCE + "--model transformer",
    "cnn (text), bfloat16": _SEQUENCE + "--model cnn --precision bfloat16",
    "linear": f"train-image {DIGITS} --model linear --epochs 2",
    "mlp (pictures)": _PICTURES + "--model mlp",
    "cnn (pictures)": _PICTURES + "--model cnn --filters 8,16",
    "cnn, grayscale": f"train-image {DIGITS} --model cnn --filters 8,16 --epochs 2",
    "cnn-bn": _PICTURES + "--model cnn-bn --filters 8,16",
    "resnet": _PICTURES + "--model resnet --filters 8,16",
    "resnet, bfloat16": _PICTURES + "--model resnet --filters 8,16 --precision bfloat16",
    "rnn (pictures), lstm": _PICTURES + "--model rnn --units 16",
    "rnn (pictures), gru": _PICTURES + "--model rnn --units 16 --cell gru",
    "shipped base, frozen": f"finetune {SHAPES} --base shipped --freeze-base --epochs 2",
    "shipped base, unfrozen": f"finetune {SHAPES} --base shipped --unfreeze all --epochs 1",
    "ensemble": "ensemble {ngram} {cnn (text)} --weights 1,1",
    "ensemble, TF-IDF and lstm": "ensemble {bow, TF-IDF} {lstm} --weights 1,1",
}
FORMATS = [
    *(("savedmodel", "none"), ("keras", "none")),
    *((format, quantize) for format in ("litert", "onnx") for quantize in ("none", "float16", "dynamic", "int8")),
]
ITEMS = 24


def main() -> int:
    """Print the table."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="those of the table (default: all)")
    given = parser.parse_args()
    shown = [format if quantize == "none" else f"{format} {quantize}" for format, quantize in FORMATS]
    lines = ["| model | " + " | ".join(shown) + " |", "|---" * (1 + len(shown)) + "|"]
    reasons: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        runs: dict[str, Path] = {}
        for number, (name, line) in enumerate(RUNS.items()):
            wanted = not given.models or name in given.models
            if not wanted and not any(f"{{{name}}}" in RUNS[other] for other in given.models):
                continue
            runs[name] = Path(folder) / str(number)
            parts = [str(runs[part[1:-1]]) if part.startswith("{") else part for part in _split(line)]
            outcome = call(*parts, "--out", runs[name], "-q")
            assert outcome.code == 0, f"{line}: {outcome.err}"
            if wanted:
                lines.append(f"| {name} | " + " | ".join(_cells(runs[name], reasons)) + " |")
                print(lines[-1], file=sys.stderr, flush=True)
    keep("exports", "\n".join(lines), seed=given.seed, write=given.write, page=ROOT / "docs" / "shipping.md")
    print("\n".join(sorted(reasons)))
    return int(any("FAILED" in line for line in lines))


def _split(line: str) -> list[str]:
    """Split a command line, names of runs in braces whole."""
    words: list[str] = []
    for word in line.split():
        if words and words[-1].startswith("{") and not words[-1].endswith("}"):
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words


def _cells(run: Path, reasons: set[str]) -> list[str]:
    import numpy as np

    from dlcli.errors import UsageError
    from dlcli.serving.export import check, write
    from dlcli.serving.predictor import Predictor

    predictor = Predictor(run)
    items = _items(predictor.record)
    labels = predictor.outputs(items).argmax(axis=1)
    cells = []
    for format, quantize in FORMATS:
        folder = run.with_name("export")
        try:
            card = write(predictor, folder, format=format, quantize=quantize, samples=items[::3])
            given = (items, np.asarray(labels)) if quantize != "none" else None
            done = check(predictor, folder, card, items=items[:: max(1, len(items) // ITEMS)], labelled=given)
            assert done.verified is not None
            difference = done.verified.largest_difference
            cell = f"{difference:.0e}" if difference else "0"
            cells.append(cell + (f", {100 * done.accuracy['same_answers']:.3g} %" if done.accuracy else ""))
        except UsageError as error:
            cells.append("refused")
            reasons.add(f"{format} {quantize}: {error}")
        except Exception as error:
            cells.append("FAILED")
            reasons.add(f"{format} {quantize}: {type(error).__name__}: {str(error)[:300]}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return cells


def _items(record: object) -> list[str]:
    """Return held-out items of a run's kind."""
    from dlcli.text.config import TextDataConfig
    from dlcli.text.read import labelled_texts

    if getattr(record, "domain") == "text":  # noqa: B009
        return [row.item for row in labelled_texts(REVIEWS_TEST, TextDataConfig(), part="test")][:300]
    folder = DIGITS if "digits" in str(getattr(record, "config")["data"]) else SHAPES  # noqa: B009
    return sorted(map(str, folder.glob("*/*.*")))[::2]


if __name__ == "__main__":
    sys.exit(main())
