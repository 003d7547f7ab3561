"""Archives are unpacked whole, and what they could do harm with is refused."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from dlcli.core import unpack as unpacking
from dlcli.core.progress import Silent
from dlcli.core.unpack import ArchiveError, unpack
from dlcli.errors import SurroundingsError


def member(name: str, *, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    info.size = len(name) if kind == tarfile.REGTYPE else 0
    return info


def archive(path: Path, *members: tarfile.TarInfo) -> Path:
    """Write an archive whose files hold their own names."""
    with tarfile.open(path, "w:gz") as tar:
        for info in members:
            tar.addfile(info, io.BytesIO(info.name.encode()) if info.isreg() else None)
    return path


def test_an_archive_appears_whole(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "a.tar.gz",
        member("set", kind=tarfile.DIRTYPE, mode=0o000),
        member("set/train/pos/1.txt", mode=0o4777),
        member("./set/train/urls.txt"),
        member("set/x.feat"),
    )
    assert unpack(path, tmp_path / "set-1", leave_out=("*.feat", "*/urls*.txt"), progress=Silent()) == 1
    files = [file for file in (tmp_path / "set-1").rglob("*") if file.is_file()]
    assert [file.relative_to(tmp_path).as_posix() for file in files] == ["set-1/set/train/pos/1.txt"]
    assert files[0].read_text() == "set/train/pos/1.txt"
    assert not os.access(files[0], os.X_OK)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar.gz", "set-1"]


def test_a_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old").write_text("")
    (tmp_path / ".set.1-0a1b2c3d.tmp").mkdir()  # Of a process that was killed.
    unpack(archive(tmp_path / "a.tar.gz", member("new")), tmp_path / "set", progress=Silent())
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")) == ["a.tar.gz", "set", "set/new"]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (member("../out.txt"), "'../out.txt' leads out of its folder"),
        (member("a/../../out.txt"), "leads out of its folder"),
        (member("/tmp/out.txt"), "'/tmp/out.txt' leads out of its folder"),
        (member("a\\..\\..\\out.txt"), "leads out of its folder"),
        (member("C:/out.txt"), "leads out of its folder"),
        (member("link", kind=tarfile.SYMTYPE, link="/etc/passwd"), "'link' is a link or a device"),
        (member("link", kind=tarfile.SYMTYPE, link="fine.txt"), "'link' is a link or a device"),
        (member("link", kind=tarfile.LNKTYPE, link="fine.txt"), "'link' is a link or a device"),
        (member("pipe", kind=tarfile.FIFOTYPE), "'pipe' is a link or a device"),
        (member("null", kind=tarfile.CHRTYPE), "'null' is a link or a device"),
    ],
)
def test_what_could_do_harm_is_refused(tmp_path: Path, bad: tarfile.TarInfo, words: str) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    path = archive(inner / "a.tar.gz", member("fine.txt"), bad)
    with pytest.raises(ArchiveError) as caught:
        unpack(path, inner / "set", progress=Silent())
    assert words in caught.value.message
    assert caught.value.message.endswith("nothing was unpacked")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    whole = archive(tmp_path / "a.tar.gz", *(member(f"{n}.txt") for n in range(2000))).read_bytes()
    damaged = whole[:200] + bytes(100) + whole[300:]
    for content in (b"", b"no archive at all", whole[: len(whole) // 2], damaged, b"\x1f\x8b" + bytes(100)):
        (tmp_path / "b.tar.gz").write_bytes(content)
        with pytest.raises(ArchiveError, match=r"b\.tar\.gz is no archive, or a damaged one"):
            unpack(tmp_path / "b.tar.gz", tmp_path / "set", progress=Silent())
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar.gz", "b.tar.gz"]
    with pytest.raises(ArchiveError, match="holds no files"):
        unpack(archive(tmp_path / "b.tar.gz"), tmp_path / "set", progress=Silent())


def zipped(path: Path, *names: str, mode: int = stat.S_IFREG | 0o644) -> Path:
    """Write a zip archive whose files hold their own names; the last has another mode."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = (mode if name == names[-1] else 0o644) << 16
            archive.writestr(info, "" if name.endswith("/") else name * 100)
    return path


def test_a_zip_archive_appears_whole(tmp_path: Path) -> None:
    path = zipped(tmp_path / "A.ZIP", "set/", "set/a/1.txt", "set/Thumbs.db", "set/b/2.txt", mode=0o4777)
    assert unpack(path, tmp_path / "set-1", leave_out=("*/Thumbs.db",), progress=Silent()) == 2
    files = sorted(file for file in (tmp_path / "set-1").rglob("*") if file.is_file())
    assert [file.relative_to(tmp_path).as_posix() for file in files] == ["set-1/set/a/1.txt", "set-1/set/b/2.txt"]
    assert files[1].read_text() == "set/b/2.txt" * 100
    assert not os.access(files[1], os.X_OK)


@pytest.mark.parametrize(
    ("name", "mode", "words"),
    [
        ("../out.txt", 0, "leads out of its folder"),
        ("/tmp/out.txt", 0, "leads out of its folder"),
        ("C:/out.txt", 0, "leads out of its folder"),
        ("link", stat.S_IFLNK | 0o777, "'link' is a link or a device"),
    ],
)
def test_what_could_do_harm_in_a_zip_is_refused(tmp_path: Path, name: str, mode: int, words: str) -> None:
    path = zipped(tmp_path / "a.zip", "fine.txt", name, mode=mode)
    with pytest.raises(ArchiveError) as caught:
        unpack(path, tmp_path / "set", progress=Silent())
    assert words in caught.value.message
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_a_damaged_zip_is_told(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "a.zip", *(f"{n}.txt" for n in range(50))).read_bytes()
    encrypted = bytearray(whole)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[whole.index(mark) + at] |= 1
    contents = {b"": "damaged", whole[:900]: "damaged", whole[:40] + b"xx" + whole[42:]: "damaged"}
    for content, words in (contents | {bytes(encrypted): "is encrypted; nothing was unpacked"}).items():
        (tmp_path / "b.zip").write_bytes(content)
        with pytest.raises(ArchiveError, match=words):
            unpack(tmp_path / "b.zip", tmp_path / "set", progress=Silent())
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "b.zip"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_stops_the_unpacking_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise error

    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old").write_text("")
    path = archive(tmp_path / "a.tar.gz", member("new"))
    monkeypatch.setattr(unpacking, "commit", stop)
    with pytest.raises((SurroundingsError, KeyboardInterrupt)):
        unpack(path, tmp_path / "set", progress=Silent())
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")) == ["a.tar.gz", "set", "set/old"]


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_an_archive_that_is_made_to_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    monkeypatch.setattr(unpacking, "_SMALL", 10_000)
    path, zeros = tmp_path / f"a.{ending}", bytes(1_000_000)
    if ending == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            opened.writestr("zeros", zeros)
    else:
        info = tarfile.TarInfo("zeros")
        info.size = len(zeros)
        with tarfile.open(path, "w:gz") as tar:
            tar.addfile(info, io.BytesIO(zeros))
    with pytest.raises(ArchiveError, match="expands to far more than its size; nothing was unpacked"):
        unpack(path, tmp_path / "a", progress=Silent())
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    monkeypatch.setattr(unpacking, "_SMALL", len(zeros))
    assert unpack(path, tmp_path / "a", progress=Silent()) == 1
