"""Write docs/reference.md from the commands' own `--help`; with --check, say whether it is fresh."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

os.environ["COLUMNS"] = "100"

from dlcli.cli import cli
from dlcli.verbs import VERBS

REFERENCE = Path(__file__).with_name("reference.md")


def reference() -> str:
    """Return the command reference as Markdown."""
    root = click.Context(cli, info_name="dlcli", terminal_width=100)
    parts = [
        "# Command reference\n\nMade from `--help` by `make docs`; do not edit.\n",
        _block("dlcli", cli.get_help(root)),
    ]
    for verb in VERBS:
        command = cli.get_command(root, verb.name)
        assert command is not None
        context = click.Context(command, info_name=verb.name, parent=root, terminal_width=100)
        parts.append(_block(f"dlcli {verb.name}", command.get_help(context)))
    return "\n".join(parts)


def _block(title: str, text: str) -> str:
    return f"## {title}\n\n```text\n{text.rstrip()}\n```\n"


def main() -> int:
    """Write the reference, or check it."""
    fresh = reference()
    if "--check" in sys.argv[1:]:
        if not REFERENCE.exists() or REFERENCE.read_text(encoding="utf-8") != fresh:
            print("docs/reference.md is stale: run make docs", file=sys.stderr)
            return 1
        return 0
    REFERENCE.write_text(fresh, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
