"""`dlcli clean`: a table with its texts cleaned, everything else kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from dlcli.core.config import option
from dlcli.core.progress import Progress
from dlcli.errors import DataError
from dlcli.resources import resolve_input
from dlcli.text.config import CleaningConfig, SkipRowsConfig, TextColumnConfig, TextDataConfig
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, facts
from dlcli.verbs.shared.rows import EscapeConfig, write_rows

if TYPE_CHECKING:
    from dlcli.text.cleaned import Tally
    from dlcli.text.read import LabelledText, Skip, UnlabelledText

# Texts without a word that are named.
_NAMED = 5
# Rows between two moves of the progress bar.
_STEP = 1024


class CleanConfig(CleaningConfig, EscapeConfig, SkipRowsConfig, TextColumnConfig):
    """All settings of a cleaning."""

    section = "Data"

    data: Path = option(
        ...,
        "A CSV, TSV or JSONL file, a folder with a folder of .txt files for each class (its train/ counts), or one of "
        ".txt files.",
        argument=True,
        metavar="DATA",
    )
    out: Path = option(
        ...,
        "The file to write, in UTF-8: .csv, .tsv or .jsonl. Columns, labels and the order of rows stay.",
        argument=True,
        metavar="OUT",
    )
    force: bool = option(False, "Replace the file at OUT.")


class CleanResult(Result):
    """What was done to the texts."""

    data: Path
    out: Path
    rows: int
    skipped: int = 0
    skipped_list: Path | None = Field(exclude_if=lambda value: value is None, default=None)
    """Where the bad rows are named that were left out."""
    empty: int
    empty_at: list[str] = Field(default_factory=list)
    """Where the first texts without a word stand."""
    words_in: int
    words_out: int
    stop_words: int
    short_words: int
    numbers: int
    distinct_words: int
    stemmed_words: int

    def text(self) -> str:
        """Return what became of the words."""
        more = ", ..." if self.empty > len(self.empty_at) else ""
        dropped = [("stop words", self.stop_words), ("short", self.short_words), ("numbers", self.numbers)]
        return facts(
            [
                ("rows", f"{self.rows:,}"),
                ("skipped", f"{self.skipped:,} bad rows, named in {self.skipped_list}" if self.skipped else ""),
                ("empty", f"{self.empty:,} have no word left ({', '.join(self.empty_at)}{more})" if self.empty else ""),
                ("words", f"{self.words_in:,}, of which {self.words_out:,} are left"),
                ("dropped", ", ".join(f"{count:,} {name}" for name, count in dropped if count)),
                ("distinct", f"{self.distinct_words:,} words before stop words and stems"),
                ("stemmed", f"{self.stemmed_words:,} of them" if self.stemmed_words else ""),
                ("out", str(self.out)),
            ]
        )


def clean(config: CleanConfig, progress: Progress) -> CleanResult:
    """Clean the texts of a table, in bounded memory.

    Args:
        config: the settings.
        progress: told of stages and rows.

    Returns:
        what was done; the table is written.

    Raises:
        UsageError: OUT is DATA.
        DataError: there are no rows, or no text has a word left.
    """
    from dlcli.core.files import jsonl, replacing, require_free_file, write_text
    from dlcli.core.lines import SKIPPED, Skipped
    from dlcli.core.tables import TABLES

    source = resolve_input(config.data)
    require_free_file(config.out, option="OUT", endings=TABLES, force=config.force, read=[source])
    skipped_list = config.out.with_name(f"{config.out.stem}.{SKIPPED}")
    records: list[dict[str, Any]] = []
    skip = None
    if config.skip_bad:
        require_free_file(skipped_list, option="OUT", endings=(".jsonl",), force=config.force)
        skip = Skipped(records.append)
    rows = _rows(source, config, skip)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{source} has no rows", hint="Expected a header and at least one row")

    from dlcli.text.cleaned import Tally

    progress.begin(f"cleaning {source}")
    tally = Tally()
    cleaned = _Cleaned(first, rows, config, tally, progress)
    with replacing(config.out) as temporary:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            form = TABLES[config.out.suffix.lower()]
            count = write_rows(cleaned, file, form, escape=config.escape_formulas)
        if cleaned.empty == count:
            raise DataError(f"no word is left of the {count:,} texts in {source}", hint="Clean less")
    if records:
        write_text(skipped_list, jsonl(records))
        progress.warn(f"{source}: {len(records):,} bad rows are left out; {skipped_list} names them")
    if cleaned.empty:
        progress.warn(f"{cleaned.empty:,} of {count:,} texts have no word left; their rows stay")
    return CleanResult(
        data=config.data,
        out=config.out,
        rows=count,
        skipped=len(records),
        skipped_list=skipped_list if records else None,
        empty=cleaned.empty,
        empty_at=cleaned.empty_at,
        **asdict(tally),
    )


def _rows(source: Path, config: CleanConfig, skip: Skip | None) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """Yield each text with where it stands and the cells of its row."""
    from dlcli.core.lines import strict
    from dlcli.text.read import labelled_texts, scan_texts

    column = config.text_column
    rows: Iterator[LabelledText | UnlabelledText]
    if source.is_dir() and not any(source.glob("*.txt")):
        columns = TextDataConfig(text_column=column, encoding=config.encoding)
        rows = labelled_texts(source, columns, part="train", skip=skip)
    else:
        rows = strict(scan_texts(source, column=column, encoding=config.encoding), skip)
    for row in rows:
        yield row.item, (row.where, row.cells)


class _Cleaned:
    """The rows with cleaned texts, made as they are written; counts those without a word."""

    def __init__(
        self,
        first: tuple[str, tuple[str, dict[str, Any]]],
        rows: Iterator[tuple[str, tuple[str, dict[str, Any]]]],
        config: CleanConfig,
        tally: Tally,
        progress: Progress,
    ) -> None:
        self._first = first
        self._rows = rows
        self._config = config
        self._tally = tally
        self._progress = progress
        self.empty = 0
        self.empty_at: list[str] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        from itertools import chain

        from dlcli.text.cleaned import clean_texts

        items = chain([self._first], self._rows)
        for number, (text, (where, cells)) in enumerate(clean_texts(items, self._config, self._tally), start=1):
            if not text:
                self.empty += 1
                if len(self.empty_at) < _NAMED:
                    self.empty_at.append(where)
            if number % _STEP == 0:
                self._progress.advance(_STEP)
            yield cells | {self._config.text_column: text}


ACTION = Action(
    config=CleanConfig,
    function=clean,
    examples=(
        "dlcli clean sample_data/reviews.csv clean.csv",
        "dlcli clean reviews.csv clean.csv --punctuation drop --stop-words sklearn --stem porter",
        "dlcli clean reviews/ reviews.jsonl --strip-urls --strip-accents --numbers mask",
    ),
)
