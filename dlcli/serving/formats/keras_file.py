"""Keras' own file, which Keras opens on any of its backends; with the source of the layers that Keras has not."""

from __future__ import annotations

import dis
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from dlcli.core.backend import keras
from dlcli.core.files import write_text
from dlcli.serving.card import FILES, Tensor
from dlcli.serving.predictor import Predictor

LAYERS = "layers.py"
_REGISTER = re.compile(r"^@keras\.saving\.register_keras_serializable\(.*\n")
_HEADER = '''"""Layers of model.keras that Keras has not. They need Keras alone:

    import keras
    from layers import CUSTOM_OBJECTS
    model = keras.saving.load_model("model.keras", compile=False, custom_objects=CUSTOM_OBJECTS)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

ops = keras.ops
'''


def write(predictor: Predictor, folder: Path) -> tuple[list[Tensor], str]:
    """Write `model.keras`, without what only a resumed training needs, and `layers.py` where it has layers of ours.

    Returns:
        the inputs, and the name of the output.
    """
    predictor.model.save(folder / FILES["keras"])
    if names := sorted(set(_registered(keras.saving.serialize_keras_object(predictor.model)))):
        write_text(folder / LAYERS, _source(names))
    inputs = predictor.model.inputs
    tensors = [Tensor(name=g.name, dtype=keras.backend.standardize_dtype(g.dtype), shape=list(g.shape)) for g in inputs]
    return tensors, predictor.model.output_names[0]


def _registered(config: Any) -> Iterator[str]:
    """Yield the names under which Keras knows our layers and functions in a model's config."""
    if isinstance(config, str) and config.startswith("dlcli>"):
        yield config
    elif isinstance(config, dict):
        for value in config.values():
            yield from _registered(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _registered(value)


def _source(names: list[str]) -> str:
    """Return a module of plain Keras with the layers and functions of these names, and what they use of ours."""
    wanted = {name: keras.saving.get_registered_object(name) for name in names}
    parts: dict[str, str] = {}
    for found in wanted.values():
        _collect(found, parts)
    table = "".join(f'    "{name}": {found.__name__},\n' for name, found in wanted.items())
    return "\n\n".join([_HEADER, *parts.values(), f"CUSTOM_OBJECTS = {{\n{table}}}\n"])


def _collect(found: Any, parts: dict[str, str]) -> None:
    """Add the source of a class or function, behind that of what it uses."""
    functions = (
        [found] if isinstance(found, FunctionType) else [f for f in vars(found).values() if inspect.isfunction(f)]
    )
    for function in functions:
        for name in _names(function.__code__):
            used = function.__globals__.get(name)
            if name in parts or isinstance(used, ModuleType) or name in ("ops", found.__name__) or used is None:
                continue
            if inspect.isfunction(used) and used.__module__.startswith("dlcli."):
                _collect(used, parts)
            elif isinstance(used, int | float | str) and name.strip("_").isupper():
                parts[name] = f"{name} = {used!r}\n"
    parts[found.__name__] = _REGISTER.sub("", inspect.getsource(found))


def _names(code: Any) -> Iterator[str]:
    """Yield the global names that a function's code uses, that of functions inside it too."""
    yield from (step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL")
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            yield from _names(constant)
