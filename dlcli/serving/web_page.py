"""A page that runs an ONNX export in a browser, from a plain folder: no server computes, and nothing leaves the page.

The browser's runtime is that of the npm package onnxruntime-web, fetched once and kept in the user's cache. The page
loads nothing but scripts of its own folder, so that it also works where it is opened from a disk.
"""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import tarfile
from pathlib import Path

from dlcli.core.fetch import fetch, naming_mirrors
from dlcli.core.files import write_text
from dlcli.core.progress import Progress
from dlcli.core.transfer import Remote
from dlcli.errors import ModelError
from dlcli.resources import home
from dlcli.serving.card import Card, named_files

VERSION = "1.24.3"
RUNTIME = Remote(
    address=f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz",
    size=30_848_838,
    algorithm="sha512",
    # `dist.integrity` of the package, in hexadecimal digits.
    hash=(
        "e35743abb7f1b539b45f3184ecdd1dea6f0570e63c116b5403ae4690e8b124f0"
        "7f1bb0c6cc19a20c09d55571f39d1c3d6e0519a5bfb8ff59502bf3cdc46a5bad"
    ),
    source="npm's registry",
)
# What the page needs of the package: the interface, and the machine below it for one thread or more.
_INTERFACE, _SCRIPT, _BINARY = "ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"
_INSIDE = "package/dist/"
# The package states its licence, and has no file of it.
_LICENCE = """onnxruntime-web {version}, https://github.com/microsoft/onnxruntime

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
PAGE, FOLDER = "index.html", "web"
_OWN = Path(__file__).with_name("web")


def runtime_path() -> Path:
    """Return where the package is kept; it need not be there yet."""
    return home() / "runtimes" / RUNTIME.name


def obtain_runtime(progress: Progress, *, mirror: str = "") -> Path:
    """See that onnxruntime-web is on this machine.

    Args:
        progress: told of what comes.
        mirror: a base address to take it from instead.

    Returns:
        the package, which has the hash that is stated.

    Raises:
        SurroundingsError: it cannot be had, or is not what is stated.
    """
    path = runtime_path()
    with naming_mirrors("dlcli export RUN --web", mirror=mirror):
        fetch(RUNTIME, path, progress=progress, mirror=mirror)
    return path


def write_page(folder: Path, card: Card, runtime: Path) -> None:
    """Write the page beside an ONNX export.

    Args:
        folder: of the export.
        card: its own; it is written anew, with the hashes of what is added.
        runtime: the package, as `obtain_runtime` returns it.

    Raises:
        ModelError: the package has not what the page needs.
    """
    place = folder / FOLDER
    place.mkdir()
    shutil.copyfile(_OWN / PAGE, folder / PAGE)
    for file in sorted(_OWN.iterdir()):
        if file.suffix in (".js", ".css"):
            shutil.copyfile(file, place / file.name)
    parts = _unpacked(runtime)
    (place / _INTERFACE).write_bytes(parts[_INTERFACE])
    write_text(place / "onnxruntime-web.txt", _LICENCE.format(version=VERSION))
    names = [card.file, *named_files(card.preprocessing)]
    contents = {name: (folder / name).read_bytes() for name in names} | {n: parts[n] for n in (_SCRIPT, _BINARY)}
    scripts = {name: f"{FOLDER}/{name.replace('/', '-')}.js" for name in contents}
    shown = {
        **card.model_dump(mode="json", include={"made_by", "domain", "labels", "outputs", "inputs", "output", "file"}),
        "preprocessing": card.preprocessing,
        "model": str(card.run.get("model", {}).get("name", "")),
        "runtime": {"name": f"onnxruntime-web {VERSION}", "script": _SCRIPT, "binary": _BINARY},
        "files": scripts,
    }
    contents["card.json"] = json.dumps(shown).encode()
    scripts["card.json"] = f"{FOLDER}/card.js"
    for name, script in scripts.items():
        write_text(folder / script, _deposit(name, contents[name]))
    card.write(folder)


def _deposit(name: str, content: bytes) -> str:
    """Return a script that hands a file over: gzipped, and the same bytes each time."""
    packed = base64.b64encode(gzip.compress(content, compresslevel=6, mtime=0)).decode()
    return f'files.deposit({json.dumps(name)}, "{packed}");\n'


def _unpacked(package: Path) -> dict[str, bytes]:
    """Return the files of the package that the page needs."""
    found = {}
    with tarfile.open(package) as archive:
        for name in (_INTERFACE, _SCRIPT, _BINARY):
            try:
                file = archive.extractfile(_INSIDE + name)
            except KeyError:
                file = None
            if file is None:
                raise ModelError(f"{package} has no {_INSIDE}{name}", hint="Remove it, and it is fetched anew")
            found[name] = file.read()
    return found
