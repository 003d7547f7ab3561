"""Batches of augmented pictures from Keras: its legacy ImageDataGenerator, and its Random* layers.

    python generator_batches.py generator|layers cached|files FOLDER SECONDS

The seven operations of Chollet's "Deep Learning with Python", 150x150, batches of 32. Prints pictures a second, after
two batches to get going.
"""

import itertools
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

warnings.filterwarnings("ignore", message="Please import")
SIZE, BATCH, CACHED = 150, 32, 512


def from_generator(source: str, folder: Path) -> Any:
    """Return batches of ImageDataGenerator."""
    generator = keras.src.legacy.preprocessing.image.ImageDataGenerator(
        rescale=1 / 255,
        rotation_range=40,
        width_shift_range=0.2,
        height_shift_range=0.2,
        shear_range=0.2,
        zoom_range=0.2,
        horizontal_flip=True,
        fill_mode="nearest",
    )
    if source == "files":
        return generator.flow_from_directory(folder, target_size=(SIZE, SIZE), batch_size=BATCH, class_mode="binary")
    return generator.flow(pictures(folder), batch_size=BATCH)


def from_layers(source: str, folder: Path) -> Any:
    """Return batches of the Random* layers in a tf.data pipeline on all processors, as Keras' guides have it."""
    change = keras.Sequential(
        [
            keras.layers.RandomRotation(40 / 360, fill_mode="nearest"),
            keras.layers.RandomTranslation(0.2, 0.2, fill_mode="nearest"),
            keras.layers.RandomShear(0.0035, 0.0035, fill_mode="nearest"),
            keras.layers.RandomZoom(0.2, 0.2, fill_mode="nearest"),
            keras.layers.RandomFlip("horizontal"),
            keras.layers.Rescaling(1 / 255),
        ]
    )
    if source == "files":
        batches = keras.utils.image_dataset_from_directory(
            folder, image_size=(SIZE, SIZE), batch_size=BATCH, label_mode=None, verbose=False
        )
    else:
        batches = tf.data.Dataset.from_tensor_slices(pictures(folder)).batch(BATCH)
    batches = batches.map(lambda batch: change(batch, training=True), num_parallel_calls=tf.data.AUTOTUNE)
    return itertools.cycle(batches.repeat().prefetch(tf.data.AUTOTUNE))


def pictures(folder: Path) -> Any:
    """Return some decoded pictures."""
    files = sorted(folder.rglob("*.jpg"))[:CACHED]
    return np.stack([np.asarray(keras.utils.load_img(path, target_size=(SIZE, SIZE))) for path in files])


def main() -> None:
    """Measure and print."""
    kind, source, folder, seconds = sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])
    batches = iter({"generator": from_generator, "layers": from_layers}[kind](source, folder))
    for _ in range(2):
        next(batches)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        batch = next(batches)
        count += len(batch[0]) if isinstance(batch, tuple) else int(batch.shape[0])
    print(f"{count / (time.perf_counter() - started):.1f}")


if __name__ == "__main__":
    main()
