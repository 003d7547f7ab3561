"""The image models, by name: from the bytes of pixels to the probability of each class."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from dlcli.core.backend import keras
from dlcli.core.devices import Auto
from dlcli.core.layers import activation, head, hidden, initializer, penalty
from dlcli.vision.model_config import ImageModelConfig

layers = keras.layers

_CELLS = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


def auto(config: ImageModelConfig) -> Auto:
    """Return what `--precision auto` turns on for a model; `--jit auto` turns nothing on.

    On CPUs with AMX convolutions were 1.2 times as fast in bfloat16, and less than half as fast compiled with XLA.
    """
    convolutional = config.model in ("cnn", "cnn-bn", "resnet")
    return Auto(bfloat16=("cpu", "gpu") if convolutional else ("gpu",))


def build(
    config: ImageModelConfig,
    *,
    height: int,
    width: int,
    channels: int,
    classes: int,
    seed: int,
    output: str = "softmax",
) -> keras.Model:
    """Build a model for pictures of one size.

    Args:
        config: which model, and its settings; the model's own take the place of what is None.
        height: of a picture in pixels, at least 8.
        width: likewise.
        channels: 1 or 3 numbers a pixel.
        classes: the number of classes.
        seed: of every random draw in the model.
        output: activation of the last layer: `softmax`, or `linear` for scores.

    Returns:
        an uncompiled model: uint8 (batch, height, width, channels) in, float32 (batch, classes) out. The layers of
        a convolutional one are named `conv_1`, `norm_1` ...; of a resnet `stem_conv`, `stage_1_conv`,
        `stage_1_block_1_conv_1` ...; dense ones are `hidden_1` ... and `classes`.
    """
    config = config.resolved_model((height, width))
    seeds = itertools.count(seed + 1_000)
    pixels = keras.Input((height, width, channels), dtype="uint8", name="pixels")
    scaled = layers.Rescaling(config.rescale, name="rescale")(pixels)
    features = _READERS[config.model](scaled, config, seeds)
    features = hidden(features, config.hidden_units, config, seed=seed)
    return keras.Model(pixels, head(features, classes, config, activation=output, seed=seed), name=config.model)


def _flat(pixels: Any, config: ImageModelConfig, seeds: Iterator[int]) -> Any:
    return layers.Flatten(name="flatten")(pixels)


def _rows(pixels: Any, config: ImageModelConfig, seeds: Iterator[int]) -> Any:
    """Read a picture from top to bottom, a row a step."""
    _, height, width, channels = pixels.shape
    rows = layers.Reshape((height, width * channels), name="rows")(pixels)
    count = config.layers or 1
    for number in range(1, count + 1):
        rows = _CELLS[config.cell or "lstm"](
            config.units,
            return_sequences=number < count,
            kernel_initializer=_first(config, next(seeds)),
            recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
            kernel_regularizer=penalty(config.l1, config.l2),
            recurrent_regularizer=penalty(config.l1, config.l2),
            bias_regularizer=penalty(config.bias_l1, config.bias_l2),
            seed=next(seeds),
            name=f"{config.cell}_{number}",
        )(rows)
    return rows


def _convolutions(maps: Any, config: ImageModelConfig, seeds: Iterator[int]) -> Any:
    """Stack convolutions, as many as `config.layers` at each size, and halve the sides behind them."""
    norm, count = config.model == "cnn-bn", itertools.count(1)
    for stage, filters in enumerate(config.filters, start=1):
        maps = _left_out(maps, config, seeds) if stage > 1 else maps
        for _ in range(config.layers or 1):
            number = next(count)
            stride = config.stem_stride if number == 1 else 1
            names = f"conv_{number}", f"norm_{number}"
            maps = _convolution(maps, filters, config, seeds, names=names, stride=stride, norm=norm)
        maps = _halved(maps, name=f"pool_{stage}")
    return _pooled(maps, config)


def _residual(maps: Any, config: ImageModelConfig, seeds: Iterator[int]) -> Any:
    """Halve the sides with a convolution and put residual blocks (He et al. 2016) behind it, at each size.

    The shape is that of Page's ResNet-9 for DAWNBench (2018), narrower, and with steps of two pixels in the place of
    poolings, which cost four times the work.
    """
    first, *others = config.filters

    def step(inputs: Any, filters: int, name: str, **settings: Any) -> Any:
        return _convolution(inputs, filters, config, seeds, names=(f"{name}_conv", f"{name}_norm"), **settings)

    maps = step(maps, first, "stem", stride=config.stem_stride)
    for stage, filters in enumerate(others, start=1):
        maps = _left_out(maps, config, seeds) if stage > 1 else maps
        maps = step(maps, filters, f"stage_{stage}", stride=2)
        for block in range(1, (config.blocks or 1) + 1):
            inner = maps
            for number in (1, 2):
                name = f"stage_{stage}_block_{block}"
                names = f"{name}_conv_{number}", f"{name}_norm_{number}"
                inner = _convolution(inner, filters, config, seeds, names=names)
            maps = layers.Add(name=f"stage_{stage}_block_{block}_add")([maps, inner])
    return _pooled(maps, config)


def _convolution(
    maps: Any,
    filters: int,
    config: ImageModelConfig,
    seeds: Iterator[int],
    *,
    names: tuple[str, str],
    stride: int | None = 1,
    norm: bool = True,
) -> Any:
    """Put a convolution and its activation on top, with batch normalisation before or behind the latter."""
    active = activation(config.activation or "relu")
    activity = penalty(config.activity_l1, config.activity_l2)
    before = norm and config.norm_position == "pre"
    maps = layers.Conv2D(
        filters,
        config.kernel_size,
        strides=stride,
        padding="same",
        activation=None if before else active,
        use_bias=not before,  # The normalisation has one.
        # Of He et al. (2015), made for relu: through several layers Glorot's let the signal shrink.
        kernel_initializer=_first(config, next(seeds), own="he_uniform"),
        kernel_regularizer=penalty(config.l1, config.l2),
        bias_regularizer=penalty(config.bias_l1, config.bias_l2),
        activity_regularizer=None if before else activity,
        name=names[0],
    )(maps)
    maps = layers.BatchNormalization(momentum=_MOMENTUM, name=names[1])(maps) if norm else maps
    if not before:
        return maps
    return layers.Activation(active, activity_regularizer=activity, name=f"{names[0]}_activation")(maps)


# Of the running mean and variance: a short training does not see the thousands of steps that Keras' 0.99 takes.
_MOMENTUM = 0.9


def _first(config: ImageModelConfig, seed: int, *, own: str = "glorot_uniform") -> Any:
    return initializer(config.initializer or own, seed=seed)


def _left_out(maps: Any, config: ImageModelConfig, seeds: Iterator[int]) -> Any:
    return layers.SpatialDropout2D(config.conv_dropout, seed=next(seeds))(maps) if config.conv_dropout else maps


def _halved(maps: Any, *, name: str) -> Any:
    """Take the largest of each 2x2 pixels; a side of 1 stays."""
    return layers.MaxPooling2D(tuple(min(2, side) for side in maps.shape[1:3]), name=name)(maps)


def _pooled(maps: Any, config: ImageModelConfig) -> Any:
    """Turn the feature maps of each picture into one row."""
    kinds = {"flatten": layers.Flatten, "max": layers.GlobalMaxPooling2D, "mean": layers.GlobalAveragePooling2D}
    assert config.pooling is not None, "resolved"
    return kinds[config.pooling](name=config.pooling if config.pooling == "flatten" else "pooling")(maps)


_READERS: dict[str, Callable[..., Any]] = {
    "linear": _flat,
    "mlp": _flat,
    "cnn": _convolutions,
    "cnn-bn": _convolutions,
    "resnet": _residual,
    "rnn": _rows,
}
