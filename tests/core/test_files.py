"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from dlcli.core import files
from dlcli.core.files import hashes, replacing, require_writable_parent, sha256, write_text
from dlcli.errors import SurroundingsError


class Stop(BaseException):
    """As a signal would."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "x.json"
    path.write_bytes(b"old")
    return path


def assert_untouched(path: Path) -> None:
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == [path.name], "a temporary file was left"


def test_a_file_is_replaced(old: Path) -> None:
    with replacing(old) as temporary:
        assert temporary.parent == old.parent
        assert temporary.suffix == old.suffix
        temporary.write_bytes(b"new")
        assert old.read_bytes() == b"old"
    assert old.read_bytes() == b"new"
    assert list(old.parent.iterdir()) == [old]


def test_text_is_utf8_with_plain_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "x.txt", "ä\nb\n")
    assert (tmp_path / "x.txt").read_bytes() == "ä\nb\n".encode()


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), Stop()])
def test_a_failure_in_the_block_leaves_the_old_file(old: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), replacing(old) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert_untouched(old)


def fail(number: int) -> object:
    def failing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "x.json")

    return failing


def test_a_full_disk_in_the_block_is_named(old: Path) -> None:
    with pytest.raises(SurroundingsError) as caught, replacing(old) as temporary:
        temporary.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x.json")
    assert caught.value.message.startswith("the disk is full")
    assert "x.json" in caught.value.message
    assert caught.value.hint
    assert_untouched(old)


def test_a_full_disk_at_the_flush_leaves_the_old_file(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", fail(errno.ENOSPC))
    with pytest.raises(SurroundingsError, match="the disk is full"):
        write_text(old, "new")
    assert_untouched(old)


def test_a_failing_rename_leaves_the_old_file(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", fail(errno.EACCES))
    with pytest.raises(SurroundingsError, match="Permission denied"):
        write_text(old, "new")
    assert_untouched(old)


def test_content_is_flushed_before_the_rename_and_the_folder_after_it(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def flushed(descriptor: int) -> None:
        events.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")  # noqa: PTH112
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    write_text(old, "new")
    assert events == ["file", "rename", "folder"]


def test_a_block_that_writes_nothing_is_an_error(old: Path) -> None:
    with pytest.raises(SurroundingsError, match="No such file"), replacing(old):
        pass
    assert_untouched(old)


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with replacing(tmp_path / "model") as temporary:
        (temporary / "deep").mkdir(parents=True)
        (temporary / "deep" / "a").write_bytes(b"1")
        assert not (tmp_path / "model").exists()
    assert (tmp_path / "model" / "deep" / "a").read_bytes() == b"1"


def test_a_folder_that_failed_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bad"), replacing(tmp_path / "model") as temporary:
        (temporary / "deep").mkdir(parents=True)
        (temporary / "deep" / "a").write_bytes(b"1")
        raise ValueError("bad")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("system", ["exchanges", "renames twice", "renames once"])
def test_a_folder_that_cannot_be_renamed_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").write_bytes(b"old")
    rename, renamed = Path.rename, []

    def only_first(self: Path, target: Path) -> Path:
        renamed.append(target)
        if len(renamed) == 2 or system == "renames once":
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(self, target)

    if system == "exchanges":
        monkeypatch.setattr(files, "_exchanged", fail(errno.EACCES))
    else:
        monkeypatch.setattr(files, "_exchanged", lambda *_: False)
        monkeypatch.setattr(Path, "rename", only_first)
    with pytest.raises(SurroundingsError, match="Permission denied"), replacing(tmp_path / "model") as temporary:
        temporary.mkdir()
        (temporary / "new").write_bytes(b"new")
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == ["model", "model/old"]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_folder_takes_the_place_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    if not at_once:
        monkeypatch.setattr(files, "_exchanged", lambda *_: False)
    for content in (b"old", b"new"):
        with replacing(tmp_path / "model") as temporary:
            temporary.mkdir()
            (temporary / "a").write_bytes(content)
    assert (tmp_path / "model" / "a").read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_sha256_is_that_of_hashlib(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "x").write_bytes(content)
    assert sha256(tmp_path / "x") == hashlib.sha256(content).hexdigest()


def test_hashes_cover_files_and_all_that_is_in_folders(tmp_path: Path) -> None:
    for name in ("a", "p/b", "p/q/c", "other"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert hashes(tmp_path, "a", "p") == {n: hashlib.sha256(n.encode()).hexdigest() for n in ("a", "p/b", "p/q/c")}


def test_a_writable_parent_is_made_and_left_empty(tmp_path: Path) -> None:
    require_writable_parent(tmp_path / "a" / "b" / "run")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_parent_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(SurroundingsError) as caught:
        require_writable_parent(tmp_path / "a" / "run")
    assert caught.value.message.startswith(f"cannot write to {tmp_path / 'a'} (")
    assert caught.value.hint == "Choose another place with --out"


def test_a_failing_flush_of_the_folder_is_an_error_of_ours(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_flush_directory", fail(errno.EIO))
    with pytest.raises(SurroundingsError):
        write_text(old, "new")
    assert old.read_bytes() in (b"old", b"new")
    assert [p.name for p in old.parent.iterdir()] == [old.name]
