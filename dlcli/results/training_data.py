"""The data that a run was trained on, read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dlcli.core.dataset import Corpus
from dlcli.core.progress import Progress
from dlcli.core.record import RunRecord
from dlcli.errors import DataError


def read_again(record: RunRecord, progress: Progress) -> Corpus:
    """Read the data of a run and split it as the training did.

    Args:
        record: its `run.json`.
        progress: told of stages.

    Raises:
        DlcliError: it is not there any more, or has changed.
    """
    corpus = _corpus(record, progress)
    if corpus.fingerprint != record.data["fingerprint"]:
        raise DataError(f"{record.config['data']} has changed since the training")
    return corpus


def _corpus(record: RunRecord, progress: Progress) -> Corpus:
    config = record.config
    settings: dict[str, Any] = {
        "val": Path(config["val"]) if config.get("val") else None,
        "val_split": config["val_split"],
        "seed": record.seed,
        "progress": progress,
    }
    data = Path(config["data"])
    if record.domain == "vision":
        from dlcli.vision.config import ImageDataConfig
        from dlcli.vision.corpus import read_corpus as read_pictures

        columns = ImageDataConfig(**{name: config[name] for name in ImageDataConfig.model_fields})
        return read_pictures(data, columns=columns, skip_bad=config["skip_bad"], **settings)
    from dlcli.text.config import TextDataConfig
    from dlcli.text.corpus import read_corpus as read_texts

    text_columns = TextDataConfig(**{name: config[name] for name in TextDataConfig.model_fields})
    return read_texts(data, columns=text_columns, skip_bad=config.get("skip_bad", False), **settings)
