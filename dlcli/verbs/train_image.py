"""`dlcli train-image`: from labelled pictures to a run directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import model_validator

from dlcli.core.config import RunConfig, option
from dlcli.core.progress import Progress
from dlcli.core.training_config import DENSE_LR, Schedule, TrainingConfig
from dlcli.errors import UsageError
from dlcli.verbs import Action
from dlcli.verbs.shared.labelled_pictures import LabelledPicturesConfig, keep_given, read_labelled
from dlcli.verbs.shared.training import Task, train
from dlcli.verbs.shared.training_result import TrainingResult
from dlcli.vision.augmentation.config import AugmentationConfig, MixingConfig
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.defaults import training_defaults
from dlcli.vision.model_config import ImageModelConfig

if TYPE_CHECKING:
    from dlcli.core.dataset import Corpus

_LOSSES = {
    "binary": "binary_crossentropy",
    "categorical": "categorical_crossentropy",
    "sparse": "sparse_categorical_crossentropy",
}


class TrainImageConfig(
    RunConfig,
    TrainingConfig,
    MixingConfig,
    AugmentationConfig,
    ImageModelConfig,
    ImagePipelineConfig,
    LabelledPicturesConfig,
):
    """All settings of a picture training."""

    section = "Data"

    class_mode: Literal["binary", "categorical", "sparse"] | None = option(
        None, "The loss by the name of the labels' form: binary, categorical or sparse cross entropy."
    )
    cache: Literal["auto", "ram", "disk", "none"] = option(
        "auto",
        "Where decoded pictures are kept: memory, a file that goes with the process, or nowhere; auto: memory, where "
        "they take up to a third of what is free.",
    )
    epochs: int = option(10, "Train for this many passes over the data; without it what fits model and data.", ge=1)
    schedule: Schedule = option("one-cycle", "How the learning rate changes from step to step.")
    patience: int = option(
        0,
        "Stop after this many epochs without a better score; the best epoch's weights stay. 0: never stop early.",
        ge=0,
    )

    @model_validator(mode="before")
    @classmethod
    def _loss_of_the_class_mode(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not (mode := given.get("class_mode")) or mode not in _LOSSES:
            return given
        loss = given.get("loss")
        if loss not in (None, _LOSSES[mode]):
            raise ValueError(f"--class-mode {mode} is --loss {_LOSSES[mode]}, and --loss {loss} was given too")
        return {**given, "loss": _LOSSES[mode]}

    @model_validator(mode="after")
    def _data_or_resume(self) -> Self:
        if self.data is None and self.resume is None:
            raise ValueError("expected DATA, the pictures to train on, or --resume RUN")
        if self.mixes and self.loss == _LOSSES["sparse"]:
            raise ValueError(f"--mixup and --cutmix mix labels, and --loss {self.loss} takes one number a picture")
        return self

    def resolved(self, *, items: int | None = None) -> Self:
        """Return the same settings with every `without it ...` filled in; see `TrainingConfig.resolved`."""
        own = training_defaults(self.model, items=items, size=self.image_size)
        own["lr"] = DENSE_LR[self.optimizer] * own["lr"] / DENSE_LR["adam"]
        missing = {name: value for name, value in own.items() if name not in self.model_fields_set}
        filled = self.model_copy(update=missing)
        model = filled.take(ImageModelConfig).resolved_model(self.image_size)
        return super(TrainImageConfig, filled).resolved(items=items).model_copy(update=dict(model))


def train_image(config: TrainImageConfig, progress: Progress) -> TrainingResult:
    """Train a picture classifier.

    Args:
        config: the settings.
        progress: told of stages and epochs.

    Returns:
        the run and its validation scores.
    """
    return train(_TASK, config, progress)


def _read(config: TrainImageConfig, progress: Progress) -> Corpus:
    corpus = read_labelled(config, progress)
    if config.class_mode == "binary" and len(corpus.names) != 2:
        raise UsageError(
            f"--class-mode binary is for two classes, and {config.data} has {len(corpus.names)}",
            hint="Use --class-mode categorical",
        )
    return keep_given(corpus, config)


def _auto(config: TrainImageConfig) -> Any:
    from dlcli.vision import models

    return models.auto(config)


def _make_domain(config: TrainImageConfig) -> Any:
    from dlcli.core.losses import output_activation
    from dlcli.vision.domain import PictureDomain

    return PictureDomain(
        config.take(ImagePipelineConfig),
        config.take(ImageModelConfig),
        augmentation=config.take(AugmentationConfig),
        mixing=config.take(MixingConfig),
        cache=config.cache,
        seed=config.seed,
        output=output_activation(config),
    )


_TASK = Task(
    verb="train-image",
    domain="vision",
    config=TrainImageConfig,
    inherited=(ImagePipelineConfig, ImageModelConfig),
    read=_read,
    make_domain=_make_domain,
    auto=_auto,
)

ACTION = Action(
    config=TrainImageConfig,
    function=train_image,
    task=_TASK,
    examples=(
        "dlcli train-image sample_data/shapes --out runs/shapes",
        "dlcli train-image photos/ --model cnn --image-size 150 --augment book --out runs/photos",
        "dlcli train-image mnist/ --model mlp --color grayscale --epochs 5",
        "dlcli train-image --resume runs/photos",
    ),
)
