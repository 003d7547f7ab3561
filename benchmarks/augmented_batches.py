"""Batches of augmented pictures as training has them: pictures a second.

python augmented_batches.py cached|files FOLDER SECONDS
"""

import sys
import time
from pathlib import Path

import numpy as np

from dlcli.core.backend import tf
from dlcli.core.progress import Silent
from dlcli.vision.augmentation.config import AugmentationConfig
from dlcli.vision.augmentation.engine import Augmentation
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.decode import decode
from dlcli.vision.pixels import decode_items
from dlcli.vision.walk import listing

SIZE, BATCH, CACHED = 150, 32, 512
CONFIG = ImagePipelineConfig(image_size=(SIZE, SIZE), resize="stretch", color="rgb")


def cached(folder: Path) -> tf.data.Dataset:
    """Return batches of decoded pictures with their numbers."""
    pixels, _ = decode_items(listing(folder).pictures[:CACHED], CONFIG, progress=Silent())
    numbers = tf.data.Dataset.range(len(pixels)).batch(BATCH)
    return numbers.map(
        lambda rows: (tf.numpy_function(lambda some: pixels[some], [rows], tf.uint8), rows), num_parallel_calls=1
    )


def files(folder: Path) -> tf.data.Dataset:
    """Return batches of pictures that are read and decoded, with their numbers."""
    items = listing(folder).pictures
    order = np.random.default_rng(0).permutation(len(items))
    pairs = tf.data.Dataset.from_tensor_slices(([items[number] for number in order], order))
    decoded = pairs.map(
        lambda path, number: (decode(tf.io.read_file(path), CONFIG), number), num_parallel_calls=tf.data.AUTOTUNE
    )
    return decoded.batch(BATCH)


def main() -> None:
    """Measure and print."""
    source, folder, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    augmentation = Augmentation(AugmentationConfig(augment="book"), seed=0)

    def change(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return augmentation.apply(images, rows, 0)

    batches = {"cached": cached, "files": files}[source](folder).repeat()
    batches = batches.map(
        lambda images, rows: tf.numpy_function(change, [images, rows], tf.uint8), num_parallel_calls=2
    ).prefetch(4)
    iterator = iter(batches)
    for _ in range(2):
        next(iterator)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        count += int(next(iterator).shape[0])
    print(f"{count / (time.perf_counter() - started):.1f}")


if __name__ == "__main__":
    main()
