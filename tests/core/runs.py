"""Run directories for tests: of a model that is a few bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.record import RunRecord
from dlcli.core.run import Run


class Model:
    """What `Run.finish` needs of a Keras model."""

    def save(self, path: Path) -> None:
        path.write_bytes(b"weights")


DATA = {"fingerprint": "f00d", "training": 9000, "validation": 1000}
MACHINE = {"threads": 2, "versions": {"keras": "3.15"}}


def new_record(**fields: Any) -> RunRecord:
    fields = {"data": DATA, "machine": MACHINE, **fields}
    return RunRecord(verb="train-text", domain="text", config={"epochs": 2}, **fields)


def finish(run: Run) -> None:
    run.pipeline.mkdir()
    (run.pipeline / "vocabulary.tsv").write_text("good\t2\n")
    run.checkpoints.mkdir()
    (run.checkpoints / "state.json").write_text("{}")
    run.finish(
        Model(),
        scores={"accuracy": 0.5},
        history=[{"epoch": 1, "loss": 0.7}],
        validation={"labels": np.array([0, 1]), "outputs": np.full((2, 2), 0.5, np.float32)},
    )
