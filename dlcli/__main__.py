"""`dlcli` and `python -m dlcli`: from the first line on, a stop is one line and an exit code."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

_WORDS = {signal.SIGINT: b"interrupted", signal.SIGTERM: b"terminated"}


def main() -> NoReturn:
    """Run the command line."""
    for number in _WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    from dlcli.cli import main

    main()


def _end(number: int, frame: object) -> NoReturn:
    """End at once: nothing has begun, and an exception in the middle of an import may become any other."""
    os.write(2, b"dlcli: " + _WORDS[signal.Signals(number)] + b"\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
