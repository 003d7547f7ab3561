"""A stop in the first moments: `stop.py` is the long proof; tests/core/test_stopping.py stops between steps."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import REVIEWS
from trust import stop


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
@pytest.mark.parametrize("number", stop.CODES)
@pytest.mark.parametrize("later", [0.0, 0.05, 0.1, 0.2])
def test_a_stop_in_the_first_moments_is_one_line(number: signal.Signals, later: float, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dlcli", "tokenize", str(REVIEWS), str(tmp_path / "out"), "--ngrams", "3"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not stop.hears(process):
        time.sleep(0.001)
    time.sleep(later)
    process.send_signal(number)
    code, word = stop.CODES[number]
    assert (process.communicate()[1], process.returncode) == (f"dlcli: {word}\n", code)


def test_an_interrupt_that_an_import_has_changed_is_still_one() -> None:
    """Python ends by the signal once Ctrl-C came within `exec`, and extension modules raise errors of their own."""
    code = """
import os, signal
from dlcli import cli
def changed(*_, **__):
    try:
        exec("os.kill(os.getpid(), signal.SIGINT)")
    except KeyboardInterrupt:
        raise TypeError("expected a message argument")
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.cli.main = changed
cli.main([])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.stderr, ended.returncode) == ("dlcli: interrupted\n", 130)


@pytest.mark.parametrize("number", stop.CODES)
def test_a_stop_while_a_finaliser_is_called_is_not_lost(number: signal.Signals) -> None:
    """Python prints an exception of a weak reference's callback, as imports leave them, and goes on."""
    code = f"""
import os, signal, time, weakref
from dlcli import cli
class Thing: pass
def main(*_, **__):
    thing = Thing()
    reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), {int(number)}))
    del thing
    time.sleep(60)
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.cli.main = main
cli.main([])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    exit_code, word = stop.CODES[number]
    assert (ended.stderr, ended.returncode) == (f"dlcli: {word}\n", exit_code)


@pytest.mark.parametrize("number", stop.CODES)
def test_a_stop_that_a_library_swallows_is_asked_for_again(number: signal.Signals) -> None:
    """Once it is over: not while something clears up on its way, however long that takes."""
    code = f"""
import contextlib, os, signal, time
from dlcli import cli
@contextlib.contextmanager
def clearing_up():
    try:
        yield
    finally:
        time.sleep(0.3)
        print("cleared up", flush=True)
def main(*_, **__):
    try:
        os.kill(os.getpid(), {int(number)})
    except:
        pass
    with clearing_up():
        time.sleep(60)
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.cli.main = main
cli.main([])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    exit_code, word = stop.CODES[number]
    assert (ended.stdout, ended.stderr, ended.returncode) == ("cleared up\n", f"dlcli: {word}\n", exit_code)


def test_finalisers_of_what_a_stop_left_half_built_say_nothing() -> None:
    """Python prints what `__del__` raises; another one before the stop is printed as ever."""
    code = """
import os, signal
from dlcli import cli
class Thing:
    def __init__(self, stop):
        if stop:
            os.kill(os.getpid(), signal.SIGTERM)
        self.half = "not yet"
    def __del__(self):
        raise TypeError(getattr(self, "half", "half-built"))
def main(*_, **__):
    Thing(False)
    Thing(True)
cli.cli.main = main
cli.main([])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ("TypeError: not yet" in ended.stderr, "half-built" in ended.stderr) == (True, False)
    assert (ended.stderr.splitlines()[-1], ended.returncode) == ("dlcli: terminated", 143)
