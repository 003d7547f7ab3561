"""Recipes: named steps from a TOML file, run in one process; a client of the verbs, as the command line is.

title = "..."
description = "..."
summary = "..."               # printed at the end; ${train} is what the step prints, ${train.run} a field

[shared]                      # values for all steps, changed by --set name=value
data = "reviews.csv"          # data:NAME is a data set of the registry: fetched before the first step, if need be

[[steps]]
name = "train"
use = "train-text"            # a verb
with = { data = "${data}" }   # its settings, as flags call them, with _ for -

[[steps]]
name = "judge"
use = "evaluate"
with = { run = "${train.run}", data = "..." }    # a field of an earlier step's result
"""

from __future__ import annotations

import contextlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dlcli.core.progress import Progress
from dlcli.datasets import DataSet, is_reference, referred
from dlcli.errors import DlcliError, UsageError, from_os_error, nearest
from dlcli.options import by_field, check_settings, flag, make_config, require_known
from dlcli.resources import resource
from dlcli.verbs import find_verb
from dlcli.verbs.shared.data_sets import obtain
from dlcli.verbs.shared.result import Result

_REFERENCE = re.compile(r"\$\{([A-Za-z0-9_.-]+)\}")


class Step(BaseModel):
    """One verb with its settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    use: str
    with_: dict[str, Any] = Field({}, alias="with")


class Recipe(BaseModel):
    """The content of a recipe file."""

    model_config = ConfigDict(extra="forbid")

    title: str
    description: str = ""
    summary: str = ""
    shared: dict[str, Any] = {}
    steps: list[Step] = Field(min_length=1)


def shipped() -> dict[str, Path]:
    """Return the recipes that come with dlcli, by name."""
    return {path.stem: path for path in sorted(resource("pipelines").glob("*.toml"))}


def find(name: str) -> Path:
    """Return the file of a recipe, given its path or the name of a shipped one.

    Raises:
        UsageError: there is none.
    """
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file():
            raise UsageError(f"the recipe {path} does not exist")
        return path
    recipes = shipped()
    if name not in recipes:
        raise UsageError(f"there is no recipe {name!r}", hint=nearest(name, recipes))
    return recipes[name]


def load(path: Path, changes: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe, change what `--set` says, and check every step.

    Args:
        path: a TOML file.
        changes: `step.setting=value` or `shared-name=value`; values as TOML writes them, or else plain text.

    Raises:
        UsageError: a wrong key, an unknown verb or setting, or a reference to what is not there.
    """
    try:
        recipe = Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise from_os_error(error, path) from error
    except ValidationError as error:
        raise _bad_structure(path, error) from None
    except (ValueError, RecursionError) as error:  # Of TOML, of UTF-8, of what is nested too deep, of long numbers.
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    for change in changes:
        _change(recipe, change)
    _check(recipe, path)
    return recipe


@dataclass(kw_only=True)
class Outcome:
    """What a recipe's run came to.

    Attributes:
        results: of the steps that ran, by name.
        summary: the recipe's summary, filled in; without one, the text of the last result.
        failed: the gate that was not met; the steps behind it did not run.
    """

    results: dict[str, Result]
    summary: str = ""
    failed: DlcliError | None = None


def run(recipe: Recipe, progress: Progress) -> Outcome:
    """Fetch the data sets that are missing, and run the steps in their order, in this process.

    Args:
        recipe: what `load` returned.
        progress: told of the steps' work.
    """
    outcome = Outcome(results={})
    for entry in data_sets(recipe):
        obtain(entry, progress)
    known = dict(recipe.shared)
    for number, step in enumerate(recipe.steps, start=1):
        progress.note(f"[{number}/{len(recipe.steps)}] {step.name}: dlcli {step.use}")
        with _naming(f"step {step.name!r}"):
            action = find_verb(step.use).load()
            config = make_config(action.config, fill(step.with_, known), name=str)
            result = outcome.results[step.name] = action.run(config, progress)
        known |= {f"{step.name}.{field}": value for field, value in result} | {step.name: result.text()}
        outcome.summary = result.text()
        try:
            result.check()
        except DlcliError as error:
            outcome.failed = error
            return outcome
    if recipe.summary:
        outcome.summary = str(fill(recipe.summary.strip(), known))
    return outcome


def data_sets(recipe: Recipe) -> list[DataSet]:
    """Return the data sets that the steps take as `data:NAME`, each once.

    Raises:
        UsageError: one that is not known.
    """
    found = {}
    for step in recipe.steps:
        model = find_verb(step.use).load().config
        with _naming(f"step {step.name!r}"):
            for field, value in by_field(model, step.with_).items():
                kind = model.model_fields[field].annotation
                if Path not in (kind, *get_args(kind)) or not recipe.shared.keys() >= set(_references(value)):
                    continue
                value = fill(value, recipe.shared)
                for item in value if isinstance(value, list) else [value]:
                    if is_reference(item):
                        entry, _ = referred(item)
                        found[entry.name] = entry
    return list(found.values())


