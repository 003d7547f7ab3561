"""Changed copies of a folder of pictures with Augmentor, its threads on, as its documentation has it.

    python augmentor_copies.py FOLDER OUT COPIES

Prints the seconds without imports.
"""

import sys
import time
from pathlib import Path

import Augmentor


def main() -> None:
    """Do the work and print its seconds."""
    source, out, copies = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    count = len(list(source.rglob("*.jpg")))
    started = time.perf_counter()
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        pipeline = Augmentor.Pipeline(str(folder), str((out / folder.name).absolute()))
        # Its rotation goes to 25 degrees, and with more than 15 fails on pictures nearly three times as wide as high;
        # it has no shift.
        pipeline.rotate(probability=1, max_left_rotation=15, max_right_rotation=15)
        pipeline.shear(probability=1, max_shear_left=1, max_shear_right=1)
        pipeline.zoom(probability=1, min_factor=1.0, max_factor=1.2)
        pipeline.flip_left_right(probability=0.5)
        pipeline.sample(copies * len(list(folder.glob("*.jpg"))), multi_threaded=True)
    print(f"{time.perf_counter() - started:.3f} {count}")


if __name__ == "__main__":
    main()
