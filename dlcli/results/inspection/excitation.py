"""Which items of a data set excite a filter most, found in one pass and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.core.backend import keras, tf
from dlcli.core.forward import Forward
from dlcli.core.progress import Progress
from dlcli.errors import DataError, ModelError, UsageError
from dlcli.results.inspection import structure
from dlcli.results.inspection.receptive import receptive_fields, region
from dlcli.text.pipeline import TextPipeline
from dlcli.text.sequence_layers import LocalMaxPooling

ops = keras.ops
Array = np.ndarray[Any, Any]

# Items that are encoded together.
_TOGETHER = 4096
# What a maximum over nothing is.
_NOTHING = -1e30
# Words shown before one of a layer that reads them in their order, and on both sides of a window.
_BEFORE, _BESIDE = 4, 5


@dataclass(frozen=True, kw_only=True)
class Exciting:
    """An item that excites a filter.

    Attributes:
        activation: the filter's largest.
        item: the text, or the path of the picture.
        region: of a picture, what the filter sees there: top, left, bottom and right, in pixels as the model sees it.
        words: of a text, those that the filter sees there; empty where it sees all.
        before: words before them.
        behind: words behind them.
    """

    activation: float
    item: str
    region: tuple[int, int, int, int] | None = None
    words: str = ""
    before: str = ""
    behind: str = ""


def most_exciting(
    model: Any,
    pipeline: Any,
    items: Iterator[str],
    *,
    layer: str,
    filters: Sequence[int],
    count: int,
    progress: Progress,
) -> list[list[Exciting]]:
    """Find the items that excite filters most; of a text's windows each counts once, however many texts have it.

    Args:
        model: of the run.
        pipeline: of the run: makes raw items the model's input.
        items: any number of texts, or of paths of pictures.
        layer: whose filters.
        filters: their numbers.
        count: how many items for each.
        progress: told of items.

    Returns:
        for each filter its items, the most exciting first.

    Raises:
        UsageError: the layer does not exist, or has no filters that can be looked for.
        DataError: there is no item.
    """
    tensor = structure.output_of(model, layer, option="--top-activating")
    largest = Forward(_largest(model, tensor, layer, filters))
    shown = _Texts(model, pipeline, layer) if isinstance(pipeline, TextPipeline) else _Pictures(model, pipeline, layer)
    best: list[list[Exciting]] = [[] for _ in filters]
    while chunk := _taken(items, min(_TOGETHER, pipeline.together)):
        found = largest(pipeline.encode(chunk))
        shown.begin(chunk)
        for number in range(len(filters)):
            best[number] = _merged(best[number], found[:, number], found[:, len(filters) + number], shown, count)
        progress.advance(len(chunk))
    if not any(best):
        raise DataError("the data has nothing that excites the filters: it is empty, or its texts have no words")
    return best


def filters_of(model: Any, layer: str, wanted: Sequence[int] | None, *, most: int, option: str) -> list[int]:
    """Return the numbers of a layer's filters that are meant.

    Args:
        model: of the run.
        layer: its name.
        wanted: what was asked for; None for the first.
        most: how many those are.
        option: which names the layer.

    Raises:
        UsageError: the layer does not exist, has no filters, or has fewer.
    """
    have = structure.output_of(model, layer, option=option).shape[-1]
    if have is None:
        raise UsageError(f"{option}: the layer {layer!r} has no filters or units of its own", hint="Name another")
    if wanted and max(wanted) >= have:
        raise UsageError(f"--filters: {layer} has the filters 0 to {have - 1}, got {max(wanted)}")
    return list(wanted or range(min(most, have)))


def _taken(items: Iterator[str], count: int) -> list[str]:
    return [item for item, _ in zip(items, range(count), strict=False)]


def _largest(model: Any, tensor: Any, layer: str, filters: Sequence[int]) -> keras.Model:
    """Return a model that gives each filter's largest output, and where it is: float32 (items, 2 * filters)."""
    found = _Largest(filters, name="largest_outputs_of_filters")
    behind = _word_ids(model, layer) if len(tensor.shape) == 3 else None
    return keras.Model(model.input, found(tensor) if behind is None else found(tensor, behind))


