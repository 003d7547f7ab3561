"""A pretrained base that is built in a moment."""

from __future__ import annotations

from pathlib import Path


def save_base(path: Path, *, seed: int = 1) -> Path:
    """Write a network for pictures of 24 x 24 pixels from -1 to 1, with random weights, as a `.keras` file."""
    from dlcli.core.backend import keras

    layers = keras.layers
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((24, 24, 3), name="pixels")
    maps = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="block1_conv")(pixels)
    maps = layers.ReLU(name="block1_relu")(layers.BatchNormalization(name="block1_norm")(maps))
    maps = layers.Conv2D(12, 3, strides=2, padding="same", activation="relu", name="block2_conv")(maps)
    keras.Model(pixels, maps, name="tiny").save(path)
    return path
