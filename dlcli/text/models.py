"""The text models, by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlcli.core.backend import keras
from dlcli.core.devices import Auto
from dlcli.text import bag_models, sequence_models
from dlcli.text.config import SEQUENCE_MODELS, TextModelConfig
from dlcli.text.encoded import EncodedTexts
from dlcli.text.pipeline import TextPipeline


def auto(config: TextModelConfig) -> Auto:
    """Return what `--precision auto` turns on for a model; `--jit auto` turns nothing on.

    XLA takes half a minute and more to compile the widths of a recurrent model, and its steps were slower on the
    processors without AMX that were measured (docs/text.md); a GPU has kernels of its own for the loop over the words.
    """
    return Auto(bfloat16=("gpu",)) if config.model in SEQUENCE_MODELS else Auto()


def build(
    config: TextModelConfig,
    pipeline: TextPipeline,
    texts: EncodedTexts,
    labels: np.ndarray[Any, Any],
    *,
    classes: int,
    seed: int,
    output: str = "softmax",
    vectors: np.ndarray[Any, Any] | None = None,
) -> keras.Model:
    """Build a model for the input that a pipeline gives.

    Args:
        config: which model, and its settings.
        pipeline: what turns text into the model's input.
        texts: the training texts.
        labels: the label id of each.
        classes: the number of classes.
        seed: of every random draw in the model.
        output: activation of the last layer: `softmax`, or `linear` for scores.
        vectors: float32 (words, dim), the first embeddings of a sequence model's words.

    Returns:
        an uncompiled model; float32 (batch, classes) out.
    """
    common: dict[str, Any] = {
        "vocabulary_size": len(pipeline.vocabulary),
        "classes": classes,
        "config": config,
        "seed": seed,
        "output": output,
    }
    if config.model == "ngram":
        return bag_models.ngram(texts, labels, **common)
    if config.model in ("bow", "mlp"):
        build_bag = bag_models.bow if config.model == "bow" else bag_models.mlp
        return build_bag(valued=texts.values is not None, **common)
    longest = pipeline.config.max_length
    assert isinstance(longest, int), "resolved when the pipeline was made"
    return sequence_models.build(**common, max_length=longest, vectors=vectors)
