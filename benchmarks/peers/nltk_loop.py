"""A plain loop with NLTK's Porter stemmer and a stop list over a CSV, as textbooks have it, on the first rows.

    python nltk_loop.py DATA.csv OUT.csv ROWS

Prints the seconds without imports.
"""

import csv
import itertools
import re
import sys
import time
from pathlib import Path

from nltk.stem import PorterStemmer
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

HTML = re.compile(r"</?[A-Za-z!][^<>]*>|&[A-Za-z][A-Za-z0-9]{1,7};|&#[0-9]{1,7};|&#[Xx][0-9A-Fa-f]{1,6};")
TOKEN = re.compile(r"\w+|[^\w\s]")


def main() -> None:
    """Do the work and print its seconds."""
    data, out, rows = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    started = time.perf_counter()
    stemmer = PorterStemmer()
    with data.open(encoding="utf-8", newline="") as source, out.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(["text", "label"])
        for row in itertools.islice(csv.DictReader(source), rows):
            tokens = TOKEN.findall(HTML.sub(" ", row["text"]).lower())
            words = [stemmer.stem(token) for token in tokens if token not in ENGLISH_STOP_WORDS]
            writer.writerow([" ".join(words), row["label"]])
    print(f"{time.perf_counter() - started:.3f}")


if __name__ == "__main__":
    main()
