"""The settings that a run was made with, as its verb's config model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from dlcli.errors import ModelError, UsageError
from dlcli.verbs import Action, find_verb

if TYPE_CHECKING:
    from dlcli.core.record import RunRecord


def action_of(record: RunRecord, path: Path) -> Action:
    """Return the verb that made a run.

    Raises:
        ModelError: there is none of that name.
    """
    from dlcli.core.record import RECORD

    try:
        return find_verb(record.verb).load()
    except UsageError as error:
        raise ModelError(f"{path / RECORD} is damaged or from a newer dlcli ({error.message})") from None


def settings_of(record: RunRecord, path: Path) -> Any:
    """Return the settings that a run was made with.

    Args:
        record: its `run.json`.
        path: the run.

    Raises:
        ModelError: they are none that its verb has.
    """
    from dlcli.core.record import damaged_record

    try:
        return action_of(record, path).config.model_validate(record.config)
    except ValidationError as error:
        raise damaged_record(path, error) from None
