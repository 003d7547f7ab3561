"""`dlcli data`: what is listed, fetched and found, and recipes that fetch what they need."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome
from server import Server, serving

from dlcli import recipes
from dlcli.core import transfer
from dlcli.core.config import Config
from dlcli.verbs.shared.data_sets import RECORD

Command = Callable[..., Outcome]

TEXTS = {
    "films/train/pos/1.txt": "good film",
    "films/train/neg/1.txt": "bad film",
    "films/train/unsup/1.txt": "a film",
    "films/train/urls_pos.txt": "http://host/1",
    "films/test/pos/1.txt": "fine film",
    "films/test/neg/1.txt": "poor film",
    "films/bag.feat": "1 0:9 1:1",
    # So that the archive is long enough to be cut in the middle.
    "films/README": os.urandom(200_000).hex(),
}
RECIPE = """
title = "Look"

[shared]
data = "data:films"

[[steps]]
name = "train"
use = "train-text"
with = { data = "${data}", val = "data:films/test", dry_run = true }

[[steps]]
name = "ask"
use = "predict"
with = { run = "runs/none", text = ["data:nothing", "data: is the new oil"] }
"""


def make_archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in TEXTS.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


ARCHIVE = make_archive()


def write_entry(home: Path, address: str, **changes: Any) -> None:
    keys: dict[str, Any] = {
        "title": "Two films",
        "address": address,
        "size": len(ARCHIVE),
        "hash": hashlib.sha256(ARCHIVE).hexdigest(),
        "hash_source": "the test",
        "licence": "CC0",
        "data": "films",
        "leave_out": ["*.feat", "*/urls_*.txt"],
        "use": ["dlcli train-text data:films"],
        **changes,
    }
    parts = {"train": "films/train", "test": "films/test", "unlabelled": "films/train/unsup"}
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items() if value is not None]
    if address.endswith(".tar.gz"):
        lines += ["[parts]", *(f"{key} = {json.dumps(value)}" for key, value in parts.items())]
    (home / "data").mkdir(parents=True, exist_ok=True)
    (home / "data" / "films.toml").write_text("\n".join(lines) + "\n")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(transfer, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as state:
        state.files["/pub/films.tar.gz"] = ARCHIVE
        yield state


@pytest.fixture
def home(dlcli: Command, server: Server, tmp_path: Path) -> Path:
    """Return the user's cache, which knows a data set of the server and has none."""
    write_entry(tmp_path / "home", f"{server.base}/pub/films.tar.gz")
    return tmp_path / "home"


