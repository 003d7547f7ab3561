"""The textbook's way to train on a frozen base: the base inside the model, `trainable = False`, `fit`.

    python frozen_vgg16.py PICTURES --epochs 5 [--size 150] [--take BATCHES] [--precision mixed_bfloat16]

As lecture notes have it (Chollet 2017, section 5.3): VGG16 with random weights, flatten, 256 units, softmax; a fifth of
the pictures to validate on. Prints one JSON object: the seconds of each epoch, and how many batches there are of both.
"""

import argparse
import json
import os
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras


class Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Look at the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Note what has passed."""
        self.seconds.append(time.perf_counter() - self._start)


parser = argparse.ArgumentParser()
parser.add_argument("pictures")
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--size", type=int, default=150)
parser.add_argument("--take", type=int, default=0, help="batches of 32 to train on; 0: all")
parser.add_argument("--precision", default="float32")
options = parser.parse_args()

keras.mixed_precision.set_global_policy(options.precision)
training, validation = keras.utils.image_dataset_from_directory(
    options.pictures,
    label_mode="categorical",
    image_size=(options.size, options.size),
    batch_size=32,
    validation_split=0.2,
    subset="both",
    seed=0,
)
classes = len(training.class_names)
batches = [int(data.cardinality()) for data in (training, validation)]
if options.take:
    training, validation = training.take(options.take), validation.take(max(1, options.take // 4))
base = keras.applications.VGG16(include_top=False, weights=None, input_shape=(options.size, options.size, 3))
base.trainable = False
model = keras.Sequential(
    [
        keras.Input((options.size, options.size, 3)),
        keras.layers.Rescaling(1 / 255),
        base,
        keras.layers.Flatten(),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dense(classes, activation="softmax", dtype="float32"),
    ]
)
model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
clock = Clock()
model.fit(training, validation_data=validation, epochs=options.epochs, callbacks=[clock], verbose=0)
print(json.dumps({"epochs": clock.seconds, "batches": batches}))
