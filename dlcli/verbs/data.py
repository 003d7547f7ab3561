"""`dlcli data`: the data sets that dlcli knows, and how they come to this machine."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field, model_validator

from dlcli import datasets
from dlcli.core.config import Config, option
from dlcli.core.progress import Progress
from dlcli.datasets import DataSet
from dlcli.verbs import Action
from dlcli.verbs.shared.data_sets import RECORD, obtain
from dlcli.verbs.shared.result import Result, facts


class DataConfig(Config):
    """What to do with which data sets."""

    section = "Data sets"

    action: Literal["list", "fetch", "path"] = option(
        "list",
        "list: what there is, and how to use it; fetch: bring data sets to this machine; path: print where they are.",
        argument=True,
        metavar="list|fetch|path",
    )
    names: tuple[str, ...] = option(
        (), "Names of data sets; list shows all without them, path takes NAME/PART too.", argument=True, metavar="NAME"
    )
    mirror: str = option("", "Fetch the file of the same name under this address instead.", metavar="URL")
    force: bool = option(False, "Fetch what is here already too, and replace it.")

    @model_validator(mode="after")
    def _fitting(self) -> DataConfig:
        if self.action != "list" and not self.names:
            raise ValueError(f"expected the name of a data set: dlcli data {self.action} NAME (dlcli data lists them)")
        if self.action != "fetch" and (self.mirror or self.force):
            raise ValueError(f"--mirror and --force go with fetch, not with {self.action}")
        return self


class DataResult(Result):
    """The data sets that were asked for."""

    action: str
    data_sets: list[dict[str, Any]]
    shown: str = Field(exclude=True)

    def text(self) -> str:
        """Return what was asked: a list, what was fetched, or paths alone."""
        return self.shown


def data(config: DataConfig, progress: Progress) -> DataResult:
    """List data sets, fetch some, or say where they are.

    Args:
        config: the settings.
        progress: told of what comes.

    Returns:
        each data set with what is known of it.

    Raises:
        UsageError: an unknown name, or a path that is asked for and not here.
        SurroundingsError: what shall be fetched cannot be had; those before it are here.
    """
    if config.action == "path":
        paths = {name: datasets.located(f"{datasets.PREFIX}{name}") for name in config.names}
        return DataResult(
            action=config.action,
            data_sets=[{"name": name, "path": str(path)} for name, path in paths.items()],
            shown="\n".join(map(str, paths.values())),
        )
    entries = [datasets.find(name) for name in config.names or datasets.known()]
    new = {}
    if config.action == "fetch":
        new = {entry.name: obtain(entry, progress, mirror=config.mirror, force=config.force) for entry in entries}
    found = [_about(entry) | ({"new": new[entry.name]} if new else {}) for entry in entries]
    show = _fetched if new else _listed
    return DataResult(
        action=config.action,
        data_sets=found,
        shown="\n\n".join(facts(show(entry, about)) for entry, about in zip(entries, found, strict=True)),
    )


def _about(entry: DataSet) -> dict[str, Any]:
    """Return what the registry says of a data set, and what is here of it."""
    record = entry.folder / RECORD
    return entry.model_dump(mode="json") | {
        "here": entry.here,
        "path": str(entry.folder / entry.data) if entry.here else None,
        "fetched": json.loads(record.read_text(encoding="utf-8")) if record.is_file() else None,
    }


def _listed(entry: DataSet, about: dict[str, Any]) -> list[tuple[str, str]]:
    from dlcli.core.transfer import in_words

    return [
        ("name", entry.name),
        ("title", entry.title),
        ("size", f"{in_words(entry.total)} to fetch" if entry.total else "not stated"),
        ("hash", f"{entry.algorithm}, stated by {entry.hash_source}" if entry.vouched else "none stated"),
        ("licence", entry.licence),
        ("citation", entry.citation),
        ("parts", ", ".join(_names(entry))),
        ("here", about["path"] or f"no: dlcli data fetch {entry.name}"),
        *_first_lines(entry),
    ]


def _fetched(entry: DataSet, about: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("name", entry.name),
        ("here", about["path"] + ("" if about["new"] else " (was here already; --force fetches it anew)")),
        ("licence", entry.licence),
        ("citation", entry.citation),
        *_first_lines(entry),
    ]


def _names(entry: DataSet) -> list[str]:
    return [f"{datasets.PREFIX}{entry.name}", *(f"{datasets.PREFIX}{entry.name}/{part}" for part in entry.parts)]


def _first_lines(entry: DataSet) -> list[tuple[str, str]]:
    return [("use" if not number else "", line) for number, line in enumerate(entry.use)]


ACTION = Action(
    config=DataConfig,
    function=data,
    examples=(
        "dlcli data list",
        "dlcli data fetch imdb",
        "dlcli data fetch imdb --mirror https://mirror.example.org/data",
        "dlcli data path imdb/test",
    ),
)
