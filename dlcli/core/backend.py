"""TensorFlow and Keras, imported without their chatter. Import both from here.

TensorFlow's C++ side writes lines on stderr while it loads and when it first looks for a GPU, whatever its log level
says; they would drown our one-line messages. What it writes is kept, and shown should the import fail.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def _stderr_kept() -> Iterator[None]:
    """Send what is written to file descriptor 2 to a file; show it when the block fails, but not after Ctrl-C."""
    try:
        saved = os.dup(2)
    except OSError:  # There is no stderr to keep.
        yield
        return
    with tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        os.dup2(file.fileno(), 2)
        try:
            yield
        except Exception:
            os.dup2(saved, 2)
            file.seek(0)
            sys.stderr.write(file.read().decode("utf-8", "replace"))
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


@contextlib.contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Let packages that are not imported yet seem not to be installed during the block."""
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from looking at what the block makes, now and in every later collection."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()


# Of the 440,000 objects that come with TensorFlow none is garbage: to look through them took a second of the start, and
# 0.2 s at each full collection of a training. TensorFlow imports Keras, and Keras, where they are there, packages for
# wrappers, galleries and inputs that we do not use: more than a quarter of the start.
with _uncollected(), _stderr_kept(), _hidden("sklearn", "scipy", "matplotlib", "pandas", "IPython"):
    import tensorflow as tf

    tf.config.list_physical_devices()
    tf.get_logger().setLevel("ERROR")
    import keras

__all__ = ["keras", "tf"]
