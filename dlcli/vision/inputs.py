"""Rows from which the training core takes batches: pixels, decoded once or anew for each batch, and augmented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from dlcli.core.backend import tf
from dlcli.core.progress import Silent
from dlcli.errors import DlcliError
from dlcli.vision.augmentation.config import AugmentationConfig, MixingConfig
from dlcli.vision.augmentation.engine import Augmentation
from dlcli.vision.augmentation.mixing import draw, mix
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.pixels import decode_items
from dlcli.vision.raw import require_good

# Batches that are made at once.
_PARALLEL = 2


class Rows(Protocol):
    """An array with a row an item, such as the pixels of pictures; or what makes those rows that are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of rows, and the sizes of one."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers."""

    def __getitem__(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return some rows."""


class DecodedAnew:
    """Pictures that are read and decoded each time that they are asked for.

    Args:
        items: which.
        config: how they become pixels.
    """

    def __init__(self, items: Sequence[str], config: ImagePipelineConfig) -> None:
        assert config.image_size is not None, "resolved when the data was read"
        self.items = np.array(items, dtype=object)
        self.config = config
        self.shape: tuple[int, ...] = (len(items), *config.image_size, config.channels)
        self.dtype = np.dtype(np.uint8)

    def __getitem__(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        pixels, bad = decode_items(self.items[rows].tolist(), self.config, progress=Silent())
        require_good(bad)
        return pixels


class RowInputs:
    """Items as the model takes them, each a row of an array.

    Args:
        rows: (items, ...), such as pixels, uint8 (pictures, height, width, channels).
    """

    widths: tuple[int, ...] = ()

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.lengths: np.ndarray[Any, Any] = np.ones(len(self), np.int64)
        self.problem: DlcliError | None = None

    def __len__(self) -> int:
        return self.rows.shape[0]

    def dataset(self, numbers: tf.data.Dataset) -> tf.data.Dataset:
        """Return batches of the rows with the given numbers."""
        return numbers.map(self._batch, num_parallel_calls=_PARALLEL)

    def _batch(self, numbers: tf.Tensor) -> tf.Tensor:
        taken = tf.numpy_function(self._taken, [numbers], tf.as_dtype(self.rows.dtype), stateful=False)
        return tf.ensure_shape(taken, [None, *self.rows.shape[1:]])

    def _taken(self, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        try:
            return self.take(numbers)
        except DlcliError as error:
            self.problem = error
            raise

    def take(self, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the rows with some numbers, as the model takes them."""
        return self.rows[numbers]


class AugmentedInputs(RowInputs):
    """Pictures that are changed at random, and mixed, anew in each epoch.

    Args:
        pixels: uint8 (pictures, height, width, channels).
        augmentation: how each is changed.
        mixing: how those of a batch are mixed.
        seed: of the draws, which are functions of it, the epoch and the picture's number alone.
    """

    def __init__(self, pixels: Rows, augmentation: AugmentationConfig, mixing: MixingConfig, *, seed: int) -> None:
        super().__init__(pixels)
        self.augmentation = Augmentation(augmentation, seed=seed)
        self.mixing = mixing
        self.mixes = mixing.mixes
        self.seed = seed
        self.epoch = 0

    def begin_epoch(self, epoch: int) -> None:
        """Make the draws those of an epoch, counted from 0."""
        self.epoch = epoch

    def take(self, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return some pictures as this epoch changes them, uint8 (numbers, height, width, channels)."""
        pictures = self.augmentation.apply(self.rows[numbers], numbers, self.epoch)
        return mix(pictures, numbers, self.epoch, self.mixing, seed=self.seed)[0] if self.mixes else pictures

    def shares(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return how much of each picture of a batch is its own, float32 (rows,)."""
        height, width = self.rows.shape[1:3]
        return draw(rows, self.epoch, self.mixing, seed=self.seed, height=height, width=width).shares
