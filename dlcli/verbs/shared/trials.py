"""The two trials of a verb that trains: which learning rate, and at what cost. No run comes of them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.core.progress import Progress
from dlcli.errors import SurroundingsError
from dlcli.verbs.shared.training_result import TrainingResult, result_of

if TYPE_CHECKING:
    import numpy as np

    from dlcli.core.fit import Labelled
    from dlcli.core.run import RunRecord

_CURVE, _PLOT = "find-lr.csv", "find-lr.png"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A training that is ready to begin.

    Attributes:
        record: what `run.json` would say.
        config: the resolved settings.
        model: built, not compiled.
        training: what it would learn from.
        class_weights: the weight of each class, or None.
    """

    record: RunRecord
    config: Any
    model: Any
    training: Labelled
    class_weights: np.ndarray[Any, Any] | None


def require_range_test_folder(folder: Path, *, force: bool) -> None:
    """Find out before any work whether a range test can go to a folder.

    Raises:
        SurroundingsError: it is not empty, or not writable.
    """
    from dlcli.core.files import require_writable_parent

    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        if not (folder / _CURVE).is_file():
            raise SurroundingsError(f"{folder} is not empty, and no range test of ours", hint="Choose another --out")
        if not force:
            raise SurroundingsError(f"{folder} holds a range test already", hint="Add --force to replace it")
    require_writable_parent(folder)


def find_lr(trial: Trial, folder: Path, progress: Progress) -> TrainingResult:
    """Do the learning-rate range test and leave its curve, as CSV and as a picture.

    Args:
        trial: what would be trained; its model is of no further use.
        folder: as `require_range_test_folder` has found it.
        progress: told of each step.
    """
    from dlcli.core import plots
    from dlcli.core.batches import training_batches
    from dlcli.core.files import replacing
    from dlcli.core.fit import try_steps
    from dlcli.core.range_test import STEPS, analyse, rising_rates

    config, inputs = trial.config, trial.training.inputs
    batches: list[Any] = []
    epoch = 0
    while len(batches) < STEPS:
        batches += training_batches(
            inputs.lengths, batch_size=config.batch_size, seed=config.seed, epoch=epoch, widths=inputs.widths
        )
        epoch += 1
    rates = rising_rates(STEPS)
    progress.begin("trying learning rates", STEPS)
    steps = try_steps(
        trial.model,
        batches[:STEPS],
        trial.training,
        config=config,
        rates=rates,
        class_weights=trial.class_weights,
        progress=progress,
        jit=trial.record.model["jit"],
    )
    found = analyse(rates, [step.loss for step in steps])
    with replacing(folder) as temporary:
        temporary.mkdir()
        with (temporary / _CURVE).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("learning_rate", "loss", "smoothed_loss"))
            writer.writerows(zip(found.rates, found.losses, found.smoothed, strict=True))
        picture = temporary / _PLOT
        plots.draw_range_test(found.rates, found.losses, found.smoothed, suggestion=found.suggestion, path=picture)
    result = result_of(trial.record, None)
    result.suggested_lr, result.plot = found.suggestion, folder / _PLOT
    return result


def rehearse(trial: Trial, validation: Labelled, progress: Progress) -> TrainingResult:
    """Take a few steps to tell what a training would cost, and what it would write.

    Args:
        trial: what would be trained; its model is of no further use.
        validation: what it would be validated on.
        progress: told of each step.
    """
    from dlcli.core import rehearsal
    from dlcli.core.run import HASHED, LOG, PLOTS, RECORD

    cost = rehearsal.rehearse(
        trial.model,
        trial.training,
        validation,
        config=trial.config,
        class_weights=trial.class_weights,
        progress=progress,
        jit=trial.record.model["jit"],
    )
    result = result_of(trial.record, None)
    result.memory_mb, result.seconds_per_epoch = cost.memory_mb, cost.seconds_per_epoch
    out = trial.config.out or Path("runs") / "..."
    result.would_write = [str(out / name) for name in (RECORD, *HASHED, PLOTS, LOG)]
    return result
