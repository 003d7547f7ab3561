"""A training that is ready to begin, and its trials: which learning rate, and at what cost. No run comes of those."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.core.memory import available_memory
from dlcli.core.progress import Progress
from dlcli.errors import NumbersError, SurroundingsError, memory_is_exhausted
from dlcli.verbs.shared.training_result import TrainingResult, result_of

if TYPE_CHECKING:
    import numpy as np

    from dlcli.core.fit import Labelled
    from dlcli.core.record import RunRecord
    from dlcli.core.step_memory import StepMemory

_CURVE, _PLOT = "find-lr.csv", "find-lr.png"


@dataclass(kw_only=True)
class Trial:
    """A training that is ready to begin.

    Attributes:
        record: what `run.json` would say.
        config: the resolved settings.
        model: built, not compiled.
        training: what it would learn from.
        class_weights: the weight of each class, or None.
        available: bytes of memory before the first step; None where the device does not tell.
    """

    record: RunRecord
    config: Any
    model: Any
    training: Labelled
    class_weights: np.ndarray[Any, Any] | None
    available: int | None = None

    def require_memory(self, progress: Progress) -> None:
        """Find out before any step whether one can fit the memory of this machine at all; warn when it may not.

        Raises:
            NumbersError: it cannot; says which batch size should.
        """
        self.available = None if self.record.device.startswith("gpu") else available_memory()
        if self.available is None:
            return
        step, size = self._step(), self._batch_size()
        least, likely, left = (
            f"{bytes / 1e9:,.1f} GB" for bytes in (step.at_least(size), step.at_most(size), self.available)
        )
        if step.at_least(size) > self.available:
            raise self._too_much(f": a step takes {least} at least, {left} are left")
        if step.at_most(size) > self.available:
            fits = step.fitting(self.available, below=size)
            progress.warn(f"a step may take {likely} of memory, and {left} are left; --batch-size {fits} should fit")

    @contextlib.contextmanager
    def saying_what_fits(self) -> Iterator[None]:
        """Say which batch size would fit, when the steps in this block exhaust the memory."""
        try:
            yield
        except Exception as error:
            if memory_is_exhausted(error):
                raise self._too_much("") from error
            raise

    def _too_much(self, why: str) -> NumbersError:
        size = self._batch_size()
        fits = size // 2 if self.available is None else self._step().fitting(self.available, below=size)
        way = f"--batch-size {fits} should fit" if fits else "Not even one item fits: take a smaller model or input"
        return NumbersError(f"out of memory with --batch-size {size}{why}", hint=way)

    def _batch_size(self) -> int:
        return min(int(self.config.batch_size), len(self.training.labels))

    def _step(self) -> StepMemory:
        from dlcli.core.step_memory import step_memory

        return step_memory(self.model, longest=int(self.training.inputs.lengths.max()))


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
    with trial.saying_what_fits():
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
    from dlcli.core.record import HASHED, LOG, PLOTS, RECORD

    with trial.saying_what_fits():
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
