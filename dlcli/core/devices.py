"""Where a model computes, and what of the machine a run records."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from typing import Any

from dlcli.core.backend import keras, tf
from dlcli.errors import UsageError


def available() -> list[str]:
    """Return the devices that `--device` takes, such as `cpu` and `gpu:0`."""
    return ["cpu"] + [f"gpu:{number}" for number in range(len(tf.config.list_physical_devices("GPU")))]


@contextlib.contextmanager
def use(device: str) -> Iterator[str]:
    """Place what the block computes on a device.

    Args:
        device: `auto`, `cpu`, `gpu` or `gpu:N`. A GPU's memory grows as it is needed.

    Yields:
        the device taken, as `available` names it.

    Raises:
        UsageError: there is no such device.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # Already in use in this process, so already set.
            tf.config.experimental.set_memory_growth(gpu, True)
    default = "gpu:0" if gpus else "cpu"
    chosen = {"auto": default, "gpu": "gpu:0"}.get(device, device)
    if chosen not in available():
        raise UsageError(f"--device: there is no {device!r}", hint=f"This machine has: {', '.join(available())}")
    # TensorFlow takes the default by itself, and leaves to the CPU what no GPU can do, such as work on strings.
    with contextlib.nullcontext() if chosen == default else tf.device(f"/{chosen}"):
        yield chosen


def describe() -> dict[str, Any]:
    """Return what decides whether a run can be repeated bit for bit: processor, threads, versions."""
    import numpy as np

    from dlcli import __version__

    return {
        "processor": {"machine": platform.machine(), "name": _processor_name(), "system": platform.system()},
        "threads": os.cpu_count(),
        "versions": {
            "dlcli": __version__,
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }


def _processor_name() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
