"""Changed copies of a folder of pictures with albumentations and OpenCV, on two processes.

    python albumentations_copies.py FOLDER OUT COPIES

Prints the seconds without imports, the processes' start among them.
"""

import multiprocessing
import os
import shutil
import sys
import time
from pathlib import Path

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations
import cv2

SOURCE, OUT, COPIES = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
CHANGE = albumentations.Compose(
    [
        albumentations.Affine(
            rotate=(-40, 40),
            translate_percent={"x": (-0.2, 0.2), "y": (-0.2, 0.2)},
            shear={"x": (-0.2, 0.2), "y": (0, 0)},
            scale={"x": (0.8, 1.2), "y": (0.8, 1.2)},
            border_mode=cv2.BORDER_REPLICATE,
            p=1,
        ),
        albumentations.HorizontalFlip(p=0.5),
    ]
)


def copy(path: Path) -> None:
    """Write the original and the copies of one picture."""
    target = OUT / path.parent.name
    shutil.copyfile(path, target / path.name)
    picture = cv2.imread(str(path))
    for number in range(1, COPIES + 1):
        changed = CHANGE(image=picture)["image"]
        cv2.imwrite(str(target / f"{path.stem}-{number}.jpg"), changed, [cv2.IMWRITE_JPEG_QUALITY, 90])


def begin() -> None:
    """Leave a process one thread: there are as many processes as processors."""
    cv2.setNumThreads(1)


def main() -> None:
    """Do the work and print its seconds."""
    files = sorted(SOURCE.rglob("*.jpg"))
    for folder in {path.parent.name for path in files}:
        (OUT / folder).mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(2, initializer=begin) as pool:
        pool.map(copy, files, chunksize=8)
    print(f"{time.perf_counter() - started:.3f} {len(files)}")


if __name__ == "__main__":
    main()
