"""The recipes of pictures, run on tiny data of the same form as their data sets."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Outcome
from verbs.helpers import record

Command = Callable[..., Outcome]

# What makes each network small enough for a test; fashion-mnist-cnn-bn is fashion-mnist-best without augmentation.
SMALL = {
    "fashion-mnist-cnn": ["train.filters=4,8", "train.hidden-units=16"],
    "fashion-mnist-best": ["train.filters=4,8", "train.hidden-units=16"],
    "fashion-mnist-rnn": ["train.units=16"],
}


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write bytes as MNIST's files are: the type, the number of dimensions, each of them, then all numbers."""
    header = bytes((0, 0, 8, array.ndim)) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


@pytest.fixture
def clothes(tmp_path: Path) -> Path:
    """Return a folder with the four files of Fashion-MNIST, with far fewer pictures: each class has a bright row."""
    folder = tmp_path / "clothes"
    folder.mkdir()
    random = np.random.default_rng(2)
    for part, count in (("train", 200), ("t10k", 50)):
        labels = np.arange(count) % 10
        pictures = random.integers(0, 60, (count, 28, 28))
        for picture, label in zip(pictures, labels, strict=True):
            picture[2 + 2 * label : 5 + 2 * label, 4:24] += 180
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", pictures)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return folder


@pytest.mark.parametrize("name", SMALL)
def test_a_recipe_trains_and_judges(dlcli: Command, clothes: Path, name: str) -> None:
    changes = [f"data={clothes}", "train.epochs=1", "train.out=o", *SMALL[name]]
    outcome = dlcli("run", name, *(part for change in changes for part in ("--set", change)), "--json", "-q")
    assert outcome.code == 0, outcome.err
    steps = json.loads(outcome.out)["steps"]
    assert steps["train"]["items"] == {"training": 180, "validation": 20}
    assert steps["judge"]["n"] == 50
    config = record(Path("o"))["config"]
    assert (config["image_size"], config["color"], config["rescale"]) == ("28", "grayscale", "1/255")
