"""How a check reads: data sets, their classes, and what was found, with the rows or files that it names."""

from __future__ import annotations

from typing import Any

from dlcli.verbs.shared.result import table

# Classes that the text lists; `--json` has all.
_MOST_CLASSES = 20


def text_table(data: list[dict[str, Any]]) -> str:
    """Show rows and lengths of data sets of texts."""
    rows = []
    for one in data:
        words = one["words"] or {}
        lengths = (f"{words[name]:,.0f}" if words else "-" for name in ("min", "median", "mean", "p95", "max"))
        rows.append((one["data"], f"{one['rows']:,}", f"{one['bad_rows']:,}", *lengths))
    return table(rows, header=("data", "rows", "bad rows", "words: min", "median", "mean", "95 %", "max"))


def picture_table(data: list[dict[str, Any]]) -> str:
    """Show numbers, sizes, formats and colour modes of data sets of pictures."""
    rows = []
    for one in data:
        sizes, different = one["sizes"], "-"
        shown = ["-"] * 3
        if sizes:
            shown = [f"{sizes['width'][name]}x{sizes['height'][name]}" for name in ("min", "median", "max")]
            different = f"{sizes['different']:,}"
        rows.append((one["data"], f"{one['pictures']:,}", f"{one['bad']:,}", *shown, different))
    header = ("data", "pictures", "bad", "width x height: min", "median", "max", "different")
    return "\n".join([table(rows, header=header), *(_kinds(one, several=len(data) > 1) for one in data)])


def _kinds(one: dict[str, Any], *, several: bool) -> str:
    parts = [
        f"{title} {', '.join(f'{count:,} {name}' for name, count in one[key].items())}"
        for title, key in (("formats:", "formats"), ("colours:", "modes"), ("passed over:", "passed_over"))
        if one[key]
    ]
    return (f"{_short(one['data'])}: " if several else "") + "; ".join(parts or ["no pictures"])


def class_table(data: list[dict[str, Any]], *, rows: str) -> str:
    """Show the rows of each class, the largest classes where there are many.

    Args:
        data: the data sets.
        rows: which of their fields holds the number of all rows.
    """
    names = list(dict.fromkeys(name for one in data for name in one["classes"]))
    shown = names
    if len(names) > _MOST_CLASSES:
        shown = sorted(names, key=lambda name: -sum(one["classes"].get(name, 0) for one in data))[:_MOST_CLASSES]
    lines = [(name, *(_share(one["classes"].get(name, 0), one[rows]) for one in data)) for name in shown]
    if len(names) > len(shown):
        lines.append((f"({len(names) - len(shown):,} smaller ones)", *("" for _ in data)))
    return table(lines, header=("class", *(_short(one["data"]) for one in data)))


def _short(name: str) -> str:
    return name if len(name) <= 30 else "..." + name[-27:]


def _share(count: int, rows: int) -> str:
    return f"{count:,} ({count / rows:.1%})" if rows else "-"


def finding_lines(finding: dict[str, Any]) -> str:
    """Show a finding: its head, what it names, and what to do."""
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
        f"{row['data'] + ' ' if several and not _names_data(row) else ''}{row.get('where', '?')}"
        + (f" {row['label']!r}" if labels and row.get("label") else "")
        for row in rows
    ]
    more = f", ... ({item['count']:,})" if item["count"] > len(rows) else ""
    what = f"{item['what']}: " if item.get("what") else ""
    return f"{', '.join(places)}{more}: {what}{rows[0].get('excerpt', '')}".rstrip(": ")


def _names_data(row: dict[str, Any]) -> bool:
    """Say whether a file's path begins with the data set's, so that the two are not written side by side."""
    return "excerpt" not in row and str(row.get("where", "")).startswith(row["data"])


def counted(count: int, one: str, many: str = "") -> str:
    """Return `no errors`, `1 error`, `2 errors`; `many` where it is not `one` with an s."""
    return f"1 {one}" if count == 1 else f"{count or 'no'} {many or one + 's'}"
