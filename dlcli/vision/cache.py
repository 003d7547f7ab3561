"""Where decoded pictures are kept while a model is trained on them: in memory, in a file, or nowhere."""

from __future__ import annotations

import math
import os
import tempfile
from typing import Any

import numpy as np

from dlcli.core.memory import available_memory
from dlcli.errors import from_os_error
from dlcli.resources import home

# `auto` takes at most this share of the memory that is free.
_SHARE = 1 / 3


def chosen(cache: str, size: int) -> str:
    """Return `ram`, `disk` or `none` for `--cache` and the bytes that the decoded pictures take."""
    if cache != "auto":
        return cache
    free = available_memory()
    return "ram" if free is None or size <= free * _SHARE else "disk"


def allocate(shape: tuple[int, ...], place: str) -> np.ndarray[Any, Any]:
    """Return room for pictures.

    Args:
        shape: (pictures, height, width, channels).
        place: `ram` or `disk`: a file in the user's cache that is gone with the process, however it ends.

    Returns:
        uint8, of that shape.

    Raises:
        SurroundingsError: the disk is full or cannot be written.
    """
    if place == "ram" or not math.prod(shape):
        return np.empty(shape, np.uint8)
    folder = home() / "cache"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            # Reserved now: to write into a hole of a full disk would kill the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, math.prod(shape))
            return np.memmap(file, np.uint8, mode="r+" if hasattr(os, "posix_fallocate") else "w+", shape=shape)
    except OSError as error:
        raise from_os_error(error, folder) from error
