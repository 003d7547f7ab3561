"""Data for a run of any domain: how it is read, where nothing else is said, as the training read its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.core.config import Config, flag, option
from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.core.dataset import LabelledItem
    from dlcli.core.run import RunRecord

# Settings that are for one domain alone.
_ONLY = {"text": ("text_column", "encoding"), "vision": ("path_column",)}
_ITEMS = {"text": "texts", "vision": "pictures"}


class TrainedDataConfig(Config):
    """How items are read for a run, which remembers its training's columns."""

    section = "Data"

    text_column: str | None = option(None, "Column of the text; without it that of the training.", metavar="NAME")
    encoding: str | None = option(
        None, "Encoding of a file of texts (utf-8); a byte-order mark is understood.", metavar="NAME"
    )
    path_column: str | None = option(
        None, "Column of the picture's path; without it that of the training.", metavar="NAME"
    )

    def unlabelled(self, record: RunRecord, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        """Read items one after the other, in bounded memory.

        Args:
            record: of the run.
            path: what `predict` takes.

        Yields:
            each item with the cells of its row, or with the name of its file.

        Raises:
            UsageError: a setting is for another domain, or the path does not exist.
            DataError: the content is not as expected.
        """
        self.require_fitting(record)
        if record.domain == "vision":
            from dlcli.vision.read import read_pictures

            return read_pictures(path, column=self._of(record, "path_column"))
        from dlcli.text.read import read_texts

        return read_texts(path, column=self._of(record, "text_column"), encoding=self.encoding or "utf-8")

    def require_fitting(self, record: RunRecord) -> None:
        """Raise a `UsageError` when a setting is for runs of another domain."""
        for domain, names in _ONLY.items():
            for name in names:
                if domain != record.domain and getattr(self, name) is not None:
                    raise UsageError(f"{flag(name)} is for {_ITEMS[domain]}, and the run is of {_ITEMS[record.domain]}")

    def _of(self, record: RunRecord, name: str) -> str:
        """Return a setting as given, or that of the training."""
        return str(getattr(self, name) or record.config[name])


class TrainedLabelledConfig(TrainedDataConfig):
    """How labelled items are read for a run."""

    section = "Data"

    label_column: str | None = option(None, "Column of the label; without it that of the training.", metavar="NAME")

    def labelled(self, record: RunRecord, path: Path) -> Iterator[LabelledItem]:
        """Read items with their labels, one after the other, in bounded memory: `test/` where a folder has it.

        Raises:
            UsageError: a setting is for another domain, or the path does not exist.
            DataError: the content is not as expected.
        """
        self.require_fitting(record)
        label_column = self._of(record, "label_column")
        if record.domain == "vision":
            from dlcli.vision.config import ImageDataConfig
            from dlcli.vision.read import labelled_pictures

            pictures = ImageDataConfig(path_column=self._of(record, "path_column"), label_column=label_column)
            return labelled_pictures(path, pictures, part="test")
        from dlcli.text.config import TextDataConfig
        from dlcli.text.read import labelled_texts

        texts = TextDataConfig(
            text_column=self._of(record, "text_column"),
            label_column=label_column,
            encoding=self.encoding or "utf-8",
        )
        return labelled_texts(path, texts, part="test")