def command_lines(recipe: Recipe) -> dict[str, str]:
    """Return what one would type for each step; references to results of earlier steps stay as they are."""
    lines = {}
    for step in recipe.steps:
        model = find_verb(step.use).load().config
        words = ["dlcli", step.use]
        for field, value in by_field(model, step.with_).items():
            name = flag(field, model)
            if isinstance(value, bool):
                if value != model.model_fields[field].default:
                    words.append(name if value else name.replace("--", "--no-", 1))
                continue
            for item in value if isinstance(value, list) else [value]:
                shown = _typed(item, recipe.shared)
                words += [name, shown] if name.startswith("--") else [shown]
        lines[step.name] = " ".join(words)
    return lines


def _typed(value: Any, shared: dict[str, Any]) -> str:
    """Return a value as one types it in a shell; a reference to a result, which is not known yet, as it stands."""
    if not set(_references(value)) <= shared.keys():
        return str(value)
    return shlex.quote(str(fill(value, shared)))


def fill(value: Any, known: dict[str, Any]) -> Any:
    """Put values in the place of `${...}`, in texts and in lists and tables of them."""
    if isinstance(value, list):
        return [fill(item, known) for item in value]
    if isinstance(value, dict):
        return {key: fill(item, known) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return _look_up(whole[1], known)
    return _REFERENCE.sub(lambda match: _shown(_look_up(match[1], known)), value)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _look_up(name: str, known: dict[str, Any]) -> Any:
    if name not in known:
        raise UsageError(f"${{{name}}} is not known here", hint=nearest(name, known))
    return known[name]


def _change(recipe: Recipe, change: str) -> None:
    key, separator, text = change.partition("=")
    if not separator:
        raise UsageError(f"--set: expected step.setting=value, got {change!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text
    step_name, dot, setting = key.partition(".")
    if not dot:
        if key not in recipe.shared:
            raise UsageError(f"--set: the recipe shares no {key!r}", hint=nearest(key, recipe.shared))
        recipe.shared[key] = value
        return
    steps = {step.name: step for step in recipe.steps}
    if step_name not in steps:
        raise UsageError(f"--set: the recipe has no step {step_name!r}", hint=nearest(step_name, steps))
    steps[step_name].with_[setting.replace("-", "_")] = value


def _check(recipe: Recipe, path: Path) -> None:
    """Find wrong verbs, settings and references before the first step runs."""
    known = set(recipe.shared)
    if used := next(_references(recipe.shared), None):
        raise UsageError(f"{path}: a shared value refers to ${{{used}}}", hint="Write what it stands for")
    for step in recipe.steps:
        with _naming(f"{path}, step {step.name!r}"):
            if step.use == "run":
                raise UsageError("a recipe runs no recipes", hint="Write their steps here, or run them one by one")
            if step.name in known:
                raise UsageError("another step or shared value has the same name")
            action = find_verb(step.use).load()
            _require_references(step.with_, known)
            require_known(action.config, step.with_)
            now = {n: v for n, v in step.with_.items() if recipe.shared.keys() >= set(_references(v))}
            settings = fill(now, recipe.shared)
            check = make_config if len(now) == len(step.with_) else check_settings
            check(action.config, settings, name=str)
            fields = get_type_hints(action.function)["return"].model_fields
            known |= {step.name, *(f"{step.name}.{field}" for field in fields)}
    with _naming(f"{path}, summary"):
        _require_references(recipe.summary, known)


def _require_references(value: Any, known: set[str]) -> None:
    for reference in _references(value):
        if reference not in known:
            raise UsageError(f"${{{reference}}} is not known here", hint=nearest(reference, known))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, str):
        yield from _REFERENCE.findall(value)


def _bad_structure(path: Path, error: ValidationError) -> UsageError:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        model = Step if first["loc"][0] == "steps" and len(first["loc"]) > 1 else Recipe
        keys = [field.alias or name for name, field in model.model_fields.items()]
        return UsageError(f"{path}: unknown key {where!r}", hint=nearest(str(first["loc"][-1]), keys))
    return UsageError(f"{path}: {where}: {first['msg']}")


@contextlib.contextmanager
def _naming(place: str) -> Iterator[None]:
    """Put a place before the message of an error of ours."""
    try:
        yield
    except DlcliError as error:
        error.message = f"{place}: {error.message}"
        raise
