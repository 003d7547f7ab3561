"""Settings of transfer learning: which base, what of it is trained, and what stands on top of it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from dlcli.core.config import Config, Counts, flag, option
from dlcli.core.training_config import LayerConfig
from dlcli.vision.config import ImagePipelineConfig, ImageSize

Preprocessing = Literal["caffe", "tf", "torch", "unit", "none"]

# Units as in the notes' head (Chollet 2017, section 5.3). Dropout, before each dense layer, by the means of splits of
# 2,000 photographs on MobileNet: 97.6 % with 0.2, 97.1 % with 0.5 (docs/transfer-learning.md).
_HIDDEN_UNITS, _DROPOUT = (256,), 0.2


class BasePicturesConfig(ImagePipelineConfig):
    """How a picture becomes the pixels that a base sees."""

    section = "Pictures"

    image_size: ImageSize | None = option(
        None,
        "Size that the base sees: 150, or HEIGHTxWIDTH; without it that which it is made for, or that of the pictures "
        "where all have the same up to 150.",
        metavar="SIZE",
    )
    resize: Literal["stretch", "letterbox", "crop"] = option(
        "crop",
        "How a picture of another shape gets that size: its largest middle part, as most bases were trained; "
        "stretched; or whole, with black bars.",
    )
    color: Literal["rgb", "grayscale"] | None = option(
        None, "Channels that the base takes; without it as it has them: grayscale pictures become three equal ones."
    )


class BaseConfig(Config):
    """Which pretrained network is built on."""

    section = "Base"

    base: str = option(
        "vgg16",
        "The pretrained base: a name (dlcli pretrained lists them), a .keras file, or a finished run of pictures.",
        metavar="BASE",
    )
    weights: str = option(
        "imagenet",
        "Its weights: imagenet, none (random ones), or a file of its weights; a .keras file or a run has its own.",
        metavar="imagenet|none|FILE",
    )
    preprocessing: Preprocessing | None = option(
        None,
        "How bytes become what the base takes: tf (-1 to 1), caffe (BGR less the means of ImageNet), torch (its means "
        "and deviations), unit (0 to 1), none (0 to 255); without it the base's own.",
    )
    upsample: int = option(
        1, "Enlarge small pictures inside the model so many times, after --image-size: 28x28 to 56x56 with 2.", ge=1
    )


class HeadConfig(LayerConfig):
    """What is trained on top of the base."""

    section = "Head"

    head: Literal["flatten-dense", "gap-dense", "linear"] | None = option(
        None,
        "flatten-dense: all feature maps, dense layers, the classes (the notes'); gap-dense: the mean of each map "
        "instead (Lin et al. 2014); linear: the means and the classes; without it gap-dense.",
    )
    hidden_units: Counts = option(
        (), "Sizes of the dense layers of the head, such as 512,256; without it 256.", metavar="SIZES"
    )

    def resolved_head(self) -> Self:
        """Return the settings with the head's own in the place of what nobody gave."""
        head = self.head or "gap-dense"
        own: dict[str, object] = {"head": head, "dropout": _DROPOUT}
        if head != "linear":
            own["hidden_units"] = _HIDDEN_UNITS
        return self.model_copy(update={name: value for name, value in own.items() if getattr(self, name) in (None, ())})

    @model_validator(mode="after")
    def _fitting_the_head(self) -> Self:
        if self.head == "linear":
            for name in ("hidden_units", "activation", "activity_l1", "activity_l2"):
                if getattr(self, name):
                    raise ValueError(f"{flag(name)} does not go with --head linear, which has no hidden layers")
        return self


class FreezingConfig(Config):
    """What of the base is trained."""

    section = "Freezing"

    freeze_base: bool | None = option(None, "Train the head alone, as without it; --no-freeze-base trains all.")
    unfreeze: str | None = option(
        None,
        "Train the base too, from here up: a block or a layer of it, the last N layers with weights, or all.",
        metavar="BLOCK|LAYER|N|all",
    )
    lower_lr: float = option(
        1.0,
        "Factor on the learning rate from each block of the base to the one below (Howard & Ruder 2018).",
        gt=0,
        le=1,
    )
    augment_copies: int | None = option(
        None,
        "Changed copies of each picture, besides itself, whose features are kept and used in every epoch; without it 4 "
        "where there is augmentation.",
        ge=1,
    )
    augment_online: bool = option(
        False, "Change the pictures anew for each epoch; the frozen part then computes each epoch anew, too."
    )
    cache: Literal["auto", "none"] = option(
        "auto",
        "auto: what the frozen part computes is kept in the user's cache, for all epochs and for later runs; none: it "
        "computes each epoch anew.",
    )

    @property
    def trained_from(self) -> str | None:
        """From where on the base is trained, as `unfreeze` says it; None where all of it is frozen."""
        return self.unfreeze or ("all" if self.freeze_base is False else None)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.unfreeze is not None and self.freeze_base:
            raise ValueError("expected --freeze-base or --unfreeze, got both")
        if self.unfreeze is not None and not self.unfreeze.strip():
            raise ValueError("--unfreeze: expected a block, a layer, a number of layers, or all")
        if self.augment_online and self.augment_copies is not None:
            raise ValueError("expected --augment-copies or --augment-online, got both")
        return self


class SecondStepConfig(Config):
    """A second step in the same command, when the head is trained."""

    section = "Second step"

    then_unfreeze: str | None = option(
        None,
        "A second step when the head is trained, as by --from RUN --unfreeze: from here up the base is trained. The "
        "first step's run is kept as RUN-frozen.",
        metavar="BLOCK|LAYER|N|all",
    )
    then_lr: float | None = option(None, "Learning rate of the second step; without it what fits.", gt=0)
    then_epochs: int | None = option(None, "Epochs of the second step; without it what fits.", ge=1)

    @model_validator(mode="after")
    def _of_a_second_step(self) -> Self:
        if not self.then_unfreeze and (self.then_lr or self.then_epochs):
            raise ValueError("--then-lr and --then-epochs go with --then-unfreeze")
        return self


def is_path(base: str) -> bool:
    """Say whether `--base` names a file or a run, and no entry of the registry."""
    return base.endswith(".keras") or "/" in base or Path(base).is_dir()
