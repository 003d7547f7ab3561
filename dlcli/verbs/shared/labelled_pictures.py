"""The data of a verb that trains on pictures: its settings, and how it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.core.config import option
from dlcli.core.progress import Progress
from dlcli.vision.config import ImageDataConfig

if TYPE_CHECKING:
    from dlcli.core.dataset import Corpus


class LabelledPicturesConfig(ImageDataConfig):
    """Which labelled pictures are trained on."""

    section = "Data"

    data: Path | None = option(
        None,
        "A folder with a folder of pictures for each class (train/ and val/ count), a table of paths and labels, an "
        ".npz or IDX archive; or data:NAME, see dlcli data.",
        argument=True,
        metavar="DATA",
    )
    val: Path | None = option(None, "Validation data, read as DATA is; without it a part of DATA.", metavar="DATA")
    skip_bad: bool = option(
        False,
        "Decode all pictures first and leave bad ones out (skipped.jsonl names them); else they end the training.",
    )


def read_labelled(config: Any, progress: Progress) -> Corpus:
    """Read and split the pictures of a training.

    Args:
        config: of a verb, with the settings of `LabelledPicturesConfig`, `val_split` and `seed`.
        progress: told of stages.
    """
    from dlcli.vision.corpus import read_corpus

    return read_corpus(
        config.data,
        val=config.val,
        columns=config,
        skip_bad=config.skip_bad,
        val_split=config.val_split,
        seed=config.seed,
        progress=progress,
    )


def keep_given(corpus: Corpus, config: Any) -> Corpus:
    """Take from what fits the pictures that which the user has said otherwise."""
    for name in [name for name in corpus.settings if getattr(config, name) is not None]:
        del corpus.settings[name]
    return corpus
