"""What dlcli's training core costs beside bare Keras on the same arrays, in one run, as ratios.

    python benchmarks/training_core.py [--data DIR] [--runs 5] [--markdown FILE]

Trains the same models twice in turn: by `model.fit` without callbacks, and by the core with all that it adds (order,
schedule, norms, history, checkpoints, plots). Both validate on 64 items after each epoch. A training of one epoch and
one of several tell the cost of an epoch and the fixed cost of a run apart. See README.md in this folder.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from inputs import find_imdb, split_imdb
from measure import NotMeasured, Table, spread

from dlcli.console import Console
from dlcli.core import fit as core
from dlcli.core import plots
from dlcli.core.backend import keras, tf
from dlcli.core.batches import training_batches
from dlcli.core.checkpoint import Checkpoints
from dlcli.core.forward import row_numbers
from dlcli.core.record import RunRecord
from dlcli.core.run import create
from dlcli.core.training_config import TrainingConfig
from dlcli.errors import DlcliError
from dlcli.resources import resource
from dlcli.text.config import TextDataConfig, TextModelConfig, TextPipelineConfig
from dlcli.text.domain import TextDomain
from dlcli.text.read import read_labelled

REPOSITORY = Path(__file__).resolve().parents[1]
EPOCHS = 8
VECTORS, FEATURES, CLASSES = 20_000, 784, 10


class Vectors:
    """Rows of numbers, as the core takes inputs."""

    def __init__(self, rows: np.ndarray[Any, Any]) -> None:
        self.rows = tf.constant(rows)
        self.lengths = np.ones(len(rows), np.int64)
        self.widths: tuple[int, ...] = ()
        self.problem: DlcliError | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lengths)

    def dataset(self, numbers: Any) -> Any:
        """Return batches of rows."""
        return numbers.map(lambda batch: tf.gather(self.rows, batch))


@dataclass(kw_only=True)
class Work:
    """A model and its data, for both sides.

    Attributes:
        name: in the table.
        training: inputs and labels.
        validation: a few more, of which the core cannot do without.
        build: makes the model.
        batch_size: of both.
        bare: trains it as one does by hand, for so many epochs.
    """

    name: str
    training: core.Labelled
    validation: core.Labelled
    build: Callable[[], Any]
    batch_size: int
    bare: Callable[[Any, int], None]


@dataclass
class Times:
    """Seconds of each run of one side."""

    epoch: list[float] = field(default_factory=list)
    fixed: list[float] = field(default_factory=list)


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = REPOSITORY.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help="folder that holds imdb_train.csv[.xz]")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="runs of each side (5)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dlcli-bench-") as name:
        folder = Path(name)
        try:
            source, _ = split_imdb(find_imdb(options.data, folder), folder)
        except NotMeasured as error:
            source = resource("sample_data") / "reviews.csv"
            print(f"{error}: the sample reviews take their place", file=sys.stderr)
        table = Table(
            f"Training core beside bare model.fit, medians of {options.runs} (smallest-largest)",
            ("work", "bare s/epoch", "core s/epoch", "ratio", "fixed cost s", "checkpoint, share of an epoch"),
        )
        for work in (texts(source), vectors()):
            table.rows.append(measure(work, folder, runs=options.runs))
        print(table.as_text())
    if options.markdown:
        options.markdown.write_text(table.as_markdown() + "\n", encoding="utf-8")
    return 0


def texts(source: Path) -> Work:
    """Return the bigram classifier on reviews; by hand one feeds the same padded batches."""
    read = read_labelled(source, TextDataConfig())
    names = sorted(set(read.labels))
    labels = np.array([names.index(label) for label in read.labels])
    domain = TextDomain(TextPipelineConfig(), TextModelConfig(), seed=0)
    fitted = domain.fit(read.texts, labels, len(names), Console(-1))
    training = core.Labelled(inputs=fitted.inputs, labels=labels)
    few = core.Labelled(inputs=fitted.pipeline.encode(read.texts[:64]), labels=labels[:64])
    targets = tf.constant(np.eye(len(names), dtype=np.float32)[labels])
    weights = fitted.model.get_weights()

    def build() -> Any:
        model = keras.models.clone_model(fitted.model)
        model.set_weights(weights)
        return model

    def bare(model: Any, epochs: int) -> None:
        pairs = [
            tf.data.Dataset.zip((inputs.dataset(numbers), numbers.map(lambda n: tf.gather(targets, n)))).prefetch(4)
            for inputs in (fitted.inputs, few.inputs)
            if (numbers := row_numbers(training_batches(inputs.lengths, batch_size=512, seed=0, epoch=0)))
        ]
        model.fit(pairs[0], validation_data=pairs[1], epochs=epochs, verbose=0)

    return Work(
        name="bigrams, batches of 512", training=training, validation=few, build=build, batch_size=512, bare=bare
    )


def vectors() -> Work:
    """Return a multi-layer perceptron on rows of the size of MNIST's pictures, with small and quick steps."""
    random = np.random.default_rng(0)
    rows = random.random((VECTORS, FEATURES), dtype=np.float32)
    labels = random.integers(CLASSES, size=VECTORS)
    one_hot = np.eye(CLASSES, dtype=np.float32)[labels]

    def build() -> Any:
        inputs = keras.Input((FEATURES,))
        hidden = keras.layers.Dense(512, activation="relu")(inputs)
        return keras.Model(inputs, keras.layers.Dense(CLASSES, activation="softmax")(hidden))

    def bare(model: Any, epochs: int) -> None:
        few = (rows[:64], one_hot[:64])
        model.fit(rows, one_hot, batch_size=128, validation_data=few, epochs=epochs, verbose=0)

    return Work(
        name="perceptron, batches of 128",
        training=core.Labelled(inputs=Vectors(rows), labels=labels),
        validation=core.Labelled(inputs=Vectors(rows[:64]), labels=labels[:64]),
        build=build,
        batch_size=128,
        bare=bare,
    )


