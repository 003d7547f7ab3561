"""Which part of a picture an output of a convolution can see.

After Araujo, Norris and Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks".
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple


class Field(NamedTuple):
    """What the outputs of a layer see along one side, in pixels.

    Attributes:
        size: how many; without bounds where each output sees the whole side.
        step: from one output to the next.
        centre: of what the first output sees.
    """

    size: float
    step: float
    centre: float


_WHOLE = Field(math.inf, 1.0, 0.0)


def receptive_fields(model: Any) -> dict[str, tuple[Field, Field]]:
    """Return for each layer what an output of it sees along the height and along the width.

    Args:
        model: of pictures, functional, in which each layer is used once.
    """
    found: dict[int, tuple[Field, Field]] = {}
    named = {}
    for operation in model.operations:
        taken = [] if type(operation).__name__ == "InputLayer" else operation.input
        tensors = taken if isinstance(taken, list | tuple) else [taken]
        before = [found[id(tensor)] for tensor in tensors] or [(Field(1, 1, 0.0), Field(1, 1, 0.0))]
        below = (_widest([sides[0] for sides in before]), _widest([sides[1] for sides in before]))
        shape = tensors[0].shape if tensors else operation.output.shape
        sides = (_behind(operation, below[0], shape, 0), _behind(operation, below[1], shape, 1))
        named[operation.name] = sides
        outputs = operation.output
        for tensor in outputs if isinstance(outputs, list | tuple) else [outputs]:
            found[id(tensor)] = sides
    return named


def region(fields: tuple[Field, Field], place: tuple[int, int], *, sides: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return what one output sees: top, left, bottom and right in pixels, within the picture.

    Args:
        fields: of its layer.
        place: row and column of the output.
        sides: height and width of the picture.
    """
    low, high = [], []
    for field, at, side in zip(fields, place, sides, strict=True):
        if math.isinf(field.size):
            low.append(0)
            high.append(side)
            continue
        centre = field.centre + at * field.step
        low.append(min(side - 1, max(0, math.floor(centre - (field.size - 1) / 2 + 0.5))))
        high.append(max(low[-1] + 1, min(side, math.floor(centre + (field.size - 1) / 2 + 0.5) + 1)))
    return low[0], low[1], high[0], high[1]


def _widest(fields: list[Field]) -> Field:
    """Return the largest part that several inputs see; a factor that is one number for all is passed over."""
    local = [field for field in fields if not math.isinf(field.size)]
    return max(local, key=lambda field: field.size) if local else _WHOLE


def _behind(operation: Any, below: Field, shape: tuple[int | None, ...], axis: int) -> Field:
    """Return what is seen through one more operation."""
    kind = type(operation).__name__
    output = operation.output
    ranks = {len(tensor.shape) for tensor in (output if isinstance(output, list | tuple) else [output])}
    if len(shape) != 4 or ranks != {4} or kind.startswith("Global"):
        return _WHOLE
    if math.isinf(below.size):
        return below
    if kind == "ZeroPadding2D":
        return below._replace(centre=below.centre - operation.padding[axis][0] * below.step)
    if kind == "UpSampling2D":
        factor = operation.size[axis]
        step = below.step / factor
        return Field(below.size, step, below.centre - (factor - 1) / 2 * step)
    width = getattr(operation, "kernel_size", None) or getattr(operation, "pool_size", None)
    if width is None:
        return below
    stride, dilation = operation.strides[axis], getattr(operation, "dilation_rate", (1, 1))[axis]
    span = (width[axis] - 1) * dilation
    before, side = 0, shape[1 + axis]
    if operation.padding == "same" and side is not None:
        before = max(0, (-(-side // stride) - 1) * stride + span + 1 - side) // 2
    return Field(below.size + span * below.step, below.step * stride, below.centre + (span / 2 - before) * below.step)
