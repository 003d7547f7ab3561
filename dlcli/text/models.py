"""The text models, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlcli.core.backend import keras
from dlcli.core.devices import Auto
from dlcli.text import bag_models, sequence_models
from dlcli.text.config import SEQUENCE_MODELS, TextModelConfig
from dlcli.text.encoded import EncodedTexts
from dlcli.text.pipeline import TextPipeline

# XLA makes the loop over the words two to three times as fast on a CPU; a GPU has kernels for it.
_COMPILED = ("rnn", "lstm", "gru", "bilstm", "bigru", "cnn-lstm")
# Characters of training texts from which that is worth compiling up to eight shapes, some seconds each.
_WORTH_COMPILING = 5_000_000


def auto(config: TextModelConfig, texts: Sequence[str]) -> Auto:
    """Return what `--precision auto` and `--jit auto` turn on for a model and its training texts."""
    if config.model not in SEQUENCE_MODELS:
        return Auto()
    compiled = config.model in _COMPILED and sum(map(len, texts)) >= _WORTH_COMPILING
    return Auto(bfloat16=("gpu",), jit=("cpu",) if compiled else ())


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