def texts(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_the_list_says_what_there_is_and_how_to_use_it(dlcli: Command, home: Path) -> None:
    outcome = dlcli("data")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome == dlcli("data", "list")
    blocks = {block.split()[1]: block for block in outcome.out.split("\n\n")}
    assert blocks.keys() == {"films", "imdb", "movie-polarity", "mnist", "fashion-mnist", "cifar10", "cats-dogs"}
    assert "84.1 MB to fetch" in blocks["imdb"]
    assert "sha256, stated by TensorFlow Datasets" in blocks["imdb"]
    assert "dlcli evaluate runs/imdb data:imdb/test" in blocks["imdb"]
    assert "no: dlcli data fetch imdb" in blocks["imdb"]
    one = json.loads(dlcli("data", "list", "films", "--json").out)["data_sets"]
    assert [(entry["name"], entry["here"], entry["path"]) for entry in one] == [("films", False, None)]
    assert list(home.rglob("*")) == [home / "data", home / "data" / "films.toml"]


def test_a_data_set_is_fetched_unpacked_and_found(dlcli: Command, home: Path, server: Server) -> None:
    outcome = dlcli("data", "fetch", "films")
    assert outcome.code == 0, outcome.err
    assert outcome.lines == [
        f"fetching {server.base}/pub/films.tar.gz ({transfer.in_words(len(ARCHIVE))}), to "
        f"{home / 'downloads' / 'films'}"
    ]
    folder = home / "data" / "films"
    found = texts(folder)
    about = json.loads(found.pop(RECORD))
    assert found == {name: text for name, text in TEXTS.items() if "urls" not in name and "feat" not in name}
    assert about["sha256"] == hashlib.sha256(ARCHIVE).hexdigest()
    assert about["verified"] is True
    assert f"here     {folder / 'films'}" in outcome.out
    # The archive is not kept beside what was in it.
    assert [p for p in (home / "downloads").rglob("*") if p.is_file()] == []

    assert dlcli("data", "path", "films", "films/test").out == f"{folder / 'films'}\n{folder / 'films' / 'test'}\n"
    assert f"here     {folder / 'films'}\n" in dlcli("data", "list", "films").out
    again = dlcli("data", "fetch", "films")
    assert "was here already" in again.out
    assert len(server.asked) == 1
    (folder / "films" / "mine.txt").write_text("")
    assert dlcli("data", "fetch", "films", "--force", "--json", "-q").code == 0
    assert len(server.asked) == 2
    assert not (folder / "films" / "mine.txt").exists()


@pytest.mark.usefixtures("home")
def test_verbs_read_it(dlcli: Command) -> None:
    from dlcli.resources import resolve_input
    from dlcli.text.config import TextDataConfig
    from dlcli.text.read import UnlabelledText, read_labelled, scan_texts

    assert dlcli("train-text", "data:films").lines == [
        "dlcli: the data set films is not on this machine. Fetch it with: dlcli data fetch films"
    ]
    assert dlcli("data", "fetch", "films").code == 0

    def labelled(reference: str, part: str) -> list[tuple[str, str]]:
        found = read_labelled(resolve_input(Path(reference)), TextDataConfig(), part=part)
        return sorted(zip(found.texts, found.labels, strict=True))

    training, test = [("bad film", "neg"), ("good film", "pos")], [("fine film", "pos"), ("poor film", "neg")]
    assert labelled("data:films", "train") == labelled("data:films/train", "train") == training
    # A verb that judges never takes the training data of a data set by mistake.
    assert labelled("data:films", "test") == labelled("data:films/test", "test") == test
    unlabelled = scan_texts(resolve_input(Path("data:films/unlabelled")), column="text", encoding="utf-8")
    assert [text.item for text in unlabelled if isinstance(text, UnlabelledText)] == ["a film"]


def test_a_mirror_serves_the_same_file(dlcli: Command, home: Path, server: Server) -> None:
    server.files["/mirror/films.tar.gz"] = server.files.pop("/pub/films.tar.gz")
    refused = dlcli("data", "fetch", "films")
    assert refused.code == 5
    assert refused.lines == [
        "dlcli: cannot fetch films.tar.gz: 127.0.0.1 has no such file (404). "
        f"By hand: save {server.base}/pub/films.tar.gz as {home / 'downloads' / 'films' / 'films.tar.gz'}, then run "
        "the same command again. From a mirror: dlcli data fetch films --mirror URL"
    ]
    assert not (home / "data" / "films").exists()
    assert dlcli("data", "fetch", "films", "--mirror", f"{server.base}/mirror").code == 0
    assert (home / "data" / "films" / "films").is_dir()


def test_a_file_put_there_by_hand_is_taken(dlcli: Command, home: Path, server: Server) -> None:
    file = home / "downloads" / "films" / "films.tar.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(ARCHIVE)
    assert dlcli("data", "fetch", "films").code == 0
    assert server.asked == []
    assert (home / "data" / "films" / "films").is_dir()


def test_an_altered_file_leaves_nothing(dlcli: Command, home: Path, server: Server) -> None:
    server.plan = ["altered"]
    outcome = dlcli("data", "fetch", "films")
    assert (outcome.code, outcome.out) == (5, "")
    assert "is not the file that is stated: expected sha256" in outcome.lines[-1]
    assert not (home / "data" / "films").exists()
    assert [p for p in (home / "downloads").rglob("*") if p.is_file() and p.suffix != ".lock"] == []


def test_without_a_stated_hash_it_is_recorded_and_told(dlcli: Command, home: Path, server: Server) -> None:
    write_entry(home, f"{server.base}/pub/films.tar.gz", hash="", hash_source=None, size=None)
    digest = hashlib.sha256(ARCHIVE).hexdigest()
    outcome = dlcli("data", "fetch", "films")
    assert outcome.code == 0
    assert outcome.lines[-1].startswith("warning: nobody states a hash for films.tar.gz, so it was not verified; ")
    assert f"sha256 {digest}" in outcome.lines[-1]
    about = json.loads((home / "data" / "films" / RECORD).read_text())
    assert (about["sha256"], about["verified"], about["size"]) == (digest, False, len(ARCHIVE))


def test_a_damaged_archive_is_told_and_not_kept(dlcli: Command, home: Path, server: Server) -> None:
    write_entry(home, f"{server.base}/pub/films.tar.gz", hash="", hash_source=None, size=None)
    server.files["/pub/films.tar.gz"] = ARCHIVE[:1000]
    outcome = dlcli("data", "fetch", "films")
    assert outcome.code == 5
    assert "is no archive, or a damaged one" in outcome.lines[-1]
    server.files["/pub/films.tar.gz"] = ARCHIVE
    assert dlcli("data", "fetch", "films").code == 0


def test_an_archive_without_the_parts_is_told(dlcli: Command, home: Path, server: Server) -> None:
    write_entry(home, f"{server.base}/pub/films.tar.gz", data="movies")
    outcome = dlcli("data", "fetch", "films")
    assert outcome.code == 5
    assert "what came for films has no movies, which its entry names" in outcome.lines[-1]
    assert dlcli("data", "path", "films").code == 2


def test_a_table_is_put_there_as_it_is(dlcli: Command, home: Path, server: Server) -> None:
    table = b"text,label\ngood,pos\nbad,neg\n"
    server.files["/pub/films.csv"] = table
    digest = hashlib.sha256(table).hexdigest()
    write_entry(home, f"{server.base}/pub/films.csv", data="films.csv", size=len(table), hash=digest)
    assert dlcli("data", "fetch", "films").code == 0
    assert Path(dlcli("data", "path", "films").out.strip()).read_bytes() == table


def test_several_files_lie_beside_each_other(dlcli: Command, home: Path, server: Server) -> None:
    contents = {f"{part}-{kind}-ubyte.gz": os.urandom(50) for part in ("train", "t10k") for kind in ("a", "b")}
    files = []
    for name, content in contents.items():
        server.files[f"/pub/{name}"] = content
        digest = hashlib.sha256(content).hexdigest()
        files.append(f'[[files]]\naddress = "{server.base}/pub/{name}"\nsize = 50\nhash = "{digest}"\n')
    entry = 'title = "Digits"\nhash_source = "the test"\nlicence = "CC0"\ndata = "."\n' + "".join(files)
    (home / "data" / "digits.toml").write_text(entry)
    assert "200 bytes to fetch" in dlcli("data", "list", "digits").out
    # One that is altered: the others stay where they are, and are not fetched again.
    server.plan = ["", "altered"]
    assert dlcli("data", "fetch", "digits").code == 5
    assert not (home / "data" / "digits").exists()
    assert dlcli("data", "fetch", "digits").code == 0
    assert [Path(asked["path"]).name for asked in server.asked] == [
        *list(contents)[:2],
        *list(contents)[1:],
    ]
    folder = Path(dlcli("data", "path", "digits").out.strip())
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    about = json.loads(found.pop(RECORD))
    assert found == contents
    assert [Path(file["address"]).name for file in about["files"]] == list(contents)
    assert about["verified"] is True
    assert not (home / "downloads" / "digits").exists()


def test_a_zip_archive_is_unpacked(dlcli: Command, home: Path, server: Server) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in TEXTS.items():
            archive.writestr(name, text)
    content = buffer.getvalue()
    server.files["/pub/films.zip"] = content
    digest = hashlib.sha256(content).hexdigest()
    write_entry(home, f"{server.base}/pub/films.zip", size=len(content), hash=digest)
    assert dlcli("data", "fetch", "films").code == 0
    found = texts(home / "data" / "films")
    del found[RECORD]
    assert found == {name: text for name, text in TEXTS.items() if "urls" not in name and "feat" not in name}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("fetch", "expected the name of a data set: dlcli data fetch NAME"),
        ("path", "expected the name of a data set: dlcli data path NAME"),
        ("fetch imbd", "there is no data set 'imbd'. Did you mean 'imdb'?"),
        ("fetch films imbd", "there is no data set 'imbd'. Did you mean 'imdb'?"),
        ("list imdb --force", "--mirror and --force go with fetch, not with list"),
        ("path films", "the data set films is not on this machine. Fetch it with: dlcli data fetch films"),
        ("fetch films --mirror nowhere", "--mirror: expected an address such as https://host/folder, got 'nowhere'"),
        ("ftch", "'ftch' is not one of"),
    ],
)
@pytest.mark.usefixtures("home")
def test_wrong_words(dlcli: Command, server: Server, arguments: str, words: str) -> None:
    outcome = dlcli("data", *arguments.split())
    assert (outcome.code, outcome.out, len(outcome.lines)) == (2, "", 1)
    assert words in outcome.lines[0]
    assert server.asked == []


