"""The run directory: made, locked, finished, interrupted, fought over."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.runs import DATA, MACHINE, finish, new_record
from dlcli.core import run as run_module
from dlcli.core.progress import Silent
from dlcli.core.record import RunRecord, open_finished, read_record
from dlcli.core.run import Run, create, default_path, jsonl, reopen, require_free
from dlcli.errors import DlcliError, ModelError, SurroundingsError, UsageError


class Stop(BaseException):
    """As a signal would."""


def resumed(path: Path, progress: Any = None, **fields: Any) -> contextlib.AbstractContextManager[Run]:
    return reopen(path, new_record(**fields), progress or Silent())


def status(path: Path) -> str:
    return json.loads((path / "run.json").read_text())["status"]


def leftovers(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir() if p != path)


class TestLife:
    def test_a_run_is_running_then_finished(self, tmp_path: Path) -> None:
        path = tmp_path / "r"
        with create(path, new_record(seed=3), force=False) as run:
            assert status(path) == "running"
            on_disk = read_record(path)
            assert (on_disk.pid, on_disk.seed, on_disk.config) == (os.getpid(), 3, {"epochs": 2})
            assert on_disk.argv == sys.argv[1:]
            finish(run)
        record = open_finished(path)
        assert record.status == "finished"
        assert record.scores == {"accuracy": 0.5}
        assert record.hashes.keys() == {
            "model.keras",
            "pipeline/vocabulary.tsv",
            "history.jsonl",
            "metrics.json",
            "validation.npz",
        }
        assert record.started <= record.finished
        assert json.loads((path / "metrics.json").read_text()) == {"accuracy": 0.5}
        assert (path / "history.jsonl").read_text() == '{"epoch": 1, "loss": 0.7}\n'
        assert not (path / "checkpoints").exists()
        assert leftovers(path) == []

    def test_the_record_has_a_schema_number(self, finished: Path) -> None:
        assert json.loads((finished / "run.json").read_text())["schema"] == 1

    @pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), Stop()])
    def test_a_run_that_fails_says_interrupted_and_can_be_resumed(self, tmp_path: Path, error: BaseException) -> None:
        path = tmp_path / "r"
        with pytest.raises(type(error)), create(path, new_record(), force=False):
            raise error
        assert status(path) == "interrupted"
        with pytest.raises(ModelError) as caught:
            open_finished(path)
        assert caught.value.message == f"{path} was interrupted"
        assert caught.value.hint == f"Finish it with: dlcli train-text --resume {path}"
        with resumed(path) as run:
            assert status(path) == "running"
            finish(run)
        assert open_finished(path).status == "finished"

    def test_a_failure_after_the_commit_leaves_the_run_finished(self, tmp_path: Path) -> None:
        with pytest.raises(Stop), create(tmp_path / "r", new_record(), force=False) as run:
            finish(run)
            raise Stop
        assert open_finished(tmp_path / "r").status == "finished"

    def test_a_resume_keeps_the_first_record_and_takes_the_new_process(self, tmp_path: Path) -> None:
        path = tmp_path / "r"
        with pytest.raises(Stop), create(path, new_record(labels=["a", "b"], seed=4), force=False):
            raise Stop
        before = json.loads((path / "run.json").read_text())
        (path / "run.json").write_text(json.dumps(before | {"pid": 1}))
        with resumed(path, labels=["a", "b"], seed=4):
            now = json.loads((path / "run.json").read_text())
            changed = {name for name in now if now[name] != before[name]}
            assert changed <= {"status", "seconds", "finished"}
            assert (now["pid"], now["status"], now["finished"]) == (os.getpid(), "running", "")

    def test_a_resume_with_other_data_is_refused_and_changes_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "r"
        with pytest.raises(Stop), create(path, new_record(), force=False):
            raise Stop
        before = (path / "run.json").read_bytes()
        with pytest.raises(UsageError) as caught, resumed(path, data=DATA | {"fingerprint": "beef", "training": 9}):
            pass
        assert caught.value.message == (
            f"the data has changed since {path} was started: "
            "9,000 + 1,000 items then, 9 + 1,000 items with other content now"
        )
        assert (path / "run.json").read_bytes() == before

    def test_a_resume_on_another_machine_warns(self, tmp_path: Path) -> None:
        class Warned(Silent):
            said: list[str] = []  # noqa: RUF012

            def warn(self, text: str) -> None:
                self.said.append(text)

        with pytest.raises(Stop), create(tmp_path / "r", new_record(), force=False):
            raise Stop
        for machine in (MACHINE, MACHINE | {"threads": 64}):
            with pytest.raises(Stop), resumed(tmp_path / "r", progress=Warned(), machine=machine):
                raise Stop
        assert len(Warned.said) == 1
        assert "another machine" in Warned.said[0]
        assert '"threads": 64' in Warned.said[0]

    def test_seconds_add_up_over_a_resume(self, tmp_path: Path) -> None:
        with pytest.raises(Stop), create(tmp_path / "r", new_record(), force=False):
            time.sleep(0.05)
            raise Stop
        first = read_record(tmp_path / "r").seconds
        assert 0.05 <= first < 2
        with resumed(tmp_path / "r") as run:
            time.sleep(0.05)
            finish(run)
        assert first + 0.05 <= read_record(tmp_path / "r").seconds < first + 2

    def test_the_log_tells_the_run_s_life(self, tmp_path: Path) -> None:
        with create(tmp_path / "r", new_record(), force=False) as run:
            run.log("one")
            run.log("two")
            finish(run)
        lines = [line.partition("  ")[2] for line in (tmp_path / "r" / "log.txt").read_text().splitlines()]
        assert lines == ["one", "two", f"finished (process {os.getpid()})"]

    def test_a_full_disk_at_the_commit_leaves_a_run_that_can_be_resumed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "r"
        with (
            pytest.raises(SurroundingsError, match="the disk is full"),
            monkeypatch.context() as patch,
            create(path, new_record(), force=False) as run,
        ):
            patch.setattr(run_module, "write_text", _full)
            finish(run)
        with pytest.raises(ModelError, match="was interrupted"):
            open_finished(path)
        with resumed(path) as again:
            shutil.rmtree(again.pipeline, ignore_errors=True)
            shutil.rmtree(again.checkpoints, ignore_errors=True)
            finish(again)
        assert open_finished(path).status == "finished"

    def test_a_commit_that_fails_says_interrupted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The disk was full for the last file alone: the run was stopped, and says so."""
        path = tmp_path / "r"
        write, calls = RunRecord.write, []

        def fails_once(self: RunRecord, folder: Path) -> None:
            if self.status == "finished" and not calls:
                calls.append(1)
                raise SurroundingsError("the disk is full")
            write(self, folder)

        monkeypatch.setattr(RunRecord, "write", fails_once)
        with pytest.raises(SurroundingsError), create(path, new_record(), force=False) as run:
            finish(run)
        assert status(path) == "interrupted"

    def test_default_paths_differ(self) -> None:
        paths = {default_path("train-text") for _ in range(5)}
        assert len(paths) > 1
        assert all(p.parent == Path("runs") and p.name.startswith("train-text-2") for p in paths)

    def test_jsonl_is_a_line_a_record(self) -> None:
        assert jsonl([{"a": 1}, {"b": "ä\n"}]) == '{"a": 1}\n{"b": "\\u00e4\\n"}\n'


