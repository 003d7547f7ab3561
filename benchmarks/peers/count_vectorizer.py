"""scikit-learn's CountVectorizer from a CSV to a saved matrix and vocabulary: what people write for bags of bigrams.

    python count_vectorizer.py DATA.csv FOLDER

Prints the seconds without imports.
"""

import csv
import sys
import time
from pathlib import Path

import scipy.sparse
from sklearn.feature_extraction.text import CountVectorizer


def main() -> None:
    """Do the work and print its seconds."""
    data, folder = Path(sys.argv[1]), Path(sys.argv[2])
    started = time.perf_counter()
    folder.mkdir(exist_ok=True)
    with data.open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    vectorizer = CountVectorizer(ngram_range=(1, 2))
    matrix = vectorizer.fit_transform(texts)
    scipy.sparse.save_npz(folder / "features.npz", matrix, compressed=False)
    with (folder / "vocabulary.txt").open("w", encoding="utf-8") as file:
        file.writelines(f"{term}\n" for term in vectorizer.get_feature_names_out())
    print(f"{time.perf_counter() - started:.3f}")


if __name__ == "__main__":
    main()
