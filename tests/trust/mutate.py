"""Read thousands of damaged pictures and text files: `python tests/trust/mutate.py`.

Each chunk is read in a process of its own, with a bound on its memory: none may crash, hang, or fail without a name.
What is read of a table must be what Python's own `csv` and `json` read in it.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from text.mutations import Mutation
from text.mutations import mutated as mutated_text
from trust import figures

from dlcli.core.lines import BadRow
from dlcli.errors import DlcliError
from dlcli.text.config import TextDataConfig
from dlcli.text.read import LabelledText, scan_labelled, scan_texts

_LONGEST = 5.0  # Seconds of the processor for one damaged file; a whole one takes a thousandth of one.
_MOST = 2 * 2**30
_CHUNKS = {"pictures": 2500, "texts": 2500}


def main() -> int:
    parser = figures.options("Read damaged pictures and damaged text files.")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--child", nargs=3, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        what, first, last = options.child[0], int(options.child[1]), int(options.child[2])
        counts = (_decode if what == "pictures" else _read)(first, last, options.seed)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps(counts | {"peak": peak}))
        return 0
    rows = [_all(what, getattr(options, what), options.seed) for what in _CHUNKS if getattr(options, what)]
    head = "| damaged | read | named | failed | slowest, s | memory, MB |\n|---|---:|---:|---:|---:|---:|\n"
    lines = [
        f"| {row['files']:,} {row['what']} | {row['read']:,} | {row['named']:,} | {row['failed']:,} | "
        f"{row['slowest']:.2f} | {row['peak'] / 2**20:.0f} |"
        for row in rows
    ]
    figures.keep("mutate", head + "\n".join(lines), seed=options.seed, write=options.write)
    return int(any(row["failed"] or row["peak"] > _MOST for row in rows))


def _all(what: str, count: int, seed: int) -> dict[str, Any]:
    """Read all damaged files of a kind, chunk by chunk; a chunk that crashes has failed."""
    total: dict[str, Any] = {
        "what": what,
        "files": count,
        "read": 0,
        "named": 0,
        "failed": 0,
        "slowest": 0.0,
        "peak": 0,
    }
    size = _CHUNKS[what]
    for first in range(0, count, size):
        last = min(first + size, count)
        line = [sys.executable, __file__, "--seed", str(seed), "--child", what, str(first), str(last)]
        done = subprocess.run(line, cwd=figures.ROOT, stdout=subprocess.PIPE, text=True, check=False)
        *said, counts = done.stdout.splitlines() or [""]
        print("\n".join([*said, f"{what} {first:,} to {last:,}: {counts}"]), flush=True)
        if done.returncode:
            print(f"exit code {done.returncode}: it crashed, hung, or had too much memory")
            total["failed"] += 1
            continue
        found = json.loads(counts)
        for name in ("read", "named", "failed"):
            total[name] += found[name]
        for name in ("slowest", "peak"):
            total[name] = max(total[name], found[name])
    return total


# --- texts ----------------------------------------------------------------------------------------------------------


def _read(first: int, last: int, seed: int) -> dict[str, Any]:
    """Read damaged text files, each under a limit of its own on the processor's time."""
    resource.setrlimit(resource.RLIMIT_AS, (_MOST, _MOST))
    counts, slowest = Counter(read=0, named=0, failed=0), 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last):
            mutation = mutated_text(number, seed=seed)
            started = time.process_time()
            signal.setitimer(signal.ITIMER_VIRTUAL, 4 * _LONGEST)  # Its signal ends the process.
            outcome, problem = attempt(Path(folder), mutation)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            seconds = time.process_time() - started
            slowest = max(slowest, seconds)
            if seconds > _LONGEST:
                outcome, problem = "failed", f"it took {seconds:.1f} s"
            counts[outcome] += 1
            if outcome == "failed":
                print(f"{number} ({mutation.name}, {mutation.encoding}, {mutation.way}): {problem}", flush=True)
    return {**counts, "slowest": slowest}


