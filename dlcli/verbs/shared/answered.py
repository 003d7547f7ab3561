"""What a run, or a pretrained base, answers: which of them, and for which items."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from dlcli.core.config import option
from dlcli.core.progress import Progress
from dlcli.errors import DataError, UsageError
from dlcli.resources import resolve_input
from dlcli.verbs.shared.trained_data import SkipBadConfig
from dlcli.vision import bases
from dlcli.vision.bases import Base

if TYPE_CHECKING:
    from dlcli.core.lines import BadRow
    from dlcli.core.record import RunRecord

    _Row = tuple[str, dict[str, Any]]

STDIN = "-"


class AnsweringConfig(SkipBadConfig):
    """Which run, or which base, answers."""

    section = "Data"

    run: Path = option(
        ...,
        "A finished run; or base:NAME, a pretrained base with ImageNet's classes (see dlcli pretrained).",
        argument=True,
        metavar="RUN",
    )

    def base(self) -> Base | None:
        """Return the base that takes the place of a run, if one does.

        Raises:
            UsageError: there is no such base, or it has no classes of its own.
        """
        if not bases.is_reference(self.run):
            return None
        base = bases.referred(self.run)
        if base.full is None:
            raise UsageError(
                f"the base {base.name} has no classes of its own",
                hint=f"Train a head for yours: dlcli finetune DATA --base {base.name}",
            )
        return base

    def record(self, base: Base | None) -> RunRecord:
        """Return the record of the run, or what one would say of a base: that it takes pictures."""
        from dlcli.core.record import RunRecord, read_record
        from dlcli.vision.config import ImageDataConfig

        if base is None:
            return read_record(self.run)
        return RunRecord(verb="predict", domain="vision", config={**ImageDataConfig().model_dump(), "base": base.name})

    def predictor(self, base: Base | None, progress: Progress, *, tta: int = 1, batch_size: int | None = None) -> Any:
        """Load what answers.

        Args:
            base: as `base` returned it.
            progress: told of stages.
            tta: as of a `Predictor`; a base has none.
            batch_size: as of a `Predictor`.
        """
        if base is None:
            progress.begin("loading the run")
            from dlcli.serving.predictor import Predictor

            return Predictor(self.run, tta=tta, batch_size=batch_size)
        from dlcli.vision.weights import obtain, obtain_file

        weights = obtain(base, full=True, progress=progress)
        classes = obtain_file(bases.CLASSES, name=f"{base.name} --full", progress=progress)
        progress.begin(f"loading the base {base.name}")
        from dlcli.serving.base_predictor import BasePredictor

        return BasePredictor(base, weights=weights, classes=classes, batch_size=batch_size)


class AnsweredConfig(AnsweringConfig):
    """Which run answers, and for which items."""

    section = "Data"

    data: Path | None = option(
        None,
        "A CSV, TSV or JSONL file, a folder of .txt files or pictures, a picture, data:NAME/PART (see dlcli data), or "
        "- for stdin, one text (or the path of a picture) a line.",
        argument=True,
        metavar="DATA",
    )
    text: tuple[str, ...] = option((), "A text; may be given several times.", metavar="TEXT")

    @model_validator(mode="after")
    def _one_source(self) -> AnsweredConfig:
        if bool(self.text) == (self.data is not None):
            raise ValueError("expected either DATA (a file, a folder, or - for stdin) or --text, with texts")
        return self

    @property
    def source(self) -> object:
        """What to call the data."""
        return "stdin" if str(self.data) == STDIN else self.data

    def scanned(self, record: RunRecord) -> Iterator[_Row | BadRow]:
        """Yield each item with the cells that stand beside it; and what is wrong with others."""
        name = "text" if record.domain == "text" else "file"
        if self.text and record.domain != "text":
            problem = f"--text is for texts, and {self.run} classifies pictures"
            raise UsageError(problem, hint="Name a picture or a folder")
        self.require_fitting(record)
        if self.text:
            yield from ((text, {name: text}) for text in self.text)
        elif str(self.data) == STDIN:
            lines = _stdin_lines(self.encoding or "utf-8")
            # An empty text is a text, an empty path is none.
            yield from ((line, {name: line}) for line in lines if line or record.domain == "text")
        elif self.data is not None:
            yield from self.unlabelled(record, resolve_input(self.data))

    def files_read(self, record: RunRecord) -> list[Path]:
        """Return the data and the files of the run, which no output may replace."""
        from dlcli.core.record import files_of

        data = [] if self.data is None or str(self.data) == STDIN else [resolve_input(self.data)]
        return data + files_of(self.run, record)

    def rows(self, record: RunRecord, progress: Progress) -> Iterator[_Row]:
        """Yield each item with the cells that stand beside it; pictures when all were looked at.

        Raises:
            DataError: some items cannot be used.
        """
        yield from self.usable(self.scanned(record), record, self.source, progress)


def _stdin_lines(encoding: str) -> Iterator[str]:
    # A test may put text in the place of stdin, which has no bytes below it.
    stream = io.TextIOWrapper(sys.stdin.buffer, encoding=encoding) if hasattr(sys.stdin, "buffer") else sys.stdin
    try:
        for number, line in enumerate(stream, start=1):
            if "\0" in line:
                raise DataError(f"stdin, line {number}: a NUL character", hint="Give one text a line, as plain text")
            yield line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        found = f"stdin: 0x{error.object[error.start]:02x} is not {encoding}"
        raise DataError(found, hint="Name its encoding, such as --encoding latin-1") from None
