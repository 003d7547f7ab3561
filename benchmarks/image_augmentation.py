"""Augmentation beside what people use today, in one run, as ratios.

    python benchmarks/image_augmentation.py [--data DIR] [--runs 3] [--only batches,copies] [--markdown FILE]

The seven operations of Chollet's "Deep Learning with Python". In training: 150x150, batches of 32, beside Keras'
ImageDataGenerator and its Random* layers, from decoded pictures and from files. To the disk: `dlcli augment` with four
copies of each photograph beside ImageDataGenerator, Augmentor and albumentations. See README.md in this folder.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from measure import NotMeasured, Table, run_process, spread

REPOSITORY = Path(__file__).resolve().parents[1]
HERE = REPOSITORY / "benchmarks"
PEERS = HERE / "peers"
COPIES = 4
# Pictures that ImageDataGenerator copies; it is scaled to all.
SLOW = 200


@dataclass
class Side:
    """One of those compared.

    Attributes:
        name: in the table.
        command: that is run; the last line that it prints begins with its figure.
        scale: what its seconds are multiplied by, where it did a part of the work.
        figures: pictures a second, or seconds without imports; one a run.
        whole: seconds of whole processes.
        peak: memory in MB.
    """

    name: str
    command: list[str]
    scale: float = 1.0
    figures: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = REPOSITORY.parent / "shared" / "data" / "cats_dogs_train"
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help="a folder of .jpg pictures, one a class")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each side (3)")
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="that batches are counted for (10)")
    parser.add_argument("--only", default="batches,copies", metavar="LIST", help="batches, copies (both)")
    parser.add_argument("--peers-python", type=Path, metavar="PATH", help="a Python that has albumentations, Augmentor")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dlcli-bench-") as name:
        work = Path(name)
        try:
            if not options.data.is_dir():
                raise NotMeasured(f"{options.data} is no folder; name one with --data")
            tables = []
            if "batches" in options.only:
                tables += [batches(source, options, work) for source in ("cached", "files")]
            if "copies" in options.only:
                tables.append(copies(options, work))
        except NotMeasured as error:
            print(f"Error: {error}", file=sys.stderr)
            return 1
    machine = (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f} at the end"
    )
    print("\n\n".join([machine, *(table.as_text() for table in tables)]))
    if options.markdown:
        text = "\n\n".join([machine, *(table.as_markdown() for table in tables)])
        options.markdown.write_text(text + "\n", encoding="utf-8")
    return 0


def batches(source: str, options: argparse.Namespace, work: Path) -> Table:
    """Count pictures a second in training."""
    rest = [source, str(options.data.resolve()), str(options.seconds)]
    keras = [sys.executable, str(PEERS / "generator_batches.py")]
    sides = [
        Side("ImageDataGenerator", [*keras, "generator", *rest]),
        Side("Keras Random* layers", [*keras, "layers", *rest]),
        Side("dlcli", [sys.executable, str(HERE / "augmented_batches.py"), *rest]),
    ]
    for number in range(options.runs):
        for side in sides:
            run(side, work)
        tell(f"batches, {source}", number, sides)
    ours = median(sides[-1].figures)
    rows: list[Sequence[str]] = [
        (side.name, spread(side.figures, 0), f"{ours / median(side.figures):.1f}") for side in sides
    ]
    where = "decoded pictures in memory" if source == "cached" else "files, read and decoded"
    title = f"Seven operations on {where}, 150x150, pictures a second, medians of {options.runs}"
    return Table(title, ("", "pictures/s", "dlcli is faster by"), rows)


def copies(options: argparse.Namespace, work: Path) -> Table:
    """Time four copies of each picture, to the disk."""
    data, count = options.data.resolve(), len(list(options.data.rglob("*.jpg")))
    peers = str(options.peers_python.absolute() if options.peers_python else peers_python(work / "install"))
    out = work / "out"
    rest = [str(data), str(out), str(COPIES)]
    sides = [
        Side(
            f"ImageDataGenerator: {SLOW} pictures, scaled",
            [sys.executable, str(PEERS / "generator_copies.py"), *rest, str(SLOW)],
            scale=max(1.0, count / SLOW),
        ),
        Side("Augmentor, its threads", [peers, str(PEERS / "augmentor_copies.py"), *rest]),
        Side("albumentations, two processes", [peers, str(PEERS / "albumentations_copies.py"), *rest]),
        Side(
            "dlcli augment",
            [sys.executable, "-m", "dlcli", "augment", str(data), str(out), "--augment", "book", "-q"],
        ),
    ]
    for number in range(options.runs):
        for side in sides:
            shutil.rmtree(out, ignore_errors=True)
            run(side, work)
        tell("copies", number, sides)
    ours = median(sides[-1].whole)
    rows: list[Sequence[str]] = [
        (side.name, spread(side.whole), f"{median(side.peak):,.0f}", f"{median(side.whole) / ours:.1f}")
        for side in sides
    ]
    title = f"{COPIES} copies of each of {count:,} photographs to the disk, medians of {options.runs}"
    return Table(title, ("", "s, whole process", "peak MB of a process", "dlcli is faster by"), rows)


def run(side: Side, work: Path) -> None:
    """Run a side once and note its figures."""
    finished = run_process(side.command, log=work / "log", cwd=work, env={"PYTHONPATH": str(REPOSITORY)})
    words = finished.stdout.split()
    figure = next((float(word) for word in words[-2:] if word.replace(".", "", 1).isdecimal()), finished.wall)
    side.figures.append(figure)
    # What is not scaled is what is done once: imports.
    side.whole.append(finished.wall + figure * (side.scale - 1) if side.scale != 1 else finished.wall)
    side.peak.append(finished.peak_mb)


def tell(part: str, number: int, sides: list[Side]) -> None:
    """Say how far the measuring is."""
    text = ", ".join(f"{side.name} {side.figures[-1] if part != 'copies' else side.whole[-1]:.1f}" for side in sides)
    print(f"{time.strftime('%H:%M:%S')} {part}, run {number}: {text}", file=sys.stderr, flush=True)


def peers_python(log: Path) -> Path:
    """Return the Python of a virtual environment that has the peers, made at the first call, in the cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    python = cache / "dlcli-bench" / "augmentation" / "bin" / "python"
    check = [str(python), "-c", "import albumentations, Augmentor"]
    if python.exists() and subprocess.run(check, capture_output=True, check=False).returncode == 0:
        return python
    try:
        run_process([sys.executable, "-m", "venv", "--clear", str(python.parents[1])], log=log, cwd=HERE)
        requirements = str(PEERS / "augmentation.txt")
        run_process([str(python), "-m", "pip", "install", "-q", "-r", requirements], log=log, cwd=HERE)
    except NotMeasured as error:
        raise NotMeasured(f"installing the peers: {error}; or name a Python with --peers-python PATH") from error
    return python


if __name__ == "__main__":
    sys.exit(main())
