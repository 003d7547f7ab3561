"""Take the protections back, one after the other, in a copy of the code: a test must notice each time.

    python tests/trust/reverts.py --only weights

A revert is a place in the code and what stands there without the protection. The tests beside it pass with the code as
it is, and one of them fails with the revert.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from trust.figures import ROOT, keep, options

# What a copy needs for the tests to run in it.
PARTS = ("dlcli", "tests", "sample_data", "pipelines", "pretrained", "requirements", "docs", "pyproject.toml")


@dataclass(frozen=True, kw_only=True)
class Revert:
    """A protection, and the code without it.

    Attributes:
        file: below `dlcli/`.
        protection: a text that stands there once.
        without: what takes its place.
        tests: a file below `tests/`, and which of its tests.
    """

    file: str
    protection: str
    without: str
    tests: str


REVERTS = {
    "Files are written beside their place, and renamed": Revert(
        file="core/files.py",
        protection="    temporary = beside(path)\n    try:\n        yield temporary",
        without="    temporary = path\n    try:\n        yield temporary",
        tests="core/test_files.py",
    ),
    "What is written is flushed before it is renamed": Revert(
        file="core/files.py",
        protection="                os.fsync(handle.fileno())",
        without="                pass",
        tests="core/test_files.py",
    ),
    "A checkpoint holds the state of dropout, the optimizer and the metrics": Revert(
        file="core/checkpoint.py",
        protection="return [*self.model.variables, *self.model.optimizer.variables, *counted]",
        without="return [*self.model.weights, *self.model.optimizer.variables, *counted]",
        tests="trust/test_kill.py core/test_checkpoint.py",
    ),
    "A checkpoint is held against its hash": Revert(
        file="core/checkpoint.py",
        protection="if sha256(path) != self._written().hashes.get(path.name):",
        without="if not path.exists():",
        tests="core/test_checkpoint.py",
    ),
    "The files of a run are held against their hashes": Revert(
        file="core/vouched.py",
        protection="if sha256(file) != hashes[name]:",
        without="if not hashes[name]:",
        tests="core/test_record.py",
    ),
    "Ctrl-C waits for the end of the step": Revert(
        file="core/stopping.py",
        protection="        if request.reason is not None:\n            raise _AT_ONCE[number]",
        without="        raise _AT_ONCE[number]",
        tests="core/test_stopping.py",
    ),
    "A stop that is swallowed on its way is asked for again": Revert(
        file="cli.py",
        protection="        signal.setitimer(signal.ITIMER_REAL, _LOOK, _LOOK)",
        without="        pass",
        tests="trust/test_stop.py -k finaliser or swallows",
    ),
    "Features of a batch are kept all, or none": Revert(
        file="vision/feature_store.py",
        protection="                    os.truncate(self._keys, count * _RECORD.itemsize)",
        without="                    pass",
        tests="vision/test_feature_store.py",
    ),
    "One process at a time writes a folder": Revert(
        file="core/locks.py",
        protection="        lock.acquire(timeout=timeout)",
        without="        pass",
        tests="trust/test_together.py",
    ),
    "A run without --out holds its name": Revert(
        file="core/run.py",
        protection="        except FileExistsError:\n            continue",
        without="        except FileExistsError:\n            break",
        tests="trust/test_together.py -k name",
    ),
    "A loss that is no number ends the training": Revert(
        file="core/callbacks.py",
        protection='if not math.isfinite((logs or {}).get("loss", 0.0)):',
        without="if False:",
        tests="trust/test_finite.py",
    ),
    "A model is made of what is known": Revert(
        file="core/keras_files.py",
        protection="    _require_known(config, path)",
        without="    pass",
        tests="trust/test_attacks.py -k config",
    ),
    "A model has no more variables than its file": Revert(
        file="core/keras_files.py",
        protection="        if left < 0:",
        without="        if left is None:",
        tests="trust/test_attacks.py -k config",
    ),
    "Numbers stand in the file itself": Revert(
        file="core/hdf5.py",
        protection="    if dataset.external or dataset.is_virtual:",
        without="    if False:",
        tests="trust/test_attacks.py -k hdf5",
    ),
    "What reads a stranger's numbers has limits": Revert(
        file="core/hdf5.py",
        protection="    _limit(memory, max(2 * limit, 1 << 20), seconds)",
        without="    pass",
        tests="trust/test_attacks.py -k limits",
    ),
    "A SavedModel does arithmetic alone": Revert(
        file="serving/artefacts.py",
        protection="    require_harmless(folder)",
        without="    pass",
        tests="trust/test_attacks.py -k export",
    ),
    "A download is held against its published hash": Revert(
        file="core/fetch.py",
        protection="        if not _vouched(remote, transfer.part, found):",
        without="        if False:",
        tests="core/test_fetch.py",
    ),
    "A picture is as large as its header says, and no larger than a bound": Revert(
        file="vision/headers.py",
        protection="    if header.width * header.height > MAX_PIXELS:",
        without="    if False:",
        tests="vision/test_headers.py vision/test_decode.py",
    ),
    "Cells that start like a formula are escaped": Revert(
        file="verbs/shared/rows.py",
        protection="cell[:1] in _FORMULA and",
        without="False and",
        tests="trust/test_output.py",
    ),
    "What is packed does not expand beyond a bound": Revert(
        file="core/unpack.py",
        protection="    return max(_SMALL, _EXPANSION * stored)",
        without="    return 2**60",
        tests="core/test_unpack.py vision/test_read.py",
    ),
    "No link leads out of a run": Revert(
        file="core/vouched.py",
        protection="            if entry.is_symlink() and not entry.resolve().is_relative_to(inside):",
        without="            if False:",
        tests="trust/test_attacks.py -k vouches",
    ),
    "A SavedModel serves the functions that it lists": Revert(
        file="serving/saved_models.py",
        protection="    if unknown := set(_named(meta.object_graph_def.nodes)) - exposed:",
        without="    if unknown := set():",
        tests="trust/test_attacks.py -k export",
    ),
    "What a record says is no code of an ejected script": Revert(
        file="results/eject/templates/script.py.jinja",
        protection="{{ machine|in_docstring }}",
        without="{{ machine }}",
        tests="verbs/test_eject.py -k code",
    ),
    "What a config says is no code of an ejected script": Revert(
        file="results/eject/network.py",
        protection="    if not name.isidentifier() or keyword.iskeyword(name):",
        without="    if False:",
        tests="verbs/test_eject.py -k forged",
    ),
    "No output replaces what is read": Revert(
        file="core/files.py",
        protection="    if path.exists() and any(one.exists() and path.samefile(one) for one in read):",
        without="    if False:",
        tests="verbs/test_clean.py verbs/test_damaged_records.py",
    ),
    "Names do not steer the terminal": Revert(
        file="errors.py",
        protection='    return _CONTROL.sub("\\N{REPLACEMENT CHARACTER}", text)',
        without="    return text",
        tests="trust/test_output.py",
    ),
    "Names are text in a page": Revert(
        file="results/pages.py",
        protection="autoescape=True",
        without="autoescape=False",
        tests="results/test_pages.py verbs/test_report.py",
    ),
    "Augmentation is a function of the item": Revert(
        file="vision/augmentation/engine.py",
        protection="draws, number, int(items[number]), epoch, out[number])",
        without="draws, number, number, epoch, out[number])",
        tests="vision/augmentation/test_engine.py",
    ),
}


def main() -> int:
    """Revert each protection, run its tests, and print which ones noticed."""
    parser = options("Take the protections back, one after the other: a test must notice each time.")
    parser.add_argument("--only", default="", help="of the protections, those whose name has this in it")
    given = parser.parse_args()
    rows, unnoticed = ["| protection | reverted in | what fails without it |", "|---|---|---|"], 0
    with tempfile.TemporaryDirectory(prefix="dlcli-reverts-") as name:
        copy = Path(name)
        for part in PARTS:
            source = ROOT / part
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, copy / part)
        for what, revert in REVERTS.items():
            if given.only in what:
                failed = noticed(revert, copy)
                unnoticed += not failed
                rows.append(f"| {what} | `{revert.file}` | {shown(failed)} |")
                print(rows[-1], flush=True)
    keep("reverts", "\n".join(rows), seed=given.seed, write=given.write)
    return int(unnoticed > 0)


def noticed(revert: Revert, copy: Path) -> list[str]:
    """Run the tests of a protection without it.

    Args:
        revert: which.
        copy: of the project; it is as before in the end.

    Returns:
        the names of the tests that fail.
    """
    path = copy / "dlcli" / revert.file
    source = path.read_text(encoding="utf-8")
    files, _, some = revert.tests.partition(" -k ")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(["-k", some] if some else [])]
    path.write_text(without(revert, source), encoding="utf-8")
    try:
        ended = subprocess.run(
            [*command, *(f"tests/{file}" for file in files.split())],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=900,
        )
    finally:
        path.write_text(source, encoding="utf-8")
    lines = ended.stdout.splitlines()
    return [line.split()[1].removeprefix("tests/") for line in lines if line.startswith(("FAILED ", "ERROR "))]


def without(revert: Revert, source: str) -> str:
    """Return the source without the protection."""
    assert source.count(revert.protection) == 1, f"{revert.file} does not have once: {revert.protection}"
    return source.replace(revert.protection, revert.without)


def shown(failed: list[str]) -> str:
    """Return failed tests as a cell of the table: the first one, and how many others."""
    if not failed:
        return "**nothing**"
    more = f", and {len(failed) - 1} more" if failed[1:] else ""
    return f"`{failed[0].partition('[')[0]}`{more}"


if __name__ == "__main__":
    sys.exit(main())
