"""What a domain (text, pictures) gives the core: the whole interface, so that a third domain needs no change here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from dlcli.core.progress import Progress
from dlcli.errors import DlcliError


class Inputs(Protocol):
    """Items made ready for a model, from which the core takes batches."""

    lengths: np.ndarray[Any, Any]
    """int64, the size of each item along its padded axis; all ones where nothing is padded."""

    widths: tuple[int, ...]
    """Ascending sizes that batches are padded to (`batches.bucket_widths`); without any, each to its longest item."""

    problem: DlcliError | None
    """What is wrong with an item that a batch could not be made of; known once that batch was asked for."""

    def __len__(self) -> int:
        """Return the number of items."""

    def dataset(self, numbers: Any) -> Any:
        """Turn a `tf.data.Dataset` of batches of row numbers into one of the model's inputs, in the same order."""


@runtime_checkable
class DrawnInputs(Inputs, Protocol):
    """Inputs that are drawn anew for each epoch, such as augmented pictures."""

    mixes: bool
    """Whether the items of a batch are mixed with one another: the last with the first, and so on."""

    def begin_epoch(self, epoch: int) -> None:
        """Make the draws those of an epoch, counted from 0: a function of it, the seed and the item alone."""

    def shares(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return how much of each item of a batch is its own, float32 (rows,); the rest is the other's."""


class Pipeline(Protocol):
    """Raw items to a model's input: what a run keeps in `pipeline/`, and an export carries inside."""

    input_name: str
    """What an export calls its input: `text`, `image`."""

    together: int
    """As many items as are encoded together where more stream past, so that memory stays bounded."""

    def encode(self, items: Sequence[str]) -> Inputs:
        """Make raw items (texts, paths of pictures) ready for the model."""

    def save(self, folder: Path) -> None:
        """Write all that `encode` needs into a folder, which is made if need be."""

    def raw(self, items: Sequence[str]) -> Sequence[str | bytes]:
        """Return what `graph` takes for items: texts as they are, the bytes of pictures."""

    def graph(self, raw: Any) -> Any:
        """Return the model's input for a tensor of strings, in TensorFlow ops alone, for an export."""


class Domain(Protocol):
    """One training's view of its domain."""

    def fit(self, items: Sequence[str], labels: np.ndarray[Any, Any], classes: int, progress: Progress) -> Fitted:
        """Learn the pipeline from the training items and build the model for it."""

    def adopt(
        self, pipeline: Any, model: Any, items: Sequence[str], labels: np.ndarray[Any, Any], progress: Progress
    ) -> Fitted:
        """Make the training items ready for the pipeline and the model of a finished run."""


def _nothing(progress: Progress) -> None:
    """Do nothing."""


@dataclass(kw_only=True)
class Fitted:
    """What a training begins with.

    Attributes:
        pipeline: what the run keeps of how raw items become the input of `whole`.
        model: what is trained: uncompiled, with an output a class.
        inputs: the training items, as `model` takes them.
        labels: label ids, one for each of `inputs`.
        encoder: makes other items ready for `model`; without it the pipeline does.
        whole: the model that the run keeps, where `model` is only its upper part.
        layer_lr: factors on the learning rate of single layers, by name.
        origin: what the training begins with besides its data, such as the hash of a pretrained base: a resume wants
            the same.
        prepare: does what takes long and can be gone on with, once there is a run: features of a frozen base.
        pretend: instead of it, tells how long that takes, and has `inputs` of the right shape alone: for a dry run.
    """

    pipeline: Pipeline
    model: Any
    inputs: Inputs
    labels: np.ndarray[Any, Any]
    encoder: Callable[[Sequence[str]], Inputs] | None = None
    whole: Any = None
    layer_lr: Mapping[str, float] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Progress], None] = _nothing
    pretend: Callable[[Progress], None] = _nothing

    def __post_init__(self) -> None:
        self.whole = self.whole or self.model

    def encode(self, items: Sequence[str]) -> Inputs:
        """Make other items than those of the training ready for `model`."""
        return self.encoder(items) if self.encoder else self.pipeline.encode(items)