# Processes.


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dlcli", "data", *arguments],
        env=os.environ | {"DLCLI_HOME": str(home), "no_proxy": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore SIGINT, and their children with them.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_leaves_a_part_that_the_next_process_goes_on_with(home: Path, server: Server) -> None:
    server.plan, server.pause = ["slow 100000"], 30
    part = home / "downloads" / "films" / "films.tar.gz.part"
    with start(home, "fetch", "films") as process:
        try:
            until(lambda: part.exists() and part.stat().st_size == 100_000)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, out) == (130, "")
    assert [line for line in err.splitlines() if line][1:] == [
        "100.0 kB are kept: the same command goes on from there",
        "dlcli: interrupted",
    ]
    assert part.stat().st_size == 100_000
    with start(home, "fetch", "films") as process:
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert server.ranges_asked == [None, "bytes=100000-"]
    assert (home / "data" / "films" / RECORD).is_file()


def test_two_processes_fetch_once(home: Path, server: Server) -> None:
    server.plan, server.pause = ["slow 1000"], 1.5
    with start(home, "fetch", "films") as first, start(home, "fetch", "films") as second:
        errors = [process.communicate(timeout=30)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), errors
    assert len(server.asked) == 1
    assert sum("is fetching films: waiting for it" in err for err in errors) == 1


