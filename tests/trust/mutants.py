"""Damaged model files: bytes flipped, cut and spliced; configs, records and pipelines changed in their structure.

`attacks.py` runs this for some files at a time, in a process of their own, which must not fall:

    python tests/trust/mutants.py FOLDER FIRST LAST SEED
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from trust.hostile import CONFIG, WEIGHTS, parts, written

KINDS = {
    "bytes": "bytes of a `.keras` file",
    "config": "the config inside of one",
    "weights": "bytes of a file of weights",
    "inside": "bytes of the weights inside a `.keras` file",
    "record": "the record of a run",
    "pipeline": "the pipeline of a run",
    "model": "the config of a run's model",
    "numbers": "bytes of the weights of a run's model",
}
_ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    3,
    1e308,
    10**9,
    10**18,
    "",
    "relu",
    "x" * 1000,
    [],
    {},
    [[None]],
    {"class_name": "Dense"},
]
_SECONDS = 300


def mutated_bytes(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with some flipped, cut out, overwritten or put elsewhere."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        at, length = chance.randrange(max(1, len(changed))), chance.choice((1, 2, 4, 8, 64, 512))
        what = chance.randrange(6)
        if what == 0 and changed:
            changed[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            changed[at : at + length] = chance.randbytes(length)
        elif what == 2:
            changed[at : at + length] = bytes([chance.choice((0, 255))]) * length
        elif what == 3 and chance.random() < 0.2:
            del changed[at:]
        elif what == 4:
            start = chance.randrange(max(1, len(changed)))
            changed[at : at + length] = changed[start : start + length]
        elif what == 5:
            changed[at : at + 4] = chance.choice((1, 2**16, 2**31 - 1, 2**32 - 1)).to_bytes(4, "little")
    return bytes(changed)


def mutated_json(content: Any, chance: random.Random) -> Any:
    """Return a JSON value with some of its parts changed, left out, repeated or exchanged."""
    changed = copy.deepcopy(content)
    for _ in range(chance.choice((1, 1, 2, 5))):
        places = list(_places(changed))
        if not places:
            return changed
        holder, key = chance.choice(places)
        what = chance.randrange(5)
        if what == 0:
            holder[key] = chance.choice(_ODD)
        elif what == 1:
            del holder[key]
        elif what == 2:
            other, its = chance.choice(places)
            holder[key] = copy.deepcopy(other[its]) if its in other or isinstance(other, list) else None
        elif what == 3 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif isinstance(holder[key], bool | int | float):
            holder[key] = chance.choice((-1, 0, 1, 7, 2**31, -(2**63), 0.5, 1e30))
        elif isinstance(holder[key], str):
            holder[key] = chance.choice((holder[key][:-1], holder[key].upper(), f"{holder[key]}/..", "keras", "float8"))
    return changed


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(content) if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ():
        yield content, key
        yield from _places(content[key])


def open_mutant(kind: str, folder: Path, place: Path, chance: random.Random) -> None:
    """Make one damaged file or run, and open it as dlcli does.

    Args:
        kind: one of `KINDS`.
        folder: what `attacks.honest` made.
        place: an empty folder.
        chance: what the damage is drawn from.
    """
    from dlcli.core import keras_files
    from dlcli.vision import weights

    base, path = folder / "base.keras", place / "evil.keras"
    if kind == "bytes":
        path.write_bytes(mutated_bytes(base.read_bytes(), chance))
        keras_files.load(path, stranger=True)
    elif kind == "inside":
        content = parts(base)
        written(path, {**content, WEIGHTS: mutated_bytes(content[WEIGHTS], chance)})
        keras_files.load(path, stranger=True)
    elif kind == "config":
        content = parts(base)
        written(path, {**content, CONFIG: json.dumps(mutated_json(json.loads(content[CONFIG]), chance)).encode()})
        keras_files.load(path)
    elif kind == "weights":
        file = place / "evil.weights.h5"
        file.write_bytes(mutated_bytes((folder / "base.weights.h5").read_bytes(), chance))
        weights.load(keras_files.load(base), file)
    else:
        runs = [run for run in (folder / "texts", folder / "pictures") if run.exists()]
        _open_run(kind, chance.choice(runs), place / "run", chance)


def _open_run(kind: str, source: Path, run: Path, chance: random.Random) -> None:
    from conftest import ROOT
    from trust.attacks import vouch

    from dlcli.serving.predictor import Predictor

    shutil.copytree(source, run)
    if kind == "record":
        record = mutated_json(json.loads((run / "run.json").read_text()), chance)
        (run / "run.json").write_text(json.dumps(record))
    elif kind == "numbers":
        content = parts(run / "model.keras")
        written(run / "model.keras", {**content, WEIGHTS: mutated_bytes(content[WEIGHTS], chance)})
        vouch(run, "run.json")
    elif kind == "model":
        content = parts(run / "model.keras")
        config = mutated_json(json.loads(content[CONFIG]), chance)
        written(run / "model.keras", {**content, CONFIG: json.dumps(config).encode()})
        vouch(run, "run.json")
    else:
        file = chance.choice(sorted((run / "pipeline").iterdir()))
        data = file.read_bytes()
        if file.suffix == ".json" and chance.random() < 0.7:
            file.write_text(json.dumps(mutated_json(json.loads(data), chance)))
        else:
            file.write_bytes(mutated_bytes(data, chance))
        vouch(run, "run.json")
    picture = str(next((ROOT / "sample_data" / "shapes").glob("*/*.jpg")))
    items = [picture] if source.name == "pictures" else ["a good film", ""]
    Predictor(run).outputs(items)


def tried(folder: Path, first: int, last: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Open some damaged files.

    Returns:
        how many of each kind were refused and loaded, and what went wrong.
    """
    from dlcli.errors import DlcliError

    found: Counter[str] = Counter()
    wrong = []
    for number in range(first, last):
        kind = list(KINDS)[number % len(KINDS)]
        chance = random.Random(f"{seed} {number}")
        started = time.time()
        signal.alarm(_SECONDS)  # Ends this process, with its number on stderr.
        print(number, kind, file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as place:
            try:
                open_mutant(kind, folder, Path(place), chance)
                found[f"{kind} loaded"] += 1
            except DlcliError as error:
                found[f"{kind} refused"] += 1
                # 6: its numbers were damaged and forged hashes vouch for them, so that it answers NaN, and says so.
                if error.exit_code not in (2, 3, 4, 5, 6) or not str(error):
                    wrong.append(f"{number} {kind}: exit code {error.exit_code}: {error}")
            except Exception as error:
                wrong.append(f"{number} {kind}: {type(error).__name__}: {str(error)[:300]}")
        if (seconds := time.time() - started) > _SECONDS / 5:
            wrong.append(f"{number} {kind}: {seconds:.0f} s")
    signal.alarm(0)
    return found, wrong


if __name__ == "__main__":
    import dlcli.text.domain
    import dlcli.vision.domain  # noqa: F401

    os.environ["PYTHONWARNINGS"] = "ignore"
    outcome = tried(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
    print(json.dumps({"found": outcome[0], "wrong": outcome[1]}))
