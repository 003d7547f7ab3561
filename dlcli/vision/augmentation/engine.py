"""Augmentation of batches: what is drawn, done to the pixels."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from dlcli.vision.augmentation.color import recolor
from dlcli.vision.augmentation.config import AugmentationConfig, Strengths
from dlcli.vision.augmentation.draws import Draws, draw
from dlcli.vision.augmentation.geometry import matrices, warp
from dlcli.vision.augmentation.philox import Array
from dlcli.vision.augmentation.texture import blur, texture

# Pictures go to our threads, each whole to one: OpenCV's own would take turns with them, and with TensorFlow's.
cv2.setNumThreads(1)
# Fewer pictures than this for a thread are not worth handing over.
_WORTH = 4
_UNMOVED = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


class Augmentation:
    """Changes pictures at random: a pure function of (settings, seed, epoch, item) and their pixels.

    Args:
        config: how far.
        seed: of the run.
        threads: at work at the same time; the result does not depend on it. As many as processors, eight at most, when
            None.
    """

    def __init__(self, config: AugmentationConfig | Strengths, *, seed: int, threads: int | None = None) -> None:
        self.strengths = config if isinstance(config, Strengths) else config.strengths()
        self.seed = seed
        self._threads = threads or min(8, os.cpu_count() or 1)

    def apply(self, images: Array, items: Array, epoch: int) -> Array:
        """Change each picture of a batch.

        Args:
            images: uint8 (n, height, width, channels), channels 1 or 3.
            items: int64 (n,), what tells the pictures apart: their numbers in the data set.
            epoch: counted from 0.

        Returns:
            uint8 (n, height, width, channels), new.
        """
        if not self.strengths.active or not len(images):
            return images.copy()
        items = np.asarray(items)
        draws = self.draw(items, epoch, height=images.shape[1], width=images.shape[2])
        return self.render(images, draws, items, epoch)

    def copies(self, picture: Array, *, key: int, numbers: Sequence[int]) -> Iterator[tuple[Array, dict[str, Any]]]:
        """Make changed copies of one picture.

        Args:
            picture: uint8 (height, width, channels).
            key: what tells the picture apart, below 2**64.
            numbers: of the copies, each of which is made as in the epoch of that number.

        Yields:
            each copy with its parameters (`Draws.parameters`).
        """
        height, width = picture.shape[:2]
        items = np.full(len(numbers), key, np.uint64)
        draws = draw(
            self.strengths, items, seed=self.seed, epoch=np.asarray(numbers, np.int64), height=height, width=width
        )
        for row, copy in enumerate(numbers):
            yield self.one(picture, draws, row, item=key, epoch=copy), draws.parameters(row)

    def one(self, picture: Array, draws: Draws, number: int, *, item: int, epoch: int) -> Array:
        """Do to one picture, uint8 (height, width, channels), what was drawn for picture `number` of a batch."""
        picture = np.ascontiguousarray(picture)
        out = np.empty_like(picture)
        matrix = matrices(draws, height=picture.shape[0], width=picture.shape[1])[number]
        self._one(picture, matrix, draws, number, item, epoch, out)
        return out

    def draw(self, items: Array, epoch: int, *, height: int, width: int) -> Draws:
        """Draw what is done to each picture of a batch; see `draws.draw`."""
        return draw(self.strengths, items, seed=self.seed, epoch=epoch, height=height, width=width)

    def render(self, images: Array, draws: Draws, items: Array, epoch: int) -> Array:
        """Do to each picture of a batch what was drawn; see `apply`."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        warps = matrices(draws, height=images.shape[1], width=images.shape[2])

        def some(numbers: range) -> None:
            for number in numbers:
                self._one(images[number], warps[number], draws, number, int(items[number]), epoch, out[number])

        parts = max(1, min(self._threads, len(images) // _WORTH))
        if parts == 1:
            some(range(len(images)))
        else:
            list(_pool(self._threads).map(some, [range(part, len(images), parts) for part in range(parts)]))
        return out

    def _one(self, picture: Array, matrix: Array, draws: Draws, number: int, item: int, epoch: int, out: Array) -> None:
        fill = self.strengths
        if np.array_equal(matrix, _UNMOVED):
            out[:] = picture
        else:
            warp(picture, matrix, fill_mode=fill.fill_mode, fill_value=fill.fill_value, out=out)
        blur(out, draws.blur[number])
        recolor(out, draws, number)
        texture(out, draws, number, item=item, seed=self.seed, epoch=epoch)


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="augment")
