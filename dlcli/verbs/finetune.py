"""`dlcli finetune`: from few labelled pictures and a network that was trained on many others to a run directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import model_validator

from dlcli.core.config import RunConfig, option
from dlcli.core.progress import Progress
from dlcli.core.training_config import DENSE_LR, Schedule, TrainingConfig
from dlcli.verbs import Action
from dlcli.verbs.shared.labelled_pictures import LabelledPicturesConfig, keep_given, read_labelled
from dlcli.verbs.shared.recorded import settings_of
from dlcli.verbs.shared.training import Task, train
from dlcli.verbs.shared.training_result import TrainingResult
from dlcli.vision.augmentation.config import AugmentationConfig
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.defaults import finetuning_defaults
from dlcli.vision.finetune_config import BaseConfig, BasePicturesConfig, FreezingConfig, HeadConfig, SecondStepConfig

if TYPE_CHECKING:
    from dlcli.core.dataset import Corpus

# What the first of two steps is called, beside the run of the second.
_FIRST = "-frozen"


class FinetuneConfig(
    RunConfig,
    TrainingConfig,
    AugmentationConfig,
    SecondStepConfig,
    FreezingConfig,
    HeadConfig,
    BaseConfig,
    BasePicturesConfig,
    LabelledPicturesConfig,
):
    """All settings of a transfer learning."""

    section = "Data"

    epochs: int = option(20, "Train for this many passes over the data; without it what fits the data.", ge=1)
    schedule: Schedule = option("one-cycle", "How the learning rate changes from step to step.")
    patience: int = option(
        0,
        "Stop after this many epochs without a better score; the best epoch's weights stay. 0: never stop early.",
        ge=0,
    )

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.data is None and self.resume is None:
            raise ValueError("expected DATA, the pictures to train on, or --resume RUN")
        if not self.active and (self.augment_online or self.augment_copies):
            given = "--augment-online" if self.augment_online else "--augment-copies"
            raise ValueError(
                f"{given} says how pictures are changed, and no change is asked for, such as --augment book"
            )
        if self.then_unfreeze and (self.trained_from or self.from_):
            raise ValueError("--then-unfreeze is a second step after one with a frozen base")
        return self

    @property
    def model(self) -> str:
        """What `run.json` calls the model."""
        return self.base

    def resolved(self, *, items: int | None = None) -> Self:
        """Return the same settings with every `without it ...` filled in; see `TrainingConfig.resolved`."""
        own = finetuning_defaults(items=items, unfrozen=self.trained_from is not None)
        own["lr"] = DENSE_LR[self.optimizer] * own["lr"] / DENSE_LR["adam"]
        missing = {name: value for name, value in own.items() if name not in self.model_fields_set}
        filled = self.model_copy(update=missing)
        head = filled.take(HeadConfig).resolved_head()
        return super(FinetuneConfig, filled).resolved(items=items).model_copy(update=dict(head))


def finetune(config: FinetuneConfig, progress: Progress) -> TrainingResult:
    """Train a head on a pretrained base, and the upper part of the base with it where that is asked for.

    Args:
        config: the settings.
        progress: told of stages and epochs.

    Returns:
        the run and its validation scores; of two steps those of the second.
    """
    if config.resume is not None:
        return _resumed(config, progress)
    if config.then_unfreeze is None or config.dry_run or config.find_lr:
        return train(_TASK, config, progress)
    from dlcli.core.run import claimed, require_free

    with claimed(config.out, _TASK.verb) as out:
        require_free(out, force=config.force)
        first = out.with_name(out.name + _FIRST)
        progress.note(f"step 1 of 2: the head alone, in {first}")
        train(_TASK, config.model_copy(update={"out": first}), progress)
        return _second_step(config, first, out, progress)


def _resumed(config: FinetuneConfig, progress: Progress) -> TrainingResult:
    """Go on with a run, and after the first of two steps with the second."""
    from dlcli.core.record import RECORD, read_record
    from dlcli.core.run import claimed

    assert config.resume is not None
    result = train(_TASK, config, progress)
    settings = settings_of(read_record(config.resume), config.resume)
    if settings.then_unfreeze is None:
        return result
    first = config.resume.resolve()
    named = first.name.endswith(_FIRST)
    with claimed(first.with_name(first.name.removesuffix(_FIRST)) if named else None, _TASK.verb) as out:
        if (out / RECORD).exists():
            progress.note(f"the second step is {out}")
            return result
        return _second_step(settings, config.resume, out, progress)


def _second_step(config: FinetuneConfig, first: Path, out: Path, progress: Progress) -> TrainingResult:
    progress.note(f"step 2 of 2: the base from {config.then_unfreeze} up, in {out}")
    given = config.model_fields_set - {"then_unfreeze", "then_lr", "then_epochs", "lr", "epochs", "freeze_base"}
    settings = {name: getattr(config, name) for name in given}
    then = {"lr": config.then_lr, "epochs": config.then_epochs}
    settings |= {name: value for name, value in then.items() if value is not None}
    settings |= {"from_": first, "unfreeze": config.then_unfreeze, "out": out, "resume": None}
    return train(_TASK, FinetuneConfig(**settings), progress)


def _read(config: FinetuneConfig, progress: Progress) -> Corpus:
    from dlcli.vision import base_choice
    from dlcli.vision.corpus import FALLBACK_SIZE

    choice = base_choice.choose(config.take(BaseConfig))
    corpus = read_labelled(config, progress)
    own = corpus.settings["image_size"]
    smallest = choice.entry.smallest_size if choice.entry else 1
    # Pictures that are all of one size, and small, stay as they are.
    if choice.size is not None and (own == FALLBACK_SIZE or choice.fixed or min(own) * config.upsample < smallest):
        corpus.settings["image_size"] = choice.size
    corpus.settings["color"] = "rgb" if choice.channels == 3 else "grayscale"
    return keep_given(corpus, config)


def _auto(config: FinetuneConfig) -> Any:
    from dlcli.vision import base_choice

    return base_choice.choose(config.take(BaseConfig)).auto


def _make_domain(config: FinetuneConfig) -> Any:
    from dlcli.core.losses import output_activation
    from dlcli.vision import base_choice
    from dlcli.vision.transfer import TransferDomain

    base = config.take(BaseConfig)
    return TransferDomain(
        base_choice.choose(base),
        base=base,
        head=config.take(HeadConfig),
        freezing=config.take(FreezingConfig),
        pipeline=config.take(ImagePipelineConfig),
        augmentation=config.take(AugmentationConfig),
        seed=config.seed,
        output=output_activation(config),
    )


_TASK = Task(
    verb="finetune",
    domain="vision",
    config=FinetuneConfig,
    inherited=(ImagePipelineConfig, BaseConfig, HeadConfig),
    read=_read,
    make_domain=_make_domain,
    auto=_auto,
)

ACTION = Action(
    config=FinetuneConfig,
    function=finetune,
    task=_TASK,
    examples=(
        "dlcli finetune sample_data/shapes --base shipped --out runs/shapes",
        "dlcli finetune photos/ --base vgg16 --freeze-base --out runs/photos",
        "dlcli finetune photos/ --base my-base.keras --augment book --augment-copies 4",
        "dlcli finetune photos/ --from runs/photos --unfreeze block5 --lr 1e-5 --out runs/photos-2",
        "dlcli finetune photos/ --then-unfreeze block5 --out runs/photos",
    ),
)
