"""Try every published attack on Keras model files through the real commands, then thousands of damaged model files.

An attack must end with exit code 4, leave its mark nowhere, and reach nothing. A damaged file is loaded or refused; no
process may fall, hang, or end with an error that names nothing.

    python tests/trust/attacks.py [--files 5000] [--seed N] [--write]
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import REVIEWS, ROOT, Outcome, call
from trust import hostile
from trust.figures import keep, options
from trust.hostile import CONFIG, WEIGHTS, Trap, parts, written

SHAPES = ROOT / "sample_data" / "shapes"
# Seconds for one damaged file, on a machine that does other things too; most take a tenth of one.
_LONGEST = 300
_CHUNK = 250


@dataclass(frozen=True)
class Honest:
    """What the attacks are made of.

    Attributes:
        base: a `.keras` file, a Sequential network for pictures of 16x16.
        weights: its weights in the layout of Keras 3.
        texts: a finished run of texts.
        pictures: one of pictures.
        stopped: one of texts that was interrupted.
        exports: exports of `texts` by format.
    """

    base: Path
    weights: Path
    texts: Path
    pictures: Path
    stopped: Path | None = None
    exports: dict[str, Path] | None = None


class Watch:
    """Marks, and a server that nobody should ask."""

    def __init__(self, folder: Path) -> None:
        self.asked = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        module = f"evil_{os.getpid()}_{id(self)}"
        address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.trap = Trap(folder / "mark", folder / "secret.h5", address, module)
        (folder / f"{module}.py").write_text(f"run = open({str(self.trap.mark)!r}, 'w').close\nrun()\n")
        sys.path.append(str(folder))
        import h5py
        import numpy as np

        with h5py.File(self.trap.secret, "w") as file:
            file["secret"] = np.ones((3, 3, 3, 4), np.float32)
        self._secret = self.trap.secret.read_bytes()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._socket.accept()[0].close()
                self.asked += 1

    def close(self) -> None:
        self._socket.close()

    @property
    def marks(self) -> list[str]:
        """What an attack has reached."""
        found = ["code ran"] if list(self.trap.mark.parent.glob(f"{self.trap.mark.name}*")) else []
        found += ["a module was imported"] if self.trap.module in sys.modules else []
        found += ["a server was asked"] if self.asked else []
        return found + (["a file was changed"] if self.trap.secret.read_bytes() != self._secret else [])


def honest(folder: Path, *, whole: bool = True) -> Honest:
    """Make what the attacks are made of.

    Args:
        folder: where.
        whole: with an interrupted run and the exports.
    """
    base = honest_base(folder)
    texts, pictures, stopped = folder / "texts", folder / "pictures", folder / "stopped"
    done(call("train-text", REVIEWS, "--ngrams", "2", "--epochs", "1", "--out", texts, "-q"))
    small = ("--model", "cnn", "--filters", "4,4", "--image-size", "16", "--epochs", "1")
    done(call("train-image", SHAPES, *small, "--out", pictures, "-q"))
    found = Honest(base, base.with_name("base.weights.h5"), texts, pictures)
    if not whole:
        return found
    exports = {}
    for format in ("savedmodel", "keras"):
        exports[format] = folder / format
        done(call("export", texts, "--format", format, "--out", exports[format], "-q"))
    script = (
        "import os, sys; from dlcli.core import checkpoint; from dlcli.cli import guarded\n"
        "write = checkpoint.Checkpoints._write\n"
        "def once(self, state, arrays): write(self, state, arrays); state.epoch and os._exit(9)\n"
        "checkpoint.Checkpoints._write = once; guarded(sys.argv[1:], debug=True)\n"
    )
    line = ["train-text", str(REVIEWS), "--epochs", "3", "--out", str(stopped), "-q"]
    killed = subprocess.run([sys.executable, "-c", script, *line], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert killed.returncode == 9 and (stopped / "checkpoints" / "state.json").exists()
    return Honest(base, found.weights, texts, pictures, stopped, exports)


def honest_base(folder: Path) -> Path:
    """Make a network for pictures of 16x16, and its weights alone beside it."""
    from dlcli.core.backend import keras

    layers = keras.layers
    stack = [layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()]
    stack += [layers.MaxPooling2D(), layers.Conv2D(8, 3, kernel_regularizer="l2"), layers.Flatten(), layers.Dense(3)]
    model = keras.Sequential([keras.Input((16, 16, 3)), *stack])
    model.save(folder / "base.keras")
    model.save_weights(folder / "base.weights.h5")
    return folder / "base.keras"


def done(outcome: Outcome) -> None:
    assert outcome.code == 0, outcome.err


# The attacks.


def attacks(good: Honest, folder: Path, trap: Trap) -> Iterator[tuple[str, str, list[tuple[object, ...]]]]:
    """Make each attack below a folder; yield its name, its CVE, and the commands that a user would open it with."""
    path = folder / "evil.keras"
    config = json.loads(parts(good.base)[CONFIG])
    for name, cve, layer in hostile.configs(trap):
        changed = json.dumps(hostile.with_layer(config, layer)).encode()
        written(path, {**parts(good.base), CONFIG: changed})
        yield name, cve, [*openings(path), predict(forged(good.pictures, folder / "run", path))]
    for name, make in hostile.archives(good.base, path, trap):
        make()
        yield name, "", [*openings(path), predict(forged(good.pictures, folder / "run", path))]
    for name, cve, change in hostile.stores(trap):
        weights = hostile.stored(good.weights.read_bytes(), folder / "evil.weights.h5", change)
        written(path, {**parts(good.base), WEIGHTS: weights.read_bytes()})
        yield name, cve, [*openings(path), base_weights(weights)]
    legacy = hostile.legacy_model(folder / "evil.h5", hostile.with_layer(config, next(hostile.configs(trap))[2]))
    yield "a whole model of Keras 2 with a Lambda", "CVE-2025-9905", [base_weights(legacy)]
    for name, run in forgeries(good.texts, folder / "run", trap):
        yield name, "", [("predict", run, REVIEWS), ("evaluate", run, REVIEWS)]
    if good.stopped is not None:
        yield (
            "a pickle in a checkpoint",
            "",
            [("train-text", "--resume", pickled_checkpoint(good, folder / "run", trap))],
        )
    for name, export in export_attacks(good, folder / "export", trap):
        yield name, "", [("bench", good.texts, "--artefact", export, "--seconds", "0.1", "--items", "4")]


def openings(path: Path) -> list[tuple[object, ...]]:
    """Return the commands that take a stranger's `.keras` file."""
    add = ("pretrained", "add", path, "--name", "evil", "--force")
    return [add, ("finetune", SHAPES, "--base", path, "--epochs", "1", "--out", path.with_name("out"), "--force")]


