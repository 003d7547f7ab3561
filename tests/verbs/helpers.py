"""What tests look at: files, weights, and tables small enough to train in a second."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np


def snapshot(folder: Path) -> dict[str, str]:
    """Return the hash of every file under a folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def weights(run: Path) -> list[np.ndarray[Any, Any]]:
    """Return the weights of a finished run."""
    from dlcli.serving.predictor import Predictor

    weights: list[np.ndarray[Any, Any]] = Predictor(run).model.get_weights()
    return weights


def same_weights(first: Path, second: Path) -> bool:
    """Say whether two runs have the same weights, bit for bit."""
    pairs = list(zip(weights(first), weights(second), strict=True))
    return all(a.shape == b.shape and np.array_equal(a, b) for a, b in pairs)


def record(run: Path) -> dict[str, Any]:
    """Return the content of `run.json`."""
    content: dict[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))
    return content


def history(run: Path) -> list[dict[str, Any]]:
    """Return the epochs in `history.jsonl`."""
    return [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]


def without_times(run: Path) -> list[dict[str, Any]]:
    """Return the epochs without what a clock measured."""
    return [{name: value for name, value in e.items() if name not in ("seconds", "step_ms")} for e in history(run)]


def read_csv(source: Path | str) -> list[dict[str, str]]:
    """Return the rows of a CSV file, or of CSV text."""
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
    return list(csv.DictReader(io.StringIO(text, newline="")))


def write_csv(path: Path, rows: list[dict[str, str]], *, separator: str = ",") -> Path:
    """Write rows with the columns of the first one."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), delimiter=separator, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_folder(root: Path, rows: list[dict[str, str]]) -> Path:
    """Write rows as a folder of `.txt` files for each class."""
    for number, row in enumerate(rows):
        folder = root / row["label"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:04}.txt").write_text(row["text"], encoding="utf-8")
    return root