def attempt(folder: Path, mutation: Mutation) -> tuple[str, str]:
    """Read a damaged file as training and check do.

    Returns:
        `read`, `named` (an error that names the file, or bad rows that all name it and a line), or `failed` with what
        went wrong.
    """
    path = folder / ("pos" if mutation.name == "x.txt" else ".") / mutation.name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(mutation.data)
    encoding = "utf-8" if mutation.encoding == "utf-8-sig" else mutation.encoding
    settings = TextDataConfig(encoding=encoding)
    try:
        rows = list(scan_labelled(folder if mutation.name == "x.txt" else path, settings, part="train"))
        texts = list(scan_texts(path.parent if mutation.name == "x.txt" else path, column="text", encoding=encoding))
    except DlcliError as error:
        named = str(path) in str(error) and error.message and error.hint
        return ("named", "") if named else ("failed", f"the error names no file: {error}")
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"
    finally:
        path.unlink()
    bad = [row for row in rows if isinstance(row, BadRow)]
    for row in bad:
        where = row.line is not None or row.kind == "bad-bytes" or mutation.name == "x.txt"
        if str(path) not in str(row) or not row.hint or not where:
            return "failed", f"a bad row without a place: {row}"
    good = [row for row in rows if isinstance(row, LabelledText)]
    if len([row for row in texts if not isinstance(row, BadRow)]) < len(good):
        return "failed", "fewer texts than labelled texts"
    if not bad and (found := [(row.item, row.label) for row in good]) != (expected := reference(mutation, encoding)):
        return "failed", f"other rows than the reference: {_difference(found, expected)}"
    return ("named" if bad else "read"), ""


def reference(mutation: Mutation, encoding: str) -> list[tuple[str, str]]:
    """Return what Python's own modules read in a file that has no bad row."""
    text = mutation.data.decode(encoding)
    if encoding == "utf-8":
        text = text.removeprefix("\ufeff")
    if mutation.name == "x.txt":
        return [(text, "pos")]
    if mutation.name == "x.jsonl":
        rows = [json.loads(line) for line in io.StringIO(text, newline="") if line.strip()]
    else:
        delimiter = "\t" if mutation.name == "x.tsv" else ","
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
    return [(str(row["text"]), str(row["label"]).strip()) for row in rows]


def _difference(found: list[tuple[str, str]], expected: list[tuple[str, str]]) -> str:
    pairs = enumerate(zip(found, expected, strict=False))
    first = next((f"row {number}: {a!r}, {b!r}" for number, (a, b) in pairs if a != b), "")
    return f"{len(found)} and {len(expected)} rows; {first}"[:300]


# --- pictures -------------------------------------------------------------------------------------------------------


def _decode(first: int, last: int, seed: int) -> dict[str, Any]:
    """Decode damaged pictures one by one."""
    from vision.mutations import mutated

    from dlcli.core.progress import Silent
    from dlcli.vision.config import ImagePipelineConfig
    from dlcli.vision.headers import BadPicture, read_header
    from dlcli.vision.pixels import decode_items

    config = ImagePipelineConfig(image_size=(24, 32), resize="letterbox", color="rgb")
    counts, slowest = Counter(read=0, named=0, failed=0), 0.0
    with tempfile.TemporaryDirectory() as folder:
        items = []
        pictures = mutated(last, seed=seed)[first:]
        for number, (_, data) in enumerate(pictures, start=first):
            path = Path(folder) / f"{number}.jpg"
            path.write_bytes(data)
            items.append(os.fspath(path))
        decode_items(items[:1], config, progress=Silent())  # The first one waits until the graph is made.
        # A machine that is busy with other things is given time; a hang has no end.
        signal.alarm(60 + (last - first))
        for (kind, data), item in zip(pictures, items, strict=True):
            started = time.process_time()
            try:
                read_header(data)
                is_good = True
            except BadPicture:
                is_good = False
            _, bad = decode_items([item], config, progress=Silent())
            seconds = time.process_time() - started
            slowest = max(slowest, seconds)
            wrong = [error for error in bad if error.item != item or not str(error)]  # type: ignore[attr-defined]
            if wrong or (not is_good and not bad) or seconds > _LONGEST:
                counts["failed"] += 1
                print(f"{Path(item).stem} ({kind}): header {is_good}, {bad}, {seconds:.1f} s", flush=True)
            else:
                counts["named" if bad else "read"] += 1
    return {**counts, "slowest": slowest}


if __name__ == "__main__":
    sys.exit(main())