def predict(run: Path) -> tuple[object, ...]:
    return ("predict", run, SHAPES)


def base_weights(path: Path) -> tuple[object, ...]:
    line = ("finetune", SHAPES, "--base", "mobilenet", "--weights", path, "--image-size", "32", "--epochs", "1")
    return (*line, "--out", path.with_name("out"), "--force")


def forged(run: Path, target: Path, model: Path) -> Path:
    """Copy a run with another model, for which its record vouches."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(run, target)
    shutil.copyfile(model, target / "model.keras")
    return vouch(target, "run.json")


def vouch(folder: Path, record: str) -> Path:
    """Write the hashes of what is in a folder now into its record."""
    content = json.loads((folder / record).read_text())
    for name in content["hashes"]:
        content["hashes"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / record).write_text(json.dumps(content))
    return folder


def forgeries(run: Path, target: Path, trap: Trap) -> Iterator[tuple[str, Path]]:
    """Yield copies of a run whose record does not vouch for what is in it."""

    def anew() -> dict[str, Any]:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(run, target)
        content: dict[str, Any] = json.loads((target / "run.json").read_text())
        return content

    def keep_record(content: dict[str, Any]) -> Path:
        (target / "run.json").write_text(json.dumps(content))
        return target

    yield "a record that vouches for nothing", keep_record(anew() | {"hashes": {}})
    record = anew()
    del record["hashes"]["pipeline/vocabulary.tsv"]
    yield "a record that leaves a file out", keep_record(record)
    record = anew()
    (target / "pipeline" / "more.tsv").write_text("more")
    yield "a file that the record does not know", keep_record(record)
    for name in (os.path.relpath(trap.secret, target), str(trap.secret)):
        record = anew()
        record["hashes"][name] = hashlib.sha256(trap.secret.read_bytes()).hexdigest()
        yield (
            f"a record that vouches for {'an absolute name' if name.startswith('/') else 'a name that leads out'}",
            (keep_record(record)),
        )
    for name in ("model.keras", "pipeline/vocabulary.tsv"):
        record = anew()
        shutil.copyfile(target / name, trap.secret.with_name("elsewhere"))
        (target / name).unlink()
        (target / name).symlink_to(trap.secret.with_name("elsewhere"))
        yield f"a link out of the run in the place of {name}", keep_record(record)
    record = anew()
    shutil.copytree(target / "pipeline", trap.secret.with_name("pipeline"), dirs_exist_ok=True)
    shutil.rmtree(target / "pipeline")
    (target / "pipeline").symlink_to(trap.secret.with_name("pipeline"))
    yield "a link out of the run in the place of pipeline", keep_record(record)
    for name in ("log.txt", "checkpoints", "plots", "evaluations"):
        record = anew()
        shutil.rmtree(target / name, ignore_errors=True)
        (target / name).unlink(missing_ok=True)
        (target / name).symlink_to(trap.secret if name == "log.txt" else trap.secret.with_name("pipeline"))
        yield f"a link out of the run in the place of {name}, which is written", keep_record(record)


def pickled_checkpoint(good: Honest, target: Path, trap: Trap) -> Path:
    assert good.stopped is not None
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(good.stopped, target)
    state = json.loads((target / "checkpoints" / "state.json").read_text())
    for name in state["hashes"]:
        file = hostile.pickled_arrays(target / "checkpoints" / name, trap.mark, [str(n) for n in range(100)])
        state["hashes"][name] = hashlib.sha256(file.read_bytes()).hexdigest()
    (target / "checkpoints" / "state.json").write_text(json.dumps(state))
    return target


def export_attacks(good: Honest, target: Path, trap: Trap) -> Iterator[tuple[str, Path]]:
    """Yield exports with code in them, for which their cards vouch."""
    for format, source in (good.exports or {}).items():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
        if format == "keras":
            code = f"open({str(trap.mark)!r}, 'w').close()\nCUSTOM_OBJECTS = {{}}\n"
            (target / "layers.py").write_text(code)
            config = json.loads(parts(target / "model.keras")[CONFIG])
            config["config"]["layers"][1]["registered_name"] = "mine>Odd"
            written(target / "model.keras", {**parts(target / "model.keras"), CONFIG: json.dumps(config).encode()})
            content = json.loads((target / "model.json").read_text())
            content["hashes"].setdefault("layers.py", "")
            (target / "model.json").write_text(json.dumps(content))
            yield "a .keras export with a layers.py", vouch(target, "model.json")
        else:
            for operation in ("WriteFile", "PyFunc"):
                swap_operation(target / "saved_model.pb", source / "saved_model.pb", operation)
                yield f"a SavedModel with the operation {operation}", vouch(target, "model.json")
            add_function(target / "saved_model.pb", source / "saved_model.pb", trap.mark)
            yield "a SavedModel that serves a function of saving", vouch(target, "model.json")


def swap_operation(path: Path, source: Path, operation: str) -> None:
    """Write a SavedModel in which one operation of a function that is called is another."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel()
    saved.ParseFromString(source.read_bytes())
    meta = saved.meta_graphs[0]
    names = set(meta.object_graph_def.concrete_functions)
    function = next(f for f in meta.graph_def.library.function if f.signature.name in names and f.node_def)
    function.node_def[0].op = operation
    path.write_bytes(saved.SerializeToString())


