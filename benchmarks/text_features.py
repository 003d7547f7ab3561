"""`dlcli tokenize` and `dlcli clean` beside what people write by hand, in one run, as ratios.

    python benchmarks/text_features.py [--data DIR] [--runs 3] [--markdown FILE]

Bigrams of the 25,000 rows of imdb_train.csv to a saved matrix and vocabulary beside scikit-learn's CountVectorizer;
stop words and Porter's stems beside a plain loop with NLTK, which is cut to its first rows and scaled. Each is timed as
a whole process and without imports, and the results are held against each other. See README.md in this folder.
"""

import argparse
import csv
import itertools
import os
import platform
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import scipy.sparse
from inputs import find_imdb
from measure import Finished, NotMeasured, Table, run_process, spread

REPOSITORY = Path(__file__).resolve().parents[1]
PEERS = REPOSITORY / "benchmarks" / "peers"
ROWS = 25_000
# Words as CountVectorizer takes them.
TOKENIZE = ("--ngrams", "2", "--punctuation", "drop", "--no-strip-html", "--min-word-length", "2")
CLEAN = ("--stop-words", "sklearn", "--stem", "porter")
# dlcli's own work, with its imports before the clock starts, as in the peers' scripts.
ALONE = """
import sys, time
import nltk.corpus, nltk.stem, sklearn.feature_extraction.text
import dlcli.core.run, dlcli.text.cleaned, dlcli.text.features, dlcli.text.pipeline, dlcli.text.read
from dlcli.cli import cli
arguments = sys.argv[1:]
cli.get_command(None, arguments[0])
started = time.perf_counter()
cli.main(arguments, standalone_mode=False)
print(f"{time.perf_counter() - started:.3f}")
"""


@dataclass
class Side:
    """Seconds of one side, a value a run.

    Attributes:
        name: in the table.
        whole: of whole processes; empty where they are not comparable.
        alone: without imports.
        peak: memory in MB.
    """

    name: str
    whole: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = REPOSITORY.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help="folder that holds imdb_train.csv[.xz]")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each side (3)")
    parser.add_argument("--nltk-rows", type=int, default=2000, metavar="N", help="rows that NLTK's loop takes (2000)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dlcli-bench-") as name:
        work = Path(name)
        try:
            source = find_imdb(options.data, work)
            tables = [
                tokenize(source, work, runs=options.runs),
                clean(source, work, runs=options.runs, rows=min(ROWS, options.nltk_rows)),
            ]
        except NotMeasured as error:
            print(f"Error: {error}", file=sys.stderr)
            return 1
    machine = (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f} at the end"
    )
    print("\n\n".join([machine, *(table.as_text() for table in tables)]))
    if options.markdown:
        text = "\n\n".join([machine, *(table.as_markdown() for table in tables)])
        options.markdown.write_text(text + "\n", encoding="utf-8")
    return 0


def tokenize(source: Path, work: Path, *, runs: int) -> Table:
    """Hold `dlcli tokenize` against CountVectorizer."""
    theirs, ours = Side("CountVectorizer, save_npz, vocabulary"), Side("dlcli tokenize")
    for number in range(runs):
        peer = _python(str(PEERS / "count_vectorizer.py"), str(source), "theirs", work=work)
        _add(theirs, peer, alone=float(peer.stdout))
        _measure_ours(ours, ("tokenize", str(source), "ours", *TOKENIZE, "--force", "-q"), work=work)
        _tell("tokenize", number, theirs, ours)
    first, second = (scipy.sparse.load_npz(work / name / "features.npz") for name in ("theirs", "ours"))
    if (first.shape, first.nnz, first.sum()) != (second.shape, second.nnz, second.sum()):
        raise NotMeasured(f"tokenize: {second.shape} and {second.nnz} cells, expected {first.shape} and {first.nnz}")
    title = f"Bigrams of {ROWS:,} reviews to a saved matrix ({first.shape[1]:,} columns), medians of {runs}"
    return _table(title, theirs, ours)


def clean(source: Path, work: Path, *, runs: int, rows: int) -> Table:
    """Hold `dlcli clean` against a loop with NLTK."""
    scale = ROWS / rows
    theirs, ours = (
        Side(f"NLTK's loop: {rows:,} rows, times {scale:g}" if scale > 1 else "NLTK's loop"),
        Side("dlcli clean"),
    )
    for number in range(runs):
        peer = _python(str(PEERS / "nltk_loop.py"), str(source), "theirs.csv", str(rows), work=work)
        seconds = float(peer.stdout)
        theirs.alone.append(seconds * scale)
        theirs.whole.append(peer.wall + seconds * (scale - 1))
        theirs.peak.append(peer.peak_mb)
        _measure_ours(ours, ("clean", str(source), "ours.csv", *CLEAN, "--force", "-q"), work=work)
        _tell("clean", number, theirs, ours)
    with (work / "theirs.csv").open(newline="") as first, (work / "ours.csv").open(newline="") as second:
        pairs = list(zip(csv.reader(first), csv.reader(second), strict=False))
    same = sum(one == other for one, other in itertools.islice(pairs, 1, None))
    return _table(
        f"Stop words and Porter's stems in {ROWS:,} reviews, medians of {runs}; "
        f"{same:,} of the {len(pairs) - 1:,} rows that both cleaned are equal",
        theirs,
        ours,
    )


def _python(*arguments: str, work: Path) -> Finished:
    environment = {"PYTHONPATH": str(REPOSITORY)}
    return run_process([sys.executable, *arguments], log=work / "log" / "process", cwd=work, env=environment)


def _measure_ours(side: Side, arguments: tuple[str, ...], *, work: Path) -> None:
    """Run dlcli as people do, and once more for its work without imports."""
    whole = _python("-m", "dlcli", *arguments, work=work)
    alone = _python("-c", ALONE, *arguments, work=work)
    _add(side, whole, alone=float(alone.stdout.split()[-1]))


def _add(side: Side, finished: Finished, *, alone: float) -> None:
    side.whole.append(finished.wall)
    side.alone.append(alone)
    side.peak.append(finished.peak_mb)


def _tell(part: str, number: int, theirs: Side, ours: Side) -> None:
    text = ", ".join(f"{side.name} {side.whole[-1]:.1f} s ({side.alone[-1]:.1f})" for side in (theirs, ours))
    print(f"{time.strftime('%H:%M:%S')} {part}, run {number}: {text}", file=sys.stderr, flush=True)


def _table(title: str, theirs: Side, ours: Side) -> Table:
    rows = [
        (side.name, spread(side.alone, 2), spread(side.whole, 2), f"{median(side.peak):,.0f}")
        for side in (theirs, ours)
    ]
    alone, whole = median(theirs.alone) / median(ours.alone), median(theirs.whole) / median(ours.whole)
    ratio = ("dlcli is faster by", f"{alone:.1f}", f"{whole:.1f}", "")
    return Table(title, ("", "s without imports", "s, whole process", "peak MB"), [*rows, ratio])


if __name__ == "__main__":
    sys.exit(main())
