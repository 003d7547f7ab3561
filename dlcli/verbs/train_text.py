"""`dlcli train-text`: from labelled texts to a run directory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import model_validator

from dlcli.core.config import RunConfig, option
from dlcli.core.lines import Skipped
from dlcli.core.progress import Progress
from dlcli.core.training_config import DENSE_LR, TrainingConfig
from dlcli.resources import resolve_input
from dlcli.text.config import SkipRowsConfig, TextDataConfig, TextModelConfig, TextPipelineConfig
from dlcli.text.defaults import training_defaults
from dlcli.verbs import Action
from dlcli.verbs.shared.training import Task, train
from dlcli.verbs.shared.training_result import TrainingResult

if TYPE_CHECKING:
    from dlcli.core.dataset import Corpus


class TrainTextConfig(RunConfig, TrainingConfig, TextModelConfig, TextPipelineConfig, SkipRowsConfig, TextDataConfig):
    """All settings of a text training."""

    section = "Data"

    data: Path | None = option(
        None,
        "A CSV, TSV or JSONL file, or a folder with a folder of .txt files for each class (train/ and val/ count); or "
        "data:NAME, see dlcli data.",
        argument=True,
        metavar="DATA",
    )
    val: Path | None = option(None, "Validation data, read as DATA is; without it a part of DATA.", metavar="DATA")

    @model_validator(mode="after")
    def _data_or_resume(self) -> TrainTextConfig:
        if self.data is None and self.resume is None:
            raise ValueError("expected DATA, the texts to train on, or --resume RUN")
        self.take(TextPipelineConfig).for_model(self.model)
        return self

    def resolved(self, *, items: int | None = None) -> Self:
        """Return the same settings with every `without it ...` filled in; see `TrainingConfig.resolved`."""
        own = training_defaults(self.model, items=items)
        if own:
            # Of the optimizers' rates for dense models, each as far off its own as the model's is off Adam's.
            own["lr"] = DENSE_LR[self.optimizer] * own["lr"] / DENSE_LR["adam"]
        missing = {name: value for name, value in own.items() if getattr(self, name) is None}
        filled = self.model_copy(update=missing)
        pipeline = filled.take(TextPipelineConfig).for_model(self.model)
        model = filled.take(TextModelConfig).resolved_model()
        return super(TrainTextConfig, filled).resolved(items=items).model_copy(update=dict(pipeline) | dict(model))


def train_text(config: TrainTextConfig, progress: Progress) -> TrainingResult:
    """Train a text classifier.

    Args:
        config: the settings.
        progress: told of stages and epochs.

    Returns:
        the run and its validation scores.
    """
    return train(_TASK, config, progress)


def _read(config: TrainTextConfig, progress: Progress) -> Corpus:
    from dlcli.text.corpus import read_corpus

    assert config.data is not None
    without = Skipped()
    if config.from_ is None:
        # The first one is read, to find now what is wrong with all: the others stream past when TensorFlow is there.
        # Where bad ones are left out all are, to count them.
        deque(_unlabelled(config, without), maxlen=0) if config.skip_bad else next(_unlabelled(config), None)
    if without.count:
        progress.warn(f"{config.unlabelled}: {without.count:,} bad rows are left out: {without}")
    return read_corpus(
        config.data,
        val=config.val,
        columns=config,
        skip_bad=config.skip_bad,
        val_split=config.val_split,
        seed=config.seed,
        progress=progress,
    )


def _auto(config: TrainTextConfig) -> Any:
    from dlcli.text import models

    return models.auto(config)


def _make_domain(config: TrainTextConfig) -> Any:
    from dlcli.core.losses import output_activation
    from dlcli.text.domain import TextDomain

    return TextDomain(
        config.take(TextPipelineConfig),
        config.take(TextModelConfig),
        seed=config.seed,
        output=output_activation(config),
        unlabelled=_unlabelled(config) if config.unlabelled else None,
    )


def _unlabelled(config: TrainTextConfig, skipped: Skipped | None = None) -> Iterator[str]:
    """Yield the texts of `--unlabelled`, if there are any."""
    from dlcli.text.read import read_unlabelled

    if config.unlabelled is not None:
        skip = (skipped or Skipped()) if config.skip_bad else None
        yield from read_unlabelled(resolve_input(config.unlabelled), config, skip=skip)


_TASK = Task(
    verb="train-text",
    domain="text",
    config=TrainTextConfig,
    inherited=(TextPipelineConfig, TextModelConfig),
    read=_read,
    make_domain=_make_domain,
    auto=_auto,
    waits=lambda config: {"embedding": config.freeze_epochs} if config.freeze_epochs else {},
)

ACTION = Action(
    config=TrainTextConfig,
    function=train_text,
    task=_TASK,
    examples=(
        "dlcli train-text sample_data/reviews.csv --ngrams 2 --out runs/reviews",
        "dlcli train-text reviews.csv --optimizer sgd --momentum 0.9 --nesterov --schedule cosine --warmup 0.1",
        "dlcli train-text reviews.csv --find-lr",
        "dlcli train-text --resume runs/reviews",
    ),
)
