"""Settings of text: where it is read from, how it becomes ids, and the models that take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from dlcli.core.config import Config, Counts, option
from dlcli.core.training_config import LayerConfig


class TextDataConfig(Config):
    """How texts and labels are read."""

    section = "Data"

    text_column: str = option("text", "Column of the text.", metavar="NAME")
    label_column: str = option("label", "Column of the label.", metavar="NAME")
    encoding: str = option("utf-8", "Encoding of the file; a byte-order mark is understood.")


class TrainedTextConfig(Config):
    """How texts are read for a run, which remembers its training's columns."""

    section = "Data"

    text_column: str | None = option(None, "Column of the text; without it that of the training.", metavar="NAME")
    encoding: str = option("utf-8", "Encoding of the file; a byte-order mark is understood.")


class TrainedLabelledTextConfig(TrainedTextConfig):
    """How texts and labels are read for a run."""

    section = "Data"

    label_column: str | None = option(None, "Column of the label; without it that of the training.", metavar="NAME")

    def columns(self, trained: Mapping[str, Any]) -> TextDataConfig:
        """Return how to read the data, given the settings of the training."""
        return TextDataConfig(
            text_column=self.text_column or trained["text_column"],
            label_column=self.label_column or trained["label_column"],
            encoding=self.encoding,
        )


class TextPipelineConfig(Config):
    """How raw text becomes ids: part of a run and of every export."""

    section = "Text"

    lowercase: bool = option(True, "Turn text into lower case.")
    strip_html: bool = option(True, "Drop HTML tags and entities such as <br /> and &amp;.")
    punctuation: Literal["keep", "drop"] = option("keep", "Keep each punctuation mark as a token, or drop it.")
    ngrams: int = option(2, "Longest n-grams: 1 takes words alone, 2 also pairs of neighbours, and so on.", ge=1, le=8)
    max_features: int | None = option(None, "Keep only this many n-grams, the most frequent.", ge=1)
    min_count: int | None = option(
        None,
        "Drop n-grams that occur fewer times than this in the training texts; without it 1, and 2 where there are more "
        "than two million to count.",
        ge=1,
    )


class TextModelConfig(LayerConfig):
    """Which model, and its settings."""

    section = "Model"

    model: Literal["ngram"] = option("ngram", "The model: 'ngram' averages n-gram embeddings, as fastText does.")

    embedding_dim: int | None = option(
        None,
        "Size of an n-gram's embedding; without it 64 before hidden layers, else 1 for two classes, and the number of "
        "classes (at most 64) for more.",
        ge=1,
    )
    ngram_dropout: float = option(0.0, "Share of each text's n-grams that is left out at a training step.", ge=0, lt=1)
    hidden_units: Counts = option(
        (), "Sizes of hidden layers between embedding and classes, such as 64,32 (Iyyer et al. 2015).", metavar="SIZES"
    )

    @model_validator(mode="after")
    def _hidden(self) -> Self:
        for name in ("activation", "activity_l1", "activity_l2"):
            if getattr(self, name) and not self.hidden_units:
                raise ValueError(
                    f"--{name.replace('_', '-')} is for hidden layers: give --hidden-units too, such as 64"
                )
        return self
