"""Data for a run of any domain: how it is read, where nothing else is said, as the training read its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.core.config import Config, flag, option
from dlcli.core.progress import Progress
from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.core.dataset import LabelledItem
    from dlcli.core.lines import BadRow
    from dlcli.core.run import RunRecord

# Settings that are for one domain alone.
_ONLY = {"text": ("text_column", "encoding"), "vision": ("path_column", "skip_bad")}
_ITEMS = {"text": "texts", "vision": "pictures"}


def spread(items: Sequence[str], count: int) -> list[str]:
    """Return so many items at equal distances, not the first ones alone; all of fewer."""
    count = min(count, len(items))
    return [items[number * len(items) // count] for number in range(count)]


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

    def unlabelled(
        self, record: RunRecord, path: Path, *, own: bool = False
    ) -> Iterator[tuple[str, dict[str, Any]] | BadRow]:
        """Read items one after the other, in bounded memory.

        Args:
            record: of the run.
            path: what `predict` takes.
            own: whether that is the run's training data, which has the encoding of the training.

        Yields:
            each item with the cells of its row, or with the name of its file; what is wrong with others, where they
            are pictures.

        Raises:
            UsageError: a setting is for another domain, or the path does not exist.
            DataError: the content is not as expected.
        """
        self.require_fitting(record)
        if record.domain == "vision":
            from dlcli.vision.read import scan_pictures

            return scan_pictures(path, column=self._of(record, "path_column"))
        from dlcli.text.read import read_texts

        encoding = self.encoding or (record.config["encoding"] if own else "utf-8")
        return read_texts(path, column=self._of(record, "text_column"), encoding=encoding)

    def require_fitting(self, record: RunRecord) -> None:
        """Raise a `UsageError` when a setting is for runs of another domain."""
        for domain, names in _ONLY.items():
            for name in names:
                if domain != record.domain and getattr(self, name, None):
                    raise UsageError(f"{flag(name)} is for {_ITEMS[domain]}, and the run is of {_ITEMS[record.domain]}")

    def _of(self, record: RunRecord, name: str) -> str:
        """Return a setting as given, or that of the training."""
        return str(getattr(self, name) or record.config[name])


class SkipBadConfig(TrainedDataConfig):
    """What is done about pictures that cannot be used."""

    section = "Data"

    skip_bad: bool = option(
        False, "Decode all pictures first and leave bad ones out; else they are named and end the command."
    )

    def note_skipped(self, bad: Sequence[BadRow], source: object, progress: Progress) -> None:
        """Say how many pictures were left out, if any were."""
        if bad:
            from dlcli.vision.raw import named

            count = f"{len(bad):,} bad pictures are" if len(bad) > 1 else "1 bad picture is"
            progress.warn(f"{source}: {count} left out: {named(bad)}")


class TrainedLabelledConfig(SkipBadConfig):
    """How labelled items are read for a run."""

    section = "Data"

    label_column: str | None = option(None, "Column of the label; without it that of the training.", metavar="NAME")

    def labelled(self, record: RunRecord, path: Path, progress: Progress) -> tuple[Iterator[LabelledItem], int]:
        """Read items with their labels, texts in bounded memory: `test/` where a folder has it.

        Args:
            record: of the run.
            path: what `evaluate` takes.
            progress: told of pictures, all of which are looked at first.

        Returns:
            the items, and how many were left out.

        Raises:
            UsageError: a setting is for another domain, or the path does not exist.
            DataError: the content is not as expected.
        """
        self.require_fitting(record)
        label_column = self._of(record, "label_column")
        if record.domain == "vision":
            from dlcli.vision.config import ImageDataConfig
            from dlcli.vision.read import scan_labelled
            from dlcli.vision.screening import screen

            columns = ImageDataConfig(path_column=self._of(record, "path_column"), label_column=label_column)
            pictures = scan_labelled(path, columns, part="test")
            found = screen(pictures, source=path, skip_bad=self.skip_bad, progress=progress)
            self.note_skipped(found.bad, path, progress)
            looked_at = zip(found.rows, found.looks, strict=True)
            return (row._replace(content=look.digest.hex()) for row, look in looked_at), len(found.bad)
        from dlcli.text.config import TextDataConfig
        from dlcli.text.read import labelled_texts

        texts = TextDataConfig(
            text_column=self._of(record, "text_column"),
            label_column=label_column,
            encoding=self.encoding or "utf-8",
        )
        return labelled_texts(path, texts, part="test"), 0
