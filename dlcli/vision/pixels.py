"""Items to pixels, on threads, chunk by chunk; every picture that cannot be decoded is named."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.backend import tf
from dlcli.core.lines import BadRow
from dlcli.core.parallel import chunks, parallel
from dlcli.core.progress import Progress
from dlcli.core.quiet import quiet_libraries
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.decode import decode_batch, decode_native
from dlcli.vision.headers import BadPicture, read_header
from dlcli.vision.raw import BadItem, damaged, read_raw

Pixels = npt.NDArray[np.uint8]
# Enough that a call's own cost is small; few enough that the encoded bytes of all threads stay small beside the pixels.
_CHUNK = 64


def decode_items(
    items: Sequence[str], config: ImagePipelineConfig, *, out: Pixels | None = None, progress: Progress
) -> tuple[Pixels, list[BadRow]]:
    """Decode pictures on threads.

    Args:
        items: paths, or `ARCHIVE::NUMBER`.
        config: size and colours, both set.
        out: uint8 (n, height, width, channels) to fill, such as a memory-mapped file; without it one is made.
        progress: is advanced by each picture.

    Returns:
        the pixels, zeros where a picture is bad, and what is wrong with those, in their order (`BadItem`).
    """
    assert config.image_size is not None
    shape = (len(items), *config.image_size, config.channels)
    pixels = np.zeros(shape, np.uint8) if out is None else out
    graph = graph_of(config)

    def work(chunk: list[tuple[int, str]]) -> tuple[int, list[BadItem]]:
        return len(chunk), _fill(pixels, chunk, graph)

    bad: list[BadRow] = []
    with quiet_libraries():
        for count, found in parallel(work, chunks(enumerate(items), _CHUNK)):
            bad += found
            progress.advance(count)
    return pixels, bad


@lru_cache(maxsize=8)  # To trace it takes a second.
def graph_of(config: ImagePipelineConfig) -> Any:
    """Return `decode_batch` compiled for one configuration: strings (n,) to pixels."""
    return tf.function(
        lambda data: decode_batch(data, config), input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False
    )


@cache
def native_graph(channels: int) -> Any:
    """Return `decode_native` compiled: a scalar string to pixels of the picture's own size."""
    return tf.function(
        lambda data: decode_native(data, channels=channels),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )


def native_pixels(item: str) -> Pixels:
    """Decode a picture in its own size: uint8 (height, width, 3).

    Raises:
        BadItem: it cannot be read.
        tf.errors.OpError: it cannot be decoded.
    """
    pixels: Pixels = native_graph(3)(tf.constant(read_raw(item))).numpy()
    return pixels


def _fill(pixels: Pixels, chunk: list[tuple[int, str]], graph: Any) -> list[BadItem]:
    """Decode a chunk into its places; where that fails, one picture after the other."""
    bad: dict[int, BadItem] = {}
    data: dict[int, bytes] = {}
    for row, item in chunk:
        try:
            data[row] = _checked(item)
        except BadItem as error:
            bad[row] = error
    try:
        if data:
            found = graph(tf.constant(list(data.values()))).numpy()
            if len(data) == len(chunk):
                pixels[chunk[0][0] : chunk[-1][0] + 1] = found
            else:
                pixels[list(data)] = found
    except tf.errors.OpError:
        for row, item in chunk:
            if row not in bad and (damaged := _decode_one(pixels, row, item, data[row], graph)):
                bad[row] = damaged
    for row in bad:
        pixels[row] = 0
    return [bad[row] for row in sorted(bad)]


def _decode_one(pixels: Pixels, row: int, item: str, content: bytes, graph: Any) -> BadItem | None:
    """Decode one picture into its place, or name it: its header is good, and the decoder gave up."""
    try:
        pixels[row] = graph(tf.constant([content])).numpy()[0]
    except tf.errors.OpError:
        return damaged(item, read_header(content))
    return None


def _checked(item: str) -> bytes:
    """Read a picture's bytes; what a look at its header refuses is refused here too, before a decoder sees it."""
    data = read_raw(item)
    try:
        read_header(data)
    except BadPicture as bad:
        raise BadItem(item, bad.what, kind=bad.kind, hint=bad.hint) from None
    return data
