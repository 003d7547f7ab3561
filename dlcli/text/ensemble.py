"""The pipelines of an ensemble of text runs as one; and the loading of any text run's pipeline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core import ensemble as ensemble  # Registers the layer, which a run's model is loaded with.
from dlcli.core.backend import tf
from dlcli.core.domain import Inputs, Pipeline
from dlcli.core.files import write_text
from dlcli.errors import DlcliError, ModelError
from dlcli.text.pipeline import TextPipeline

_SETTINGS = "ensemble.json"


class EnsemblePipeline(tf.Module):  # type: ignore[misc]
    """The graph from raw strings to the inputs of all members: each has its own words and ids.

    Args:
        members: their pipelines, in the order of the model's inputs.
    """

    input_name = TextPipeline.input_name
    together = TextPipeline.together

    def __init__(self, members: Sequence[Pipeline]) -> None:
        super().__init__()
        self.members = list(members)

    def encode(self, texts: Sequence[str]) -> EnsembleInputs:
        """Turn texts into the inputs of all members."""
        return EnsembleInputs([member.encode(texts) for member in self.members])

    def raw(self, items: Sequence[str]) -> Sequence[str]:
        """Return the texts as they are: `graph` takes them so."""
        return items

    def graph(self, texts: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Turn texts, strings of shape (n,), into the inputs of all members, one after the other."""
        return tuple(tf.nest.flatten([member.graph(texts) for member in self.members]))

    def save(self, folder: Path) -> None:
        """Write the members' pipelines into `1/`, `2/`, ... in a folder, which is made if need be."""
        folder.mkdir(exist_ok=True)
        for number, member in enumerate(self.members, start=1):
            member.save(folder / str(number))
        write_text(folder / _SETTINGS, json.dumps({"members": len(self.members)}) + "\n")


class EnsembleInputs:
    """The same texts as each member takes them.

    Args:
        members: their inputs, equally many items.
    """

    widths: tuple[int, ...] = ()

    def __init__(self, members: Sequence[Inputs]) -> None:
        self.members = members
        self.problem: DlcliError | None = None
        # Batches are sorted by it and bounded in their padded cells, so the longest form of a text counts.
        self.lengths: np.ndarray[Any, Any] = np.max([member.lengths for member in members], axis=0)

    def __len__(self) -> int:
        return len(self.lengths)

    def dataset(self, numbers: tf.data.Dataset) -> tf.data.Dataset:
        """Return the batches of the given rows: a tuple of all members' tensors, one after the other."""
        together = tf.data.Dataset.zip(tuple(member.dataset(numbers) for member in self.members))
        return together.map(lambda *members: tuple(tf.nest.flatten(members)))


def load_pipeline(folder: Path) -> TextPipeline | EnsemblePipeline:
    """Load the pipeline of a finished text run, be it one model's or an ensemble's.

    Raises:
        ModelError: a file is missing or damaged.
    """
    if not (folder / _SETTINGS).exists():
        return TextPipeline.load(folder)
    try:
        number = int(json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))["members"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / _SETTINGS} is damaged ({error})") from error
    return EnsemblePipeline([load_pipeline(folder / str(member)) for member in range(1, number + 1)])
