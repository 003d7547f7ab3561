"""Packages that a format needs besides dlcli's own."""

from __future__ import annotations

import importlib.util

from dlcli.errors import UsageError

# What runs a format, and the extra that brings it; Keras and TensorFlow are always there.
EXTRAS = {
    "litert": ("litert", ("ai_edge_litert",)),
    "onnx": ("onnx", ("onnx", "onnxruntime", "tf2onnx")),
}


def require_extra(format: str) -> None:
    """Raise a `UsageError` that names the command which installs what a format needs, where it is missing."""
    extra, packages = EXTRAS.get(format, ("", ()))
    if missing := [package for package in packages if importlib.util.find_spec(package) is None]:
        names = ", ".join(package.replace("_", "-") for package in missing)
        raise UsageError(f"--format {format} needs {names}", hint=f"pip install 'dlcli[{extra}]'")
