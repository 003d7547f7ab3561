"""Settings of text: where it is read from, how it becomes ids, and the models that take them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, PlainSerializer, field_validator, model_validator

from dlcli.core.config import Config, Counts, ShareOrCount, flag, option
from dlcli.core.training_config import LayerConfig
from dlcli.text.defaults import MODEL_DEFAULTS

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


def _shown_range(orders: tuple[int, int]) -> int | str:
    return orders[1] if orders[0] == 1 else f"{orders[0]}-{orders[1]}"


NgramRange = Annotated[
    tuple[int, int], BeforeValidator(_ngram_range), PlainSerializer(_shown_range, when_used="json-unless-none")
]
"""The shortest and the longest n-gram; `2` on the command line or in a recipe is 1 to 2."""


class TextColumnConfig(Config):
    """How texts are read."""

    section = "Data"

    text_column: str = option("text", "Column of the text.", metavar="NAME")
    encoding: str = option("utf-8", "Encoding of the file; a byte-order mark is understood.")


class TextDataConfig(TextColumnConfig):
    """How texts and labels are read."""

    section = "Data"

    label_column: str = option("label", "Column of the label.", metavar="NAME")


class SkipRowsConfig(Config):
    """What is done about rows that cannot be used."""

    section = "Data"

    skip_bad: bool = option(
        False,
        "Leave bad rows out, and name them all in skipped.jsonl; else the first one is named and ends the command.",
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

    @field_validator("stop_words")
    @classmethod
    def _from_any_directory(cls, name: str) -> str:
        """Keep the whole path of a file, so that a resume finds it from any directory."""
        return str(Path(name).resolve()) if name not in ("none", "sklearn") and Path(name).is_file() else name


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


_RECURRENT = ("rnn", "lstm", "gru", "bilstm", "bigru", "cnn-lstm")
_CONVOLUTIONAL = ("cnn", "cnn-lstm")
SEQUENCE_MODELS = tuple(MODEL_DEFAULTS)
"""The models that read a text's words in their order."""

# Which models take a setting; what is not listed goes with all.
_TAKEN_BY: dict[str, tuple[str, ...]] = {
    "embedding_dim": ("ngram", *SEQUENCE_MODELS),
    "ngram_dropout": ("ngram",),
    "hidden_units": ("ngram", "mlp", *SEQUENCE_MODELS),
    "units": SEQUENCE_MODELS,
    "layers": (*_RECURRENT, "transformer"),
    "kernel_sizes": _CONVOLUTIONAL,
    "recurrent_dropout": _RECURRENT,
    "embedding_dropout": SEQUENCE_MODELS,
    "word_dropout": SEQUENCE_MODELS,
    "pooling": SEQUENCE_MODELS,
    "heads": ("transformer",),
    "vectors": SEQUENCE_MODELS,
    "unlabelled": SEQUENCE_MODELS,
    "freeze_embedding": SEQUENCE_MODELS,
    "freeze_epochs": SEQUENCE_MODELS,
}
# Models with an activation of their own, also without dense layers.
_ACTIVATED = (*_CONVOLUTIONAL, "transformer")


