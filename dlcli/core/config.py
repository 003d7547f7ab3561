"""Groups of settings that verbs share: names, defaults, bounds and help texts, each stated once.

A verb's config is a frozen pydantic model put together from these groups. Flags, recipe keys, `run.json` and the
generated reference all come from it. `option()` adds what only the command line needs to know of a field.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

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


Group = TypeVar("Group", bound="Config")


class Config(BaseModel):
    """What all configs are: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    section: ClassVar[str] = "Settings"
    """Under which title the help lists the fields that a group defines."""

    def take(self, group: type[Group]) -> Group:
        """Return the settings of one of the groups that this config is put together from."""
        return group(**{name: getattr(self, name) for name in group.model_fields})


class TrainingConfig(Config):
    """How the core trains, whatever the domain."""

    section = "Training"

    epochs: int = option(8, "Train for at most this many passes over the data.", ge=1)
    batch_size: int = option(512, "Items in a training step.", ge=1)
    optimizer: Literal["adam", "sgd"] = option("adam", "The optimizer.")
    lr: float = option(0.02, "The learning rate.", gt=0)
    label_smoothing: float = option(
        0.05, "Share of each label's weight that is spread over all classes (Szegedy et al. 2016).", ge=0, lt=1
    )
    class_weight: str = option(
        "none",
        "Weight of the classes in the loss: 'none', 'balanced' (inverse to their counts), or 'neg=1,pos=2.5'.",
        metavar="WEIGHTS",
    )
    monitor: Literal["val_accuracy", "val_loss"] = option(
        "val_accuracy", "The validation score that picks the best epoch and stops early."
    )
    patience: int = option(
        2, "Stop after this many epochs without a better score; the best epoch's weights stay.", ge=1
    )
    min_delta: float = option(0.0, "How much better counts as better.", ge=0)
    val_split: ShareOrCount = option(
        0.1, "Validation part of the data when there is none of its own: a share (0.1, 10%) or a count of items."
    )
    seed: int = option(0, "Seed of the split, the order and every random draw.", ge=0, lt=2**31)
    device: str = option("auto", "Where to compute: 'auto' (the first GPU, or else the CPU), 'cpu', 'gpu' or 'gpu:1'.")


class RunConfig(Config):
    """Where a training run goes."""

    section = "Run"

    out: Path | None = option(None, "Directory of the run; without it runs/<verb>-<date>-<id>.", metavar="RUN")
    force: bool = option(False, "Replace the run that stands at --out.")
    resume: Path | None = option(
        None, "Go on with a run that was stopped; the run holds its settings, so give no others.", metavar="RUN"
    )
    dry_run: bool = option(False, "Read the data, tell items, classes and parameters, and write nothing.")
