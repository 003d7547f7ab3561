"""What settings are made of: each has its name, default, bounds and help text stated once.

A verb's config is a frozen pydantic model put together from groups of settings. Flags, recipe keys, `run.json` and the
generated reference all come from it. `option()` adds what only the command line needs to know of a field. How a
training goes is in `training_config.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def option(default: Any, help: str, *, argument: bool = False, metavar: str = "", **bounds: Any) -> Any:
    """Describe one setting.

    Args:
        default: its value when nobody gives one; `...` for a required one.
        help: one line for `--help` and the reference.
        argument: True for a positional argument of the command line.
        metavar: the placeholder in the help; made from the type when empty.
        **bounds: pydantic's `ge`, `gt`, `le`, `lt`.

    Returns:
        a pydantic field.
    """
    return Field(default, description=help, json_schema_extra={"argument": argument, "metavar": metavar}, **bounds)


def _share_or_count(value: Any) -> Any:
    """Read `0.1` and `10%` as a share, `500` as a count (also when they come as text)."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        if text.endswith("%"):
            return float(text[:-1]) / 100
        return float(text) if "." in text else int(text)
    except ValueError:
        raise ValueError(f"expected a share such as 0.1 or 10%, or a count such as 500, got {value!r}") from None


def _check_share(value: int | float) -> int | float:
    if isinstance(value, float) and not 0 < value < 1:
        raise ValueError(f"expected a share between 0 and 1 (0 % and 100 %), got {value:g}")
    if isinstance(value, int) and value < 1:
        raise ValueError(f"expected a count of at least 1, got {value}")
    return value


ShareOrCount = Annotated[int | float, BeforeValidator(lambda value: _check_share(_share_or_count(value)))]


def split_list(value: Any) -> Any:
    """Read `a,b` as a list (a recipe gives a list already)."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(split_list)]
"""Names, with commas between them on the command line."""


def _listed(value: Any) -> Any:
    """Read one number as a list of one: a recipe's `hidden_units = 16`."""
    return (value,) if isinstance(value, int) else split_list(value)


Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_listed)]
"""Whole numbers from 1, with commas between them on the command line."""


def flag(field: str) -> str:
    """Return how a field is called on the command line: `--batch-size`; `--from` for `from_`, as `from` is taken."""
    return f"--{field.rstrip('_').replace('_', '-')}"


Group = TypeVar("Group", bound="Config")


class Config(BaseModel):
    """What all configs are: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    section: ClassVar[str] = "Settings"
    """Under which title the help lists the fields that a group defines."""

    def take(self, group: type[Group]) -> Group:
        """Return the settings of one of the groups that this config is put together from."""
        return group(**{name: getattr(self, name) for name in group.model_fields})


class RunConfig(Config):
    """Where a training run goes, and where it comes from."""

    section = "Run"

    out: Path | None = option(None, "Directory of the run; without it runs/<verb>-<date>-<id>.", metavar="RUN")
    force: bool = option(False, "Replace the run that stands at --out.")
    resume: Path | None = option(
        None, "Go on with a run that was stopped; the run holds its settings, so give no others.", metavar="RUN"
    )
    from_: Path | None = option(
        None, "Start from the weights of a finished run, with its preprocessing and model.", metavar="RUN"
    )
    find_lr: bool = option(
        False, "Try rising learning rates instead of training; suggest one and draw the losses (Smith 2017)."
    )
    dry_run: bool = option(
        False, "Try a few steps; tell parameters, memory, seconds an epoch and what would be written. Write nothing."
    )
