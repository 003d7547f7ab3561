"""dlcli's bigram text classifier beside fastText and the textbook's Keras script, in one run, as ratios.

    python benchmarks/text_ngram.py [--quick] [--data DIR] [--only dlcli,fasttext] [--markdown FILE]

Trains on the first 20,000 rows of imdb_train.csv and scores on its last 5,000. See README.md in this folder for what
each figure means. Exit code 1 when a part could not be measured; a target that is missed is told in the table only.
"""

import argparse
import contextlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

from inputs import find_imdb, split_imdb
from measure import NotMeasured, Table, spread
from runners import (
    REPOSITORY,
    Bench,
    Runner,
    Trial,
    run_dlcli,
    run_fasttext,
    run_many_rows,
    run_textbook,
    time_help,
)

T = TypeVar("T")
TRAINERS: dict[str, Runner] = {"fasttext": run_fasttext, "dlcli": run_dlcli, "textbook": run_textbook}
PARTS = (*TRAINERS, "help", "million")
HELP_PAGES: dict[str, tuple[tuple[str, ...], float]] = {
    "dlcli --help": ((), 0.15),
    "dlcli train-text --help": (("train-text",), 0.4),
}


@dataclass
class Results:
    """All that was measured; a part that could not be is in `failures` only."""

    parts: tuple[str, ...]
    trials: dict[str, list[Trial]] = field(default_factory=dict)
    help_pages: dict[str, tuple[float, list[str]]] = field(default_factory=dict)
    million: Trial | None = None
    failures: dict[str, str] = field(default_factory=dict)

    def attempt(self, part: str, label: str, work: Callable[[], T]) -> T | None:
        """Do a piece of a part's work if the part was asked for and has not failed yet; note it if it fails."""
        if part not in self.parts or part in self.failures:
            return None
        print(f"{label} ...", file=sys.stderr, flush=True)
        try:
            return work()
        except NotMeasured as error:
            self.failures[part] = str(error)
            return None

    def middle(self, name: str, what: str) -> float | None:
        """Return the median of a field or a note over a peer's runs, None where there is none."""
        values = [trial.notes.get(what, getattr(trial, what, None)) for trial in self.trials.get(name, [])]
        found = [value for value in values if value is not None]
        return median(found) if found else None


def main() -> int:
    """Measure what was asked for and print the tables."""
    args = read_arguments()
    try:
        with work_folder(args.work) as work:
            train, validation = split_imdb(find_imdb(args.data, work), work)
            bench = Bench(train, validation, work, quick=args.quick, fasttext_python=args.fasttext_python)
            results = measure(bench, parts=args.only, runs=args.runs)
    except NotMeasured as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    tables = [peers_table(results, quick=args.quick), targets_table(results, quick=args.quick)]
    print("\n\n".join([machine, *(table.as_text() for table in tables)]))
    for part, reason in results.failures.items():
        print(f"\n{part} was not measured: {reason}")
    if args.markdown:
        text = "\n\n".join([machine, *(table.as_markdown() for table in tables)])
        args.markdown.write_text(text + "\n", encoding="utf-8")
    return 1 if results.failures else 0


