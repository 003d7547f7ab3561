"""What a run must beat: the majority class, and a TF-IDF logistic regression fitted on the run's training texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.dataset import IntArray
from dlcli.core.progress import Progress
from dlcli.core.run import RunRecord
from dlcli.errors import DataError, DlcliError
from dlcli.results.metrics import point_scores
from dlcli.results.paired import compare
from dlcli.results.tfidf import MOST_FITTED, Tfidf
from dlcli.results.threshold import validation_outputs
from dlcli.text.config import TextDataConfig
from dlcli.text.corpus import read_corpus

# Beyond so many items, a baseline answers a random half of them, then a quarter, and so on.
_MOST_ANSWERED = 50_000


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A classifier to stand beside a run.

    Attributes:
        name: as `--json` calls it.
        title: as people read it.
        about: what it was made from.
        outputs: texts to probabilities, float (n, classes).
    """

    name: str
    title: str
    about: str
    outputs: Callable[[Sequence[str]], npt.NDArray[np.floating[Any]]]


def find(run: Path, record: RunRecord, progress: Progress) -> tuple[list[Baseline], list[str]]:
    """Return the baselines of a run, and why one of them is missing.

    The fitted TF-IDF model is kept in `RUN/baselines/`, where the next evaluation finds it, with or without the
    training data.

    Args:
        run: its directory.
        record: its `run.json`.
        progress: told of stages.
    """
    notes = []
    fitted = Tfidf.load(run, record)
    if fitted is None:
        try:
            fitted = _fit(record, progress)
        except DlcliError as error:
            notes.append(f"no TF-IDF baseline: {error.message}")
        else:
            if problem := fitted.save(run, record):
                notes.append(f"the TF-IDF baseline is not kept in the run: {problem}")
    found = []
    if fitted is not None:
        found.append(majority(fitted.counts, record.labels, "training"))
        of = f" of {fitted.counts.sum():,}" if fitted.rows < fitted.counts.sum() else ""
        found.append(
            Baseline(
                name="tfidf",
                title="TF-IDF logistic regression",
                about=f"scikit-learn, words and pairs of words, fitted on {fitted.rows:,}{of} training texts",
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
        outputs=lambda texts: np.tile(shares, (len(texts), 1)),
    )


def _fit(record: RunRecord, progress: Progress) -> Tfidf:
    """Fit TF-IDF logistic regression on the very data that the run was trained on.

    Raises:
        DlcliError: that data is not there any more, or gives nothing to fit.
    """
    config = record.config
    corpus = read_corpus(
        Path(config["data"]),
        val=Path(config["val"]) if config.get("val") else None,
        columns=TextDataConfig(**{name: config[name] for name in TextDataConfig.model_fields}),
        val_split=config["val_split"],
        seed=record.seed,
        progress=progress,
    )
    if corpus.fingerprint != record.data["fingerprint"]:
        raise DataError(f"{config['data']} has changed since the training")
    training = corpus.training
    progress.begin(f"fitting the TF-IDF baseline on {min(len(training.items), MOST_FITTED):,} texts, once")
    return Tfidf.learn(training.items, training.labels, len(record.labels), seed=record.seed)


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

    def add(self, texts: Sequence[str]) -> None:
        """Answer more items, or those of them that the sample takes."""
        draws = self._random.random(len(texts))
        taken = np.flatnonzero(draws < self._share)
        self.rows = np.append(self.rows, self._seen + taken)
        self._draws = np.append(self._draws, draws[taken])
        self._seen += len(texts)
        some = [texts[row] for row in taken.tolist()]
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
