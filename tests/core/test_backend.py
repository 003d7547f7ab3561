"""TensorFlow is imported so that it costs little: then, and at each garbage collection after it."""

from __future__ import annotations

import gc

from dlcli.core.backend import tf


def test_the_collector_is_on_and_leaves_what_came_with_tensorflow_alone() -> None:
    assert tf.__name__ == "tensorflow"
    assert gc.isenabled()
    assert gc.get_freeze_count() > 100_000
