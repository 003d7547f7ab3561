"""Feature visualisation: pictures that excite a filter most, made by gradient ascent.

After Olah, Mordvintsev and Schubert 2017, "Feature Visualization": the picture is described by its frequencies, of
which high ones count less, and by colours along the axes in which those of natural pictures vary independently; and it
is moved, turned and scaled a little at each step, so that only what holds for all of its neighbours is kept. Without
either what comes is noise, which the network answers to and no person can read.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.core.backend import keras, tf
from dlcli.core.progress import Progress
from dlcli.errors import NumbersError
from dlcli.results.inspection import structure
from dlcli.vision import networks

Array = np.ndarray[Any, Any]

# Of Adam, on the frequencies.
_LEARNING_RATE = 0.05
# Standard deviation of the first frequencies: the start is cloudy, so that most filters answer to some of it.
_START = 0.2
# How far a step may turn (radians), scale and move (a share of the side) the picture; at least so many pixels.
_TURN, _SCALE, _MOVE, _LEAST_MOVE = 0.09, 0.1, 0.06, 1.0
# The axes of colour: brightness, red to blue, and green to purple (Ohta, Kanade and Sakai 1980, "Color Information for
# Region Segmentation"), and how far colours of pictures vary along each, roughly, brightness being 1.
_AXES = ((1, 1, 1), (1, 0, -1), (-0.5, 1, -0.5))
_SPREADS = (1.0, 0.35, 0.15)
# Pictures of noise: a filter's outputs for them say how large its numbers are, and what the result is held against.
_NOISE = 16
# The slope of what is climbed where a filter is shut: without any a filter that is shut everywhere would stay so, and
# with much of it grey, which shuts nothing, would be best.
_LEAK = 0.02
# Penalties on the squares of the pixels (before they are brought between black and white) and of their differences:
# colours stay short of the strongest, where nothing has a slope, and lines come before dots.
_STRONG, _ROUGH = 0.03, 0.05


@dataclass(frozen=True, kw_only=True)
class Visualised:
    """The pictures, and what they do.

    Attributes:
        pixels: uint8 (filters, height, width, channels).
        activations: float32 (filters,), the mean of the filter's outputs for its picture.
        noise: the same for pictures of noise, on average.
    """

    pixels: Array
    activations: Array
    noise: Array


def visualise(
    model: Any, layer: str, filters: Sequence[int], *, steps: int, seed: int, progress: Progress
) -> Visualised:
    """Make the picture that excites each of some filters most.

    Args:
        model: of pictures: uint8 (batch, height, width, 1 or 3) in.
        layer: its filters, or units.
        filters: their numbers.
        steps: of the ascent.
        seed: of the start, and of how it is moved.
        progress: told of steps.

    Raises:
        UsageError: the layer does not exist.
        NumbersError: a weight is not finite, and so is what comes.
    """
    _, height, width, channels = model.input_shape
    # A generator for each filter: its picture is the same whichever others are asked for.
    randoms = [np.random.Generator(np.random.Philox(key=[seed, number])) for number in filters]
    noise = np.random.Generator(np.random.Philox(key=[seed, 2**32])).integers(
        0, 256, (_NOISE, height, width, channels), np.uint8
    )
    pictures = _Pictures(height, width, channels, randoms)
    with _without_activation(model, layer):
        climb = _climber(pictures, _opening(model, layer, filters, noise))
        for _ in range(steps):
            climb(tf.constant([_move(height, width, random) for random in randoms], tf.float32))
            progress.advance()
    pixels = np.round(pictures.pixels().numpy()).astype(np.uint8)
    answer = keras.Model(model.input, structure.output_of(model, layer, option="--visualise"))
    found = _means(answer, pixels)
    if not np.isfinite(found).all():
        raise NumbersError(f"{layer} gives what is no number", hint="dlcli inspect RUN --weights all says where")
    numbers = list(filters)
    return Visualised(
        pixels=pixels,
        activations=found[np.arange(len(numbers)), numbers],
        noise=_means(answer, noise)[:, numbers].mean(axis=0),
    )


def _means(answer: Any, pixels: Array) -> Array:
    """Return the mean output of each filter for each picture, float32 (pictures, filters)."""
    outputs = keras.ops.convert_to_numpy(keras.ops.cast(answer(pixels, training=False), "float32"))
    return np.asarray(outputs.mean(axis=tuple(range(1, outputs.ndim - 1))))


@contextlib.contextmanager
def _without_activation(model: Any, name: str) -> Iterator[None]:
    """Let a layer give what its activation gets: a relu that is shut, or a softmax, has no slope to climb."""
    layer: Any = model.get_layer(name) if name in {layer.name for layer in model.layers} else None
    saved = getattr(layer, "activation", None)
    if saved is None:
        yield
        return
    layer.activation = keras.activations.linear
    try:
        yield
    finally:
        layer.activation = saved


def _opening(model: Any, layer: str, filters: Sequence[int], noise: Array) -> Callable[[Any], Any]:
    """Return the function from pixels, float32, to how far each picture opens its own filter, (pictures,).

    In standard deviations of the filter's outputs for noise: filters and networks differ in the size of their numbers.
    """
    _, *shape = model.input_shape
    below = keras.Model(model.input, structure.output_of(model, layer, option="--visualise"))
    pixels = keras.Input(shape, dtype="float32")
    network = keras.Model(pixels, networks.attach(below, pixels))
    rows = tf.range(len(filters))
    places = tf.stack([rows, tf.constant(list(filters), tf.int32)], axis=1)
    outputs = tf.cast(network(noise.astype(np.float32), training=False), tf.float32)
    unit = tf.maximum(tf.math.reduce_std(outputs, axis=list(range(len(outputs.shape) - 1))), 1e-6)

    def opening(pictures: Any) -> Any:
        outputs = tf.nn.leaky_relu(tf.cast(network(pictures, training=False), tf.float32) / unit, _LEAK)
        outputs = tf.reduce_mean(outputs, axis=list(range(1, len(outputs.shape) - 1)))
        return tf.gather_nd(outputs, places)

    return opening


class _Pictures:
    """Pictures that are described by their frequencies."""

    def __init__(self, height: int, width: int, channels: int, randoms: Sequence[np.random.Generator]) -> None:
        self.sides = (height, width)
        down, across = np.fft.fftfreq(height)[:, np.newaxis], np.fft.rfftfreq(width)[np.newaxis]
        # Amplitudes of natural pictures fall with the frequency (Field 1987).
        falling = 1 / np.maximum(np.hypot(down, across), 1 / max(height, width))
        self._scale = tf.constant(falling * np.sqrt(height * width), tf.complex64)
        self._colours = tf.constant(_colours(channels), tf.float32)
        shape = (2, channels, height, width // 2 + 1)
        start = np.stack([_START * random.standard_normal(shape) for random in randoms])
        self.numbers = tf.Variable(start, dtype=tf.float32, trainable=True)

    def pixels(self) -> Any:
        """Return float32 (pictures, height, width, channels), from 0 to 255."""
        return 255 * tf.sigmoid(self.planes())

    def planes(self) -> Any:
        """Return the pixels before they are brought between black and white."""
        spectrum = tf.complex(self.numbers[:, 0], self.numbers[:, 1]) * self._scale
        planes = tf.signal.irfft2d(spectrum, fft_length=self.sides)
        return tf.einsum("nchw,cd->nhwd", planes, self._colours)


def _colours(channels: int) -> Array:
    """Return from what is optimised to channels: (channels, channels)."""
    if channels != 3:
        return np.eye(channels)
    axes = np.array(_AXES, np.float64)
    axes *= np.array(_SPREADS)[:, np.newaxis] / np.linalg.norm(axes, axis=1, keepdims=True)
    return np.asarray(axes * np.sqrt(3))


def _climber(pictures: _Pictures, opening: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Return what takes one step of the ascent, given how each picture is moved: float32 (pictures, 8)."""
    optimizer = keras.optimizers.Adam(_LEARNING_RATE)
    optimizer.build([pictures.numbers])

    @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32)])  # type: ignore[untyped-decorator]
    def climb(moves: Any) -> None:
        with tf.GradientTape() as tape:
            planes = pictures.planes()
            moved = tf.raw_ops.ImageProjectiveTransformV3(
                images=pictures.pixels(),
                transforms=moves,
                output_shape=pictures.sides,
                fill_value=127.5,
                interpolation="BILINEAR",
                fill_mode="REFLECT",
            )
            inside = [1, 2, 3]
            strong = tf.reduce_mean(tf.square(planes), axis=inside)
            rough = sum(tf.reduce_mean(tf.square(one), axis=inside) for one in tf.image.image_gradients(planes)) / 2
            loss = tf.reduce_sum(_STRONG * strong + _ROUGH * rough - opening(moved))
        optimizer.apply([tape.gradient(loss, pictures.numbers)], [pictures.numbers])

    return climb  # type: ignore[no-any-return]


def _move(height: int, width: int, random: np.random.Generator) -> list[float]:
    """Draw how a picture is turned, scaled and moved about its middle: the eight numbers that TensorFlow takes."""
    turn, scale = random.uniform(-_TURN, _TURN), random.uniform(1 - _SCALE, 1 + _SCALE)
    down, across = (random.uniform(-1, 1) * max(_LEAST_MOVE, _MOVE * side) for side in (height, width))
    cosine, sine = scale * math.cos(turn), scale * math.sin(turn)
    y, x = (height - 1) / 2, (width - 1) / 2
    return [cosine, -sine, x - cosine * x + sine * y + across, sine, cosine, y - sine * x - cosine * y + down, 0, 0]
