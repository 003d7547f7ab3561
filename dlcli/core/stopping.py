"""Ctrl-C and SIGTERM wait for the end of a training step, so that a checkpoint of exactly that step can be kept."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from dlcli.errors import Terminated


class AtOnce(BaseException):
    """A second request: nothing is waited for, not even a checkpoint that is being written."""


class _InterruptedAtOnce(AtOnce, KeyboardInterrupt):
    pass


class _TerminatedAtOnce(AtOnce, Terminated):
    pass


_REASONS: dict[int, type[BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
_AT_ONCE: dict[int, type[AtOnce]] = {signal.SIGINT: _InterruptedAtOnce, signal.SIGTERM: _TerminatedAtOnce}


class StopRequest:
    """Whether somebody has asked the training to stop.

    Attributes:
        reason: what to raise at the end of the step; None while nobody has asked.
    """

    reason: BaseException | None = None

    def check(self) -> None:
        """Raise what was asked for."""
        if self.reason is not None:
            raise self.reason


@contextlib.contextmanager
def stopping_between_steps() -> Iterator[StopRequest]:
    """Note the first Ctrl-C or SIGTERM instead of raising it; the second one raises `AtOnce`.

    A signal that this process ignores, as background jobs of a shell ignore Ctrl-C, stays ignored.

    Yields:
        the request; who does the steps calls its `check` after each, when all is in order. At the end of the block a
        request that came too late for any step is raised.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request  # Signals are the main thread's.
        return

    def note(number: int, frame: FrameType | None) -> None:
        if request.reason is not None:
            raise _AT_ONCE[number]
        request.reason = _REASONS[number]()

    heard = [number for number in _REASONS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heard}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    request.check()
