"""What is said of bad data: `python tests/trust/bad_data.py` runs every case and writes docs/bad-data.md.

Each case stands in `bad_cases.py`, once. `test_bad_data.py` runs them too: the page says what they print.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import Outcome, call
from trust import figures
from trust.bad_cases import CASES, Case

from dlcli.results.report.escaping import code, table

PAGE = figures.ROOT / "docs" / "bad-data.md"
_HEAD = """# What is said of bad data

Each row is a case that the tests lay out and run; this page is what they print (`python tests/trust/bad_data.py
--write`). All end in one line on stderr behind `dlcli: `, nearly all before TensorFlow is started, and leave nothing
behind. Exit code 2 is a path or a setting to mend, 3 the data, 5 the machine. Control characters, marks that turn the
direction of writing, and bytes that are not UTF-8 are shown as U+FFFD, here as on the terminal. `--skip-bad` goes on
without bad rows and pictures. How often damage of all kinds is tried at random is in [Trust](trust.md#bad-data).
"""
# Characters of a message that the page shows.
_LONGEST = 300


def run(case: Case) -> Outcome:
    """Run a case in an empty folder that is the current one; its command begins when all is laid out."""
    case.make()
    arguments = shlex.split(case.command)
    out = ("--out", "o") if arguments[0].startswith("train") else ()
    return call(*arguments, *out)


def problems(case: Case, outcome: Outcome) -> list[str]:
    """Return what is wrong with what a case printed."""
    found = []
    line = said(outcome)
    if outcome.code != case.code:
        found.append(f"exit code {outcome.code}, expected {case.code}")
    if outcome.code and [line.startswith("dlcli: ") for line in outcome.lines if not line.startswith("warn")] != [True]:
        found.append("not one line")
    found += [f"{words!r} is not said" for words in case.words if words not in line]
    if any(not character.isprintable() for character in (outcome.out + outcome.err).replace("\n", "")):
        found.append("a character that is not printable")
    if Path("o").exists():
        found.append("a run is left behind")
    return found


def said(outcome: Outcome) -> str:
    """Return what a command says of the data, as one line."""
    if outcome.code:
        return outcome.lines[-1].removeprefix("dlcli: ") if outcome.lines else ""
    lines = outcome.out.splitlines()
    return "; ".join([line for line in lines if line.startswith("warning: ")] or lines[-1:])


def row(case: Case, outcome: Outcome) -> str:
    """Return a case as a line of the page."""
    line = said(outcome)
    cells = [case.name, _short(case.command, 60), _short(line, _LONGEST), str(outcome.code)]
    return table(("",), [[cells[0], code(cells[1]), code(cells[2]), cells[3]]]).splitlines()[-1]


def page(rows: dict[str, str]) -> str:
    """Return the page.

    Args:
        rows: by the names of their cases.
    """
    parts = [_HEAD]
    for group in dict.fromkeys(case.group for case in CASES):
        own = [rows[key(case)] for case in CASES if case.group == group]
        parts.append(
            "\n".join([f"## {group}\n", "| case | command | what is said | exit code |", "|---|---|---|---|", *own])
        )
    return "\n".join(parts[:1]) + "\n" + "\n\n".join(parts[1:]) + "\n"


def key(case: Case) -> str:
    """Return what names a case among all."""
    return f"{case.group}: {case.name}"


def _short(text: str, most: int) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


@contextlib.contextmanager
def elsewhere() -> Iterator[None]:
    """Make an empty folder the current one."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def main() -> int:
    options = figures.options("Run every case of bad data, and write docs/bad-data.md.").parse_args()
    rows, failed = {}, 0
    for case in CASES:
        with elsewhere():
            outcome = run(case)
            found = problems(case, outcome)
        rows[key(case)] = row(case, outcome)
        if found:
            failed += 1
            print(f"{key(case)}: {'; '.join(found)}\n{outcome.err}{outcome.out[-300:]}")
    if options.write:
        PAGE.write_text(page(rows), encoding="utf-8")
    text = f"| cases | named as they should be |\n|---|---|\n| {len(CASES)} | {len(CASES) - failed} |"
    figures.keep("bad_data", text, seed=options.seed, write=options.write)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
