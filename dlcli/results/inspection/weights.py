"""Weights in numbers: how they are spread, how many are zero, and which are no numbers any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_BINS = 16
_BARS = " ▁▂▃▄▅▆▇█"

Array = np.ndarray[Any, Any]


def statistics(layers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is to be said of each array of weights.

    Args:
        layers: Keras layers by name; see `structure.with_weights`.

    Returns:
        for each array `layer`, `weight`, `shape`, `mean`, `std`, `min`, `max`, `norm` (the root of the sum of squares),
        `zeros` (the share that is exactly 0), `nan` and `infinite` (how many), and `histogram`: `from`, `to` and
        `counts` in equal steps between. All but `shape`, `nan` and `infinite` are of the finite numbers; None where
        there is none.
    """
    return [
        {"layer": name, "weight": _own_name(weight.path, layer.name), **_of_array(_numbers(weight))}
        for name, layer in layers.items()
        for weight in layer.weights
    ]


def sparkline(counts: list[int]) -> str:
    """Return a histogram as a row of bars; a bar of one eighth is anything above none."""
    most = max(counts, default=0)
    return "".join(_BARS[0 if not count else max(1, round(8 * count / most))] for count in counts)


def kernel_of(layer: Any) -> Array | None:
    """Return the kernel of a convolution that reads pixels, float32 (height, width, 1 or 3, filters); else None."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None or len(kernel.shape) != 4 or kernel.shape[2] not in (1, 3):
        return None
    return _numbers(kernel)


def _own_name(path: str, layer: str) -> str:
    """Return a variable's path without that of its layer: `kernel`, `lstm_cell/kernel`."""
    return path.rpartition(f"{layer}/")[2]


def _numbers(weight: Any) -> Array:
    from dlcli.core.backend import keras

    # bfloat16 is none of NumPy's.
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32")), np.float32)


def _of_array(array: Array) -> dict[str, Any]:
    finite = array[np.isfinite(array)].astype(np.float64)
    found: dict[str, Any] = {
        "shape": list(array.shape),
        "nan": int(np.isnan(array).sum()),
        "infinite": int(np.isinf(array).sum()),
    }
    if not finite.size:
        return found | dict.fromkeys(("mean", "std", "min", "max", "norm", "zeros", "histogram"))
    counts, edges = np.histogram(finite, bins=_BINS)
    return found | {
        "mean": float(finite.mean()),
        "std": float(finite.std()),
        "min": float(finite.min()),
        "max": float(finite.max()),
        "norm": float(np.linalg.norm(finite)),
        "zeros": float((finite == 0).mean()),
        "histogram": {"from": float(edges[0]), "to": float(edges[-1]), "counts": counts.tolist()},
    }
