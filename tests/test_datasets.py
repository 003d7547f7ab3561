"""The registry of data sets, and the paths that stand for them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from conftest import ROOT

from dlcli import datasets, resources
from dlcli.errors import SurroundingsError, UsageError
from dlcli.options import make_command
from dlcli.resources import home, resolve_input
from dlcli.verbs import find_verb

_ADDRESS = 'address = "https://host/pub/films.tar.gz"'
_FILE = '{ address = "https://host/a.csv" }'
ENTRY = """
title = "Two films"
address = "https://host/pub/films.tar.gz"
licence = "CC0"
data = "films"

[parts]
train = "films/train"
test = "films/test"
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of the user's own data sets, with one entry and no data."""
    monkeypatch.setenv("DLCLI_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "data"
    folder.mkdir(parents=True)
    (folder / "films.toml").write_text(ENTRY)
    return folder


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines" / "data").glob("*.toml")), ids=lambda path: path.stem)
@pytest.mark.usefixtures("cache")
def test_every_shipped_entry_is_valid(path: Path) -> None:
    entry = datasets.find(path.stem)
    assert (entry.name, entry.here) == (path.stem, False)
    # Without https it is the hash alone that vouches for what comes; MD5 would not do.
    assert all(file.address.startswith("https://") or entry.algorithm == "sha256" for file in entry.fetched)
    assert entry.vouched and entry.hash_source and entry.citation and entry.licence
    assert entry.use
    for line in entry.use:
        program, verb, *words = shlex.split(line)
        assert program == "dlcli"
        command = make_command(find_verb(verb), find_verb(verb).load(), lambda *_, **__: None)
        with command.make_context(verb, list(words)):
            pass
        named = [word for word in words if datasets.is_reference(word)]
        assert named and all(datasets.referred(word)[0] == entry for word in named)


def test_what_is_known_of_imdb() -> None:
    """As TensorFlow Datasets states it."""
    entry = datasets.find("imdb")
    assert ([file.name for file in entry.fetched], entry.total) == (["aclImdb_v1.tar.gz"], 84_125_825)
    assert entry.algorithm == "sha256"
    assert entry.hash == "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"


def test_a_data_set_of_several_files() -> None:
    """As TensorFlow Datasets states them."""
    entry = datasets.find("fashion-mnist")
    assert [file.name for file in entry.fetched] == [
        f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
    ]
    assert (entry.total, entry.vouched) == (30_878_645, True)


@pytest.mark.parametrize(
    ("reference", "inside"),
    [("data:films", "films"), ("data:films/test", "films/test"), ("data:films/train/", "films/train")],
)
def test_a_reference_is_a_path_in_the_cache(cache: Path, reference: str, inside: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_input(Path(reference))
    assert str(caught.value) == "the data set films is not on this machine. Fetch it with: dlcli data fetch films"
    (cache / "films" / inside).mkdir(parents=True)
    assert resolve_input(Path(reference)) == cache / "films" / inside


@pytest.mark.usefixtures("cache")
def test_a_wrong_reference_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"there is no data set 'flims'\. Did you mean 'films'\?"):
        resolve_input(Path("data:flims"))
    with pytest.raises(UsageError, match=r"the data set films has no part 'tets'\. Did you mean 'test'\?"):
        resolve_input(Path("data:films/tets"))
    with pytest.raises(UsageError, match="there is no data set ''"):
        resolve_input(Path("data:"))


def test_other_paths_are_what_they_say(cache: Path) -> None:
    for path in ("data/films", "my-data:films", "films.csv"):
        assert resolve_input(Path(path)) == Path(path)


def test_an_entry_of_the_users_own_comes_first(cache: Path) -> None:
    (cache / "imdb.toml").write_text(ENTRY.replace("Two films", "Our copy"))
    assert datasets.find("imdb").title == "Our copy"
    assert list(datasets.known()) == sorted(datasets.known())
    assert {"films", "imdb", "movie-polarity"} <= datasets.known().keys()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('title = "Two films"', "title =", "films.toml is not valid TOML"),
        ('licence = "CC0"', "", "films.toml: licence: Field required"),
        ("licence", "license", "films.toml: "),
        ('data = "films"', 'data = "../films"', "data: expected a path inside the data set, got '../films'"),
        ('test = "films/test"', 'test = "/etc"', "parts.test: expected a path inside the data set, got '/etc'"),
        ("https://host", "ftp://host", "address: "),
        ("films.tar.gz", "films.exe", "address: expected a file ending in .tar.gz"),
        ("films.tar.gz", "", "address: "),
        ("films.tar.gz", "..%2F..%2Ffilms.tar.gz", "got '../../films.tar.gz'"),
        ("[parts]", 'hash = "abc"\n[parts]', "hash: expected 64 digits of sha256"),
        ("[parts]", f'hash = "{"0" * 64}"\n[parts]', "hash_source is missing: say who states the hash"),
        ("[parts]", 'algorithm = "crc"\n[parts]', "algorithm: "),
        ("[parts]", "size = 0\n[parts]", "size: "),
        (_ADDRESS, "", "expected either an address, or files with one each"),
        ("[parts]", '[[files]]\naddress = "https://host/a.csv"\n[parts]', "expected either an address, or files"),
        (_ADDRESS, 'files = [{ address = "https://host/a.zip" }]', "files: expected no archive, got a.zip"),
        (_ADDRESS, f"files = [{_FILE}, {_FILE}]", "files: expected different names"),
        (
            _ADDRESS,
            'files = [{ adress = "https://host/a.csv" }]',
            "unknown key 'files.0.adress'. Did you mean 'address'?",
        ),
        ("[parts]", 'adress = "x"\n[parts]', "unknown key 'adress'. Did you mean 'address'?"),
    ],
)
def test_a_wrong_entry_is_named(cache: Path, old: str, new: str, words: str) -> None:
    assert old in ENTRY
    (cache / "films.toml").write_text(ENTRY.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        datasets.find("films")
    assert str(cache / "films.toml") in str(caught.value)
    assert words in str(caught.value)
    datasets.find("imdb")  # The others are as good as before.


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "~/.cache/dlcli"),
        ("linux", {"XDG_CACHE_HOME": "/x/cache"}, "/x/cache/dlcli"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "~/.cache/dlcli"),
        ("linux", {"DLCLI_HOME": "/srv/dlcli", "XDG_CACHE_HOME": "/x"}, "/srv/dlcli"),
        ("linux", {"DLCLI_HOME": "~/mine"}, "~/mine"),
        ("darwin", {}, "~/Library/Caches/dlcli"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/dlcli"),
    ],
)
def test_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], expected: str
) -> None:
    for name in ("DLCLI_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (environment | {"HOME": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(resources.sys, "platform", platform)
    assert str(home()) == expected.replace("~", str(tmp_path))


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("DLCLI_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(SurroundingsError, match="Set DLCLI_HOME"):
        home()
