"""A pretrained base with the head that it was published with, ready to answer with ImageNet's classes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.backend import keras
from dlcli.core.forward import Forward
from dlcli.errors import ModelError
from dlcli.vision import architectures, networks
from dlcli.vision.bases import Base
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.pipeline import PicturePipeline


class BasePredictor:
    """A base of the registry; answers as a `Predictor` of a run does.

    Args:
        base: which.
        weights: the file of its weights, those of the head among them.
        classes: Keras' file of ImageNet's class names.
        batch_size: pictures that are answered together; without it as many as fit the network.
        batch_size: pictures that are answered together; without it as many as fit the base.

    Raises:
        ModelError: one of the files is damaged, or of another base.
    """

    probabilistic = True

    def __init__(self, base: Base, *, weights: Path, classes: Path, batch_size: int | None = None) -> None:
        side = base.default_size
        self.pipeline = PicturePipeline(ImagePipelineConfig(image_size=(side, side), color="rgb"))
        self.labels = read_classes(classes)
        network = architectures.build(base, height=side, width=side, weights=weights, full=True)
        pixels = keras.Input((side, side, 3), dtype="uint8", name="pixels")
        outputs = networks.attach(network, networks.preprocess(pixels, base.preprocessing))
        self.model = keras.Model(pixels, outputs, name=base.name)
        self._forward = Forward(self.model, batch_size=batch_size)

    def outputs(self, items: Sequence[str]) -> np.ndarray[Any, Any]:
        """Classify pictures.

        Args:
            items: their paths.

        Returns:
            float32 (items, 1000), the probability of each class.
        """
        return self._forward(self.pipeline.encode(items))


def read_classes(path: Path) -> list[str]:
    """Return the names of ImageNet's classes, in the order of a network's outputs.

    Args:
        path: Keras' `imagenet_class_index.json`: for each number the class' WordNet ID and its name.

    Raises:
        ModelError: it is something else.
    """
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        pairs = [(str(wordnet), str(name)) for wordnet, name in (index[str(n)] for n in range(len(index)))]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} holds no class names ({error})", hint="Remove it, and it is fetched anew") from None
    counts = Counter(name for _, name in pairs)
    # Two birds and machines are a crane: a name stands for one class.
    return [name if counts[name] == 1 else f"{name} ({wordnet})" for wordnet, name in pairs]
