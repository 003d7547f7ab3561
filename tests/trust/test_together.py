"""Two at one place: short; the long trial is `python tests/trust/together.py`."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Outcome
from trust import together

from dlcli.core.locks import HeldError, alone, held, is_held, lock_of
from dlcli.core.record import RunRecord
from dlcli.core.run import claimed, create
from dlcli.errors import SurroundingsError

_HOLDER = """
import sys
from pathlib import Path
from dlcli.core.locks import held
with held(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def holder(lock: Path) -> Iterator[int]:
    """Let another process hold a lock until it is killed; give its process id."""
    command = [sys.executable, "-c", _HOLDER, str(lock)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def test_fifty_runs_at_the_same_moment_have_a_directory_each() -> None:
    done = subprocess.run([sys.executable, together.__file__, "--only", "names"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "have a directory each: 50 of 50" in done.stdout


def test_a_name_is_held_and_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    numbers = iter(["aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr("dlcli.core.run.secrets.token_hex", lambda _=None: next(numbers, "cccc"))
    with claimed(None, "train-text") as first, claimed(None, "train-text") as second:
        assert first.name.endswith("-aaaa")
        assert second.name.endswith("-bbbb")
        with create(first, RunRecord(verb="v", domain="d", config={}), force=False):
            pass
    assert [path.name for path in Path("runs").iterdir()] == [first.name]
    with claimed(Path("mine"), "train-text") as given:
        assert given == Path("mine")
        assert not given.exists()


def test_commands_on_a_run_that_is_being_written_name_its_writer(
    dlcli: Callable[..., Outcome], run: Path, tiny: Path, tmp_path: Path
) -> None:
    with together.writer(tmp_path / "run", run / "run.json") as process:
        lines = tuple(line for line in together.NEED_THE_RUN if not line.startswith("ensemble"))
        assert together.refused(lines, process.pid) == []
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "running"
    assert dlcli("evaluate", "run", tiny).code == 4


def test_a_lock_says_who_holds_it_and_goes_with_its_holder(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with holder(lock) as pid:
        with pytest.raises(HeldError) as caught, held(lock):
            pass
        assert (caught.value.pid, caught.value.who) == (pid, f"process {pid}")
        assert is_held(lock)
    assert lock.read_text() == f"{pid}\n", "it was killed: the file stays"
    assert not is_held(lock)
    with held(lock):
        assert lock.read_text() == f"{os.getpid()}\n"


def test_a_lock_that_another_program_seems_to_hold_is_taken(tmp_path: Path) -> None:
    """The machine was started anew, and the process id is now that of another program."""
    for content in (f"{os.getppid()}\n", "", "no number"):
        (tmp_path / ".out.lock").write_text(content)
        with alone(tmp_path / "out"):
            assert lock_of(tmp_path / "out").read_text() == f"{os.getpid()}\n"
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "lock"),
    [
        ("augment shapes out --augment book --copies 1", ".out.lock"),
        ("tokenize tiny.csv out", ".out.lock"),
        ("export RUN --out out", ".out.lock"),
    ],
)
def test_a_folder_that_another_process_writes_is_left_to_it(
    dlcli: Callable[..., Outcome], run: Path, tiny: Path, tmp_path: Path, line: str, lock: str
) -> None:
    together.Inputs(tmp_path.with_name("inputs")).lay(("shapes", "twins"), tmp_path)
    (tmp_path / lock).parent.mkdir(parents=True, exist_ok=True)
    with holder(tmp_path / lock) as pid:
        outcome = dlcli(*line.replace("RUN", str(run)).split())
    assert (outcome.code, outcome.lines[-1].split(".")[0]) == (5, f"dlcli: process {pid} writes out")
    assert not any(path.is_file() for path in (tmp_path / "out").rglob("*") if path.name != "lock")


@pytest.mark.skipif(os.name != "posix", reason="flock is of POSIX")
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that refuses is told; where the system knows none, the file itself is the lock."""

    def fails(number: int) -> Callable[..., None]:
        def flock(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        return flock

    monkeypatch.setattr("fcntl.flock", fails(errno.ENOLCK))
    with pytest.raises(SurroundingsError, match=f"No locks available: {tmp_path / 'run'}"):
        create(tmp_path / "run", RunRecord(verb="v", domain="d", config={}), force=False).__enter__()
    (tmp_path / ".run.lock").unlink(missing_ok=True)
    monkeypatch.setattr("fcntl.flock", fails(errno.ENOSYS))
    with pytest.warns(UserWarning, match="not supported"), held(tmp_path / "lock"):
        with pytest.raises(HeldError) as caught, held(tmp_path / "lock"):
            pass
        assert caught.value.pid == os.getpid()
    with pytest.warns(UserWarning, match="not supported"), held(tmp_path / "lock"):
        pass


def test_two_that_replace_one_folder_do_it_one_after_the_other(tmp_path: Path) -> None:
    """The second finds what the first has made, and not half of it."""
    inside, entered = [], threading.Event()

    def first() -> None:
        with alone(tmp_path / "out"):
            entered.set()
            inside.append(1)
            threading.Event().wait(0.15)
            inside.append(2)

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(5)
    with alone(tmp_path / "out"):
        inside.append(3)
    thread.join()
    assert inside == [1, 2, 3]
    with (
        alone(tmp_path / "out"),
        pytest.raises(SurroundingsError, match=f"process {os.getpid()} writes"),
        alone(tmp_path / "out"),
    ):
        pass
