"""Pretrained bases as Keras models, built by `keras.applications`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dlcli.core.backend import keras
from dlcli.errors import UsageError
from dlcli.vision import weights as files
from dlcli.vision.bases import Base
from dlcli.vision.stored_weights import snake_case

# Of ImageNet's pixels from 0 to 1, by channel: red, green, blue (keras.applications.efficientnet).
_DEVIATION = (0.229, 0.224, 0.225)


def build(base: Base, *, height: int, width: int, weights: Path | None, full: bool = False) -> keras.Model:
    """Build a base of `keras.applications`, under the dtype policy that is set.

    Args:
        base: which.
        height: of the pictures in pixels.
        width: likewise.
        weights: a file of its weights; None leaves them random.
        full: with its head for the 1,000 classes of ImageNet.

    Returns:
        an uncompiled model: float (batch, height, width, 3), preprocessed as the base asks for, in; out the feature
        maps of `base.feature_layer`, or with the head probabilities (batch, 1000). Its layers have the same names in
        every process.

    Raises:
        UsageError: the pictures are too small.
        ModelError: the weights are not those of this base, or damaged.
    """
    assert base.application, f"{base.name} is a model of its own"
    if min(height, width) < base.smallest_size:
        raise UsageError(
            f"pictures of {height}x{width} are too small for {base.name}, which takes at least "
            f"{base.smallest_size}x{base.smallest_size}",
            hint=f"Name a larger --image-size; it was trained on {base.default_size}x{base.default_size}",
        )
    model = getattr(keras.applications, base.application)(
        include_top=full, weights=None, input_shape=(height, width, 3)
    )
    if base.application.startswith("EfficientNetB"):
        model = _with_deviation(model)
    _name_as_first(model)
    if weights is not None:
        files.load(model, weights)
    return model


def _with_deviation(model: keras.Model) -> keras.Model:
    """Put behind EfficientNet's normalisation what Keras puts there for the published weights alone.

    They were trained on pixels divided by the square root of the deviation once more: without it they answer wrongly.
    """

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        if not isinstance(layer, keras.layers.Normalization):
            return outputs
        return keras.layers.Rescaling([1.0 / deviation**0.5 for deviation in _DEVIATION])(outputs)

    return keras.models.clone_model(model, call_function=call)


def _name_as_first(model: keras.Model) -> None:
    """Give layers that Keras numbers the names that they have in a process which builds nothing else."""
    numbered: dict[str, list[tuple[int, Any]]] = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            layer.name = "input_layer"
            continue
        kind, number = re.fullmatch(r"(.*?)(?:_(\d+))?", layer.name).groups()  # type: ignore[union-attr]
        if kind == snake_case(type(layer).__name__):
            numbered.setdefault(kind, []).append((int(number or 0), layer))
    for kind, layers in numbered.items():
        for place, (_, layer) in enumerate(sorted(layers, key=lambda pair: pair[0])):
            layer.name = f"{kind}_{place}" if place else kind
