"""Models that users bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dlcli.core.backend import keras
from dlcli.errors import ModelError


def open_model(path: Path) -> Any:
    """Load a `.keras` file."""
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise ModelError(f"{path} cannot be loaded ({str(error).splitlines()[0]})") from None