def _full(path: Path, text: str) -> None:
    raise SurroundingsError(f"the disk is full: {path}")


class TestPlace:
    def test_an_empty_folder_is_taken(self, tmp_path: Path) -> None:
        (tmp_path / "r").mkdir()
        with create(tmp_path / "r", new_record(), force=False) as run:
            finish(run)
        assert open_finished(tmp_path / "r")

    def test_missing_parents_are_made(self, tmp_path: Path) -> None:
        with create(tmp_path / "a" / "b" / "r", new_record(), force=False) as run:
            finish(run)
        assert open_finished(tmp_path / "a" / "b" / "r")

    @pytest.mark.parametrize("force", [False, True])
    def test_what_is_no_run_of_ours_is_left_alone(self, tmp_path: Path, force: bool) -> None:
        path = tmp_path / "thesis"
        path.mkdir()
        (path / "chapter1.txt").write_text("precious")
        with pytest.raises(SurroundingsError) as caught:
            require_free(path, force=force)
        assert caught.value.message == f"{path} is not empty, and no run of ours"
        with pytest.raises(SurroundingsError), create(path, new_record(), force=force):
            pass
        assert [p.name for p in path.iterdir()] == ["chapter1.txt"]

    @pytest.mark.parametrize("force", [False, True])
    def test_a_file_is_left_alone(self, tmp_path: Path, force: bool) -> None:
        (tmp_path / "r").write_text("precious")
        with pytest.raises(SurroundingsError):
            require_free(tmp_path / "r", force=force)
        assert (tmp_path / "r").read_text() == "precious"

    def test_a_run_is_replaced_with_force_alone(self, finished: Path) -> None:
        with pytest.raises(SurroundingsError) as caught:
            require_free(finished, force=False)
        assert caught.value.message == f"{finished} holds a run already"
        assert caught.value.hint == "Choose another --out, add --force to replace it, or --resume it"
        with create(finished, new_record(seed=9), force=True) as run:
            assert not (finished / "model.keras").exists()
            finish(run)
        assert open_finished(finished).seed == 9
        assert leftovers(finished) == []

    def test_an_unwritable_place_is_found_before_any_work(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(SurroundingsError, match="cannot write to"):
            require_free(tmp_path / "file" / "r", force=False)

    def test_a_disk_that_is_full_at_creation_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dlcli.core.record.write_text", _full)
        with pytest.raises(SurroundingsError), create(tmp_path / "r", new_record(), force=False):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_a_rename_that_fails_at_creation_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(self: Path, target: Path) -> None:
            raise OSError(errno.EDQUOT, "Disk quota exceeded", str(self))

        monkeypatch.setattr(Path, "rename", fail)
        with (
            pytest.raises(SurroundingsError, match="the disk is full"),
            create(tmp_path / "r", new_record(), force=False),
        ):
            pass
        assert list(tmp_path.iterdir()) == []


# A writer in a process of its own: makes a run, or goes on with one, says so and waits.
WRITER = """
import json, sys
from pathlib import Path
from dlcli.core.progress import Silent
from dlcli.core.record import RunRecord
from dlcli.core.run import create, reopen
path = Path(sys.argv[1])
data, machine = json.loads(sys.argv[3])
record = RunRecord(verb="train-text", domain="text", config={}, data=data, machine=machine)
with reopen(path, record, Silent()) if sys.argv[2] == "reopen" else create(path, record, force=False) as run:
    run.log("working")
    print("ready", flush=True)
    line = sys.stdin.readline().strip()
    if line == "exit":
        import os
        os._exit(9)
"""


@contextlib.contextmanager
def writer(path: Path, how: str = "create") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WRITER, str(path), how, json.dumps([DATA, MACHINE])]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


