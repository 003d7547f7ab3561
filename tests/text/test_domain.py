"""Text as the core sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dlcli.core.progress import Silent
from dlcli.text.config import TextModelConfig, TextPipelineConfig
from dlcli.text.domain import TextDomain, load_pipeline
from text import reference

TEXTS, LABELS = reference.reviews()


class Told(Silent):
    def __init__(self) -> None:
        self.stages: list[str] = []
        self.details: list[str] = []

    def begin(self, task: str, total: int | None = None) -> None:
        self.stages.append(task)

    def detail(self, text: str) -> None:
        self.details.append(text)


def test_fit_learns_the_pipeline_and_builds_the_model_for_it(tmp_path: Path) -> None:
    labels = np.array([int(label == "pos") for label in LABELS])
    domain = TextDomain(TextPipelineConfig(ngrams=2, min_count=2), TextModelConfig(ngram_dropout=0.2), seed=7)
    told = Told()
    fitted = domain.fit(TEXTS, labels, 2, told)

    counter = reference.count(TEXTS, 2)
    size = sum(n >= 2 for n in counter.values())
    assert len(fitted.pipeline.vocabulary) == size
    layer = fitted.model.get_layer("ngram_weights")
    assert (layer.vocabulary_size, layer.dropout, layer.seed) == (size, 0.2, 7)
    assert fitted.model.output_shape == (None, 2)
    assert len(fitted.inputs) == len(TEXTS)
    np.testing.assert_array_equal(fitted.inputs.ids, fitted.pipeline.encode(TEXTS).ids)
    assert told.stages == ["reading the n-grams of 3,000 texts"]
    assert told.details == [f"{size:,} n-grams, {len(fitted.inputs.ids) / len(TEXTS):.0f} a text"]

    fitted.pipeline.save(tmp_path)
    np.testing.assert_array_equal(load_pipeline(tmp_path).encode(TEXTS[:9]).ids, fitted.pipeline.encode(TEXTS[:9]).ids)


def test_texts_that_are_not_trained_on_do_not_matter() -> None:
    """The vocabulary is that of the training texts alone: nothing leaks in from the validation part."""
    domain = TextDomain(TextPipelineConfig(ngrams=2), TextModelConfig(), seed=0)
    fitted = domain.fit(TEXTS[:50], np.arange(50) % 2, 2, Silent())
    assert set(fitted.pipeline.vocabulary.terms) == set(reference.count(TEXTS[:50], 2))
