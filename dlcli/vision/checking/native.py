"""One picture at its own size, as the graph of a training sees it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.backend import tf
from dlcli.vision.decode import decode_native
from dlcli.vision.raw import read_raw


def native_pixels(item: str) -> npt.NDArray[np.uint8]:
    """Decode a picture: uint8 (height, width, 3).

    Raises:
        BadItem: it cannot be read.
        tf.errors.OpError: it cannot be decoded.
    """
    pixels: npt.NDArray[np.uint8] = _graph()(tf.constant(read_raw(item))).numpy()
    return pixels


@cache
def _graph() -> Any:
    return tf.function(
        lambda data: decode_native(data, channels=3),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )
