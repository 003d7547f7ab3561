"""What a network is made of: its layers in their order, what each takes and gives, and how many parameters it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.errors import UsageError, nearest

# Where layers that wrap others keep them: `Bidirectional`, `TimeDistributed` and their like.
_WRAPPED = ("forward_layer", "backward_layer", "layer")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer, or an operation between layers.

    Attributes:
        name: of the layer; of one inside another with that one's before it, `member_1/conv_1`.
        kind: its class.
        shape: of its output, None for sizes that differ from batch to batch; empty inside a wrapper.
        parameters: how many numbers its weights have, those of layers inside it included.
        trainable: how many of them are trained.
        inputs: the names of the layers whose outputs it takes.
        depth: inside how many others it is.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    parameters: int
    trainable: int
    inputs: tuple[str, ...] = ()
    depth: int = 0


def layers_of(model: Any) -> list[Layer]:
    """Return the layers of a functional or sequential model, those inside others behind them."""
    return [layer for layer, _ in _walk(model)]


def shown_shape(shape: Sequence[int | None]) -> str:
    """Return a shape for a person, without the batch: `24 x 24 x 8`; sizes that differ are a `?`."""
    return " x ".join("?" if size is None else str(size) for size in shape[1:])


def with_weights(model: Any, names: Sequence[str], *, option: str) -> dict[str, Any]:
    """Return the layers that have weights, by name.

    Args:
        model: a functional or sequential model.
        names: which; `all` for all of them.
        option: which names them.

    Raises:
        UsageError: there is no such layer, or it has no weights.
    """
    found = {layer.name: operation for layer, operation in _walk(model)}
    weighted = {name: operation for name, operation in found.items() if getattr(operation, "weights", None)}
    if "all" in names:
        # The weights of a model inside are those of its layers.
        return {name: operation for name, operation in weighted.items() if not hasattr(operation, "layers")}
    for name in names:
        if name in found and name not in weighted:
            raise UsageError(f"{option}: the layer {name!r} has no weights", hint=f"With weights: {_few(weighted)}")
        if name not in weighted:
            raise _unknown(name, found, option)
    return {name: weighted[name] for name in names}


def outputs_of(model: Any) -> dict[str, Any]:
    """Return what each layer gives, by name: symbolic tensors of which a model can be made. The inputs are left out."""
    found = {}
    for operation, _ in _graph(model):
        output = operation.output
        if operation.name not in {tensor._keras_history.operation.name for tensor in model.inputs}:
            found[operation.name] = output[0] if isinstance(output, list | tuple) else output
    return found


def output_of(model: Any, name: str, *, option: str) -> Any:
    """Return what one layer gives.

    Raises:
        UsageError: there is no such layer; names the nearest.
    """
    found = outputs_of(model)
    if name not in found:
        raise _unknown(name, found, option)
    return found[name]


def _unknown(name: str, known: dict[str, Any], option: str) -> UsageError:
    hint = nearest(name, known)
    if not hint.startswith("Did"):
        hint = f"Its layers: {_few(known)}"
    return UsageError(f"{option}: the network has no layer {name!r}", hint=hint)


def _few(names: dict[str, Any], most: int = 12) -> str:
    shown = ", ".join(list(names)[:most])
    return f"{shown}, ... (dlcli inspect RUN --layers)" if len(names) > most else shown


def _walk(model: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[Layer, Any]]:
    for operation, inputs in _graph(model):
        yield _described(operation, prefix, depth, inputs=inputs), operation
        inside = f"{prefix}{operation.name}/"
        if hasattr(operation, "layers"):
            yield from _walk(operation, inside, depth + 1)
            continue
        for wrapped in filter(None, (getattr(operation, name, None) for name in _WRAPPED)):
            yield _described(wrapped, inside, depth + 1), wrapped


def _graph(model: Any) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yield the operations of a model in their order, and the names of those that each takes the outputs of."""
    model = getattr(model, "_functional", None) or model  # Of a sequential model.
    taken: dict[int, tuple[str, ...]] = {}
    for nodes in model._nodes_by_depth.values():
        for node in nodes:
            names = [tensor._keras_history.operation.name for tensor in node.input_tensors]
            taken[id(node.operation)] = tuple(dict.fromkeys(names)) if not node.is_input else ()
    for operation in model.operations:
        yield operation, taken.get(id(operation), ())


def _described(operation: Any, prefix: str, depth: int, *, inputs: tuple[str, ...] = ()) -> Layer:
    weights = getattr(operation, "weights", [])
    return Layer(
        name=f"{prefix}{operation.name}",
        kind=type(operation).__name__,
        shape=_shape(operation),
        parameters=sum(_size(weight) for weight in weights),
        trainable=sum(_size(weight) for weight in getattr(operation, "trainable_weights", [])),
        inputs=tuple(f"{prefix}{name}" for name in inputs),
        depth=depth,
    )


def _shape(operation: Any) -> tuple[int | None, ...]:
    try:
        output = operation.output
    except (AttributeError, ValueError):  # Inside a wrapper: it has none of its own.
        return ()
    first = output[0] if isinstance(output, list | tuple) else output
    return tuple(first.shape)


def _size(weight: Any) -> int:
    size = 1
    for side in weight.shape:
        size *= side
    return size
