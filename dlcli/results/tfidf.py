"""TF-IDF logistic regression, by scikit-learn: the baseline of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.dataset import IntArray
from dlcli.core.record import RunRecord
from dlcli.errors import DataError
from dlcli.results import regression
from dlcli.results.regression import Regression
from dlcli.text.config import TextPipelineConfig
from dlcli.text.encoded import EncodedTexts
from dlcli.text.features import tfidf_weights
from dlcli.text.pipeline import TextPipeline

# More texts than this teach a baseline little; it is fitted on a seeded sample of so many.
MOST_FITTED = 50_000
# Weights of the regression, over all classes: what its solver needs of memory is about 160 bytes each.
_MOST_WEIGHTS = 5_000_000
# What scikit-learn's `TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)` counts, in a tenth of its time.
_SETTINGS = TextPipelineConfig(
    ngrams=(1, 2),
    features="counts",
    min_count=1,
    min_df=2,
    min_word_length=2,
    punctuation="drop",
    strip_html=False,
)


@dataclass(frozen=True, kw_only=True)
class Tfidf:
    """A fitted model.

    Attributes:
        pipeline: counts words and pairs of words.
        regression: of their weights.
        counts: int (classes,), training items of each class.
    """

    name = "tfidf"
    title = "TF-IDF logistic regression"
    about = "scikit-learn, words and pairs of words"

    pipeline: TextPipeline
    regression: Regression
    counts: IntArray

    @property
    def rows(self) -> int:
        """How many training items it was fitted on."""
        return self.pipeline.texts

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
        settings = _SETTINGS.model_copy(update={"max_features": _MOST_WEIGHTS // classes})
        try:
            pipeline, bags = TextPipeline.adapt((texts[row] for row in kept.tolist()), settings)
        except DataError:
            raise DataError("no word is in two of the training texts") from None
        return Tfidf(
            pipeline=pipeline,
            regression=Regression.learn(_matrix(bags, pipeline), labels[kept]),
            counts=np.bincount(labels, minlength=classes),
        )

    def outputs(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the probabilities of the classes for each text, float (n, classes)."""
        return self.regression.probabilities(_matrix(self.pipeline.encode(texts), self.pipeline))

    @staticmethod
    def load(run: Path, record: RunRecord) -> Tfidf | None:
        """Return the model that is kept in a run, if there is one: see `regression.load`."""
        arrays = regression.load(run, record, Tfidf.name)
        if arrays is None:
            return None
        pipeline = TextPipeline.of_terms(
            _SETTINGS,
            arrays["terms"].tobytes().decode().split("\n"),
            counts=arrays["occurrences"],
            texts=arrays["texts"],
            number=int(arrays["rows"]),
        )
        return Tfidf(
            pipeline=pipeline,
            regression=Regression(arrays["weights"], arrays["intercept"]),
            counts=arrays["counts"],
        )

    def save(self, run: Path, record: RunRecord) -> str:
        """Keep the model in the run; return why that was not possible."""
        vocabulary = self.pipeline.vocabulary
        arrays = {
            "terms": np.frombuffer("\n".join(vocabulary.terms).encode(), np.uint8),
            "occurrences": vocabulary.counts,
            "texts": vocabulary.texts,
            "counts": self.counts,
            "rows": self.rows,
        }
        return regression.save(run, record, self.name, arrays | self.regression._asdict())


def _matrix(bags: EncodedTexts, pipeline: TextPipeline) -> Any:
    """Return the weights of n-grams as a sparse matrix, float64 (texts, n-grams)."""
    from scipy.sparse import csr_matrix

    starts = np.append(0, np.cumsum(bags.lengths))
    weights = tfidf_weights(bags, pipeline.idf, sublinear=True)
    return csr_matrix((weights, bags.ids - 1, starts), shape=(len(bags), len(pipeline.vocabulary)))
