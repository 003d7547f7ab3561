"""What a run must beat: the majority class, and a logistic regression fitted on the run's training items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.dataset import Corpus, IntArray
from dlcli.core.progress import Progress
from dlcli.core.record import RunRecord
from dlcli.errors import DlcliError
from dlcli.results.metrics import point_scores
from dlcli.results.paired import compare
from dlcli.results.threshold import validation_outputs
from dlcli.results.training_data import read_again

# Beyond so many items, a baseline answers a random half of them, then a quarter, and so on.
_MOST_ANSWERED = 50_000


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A classifier to stand beside a run.

    Attributes:
        name: as `--json` calls it.
        title: as people read it.
        about: what it was made from.
        outputs: items to probabilities, float (n, classes).
    """

    name: str
    title: str
    about: str
    outputs: Callable[[Sequence[str]], npt.NDArray[np.floating[Any]]]


def find(
    run: Path, record: RunRecord, progress: Progress, *, corpus: Corpus | None = None
) -> tuple[list[Baseline], list[str]]:
    """Return the baselines of a run, and why one of them is missing.

    The fitted regression is kept in `RUN/baselines/`, where the next evaluation finds it, with or without the
    training data.

    Args:
        run: its directory.
        record: its `run.json`.
        progress: told of stages.
        corpus: the run's data, where it has been read; else it is read when it is needed.
    """
    notes = []
    kind = _kind(record)
    fitted = kind.load(run, record)
    if fitted is None:
        try:
            fitted = _fit(record, progress, corpus)
        except DlcliError as error:
            notes.append(f"no {kind.title}: {error.message}")
        else:
            if problem := fitted.save(run, record):
                notes.append(f"the {kind.title} is not kept in the run: {problem}")
    found = []
    if fitted is not None:
        found.append(majority(fitted.counts, record.labels, "training"))
        of = f" of {fitted.counts.sum():,}" if fitted.rows < fitted.counts.sum() else ""
        found.append(
            Baseline(
                name=fitted.name,
                title=fitted.title,
                about=f"{fitted.about}, fitted on {fitted.rows:,}{of} training items",
                outputs=fitted.outputs,
            )
        )
    else:
        try:
            labels = validation_outputs(run)[0]
        except DlcliError as error:
            notes.append(f"no majority baseline: {error.message}")
        else:
            found.append(majority(np.bincount(labels, minlength=len(record.labels)), record.labels, "validation"))
    return found, notes


def majority(counts: IntArray, names: Sequence[str], source: str) -> Baseline:
    """Return the baseline that gives each item the class shares of the data.

    Args:
        counts: int (classes,), items of each class.
        names: of the classes.
        source: which data that is.
    """
    shares = counts / counts.sum()
    best = int(shares.argmax())
    return Baseline(
        name="majority",
        title="majority class",
        about=f"{names[best]!r}, {shares[best]:.1%} of the {source} data",
        outputs=lambda items: np.tile(shares, (len(items), 1)),
    )


def _kind(record: RunRecord) -> Any:
    """Return the regression that stands beside runs of a domain."""
    if record.domain == "vision":
        from dlcli.results.pixels import Pixels

        return Pixels
    from dlcli.results.tfidf import Tfidf

    return Tfidf


def _fit(record: RunRecord, progress: Progress, corpus: Corpus | None) -> Any:
    """Fit a logistic regression on the very data that the run was trained on.

    Raises:
        DlcliError: that data is not there any more, or gives nothing to fit.
    """
    training, kind = (corpus or read_again(record, progress)).training, _kind(record)
    progress.begin(f"fitting the {kind.title}, once")
    settings: dict[str, Any] = {"seed": record.seed}
    if record.domain == "vision":
        from dlcli.results.pixels import pictures_of

        settings["pictures"] = pictures_of(record)
    return kind.learn(training.items, training.labels, len(record.labels), **settings)


class Answers:
    """The baselines' answers to a stream of items; beyond 50,000 items to a random sample of them.

    Args:
        baselines: which.
        classes: how many there are.
        seed: of the sample.
    """

    def __init__(self, baselines: Sequence[Baseline], classes: int, *, seed: int) -> None:
        self.baselines = baselines
        self.rows: IntArray = np.empty(0, np.int64)
        self.outputs: dict[str, npt.NDArray[np.floating[Any]]] = {b.name: np.empty((0, classes)) for b in baselines}
        self._seen = 0
        self._share = 1.0
        self._draws: npt.NDArray[np.float64] = np.empty(0)
        self._random = np.random.Generator(np.random.Philox(key=[seed, 0]))

    def add(self, items: Sequence[str]) -> None:
        """Answer more items, or those of them that the sample takes."""
        draws = self._random.random(len(items))
        taken = np.flatnonzero(draws < self._share)
        self.rows = np.append(self.rows, self._seen + taken)
        self._draws = np.append(self._draws, draws[taken])
        self._seen += len(items)
        some = [items[row] for row in taken.tolist()]
        for baseline in self.baselines if some else ():
            self.outputs[baseline.name] = np.concatenate([self.outputs[baseline.name], baseline.outputs(some)])
        while len(self.rows) > _MOST_ANSWERED:
            self._share /= 2
            kept = self._draws < self._share
            self.rows, self._draws = self.rows[kept], self._draws[kept]
            self.outputs = {name: outputs[kept] for name, outputs in self.outputs.items()}

    def scored(self, labels: IntArray) -> list[dict[str, Any]]:
        """Return what is to be said of each baseline, for `--json`: what it is, and its scores without intervals.

        Args:
            labels: int (n,), of all items that were added.
        """
        return [
            {
                "name": baseline.name,
                "title": baseline.title,
                "about": baseline.about,
                "n": len(self.rows),
                "metrics": {
                    name: score.as_json()
                    for name, score in point_scores(
                        labels[self.rows],
                        self.outputs[baseline.name],
                        self.outputs[baseline.name].argmax(axis=1),
                        probabilistic=True,
                    ).items()
                },
            }
            for baseline in self.baselines
        ]

    def verdict(self, labels: IntArray, right: npt.NDArray[np.bool_], *, resamples: int, seed: int) -> dict[str, Any]:
        """Compare a run with the most accurate baseline on the same items.

        Args:
            labels: int (n,), of all items that were added.
            right: bool (n,), which of them the run has right.
            resamples: of the difference's interval; 0 for none.
            seed: of the resamples.
        """
        theirs = {b.name: self.outputs[b.name].argmax(axis=1) == labels[self.rows] for b in self.baselines}
        best = max(self.baselines, key=lambda baseline: float(theirs[baseline.name].mean()))
        found = compare(right[self.rows], theirs[best.name], resamples=resamples, seed=seed)
        return {"against": best.name, "text": found.in_words(f"the {best.title}"), **found.as_json()}
