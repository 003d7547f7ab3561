"""Networks taken apart and put together: a base laid on other pixels, cut where its frozen part ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from dlcli.core.backend import keras
from dlcli.errors import ModelError, UsageError, nearest

layers = keras.layers

FEATURES = "features"
"""Name of the layer that turns the base's feature maps into a row: what is below it is the base, the rest the head."""

BEFORE_BASE = ("pixels", "preprocess", "subtract_means", "upsample")
"""Names of the layers that make bytes ready for a base."""

# What keras.applications.imagenet_utils does to bytes: `caffe` as the VGGs were trained in Caffe (Simonyan & Zisserman
# 2015), `torch` as PyTorch's pretrained networks were.
_CAFFE_MEANS = (103.939, 116.779, 123.68)
_TORCH_MEANS, _TORCH_DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def preprocess(pixels: Any, kind: str) -> Any:
    """Turn bytes into what a base takes, in float32.

    Args:
        pixels: uint8 (batch, height, width, 3).
        kind: `tf`, `caffe`, `torch`, `unit` or `none`; see `BaseConfig.preprocessing`.

    Returns:
        float32 of the same shape.
    """

    def scaled(scale: Any, offset: Any = 0.0) -> Any:
        return layers.Rescaling(scale, offset=offset, dtype="float32", name="preprocess")(pixels)

    if kind == "tf":
        return scaled(1 / 127.5, -1.0)
    if kind == "torch":
        offsets = [-mean / deviation for mean, deviation in zip(_TORCH_MEANS, _TORCH_DEVIATIONS, strict=True)]
        return scaled([1 / (255 * deviation) for deviation in _TORCH_DEVIATIONS], offsets)
    if kind == "caffe":
        blue_first = keras.ops.flip(scaled(1.0), axis=-1)
        return layers.Normalization(
            axis=-1, mean=list(_CAFFE_MEANS), variance=[1.0] * 3, dtype="float32", name="subtract_means"
        )(blue_first)
    return scaled(1 / 255 if kind == "unit" else 1.0)


def attach(model: keras.Model, tensor: Any) -> Any:
    """Lay all operations of a functional or sequential model on another tensor, of another height and width perhaps.

    Args:
        model: with one input and one output; its weights are shared. Models inside it are laid out flat.
        tensor: of as many channels as its input.

    Returns:
        what comes out.
    """

    def laid_out(operation: Any) -> Any:
        if isinstance(operation, keras.Sequential | keras.Model) and hasattr(operation, "operations"):
            return lambda inputs, **_: attach(operation, inputs)
        return operation

    functional = keras.Model(model.inputs, model.outputs) if isinstance(model, keras.Sequential) else model
    outputs = functional._run_through_graph([tensor], operation_fn=laid_out)
    return outputs[0] if isinstance(outputs, list) else outputs


def separate(model: keras.Model) -> keras.Model:
    """Return a copy whose layers belong to no other model, with the same weights."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def base_layers(model: keras.Model) -> list[Any]:
    """Return the layers of a finetuned network below its head, in the order of the pixels' way."""
    return list(itertools.takewhile(lambda layer: layer.name != FEATURES, model.layers))


def first_trained(model: keras.Model, start: str, blocks: dict[str, str]) -> str:
    """Return the name of the lowest layer that is trained.

    Args:
        model: a finetuned network.
        start: a block, a layer, a number of layers with weights, or `all`.
        blocks: the base's: the first layer of each, from bottom to top.

    Raises:
        UsageError: there is no such block or layer.
    """
    names: list[str] = [layer.name for layer in base_layers(model)]
    weighted: list[str] = [layer.name for layer in base_layers(model) if layer.weights]
    here = {block: first for block, first in blocks.items() if first in names}
    if start == "all":
        return weighted[0]
    if start.isdecimal() and 1 <= int(start) <= len(weighted):
        return weighted[-int(start)]
    if start.isdecimal():
        raise UsageError(f"--unfreeze: expected 1 to {len(weighted)} layers with weights, or all, got {start}")
    if start in here:
        return here[start]
    if start in names:
        return start
    known = f"Blocks: {', '.join(here)}" if here else nearest(start, weighted)
    raise UsageError(f"--unfreeze: the base has no block or layer {start!r}", hint=known)


