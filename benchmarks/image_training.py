"""What `train-image` costs beside bare Keras on arrays in memory, and what makes a step faster, in one run, as ratios.

    python benchmarks/image_training.py [--data DIR] [--runs 3] [--steps] [--markdown FILE]

Trains the same network on the same digits of MNIST twice in turn: `dlcli train-image` from a folder of PNG files, with
all that it does, and `model.fit` on uint8 arrays that are in memory already. Both validate after each epoch on as many.
The first epoch of either is left out. `--steps` times steps of the image models instead: precision, XLA, batch size,
and the step of the first convolution. See README.md in this folder.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from inputs import find_pictures
from measure import NotMeasured, Table, spread

from dlcli.console import Console
from dlcli.core import devices
from dlcli.core.backend import keras
from dlcli.core.lines import strict
from dlcli.errors import DlcliError
from dlcli.verbs.train_image import TrainImageConfig, train_image
from dlcli.vision import models
from dlcli.vision.config import ImageDataConfig, ImagePipelineConfig
from dlcli.vision.model_config import ImageModelConfig
from dlcli.vision.pixels import decode_items
from dlcli.vision.read import scan_labelled

REPOSITORY = Path(__file__).resolve().parents[1]
EPOCHS, BATCH, RATE = 4, 128, 0.001
SIZE = (28, 28)
# Timed steps, and those before them, which compile and warm up.
STEPS, WARM = 30, 5
VARIANTS: dict[str, dict[str, Any]] = {
    "cnn 28x28, as shipped": {"model": "cnn"},
    "... bfloat16": {"model": "cnn", "precision": "bfloat16"},
    "... XLA": {"model": "cnn", "jit": "on"},
    "... batches of 32": {"model": "cnn", "batch_size": 32},
    "... batches of 512": {"model": "cnn", "batch_size": 512},
    "resnet 32x32, as shipped": {"model": "resnet", "size": 32},
    "... bfloat16 ": {"model": "resnet", "size": 32, "precision": "bfloat16"},
    "... XLA ": {"model": "resnet", "size": 32, "jit": "on"},
    "... first step of 2 pixels": {"model": "resnet", "size": 32, "stem_stride": 2},
    "cnn 150x150, as shipped": {"model": "cnn", "size": 150, "batch_size": 32},
    "... bfloat16  ": {"model": "cnn", "size": 150, "batch_size": 32, "precision": "bfloat16"},
    "... first step of 1 pixel": {"model": "cnn", "size": 150, "batch_size": 32, "stem_stride": 1},
}


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = REPOSITORY.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help="holds mnist_train/ or its .tar.xz")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each side (3)")
    parser.add_argument("--steps", action="store_true", help="time steps of the models instead")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dlcli-bench-") as name:
        try:
            table = steps(options.runs) if options.steps else epochs(options.data, Path(name), runs=options.runs)
        except (NotMeasured, DlcliError) as error:
            print(f"not measured: {error}", file=sys.stderr)
            return 1
    print(table.as_text())
    if options.markdown:
        options.markdown.write_text(table.as_markdown() + "\n", encoding="utf-8")
    return 0


def epochs(folder: Path, work: Path, *, runs: int) -> Table:
    """Train both sides in turn."""
    source = find_pictures("mnist_train", folder, work)
    pictures = list(strict(scan_labelled(source, ImageDataConfig(), part="train")))
    pipeline = ImagePipelineConfig(image_size=SIZE, color="grayscale")
    pixels, _ = decode_items([picture.item for picture in pictures], pipeline, progress=Console(-1))
    classes = sorted({picture.label for picture in pictures})
    labels = np.array([classes.index(picture.label) for picture in pictures])
    order = np.random.default_rng(0).permutation(len(labels))
    targets = np.eye(len(classes), dtype=np.float32)[labels]
    held, rest = np.split(order, [len(order) // 10])
    both: tuple[list[float], list[float]] = ([], [])
    for number in range(runs):
        both[0].extend(_bare(pixels[rest], targets[rest], (pixels[held], targets[held])))
        both[1].extend(_ours(source, work / str(number)))
        print(f"run {number}: {both[0][-1]:.2f} {both[1][-1]:.2f}", file=sys.stderr, flush=True)
    bare, ours = both
    table = Table(
        f"MNIST, an epoch after the first, cnn, batches of {BATCH}: medians of {len(ours)} (smallest-largest)",
        ("pictures", "model.fit on arrays, s", "train-image from PNG files, s", "ratio"),
    )
    ratio = statistics.median(ours) / statistics.median(bare)
    table.rows.append((f"{len(rest):,}", spread(bare, 2), spread(ours, 2), f"{ratio:.3f}"))
    return table


class _Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Notes the seconds of each epoch, its validation included."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.seconds.append(time.perf_counter() - self._started)


def _bare(pixels: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], validation: tuple[Any, Any]) -> list[float]:
    """Train by hand; return the seconds of each epoch but the first."""
    with devices.use("auto", auto=models.auto(ImageModelConfig())):
        model = _network(ImageModelConfig(), SIZE, channels=1)
        model.compile(optimizer=keras.optimizers.Adam(RATE), loss="categorical_crossentropy", metrics=["accuracy"])
        clock = _Clock()
        model.fit(
            pixels,
            targets,
            batch_size=BATCH,
            epochs=EPOCHS,
            validation_data=validation,
            validation_batch_size=512,
            callbacks=[clock],
            verbose=0,
        )
    return clock.seconds[1:]


def _ours(source: Path, run: Path) -> list[float]:
    """Train by the verb; return the seconds of each epoch but the first."""
    config = TrainImageConfig(data=source, out=run, epochs=EPOCHS, batch_size=BATCH, lr=RATE, color="grayscale")
    train_image(config, Console(-1))
    lines = (run / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["seconds"] for line in lines][1:]


def _network(config: ImageModelConfig, size: tuple[int, int], *, channels: int) -> Any:
    return models.build(config, height=size[0], width=size[1], channels=channels, classes=10, seed=0)


def steps(runs: int) -> Table:
    """Time steps of each variant, all in turn, so that a slow spell falls on all."""
    found: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _, (name, variant) in itertools.product(range(runs), VARIANTS.items()):
        found[name].append(_pictures_a_second(**variant))
        print(f"{name.strip()}: {found[name][-1]:.0f}", file=sys.stderr, flush=True)
    table = Table(f"Training steps, medians of {runs} (smallest-largest)", ("variant", "pictures/s", "ratio"))
    first = 0.0
    for name, speeds in found.items():
        first = statistics.median(speeds) if not name.startswith("...") else first
        table.rows.append((name.strip(), spread(speeds, 0), f"{statistics.median(speeds) / first:.2f}"))
    return table


def _pictures_a_second(
    *,
    model: Any,
    size: int = 28,
    batch_size: int = BATCH,
    precision: str = "float32",
    jit: str = "off",
    **settings: Any,
) -> float:
    channels = 1 if size == SIZE[0] else 3
    random = np.random.default_rng(0)
    with devices.use("auto", precision=precision, jit=jit) as placement:
        network = _network(ImageModelConfig(model=model, **settings), (size, size), channels=channels)
        network.compile(
            optimizer=keras.optimizers.Adam(RATE), loss="categorical_crossentropy", jit_compile=placement.jit
        )
        pixels = keras.ops.convert_to_tensor(random.integers(0, 256, (batch_size, size, size, channels), np.uint8))
        targets = keras.ops.convert_to_tensor(np.eye(10, dtype=np.float32)[random.integers(10, size=batch_size)])
        for _ in range(WARM):
            network.train_on_batch(pixels, targets)
        started = time.perf_counter()
        for _ in range(STEPS):
            network.train_on_batch(pixels, targets)
    return batch_size * STEPS / (time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(main())
