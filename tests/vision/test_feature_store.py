"""The file of features: what is written is found, what is damaged is not, and it stays under its bound."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dlcli.core.progress import Silent
from dlcli.errors import SurroundingsError, UsageError
from dlcli.vision.feature_store import opened

KEYS = [bytes([number]) * 16 for number in range(4)]
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("DLCLI_HOME", str(tmp_path))
    yield tmp_path / "features"


def fill(digest: str = "a", keys: list[bytes] = KEYS) -> None:
    with opened(digest, (3,), Silent()) as store:
        store.reserve(len(keys), Silent())
        store.append(keys, ROWS[: len(keys)])


def test_rows_are_found_by_their_keys() -> None:
    fill(keys=KEYS[:2])
    with opened("a", (3,), Silent()) as store:
        store.append(KEYS[2:], ROWS[2:])
        assert store.find([KEYS[3], b"x" * 16]) == {KEYS[2]: 2, KEYS[3]: 3}
        np.testing.assert_array_equal(store.rows(), ROWS)


@pytest.mark.parametrize("damage", ["altered row", "cut row", "cut key", "no keys"])
def test_what_a_kill_or_a_disk_has_damaged_is_not_found(home: Path, damage: str) -> None:
    fill()
    rows, keys = home / "a" / "rows.bin", home / "a" / "keys.bin"
    if damage == "altered row":
        content = bytearray(rows.read_bytes())
        content[3 * 12] ^= 1
        rows.write_bytes(content)
    elif damage == "no keys":
        keys.unlink()
    else:
        path = rows if damage == "cut row" else keys
        path.write_bytes(path.read_bytes()[:-1])
    with opened("a", (3,), Silent()) as store:
        whole = KEYS[:3] if damage != "no keys" else []
        assert sorted(store.find(KEYS)) == whole
        missing = [key for key in KEYS if key not in whole]
        store.append(missing, ROWS[len(whole) :])
    with opened("a", (3,), Silent()) as store:
        found = store.find(KEYS)
        np.testing.assert_array_equal(store.rows()[[found[key] for key in KEYS]], ROWS)


def test_a_disk_that_fails_within_a_batch_keeps_nothing_of_it(home: Path) -> None:
    """The rest would be computed as another batch, and differ in its last bits from a time without a fault."""
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    with opened("a", (1,), Silent()) as store:
        store.append(KEYS[:1], ROWS[:1, :1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (50, was[1]))
        try:
            with pytest.raises(SurroundingsError, match=r"keys\.bin"):
                store.append(KEYS[1:], ROWS[1:, :1])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, was)
        assert (len(store), (home / "a" / "keys.bin").stat().st_size) == (1, 20)


def test_features_used_longest_ago_leave_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for age, digest in enumerate(("new", "old")):
        fill(digest)
        os.utime(home / digest, (1_000_000 - age, 1_000_000 - age))
    size = sum(file.stat().st_size for file in (home / "old").iterdir())
    monkeypatch.setenv("DLCLI_FEATURES_GB", str((size + 4 * 12) / 1e9))
    fill("next")
    assert sorted(path.name for path in home.iterdir() if path.is_dir()) == ["new", "next"]
    monkeypatch.setenv("DLCLI_FEATURES_GB", str(47 / 1e9))
    with pytest.raises(SurroundingsError, match="over the bound"):
        fill("large")
    monkeypatch.setenv("DLCLI_FEATURES_GB", "much")
    with pytest.raises(UsageError, match="expected a number of gigabytes, got 'much'"):
        fill("large")


def test_a_disk_without_space_is_noticed_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=40))
    with pytest.raises(SurroundingsError, match=r"need 48 bytes in .*, and 40 bytes are free"):
        fill()


def test_one_process_at_a_time_fills_them() -> None:
    order: list[str] = []
    inside = threading.Event()

    def other() -> None:
        inside.wait()
        with opened("a", (3,), Silent()) as store:
            order.append(f"other finds {len(store.find(KEYS))}")

    thread = threading.Thread(target=other)
    thread.start()
    with opened("a", (3,), Silent()) as store:
        inside.set()
        thread.join(0.3)
        assert thread.is_alive()
        store.append(KEYS, ROWS)
        order.append("one has filled")
    thread.join()
    assert order == ["one has filled", "other finds 4"]