def add_function(path: Path, source: Path, mark: Path) -> None:
    """Write a SavedModel that answers with a function which writes a file, and which it does not list."""
    import tensorflow as tf
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    def writes(text: Any) -> None:
        tf.raw_ops.SaveV2(prefix=str(mark), tensor_names=["x"], shape_and_slices=[""], tensors=[tf.constant([1.0])])

    signature = [tf.TensorSpec([None], tf.string, name="text")]
    saved = SavedModel()
    saved.ParseFromString(source.read_bytes())
    meta = saved.meta_graphs[0]
    added = meta.graph_def.library.function.add()
    added.CopyFrom(tf.function(writes, input_signature=signature).get_concrete_function().function_def)
    added.signature.name = "__inference_writes_1"
    for node in meta.object_graph_def.nodes:
        if "signature_wrapper" in node.bare_concrete_function.concrete_function_name:
            node.bare_concrete_function.concrete_function_name = added.signature.name
    path.write_bytes(saved.SerializeToString())


def attack(good: Honest, folder: Path) -> tuple[int, int, set[str], list[str]]:
    """Try all attacks.

    Returns:
        how many there are, how many commands were run, the CVEs, and what went wrong.
    """
    watch = Watch(folder)
    count, commands, published, wrong = 0, 0, set(), []
    for name, cve, lines in attacks(good, folder, watch.trap):
        count += 1
        published |= {cve} - {""}
        for line in lines:
            commands += 1
            outcome = call(*line)
            if outcome.code != 4 or len(outcome.lines) < 1 or watch.marks:
                wrong.append(f"{name}, {line[0]}: exit code {outcome.code}, {watch.marks}, {outcome.err[-300:]}")
                watch.trap.mark.unlink(missing_ok=True)
    watch.close()
    return count, commands, published, wrong


