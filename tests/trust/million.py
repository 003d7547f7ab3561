"""A table of a million rows, one in a hundred bad in eight ways: `python tests/trust/million.py`.

Each bad row must be named with its line and its kind, no good row be lost, and memory stay bounded. `check` names all
in JSON and few on the terminal; `clean --skip-bad` names all in `skipped.jsonl` and writes every good row.
"""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from trust import figures

HEADER = b"id,text,label\n"
# The way in which a row is bad, and the kind by which it is named.
KINDS = {
    "too few columns": "bad-columns",
    "too many columns": "bad-columns",
    "a quote that is never closed": "bad-quotes",
    "a quote shut too soon": "bad-quotes",
    "bytes that are not UTF-8": "bad-bytes",
    "a NUL": "nul-character",
    "no label": "empty-label",
    "a blank text": "blank-text",
}
# MB: `check` keeps 28 bytes a row and the rows that it names, beside Python and NumPy; `clean` has TensorFlow.
BOUNDS = {"check": 300, "clean": 1000}


class Written(NamedTuple):
    """What a table was made of.

    Attributes:
        good: the number and the text of each good row, by the order of the file.
        bad: the line of each bad row, and its kind.
    """

    good: dict[str, str]
    bad: dict[int, str]


class Ran(NamedTuple):
    """A command that ended: what it printed, seconds, and the most memory that it had, in MB."""

    out: str
    err: str
    seconds: float
    memory: float


