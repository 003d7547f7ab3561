"""TF-IDF logistic regression, by scikit-learn: the baseline of texts."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.dataset import IntArray
from dlcli.core.run import RunRecord
from dlcli.errors import DataError
from dlcli.results import regression
from dlcli.results.regression import Regression

# More texts than this teach a baseline little; it is fitted on a seeded sample of so many.
MOST_FITTED = 50_000
# Weights of the regression, over all classes: what its solver needs of memory is about 160 bytes each.
_MOST_WEIGHTS = 5_000_000


@dataclass(frozen=True, kw_only=True)
class Tfidf:
    """A fitted model.

    Attributes:
        terms: words and pairs of words, in the order of the columns.
        idf: float (terms,).
        regression: of their weights.
        counts: int (classes,), training items of each class.
        rows: how many of them it was fitted on.
    """

    name = "tfidf"
    title = "TF-IDF logistic regression"
    about = "scikit-learn, words and pairs of words"

    terms: list[str]
    idf: npt.NDArray[np.float64]
    regression: Regression
    counts: IntArray
    rows: int

    @staticmethod
    def learn(texts: Sequence[str], labels: IntArray, classes: int, *, seed: int) -> Tfidf:
        """Fit on training texts.

        Args:
            texts: all of them; beyond 50,000 a seeded sample is taken, with each class in it.
            labels: int (n,).
            classes: how many there are; each has items.
            seed: of the sample.

        Raises:
            DataError: no word is in two texts.
        """
        kept = regression.sample(labels, MOST_FITTED, seed=seed)
        vectorizer = _vectorizer(min_df=2, max_features=_MOST_WEIGHTS // classes)
        try:
            matrix = vectorizer.fit_transform([texts[row] for row in kept.tolist()])
        except ValueError:
            raise DataError("no word is in two of the training texts") from None
        return Tfidf(
            terms=vectorizer.get_feature_names_out().tolist(),
            idf=vectorizer.idf_,
            regression=Regression.learn(matrix, labels[kept]),
            counts=np.bincount(labels, minlength=classes),
            rows=len(kept),
        )

    def outputs(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the probabilities of the classes for each text, float (n, classes)."""
        return self.regression.probabilities(self._vectorizer.transform(texts))

    @functools.cached_property
    def _vectorizer(self) -> Any:
        vectorizer = _vectorizer(vocabulary={term: column for column, term in enumerate(self.terms)})
        vectorizer.idf_ = self.idf
        return vectorizer

    @staticmethod
    def load(run: Path, record: RunRecord) -> Tfidf | None:
        """Return the model that is kept in a run, if there is one: see `regression.load`."""
        arrays = regression.load(run, record, Tfidf.name)
        if arrays is None:
            return None
        return Tfidf(
            terms=arrays["terms"].tobytes().decode().split("\n"),
            idf=arrays["idf"],
            regression=Regression(arrays["weights"], arrays["intercept"]),
            counts=arrays["counts"],
            rows=int(arrays["rows"]),
        )

    def save(self, run: Path, record: RunRecord) -> str:
        """Keep the model in the run; return why that was not possible."""
        arrays = {
            "terms": np.frombuffer("\n".join(self.terms).encode(), np.uint8),
            "idf": self.idf,
            "counts": self.counts,
            "rows": self.rows,
        }
        return regression.save(run, record, self.name, arrays | self.regression._asdict())


def _vectorizer(**settings: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, **settings)
