"""Four changed copies of each picture with Keras' ImageDataGenerator, as its tutorials write them to the disk.

    python generator_copies.py FOLDER OUT COPIES FILES

Takes about FILES pictures; prints the seconds without imports.
"""

import sys
import time
import warnings
from pathlib import Path

import keras

warnings.filterwarnings("ignore", message="Please import")


def main() -> None:
    """Do the work and print its seconds."""
    source, out, copies = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    files = sorted(source.rglob("*.jpg"))
    files = files[:: max(1, len(files) // int(sys.argv[4]))]  # From all classes.
    started = time.perf_counter()
    generator = keras.src.legacy.preprocessing.image.ImageDataGenerator(
        rotation_range=40,
        width_shift_range=0.2,
        height_shift_range=0.2,
        shear_range=0.2,
        zoom_range=0.2,
        horizontal_flip=True,
        fill_mode="nearest",
    )
    for path in files:
        folder = out / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        pixels = keras.utils.img_to_array(keras.utils.load_img(path))
        batches = generator.flow(
            pixels[None], batch_size=1, save_to_dir=folder, save_prefix=path.stem, save_format="jpeg"
        )
        for _ in range(copies):
            next(batches)
    print(f"{time.perf_counter() - started:.3f} {len(files)}")


if __name__ == "__main__":
    main()
