"""The one way in for `.keras` files: those of finished runs, of pretrained bases, and of strangers.

Before Keras sees a file, its archive and every part of its config are held against what they may be
(`known_layers.py`), and while Keras builds the model, its variables against the size of the weights that are there. Of
a stranger's file another process reads the weights (`strangers.py`), and Keras opens a copy made of what it found.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlcli.core.hdf5 import Contents
from dlcli.core.known_layers import ACTIVATIONS, KNOWN, MARKS, OURS
from dlcli.core.strangers import allowance, numbers, write_numbers
from dlcli.errors import ModelError, UsageError

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_HINT = "Take another copy"
# ResNet152's config has 0.6 MB, its layers stand six deep; a network in a network adds five.
_LARGEST_CONFIG, _MOST_PARTS, _DEEPEST = 32 * 2**20, 1_000_000, 100
# Variables that a model has and its file has not, such as the states of random seeds.
_UNSTORED = 2**20
_NAMES = frozenset.union(*KNOWN.values())
_NUMBERS = re.compile(r"(u?int|float|bfloat)\d{1,2}|bool")


def load(path: Path, *, stranger: bool = False) -> Any:
    """Open a model; nothing in its file is run.

    Args:
        path: of a `.keras` file.
        stranger: whether it is from anywhere, and not from a run that vouches for it or out of our own registry.

    Returns:
        the model, uncompiled; made of layers that Keras or dlcli has.

    Raises:
        UsageError: there is no such file.
        ModelError: it is damaged, no `.keras` file, or is not made of layers that are known.
    """
    config, size = _read(path)
    if not stranger:
        return _built(path, path, size)
    with numbers(path, _WEIGHTS, hint=_HINT) as found, _clean_copy(config, found) as copy:
        return _built(copy, path, sum(array.nbytes for array in found.arrays.values()))


def read_config(path: Path) -> dict[str, Any]:
    """Return what a `.keras` file says of its model, which is all made of parts that are known.

    Raises:
        UsageError: there is no such file.
        ModelError: as in `load`.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Any], int]:
    """Return the config of a model, without how it was compiled, and the size of its weights in bytes."""
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="Expected a .keras file")
    if path.is_dir() or path.suffix != ".keras":
        raise UsageError(f"{path}: expected a model as a .keras file", hint="Save it with model.save('base.keras')")
    try:
        with zipfile.ZipFile(path) as archive:
            parts = _parts(archive, path)
            config = json.loads(archive.read(_CONFIG))
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        # A RecursionError, which a config of brackets alone gives, is a RuntimeError.
        raise ModelError(f"{path} is damaged, or no .keras file ({error})", hint=_HINT) from None
    if not isinstance(config, dict):
        raise ModelError(f"{path} is damaged: its {_CONFIG} describes no model", hint=_HINT)
    # It is not asked for, but Keras would read that of a model within the model.
    config.pop("compile_config", None)
    _require_known(config, path)
    return config, parts[_WEIGHTS].file_size


