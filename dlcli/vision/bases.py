"""The registry of pretrained bases: what each is, where its weights are to be had, and what vouches for them.

An entry is a TOML file: `pretrained/NAME.toml` ships with dlcli, `HOME/pretrained/NAME.toml` in the user's cache is the
user's own and comes first. A base is built by `keras.applications` and takes its weights from a file, or is a whole
model, a `.keras` file beside its entry. This module looks bases up; `weights.py` brings their weights.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dlcli.datasets import read_entry
from dlcli.errors import UsageError, nearest
from dlcli.resources import home, resource

PREFIX = "base:"
FOLDER = "pretrained"
Preprocessing = Literal["caffe", "tf", "torch", "unit", "none"]
"""What makes a base's input of pixels from 0 to 255; see `Base`."""

_DIGITS = {"sha256": 64, "md5": 32}
# As many marks of a base tell its network from others: two blocks named as everybody names them do not.
_ENOUGH = 3


class WeightsFile(BaseModel):
    """A published file.

    Attributes:
        address: where it is to be had.
        size: in bytes, where somebody states it.
        algorithm: of the hash.
        hash: as hexadecimal digits; empty when nobody states one.
        hash_source: who states the hash.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(pattern=r"^https?://[^/\s]+/\S*[^/\s.][^/\s]*$")
    size: int | None = Field(None, ge=1)
    algorithm: Literal["sha256", "md5"] = "sha256"
    hash: str = Field("", pattern=r"^[0-9a-f]*$")
    hash_source: str = ""

    @model_validator(mode="after")
    def _complete(self) -> WeightsFile:
        if self.hash and len(self.hash) != _DIGITS[self.algorithm]:
            raise ValueError(f"hash: expected {_DIGITS[self.algorithm]} digits of {self.algorithm}")
        if self.hash and not self.hash_source:
            raise ValueError("hash_source is missing: say who states the hash")
        return self

    @property
    def name(self) -> str:
        """The name of the file at the address."""
        return unquote(urlsplit(self.address).path.rpartition("/")[2])


# The names of ImageNet's 1,000 classes, in the order in which all networks of Keras answer.
CLASSES = WeightsFile(
    address="https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json",
    algorithm="md5",
    hash="c2c37ea517e94d9795004a39431a14cb",
    hash_source="Keras, keras/src/applications/imagenet_utils.py",
)


class Base(BaseModel):
    """One entry of the registry; the fields but `name` are the keys of its file.

    Attributes:
        name: what the file is called.
        family: whose card, `pretrained/FAMILY.md`, describes it; empty for a user's own.
        application: the function of `keras.applications` that builds it; empty where `file` is given.
        file: a `.keras` file beside the entry, the whole model without a head; else empty.
        preprocessing: what makes its input of pixels from 0 to 255: `caffe`, `tf` and `torch` as
            `keras.applications.imagenet_utils` has them, `unit` divides by 255, `none` leaves them to the model.
        default_size: side of the pictures in pixels where nobody says another.
        smallest_size: side of the smallest pictures that it takes.
        feature_layer: the last layer without the head.
        blocks: names of what can be unfrozen, from bottom to top, and the first layer of each.
        marks: layers by which a model is recognised as this one, from bottom to top; without any, those of `blocks`.
        parameters: how many it has without the head.
        bfloat16: whether it is faster so, on a processor that has matrix instructions for it.
        weights: of the base without its head.
        full: of the base with its head for the 1,000 classes of ImageNet.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str = Field(min_length=1)
    family: str = ""
    application: str = ""
    file: str = Field("", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*\.keras)?$")
    preprocessing: Preprocessing
    default_size: int = Field(ge=1)
    smallest_size: int = Field(ge=1)
    feature_layer: str
    blocks: dict[str, str]
    marks: tuple[str, ...] = ()
    parameters: int = Field(ge=0)
    licence: str = Field(min_length=1)
    homepage: str = ""
    citation: str = ""
    bfloat16: bool = False
    weights: WeightsFile | None = None
    full: WeightsFile | None = None

    @model_validator(mode="after")
    def _complete(self) -> Base:
        if bool(self.application) == bool(self.file):
            raise ValueError("expected either the application that builds it, or the file that holds it")
        if self.file and (self.weights or self.full):
            raise ValueError("file: it holds the weights, so there are no others")
        return self

    @property
    def path(self) -> Path:
        """Where the model lies that `file` names."""
        return known()[self.name].with_name(self.file)

    @property
    def published(self) -> Iterator[WeightsFile]:
        """The files that are published of it."""
        return (file for file in (self.weights, self.full) if file is not None)


def known() -> dict[str, Path]:
    """Return the files of all entries, by name; the user's own come before shipped ones of the same name."""
    folders = (resource(FOLDER), cache())
    found = {path.stem: path for folder in folders for path in folder.glob("*.toml")}
    return dict(sorted(found.items()))


def cache() -> Path:
    """Return where this user's weights and own bases lie; it need not exist yet."""
    return home() / FOLDER


def find(name: str) -> Base:
    """Return the entry of a base.

    Raises:
        UsageError: there is none of that name, or its file is wrong.
    """
    entries = known()
    if name not in entries:
        raise UsageError(f"there is no base {name!r}", hint=nearest(name, entries))
    return read_entry(entries[name], Base, WeightsFile)


def is_reference(value: object) -> bool:
    """Say whether a run's path names a base of the registry: `base:NAME`."""
    return isinstance(value, (str, Path)) and str(value).startswith(PREFIX)


def referred(reference: str | Path) -> Base:
    """Return the base that `base:NAME` names.

    Raises:
        UsageError: there is no such base.
    """
    return find(str(reference).removeprefix(PREFIX))


def published(name: str) -> list[tuple[Base, WeightsFile]]:
    """Return the bases of which a file of that name is published, and the file."""
    entries = (find(entry) for entry in known())
    return [(base, file) for base in entries for file in base.published if file.name == name]


def recognised(layer_names: Collection[str]) -> Base | None:
    """Return the base that a model is, by the names of its layers; None where it is none of Keras' own.

    Args:
        layer_names: of the model, which may have been cut above some block, and may have a head.

    Returns:
        the base, with those of its blocks that the model has.
    """
    names = set(layer_names)
    found = [base for base in map(find, known()) if base.application and _is(base, names)]
    if not found:
        return None
    # VGG19 has all that VGG16 has: the larger is the more like one.
    base = max(found, key=lambda base: base.parameters)
    return base.model_copy(update={"blocks": {block: first for block, first in base.blocks.items() if first in names}})


def _is(base: Base, names: set[str]) -> bool:
    """Say whether a model has a base's marks up to where it was cut."""
    there = [mark in names for mark in base.marks or base.blocks.values()]
    count = sum(there)
    return count >= _ENOUGH and all(there[:count])
