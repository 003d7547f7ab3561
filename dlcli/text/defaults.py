"""What each sequence model is made of, and how it is trained, where nothing else is asked for.

Chosen on validation data: 5,000 of the 25,000 IMDB training reviews, and tenths of 8,529 short sentences.
"""

from __future__ import annotations

from typing import Any

_LONG = {"max_features": 25_000, "max_length": 400}
_RECURRENT = {
    "embedding_dim": 64,
    "units": 64,
    "layers": 1,
    "pooling": "max",
    "embedding_dropout": 0.2,
    "recurrent_dropout": 0.0,
    "dropout": 0.3,
}

MODEL_DEFAULTS: dict[str, dict[str, Any]] = {
    "cnn": {
        "embedding_dim": 64,
        "units": 64,
        "kernel_sizes": (3, 4, 5),
        "pooling": "max",
        "embedding_dropout": 0.2,
        "dropout": 0.5,
    },
    "rnn": _RECURRENT,
    "lstm": _RECURRENT,
    "gru": _RECURRENT,
    "bilstm": _RECURRENT,
    "bigru": _RECURRENT,
    "cnn-lstm": _RECURRENT | {"kernel_sizes": (5,), "pooling": "max"},
    "transformer": {
        "embedding_dim": 64,
        "units": 128,
        "layers": 1,
        "heads": 4,
        "pooling": "max",
        "embedding_dropout": 0.2,
        "dropout": 0.2,
    },
}
"""The settings of each sequence model that are None until they are given."""

_TRAINED = {"optimizer": "adam", "lr": 0.001, "batch_size": 64, "label_smoothing": 0.05, "epochs": 8, "patience": 2}
SEQUENCE_DEFAULTS: dict[str, dict[str, Any]] = {name: _LONG | _TRAINED for name in MODEL_DEFAULTS}
"""How each sequence model is trained: the learning rate is adam's."""
