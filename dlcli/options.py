"""From a config model to the options of a Click command, so that flags, defaults and bounds are stated once."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import click
import pydantic
from pydantic.fields import FieldInfo

from dlcli.core.config import flag as spelled
from dlcli.errors import UsageError, nearest
from dlcli.verbs import Action, Verb

# Section of the help for options that every verb has.
COMMON = "Output"


class SectionedOption(click.Option):
    """An option that knows the section of the help in which it stands."""

    def __init__(self, *args: Any, section: str = COMMON, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class SectionedCommand(click.Command):
    """A command whose help lists its options by section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a list for each section, in the order of the options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and not isinstance(parameter, click.Argument):
                sections.setdefault(getattr(parameter, "section", COMMON), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are typed, without wrapping them."""
        if self.epilog:
            with formatter.section("Examples" if "\n" in self.epilog else "Example"):
                formatter.write("".join(f"  {line}\n" for line in self.epilog.splitlines()))


def make_command(verb: Verb, action: Action, execute: Callable[..., None]) -> click.Command:
    """Make the Click command of a verb.

    Args:
        verb: its name and summary.
        action: its config and function.
        execute: called with the action, the given settings by field name, and the common options.
    """

    def callback(**values: Any) -> None:
        common = {name: values.pop(name) for name in ("as_json", "quiet", "verbose", "debug")}
        given = {name: value for name, value in values.items() if value is not None and value != ()}
        execute(verb, action, given, **common)

    return SectionedCommand(
        verb.name,
        callback=callback,
        help=verb.summary,
        epilog="\n".join(action.examples),
        params=[*_parameters(action.config), *_common_options()],
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )


def make_config(model: type[Any], given: dict[str, Any], *, name: Callable[[str], str]) -> Any:
    """Check settings and make the config.

    Args:
        model: the verb's config model.
        given: values by field name, as flags, a recipe or a test gave them.
        name: how to call a field in an error: `--batch-size` or `batch_size`.

    Raises:
        UsageError: an unknown name, or a value out of its bounds.
    """
    given = by_field(model, given)
    require_known(model, given)
    for field, value in given.items():
        is_path = Path in (annotation := model.model_fields[field].annotation, *get_args(annotation))
        for word in value if isinstance(value, tuple) else (value,):
            if isinstance(word, (str, Path)) and not _is_text(str(word)):
                raise UsageError(f"{name(field)}: {str(word)!r} is not UTF-8, or holds a NUL", hint="Rename it")
            if is_path and word == "":  # Path("") is the current folder; a variable that is not set is none.
                raise UsageError(f"{name(field)}: expected a path, got ''")
    try:
        return model(**given)
    except pydantic.ValidationError as error:
        raise _usage_error(error.errors()[0], model, name) from None


def _is_text(word: str) -> bool:
    """Say whether a setting can be kept in files: bytes of the command line that are not UTF-8 are lone surrogates."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in word


def check_settings(model: type[Any], given: dict[str, Any], *, name: Callable[[str], str]) -> None:
    """Check some of a verb's settings, while others are not known yet; see `make_config`."""
    given = by_field(model, given)
    require_known(model, given)
    try:
        model(**given)
    except pydantic.ValidationError as error:
        for found in error.errors():
            if found["loc"] and found["loc"][0] in given:
                raise _usage_error(found, model, name) from None


def by_field(model: type[Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return settings by the names of their fields: a recipe says `from`, the field is `from_`."""
    return {f"{name}_" if f"{name}_" in model.model_fields else name: value for name, value in given.items()}


def _usage_error(found: Any, model: type[Any], name: Callable[[str], str]) -> UsageError:
    text = found["msg"].removeprefix("Value error, ")
    if not found["loc"]:
        return UsageError(text)
    field = str(found["loc"][0])
    if found["type"] == "missing":
        return UsageError(f"{name(field)} is missing: {model.model_fields[field].description}")
    return UsageError(f"{name(field)}: {_expectation(text)}, got {found['input']!r}")


def require_known(model: type[Any], given: Iterable[str]) -> None:
    """Raise a `UsageError` for a setting that the config model does not have."""
    for key in by_field(model, dict.fromkeys(given)):
        if key not in model.model_fields:
            raise UsageError(f"unknown setting {key!r}", hint=nearest(key, model.model_fields))


def flag(field: str, model: type[Any]) -> str:
    """Return how a field is called on the command line: `--batch-size`, or `DATA` for an argument."""
    extra = _extra(model.model_fields[field])
    if extra["argument"]:
        return str(extra["metavar"] or field.upper())
    return spelled(field)


_WORDING = {
    "Input should be": "expected",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "more than",
}


def _expectation(text: str) -> str:
    """Turn pydantic's `Input should be ...` into our `expected ...`."""
    for theirs, ours in _WORDING.items():
        text = text.replace(theirs, ours)
    return text.split(", got ")[0]


def _parameters(model: type[Any]) -> list[click.Parameter]:
    arguments, options = [], []
    for field, info in model.model_fields.items():
        if _extra(info)["argument"]:
            arguments.append(_argument(field, info))
        else:
            options.append(_option(field, info, model))
    return [*arguments, *options]


def _argument(field: str, info: FieldInfo) -> click.Parameter:
    kind, many = _click_type(info.annotation)
    name = _extra(info)["metavar"] or field.upper()
    return click.Argument(
        [field],
        type=kind,
        metavar=name if info.is_required() else f"[{name}]",
        required=False,  # The config says what is missing: one message for flags and recipes.
        nargs=-1 if many else 1,
        help=info.description or "",
    )


def _option(field: str, info: FieldInfo, model: type[Any]) -> click.Parameter:
    name = spelled(field).removeprefix("--")
    section = _section(field, model)
    text = info.description or ""
    if info.annotation is bool:
        positive = info.default is False
        return SectionedOption(
            [f"--{name}" if positive else f"--{name}/--no-{name}", field],
            is_flag=True,
            default=None,
            help=text if positive else f"{text}  [default: {name if info.default else 'no-' + name}]",
            section=section,
        )
    if info.annotation == bool | None:  # Without it, what something else says: a preset, a recipe.
        return SectionedOption([f"--{name}/--no-{name}", field], is_flag=True, default=None, help=text, section=section)
    kind, many = _click_type(info.annotation)
    if any(isinstance(reader, pydantic.BeforeValidator) for reader in info.metadata):
        kind, many = click.STRING, False  # A list with commas, or a fraction: its reader knows.
    if info.default is not None and not info.is_required() and info.default not in ((), ""):
        shown = ",".join(info.default) if isinstance(info.default, tuple) else _shown(info)
        text = f"{text}  [default: {shown}]"
    return SectionedOption(
        [f"--{name}", field],
        type=kind,
        default=None,
        multiple=many,
        metavar=_extra(info)["metavar"] or None,
        help=text,
        section=section,
    )


def _shown(info: FieldInfo) -> Any:
    """Return a default as it is typed: 1/255, where the number is kept."""
    writers = (writer for writer in info.metadata if isinstance(writer, pydantic.PlainSerializer))
    return next((writer.func(info.default) for writer in writers), info.default)  # type: ignore[call-arg]


def _common_options() -> list[click.Parameter]:
    return [
        SectionedOption(["--json", "as_json"], is_flag=True, help="Print the result as one JSON object."),
        SectionedOption(["-q", "--quiet"], is_flag=True, help="Print results and errors alone."),
        SectionedOption(["-v", "--verbose"], is_flag=True, help="Print details too."),
        SectionedOption(["--debug"], is_flag=True, help="Show the traceback of an error."),
    ]


def _section(field: str, model: type[Any]) -> str:
    """Return the section of the group of settings that defines a field."""
    owner = next(group for group in reversed(model.__mro__) if field in getattr(group, "model_fields", {}))
    return str(getattr(owner, "section", COMMON))


def _extra(info: FieldInfo) -> dict[str, Any]:
    extra = info.json_schema_extra
    return extra if isinstance(extra, dict) else {"argument": False, "metavar": ""}


def _click_type(annotation: Any) -> tuple[Any, bool]:
    """Return the Click type of a field's annotation, and whether the option may be given several times."""
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return _click_type(members[0]) if len(members) == 1 else (click.STRING, False)
    if get_origin(annotation) is tuple:
        return _click_type(get_args(annotation)[0])[0], True
    if get_origin(annotation) is Literal:
        return click.Choice(get_args(annotation)), False
    known = {int: click.INT, float: click.FLOAT, Path: click.Path()}
    return known.get(annotation, click.STRING), False
