"""Data for a run of any domain: how it is read, where nothing else is said, as the training read its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dlcli.core.config import Config, flag, option
from dlcli.core.lines import BadRow, Skipped, strict
from dlcli.core.progress import Progress
from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.core.dataset import LabelledItem
    from dlcli.core.record import RunRecord

    _Row = tuple[str, dict[str, Any]]

_Item = TypeVar("_Item")

# Settings that are for one domain alone.
_ONLY = {"text": ("text_column", "encoding"), "vision": ("path_column",)}
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
            each item with the cells of its row, or with the name of its file; and what is wrong with others.

        Raises:
            UsageError: a setting is for another domain, or the path does not exist.
            DataError: the content is not as expected.
        """
        self.require_fitting(record)
        if record.domain == "vision":
            from dlcli.vision.read import scan_pictures

            return scan_pictures(path, column=self._of(record, "path_column"))
        from dlcli.text.read import scan_texts

        encoding = self.encoding or (record.config["encoding"] if own else "utf-8")
        found = scan_texts(path, column=self._of(record, "text_column"), encoding=encoding)
        return (one if isinstance(one, BadRow) else one[:2] for one in found)

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
    """What is done about rows and pictures that cannot be used."""

    section = "Data"

    skip_bad: bool = option(
        False, "Leave out bad rows and pictures (all are decoded first); else they are named and end the command."
    )

    def usable(
        self, scanned: Iterator[_Row | BadRow], record: RunRecord, source: object, progress: Progress
    ) -> Iterator[_Row]:
        """Yield the items that can be used with what stands beside them; pictures when all were looked at.

        Raises:
            DataError: some cannot be used, without `skip_bad`; none can.
        """
        if record.domain != "vision":
            skipped = Skipped()
            rows = strict(scanned, skipped if self.skip_bad else None)
            yield from self._saying(rows, skipped, source, progress)
            return
        from dlcli.vision.screening import screen

        found = screen(scanned, source=source, skip_bad=self.skip_bad, progress=progress)
        self._say(_all(found.bad), "picture", source, progress)
        yield from found.rows

    def _saying(self, rows: Iterator[_Item], skipped: Skipped, source: object, progress: Progress) -> Iterator[_Item]:
        """Yield texts; when all have passed, say which were left out."""
        yield from rows
        self._say(skipped, "row", source, progress)

    @staticmethod
    def _say(skipped: Skipped, thing: str, source: object, progress: Progress) -> None:
        if skipped.count:
            count = f"{skipped.count:,} bad {thing}s are" if skipped.count > 1 else f"1 bad {thing} is"
            progress.warn(f"{source}: {count} left out: {skipped}")


def _all(bad: Iterable[BadRow]) -> Skipped:
    skipped = Skipped()
    for one in bad:
        skipped(one)
    return skipped


class TrainedLabelledConfig(SkipBadConfig):
    """How labelled items are read for a run."""

    section = "Data"

    label_column: str | None = option(None, "Column of the label; without it that of the training.", metavar="NAME")

    def labelled(self, record: RunRecord, path: Path, progress: Progress) -> tuple[Iterator[LabelledItem], Skipped]:
        """Read items with their labels, texts in bounded memory: `test/` where a folder has it.

        Args:
            record: of the run.
            path: what `evaluate` takes.
            progress: told of pictures, all of which are looked at first.

        Returns:
            the items, and what was left out: all of it when the last item has come.

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
            skipped = _all(found.bad)
            self._say(skipped, "picture", path, progress)
            looked_at = zip(found.rows, found.looks, strict=True)
            return (row._replace(content=look.digest.hex()) for row, look in looked_at), skipped
        from dlcli.text.config import TextDataConfig
        from dlcli.text.read import labelled_texts

        texts = TextDataConfig(
            text_column=self._of(record, "text_column"),
            label_column=label_column,
            encoding=self.encoding or "utf-8",
        )
        skipped = Skipped()
        rows = labelled_texts(path, texts, part="test", skip=skipped if self.skip_bad else None)
        return self._saying(rows, skipped, path, progress), skipped
