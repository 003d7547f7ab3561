"""The downloader, against a server that cuts, alters, delays and refuses."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import socket
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from server import Server, serving

from dlcli.core import transfer
from dlcli.core.fetch import Fetched, fetch
from dlcli.core.progress import Silent
from dlcli.core.transfer import FetchError, Remote, in_words
from dlcli.errors import DiskFullError, SurroundingsError, UsageError

CONTENT = random.Random(0).randbytes(3_000_000)
HASH = hashlib.sha256(CONTENT).hexdigest()


class Notes(Silent):
    """Keeps what a person would see; `interrupt_at` stops a download as Ctrl-C would."""

    def __init__(self, interrupt_at: int = 0) -> None:
        self.lines: list[str] = []
        self.stages: list[tuple[str, int | None]] = []
        self.done = 0
        self.interrupt_at = interrupt_at

    def begin(self, task: str, total: int | None = None) -> None:
        self.stages.append((task, total))
        self.done = 0

    def advance(self, count: int = 1) -> None:
        self.done += count
        if self.interrupt_at and self.done >= self.interrupt_at:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(f"warning: {text}")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as state:
        state.files["/pub/big.bin"] = CONTENT
        yield state


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "big.bin"


def remote(server: Server, **changes: Any) -> Remote:
    stated = {"size": len(CONTENT), "hash": HASH, "source": "the test"}
    return Remote(**{"address": f"{server.base}/pub/big.bin", **stated, **changes})


def get(server: Server, path: Path, notes: Notes | None = None, mirror: str = "", **changes: Any) -> Fetched:
    return fetch(remote(server, **changes), path, progress=notes or Notes(), mirror=mirror)


def assert_nothing_kept(path: Path) -> None:
    """Nothing is left but the file of the lock."""
    assert [file.name for file in path.parent.iterdir() if file.stat().st_size and file.suffix != ".lock"] == []


def test_a_file_comes_whole_and_is_verified(server: Server, path: Path) -> None:
    notes = Notes()
    assert get(server, path, notes) == Fetched(
        address=f"{server.base}/pub/big.bin", size=len(CONTENT), hash=HASH, new=True
    )
    assert path.read_bytes() == CONTENT
    assert {file.name for file in path.parent.iterdir()} == {path.name, f".{path.name}.lock"}
    assert notes.lines == [f"fetching {server.base}/pub/big.bin (3.0 MB), to {path.parent}"]
    assert notes.stages[0] == ("fetching big.bin, MB", 3)
    assert server.asked[0]["user-agent"].startswith("dlcli/")
    assert "range" not in server.asked[0]


def test_a_file_that_is_there_is_not_fetched_again(server: Server, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(CONTENT)  # Put there by hand.
    assert not get(server, path).new
    assert server.asked == []


def test_a_wrong_file_that_is_there_is_fetched_anew(server: Server, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(CONTENT[:-1] + b"?")
    notes = Notes()
    assert get(server, path, notes).new
    assert path.read_bytes() == CONTENT
    assert notes.lines[0] == f"warning: {path} is not the file that is stated: it is fetched anew"


def test_a_cut_download_goes_on_where_it_was(server: Server, path: Path) -> None:
    server.plan = ["cut 1000000", "cut 500000"]
    notes = Notes()
    get(server, path, notes)
    assert path.read_bytes() == CONTENT
    assert server.ranges_asked == [None, "bytes=1000000-", "bytes=1500000-"]
    assert [headers.get("if-range") for headers in server.asked] == [None, '"v1"', '"v1"']
    assert "the connection was cut at 1.0 MB: trying again in 0 s" in notes.lines
    assert any("going on at 1.5 MB" in line for line in notes.lines)


def test_another_process_goes_on_with_the_part(server: Server, path: Path) -> None:
    server.plan = ["cut 1000000", "drop", "drop", "drop"]
    with pytest.raises(FetchError) as caught:
        get(server, path)
    assert "the connection was cut, 4 times" in caught.value.message
    assert caught.value.hint.startswith("1.0 MB of 3.0 MB are kept, and the same command goes on from there.")
    assert not path.exists()
    assert path.with_name("big.bin.part").read_bytes() == CONTENT[:1_000_000]
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges_asked[-1] == "bytes=1000000-"


def test_tries_that_bring_bytes_are_not_counted(server: Server, path: Path) -> None:
    server.plan = ["cut 200000"] * 12
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 13


def test_ctrl_c_leaves_a_part_that_goes_on(server: Server, path: Path) -> None:
    notes = Notes(interrupt_at=1)
    with pytest.raises(KeyboardInterrupt):
        get(server, path, notes)
    part = path.with_name("big.bin.part").read_bytes()
    assert CONTENT.startswith(part)
    assert len(part) >= 1_000_000
    assert not path.exists()
    assert notes.lines[-1] == f"{in_words(len(part))} are kept: the same command goes on from there"
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges_asked == [None, f"bytes={len(part)}-"]


def test_a_whole_part_needs_no_server(server: Server, path: Path) -> None:
    path.parent.mkdir()
    path.with_name("big.bin.part").write_bytes(CONTENT)
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert server.asked == []


def test_a_part_goes_on_from_a_mirror(server: Server, path: Path) -> None:
    server.files["/mirror/big.bin"] = CONTENT
    server.plan = ["cut 1000000", "drop", "drop", "drop"]
    with pytest.raises(FetchError):
        get(server, path)
    found = get(server, path, mirror=f"{server.base}/mirror/")
    assert found.address == f"{server.base}/mirror/big.bin"
    assert path.read_bytes() == CONTENT
    assert (server.asked[-1]["path"], server.asked[-1]["range"]) == ("/mirror/big.bin", "bytes=1000000-")
    assert "if-range" not in server.asked[-1]  # The tag is that of the other server.


def test_a_server_without_ranges_begins_anew(server: Server, path: Path) -> None:
    server.ranges = False
    server.plan = ["cut 1000000"]
    notes = Notes()
    get(server, path, notes)
    assert path.read_bytes() == CONTENT
    assert server.ranges_asked == [None, "bytes=1000000-"]
    assert "the server begins big.bin anew" in notes.lines


def test_a_file_that_changed_meanwhile_begins_anew(server: Server, path: Path) -> None:
    new = CONTENT[::-1]
    server.plan = ["cut 1000000", "drop", "drop", "drop"]
    with pytest.raises(FetchError):
        get(server, path, hash="")
    server.files["/pub/big.bin"], server.etag = new, '"v2"'
    get(server, path, hash="")
    assert server.asked[-1]["if-range"] == '"v1"'
    assert path.read_bytes() == new


def test_without_hash_and_tag_nothing_is_put_together(server: Server, path: Path) -> None:
    server.etag = 'W/"weak"'
    server.plan = ["cut 1000000"]
    get(server, path, hash="")
    assert server.ranges_asked == [None, None]
    assert path.read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_begins_anew(server: Server, path: Path) -> None:
    path.parent.mkdir()
    path.with_name("big.bin.part").write_bytes(CONTENT + b"more")
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges_asked == [None]
    path.unlink()
    path.with_name("big.bin.part").write_bytes(CONTENT + b"more")
    get(server, path, size=None)
    assert path.read_bytes() == CONTENT
    assert server.ranges_asked[1:] == ["bytes=3000004-", None]


@pytest.mark.parametrize("length", [True, False])
def test_an_altered_file_is_not_kept(server: Server, path: Path, length: bool) -> None:
    server.plan, server.length = ["altered"], length
    with pytest.raises(FetchError) as caught:
        get(server, path)
    assert caught.value.exit_code == 5
    assert f"big.bin from {server.base}/pub/big.bin is not the file that is stated" in caught.value.message
    assert f"expected sha256 {HASH} (the test), got " in caught.value.message
    assert_nothing_kept(path)


def test_a_file_of_another_size_is_not_even_begun(server: Server, path: Path) -> None:
    server.plan = ["wrong size"]
    with pytest.raises(
        FetchError, match=r"expected 3,000,000 bytes \(the test\), got 3,000,004; nothing of it was kept"
    ):
        get(server, path)
    assert_nothing_kept(path)


def test_a_file_that_does_not_end_is_left(server: Server, path: Path) -> None:
    server.plan, server.length = ["wrong size"], False
    with pytest.raises(FetchError, match=r"expected 3,000,000 bytes \(the test\), got more; nothing of it was kept"):
        get(server, path)
    assert_nothing_kept(path)


def test_md5_is_an_algorithm_too(server: Server, path: Path) -> None:
    digest = hashlib.md5(CONTENT).hexdigest()
    assert get(server, path, algorithm="md5", hash=digest).hash == digest
    path.unlink()
    with pytest.raises(FetchError, match=r"expected md5 0{32}"):
        get(server, path, algorithm="md5", hash="0" * 32)


def test_without_a_stated_hash_what_came_is_told(server: Server, path: Path) -> None:
    server.length = False
    assert get(server, path, size=None, hash="") == Fetched(
        address=f"{server.base}/pub/big.bin", size=len(CONTENT), hash=HASH, new=True
    )


def test_a_redirect_is_followed(server: Server, path: Path) -> None:
    server.files["/elsewhere/b"] = CONTENT
    server.plan = ["redirect /elsewhere/b", "cut 1000000", "redirect /elsewhere/b"]
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert server.asked[-1]["path"] == "/elsewhere/b"
    assert server.asked[-1]["range"] == "bytes=1000000-"


def test_a_busy_server_is_asked_again(server: Server, path: Path) -> None:
    server.plan = ["error 503", "error 429", "drop"]
    notes = Notes()
    get(server, path, notes)
    assert path.read_bytes() == CONTENT
    assert notes.lines[0] == "the server is busy (503) at 0 bytes: trying again in 0 s"


def test_a_server_that_stops_sending_is_left(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT", 0.2)
    server.plan, server.pause = ["slow 1000000"], 1.0
    notes = Notes()
    get(server, path, notes)
    assert path.read_bytes() == CONTENT
    assert "nothing came for 0.2 s at 1.0 MB: trying again in 0 s" in notes.lines
    assert server.ranges_asked == [None, "bytes=1000000-"]


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("error 404", "cannot fetch big.bin: 127.0.0.1 has no such file (404)"),
        ("error 403", "cannot fetch big.bin: 127.0.0.1 refuses it (403)"),
        ("error 418", "cannot fetch big.bin: 127.0.0.1 does not give it (418)"),
        ("page", "cannot fetch big.bin: a web page came instead of the file"),
        ("page as file", "cannot fetch big.bin: a web page came instead of the file"),
    ],
)
def test_what_cannot_be_had_is_one_line(server: Server, path: Path, plan: str, words: str) -> None:
    server.plan = [plan]
    with pytest.raises(FetchError) as caught:
        get(server, path, size=None)
    assert caught.value.message.startswith(words)
    assert caught.value.hint == (f"By hand: save {server.base}/pub/big.bin as {path}, then run the same command again")
    assert len(server.asked) == 1
    assert_nothing_kept(path)


def test_a_closed_port_is_told_at_once(path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/big.bin"
    with pytest.raises(FetchError, match=r"cannot fetch big\.bin: 127\.0\.0\.1 refuses the connection\. By hand: save"):
        fetch(Remote(address=address), path, progress=Notes())


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the name 127.0.0.1 cannot be looked up (is this machine"),
        (TimeoutError("timed out"), "127.0.0.1 did not answer within 20 s"),
        (OSError(113, "No route to host"), "no connection to 127.0.0.1 (No route to host)"),
    ],
)
def test_an_offline_machine_is_told_at_once(
    server: Server, path: Path, monkeypatch: pytest.MonkeyPatch, reason: OSError, words: str
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise reason

    monkeypatch.setattr(socket, "create_connection", offline)
    with pytest.raises(FetchError) as caught:
        get(server, path)
    assert words in caught.value.message


def test_the_proxy_that_fails_is_named_without_its_password(
    server: Server, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:1")
    with pytest.raises(FetchError) as caught:
        get(server, path)
    assert caught.value.message.endswith("refuses the connection, through the proxy 127.0.0.1:1")


@pytest.mark.parametrize("mirror", ["mirror", "ftp://host/x", "file:///tmp", "https://"])
def test_a_mirror_is_an_address(server: Server, path: Path, mirror: str) -> None:
    with pytest.raises(UsageError, match="--mirror: expected an address"):
        get(server, path, mirror=mirror)
    assert not path.parent.exists()


def test_a_mirror_that_lacks_the_file_is_named(server: Server, path: Path) -> None:
    with pytest.raises(FetchError, match=rf"cannot fetch {server.base}/nothing/big\.bin: .* has no such file"):
        get(server, path, mirror=f"{server.base}/nothing")


def test_too_little_space_is_told_before_anything_comes(
    server: Server, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")(10**9, 10**9 - 1000, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(
        SurroundingsError, match=r"big\.bin needs 3\.0 MB in .*, and 1\.0 kB are free\. Free some space"
    ):
        get(server, path)
    assert not path.with_name("big.bin.part").exists()


def test_a_disk_that_fills_up_leaves_a_part(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def full(self: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
        file = opened(self, mode, *args, **more)
        if not self.name.endswith(".part") or "r+" in mode or mode == "rb":
            return file

        class Full:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

            def write(self, data: bytes) -> None:
                if file.tell() + len(data) > 1_000_000:
                    raise OSError(28, "No space left on device")
                file.write(data)

        return Full()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(DiskFullError, match=r"the disk is full, while writing .*big\.bin\.part\. Free some space"):
            get(server, path)
    kept = path.with_name("big.bin.part").stat().st_size
    assert 0 < kept <= 1_000_000
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges_asked[-1] == f"bytes={kept}-"


def test_a_folder_that_cannot_be_made_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SurroundingsError, match=r"cannot write to .*file/x .*\. Set DLCLI_HOME"):
        get(server, tmp_path / "file" / "x" / "big.bin")


def test_two_at_once_fetch_once(server: Server, path: Path) -> None:
    server.plan, server.pause = ["slow 1000000"], 0.3
    first, second = Notes(), Notes()
    found: list[Fetched] = []
    threads = [threading.Thread(target=lambda n=notes: found.append(get(server, path, n))) for notes in (first, second)]
    threads[0].start()
    while not server.asked:
        time.sleep(0.01)
    threads[1].start()
    for thread in threads:
        thread.join(timeout=10)
    assert [fetched.new for fetched in found] == [True, False]
    assert second.lines == [f"process {os.getpid()} is fetching big.bin: waiting for it"]
    assert len(server.asked) == 1
    assert path.read_bytes() == CONTENT


def test_what_is_known_of_a_part_says_where_it_came_from(server: Server, path: Path) -> None:
    server.plan = ["cut 1000", "drop", "drop", "drop"]
    with pytest.raises(FetchError):
        get(server, path)
    about = json.loads(path.with_name("big.bin.part.json").read_text())
    assert about == {"address": f"{server.base}/pub/big.bin", "validator": '"v1"'}
    path.with_name("big.bin.part.json").write_text("{")  # Damaged: the hash still vouches for the whole.
    get(server, path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1234, "1.2 kB"), (84_125_825, "84.1 MB"), (2 * 10**9, "2.0 GB")],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert in_words(size) == words