def write(path: Path, *, rows: int, seed: int, keep: bool = True) -> Written:
    """Write a table: one row of a hundred is bad, the ways in turn; some good ones have quotes or several lines.

    Args:
        path: of the table.
        rows: how many.
        seed: of all chance.
        keep: whether the good rows are returned too.
    """
    chance = random.Random(seed)
    words = [f"word{number}" for number in range(2000)]
    bad_at = set(chance.sample(range(rows), rows // 100))
    ways = list(KINDS)
    found, line = Written({}, {}), 2
    with path.open("wb") as file:
        file.write(HEADER)
        for number in range(rows):
            text = " ".join(chance.choices(words, k=chance.randint(3, 20)))
            label = chance.choice(("neg", "pos"))
            if number in bad_at:
                way = ways[len(found.bad) % len(ways)]
                row = _bad(way, number, text, label)
                found.bad[line] = KINDS[way]
            else:
                row, text = _good(chance, number, text, label)
                if keep:
                    found.good[str(number)] = text
            file.write(row)
            line += row.count(b"\n")
    return found


def _good(chance: random.Random, number: int, text: str, label: str) -> tuple[bytes, str]:
    style = chance.random()
    if style < 0.1:
        text = f'{text}, "{text[:7]}", é\U0001f600'
    elif style < 0.15:
        text = f"{text}\n{text[:9]}\r\n"
    elif style < 0.2:
        return f'{number},in {text[:3]}"ch,{label}\n'.encode(), f'in {text[:3]}"ch'
    else:
        return f"{number},{text},{label}\n".encode(), text
    doubled = text.replace('"', '""')
    return f'{number},"{doubled}",{label}\n'.encode(), text


def _bad(way: str, number: int, text: str, label: str) -> bytes:
    return {
        "too few columns": f"{number},{text}\n".encode(),
        "too many columns": f"{number},{text},so,{label}\n".encode(),
        "a quote that is never closed": f'{number},"{text},{label}\n'.encode(),
        "a quote shut too soon": f'{number},"{text}" and more,{label}\n'.encode(),
        "bytes that are not UTF-8": f"{number},{text} \xe9t\xe9,{label}\n".encode("latin-1"),
        "a NUL": f"{number},{text}\0,{label}\n".encode(),
        "no label": f"{number},{text}, \n".encode(),
        "a blank text": f"{number}, \t,{label}\n".encode(),
    }[way]


def command(*arguments: object) -> Ran:
    """Run `dlcli` in a process of its own and measure it."""
    script = (
        "import resource, subprocess, sys\n"
        "code = subprocess.run([sys.executable, '-m', 'dlcli', *sys.argv[1:]]).returncode\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    started = time.perf_counter()
    line = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(line, cwd=figures.ROOT, capture_output=True, text=True, check=False)
    *lines, memory = done.stderr.splitlines()
    return Ran(done.stdout, "\n".join(lines), time.perf_counter() - started, int(memory) / 1024)


def named(report: str) -> dict[int, str]:
    """Return the lines that a report of `check --json` names as bad rows, each with its kind."""
    kinds = set(KINDS.values())
    found = json.loads(report)["findings"]
    return {
        item["rows"][0]["line"]: finding["name"]
        for finding in found
        if finding["name"] in kinds
        for item in finding["items"]
    }


def cleaned(path: Path) -> Iterator[tuple[str, str]]:
    """Yield number and text of each row that `clean` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from ((row["id"], row["text"]) for row in csv.DictReader(file))


def problems(
    path: Path, written: Written, *, rows: int, command: Callable[..., Ran] = command
) -> tuple[list[str], dict[str, Ran]]:
    """Check and clean a table; return what is wrong, and what each command took."""
    found: list[str] = []
    counted = Counter(written.bad.values())
    everything = command("check", path, "--json", "--show", rows)
    report = named(everything.out)
    if report != written.bad:
        missing, more = written.bad.items() - report.items(), report.items() - written.bad.items()
        found.append(f"check names other rows: missing {sorted(missing)[:3]}, more {sorted(more)[:3]}")
    data = json.loads(everything.out)["data"][0]
    if data["rows"] != rows - len(written.bad) or data["bad_rows"] != len(written.bad):
        found.append(f"check counts {data['rows']} good and {data['bad_rows']} bad rows")
    shown = command("check", path)
    if len(shown.out.splitlines()) > 120 or len(shown.err.splitlines()) > 1:
        found.append(f"check prints {len(shown.out.splitlines())} lines")
    found += [
        f"{count:,} {kind} are not counted" for kind, count in counted.items() if f"{count:,} rows" not in shown.out
    ]
    out = path.with_name("clean.csv")
    # As they are: only spaces between words may differ.
    clean = command("clean", path, out, "--no-lowercase", "--no-strip-html", "--skip-bad", "-q", "--json")
    skipped = [json.loads(line) for line in path.with_name("clean.skipped.jsonl").read_text().splitlines()]
    # A cleaning needs no label, and a blank text is no bad row to it.
    unread = {line: kind for line, kind in written.bad.items() if kind not in ("blank-text", "empty-label")}
    if {one["line"]: one["kind"] for one in skipped} != unread or {one["file"] for one in skipped} != {str(path)}:
        found.append("skipped.jsonl names other rows")
    rest = dict(written.good)
    for number, text in cleaned(out):
        if number in rest and "".join(rest[number].split()) != "".join(text.split()):
            found.append(f"row {number} has another text: {text[:60]!r}")
        rest.pop(number, None)
    if rest:
        found.append(f"{len(rest):,} good rows are lost: {sorted(rest)[:3]}")
    for verb, memory in (("check", max(everything.memory, shown.memory)), ("clean", clean.memory)):
        if memory > BOUNDS[verb]:
            found.append(f"{verb} had {memory:.0f} MB, over {BOUNDS[verb]}")
    return found, {"`check --json`, all named": everything, "`check`": shown, "`clean --skip-bad`": clean}


def main() -> int:
    parser = figures.options("A table with one bad row of a hundred, through check and clean.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.csv"
        written = write(path, rows=options.rows, seed=options.seed)
        print(f"{path.stat().st_size / 1e6:.0f} MB, {len(written.bad):,} bad rows", flush=True)
        found, ran = problems(path, written, rows=options.rows)
    print("\n".join(found))
    counted = Counter(written.bad.values())
    lines = [
        f"{options.rows:,} rows, {len(written.bad):,} of them bad in eight ways "
        f"({', '.join(f'{count:,} {kind}' for kind, count in counted.items())}): "
        + ("each named with its line, no good row lost." if not found else f"FAILED: {found[0]}"),
        "",
        "| command | seconds | memory, MB |",
        "|---|---:|---:|",
        *(f"| {name} | {one.seconds:.1f} | {one.memory:.0f} |" for name, one in ran.items()),
    ]
    figures.keep("million", "\n".join(lines), seed=options.seed, write=options.write)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