def _parts(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the parts of an archive by name; raise a `ModelError` unless they are those that Keras writes."""
    parts: dict[str, zipfile.ZipInfo] = {}
    for part in archive.infolist():
        name = part.filename
        if name not in (_CONFIG, _METADATA, _WEIGHTS):
            raise ModelError(f"{path} is refused: a model of ours has no {name!r}", hint="Save it anew with Keras")
        if name in parts:
            raise ModelError(f"{path} is refused: it has two parts {name}", hint=_HINT)
        if part.file_size > (_LARGEST_CONFIG if name != _WEIGHTS else allowance(part.compress_size)):
            raise ModelError(f"{path} is refused: {name} would fill the memory", hint=_HINT)
        parts[name] = part
    if _CONFIG not in parts or _WEIGHTS not in parts:
        raise ModelError(f"{path} is no .keras model: it has no {_CONFIG}, or no {_WEIGHTS}", hint=_HINT)
    return parts


def _require_known(config: dict[str, Any], path: Path) -> None:
    """Raise a `ModelError` unless all that a config names, at any depth, is known."""
    pending: list[tuple[Any, int]] = [(config, 0)]
    count = 0
    while pending:
        part, depth = pending.pop()
        inside = list(part.values()) if isinstance(part, dict) else part if isinstance(part, list) else []
        count += len(inside)
        if depth > _DEEPEST or count > _MOST_PARTS:
            raise ModelError(f"{path} is refused: its {_CONFIG} has too many parts", hint=_HINT)
        if isinstance(part, dict):
            _require_known_part(part, path)
        pending += [(value, depth + 1) for value in inside]


def _require_known_part(part: dict[str, Any], path: Path) -> None:
    hint = "Build it of Keras' own layers, and save it anew"
    if part.get("compile_config"):
        raise ModelError(f"{path} is refused: a model inside of it is compiled", hint="Save it uncompiled")
    kind = part.get("class_name")
    if "class_name" not in part or _is_known(part):
        return
    config = part.get("config")
    name = config.get("name", "") if isinstance(config, dict) else config if isinstance(config, str) else ""
    from_where = str(part.get("registered_name") or "").rpartition(">")[0] or str(part.get("module") or "")
    what = f"{str(kind).strip('_')} {name!r}" if name else str(kind).strip("_")
    of = f" of {from_where}" if from_where else ""
    raise ModelError(f"{path} is refused: {what}{of} is none of the layers that are known to be safe", hint=hint)


def _is_known(part: dict[str, Any]) -> bool:
    """Say whether a part of a config is a value, or names a class or a function that is known."""
    kind, module, config = part["class_name"], part.get("module"), part.get("config")
    registered = part.get("registered_name")
    if not isinstance(kind, str) or not isinstance(module, str | None) or not isinstance(registered, str | None):
        return False
    if isinstance(config, dict) and not all(name.isidentifier() for name in config):
        return False  # They are names of arguments.
    if kind in MARKS and module not in (None, "builtins"):
        return False
    if kind in MARKS:
        # An array's type may be text, each of which may be as long as it says.
        return not isinstance(config, dict) or _NUMBERS.fullmatch(str(config.get("dtype", "bool"))) is not None
    if kind == "function":
        if str(config).startswith("dlcli>"):
            return module == "builtins" and str(config).removeprefix("dlcli>") in OURS
        return config in ACTIVATIONS and module in ("builtins", "keras.activations", "keras.ops")
    if registered and registered != kind:
        return _is_ours(kind, registered)
    return kind in (KNOWN.get(module, ()) if module else _NAMES)


def _is_ours(name: str, registered: str) -> bool:
    return registered == f"dlcli>{name.removeprefix('dlcli>')}" and registered.removeprefix("dlcli>") in OURS


@contextlib.contextmanager
def _clean_copy(config: dict[str, Any], found: Contents) -> Iterator[Path]:
    """Write a model anew, of its config and of its numbers."""
    with tempfile.TemporaryDirectory(prefix="dlcli-", ignore_cleanup_errors=True) as folder:
        copy, weights = Path(folder, "copy.keras"), Path(folder, _WEIGHTS)
        write_numbers(weights, found.arrays)
        with zipfile.ZipFile(copy, "w") as archive:
            archive.writestr(_CONFIG, json.dumps(config))
            archive.writestr(_METADATA, "{}")
            archive.write(weights, _WEIGHTS)
        yield copy


def _built(path: Path, source: Path, size: int) -> Any:
    """Let Keras open a file that was looked through.

    Args:
        path: of the file.
        source: which names it in errors.
        size: of its weights in bytes.
    """
    from dlcli.core.backend import keras

    try:
        with _no_larger_than(size + _UNSTORED):
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        if not isinstance(model, keras.Model) or not model.inputs or not model.outputs:
            raise ValueError("it is no network from inputs to outputs")
        return model
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hint = "Save it anew with this version of Keras"
        raise ModelError(f"{source} cannot be loaded ({reason[:300]})", hint=hint) from error


@contextlib.contextmanager
def _no_larger_than(size: int) -> Iterator[None]:
    """Let variables that are made in the block have so many bytes together: none is made beyond.

    Keras gives a variable its first numbers before it reads those of the file: a layer of 10**12 weights, which takes
    a line in a config, would fill the memory.
    """
    from dlcli.core.backend import keras

    make = keras.Variable._initialize_with_initializer
    left = size

    def counted(variable: Any, initializer: Any) -> None:
        nonlocal left
        left -= math.prod(variable._shape) * _bytes_of(variable._dtype)
        if left < 0:
            raise ValueError("its layers take more weights than it has")
        make(variable, initializer)

    keras.Variable._initialize_with_initializer = counted
    try:
        yield
    finally:
        keras.Variable._initialize_with_initializer = make


def _bytes_of(dtype: str) -> int:
    """Return how many bytes a number of a type takes: `float32` four."""
    bits = "".join(character for character in dtype if character.isdigit())
    return max(1, int(bits or 8) // 8)
