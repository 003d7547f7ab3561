"""Text, as the core sees a domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.backend import keras
from dlcli.core.progress import Progress
from dlcli.text import models
from dlcli.text.config import TextModelConfig, TextPipelineConfig
from dlcli.text.encoded import EncodedTexts
from dlcli.text.pipeline import TextPipeline


@dataclass(frozen=True, kw_only=True)
class FittedText:
    """The pipeline of the training texts, the model for it, and the texts as ids."""

    pipeline: TextPipeline
    model: keras.Model
    inputs: EncodedTexts


class TextDomain:
    """Texts: strings in, padded n-gram ids to the model.

    Args:
        pipeline: how text becomes ids.
        model: which model is built for them.
        seed: of every random draw in the model.
        output: what the model ends in: `softmax`, or `linear` for scores.
    """

    def __init__(
        self, pipeline: TextPipelineConfig, model: TextModelConfig, *, seed: int, output: str = "softmax"
    ) -> None:
        self.pipeline = pipeline
        self.model = model
        self.seed = seed
        self.output = output

    def fit(self, items: Sequence[str], labels: np.ndarray[Any, Any], classes: int, progress: Progress) -> FittedText:
        """Count the n-grams of the training texts and build the model for them."""
        progress.begin(f"reading the n-grams of {len(items):,} texts")
        pipeline, inputs = TextPipeline.adapt(items, self.pipeline)
        progress.detail(f"{len(pipeline.vocabulary):,} n-grams, {len(inputs.ids) / len(items):.0f} a text")
        model = models.build(self.model, pipeline, inputs, labels, classes=classes, seed=self.seed, output=self.output)
        return FittedText(pipeline=pipeline, model=model, inputs=inputs)


def load_pipeline(folder: Path) -> TextPipeline:
    """Load the pipeline of a finished text run."""
    return TextPipeline.load(folder)
