"""`model.json`: what an artefact takes and gives, where it comes from, and the hashes of its files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dlcli.core.files import hashes, write_text
from dlcli.core.vouched import files_below, require_vouched
from dlcli.errors import ModelError, UsageError

CARD = "model.json"

Format = Literal["savedmodel", "keras", "litert", "onnx"]
Quantize = Literal["none", "dynamic", "float16", "int8"]
FILES: dict[str, str] = {
    "savedmodel": "saved_model.pb",
    "keras": "model.keras",
    "litert": "model.tflite",
    "onnx": "model.onnx",
}
"""The formats, and the file of each that holds the model."""
QUANTIZED = ("litert", "onnx")
"""The formats that can be quantised; the others keep the run's weights."""


class Tensor(BaseModel):
    """An input of the model: its name in the artefact; None in a shape is any size."""

    model_config = ConfigDict(extra="forbid")

    name: str
    dtype: str
    shape: list[int | None]


class Card(BaseModel):
    """The content of `model.json`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: Literal[1] = Field(1, alias="schema")
    made_by: str
    format: Format
    quantize: Quantize
    file: str
    domain: Literal["text", "vision"]
    labels: list[str]
    outputs: Literal["probabilities", "scores"]
    inputs: list[Tensor]
    output: str
    preprocessing: dict[str, Any]
    run: dict[str, Any]
    verified: dict[str, Any] = {}
    hashes: dict[str, str] = {}

    def write(self, folder: Path) -> None:
        """Write `model.json`, with the hashes of all that is in the folder now."""
        names = sorted(path.name for path in folder.iterdir() if path.name != CARD)
        self.hashes = hashes(folder, *names)
        write_text(folder / CARD, self.model_dump_json(indent=2, by_alias=True) + "\n")


def read_card(folder: Path) -> Card:
    """Read `model.json` and check every file that it names.

    Raises:
        UsageError: there is nothing at `folder`.
        ModelError: it is no artefact, or from a newer dlcli; a file is missing or was changed.
    """
    if not folder.exists():
        raise UsageError(f"{folder} does not exist", hint="Expected what dlcli export wrote")
    try:
        card = Card.model_validate_json((folder / CARD).read_bytes())
    except OSError:
        raise ModelError(f"{folder} is no export: it has no {CARD}", hint="Expected what dlcli export wrote") from None
    except ValidationError as error:
        what = error.errors()[0]["msg"]
        raise ModelError(f"{folder / CARD} is damaged or from a newer dlcli ({what})", hint="Export it anew") from None
    there = set(files_below(folder)) - {CARD}
    require_vouched(folder, card.hashes, there=there, needed=(FILES[card.format],), hint="Export it anew")
    if card.file != FILES[card.format]:
        raise ModelError(f"{folder} is refused: its {CARD} names the file {card.file!r}", hint="Export it anew")
    if strange := [name for name in named_files(card.preprocessing) if name not in card.hashes]:
        raise ModelError(f"{folder} is refused: its {CARD} names the file {strange[0]!r}", hint="Export it anew")
    return card


def named_files(settings: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the files that make a model's inputs, as `Card.preprocessing` has them."""
    for member in settings.get("members", [settings]):
        yield from filter(None, (member.get(name) for name in ("vocabulary", "words", "characters")))


def is_export(path: Path) -> bool:
    """Say whether a folder is an export of ours, or holds nothing but some, a folder a format."""
    if (path / CARD).is_file():
        try:
            return bool(json.loads((path / CARD).read_bytes())["made_by"].startswith("dlcli "))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
    children = list(path.iterdir()) if path.is_dir() else []
    return bool(children) and all(child.name in FILES and is_export(child) for child in children)
