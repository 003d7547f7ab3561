"""The proof that an export answers as its run does."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.errors import DlcliError, ModelError, printable
from dlcli.serving.artefacts import Artefact
from dlcli.serving.predictor import Predictor

# The largest difference of a probability that counts as equal: float32 rounding, with a margin. Of a score it is the
# largest difference relative to its size, where that is over 1.
TOLERANCE = 1e-5
# A pixel of the runner's may round to the byte beside the graph's.
OF_PIXELS = 1e-3
# What numbers of fewer bits may change: several times what was measured (docs/shipping.md).
OF_QUANTIZED = {"none": 0.0, "float16": 0.01, "dynamic": 0.1, "int8": 0.2}
# A run that computes in bfloat16, 8 bits layer after layer: other runtimes compute its float32 form, and Keras itself
# rounds otherwise where a batch has another size.
OF_BFLOAT16 = 0.05
_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What came of it: how many items, the largest difference of an output, and how large it might be."""

    items: int
    largest_difference: float
    tolerance: float


def tolerance(artefact: Artefact, predictor: Predictor) -> float:
    """Return the largest difference of an output that counts as equal."""
    card = artefact.card
    mixed = str(predictor.record.model.get("precision", "float32")) != "float32"
    runner = card.format != "savedmodel" and card.domain == "vision"
    return max(TOLERANCE, OF_QUANTIZED[card.quantize], OF_BFLOAT16 * mixed, OF_PIXELS * runner)


def verify(predictor: Predictor, path: Path, items: Sequence[str]) -> Verified:
    """Run raw items through the run and through the artefact: twice, the second time one by one and loaded anew.

    The second time a runner is a process of its own, that has no dlcli.

    Args:
        predictor: the run.
        path: the artefact.
        items: raw items, at least one.

    Returns:
        how close the answers are.

    Raises:
        ModelError: a difference is over the tolerance (names the worst item), or the class names differ.
    """
    artefact = Artefact.open(path)
    if artefact.labels != predictor.labels:
        raise ModelError(
            f"the export does not answer as the run: its classes are {artefact.labels}, not {predictor.labels}"
        )
    count = len(items)
    # An empty text stands for all of which no word is known.
    items = [*items, ""] if artefact.card.domain == "text" else items
    raw = predictor.pipeline.raw(items)
    expected = predictor.outputs(items)
    try:
        found = [artefact.outputs(raw), _again(path, artefact, raw)]
    except (DlcliError, OSError):
        raise
    except Exception as error:  # Each runtime has errors of its own.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"the export does not answer ({reason})", hint="It was not kept") from error
    allowed = tolerance(artefact, predictor)
    sizes = 1.0 if predictor.probabilistic else np.maximum(1.0, np.abs(expected))
    differences = np.max([np.abs(expected - answers) / sizes for answers in found], axis=(0, 2))
    worst = int(differences.argmax())
    if not differences[worst] <= allowed:
        shown = printable(items[worst]).replace("\n", " ")
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
        raise ModelError(
            f"the export does not answer as the run: {artefact.format} {artefact.card.outputs} differ by up to "
            f"{differences[worst]:.2g} (tolerance {allowed:g}), most for {shown!r}",
            hint="It was not kept; "
            + ("please report this" if artefact.card.quantize == "none" else "quantise it less: --quantize float16"),
        )
    return Verified(items=count, largest_difference=float(differences[worst]), tolerance=allowed)


def _again(path: Path, artefact: Artefact, raw: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Answer once more, one by one: by the runner in a process of its own, or by a SavedModel that is loaded anew."""
    if artefact.format == "savedmodel":
        anew = Artefact.open(path)
        return np.concatenate([anew.outputs([item]) for item in raw])
    with tempfile.TemporaryDirectory() as folder:
        lines = [_as_line(item, Path(folder) / str(number)) for number, item in enumerate(raw)]
        file = Path(folder) / "items.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        command = [sys.executable, "runner.py", "--lines", str(file), "--json", "--batch-size", "1"]
        done = subprocess.run(command, cwd=path, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
        raise ModelError(f"the export does not run in a process of its own: {last}", hint="Please report this")
    return np.array([item["outputs"] for item in json.loads(done.stdout)["items"]], np.float32)


def _as_line(item: str | bytes, file: Path) -> str:
    """Return what the runner reads for an item; a picture is a file."""
    if isinstance(item, str):
        return item
    file.write_bytes(item)
    return str(file)
