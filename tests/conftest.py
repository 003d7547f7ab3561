"""What all tests share: the real command, in this process, and one trained run."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dlcli.cli import guarded

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several processes share the cores: threads of one would wait for those of another, a fifth of the time.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")

ROOT = Path(__file__).resolve().parent.parent
REVIEWS = ROOT / "sample_data" / "reviews.csv"
REVIEWS_TEST = ROOT / "sample_data" / "reviews-test.csv"


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


def call(*arguments: object, stdin: str = "") -> Outcome:
    """Run `dlcli` with these arguments in this process, through its error boundary."""
    out, err = io.StringIO(), io.StringIO()
    saved, sys.stdin = sys.stdin, io.StringIO(stdin)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = guarded([str(argument) for argument in arguments], debug=False)
    finally:
        sys.stdin = saved
    return Outcome(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session", autouse=True)
def graphs_run_as_they_are() -> None:
    """Let TensorFlow optimise no graph: that takes longer than a test runs it, and was a fifth of all time.

    The commands that tests start as processes of their own optimise theirs, as everybody's do.
    """
    from dlcli.core.backend import tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@pytest.fixture
def dlcli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Return `call`, with an empty folder as the current one, and none of this user's data sets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLCLI_HOME", str(tmp_path / "home"))
    return call


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run: bigrams on the sample reviews. Tests only read it."""
    path = tmp_path_factory.mktemp("runs") / "reviews"
    outcome = call("train-text", REVIEWS, "--ngrams", "2", "--out", path)
    assert outcome.code == 0, outcome.err
    return path


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Return a CSV of 40 short reviews that trains in a second."""
    path = tmp_path / "tiny.csv"
    rows = [f"good film number {n},pos" if n % 2 else f"bad film number {n},neg" for n in range(40)]
    path.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


os.environ["NO_COLOR"] = "1"