class TextModelConfig(LayerConfig):
    """Which model, and its settings; `resolved_model` fills in what was not given."""

    section = "Model"

    model: Literal["bow", "ngram", "mlp", "cnn", "rnn", "lstm", "gru", "bilstm", "bigru", "cnn-lstm", "transformer"] = (
        option(
            "ngram",
            "The model: 'bow' is a linear one on a bag of words, 'ngram' averages n-gram embeddings, as fastText does, "
            "'mlp' has dense layers on a bag of words; the others read the words in their order.",
        )
    )

    embedding_dim: int | None = option(
        None,
        "Size of the embedding of an n-gram or a word; without it the model's own: for ngram 64 before hidden layers, "
        "else 1 for two classes, and the number of classes (at most 64) for more.",
        ge=1,
    )
    ngram_dropout: float = option(0.0, "Share of each text's n-grams that is left out at a training step.", ge=0, lt=1)
    hidden_units: Counts = option(
        (), "Sizes of hidden layers between embedding and classes, such as 64,32 (Iyyer et al. 2015).", metavar="SIZES"
    )
    units: int | None = option(
        None,
        "Units of a recurrent layer in each direction, filters of a convolution of each width, width of the "
        "transformer's hidden layer; without it the model's own.",
        ge=1,
    )
    layers: int | None = option(None, "Recurrent or transformer layers, one on the other (1).", ge=1, le=100)
    kernel_sizes: Counts = option(
        (),
        "Widths of the convolution in words, such as 3,4,5, side by side (Kim 2014); cnn-lstm takes one.",
        metavar="SIZES",
    )
    recurrent_dropout: float = option(
        0.0,
        "Share of a recurrent layer's units whose memory is left out, the same ones at each word of a text (Gal & "
        "Ghahramani 2016).",
        ge=0,
        lt=1,
    )
    embedding_dropout: float | None = option(
        None,
        "Share of the embedding's dimensions that is left out, the same ones for each word of a text; without it the "
        "model's own.",
        ge=0,
        lt=1,
    )
    word_dropout: float | None = option(
        None,
        "Share of each text's words that is left out at a training step (Iyyer et al. 2015); without it the model's "
        "own.",
        ge=0,
        lt=1,
    )
    pooling: Literal["max", "mean", "last"] | None = option(
        None, "How the outputs for the words become one: largest, mean, or that for the last word; without it max."
    )
    heads: int | None = option(None, "Heads of the transformer's attention (4).", ge=1)
    vectors: Path | None = option(
        None, "File of pretrained word vectors that the embedding starts with, such as GloVe's.", metavar="FILE"
    )
    unlabelled: Path | None = option(
        None,
        "Texts without labels, a table or a folder: from them and the training texts word vectors are learnt, which "
        "the embedding starts with. Labels that they have are not looked at.",
        metavar="DATA",
    )
    freeze_embedding: bool = option(False, "Do not train the embedding.")
    freeze_epochs: int | None = option(None, "Do not train the embedding in the first epochs, this many.", ge=1)

    @model_validator(mode="after")
    def _fitting_the_model(self) -> Self:
        for name, takers in _TAKEN_BY.items():
            if getattr(self, name) and self.model not in takers:
                raise ValueError(f"{self._beside_the_model(flag(name))}; it goes with {', '.join(takers)}")
        if self.pooling == "last" and self.model not in _RECURRENT:
            raise ValueError(f"{self._beside_the_model('--pooling last')}; it goes with {', '.join(_RECURRENT)}")
        for name in ("activation", "activity_l1", "activity_l2"):
            own = self.model == "mlp" or (name == "activation" and self.model in _ACTIVATED)
            if getattr(self, name) and not self.hidden_units and not own:
                raise ValueError(f"{flag(name)} is for hidden layers: give --hidden-units too, such as 64")
        return self

    def _beside_the_model(self, given: str) -> str:
        return f"{given} does not go with --model {self.model}"

    @model_validator(mode="after")
    def _fitting_each_other(self) -> Self:
        if self.model == "cnn-lstm" and len(self.kernel_sizes) > 1:
            raise ValueError(f"--kernel-sizes: cnn-lstm takes one, got {len(self.kernel_sizes)}")
        if len(set(self.kernel_sizes)) < len(self.kernel_sizes):
            raise ValueError("--kernel-sizes: each can be given once; give more --units")
        if self.vectors and self.unlabelled:
            raise ValueError("--unlabelled and --vectors do not go together: each says what the embedding starts with")
        for name in ("freeze_embedding", "freeze_epochs"):
            if getattr(self, name) and not (self.vectors or self.unlabelled):
                raise ValueError(f"{flag(name)} is for --vectors or --unlabelled: random ones need training")
        if self.freeze_embedding and self.freeze_epochs:
            raise ValueError("--freeze-embedding and --freeze-epochs do not go together: the first has no end")
        filled = self.resolved_model()
        if filled.heads and filled.embedding_dim and filled.embedding_dim % filled.heads:
            raise ValueError(f"--heads {filled.heads} must divide the size of the embedding, {filled.embedding_dim}")
        return self

    def resolved_model(self) -> Self:
        """Return the settings with a sequence model's defaults filled in; vectors bring a dimension of their own."""
        own = {"dropout": 0.0} | MODEL_DEFAULTS.get(self.model, {})
        missing = {name: value for name, value in own.items() if getattr(self, name) in (None, ())}
        if self.vectors is not None and self.embedding_dim is None:
            missing.pop("embedding_dim", None)
        return self.model_copy(update=missing)
