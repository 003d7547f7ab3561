"""What identifies a model's weights."""

from __future__ import annotations

import hashlib

import numpy as np

from dlcli.core.backend import keras


def hash_of_weights(model: keras.Model) -> str:
    """Return the SHA-256 of a model's weights, as hexadecimal digits."""
    found = hashlib.sha256()
    for weight in model.weights:
        found.update(np.ascontiguousarray(weight.numpy()).tobytes())
    return found.hexdigest()
