"""Items to pixels, on threads, chunk by chunk; every picture that cannot be decoded is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dlcli.core.backend import tf
from dlcli.core.lines import BadRow
from dlcli.core.parallel import chunks, parallel
from dlcli.core.progress import Progress
from dlcli.core.quiet import quiet_libraries
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.decode import decode_batch, decode_native
from dlcli.vision.headers import BadPicture, Header, read_header
from dlcli.vision.plain import Plain, decode_plain, plain_format
from dlcli.vision.raw import BadItem, damaged, read_raw

Pixels = npt.NDArray[np.uint8]
# Pictures of a chunk: many, so that a call's own cost is small; but of a few pictures all threads have some.
_LEAST, _MOST = 16, 256
_CHUNKS = 32
# Stored pixels that are decoded in one call, but for a larger picture: after Ctrl-C what has begun is waited for.
_TOGETHER = 2**24


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
    size = min(max(len(items) // _CHUNKS, _LEAST), _MOST)
    stop = Event()

    def work(chunk: list[tuple[int, str]]) -> tuple[int, list[BadItem]]:
        return len(chunk), _fill(pixels, chunk, config, stop)

    bad: list[BadRow] = []
    with quiet_libraries():
        for count, found in parallel(work, chunks(enumerate(items), size), stop=stop):
            bad += found
            progress.advance(count)
    return pixels, bad


@lru_cache(maxsize=8)  # To trace it takes a second.
def graph_of(config: ImagePipelineConfig) -> Any:
    """Return `decode_batch` compiled for one configuration: strings (n,) to pixels."""
    return tf.function(
        lambda data: decode_batch(data, config), input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False
    )


@lru_cache(maxsize=8)
def plain_graph(plain: Plain, config: ImagePipelineConfig) -> Any:
    """Return `decode_plain` compiled for one configuration: strings (n,) to pixels."""
    return tf.function(
        lambda data: decode_plain(data, plain, config),
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
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


class _Encoded(NamedTuple):
    """A picture as it was read, with the place of its pixels."""

    row: int
    item: str
    data: bytes
    header: Header


def _fill(pixels: Pixels, chunk: list[tuple[int, str]], config: ImagePipelineConfig, stop: Event) -> list[BadItem]:
    """Decode a chunk into its places, a few pictures at a time; where that fails, one after the other."""
    bad: dict[int, BadItem] = {}
    for plain, group in _groups(_read(chunk, bad), config):
        if stop.is_set():  # Nobody waits for the rest.
            break
        graph = plain_graph(plain, config) if plain else graph_of(config)
        try:
            pixels[[one.row for one in group]] = graph(tf.constant([one.data for one in group])).numpy()
        except tf.errors.OpError:
            bad |= {one.row: found for one in group if (found := _decode_one(pixels, one, graph_of(config)))}
    for row in bad:
        pixels[row] = 0
    return [bad[row] for row in sorted(bad)]


def _read(chunk: list[tuple[int, str]], bad: dict[int, BadItem]) -> Iterator[_Encoded]:
    """Read pictures; what a look at a header refuses is refused here too, before a decoder sees it."""
    for row, item in chunk:
        try:
            data = read_raw(item)
            yield _Encoded(row, item, data, read_header(data))
        except BadItem as error:
            bad[row] = error
        except BadPicture as error:
            bad[row] = BadItem(item, error.what, kind=error.kind, hint=error.hint)


def _groups(pictures: Iterable[_Encoded], config: ImagePipelineConfig) -> Iterator[tuple[Plain | None, list[_Encoded]]]:
    """Put together what one graph decodes, and no more than takes a part of a second."""
    groups: dict[Plain | None, list[_Encoded]] = {}
    waiting = 0
    for one in pictures:
        groups.setdefault(plain_format(one.data, one.header, config), []).append(one)
        waiting += one.header.height * one.header.width
        if waiting > _TOGETHER:
            yield from groups.items()
            groups, waiting = {}, 0
    yield from groups.items()


def _decode_one(pixels: Pixels, one: _Encoded, graph: Any) -> BadItem | None:
    """Decode one picture into its place, or name it: its header is good, and the decoder gave up."""
    try:
        pixels[one.row] = graph(tf.constant([one.data])).numpy()[0]
    except tf.errors.OpError:
        return damaged(one.item, one.header)
    return None