def read_arguments() -> argparse.Namespace:
    """Return the command line's choices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = REPOSITORY.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help="folder that holds imdb_train.csv[.xz]")
    parser.add_argument("--runs", type=int, metavar="N", help="runs of dlcli and fastText (3; quick: 1)")
    parser.add_argument("--quick", action="store_true", help="one run each, the textbook's script cut short and scaled")
    parser.add_argument("--only", type=read_parts, default=PARTS, metavar="NAME,...", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep data, runs and logs here (a temporary folder)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown too")
    parser.add_argument("--fasttext-python", type=Path, metavar="PATH", help="a Python that has fasttext-wheel")
    args = parser.parse_args()
    if args.fasttext_python:
        args.fasttext_python = args.fasttext_python.absolute()
    args.runs = args.runs or (1 if args.quick else 3)
    return args


def read_parts(text: str) -> tuple[str, ...]:
    """Return the parts named in a list with commas."""
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(PARTS)}, got {', '.join(unknown)}")
    return names


@contextlib.contextmanager
def work_folder(given: Path | None) -> Iterator[Path]:
    """Yield the folder to work in: the one given, which is kept, or one that is removed at the end."""
    if given:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="dlcli-bench-") as folder:
        yield Path(folder)


def measure(bench: Bench, *, parts: tuple[str, ...], runs: int) -> Results:
    """Run the parts: help pages first, then the peers in turn (A B, A B, ...), the million rows last.

    A peer that fails is not run again. The textbook's script takes part in the first turn only: it is a minute to an
    hour long, and a ratio of forty needs no median.
    """
    results = Results(parts)
    for page, (verb, _) in HELP_PAGES.items():
        timed = results.attempt("help", page, partial(time_help, bench, verb))
        if timed:
            results.help_pages[page] = timed
    for number in range(1, runs + 1):
        for name, runner in TRAINERS.items():
            if name == "textbook" and number > 1:
                continue
            trial = results.attempt(name, f"{name}, run {number}", partial(runner, bench, number))
            if trial:
                results.trials.setdefault(name, []).append(trial)
    results.million = results.attempt("million", "a million rows", partial(run_many_rows, bench))
    return results


def peers_table(results: Results, *, quick: bool) -> Table:
    """Return the table of the peers: time, ratio to fastText, accuracy, memory."""
    table = Table(
        "Bigrams on IMDB: 20,000 reviews to train, 5,000 to validate; whole processes",
        ("peer", "wall s (median, min-max)", "ratio to fastText", "accuracy", "peak MB"),
    )
    fasttext = results.middle("fasttext", "wall")

    def row(name: str, label: str, seconds: list[float], *, alone: bool = False) -> None:
        if not seconds:
            return
        accuracy, peak = results.middle(name, "accuracy"), results.middle(name, "peak_mb")
        ratio = f"{median(seconds) / fasttext:.2f}" if fasttext else "-"
        scores = ("", "") if alone else (f"{accuracy:.2%}" if accuracy else "-", f"{peak:,.0f}")
        table.rows.append((label, spread(seconds), ratio, *scores))

    for name, label, note, note_label in (
        ("dlcli", "dlcli", "", ""),
        ("fasttext", "fastText", "train_seconds", "its training alone"),
        ("textbook", "textbook's Keras", "best_seconds", "to its best epoch"),
    ):
        scaled = ", scaled" if quick and name == "textbook" else ""
        trials = results.trials.get(name, [])
        row(name, label + scaled, [trial.wall for trial in trials])
        alone = [trial.notes[note] for trial in trials if note in trial.notes]
        row(name, f"- {note_label}{scaled}", alone, alone=True)
    return table


def targets_table(results: Results, *, quick: bool) -> Table:
    """Return the table of the targets; a target whose parts were not measured says so."""
    table = Table("Targets", ("target", "required", "measured", "held"))

    def row(label: str, required: str, measured: str, held: bool) -> None:
        table.rows.append((label, required, measured, "yes" if held else "no"))

    def most(label: str, value: float | None, bound: float, unit: str, digits: int = 2) -> None:
        if value is None:
            table.rows.append((label, f"<= {bound:,}{unit}", "not measured", "-"))
        else:
            row(label, f"<= {bound:,}{unit}", f"{value:,.{digits}f}{unit}", value <= bound)

    middle = results.middle
    wall, peer, alone = middle("dlcli", "wall"), middle("fasttext", "wall"), middle("fasttext", "train_seconds")
    accuracy, rival = middle("dlcli", "accuracy"), middle("fasttext", "accuracy")
    if accuracy is None or rival is None:
        table.rows.append(("accuracy above fastText's", ">= 1.5 points", "not measured", "-"))
    else:
        points = 100 * (accuracy - rival)
        row("accuracy above fastText's", ">= 1.5 points", f"{points:+.2f} points", points >= 1.5 - 1e-9)
    most("wall, of fastText's whole process", wall / peer if wall and peer else None, 3, "x")
    most("- the same, sought", wall / peer if wall and peer else None, 2, "x")
    most("wall, of fastText's training alone", wall / alone if wall and alone else None, 3, "x")
    most("peak memory", middle("dlcli", "peak_mb"), 2_000, " MB", 0)
    best, epoch = middle("textbook", "best_seconds"), middle("textbook", "best_epoch")
    if best is None or epoch is None or wall is None:
        table.rows.append(("textbook's time to its best epoch, of dlcli's wall", ">= 40x", "not measured", "-"))
    else:
        which = f"{epoch:.0f}, scaled" if quick else f"{epoch:.0f}"
        label = f"textbook's time to its best epoch ({which}), of dlcli's wall"
        row(label, ">= 40x", f"{best / wall:.1f}x", best / wall >= 40)
    for page, (_, seconds) in HELP_PAGES.items():
        timed = results.help_pages.get(page)
        most(page, timed[0] if timed else None, seconds, " s", 3)
        if timed:
            row("- imports of numpy, pandas, tensorflow", "none", ", ".join(timed[1]) or "none", not timed[1])
    many = results.million
    aside = f" ({many.wall:.0f} s, accuracy {many.accuracy:.1%})" if many and many.accuracy else ""
    most(f"a million short rows, peak memory{aside}", many.peak_mb if many else None, 3_000, " MB", 0)
    return table


if __name__ == "__main__":
    sys.exit(main())
