"""What `evaluate` and `predict` cost beside bare Keras on the same texts, in one run, as ratios.

    python benchmarks/answering.py RUN TABLE [--runs 5]

RUN is a finished text run, TABLE a file with its columns. The peer has the texts in memory and turns them into ids by
the run's own graph before `model.predict` (batches of 512, in the order of the file, padded); dlcli reads, checks and
streams them from the file, as its verbs do, to the same outputs. Imports and loading are outside the time.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import Table, spread

from dlcli.core.backend import tf
from dlcli.results.answers import Answerer, LabelledStream
from dlcli.serving.predictor import Predictor
from dlcli.text.config import TextDataConfig
from dlcli.text.read import labelled_texts, read_labelled


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="a finished text run")
    parser.add_argument("table", type=Path, metavar="TABLE", help="labelled texts")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="runs of each side (5)")
    options = parser.parse_args()
    predictor = Predictor(options.run)
    texts = read_labelled(options.table, TextDataConfig()).texts
    answer = Answerer(options.run, predictor.labels)

    def bare() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        ids = predictor.pipeline.encode(texts)
        rows = tf.data.Dataset.range(len(texts)).batch(512)
        outputs: np.ndarray[tuple[int, int], np.dtype[np.float32]] = predictor.model.predict(
            ids.dataset(rows).prefetch(4), verbose=0
        )
        return outputs

    def ours() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        rows = labelled_texts(options.table, TextDataConfig(), part="test")
        stream = LabelledStream(rows, options.table, predictor.labels)
        return np.concatenate([answer(chunk.items) for chunk in stream])

    np.testing.assert_allclose(bare(), ours(), atol=1e-5)
    times = {"model.predict, texts in memory": _seconds(bare, options.runs)}
    times["dlcli, from the file"] = _seconds(ours, options.runs)
    peer = statistics.median(times["model.predict, texts in memory"])
    table = Table(f"{len(texts):,} texts, medians of {options.runs}", ("side", "seconds", "ratio"))
    table.rows += [(side, spread(s, 2), f"{statistics.median(s) / peer:.2f}") for side, s in times.items()]
    print(table.as_text())
    return 0


def _seconds(work: Callable[[], object], runs: int) -> list[float]:
    found = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return found


if __name__ == "__main__":
    sys.exit(main())