class _Largest(keras.layers.Layer):  # type: ignore[misc]
    """The largest output of each of some filters, and its place, in the order of rows: one layer, whose name is free.

    Args:
        filters: which.

    Input: (items, ..., filters of the layer); for texts also their word ids, 0 for padding, which does not count.
    Output: float32 (items, 2 * filters): first the outputs, then the places.
    """

    def __init__(self, filters: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.filters = list(filters)

    def call(self, outputs: Any, ids: Any = None) -> Any:
        """Look for the largest."""
        numbers = ops.cast(ops.take(outputs, ops.convert_to_tensor(self.filters, "int32"), axis=-1), "float32")
        if ids is not None:
            numbers = ops.where(ops.expand_dims(ops.not_equal(ids, 0), -1), numbers, _NOTHING)
        if len(outputs.shape) == 2:
            return ops.concatenate([numbers, ops.zeros_like(numbers)], axis=1)
        if len(outputs.shape) == 4:
            _, height, width, _ = outputs.shape
            numbers = ops.reshape(numbers, (-1, height * width, len(self.filters)))
        places = ops.cast(ops.argmax(numbers, axis=1), "float32")
        return ops.concatenate([ops.max(numbers, axis=1), places], axis=1)


def _word_ids(model: Any, layer: str) -> Any:
    """Return the ids of a text's words, for a layer that has an output for each; None where there are none."""
    names = [operation.name for operation in model.operations]
    for operation in model.operations[: names.index(layer) + 1]:
        if isinstance(operation, LocalMaxPooling):
            raise UsageError(
                f"--top-activating: {layer} sees several words as one", hint=f"Name a layer before {operation.name}"
            )
    return model.get_layer("padding_behind").output if "padding_behind" in names else None


def _merged(best: list[Exciting], numbers: Array, places: Array, shown: Any, count: int) -> list[Exciting]:
    """Return the most exciting of those so far and those of a chunk."""
    least = best[-1].activation if len(best) == count else -np.inf
    known = {shown.same(one): one for one in best}
    room = 0
    for row in np.argsort(-numbers, kind="stable"):
        if numbers[row] <= max(least, _NOTHING) or room == count:
            break
        one = shown.exciting(int(row), float(numbers[row]), int(places[row]))
        if one is None:
            continue
        same = shown.same(one)
        room += same not in known
        if same not in known or known[same].activation < one.activation:
            known[same] = one
    return sorted(known.values(), key=lambda one: -one.activation)[:count]


class _Pictures:
    """Makes what is shown of pictures."""

    def __init__(self, model: Any, pipeline: Any, layer: str) -> None:
        self._shape = structure.output_of(model, layer, option="--top-activating").shape
        try:
            self._fields = receptive_fields(model)[layer]
        except ValueError as error:
            raise ModelError(f"what {layer} sees cannot be found out ({error})") from error
        self._sides = pipeline.shape[:2]

    def begin(self, items: list[str]) -> None:
        self._items = items

    def exciting(self, row: int, activation: float, place: int) -> Exciting:
        at = divmod(place, self._shape[2]) if len(self._shape) == 4 else (0, 0)
        seen = region(self._fields, at, sides=self._sides)
        return Exciting(activation=activation, item=self._items[row], region=seen)

    def same(self, one: Exciting) -> str:
        return one.item


class _Texts:
    """Makes what is shown of texts."""

    def __init__(self, model: Any, pipeline: TextPipeline, layer: str) -> None:
        self._pipeline = pipeline
        self._by_word = len(structure.output_of(model, layer, option="--top-activating").shape) == 3
        width: Any = getattr(model.get_layer(layer), "kernel_size", None) if self._by_word else None
        self._before = (width[0] - 1) // 2 if width else _BEFORE
        self._behind = width[0] // 2 if width else 0

    def begin(self, items: list[str]) -> None:
        self._items = items
        self._words: Any = self._pipeline.cleaner.tokens(tf.constant(items)) if self._by_word else None

    def exciting(self, row: int, activation: float, place: int) -> Exciting | None:
        item = self._items[row]
        if not self._by_word:
            return Exciting(activation=activation, item=item)
        config = self._pipeline.config
        words = [word.decode() for word in self._words[row].numpy().tolist()]
        if config.max_length is not None:
            most = int(config.max_length)
            words = words[-most:] if config.truncating == "pre" else words[:most]
        start, stop = max(0, place - self._before), place + self._behind + 1
        return Exciting(
            activation=activation,
            item=item,
            words=" ".join(words[start:stop]),
            before=" ".join(words[max(0, start - _BESIDE) : start]),
            behind=" ".join(words[stop : stop + _BESIDE]),
        )

    def same(self, one: Exciting) -> str:
        return one.words or one.item
