"""`dlcli check`: what is wrong with data, before it is trained on; an exit code for CI."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from dlcli.core.config import option
from dlcli.core.findings import with_levels
from dlcli.core.progress import Progress
from dlcli.errors import DataError
from dlcli.resources import resolve_input
from dlcli.text.config import TextDataConfig
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, table

# Classes that the text lists; `--json` has all.
_MOST_CLASSES = 20
Allowed = Literal[
    "bad-columns",
    "bad-bytes",
    "nul-character",
    "bad-quotes",
    "bad-json",
    "bad-type",
    "empty-label",
    "blank-text",
    "conflicts",
    "leaks",
    "one-class",
    "small-classes",
    "unknown-classes",
]


class CheckConfig(TextDataConfig):
    """All settings of a check."""

    section = "Data"

    data: tuple[Path, ...] = option(
        ...,
        "CSV, TSV or JSONL files, or folders with a folder of .txt files for each class; the first is what is trained "
        "on (train/, val/ and test/ in a folder are data sets each).",
        argument=True,
        metavar="DATA...",
    )
    show: int = option(10, "Name this many rows of each finding, with their lines; all are counted.", ge=0)
    exact: bool = option(
        False, "Texts are the same only when they are equal, not also when case, punctuation, HTML or space differ."
    )
    allow: tuple[Allowed, ...] = option(
        (),
        "Report this as a warning: without it bad rows, the same text with two labels or in two data sets, and classes "
        "that cannot be learned are errors (exit code 3). May be given several times.",
        metavar="FINDING",
    )


class CheckResult(Result):
    """The data sets, and what was found: errors first."""

    data: list[dict[str, Any]]
    errors: int
    warnings: int
    findings: list[dict[str, Any]] = Field(default_factory=list)

    def text(self) -> str:
        """Return rows, lengths and classes of the data sets, and the findings with the rows that they name."""
        parts = [_data_table(self.data)]
        if any(one["classes"] for one in self.data):
            parts.append(_class_table(self.data))
        parts += [_finding(finding) for finding in self.findings]
        parts.append(f"{_count(self.errors, 'error')}, {_count(self.warnings, 'warning')}")
        return "\n\n".join(parts)

    def check(self) -> None:
        """Raise when there are errors; names each kind."""
        if self.errors:
            names = dict.fromkeys(finding["name"] for finding in self.findings if finding["level"] == "error")
            raise DataError(f"{_count(self.errors, 'error')}: {', '.join(names)}", hint="Mend the data, or see --allow")


def _data_table(data: list[dict[str, Any]]) -> str:
    rows = []
    for one in data:
        words = one["words"] or {}
        lengths = (f"{words[name]:,.0f}" if words else "-" for name in ("min", "median", "mean", "p95", "max"))
        rows.append((one["data"], f"{one['rows']:,}", f"{one['bad_rows']:,}", *lengths))
    return table(rows, header=("data", "rows", "bad rows", "words: min", "median", "mean", "95 %", "max"))


def _class_table(data: list[dict[str, Any]]) -> str:
    """Show the rows of each class, the largest classes where there are many."""
    names = list(dict.fromkeys(name for one in data for name in one["classes"]))
    shown = names
    if len(names) > _MOST_CLASSES:
        shown = sorted(names, key=lambda name: -sum(one["classes"].get(name, 0) for one in data))[:_MOST_CLASSES]
    rows = [(name, *(_share(one["classes"].get(name, 0), one["rows"]) for one in data)) for name in shown]
    if len(names) > len(shown):
        rows.append((f"({len(names) - len(shown):,} smaller ones)", *("" for _ in data)))
    return table(rows, header=("class", *(_short(one["data"]) for one in data)))


def _short(name: str) -> str:
    return name if len(name) <= 30 else "..." + name[-27:]


def _share(count: int, rows: int) -> str:
    return f"{count:,} ({count / rows:.1%})" if rows else "-"


def _finding(finding: dict[str, Any]) -> str:
    name, text = finding["data"][-1], finding["text"]
    # An error that ended the reading names its file itself.
    head = f"{finding['level']}: {text if text.startswith(name) else f'{name}: {text}'} [{finding['name']}]"
    lines = [f"  {_item(item)}" for item in finding["items"]]
    # What a finding counts is not always what it names: rows that repeat one are named with it.
    named = sum(item["count"] - 1 for item in finding["items"]) if "duplicates" in finding["name"] else len(lines)
    if lines and named < finding["count"]:
        lines.append(f"  and {finding['count'] - named:,} more")
    return "\n".join([head, *lines, *([f"  {finding['hint']}"] if finding["hint"] else [])])


def _item(item: dict[str, Any]) -> str:
    rows = item["rows"]
    several = len({row["data"] for row in rows}) > 1
    labels = len({row.get("label") for row in rows}) > 1 or several or len(rows) == 1
    places = [
        f"{row['data'] + ' ' if several else ''}{row.get('where', '?')}"
        + (f" {row['label']!r}" if labels and row.get("label") else "")
        for row in rows
    ]
    more = f", ... ({item['count']:,})" if item["count"] > len(rows) else ""
    what = f"{item['what']}: " if item.get("what") else ""
    return f"{', '.join(places)}{more}: {what}{rows[0].get('excerpt', '')}".rstrip(": ")


def _count(count: int, thing: str) -> str:
    return f"1 {thing}" if count == 1 else f"{count or 'no'} {thing}s"


def check(config: CheckConfig, progress: Progress) -> CheckResult:
    """Check data sets.

    Args:
        config: the settings.
        progress: told of stages and rows.

    Returns:
        what was found; `check` raises when an error is among it.
    """
    from dlcli.text.checking.check import check_texts

    report = check_texts(
        [resolve_input(path) for path in config.data],
        config.take(TextDataConfig),
        show=config.show,
        exact=config.exact,
        progress=progress,
    )
    findings = with_levels(report.findings, allowed=config.allow)
    errors = sum(finding.level == "error" for finding in findings)
    return CheckResult(
        data=report.data,
        errors=errors,
        warnings=len(findings) - errors,
        findings=[dataclasses.asdict(finding) for finding in findings],
    )


ACTION = Action(
    config=CheckConfig,
    function=check,
    examples=(
        "dlcli check reviews.csv test.csv",
        "dlcli check photos-captions.jsonl --text-column caption --show 100 --json",
        "dlcli check train.csv test.csv --allow blank-text",
    ),
)
