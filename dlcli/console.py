"""What a person sees: progress and notes on stderr, results on stdout."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, TextIO, cast

from dlcli.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class Console:
    """Progress on stderr: a bar on a terminal, one plain line an epoch elsewhere.

    Args:
        verbosity: -1 for errors alone, 0 for notes and epochs, 1 for details and the stages too.
    """

    def __init__(self, verbosity: int = 0) -> None:
        self.verbosity = verbosity
        self._fancy = verbosity >= 0 and sys.stderr.isatty() and not os.environ.get("CI")
        self._bar: Bar | None = None

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, task: str, total: int | None = None) -> None:
        """Show a new stage in place of the last one."""
        if self._fancy:
            self.close()
            self._bar = _make_bar(counted=total is not None)
            self._bar.start()
            self._bar.add_task(printable(task), total=total)
        elif self.verbosity >= 1 and total is None:
            self._line(task)

    def advance(self, count: int = 1) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], count)

    def epoch(self, line: str) -> None:
        """Print a finished epoch."""
        self.note(line)

    def note(self, text: str) -> None:
        """Print a line, unless `--quiet`."""
        if self.verbosity >= 0:
            self._line(text)

    def detail(self, text: str) -> None:
        """Print a line under `--verbose`."""
        if self.verbosity >= 1:
            self._line(text)

    def warn(self, text: str) -> None:
        """Print a warning, unless `--quiet`."""
        self.note(f"warning: {text}")

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _line(self, text: str) -> None:
        self.close()
        with contextlib.suppress(OSError):  # What is told on the way is no part of the work.
            print(printable(text), file=sys.stderr, flush=True)


class _Terminal:
    """A terminal that obeys nothing that the data says."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(printable(text))


def on_terminal(stream: TextIO) -> TextIO:
    """Return where results are written: CSV and JSON keep the data as it is, but where a terminal shows them."""
    return cast(TextIO, _Terminal(stream)) if stream.isatty() else stream


def _make_bar(*, counted: bool) -> Bar:
    # Rich takes 60 ms to import: only where there is a terminal to draw on.
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        *((BarColumn(bar_width=30), MofNCompleteColumn()) if counted else ()),
        TimeElapsedColumn(),
        console=RichConsole(stderr=True, no_color=bool(os.environ.get("NO_COLOR"))),
        transient=True,
    )
