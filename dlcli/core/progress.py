"""The protocol by which work reports itself: core and domains call it, the console fills it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a verb tells the person who waits. Nothing below `cli.py` prints."""

    def begin(self, task: str, total: int | None = None) -> None:
        """Start a stage of `total` units of work (None: unknown); it ends when the next one begins."""

    def advance(self, count: int = 1) -> None:
        """Report `count` more units of the stage done."""

    def epoch(self, line: str) -> None:
        """Report a finished epoch, as one line."""

    def note(self, text: str) -> None:
        """Report something worth knowing, as one line."""

    def detail(self, text: str) -> None:
        """Report something that only `--verbose` shows."""

    def warn(self, text: str) -> None:
        """Report something that the person should act on."""


class Silent:
    """A `Progress` that says nothing, for callers without a terminal."""

    def begin(self, task: str, total: int | None = None) -> None:
        """Say nothing."""

    def advance(self, count: int = 1) -> None:
        """Say nothing."""

    def epoch(self, line: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def detail(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""
