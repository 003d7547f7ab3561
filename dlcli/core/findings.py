"""What a check of data found: errors, which no training should start with, and warnings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["error", "warning"]


@dataclass(kw_only=True)
class Finding:
    """One kind of trouble in one data set, or between two.

    Attributes:
        name: of the kind, such as `leaks`.
        level: whether it makes the data bad.
        data: the data sets that it is about.
        count: how often it was met.
        text: one line for a person.
        hint: what to do next.
        items: the first ones: each with its `rows` (`where`, and what else is known of it) and an `excerpt`.
    """

    name: str
    level: Level
    data: tuple[str, ...]
    count: int
    text: str
    hint: str = ""
    items: list[dict[str, Any]] = field(default_factory=list)


def with_levels(findings: Iterable[Finding], *, allowed: Iterable[str]) -> list[Finding]:
    """Return the findings, errors first; those that are allowed are warnings."""
    found, allowed = list(findings), set(allowed)
    for finding in found:
        if finding.name in allowed:
            finding.level = "warning"
    return sorted(found, key=lambda finding: finding.level != "error")
