"""Training of recurrent text models beside the plain Keras script, in one run, as ratios.

    python benchmarks/text_sequences.py [--data DIR] [--models lstm,gru,bilstm] [--dim 128] [--jit on]

The plain script: Embedding, LSTM(64) (or GRU, or Bidirectional), Dense; batches of 32, every review padded to 400.
Ours: the model of `--model lstm` with the same units, dimension and longest text, in batches of like length. Steps are
timed for each width; an epoch's seconds are those times the number of its batches. What the first step of a width takes
longer, tracing and compiling, is once in a run and stands in a column of its own. See README.md in this folder.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from inputs import find_imdb, split_imdb
from measure import NotMeasured, Table

from dlcli.core.backend import keras, tf
from dlcli.core.batches import bucket_widths, padded_width, training_batches
from dlcli.resources import resource
from dlcli.text.config import TextDataConfig, TextModelConfig, TextPipelineConfig
from dlcli.text.defaults import TRAINING_DEFAULTS
from dlcli.text.pipeline import TextPipeline
from dlcli.text.read import read_labelled
from dlcli.text.sequence_models import build

REPOSITORY = Path(__file__).resolve().parents[1]
LONGEST, UNITS, VOCABULARY = 400, 64, 20_000
PLAIN_BATCH = 32
HEADER = ("model", "plain reviews/s", "ours reviews/s", "ratio", "padding, plain", "padding, ours", "first steps s")


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = REPOSITORY.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help="folder that holds imdb_train.csv[.xz]")
    parser.add_argument("--models", default="lstm,gru,bilstm", metavar="NAMES", help="which models")
    parser.add_argument("--dim", type=int, default=128, metavar="N", help="size of the embedding (128)")
    parser.add_argument("--jit", choices=("on", "off"), default="off", help="compile our steps with XLA (off)")
    parser.add_argument("--steps", type=int, default=5, metavar="N", help="steps timed for each width (5)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown too")
    options = parser.parse_args()
    lengths = read_lengths(options.data)
    table = Table(
        f"Recurrent models, {len(lengths):,} reviews of at most {LONGEST} words, {UNITS} units, "
        f"embeddings of {options.dim}, XLA {options.jit}; medians of {options.steps} steps of each width",
        HEADER,
    )
    for name in options.models.split(","):
        table.rows.append(measure(name, lengths, dim=options.dim, jit=options.jit == "on", steps=options.steps))
    print(table.as_text())
    if options.markdown:
        options.markdown.write_text(table.as_markdown() + "\n", encoding="utf-8")
    return 0


def read_lengths(data: Path) -> np.ndarray[Any, Any]:
    """Return the number of words and punctuation marks of each review, cut after `LONGEST`."""
    with tempfile.TemporaryDirectory(prefix="dlcli-bench-") as name:
        folder = Path(name)
        try:
            source, _ = split_imdb(find_imdb(data, folder), folder)
        except NotMeasured as error:
            source = resource("sample_data") / "reviews.csv"
            print(f"{error}: the sample reviews take their place", file=sys.stderr)
        texts = read_labelled(source, TextDataConfig()).texts
    config = TextPipelineConfig(features="ids", max_length=LONGEST, max_features=VOCABULARY)
    return TextPipeline.adapt(texts, config)[1].lengths


def measure(name: str, lengths: np.ndarray[Any, Any], *, dim: int, jit: bool, steps: int) -> tuple[str, ...]:
    """Time steps of both sides; return the row of the table."""
    plain_batches = Counter({(PLAIN_BATCH, LONGEST): len(lengths) // PLAIN_BATCH})
    plain, _ = epoch_seconds(plain_model(name, dim), plain_batches, jit="auto", steps=steps)
    plain_rate = plain_batches.total() * PLAIN_BATCH / plain

    widths = bucket_widths(lengths)
    batches = training_batches(
        lengths, batch_size=TRAINING_DEFAULTS[name]["batch_size"], seed=0, epoch=0, widths=widths
    )
    shapes = Counter((len(rows), padded_width(int(lengths[rows].max()), widths)) for rows in batches)
    config = TextModelConfig(model=name, embedding_dim=dim, units=UNITS)
    model = build(config, vocabulary_size=VOCABULARY, classes=2, seed=0, max_length=LONGEST)
    ours, compiling = epoch_seconds(model, shapes, jit=jit, steps=steps)
    rate = len(lengths) / ours
    cells = sum(rows * width * count for (rows, width), count in shapes.items())
    print(f"{name}: plain {plain_rate:.0f}, ours {rate:.0f} reviews/s", file=sys.stderr, flush=True)
    return (
        name,
        f"{plain_rate:.0f}",
        f"{rate:.0f}",
        f"{rate / plain_rate:.2f}",
        f"{1 - lengths.sum() / (len(lengths) * LONGEST):.1%}",
        f"{1 - lengths.sum() / cells:.1%}",
        f"{compiling:.0f}",
    )


def plain_model(name: str, dim: int) -> keras.Model:
    """Return the model as a first script has it."""
    cell = (keras.layers.GRU if "gru" in name else keras.layers.LSTM)(UNITS)
    return keras.Sequential(
        [
            keras.Input((LONGEST,), dtype="int32"),
            keras.layers.Embedding(VOCABULARY, dim),
            keras.layers.Bidirectional(cell) if name.startswith("bi") else cell,
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


def epoch_seconds(
    model: keras.Model, shapes: Counter[tuple[int, int]], *, jit: bool | str, steps: int
) -> tuple[float, float]:
    """Return the seconds of an epoch's steps of such shapes, and those of each shape's first step on top."""
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", jit_compile=jit)
    random = np.random.default_rng(0)
    total = compiling = 0.0
    for (rows, width), count in sorted(shapes.items()):
        ids = tf.constant(random.integers(2, VOCABULARY, size=(rows, width)), tf.int32)
        labels = tf.constant(random.integers(2, size=rows))
        taken = []
        for _ in range(steps + 1):
            started = time.perf_counter()
            model.train_on_batch(ids, labels)
            taken.append(time.perf_counter() - started)
        total += count * (step := statistics.median(taken[1:]))
        compiling += taken[0] - step
    return total, compiling


if __name__ == "__main__":
    sys.exit(main())
