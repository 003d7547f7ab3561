"""What the trust scripts share: their options, and their place in docs/trust.md.

Each script is long by itself and takes `--seed` and sizes; its tests run it short. With `--write` its figures replace
what stands between its two marks in docs/trust.md (or another page):

    <!-- kill -->
    ...
    <!-- end of kill -->
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "trust.md"


def options(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every script: `--seed` and `--write`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of all chance (default: the clock)")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/trust.md")
    return parser


def keep(part: str, figures: str, *, seed: int, write: bool, page: Path = DOCS) -> None:
    """Print a script's figures, with the seed and the machine that they are of; write them into the docs if wanted.

    Args:
        part: the script's marks in docs/trust.md.
        figures: Markdown.
        seed: of the script.
        write: whether they go into the docs.
        page: of the docs, where the marks are.
    """
    text = f"{figures.strip()}\n\n{_circumstances(part, seed)}"
    print(text, flush=True)
    if write:
        before = page.read_text(encoding="utf-8")
        pattern = re.compile(rf"(<!-- {part} -->\n).*?(<!-- end of {part} -->)", re.DOTALL)
        after, found = pattern.subn(lambda marks: f"{marks[1]}{text}\n{marks[2]}", before)
        assert found == 1, f"{page} has {found} places for {part}"
        page.write_text(after, encoding="utf-8")


def _circumstances(part: str, seed: int) -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    given = _sizes(sys.argv[1:]) if Path(sys.argv[0]).stem == part else ""
    versions = f"Python {platform.python_version()}, TensorFlow {version('tensorflow')}, Keras {version('keras')}"
    command = f"python tests/trust/{part}.py{given} --seed {seed}"
    return f"*`{command}`, {time.strftime('%Y-%m-%d')}, {cores} cores, {versions}.*"


def _sizes(arguments: list[str]) -> str:
    """Return what a script was given beside its seed and `--write`."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--seed")
    parser.add_argument("--write", action="store_true")
    return "".join(f" {shlex.quote(word)}" for word in parser.parse_known_args(arguments)[1])
