"""Explanations of pictures: gradient, integrated gradients, Grad-CAM and occlusion.

A model takes bytes and rescales them inside; here it is laid on pixels that are floats, so that there is a gradient.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dlcli.core.backend import keras, tf
from dlcli.errors import UsageError, nearest
from dlcli.results.explain.explanation import PictureExplanation, Settings
from dlcli.results.explain.logits import Gradients, gradients_of_maps, integrated, to_logits
from dlcli.vision import networks

# Numbers of pixels that go through a network together: six photographs of 224x224, whose maps take about 1 GB in VGG16.
_TOGETHER, _MOST_TOGETHER = 6 * 224 * 224 * 3, 64
# Noisy copies of a picture, and the noise in shares of its range: Smilkov et al. 2017 see little change beyond 50
# copies, and the clearest pictures with 10 % to 20 %.
_COPIES, _NOISE = 50, 0.15
# Windows along the shorter side of a picture.
_WINDOWS = 8
_BASELINES = {"black": 0.0, "gray": 127.5, "white": 255.0}
_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
# What stands between the last convolution and the head, and shows fewer places or the same ones.
_BEHIND = (
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
)


class PictureExplainer:
    """Explains a picture classifier's answers.

    Args:
        predictor: the run, or the base.
        settings: which method, and what it is told.

    Raises:
        UsageError: the method is none for pictures, the model does not take it, or it has no such layer.
    """

    def __init__(self, predictor: Any, settings: Settings) -> None:
        self.predictor = predictor
        self.settings = settings
        logits = to_logits(predictor.model)
        pixels = keras.Input(predictor.pipeline.shape, dtype="float32", name="pixels")
        self.model = keras.Model(pixels, networks.attach(logits, pixels))
        together = max(1, min(_MOST_TOGETHER, _TOGETHER // math.prod(predictor.pipeline.shape)))
        self.gradients = Gradients(self.model, together=together)
        self._forward = tf.function(lambda rows: self.model(rows, training=False), reduce_retracing=True)
        maps = feature_maps(self.model, settings.layer if settings.method in ("auto", "gradcam") else None)
        best = "integrated" if maps is None else "gradcam"
        self.method = best if settings.method == "auto" else settings.method
        if self.method not in _WAYS:
            raise UsageError(
                f"the method {self.method} is not for pictures", hint=f"Use one of {', '.join(sorted(_WAYS))}"
            )
        if self.method == "gradcam":
            if maps is None:
                others = ", ".join(sorted(_WAYS.keys() - {"gradcam"}))
                raise UsageError(
                    f"gradcam weighs feature maps, and the model {predictor.model.name!r} has none",
                    hint=f"Use one of {others}",
                )
            self.weigh = gradients_of_maps(keras.Model(pixels, [maps, self.model.output]))
        elif settings.layer is not None:
            raise UsageError(f"a layer is for the method gradcam, not for {self.method}")

    def __call__(self, items: Sequence[str], targets: Sequence[int] | None = None) -> list[PictureExplanation]:
        """Explain pictures.

        Args:
            items: their files.
            targets: the number of a class for each; without them the predicted ones.

        Raises:
            DataError: some of them are no pictures; names them.
        """
        outputs = self.predictor.outputs(items)
        classes = outputs.argmax(axis=1) if targets is None else np.asarray(targets)
        pixels = np.asarray(self.predictor.pipeline.encode(items).rows[np.arange(len(items))])
        return [
            self._explained(item, some, int(target), row)
            for item, some, target, row in zip(items, pixels, classes, outputs, strict=True)
        ]

    def _explained(
        self, item: str, pixels: np.ndarray[Any, Any], target: int, outputs: np.ndarray[Any, Any]
    ) -> PictureExplanation:
        heat, logit, start = _WAYS[self.method](self, pixels.astype(np.float32), target)
        return PictureExplanation(
            item=item,
            target=self.predictor.labels[target],
            probability=float(outputs[target]) if self.predictor.probabilistic else None,
            method=self.method,
            pixels=pixels,
            heat=heat.astype(np.float32),
            signed=self.method in ("integrated", "occlusion"),
            logit=logit,
            start=start,
        )

    def logits(self, rows: Iterator[np.ndarray[Any, Any]], target: int) -> list[float]:
        """Return the target's logit of pictures, which come one by one."""
        found: list[float] = []
        while some := list(itertools.islice(rows, self.gradients.together)):
            found += self._forward(tf.constant(np.stack(some)))[:, target].numpy().tolist()
        return found


_Found = tuple[np.ndarray[Any, Any], float, float | None]


