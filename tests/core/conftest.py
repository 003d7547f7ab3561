"""What the tests of the core share."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.runs import finish, new_record
from dlcli.core.run import create


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    path = tmp_path / "r"
    with create(path, new_record(labels=["a", "b"]), force=False) as run:
        finish(run)
    return path