def measure(work: Work, folder: Path, *, runs: int) -> tuple[str, ...]:
    """Train both sides in turn; return the row of the table."""
    bare, ours, saves = Times(), Times(), []
    for number in range(runs + 1):
        first, several = (_bare(work, epochs) for epochs in (1, EPOCHS))
        with timing_of(Checkpoints, "save") as spent:
            core_first, core_several = (_core(work, folder / f"{work.batch_size}-{number}-{e}", e) for e in (1, EPOCHS))
        if number == 0:
            continue  # The first round of each warms up.
        bare.epoch.append((several - first) / (EPOCHS - 1))
        bare.fixed.append(first - bare.epoch[-1])
        ours.epoch.append((core_several - core_first) / (EPOCHS - 1))
        ours.fixed.append(core_first - ours.epoch[-1])
        saves.append(statistics.median(spent) / ours.epoch[-1])
        print(f"{work.name}, run {number}: {bare.epoch[-1]:.3f} {ours.epoch[-1]:.3f}", file=sys.stderr, flush=True)
    added = [mine - theirs for mine, theirs in zip(ours.fixed, bare.fixed, strict=True)]
    return (
        work.name,
        spread(bare.epoch, 3),
        spread(ours.epoch, 3),
        f"{statistics.median(ours.epoch) / statistics.median(bare.epoch):.3f}",
        spread(added, 2),
        f"{statistics.median(saves):.1%}",
    )


def _bare(work: Work, epochs: int) -> float:
    model = work.build()
    model.compile(optimizer=keras.optimizers.Adam(0.001), loss="categorical_crossentropy", metrics=["accuracy"])
    started = time.perf_counter()
    work.bare(model, epochs)
    return time.perf_counter() - started


def _core(work: Work, path: Path, epochs: int) -> float:
    """Train by the core, from making the run directory to committing it."""
    model = work.build()
    config = TrainingConfig(epochs=epochs, patience=0, lr=0.001, batch_size=work.batch_size, label_smoothing=0.0)
    record = RunRecord(verb="bench", domain="text", config={})
    started = time.perf_counter()
    with create(path, record, force=False) as run:
        trained = core.train(
            model, work.training, work.validation, class_weights=None, config=config, run=run, progress=Console(-1)
        )
        run.pipeline.mkdir()
        run.plots.mkdir()
        plots.draw_training(
            trained.state.history, best_epoch=trained.state.best_epoch, monitor="val_accuracy", folder=run.plots
        )
        run.finish(
            model,
            scores=core.best_scores(trained.state),
            history=trained.state.history,
            validation={"labels": work.validation.labels, "outputs": trained.outputs},
        )
    return time.perf_counter() - started


@contextmanager
def timing_of(owner: Any, name: str) -> Iterator[list[float]]:
    """Note the seconds of each call of a method during the block."""
    spent: list[float] = []
    method = getattr(owner, name)

    def timed(*arguments: Any, **settings: Any) -> Any:
        started = time.perf_counter()
        try:
            return method(*arguments, **settings)
        finally:
            spent.append(time.perf_counter() - started)

    setattr(owner, name, timed)
    try:
        yield spent
    finally:
        setattr(owner, name, method)


if __name__ == "__main__":
    sys.exit(main())