def _smooth_gradient(explainer: PictureExplainer, pixels: np.ndarray[Any, Any], target: int) -> _Found:
    """Return the size of the gradient (Simonyan et al. 2014), mean of noisy copies (SmoothGrad, Smilkov et al. 2017).

    The noise of a copy is a function of the seed and the copy's number alone.
    """
    gradient, total = explainer.gradients.of(target), np.zeros(pixels.shape, np.float32)
    deviation = _NOISE * float(pixels.max() - pixels.min())
    for first in range(0, _COPIES, explainer.gradients.together):
        copies = range(first, min(first + explainer.gradients.together, _COPIES))
        noise = [_normal(explainer.settings.seed, copy, pixels.shape) for copy in copies]
        total += gradient(pixels + np.float32(deviation) * np.stack(noise))[1].sum(axis=0)
    logit = gradient(pixels[np.newaxis])[0][0]
    return np.abs(total / _COPIES).max(axis=-1), float(logit), None


def _normal(seed: int, copy: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    random = np.random.Generator(np.random.Philox(key=[seed, copy]))
    return random.standard_normal(shape, dtype=np.float32)


def _integrated_gradients(explainer: PictureExplainer, pixels: np.ndarray[Any, Any], target: int) -> _Found:
    """Return integrated gradients, the sum over a pixel's colours."""
    baseline = np.full_like(pixels, _BASELINES[explainer.settings.baseline])
    found, start, logit = integrated(explainer.gradients.of(target), baseline, pixels)
    return found.sum(axis=-1), logit, start


def _grad_cam(explainer: PictureExplainer, pixels: np.ndarray[Any, Any], target: int) -> _Found:
    """Return the maps that speak for the target, each times its mean gradient (Grad-CAM, Selvaraju et al. 2017)."""
    maps, gradients, logits = explainer.weigh(tf.constant(pixels[np.newaxis]), tf.constant([target]))
    heat = tf.nn.relu(tf.reduce_sum(maps * tf.reduce_mean(gradients, axis=(1, 2), keepdims=True), axis=-1))
    resized = tf.image.resize(heat[..., tf.newaxis], pixels.shape[:2], method="bilinear")
    return resized[0, ..., 0].numpy(), float(logits[0]), None


def _occlusion(explainer: PictureExplainer, pixels: np.ndarray[Any, Any], target: int) -> _Found:
    """Return by how much the logit falls when a window is covered (Zeiler & Fergus 2014), mean of a pixel's windows.

    A window is covered with the picture's mean colour.
    """
    height, width = pixels.shape[:2]
    window = min(explainer.settings.window or max(2, round(min(height, width) / _WINDOWS)), height, width)
    stride = explainer.settings.stride or max(1, window // 2)
    cover = pixels.mean(axis=(0, 1))
    corners = list(itertools.product(_starts(height, window, stride), _starts(width, window, stride)))

    def covered() -> Iterator[np.ndarray[Any, Any]]:
        yield pixels
        for top, left in corners:
            copy = pixels.copy()
            copy[top : top + window, left : left + window] = cover
            yield copy

    logit, *others = explainer.logits(covered(), target)
    heat, counts = np.zeros((height, width)), np.zeros((height, width))
    for (top, left), other in zip(corners, others, strict=True):
        place = slice(top, top + window), slice(left, left + window)
        heat[place] += logit - other
        counts[place] += 1
    return heat / np.maximum(counts, 1), logit, None


def _starts(side: int, window: int, stride: int) -> list[int]:
    """Return where windows begin: the last one ends at the edge."""
    return sorted({*range(0, side - window, stride), side - window})


_WAYS: dict[str, Callable[[PictureExplainer, np.ndarray[Any, Any], int], _Found]] = {
    "gradcam": _grad_cam,
    "gradient": _smooth_gradient,
    "integrated": _integrated_gradients,
    "occlusion": _occlusion,
}


def feature_maps(model: keras.Model, name: str | None) -> Any:
    """Return the maps that Grad-CAM weighs: (batch, height, width, maps).

    Args:
        model: on pixels.
        name: of the layer that makes them; None for the last convolution with its normalisation and activation.

    Returns:
        the tensor; None where the model has no convolution, or none with more than one place.

    Raises:
        UsageError: there is no such layer, or it makes no maps.
    """
    outputs: dict[str, Any] = {}
    last, convolved = None, False
    nodes = {node for nodes in model._nodes_by_depth.values() for node in nodes}
    for operation in model.operations:
        convolved = convolved or isinstance(operation, _CONVOLUTIONS)
        # A layer may be part of another network too.
        (output, *_) = next(node for node in operation._inbound_nodes if node in nodes).output_tensors
        if not convolved or len(output.shape) != 4:
            continue
        outputs[operation.name] = output
        if not isinstance(operation, _BEHIND) and math.prod(output.shape[1:3]) > 1:
            last = output
    if name is None:
        return last
    if name not in outputs:
        raise UsageError(f"the model has no layer {name!r} with feature maps", hint=nearest(name, outputs))
    return outputs[name]
