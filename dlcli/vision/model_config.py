"""Settings of the image models."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from dlcli.core.config import Counts, flag, option
from dlcli.core.training_config import LayerConfig
from dlcli.vision.defaults import MODEL_DEFAULTS, sizes

PIXEL = 1 / 255
"""What takes a byte to the range from 0 to 1."""
# Denominators up to this are shown as a fraction: 1/255.
_LARGEST_DENOMINATOR = 1_000


def _factor(value: Any) -> Any:
    """Read `1/255` as a number."""
    if not isinstance(value, str):
        return value
    numerator, slash, denominator = value.partition("/")
    try:
        return float(numerator) / (float(denominator) if slash else 1.0)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"expected a factor such as 1/255 or 0.004, got {value!r}") from None


def _shown_factor(factor: float) -> str | float:
    """Return a factor as people write it: 1/255, or the number when it is not one over a whole number."""
    denominator = round(min(_LARGEST_DENOMINATOR, 1 / factor))
    return f"1/{denominator}" if denominator > 1 and 1 / denominator == factor else factor


Factor = Annotated[
    float,
    Field(gt=0, allow_inf_nan=False),
    BeforeValidator(_factor),
    PlainSerializer(_shown_factor, when_used="json"),
]
"""A number above 0; on the command line and in a recipe also a fraction such as 1/255."""

_CONVOLUTIONAL = ("cnn", "cnn-bn", "resnet")
_DENSE = ("mlp", "cnn", "cnn-bn", "resnet", "rnn")
# Which models take a setting; what is not listed goes with all.
_TAKEN_BY: dict[str, tuple[str, ...]] = {
    "filters": _CONVOLUTIONAL,
    "layers": ("cnn", "cnn-bn", "rnn"),
    "blocks": ("resnet",),
    "kernel_size": _CONVOLUTIONAL,
    "stem_stride": _CONVOLUTIONAL,
    "conv_dropout": _CONVOLUTIONAL,
    "pooling": _CONVOLUTIONAL,
    "norm_position": ("cnn-bn", "resnet"),
    "hidden_units": _DENSE,
    "cell": ("rnn",),
    "units": ("rnn",),
}


class ImageModelConfig(LayerConfig):
    """Which model, and its settings; `resolved_model` fills in what was not given."""

    section = "Model"

    model: Literal["linear", "mlp", "cnn", "cnn-bn", "resnet", "rnn"] = option(
        "cnn",
        "The model: 'linear' has a weight a pixel and class, 'mlp' dense layers, 'cnn' convolutions and pooling, "
        "'cnn-bn' batch normalisation too, 'resnet' shortcuts around them; 'rnn' reads a picture row by row.",
    )
    rescale: Factor = option(PIXEL, "Factor on pixel values, which are 0 to 255: 1/255, or a number.", metavar="FACTOR")
    filters: Counts = option(
        (),
        "Filters of the convolutions at each size of the picture, such as 32,64,128; between two of them the sides are "
        "halved. Without it the model's own for pictures of this size.",
        metavar="SIZES",
    )
    layers: int | None = option(
        None, "Convolutions before each pooling (cnn: 1, cnn-bn: 2), recurrent layers one on the other (1).", ge=1
    )
    blocks: int | None = option(None, "Residual blocks at each size of the picture (1).", ge=1)
    kernel_size: int | None = option(None, "Side of a convolution's window in pixels (3).", ge=1)
    stem_stride: int | None = option(
        None, "Step of the first convolution in pixels; without it 2 where both sides are over 100, else 1.", ge=1
    )
    conv_dropout: float | None = option(
        None,
        "Share of the feature maps that is left out at a training step, before each but the first size (Tompson et al. "
        "2015); without it the model's own, mostly 0.",
        ge=0,
        lt=1,
    )
    pooling: Literal["flatten", "max", "mean"] | None = option(
        None,
        "How the last feature maps become one row: every number, or the largest or mean of each map; without it mean "
        "for resnet, else flatten.",
    )
    norm_position: Literal["pre", "post"] | None = option(
        None, "Batch normalisation before (pre, Ioffe & Szegedy 2015) or behind (post) the activation; without it pre."
    )
    hidden_units: Counts = option(
        (),
        "Sizes of the dense layers before the classes, such as 512,256; without it the model's own.",
        metavar="SIZES",
    )
    cell: Literal["lstm", "gru", "rnn"] | None = option(None, "Kind of the recurrent layers (lstm).")
    units: int | None = option(None, "Units of a recurrent layer (128).", ge=1)

    @model_validator(mode="after")
    def _fitting_the_model(self) -> Self:
        for name, takers in _TAKEN_BY.items():
            if getattr(self, name) not in (None, ()) and self.model not in takers:
                raise ValueError(
                    f"{flag(name)} does not go with --model {self.model}; it goes with {', '.join(takers)}"
                )
        for name in ("activation", "activity_l1", "activity_l2"):
            if not getattr(self, name):
                continue
            if self.model == "linear":
                raise ValueError(f"{flag(name)} does not go with --model linear, which has no hidden layers")
            if self.model == "rnn" and not self.hidden_units:
                raise ValueError(f"{flag(name)} is for dense layers: give --hidden-units too, such as 64")
        return self

    def resolved_model(self, size: tuple[int, int] | None = None) -> Self:
        """Return the settings with the model's own in the place of what nobody gave.

        Args:
            size: height and width of a picture in pixels; without it what depends on it is left open.
        """
        own = dict(MODEL_DEFAULTS[self.model])
        if size is not None:
            own |= sizes(self.model, size)
        if self.pooling in ("max", "mean"):  # A number a feature map: few enough for the classes to read.
            own.pop("hidden_units", None)
        missing = {name: value for name, value in own.items() if getattr(self, name) in (None, ())}
        return self.model_copy(update=missing)
