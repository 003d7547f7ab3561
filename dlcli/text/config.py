"""Settings of text: where it is read from, how it becomes ids, and the models that take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, model_validator

from dlcli.core.config import Config, Counts, ShareOrCount, flag, option
from dlcli.core.training_config import LayerConfig

_LONGEST_NGRAM = 8
# What stands for a text before the models that read bags of n-grams, the default first; all others read ids.
_FEATURES_OF = {"ngram": ("binary",), "bow": ("tfidf", "counts", "binary"), "mlp": ("tfidf", "counts", "binary")}
_OF_SEQUENCES = ("max_length", "padding", "truncating")


def _ngram_range(value: Any) -> Any:
    """Read `2` as (1, 2) and `2-3` as (2, 3)."""
    if isinstance(value, str):
        shortest, dash, longest = value.strip().partition("-")
        if not (shortest.isdecimal() and longest.isdecimal() == bool(dash)):
            raise ValueError(f"expected a length such as 2, or a range such as 1-3, got {value!r}")
        value = (int(shortest), int(longest)) if dash else int(shortest)
    found = (1, value) if isinstance(value, int) else tuple(value)
    if len(found) != 2 or not 1 <= found[0] <= found[1] <= _LONGEST_NGRAM:
        raise ValueError(f"expected lengths from 1 to {_LONGEST_NGRAM}, the shorter one first, got {value!r}")
    return found


NgramRange = Annotated[tuple[int, int], BeforeValidator(_ngram_range)]
"""The shortest and the longest n-gram; `2` on the command line or in a recipe is 1 to 2."""


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


class CleaningConfig(Config):
    """How raw text becomes words: one description for `clean`, `tokenize`, `train-text` and every export."""

    section = "Cleaning"

    lowercase: bool = option(True, "Turn text into lower case.")
    strip_html: bool = option(True, "Drop HTML tags and entities such as <br /> and &amp;.")
    strip_urls: bool = option(False, "Drop web addresses.")
    strip_accents: bool = option(False, "Take accents off letters and undo ligatures: café becomes cafe.")
    numbers: Literal["keep", "drop", "mask"] = option("keep", "Keep numbers, drop them, or turn each into 0.")
    punctuation: Literal["keep", "drop"] = option("keep", "Keep each punctuation mark as a token, or drop it.")
    analyzer: Literal["word", "char"] = option(
        "word", "What a token is: a word, or a character, for scripts without spaces (with --ngrams 1-3, say)."
    )
    min_word_length: int = option(1, "Drop words of fewer characters; punctuation marks are no words.", ge=1)
    stop_words: str = option(
        "none",
        "Words to drop: none, sklearn (318 English ones), nltk:LANGUAGE, or a file with a word a line.",
        metavar="LIST",
    )
    stem: str = option(
        "none",
        "Cut words to their stems: porter, lancaster (both English) or snowball:LANGUAGE. Words that training did not "
        "see stay as they are.",
        metavar="STEMMER",
    )


class TextPipelineConfig(CleaningConfig):
    """How raw text becomes ids: part of a run and of every export."""

    section = "Text"

    ngrams: NgramRange | None = option(
        None,
        "Lengths of n-grams: 2 takes words and pairs of neighbours, 2-3 pairs and triples alone; without it 2 for the "
        "model ngram, else 1.",
        metavar="N|N-M",
    )
    min_count: int | None = option(
        None,
        "Drop n-grams that occur fewer times than this in the training texts; without it 1, and 2 where there are more "
        "than two million to count.",
        ge=1,
    )
    min_df: ShareOrCount | None = option(
        None, "Drop n-grams that are in fewer training texts than this: a share (0.02, 2%) or a count."
    )
    max_df: ShareOrCount | None = option(
        None, "Drop n-grams that are in more training texts than this: a share (0.5, 50%) or a count."
    )
    max_features: int | None = option(None, "Keep only this many n-grams, the most frequent.", ge=1)
    features: Literal["binary", "counts", "tfidf", "ids"] | None = option(
        None,
        "What stands for a text: whether each n-gram is in it, how often, its TF-IDF weight (rows of length one), or "
        "the ids of its words in their order; without it what the model takes.",
    )
    max_length: ShareOrCount | None = option(
        None, "Cut longer texts to this many words: a count, or a share of texts that stay whole (95%). For ids."
    )
    padding: Literal["pre", "post"] | None = option(
        None, "Fill shorter texts up with 0 before or behind (post). For ids."
    )
    truncating: Literal["pre", "post"] | None = option(
        None, "Cut longer texts at their beginning or at their end (post). For ids."
    )

    @model_validator(mode="after")
    def _of_sequences(self) -> Self:
        if self.features is not None and self.features != "ids":
            for name in _OF_SEQUENCES:
                if getattr(self, name) is not None:
                    raise ValueError(f"{flag(name)} is for --features ids, and these are {self.features}")
        if self.features == "ids" and self.ngrams is not None and self.ngrams != (1, 1):
            raise ValueError("--ngrams does not go with --features ids, which are of single words in their order")
        return self

    def for_model(self, model: str) -> Self:
        """Return the settings with what a model takes in the place of what nobody gave.

        Raises:
            ValueError: a setting that does not go with the model.
        """
        taken = _FEATURES_OF.get(model, ("ids",))
        features = self.features or taken[0]
        if features not in taken:
            raise ValueError(f"--features {features} does not go with --model {model}, which takes {', '.join(taken)}")
        if features == "ids" and self.ngrams not in (None, (1, 1)):
            raise ValueError(f"--ngrams is for ngram, bow and mlp: --model {model} reads single words in their order")
        if features != "ids":
            for name in _OF_SEQUENCES:
                if getattr(self, name) is not None:
                    raise ValueError(f"{flag(name)} does not go with --model {model}, which reads no sequences")
        ngrams = self.ngrams or ((1, 2) if model == "ngram" else (1, 1))
        return self.model_copy(update={"features": features, "ngrams": ngrams})

    @property
    def orders(self) -> tuple[int, int]:
        """The shortest and the longest n-gram."""
        return self.ngrams or (1, 1)

    @property
    def ordered(self) -> bool:
        """Whether a text is the ids of its words in their order, and not a bag of n-grams."""
        return self.features == "ids"


class TextModelConfig(LayerConfig):
    """Which model, and its settings."""

    section = "Model"

    model: Literal["ngram", "bow", "mlp"] = option(
        "ngram", "The model: 'ngram' averages n-gram embeddings, as fastText does."
    )

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
