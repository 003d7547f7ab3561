"""What settings are worth: validation scores on splits of the IMDB training half.

    python benchmarks/settings.py ngram --markdown table.md

Trains `dlcli train-text` once for each setting and each split (5,000 of the 25,000 reviews held back,
another 5,000 each time), and prints the means. Ten settings on three splits take about seven minutes on two cores.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from inputs import VALIDATION_ROWS, find_imdb, write_rows
from measure import NotMeasured, Table
from runners import DLCLI, REPOSITORY

TABLES = {
    "ngram": {
        "as shipped": "",
        "words alone": "--ngrams 1",
        "to trigrams": "--ngrams 3",
        "punctuation dropped": "--punctuation drop",
        "n-grams that occur once too": "--min-count 1",
        "embeddings of 4": "--embedding-dim 4 --lr 0.01",
        "embeddings of 16": "--embedding-dim 16 --lr 0.005",
        "n-gram dropout 0.3": "--ngram-dropout 0.3",
        "no label smoothing": "--label-smoothing 0",
        "label smoothing 0.1": "--label-smoothing 0.1",
        "batches of 64": "--batch-size 64 --lr 0.003",
    },
    "optimizers": {
        name: f"--optimizer {name}"
        for name in ("sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamw", "adamax", "nadam", "lion")
    }
    | {"sgd, momentum, Nesterov": "--optimizer sgd --lr 1 --momentum 0.9 --nesterov"},
    "schedules": {
        "constant": "",
        "inverse time": "--schedule inverse-time",
        "exponential": "--schedule exponential",
        "step": "--schedule step",
        "polynomial": "--schedule polynomial",
        "cosine": "--schedule cosine",
        "cosine, 2 cycles": "--schedule cosine --cycles 2",
        "one-cycle": "--schedule one-cycle --lr 0.05",
        "slanted triangular": "--schedule slanted-triangular --lr 0.05",
        "plateau": "--schedule plateau --monitor val_loss --patience 3",
        "one-cycle, 3 epochs": "--schedule one-cycle --lr 0.05 --epochs 3 --patience 0",
        "warm-up, cosine, 4 epochs": "--schedule cosine --warmup 0.1 --lr 0.05 --epochs 4 --patience 0",
    },
    "losses": {
        name: f"--loss {name}"
        for name in (
            *("categorical_crossentropy", "binary_crossentropy", "sparse_categorical_crossentropy", "focal"),
            *("kl_divergence", "mse", "mae", "log_cosh", "hinge", "squared_hinge", "categorical_hinge"),
        )
    },
    "others": {
        "as shipped": "",
        "EMA 0.98": "--ema 0.98 --patience 0 --epochs 5",
        "gradient norm to 0.1": "--clip-norm 0.1",
        "two batches a step": "--accumulate 2",
        "weight decay 0.01": "--weight-decay 0.01",
        "L2 1e-6": "--l2 1e-6",
        "hidden layer of 64": "--hidden-units 64 --lr 0.002",
        "hidden layer of 64, dropout 0.5": "--hidden-units 64 --dropout 0.5 --lr 0.002",
        "bfloat16": "--precision bfloat16",
        "XLA": "--jit on",
    },
}
HEADER = ("setting", "flags", "accuracy", "log loss", "best epoch", "parameters", "s/epoch")


def main() -> int:
    """Train all settings and print the table."""
    parser = argparse.ArgumentParser(description="What settings are worth.")
    parser.add_argument("table", choices=TABLES, help="which settings")
    data = REPOSITORY.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=data, help="folder with imdb_train.csv or imdb_train.csv.xz")
    parser.add_argument("--splits", type=int, default=3, choices=range(1, 6), help="splits, 1 to 5 (default 3)")
    parser.add_argument("--markdown", type=Path, default=None, help="write the table to this file too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dlcli-bench-") as folder:
        work = Path(folder)
        try:
            source = find_imdb(options.data, work)
        except NotMeasured as error:
            print(error, file=sys.stderr)
            return 1
        splits = [split(source, work, number) for number in range(options.splits)]
        table = Table(f"Means over {options.splits} splits of the IMDB training half", HEADER)
        table.rows += [(name, flags, *score(flags, splits, work)) for name, flags in TABLES[options.table].items()]
    print(table.as_text())
    if options.markdown is not None:
        options.markdown.write_text(table.as_markdown() + "\n", encoding="utf-8")
    return 0


def split(source: Path, work: Path, number: int) -> tuple[Path, Path]:
    """Write the CSV files of a split: the `number`-th 5,000 rows validate, the others train."""
    with source.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    start = number * VALIDATION_ROWS
    train, validation = work / f"train-{number}.csv", work / f"validation-{number}.csv"
    write_rows(train, rows[:start] + rows[start + VALIDATION_ROWS :])
    write_rows(validation, rows[start : start + VALIDATION_ROWS])
    return train, validation


def score(flags: str, splits: list[tuple[Path, Path]], work: Path) -> tuple[str, ...]:
    """Train one setting on every split; return the cells of its row."""
    results: list[dict[str, float]] = []
    seconds: list[float] = []
    for train, validation in splits:
        command = [*DLCLI, "train-text", train, "--val", validation, "--out", work / "run", "--force", "-q", "--json"]
        output = subprocess.run([*map(str, command), *flags.split()], check=True, capture_output=True, text=True)
        results.append(json.loads(output.stdout))
        history = [json.loads(line) for line in (work / "run" / "history.jsonl").read_text().splitlines()]
        seconds += [record["seconds"] for record in history[1:] or history]
    mean = {name: statistics.fmean(r[name] for r in results) for name in ("accuracy", "loss", "best_epoch")}
    return (
        f"{mean['accuracy']:.4f}",
        f"{mean['loss']:.4f}",
        f"{mean['best_epoch']:.1f}",
        f"{results[0]['parameters']:,}",
        f"{statistics.median(seconds):.2f}",
    )


if __name__ == "__main__":
    sys.exit(main())