def main() -> int:
    """Run the attacks and the damaged files; return 1 if anything went wrong."""
    from trust.mutants import KINDS

    parser = options(__doc__ or "")
    parser.add_argument("--files", type=int, default=5000, help="damaged model files")
    given = parser.parse_args()
    started = time.time()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["DLCLI_HOME"] = str(folder / "home")
        good = honest(folder)
        (tried := folder / "tried").mkdir()
        count, commands, published, wrong = attack(good, tried)
        print(
            f"{count} attacks, {commands} commands, {len(wrong)} went wrong; {time.time() - started:.0f} s", flush=True
        )
        found: Counter[str] = Counter()
        for first in range(0, given.files, _CHUNK):
            last = min(first + _CHUNK, given.files)
            command = [sys.executable, str(Path(__file__).with_name("mutants.py")), str(folder)]
            command += [str(first), str(last), str(given.seed)]
            result = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST * _CHUNK)
            if result.returncode:
                wrong.append(f"files {first} to {last}: exit code {result.returncode}: {result.stderr[-2000:]}")
            else:
                answer = json.loads(result.stdout.splitlines()[-1])
                found.update(answer["found"])
                wrong += answer["wrong"]
            print(f"{last} files, {len(wrong)} went wrong; {time.time() - started:.0f} s", flush=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    rows = [f"| {what} | {found[f'{kind} refused']:,} | {found[f'{kind} loaded']:,} |" for kind, what in KINDS.items()]
    head = f"{count} attacks ({', '.join(sorted(published))} among them) through {commands} commands: "
    head += "all refused with exit code 4, nothing was run, read or asked." if not wrong else f"{len(wrong)} failures."
    table = ["| damaged | refused | loaded |", "|---|---|---|", *rows]
    foot = f"No process fell or hung; at most {peak / 1e9:.1f} GB of memory."
    keep("attacks", "\n".join([head, "", *table, "", foot]), seed=given.seed, write=given.write and not wrong)
    print("\n".join(wrong))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