# Recipes.


@pytest.fixture
def recipe(home: Path, tmp_path: Path) -> Path:
    path = tmp_path / "look.toml"
    path.write_text(RECIPE)
    return path


def test_a_dry_run_names_what_would_be_fetched(dlcli: Command, recipe: Path, server: Server) -> None:
    outcome = dlcli("run", recipe, "--dry-run")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[:2] == [
        "dlcli data fetch films",
        "dlcli train-text data:films --val data:films/test --dry-run",
    ]
    assert json.loads(dlcli("run", recipe, "--dry-run", "--json").out)["data_sets"] == ["films"]
    assert server.asked == []


def test_a_recipe_fetches_what_it_names_before_its_first_step(
    dlcli: Command, recipe: Path, home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def step(config: Config, progress: Any) -> Any:
        asked.append(len(server.asked))
        raise KeyboardInterrupt

    step.__annotations__ = {"return": recipes.Result}
    action = recipes.find_verb("train-text").load()
    monkeypatch.setattr("dlcli.verbs.train_text.ACTION", type(action)(config=action.config, function=step, examples=()))
    assert dlcli("run", recipe).code == 130
    assert asked == [1]
    assert (home / "data" / "films" / "films").is_dir()
    assert dlcli("run", recipe).code == 130
    assert asked == [1, 1]  # It was there.


def test_another_path_for_the_data_fetches_nothing(dlcli: Command, recipe: Path, server: Server) -> None:
    outcome = dlcli("run", recipe, "--set", "data=nowhere.csv", "--set", "train.val=nowhere.csv")
    assert outcome.lines[-1] == "dlcli: step 'train': nowhere.csv does not exist"
    assert server.asked == []


def test_a_recipe_that_names_an_unknown_data_set_is_refused(dlcli: Command, recipe: Path, server: Server) -> None:
    for more in ([], ["--dry-run"]):
        outcome = dlcli("run", recipe, "--set", "data=data:flims", *more)
        assert outcome.code == 2
        assert outcome.lines == ["dlcli: step 'train': there is no data set 'flims'. Did you mean 'films'?"]
    assert server.asked == []


@pytest.mark.usefixtures("home")
def test_the_registry_is_no_recipe(dlcli: Command) -> None:
    assert "imdb.toml" not in {path.name for path in recipes.shipped().values() if path.parent.name == "data"}
    assert dlcli("run").code == 0