class TestLock:
    def test_a_run_that_is_being_written_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "r"
        with writer(path) as process:
            attempts: list[Callable[[], object]] = [
                lambda: open_finished(path),
                lambda: require_free(path, force=True),
                lambda: create(path, new_record(), force=True).__enter__(),
                lambda: resumed(path).__enter__(),
            ]
            for attempt in attempts:
                with pytest.raises(SurroundingsError) as caught:
                    attempt()
                assert caught.value.message == f"{path} is still running (process {process.pid})"
                assert status(path) == "running"
                assert read_record(path).pid == process.pid
        assert leftovers(path) == []

    def test_two_writers_in_one_process_exclude_each_other_too(self, tmp_path: Path) -> None:
        with create(tmp_path / "r", new_record(), force=False) as run:
            with pytest.raises(SurroundingsError, match="is still running"), resumed(tmp_path / "r"):
                pass
            finish(run)

    @pytest.mark.parametrize("death", ["SIGKILL", "os._exit"])
    def test_a_killed_writer_leaves_a_run_that_can_be_resumed(self, tmp_path: Path, death: str) -> None:
        path = tmp_path / "r"
        for how in ("create", "reopen"):
            with writer(path, how) as process:
                if death == "SIGKILL":
                    process.send_signal(signal.SIGKILL)
                else:
                    assert process.stdin is not None
                    process.stdin.write("exit\n")
                    process.stdin.flush()
                process.wait(10)
            assert status(path) == "running"
            with pytest.raises(ModelError) as caught:
                open_finished(path)
            assert caught.value.message == f"{path} was interrupted"
        with resumed(path) as run:
            assert read_record(path).pid == os.getpid()
            finish(run)
        assert open_finished(path).status == "finished"
        assert leftovers(path) == []

    def test_a_killed_run_can_be_replaced_with_force(self, tmp_path: Path) -> None:
        with writer(tmp_path / "r"):
            pass
        with create(tmp_path / "r", new_record(seed=5), force=True) as run:
            finish(run)
        assert open_finished(tmp_path / "r").seed == 5

    def test_a_run_that_was_finished_meanwhile_is_not_reopened(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its writer commits after we read the record, and before we have the lock."""
        path = tmp_path / "r"
        with pytest.raises(Stop), create(path, new_record(), force=False):
            raise Stop
        lock, meanwhile = run_module._lock, []

        def late(locked: Path) -> Any:
            if not meanwhile:
                meanwhile.append(1)
                with resumed(path) as other:
                    finish(other)
            return lock(locked)

        monkeypatch.setattr(run_module, "_lock", late)
        with contextlib.suppress(DlcliError), resumed(path):
            pass
        assert open_finished(path).scores == {"accuracy": 0.5}


class TestTwoAtOnce:
    """Both found the place free before either made its run."""

    @pytest.mark.parametrize("force", [False, True])
    def test_the_second_does_not_destroy_the_first(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool
    ) -> None:
        path = tmp_path / "r"
        with contextlib.ExitStack() as stack:

            def free_then_taken(place: Path, *, force: bool) -> None:
                require_free(place, force=force)
                if not path.exists():
                    stack.enter_context(writer(path))

            monkeypatch.setattr(run_module, "require_free", free_then_taken)
            with pytest.raises(SurroundingsError), create(path, new_record(), force=force):
                pass
            assert read_record(path).pid != os.getpid()
            assert "working\n" in (path / "log.txt").read_text(), "the first run's files are there"
        assert leftovers(path) == []

    def test_one_of_two_processes_gets_the_place(self, tmp_path: Path) -> None:
        """Forty places, two processes that reach each at the same time."""
        code = """
import contextlib, sys, time
from pathlib import Path
from dlcli.core.record import RunRecord
from dlcli.core.run import create
from dlcli.errors import SurroundingsError
root, start = Path(sys.argv[1]), float(sys.argv[2])
won, kept = [], contextlib.ExitStack()
for number in range(40):
    while time.time() < start + number * 0.03:
        pass
    try:
        kept.enter_context(create(root / str(number), RunRecord(verb="v", domain="d", config={}), force=False))
        won.append(number)
    except SurroundingsError:
        pass
time.sleep(max(0, start + 41 * 0.03 - time.time()))
print(*won)
"""
        start = time.time() + 1.5
        processes = [
            subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(start)], stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        won = [process.communicate(timeout=30)[0].split() for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        assert sorted(won[0] + won[1], key=int) == [str(number) for number in range(40)]
        for process, numbers in zip(processes, won, strict=True):
            assert all(read_record(tmp_path / number).pid == process.pid for number in numbers)
