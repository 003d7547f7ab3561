"""A bigram classifier as textbooks write it in Keras: an index of n-grams in a dict, one embedding, Adam.

    python textbook_bigrams.py TRAIN.csv VALIDATION.csv [--epochs 5] [--limit ROWS]

The idea is that of Keras's `imdb_fasttext` example, its sizes too. Prints one JSON line; all seconds in it are counted
from the start of the script, the import of TensorFlow included.
"""

import time

START = time.perf_counter()

import argparse  # noqa: E402  the clock starts before anything is imported
import csv  # noqa: E402
import json  # noqa: E402
import re  # noqa: E402
from collections import Counter  # noqa: E402
from itertools import pairwise  # noqa: E402
from pathlib import Path  # noqa: E402

import keras  # noqa: E402
import numpy as np  # noqa: E402

MAX_WORDS = 20_000
MAX_LENGTH = 400
EMBEDDING_SIZE = 50
BATCH_SIZE = 32
UNKNOWN = 1


class Clock(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Notes when each epoch ended, how long a step took and how long validation did."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[dict[str, float]] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Note the end of the first step, which also traces the graph, and count the steps."""
        if batch == 0:
            self.first_step = time.perf_counter()
        self.steps = batch + 1

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Note the start of validation."""
        self.validation = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keep the epoch's times and its validation accuracy."""
        now = time.perf_counter()
        self.epochs.append(
            {
                "seconds": now - START,
                "step_seconds": (self.validation - self.first_step) / max(self.steps - 1, 1),
                "validation_seconds": now - self.validation,
                "accuracy": (logs or {})["val_accuracy"],
            }
        )


def read(path: str) -> tuple[list[list[str]], np.ndarray]:
    """Return lists of words, and labels as 0 and 1 (`pos`)."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = [re.findall(r"\w+", row["text"].lower().replace("<br />", " ")) for row in rows]
    return texts, np.array([row["label"] == "pos" for row in rows], "float32")


def to_ids(texts: list[list[str]], words: dict[str, int], bigrams: dict[tuple[int, int], int]) -> np.ndarray:
    """Return (rows, 400) ids: those of the words, then those of the neighbouring pairs."""
    rows = []
    for text in texts:
        ids = [words.get(word, UNKNOWN) for word in text]
        rows.append(ids + [bigrams[pair] for pair in pairwise(ids) if pair in bigrams])
    padded: np.ndarray = keras.utils.pad_sequences(rows, maxlen=MAX_LENGTH)
    return padded


parser = argparse.ArgumentParser()
parser.add_argument("train")
parser.add_argument("validation")
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--limit", type=int, help="train on the first ROWS reviews; the index is still made from all")
args = parser.parse_args()

train_texts, train_labels = read(args.train)
validation_texts, validation_labels = read(args.validation)

counts = Counter(word for text in train_texts for word in text)
words = {word: number for number, (word, _) in enumerate(counts.most_common(MAX_WORDS), UNKNOWN + 1)}
bigrams: dict[tuple[int, int], int] = {}
for text in train_texts:
    ids = [words.get(word, UNKNOWN) for word in text]
    for pair in pairwise(ids):
        bigrams.setdefault(pair, len(words) + UNKNOWN + 1 + len(bigrams))

x_train = to_ids(train_texts[: args.limit], words, bigrams)
x_validation = to_ids(validation_texts, words, bigrams)
features = len(words) + len(bigrams) + UNKNOWN + 1

model = keras.Sequential(
    [
        keras.layers.Embedding(features, EMBEDDING_SIZE),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
clock = Clock()
prepared = time.perf_counter() - START
model.fit(
    x_train,
    train_labels[: args.limit],
    batch_size=BATCH_SIZE,
    epochs=args.epochs,
    validation_data=(x_validation, validation_labels),
    callbacks=[clock],
    verbose=0,
)
print(json.dumps({"features": features, "prepare_seconds": prepared, "epochs": clock.epochs}))
