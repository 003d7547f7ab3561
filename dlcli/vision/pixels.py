"""Items to pixels, on threads, chunk by chunk; every picture that cannot be decoded is named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.backend import tf
from dlcli.core.lines import BadRow
from dlcli.core.parallel import chunks, parallel
from dlcli.core.progress import Progress
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.decode import decode_batch
from dlcli.vision.headers import BadPicture, read_header
from dlcli.vision.raw import BadItem, read_raw

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
    for count, found in parallel(work, chunks(enumerate(items), _CHUNK)):
        bad += found
        progress.advance(count)
    return pixels, bad


def graph_of(config: ImagePipelineConfig) -> Any:
    """Return `decode_batch` compiled for one configuration: strings (n,) to pixels."""
    return tf.function(
        lambda data: decode_batch(data, config), input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False
    )


def _fill(pixels: Pixels, chunk: list[tuple[int, str]], graph: Any) -> list[BadItem]:
    """Decode a chunk into its places; where that fails, one picture after the other."""
    bad: list[BadItem] = []
    rows, data = [], []
    for row, item in chunk:
        try:
            data.append(read_raw(item))
            rows.append((row, item))
        except BadItem as error:
            pixels[row] = 0
            bad.append(error)
    try:
        if rows:
            pixels[rows[0][0] : rows[-1][0] + 1] = _in_places(graph(tf.constant(data)).numpy(), rows)
    except tf.errors.OpError:
        bad += _one_by_one(pixels, rows, data, graph)
        bad.sort(key=lambda error: [item for _, item in chunk].index(error.item))
    return bad


def _in_places(found: Pixels, rows: list[tuple[int, str]]) -> Pixels:
    first, last = rows[0][0], rows[-1][0]
    if last - first + 1 == len(rows):
        return found
    spread = np.zeros((last - first + 1, *found.shape[1:]), np.uint8)
    spread[[row - first for row, _ in rows]] = found
    return spread


def _one_by_one(pixels: Pixels, rows: Iterable[tuple[int, str]], data: Iterable[bytes], graph: Any) -> list[BadItem]:
    bad: list[BadItem] = []
    for (row, item), content in zip(rows, data, strict=True):
        try:
            pixels[row] = graph(tf.constant([content])).numpy()[0]
        except tf.errors.OpError as error:
            pixels[row] = 0
            bad.append(_bad(item, content, error))
    return bad


def _bad(item: str, content: bytes, error: Exception) -> BadItem:
    """Say what is wrong with a picture: what its header shows, or else that the decoder gave up."""
    try:
        header = read_header(content)
    except BadPicture as bad:
        return BadItem(item, bad.what, kind=bad.kind, hint=bad.hint)
    shown = f"a damaged {header.format.upper() if header.format != 'webp' else 'WebP'}"
    what = f"{shown}: it says {header.width}x{header.height} pixels, and its content ends early or is no such picture"
    return BadItem(item, what, kind="damaged", hint="Copy or download it again, or delete it")
