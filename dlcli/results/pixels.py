"""Logistic regression on small pictures: the baseline of pictures, which knows colours and places and no shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dlcli.core.dataset import IntArray
from dlcli.core.progress import Silent
from dlcli.core.record import RunRecord
from dlcli.results import regression
from dlcli.results.regression import Regression
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.pixels import decode_items
from dlcli.vision.raw import require_good

# More pictures than this teach a baseline little; it is fitted on a seeded sample of so many.
MOST_FITTED = 10_000
# Its pictures have sides of at most so many pixels: 768 weights a class.
_SIDE = 16


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """A fitted model.

    Attributes:
        config: how small its pictures are.
        regression: the weights of their pixels, from 0 to 1.
        counts: int (classes,), training items of each class.
        rows: how many of them it was fitted on.
    """

    name = "pixels"
    title = "logistic regression on pixels"
    about = f"scikit-learn, pictures of {_SIDE} x {_SIDE} pixels at most"

    config: ImagePipelineConfig
    regression: Regression
    counts: IntArray
    rows: int

    @staticmethod
    def learn(
        items: Sequence[str], labels: IntArray, classes: int, *, pictures: ImagePipelineConfig, seed: int
    ) -> Pixels:
        """Fit on training pictures.

        Args:
            items: all of them; beyond 10,000 a seeded sample is taken, with each class in it.
            labels: int (n,).
            classes: how many there are; each has items.
            pictures: the run's settings, of which size and channels count.
            seed: of the sample.

        Raises:
            DataError: a picture cannot be decoded.
        """
        config = _small(pictures)
        kept = regression.sample(labels, MOST_FITTED, seed=seed)
        return Pixels(
            config=config,
            regression=Regression.learn(_features([items[row] for row in kept.tolist()], config), labels[kept]),
            counts=np.bincount(labels, minlength=classes),
            rows=len(kept),
        )

    def outputs(self, items: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the probabilities of the classes for each picture, float (n, classes)."""
        return self.regression.probabilities(_features(items, self.config))

    @staticmethod
    def load(run: Path, record: RunRecord) -> Pixels | None:
        """Return the model that is kept in a run, if there is one: see `regression.load`."""
        arrays = regression.load(run, record, Pixels.name)
        if arrays is None:
            return None
        return Pixels(
            config=_small(pictures_of(record)),
            regression=Regression(arrays["weights"], arrays["intercept"]),
            counts=arrays["counts"],
            rows=int(arrays["rows"]),
        )

    def save(self, run: Path, record: RunRecord) -> str:
        """Keep the model in the run; return why that was not possible."""
        arrays = {"counts": self.counts, "rows": self.rows}
        return regression.save(run, record, self.name, arrays | self.regression._asdict())


def pictures_of(record: RunRecord) -> ImagePipelineConfig:
    """Return how a run of pictures reads them."""
    return ImagePipelineConfig(**{name: record.config[name] for name in ImagePipelineConfig.model_fields})


def _small(pictures: ImagePipelineConfig) -> ImagePipelineConfig:
    height, width = pictures.image_size or (_SIDE, _SIDE)
    return pictures.model_copy(update={"image_size": (min(height, _SIDE), min(width, _SIDE))})


def _features(items: Sequence[str], config: ImagePipelineConfig) -> npt.NDArray[np.float64]:
    pixels, bad = decode_items(items, config, progress=Silent())
    require_good(bad)
    return pixels.reshape(len(items), -1).astype(np.float64) / 255
