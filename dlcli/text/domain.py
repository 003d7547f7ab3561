"""Text, as the core sees a domain."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

from dlcli.core.domain import Fitted
from dlcli.core.progress import Progress
from dlcli.core.record import RunRecord
from dlcli.errors import UsageError
from dlcli.text import models
from dlcli.text.config import TextModelConfig, TextPipelineConfig
from dlcli.text.cooccurrence import learn_vectors
from dlcli.text.encoded import EncodedTexts
from dlcli.text.ensemble import load_pipeline as load_pipeline  # What `serving.Predictor` looks for here.
from dlcli.text.pipeline import TextPipeline
from dlcli.text.vectors import read_vectors


def variants(record: RunRecord, count: int) -> NoReturn:
    """Refuse test-time augmentation: texts are not drawn."""
    raise UsageError("--tta is for pictures, and the run is of texts")


class TextDomain:
    """Texts: strings in, padded n-gram ids to the model.

    Args:
        pipeline: how text becomes ids.
        model: which model is built for them.
        seed: of every random draw in the model.
        output: what the model ends in: `softmax`, or `linear` for scores.
        unlabelled: the texts that `model.unlabelled` names, if it does; read once.
    """

    def __init__(
        self,
        pipeline: TextPipelineConfig,
        model: TextModelConfig,
        *,
        seed: int,
        output: str = "softmax",
        unlabelled: Iterable[str] | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.model = model
        self.seed = seed
        self.output = output
        self.unlabelled = unlabelled

    def fit(self, items: Sequence[str], labels: np.ndarray[Any, Any], classes: int, progress: Progress) -> Fitted:
        """Count the n-grams of the training texts and build the model for them."""
        kind = "words" if self.pipeline.ordered else "n-grams"
        progress.begin(f"reading the {kind} of {len(items):,} texts")
        pipeline, inputs = TextPipeline.adapt(items, self.pipeline)
        progress.detail(f"{len(pipeline.vocabulary):,} {kind}, {len(inputs.ids) / len(items):.0f} a text")
        _warn_of_empty(inputs, progress)
        model = models.build(
            self.model,
            pipeline,
            inputs,
            labels,
            classes=classes,
            seed=self.seed,
            output=self.output,
            vectors=self._vectors(pipeline, items, progress),
        )
        return Fitted(pipeline=pipeline, model=model, inputs=inputs, labels=labels)

    def adopt(
        self, pipeline: TextPipeline, model: Any, items: Sequence[str], labels: np.ndarray[Any, Any], progress: Progress
    ) -> Fitted:
        """Return the training texts as ids of another run's pipeline."""
        progress.begin(f"reading {len(items):,} texts")
        return Fitted(pipeline=pipeline, model=model, inputs=pipeline.encode(items), labels=labels)

    def _vectors(self, pipeline: TextPipeline, items: Sequence[str], progress: Progress) -> np.ndarray[Any, Any] | None:
        """Read or learn the vectors of the vocabulary's words: float32 (words, dim), NaN where there is none."""
        if self.unlabelled is not None:
            progress.begin(f"learning word vectors from {self.model.unlabelled}")
            dim = self.model.resolved_model().embedding_dim
            assert dim is not None, "each sequence model has one"
            texts = itertools.chain(items, self.unlabelled)
            return learn_vectors(texts, pipeline, dim=dim, seed=self.seed, progress=progress)
        if self.model.vectors is None:
            return None
        found = read_vectors(self.model.vectors, list(pipeline.vocabulary.terms), progress)
        progress.note(found.describe(pipeline.vocabulary.counts))
        return np.where(found.found[:, np.newaxis], found.rows, np.float32("nan"))


def _warn_of_empty(inputs: EncodedTexts, progress: Progress) -> None:
    """Tell of texts of which nothing is left: cleaning dropped their words, or none of them is kept."""
    if empty := int((inputs.lengths == 0).sum()):
        progress.warn(f"nothing is left of {empty:,} of {len(inputs):,} training texts after cleaning and cutting")
