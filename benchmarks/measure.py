"""Helpers that every benchmark shares: run and measure a process, medians, tables."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MEGABYTE = 1_000_000
TAIL_LENGTH = 200


class NotMeasured(Exception):
    """A part of a benchmark could not be run; the message says which and why."""


@dataclass(frozen=True)
class Finished:
    """A process that ended well.

    Attributes:
        wall: seconds from its start to its end, start-up of the interpreter included.
        peak_mb: largest resident set, in MB of 1,000,000 bytes, of the process or of any one child that it waited for.
        stdout: what it printed.
        stderr: what it said beside that.
    """

    wall: float
    peak_mb: float
    stdout: str
    stderr: str


def run_process(command: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str] | None = None) -> Finished:
    """Run a command to its end and measure it from outside.

    Output goes to `log` with `.out` and `.err` added: a file never fills up as a pipe can, so the process never waits
    for its reader. On Linux a child's peak starts at that of the process which starts it, so a benchmark must itself
    stay small: it reads and writes its data in streams.

    Args:
        command: program and arguments.
        log: where the two output files go; the folder is made.
        cwd: folder that the command runs in.
        env: variables to set on top of the present ones.

    Raises:
        NotMeasured: the program could not be started, or its exit code is not 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    out, err = log.with_name(log.name + ".out"), log.with_name(log.name + ".err")
    with out.open("wb") as out_file, err.open("wb") as err_file:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
                cwd=cwd,
                env={**os.environ, **(env or {})},
            )
        except OSError as error:
            raise NotMeasured(f"{command[0]}: {error.strerror}") from error
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    finished = Finished(
        wall=wall,
        # Linux counts ru_maxrss in KiB, macOS in bytes (getrusage(2) of each).
        peak_mb=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MEGABYTE,
        stdout=out.read_text(encoding="utf-8", errors="replace"),
        stderr=err.read_text(encoding="utf-8", errors="replace"),
    )
    if process.returncode != 0:
        lines = finished.stderr.strip().splitlines() or ["it said nothing"]
        raise NotMeasured(f"exit code {process.returncode}: {lines[-1][:TAIL_LENGTH]}")
    return finished


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return `median (smallest-largest)`, or the value alone where there is one."""
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f}-{max(values):.{digits}f})"


@dataclass
class Table:
    """A titled table: the first column is text, the others are aligned to the right."""

    title: str
    header: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)

    def as_text(self) -> str:
        """Return the table for a terminal."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        texts = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in lines]
        return "\n".join([self.title, "", texts[0], "  ".join("-" * width for width in widths), *texts[1:]])

    def as_markdown(self) -> str:
        """Return the table as Markdown."""
        rule = ["---", *("---:" for _ in self.header[1:])]
        cells = [[cell.replace("|", "\\|") for cell in row] for row in (self.header, rule, *self.rows)]
        return "\n".join([f"### {self.title}", "", *("| " + " | ".join(row) + " |" for row in cells)])
