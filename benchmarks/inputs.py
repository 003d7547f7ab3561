"""What benchmarks train on: IMDB split in two, a large file of invented rows, and folders of pictures."""

import csv
import itertools
import lzma
import random
import shutil
import tarfile
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from measure import NotMeasured

TRAIN_ROWS = 20_000
VALIDATION_ROWS = 5_000

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
VOCABULARY_SIZE = 30_000
CLASSES = ("pos", "neg")
# Every 40th word belongs to a class by turns and is used three times as often there as in the other class: rows of
# 8-20 words then hold some evidence, and not all of them enough of it.
CLASS_WORD_EVERY = 40
CLASS_WORD_WEIGHT = 3.0
ROWS_A_WRITE = 10_000


def find_pictures(name: str, folder: Path, work: Path) -> Path:
    """Return the folder of pictures `name` in `folder`, unpacked into `work` where only its archive is there.

    Raises:
        NotMeasured: neither is there.
    """
    plain, packed = folder / name, folder / f"{name}.tar.xz"
    if plain.is_dir():
        return plain
    if not packed.is_file():
        raise NotMeasured(f"there is no {plain} and no {packed}")
    with tarfile.open(packed) as archive:
        archive.extractall(work, filter="data")
    return work / name


def find_imdb(folder: Path, work: Path) -> Path:
    """Return the path of imdb_train.csv in `folder`, unpacked into `work` where only the .xz is there.

    Raises:
        NotMeasured: neither is there.
    """
    plain, packed = folder / "imdb_train.csv", folder / "imdb_train.csv.xz"
    if plain.is_file():
        return plain
    if not packed.is_file():
        raise NotMeasured(
            f"expected imdb_train.csv or imdb_train.csv.xz (25,000 reviews, columns text,label) in {folder}, "
            "found neither; name the folder with --data DIR"
        )
    unpacked = work / "imdb_train.csv"
    with lzma.open(packed) as source, unpacked.open("wb") as target:
        shutil.copyfileobj(source, target)
    return unpacked


def split_imdb(source: Path, work: Path) -> tuple[Path, Path]:
    """Write the first 20,000 rows and the last 5,000 as two CSV files.

    Returns:
        Paths of the training file and of the validation file.

    Raises:
        NotMeasured: other columns than text,label, or too few rows.
    """
    train, validation = work / "train.csv", work / "validation.csv"
    last: deque[list[str]] = deque(maxlen=VALIDATION_ROWS)
    with source.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if header != ["text", "label"]:
            raise NotMeasured(f"{source}: expected the columns text,label, found {','.join(header) or 'none'}")
        write_rows(train, itertools.islice(reader, TRAIN_ROWS))
        last.extend(reader)
    if len(last) < VALIDATION_ROWS:
        raise NotMeasured(f"{source}: expected at least {TRAIN_ROWS + VALIDATION_ROWS:,} rows, found fewer")
    write_rows(validation, last)
    return train, validation


def write_rows(path: Path, rows: Iterable[list[str]]) -> None:
    """Write rows of text and label under the header text,label."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows)


def write_invented_rows(path: Path, *, rows: int, seed: int = 1) -> None:
    """Write a CSV of short invented rows of two classes, a few thousand rows at a time.

    A row has 8 to 20 words out of 30,000. The word of rank r is drawn with weight 1 / (r + 2.7), Zipf's law as
    Mandelbrot amended it, so that the file has the long tail of real text; some words lean to one class.

    Args:
        path: file to write.
        rows: how many rows below the header.
        seed: the same seed writes the same file.
    """
    draw = random.Random(seed)
    words = ["".join(parts) for parts in itertools.islice(itertools.product(SYLLABLES, repeat=3), VOCABULARY_SIZE)]
    draw.shuffle(words)
    weights = []
    for which in range(len(CLASSES)):
        own = (which * CLASS_WORD_EVERY // len(CLASSES)) % CLASS_WORD_EVERY
        lean = [CLASS_WORD_WEIGHT if rank % CLASS_WORD_EVERY == own else 1.0 for rank in range(VOCABULARY_SIZE)]
        weights.append(list(itertools.accumulate(lean[rank] / (rank + 2.7) for rank in range(VOCABULARY_SIZE))))
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("text,label\n")
        for first in range(0, rows, ROWS_A_WRITE):
            lines = []
            for _ in range(first, min(first + ROWS_A_WRITE, rows)):
                which = draw.randrange(len(CLASSES))
                text = " ".join(draw.choices(words, cum_weights=weights[which], k=draw.randint(8, 20)))
                lines.append(f"{text},{CLASSES[which]}\n")
            file.writelines(lines)
