"""The registry of data sets: where each is to be had, what vouches for it, and where it lies once it was fetched.

An entry is a TOML file: `pipelines/data/NAME.toml` ships with dlcli, `HOME/data/NAME.toml` in the user's cache is the
user's own and comes first. The data set itself lies in `HOME/data/NAME/`; `data:NAME` stands for it wherever a verb
takes data. This module looks things up; `core/fetch.py` fetches.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from dlcli.errors import UsageError, nearest
from dlcli.resources import home, resource

PREFIX = "data:"
ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
# What is data as it comes: tables, NumPy's arrays, and the files of MNIST and its kin.
PLAIN = (".csv", ".tsv", ".jsonl", ".npz", "-ubyte.gz")
_DIGITS = {"sha256": 64, "md5": 32}


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if (not parts and path != ".") or path.startswith("/") or ".." in parts or "\\" in path:
        raise ValueError(f"expected a path inside the data set, got {path!r}")
    return path


_Inside = Annotated[str, AfterValidator(_inside)]


class File(BaseModel):
    """One file of a data set.

    Attributes:
        address: where it is to be had.
        size: in bytes, where somebody states it.
        hash: as hexadecimal digits; empty when nobody states one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(pattern=r"^https?://[^/\s]+/\S+$")
    size: int | None = Field(None, ge=1)
    hash: str = Field("", pattern=r"^[0-9a-f]*$")

    @model_validator(mode="after")
    def _known(self) -> File:
        if not self.name.lower().endswith(ARCHIVES + PLAIN) or re.search(r"[/\\]|^\.", self.name):
            raise ValueError(f"address: expected a file ending in {', '.join(ARCHIVES + PLAIN)}, got {self.name!r}")
        return self

    @property
    def name(self) -> str:
        """The name of the file at the address."""
        return unquote(urlsplit(self.address).path.rpartition("/")[2])


class DataSet(BaseModel):
    """One entry of the registry; the fields but `name` are the keys of its file.

    Attributes:
        name: what the file is called.
        address: of one archive, table or other file; of several, `files` says this, the size and the hash of each.
        size: of what is at the address, in bytes, where somebody states it.
        hash: of what is at the address, as hexadecimal digits; empty when nobody states one.
        files: what lies beside each other in the data set's folder, none of it an archive.
        algorithm: of the hashes.
        hash_source: who states the hash.
        licence: terms of use, or that none are stated.
        data: what `data:NAME` stands for, relative to the data set's folder.
        parts: what `data:NAME/PART` stands for.
        leave_out: patterns of files in the archive that are no data.
        use: command lines to begin with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str = Field(min_length=1)
    homepage: str = ""
    address: str = ""
    size: int | None = Field(None, ge=1)
    algorithm: Literal["sha256", "md5"] = "sha256"
    hash: str = ""
    files: tuple[File, ...] = ()
    hash_source: str = ""
    licence: str = Field(min_length=1)
    citation: str = ""
    data: _Inside
    parts: dict[str, _Inside] = {}
    leave_out: tuple[str, ...] = ()
    use: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> DataSet:
        if bool(self.address) == bool(self.files):
            raise ValueError("expected either an address, or files with one each")
        for file in self.fetched:
            if file.hash and len(file.hash) != _DIGITS[self.algorithm]:
                raise ValueError(f"hash: expected {_DIGITS[self.algorithm]} digits of {self.algorithm}")
            if file.hash and not self.hash_source:
                raise ValueError("hash_source is missing: say who states the hash")
        if archives := [file.name for file in self.files if file.name.lower().endswith(ARCHIVES)]:
            raise ValueError(f"files: expected no archive, got {archives[0]}; give it as the address of an entry")
        if len({file.name for file in self.files}) < len(self.files):
            raise ValueError("files: expected different names")
        return self

    @property
    def fetched(self) -> tuple[File, ...]:
        """The files to fetch."""
        return self.files or (File(address=self.address, size=self.size, hash=self.hash),)

    @property
    def total(self) -> int | None:
        """How many bytes there are to fetch, where somebody states it."""
        sizes = [file.size for file in self.fetched]
        return None if None in sizes else sum(filter(None, sizes))

    @property
    def vouched(self) -> bool:
        """Whether somebody states the hash of all files."""
        return all(file.hash for file in self.fetched)

    @property
    def folder(self) -> Path:
        """Where the data set lies, or would."""
        return home() / "data" / self.name

    @property
    def here(self) -> bool:
        """Whether it is on this machine, with all its parts."""
        return all((self.folder / path).exists() for path in (self.data, *self.parts.values()))


def known() -> dict[str, Path]:
    """Return the files of all entries, by name; the user's own come before shipped ones of the same name."""
    folders = (resource("pipelines/data"), home() / "data")
    found = {path.stem: path for folder in folders for path in folder.glob("*.toml")}
    return dict(sorted(found.items()))


def find(name: str) -> DataSet:
    """Return the entry of a data set.

    Raises:
        UsageError: there is none of that name, or its file is wrong.
    """
    entries = known()
    if name not in entries:
        raise UsageError(f"there is no data set {name!r}", hint=nearest(name, entries))
    return _read(entries[name])


def is_reference(value: object) -> bool:
    """Say whether an input names a data set of the registry."""
    return isinstance(value, (str, Path)) and str(value).startswith(PREFIX)


def referred(reference: str | Path) -> tuple[DataSet, str]:
    """Return the data set that `data:NAME` or `data:NAME/PART` names, and the part (or nothing).

    Raises:
        UsageError: there is no such data set, or it has no such part.
    """
    name, _, part = re.sub(r"[\\/]+", "/", str(reference)).removeprefix(PREFIX).strip("/").partition("/")
    entry = find(name)
    if part and part not in entry.parts:
        raise UsageError(f"the data set {name} has no part {part!r}", hint=nearest(part, entry.parts))
    return entry, part


def located(reference: str | Path) -> Path:
    """Return where the data is that `data:NAME` or `data:NAME/PART` names.

    Raises:
        UsageError: it is not known, or not on this machine.
    """
    entry, part = referred(reference)
    path = entry.folder / (entry.parts[part] if part else entry.data)
    if not path.exists():
        raise UsageError(
            f"the data set {entry.name} is not on this machine", hint=f"Fetch it with: dlcli data fetch {entry.name}"
        )
    return path


def _read(path: Path) -> DataSet:
    return read_entry(path, DataSet, File)


_Entry = TypeVar("_Entry", bound=BaseModel)


def read_entry(path: Path, kind: type[_Entry], inner: type[BaseModel]) -> _Entry:
    """Read an entry of a registry.

    Args:
        path: a TOML file, whose name is that of the entry.
        kind: what an entry is; its fields but `name` are the keys of the file.
        inner: what a table in an entry is.

    Raises:
        UsageError: it is not TOML, or not such an entry; says which key.
    """
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return kind.model_validate({**content, "name": path.stem})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    except ValidationError as error:
        errors = error.errors()
        # A misspelt key is the reason for one that is missing.
        first = next((found for found in errors if found["type"] == "extra_forbidden"), errors[0])
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = (inner if "." in key else kind).model_fields
            raise UsageError(f"{path}: unknown key {key!r}", hint=nearest(str(first["loc"][-1]), known)) from None
        found = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{path}: {key}: {found}" if key else f"{path}: {found}") from None
