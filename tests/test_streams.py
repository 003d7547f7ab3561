"""Streams that are closed, full, or have no reader: by the real command, from a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REVIEWS

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="has no /dev/full")


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in a folder, with `dlcli` as the command."""
    function = f'dlcli() {{ {sys.executable} -m dlcli "$@"; }}; set -o pipefail; '
    return subprocess.run(
        ["bash", "-c", function + line],
        cwd=folder,
        env=os.environ | {"DLCLI_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("line", "code", "out", "err"),
    [
        ("dlcli --version >&-", 0, "", ""),
        ("dlcli clean tiny.csv out.csv >&-", 0, "", ""),
        ("dlcli check tiny.csv 2>&-", 0, "data      rows", ""),
        ("dlcli check nowhere.csv 2>&-", 2, "", ""),
        ("dlcli check nowhere.csv 2>/dev/full", 2, "", ""),
        ("dlcli clean tiny.csv out.csv -v 2>/dev/full", 0, "rows      40", ""),
        ("dlcli clean tiny.csv out.csv >/dev/full", 5, "", "dlcli: the disk is full, while writing stdout. Free some"),
        ("dlcli --help | true", 0, "", ""),
        ("dlcli clean --help | true", 0, "", ""),
        ("dlcli data list | true", 0, "", ""),
    ],
)
def test_a_stream_that_is_not_there(line: str, code: int, out: str, err: str, tiny: Path) -> None:
    ended = shell(line, tiny.parent)
    assert ended.returncode == code, ended.stderr
    assert ended.stdout.startswith(out) and bool(ended.stdout) == bool(out)
    assert ended.stderr.startswith(err) and bool(ended.stderr) == bool(err)
    if "out.csv" in line:
        assert (tiny.parent / "out.csv").read_text().count("\n") == 41, "the work is done"


def test_a_reader_that_goes_away_is_no_error(run: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "dlcli", "predict", str(run), str(REVIEWS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"text,label,prediction,probability\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0