def freeze(model: keras.Model, first: str | None, *, norms: bool) -> None:
    """Set which layers are trained: the head, and the base from `first` up. The others stay in inference mode.

    Args:
        model: a finetuned network.
        first: the lowest layer of the base that is trained; None for none.
        norms: whether batch normalisations are trained with it. Those of a pretrained base are not, and stay in
            inference mode: their statistics are of many more pictures than there are here.
    """
    trained = False
    for layer in model.layers:
        trained = trained or layer.name in (first, FEATURES)
        layer.trainable = trained and (norms or not isinstance(layer, layers.BatchNormalization))


def block_factors(model: keras.Model, blocks: dict[str, str], factor: float) -> dict[str, float]:
    """Return factors on the learning rate of the base's trained layers: smaller from each block to the one below.

    Args:
        model: a finetuned network whose frozen layers are set.
        blocks: the first layer of each block, from bottom to top; without any each layer counts as one.
        factor: from the head to the highest block, and so on.
    """
    firsts = set(blocks.values())
    found: dict[str, float] = {}
    depth = 1
    for layer in reversed(base_layers(model)):
        if layer.trainable and layer.weights:
            found[layer.name] = factor**depth
        if layer.name in firsts or (not firsts and layer.trainable and layer.weights):
            depth += 1
    return found if factor < 1 else {}


def cut(model: keras.Model) -> tuple[keras.Model, keras.Model] | None:
    """Split a network where the part ends that is the same at every step.

    Args:
        model: functional; each layer is used once.

    Returns:
        the frozen part, from the network's input to the highest tensor that all goes through and below which nothing is
        learnt or drawn; and the rest, from that tensor to the output, which shares the network's layers. None where
        there are no weights below such a tensor.
    """
    tensor, weighted = _highest_frozen(model)
    if tensor is None or not weighted:
        return None
    stem = keras.Model(model.input, tensor, name="frozen")
    rest = keras.Model(tensor, model.output, name="trained")
    return stem, rest


def _highest_frozen(model: keras.Model) -> tuple[Any, bool]:
    operations = model.operations
    ends = {id(tensor): len(operations) for tensor in model.outputs}
    for place, operation in enumerate(operations):
        for tensor in _tensors(operation, "input") if place else ():
            ends[id(tensor)] = max(place, ends.get(id(tensor), 0))
    best, weighted, found = None, False, False
    # Tensors that have been made and are still waited for.
    open_tensors: dict[int, Any] = {}
    for place, operation in enumerate(operations):
        if not _same_at_every_step(operation):
            break
        weighted = weighted or bool(getattr(operation, "weights", []))
        open_tensors |= {id(tensor): tensor for tensor in _tensors(operation, "output")}
        open_tensors = {key: tensor for key, tensor in open_tensors.items() if ends.get(key, -1) > place}
        if len(open_tensors) == 1:
            (best,) = open_tensors.values()
            found = weighted
    return best, found


def _tensors(operation: Any, which: str) -> Iterable[Any]:
    try:
        found = getattr(operation, which)
    except (AttributeError, ValueError):
        raise ModelError(
            f"the base uses its layer {operation.name!r} several times, and cannot be cut there",
            hint="Build it with a layer for each use",
        ) from None
    return found if isinstance(found, (list, tuple)) else [found]


def _same_at_every_step(operation: Any) -> bool:
    """Say whether an operation learns nothing and draws nothing, as dropout does: its variable is a seed's state."""
    return not (isinstance(operation, keras.Layer) and operation.trainable and operation.variables)
