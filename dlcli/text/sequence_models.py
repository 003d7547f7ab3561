"""Models that read words in their order."""

from __future__ import annotations

from typing import Any


def build(**settings: Any) -> Any:
    """Build one."""
    raise NotImplementedError
