"""Texts as ids, from which the training core takes batches."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from dlcli.core.backend import tf
from dlcli.errors import DlcliError


class Ids(NamedTuple):
    """Some texts as ids: what the graph gives.

    Attributes:
        ids: int32, ragged (n, None).
        values: float32, ragged alike: what stands for each id, such as its count; None where its being there is all.
    """

    ids: tf.RaggedTensor
    values: tf.RaggedTensor | None

    def padded(self, *, padding: str, width: tf.Tensor | int = -1) -> Any:
        """Return what a model takes: (n, width) ids, filled up with 0, and values alike if there are any.

        Args:
            padding: where 0 stands: `pre` or `post`.
            width: as long as the longest text or longer; -1 for that, but 1 at least: no layer takes empty rows.
        """
        parts = [_padded(part, padding, width) for part in self if part is not None]
        return tuple(parts) if len(parts) > 1 else parts[0]


def _padded(texts: tf.RaggedTensor, padding: str, width: tf.Tensor | int) -> tf.Tensor:
    if isinstance(width, int) and width < 0:
        width = tf.maximum(texts.bounding_shape(axis=1), 1)
    shape = tf.stack([tf.constant(-1, tf.int64), tf.cast(width, tf.int64)])
    if padding == "post":
        return texts.to_tensor(shape=shape)
    return tf.reverse(texts[:, ::-1].to_tensor(shape=shape), axis=[1])


class EncodedTexts:
    """Texts as ids, end to end in one array.

    Args:
        ids: int32, all texts' ids one after the other.
        lengths: int64, the number of ids of each text.
        values: float32, what stands for each id; None where its being there is all.
        padding: where shorter texts are filled up with 0: `pre` or `post`.
        widths: ascending sizes; a batch is padded to the first that holds it. Without any, to its longest text.
    """

    def __init__(
        self,
        ids: np.ndarray[Any, Any],
        lengths: np.ndarray[Any, Any],
        *,
        values: np.ndarray[Any, Any] | None = None,
        padding: str = "post",
        widths: tuple[int, ...] = (),
    ) -> None:
        self.ids = ids
        self.lengths = lengths
        self.values = values
        self.padding = padding
        self.widths = widths
        self.problem: DlcliError | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def join(cls, chunks: Iterable[Ids], *, padding: str = "post") -> EncodedTexts:
        """Put texts together that come in chunks."""
        ids, lengths, values = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)], []
        for chunk in chunks:
            ids.append(chunk.ids.values.numpy())
            lengths.append(chunk.ids.row_lengths().numpy())
            if chunk.values is not None:
                values.append(chunk.values.values.numpy())
        return cls(
            np.concatenate(ids),
            np.concatenate(lengths),
            values=np.concatenate(values) if values else None,
            padding=padding,
        )

    def dataset(self, numbers: tf.data.Dataset) -> tf.data.Dataset:
        """Return the batches of the given rows: int32 (rows, width) ids, padded with 0, and their values if any."""
        texts = self.ragged
        return numbers.map(lambda rows: self._batch(texts, rows), num_parallel_calls=2)

    def _batch(self, texts: Ids, rows: tf.Tensor) -> Any:
        width: tf.Tensor | int = -1
        if self.widths:
            longest = tf.reduce_max(tf.gather(self.lengths, rows))
            width = tf.gather(self.widths, tf.searchsorted(tf.constant(self.widths, tf.int64), [longest]))[0]
        some = Ids(*(None if part is None else tf.gather(part, rows) for part in texts))
        return some.padded(padding=self.padding, width=width)

    def only(self, kept: np.ndarray[Any, Any]) -> EncodedTexts:
        """Return the texts with some of the ids alone, which are numbered anew.

        Args:
            kept: int, ascending, the ids less one.
        """
        new: np.ndarray[Any, Any] = np.zeros(max(int(self.ids.max(initial=0)), int(kept[-1]) + 1) + 1, np.int32)
        new[kept + 1] = np.arange(1, len(kept) + 1)
        ids = new[self.ids]
        some = ids > 0
        rows = np.repeat(np.arange(len(self)), self.lengths)[some]
        return EncodedTexts(
            ids[some],
            np.bincount(rows, minlength=len(self)),
            values=None if self.values is None else self.values[some],
            padding=self.padding,
        )

    @functools.cached_property
    def ragged(self) -> Ids:
        """All texts as tensors."""
        ids = tf.RaggedTensor.from_row_lengths(self.ids, self.lengths, validate=False)
        return Ids(ids, None if self.values is None else ids.with_values(tf.constant(self.values)))
