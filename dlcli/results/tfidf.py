"""TF-IDF logistic regression, by scikit-learn: the baseline of texts; kept as arrays, never as a pickle."""

from __future__ import annotations

import functools
import json
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.dataset import IntArray
from dlcli.core.files import replacing
from dlcli.core.run import RunRecord
from dlcli.errors import DataError, SurroundingsError, from_os_error

# More texts than this teach a baseline little; it is fitted on a seeded sample of so many.
MOST_FITTED = 50_000
# Weights of the regression, over all classes: what its solver needs of memory is about 160 bytes each.
_MOST_WEIGHTS = 5_000_000
_FILE = Path("baselines") / "tfidf.npz"
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Tfidf:
    """A fitted model.

    Attributes:
        terms: words and pairs of words, in the order of the columns.
        idf: float (terms,).
        weights: float (classes, terms); (1, terms) for two classes.
        intercept: float (classes,), or (1,).
        counts: int (classes,), training items of each class.
        rows: how many of them it was fitted on.
    """

    terms: list[str]
    idf: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    intercept: npt.NDArray[np.float64]
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
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        kept = np.arange(len(texts))
        if len(texts) > MOST_FITTED:
            order = np.random.Generator(np.random.Philox(key=[seed, 0])).permutation(len(texts))
            first = np.unique(labels[order], return_index=True)[1]
            kept = np.union1d(order[:MOST_FITTED], order[first])
        vectorizer = _vectorizer(min_df=2, max_features=_MOST_WEIGHTS // classes)
        try:
            matrix = vectorizer.fit_transform([texts[row] for row in kept.tolist()])
        except ValueError:
            raise DataError("no word is in two of the training texts") from None
        with warnings.catch_warnings():
            # A baseline that is not quite at its optimum is one too.
            warnings.simplefilter("ignore", ConvergenceWarning)
            regression = LogisticRegression(max_iter=200).fit(matrix, labels[kept])
        return Tfidf(
            terms=vectorizer.get_feature_names_out().tolist(),
            idf=vectorizer.idf_,
            weights=regression.coef_,
            intercept=regression.intercept_,
            counts=np.bincount(labels, minlength=classes),
            rows=len(kept),
        )

    def outputs(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the probabilities of the classes for each text, float (n, classes)."""
        scores = np.asarray(self._vectorizer.transform(texts) @ self.weights.T) + self.intercept
        if scores.shape[1] == 1:
            scores = np.hstack([np.zeros_like(scores), scores])
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities: npt.NDArray[np.float64] = scores / scores.sum(axis=1, keepdims=True)
        return probabilities

    @functools.cached_property
    def _vectorizer(self) -> Any:
        vectorizer = _vectorizer(vocabulary={term: column for column, term in enumerate(self.terms)})
        vectorizer.idf_ = self.idf
        return vectorizer

    @staticmethod
    def load(run: Path, record: RunRecord) -> Tfidf | None:
        """Return the model that is kept in a run; None when it is not there, damaged, or of other data or versions."""
        try:
            with np.load(run / _FILE, allow_pickle=False) as file:
                about = json.loads(file["about"].tobytes())
                if about != _about(record, rows=about["rows"]):
                    return None
                found = Tfidf(
                    terms=file["terms"].tobytes().decode().split("\n"),
                    rows=int(about["rows"]),
                    **{name: file[name] for name in ("idf", "weights", "intercept", "counts")},
                )
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None
        return found

    def save(self, run: Path, record: RunRecord) -> str:
        """Keep the model in the run; return why that was not possible."""
        about = json.dumps(_about(record, rows=self.rows)).encode()
        file = run / _FILE
        try:
            file.parent.mkdir(exist_ok=True)
            with replacing(file) as temporary:
                np.savez(
                    temporary,
                    about=np.frombuffer(about, np.uint8),
                    terms=np.frombuffer("\n".join(self.terms).encode(), np.uint8),
                    idf=self.idf,
                    weights=self.weights,
                    intercept=self.intercept,
                    counts=self.counts,
                )
        except (OSError, SurroundingsError) as error:
            return (from_os_error(error, file) if isinstance(error, OSError) else error).message
        return ""


def _vectorizer(**settings: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, **settings)


def _about(record: RunRecord, *, rows: int) -> dict[str, Any]:
    """Return what must be the same for a kept model to be the run's."""
    import sklearn

    return {
        "format": _FORMAT,
        "data": record.data.get("fingerprint"),
        "labels": record.labels,
        "scikit-learn": sklearn.__version__,
        "rows": rows,
    }
