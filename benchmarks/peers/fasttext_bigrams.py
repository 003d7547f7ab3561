"""fastText with bigrams on a CSV of reviews, as a Python user would run it: read, tidy, train, score.

Runs in a virtual environment of its own, for fastText's module needs an older NumPy than TensorFlow does:

    python fasttext_bigrams.py TRAIN.csv VALIDATION.csv WORK_FOLDER

Prints one JSON line: accuracy on the validation rows, and seconds spent in fastText's training alone.
"""

import csv
import json
import re
import sys
import time
from pathlib import Path

import fasttext

# fastText's usual settings for reviews: its tutorial's bigrams and learning rate, the library's own dimension and
# buckets, and one thread for each core of the machine that the targets are stated for.
SETTINGS = {"wordNgrams": 2, "epoch": 5, "lr": 0.5, "dim": 10, "bucket": 2_000_000, "thread": 2, "verbose": 0}
WORD = re.compile(r"\w+")


def read_rows(path: Path) -> tuple[list[str], list[str]]:
    """Return the tidied texts and the labels of a CSV with the columns text,label."""
    texts, labels = [], []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            texts.append(" ".join(WORD.findall(row["text"].lower().replace("<br />", " "))))
            labels.append(row["label"])
    return texts, labels


def main() -> None:
    """Train on the first file, score on the second."""
    train_csv, validation_csv, work = map(Path, sys.argv[1:4])
    texts, labels = read_rows(train_csv)
    prepared = work / "fasttext_train.txt"
    with prepared.open("w", encoding="utf-8") as file:
        file.writelines(f"__label__{label} {text}\n" for text, label in zip(texts, labels, strict=True))

    start = time.perf_counter()
    model = fasttext.train_supervised(str(prepared), **SETTINGS)
    train_seconds = time.perf_counter() - start

    texts, labels = read_rows(validation_csv)
    predicted, _ = model.predict(texts)
    right = sum(f"__label__{label}" == best[0] for label, best in zip(labels, predicted, strict=True))
    print(json.dumps({"accuracy": right / len(labels), "train_seconds": train_seconds}))


if __name__ == "__main__":
    main()
