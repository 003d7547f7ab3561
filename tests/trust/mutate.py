"""Decode thousands of damaged pictures, each chunk in a process of its own: none may crash, hang, or go unnamed.

python tests/trust/mutate.py --pictures 5000
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_LONGEST = 5.0  # Seconds for one damaged picture; a whole one takes a thousandth of one.
_MOST = 2 * 2**30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--chunk", type=int, default=2500, help="pictures a process")
    parser.add_argument("--child", type=int, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if options.child is not None:
        return _decode(options.child, min(options.child + options.chunk, options.pictures), options.seed)
    failed = False
    for first in range(0, options.pictures, options.chunk):
        command = [sys.executable, __file__, "--child", str(first), "--pictures", str(options.pictures)]
        command += ["--seed", str(options.seed), "--chunk", str(options.chunk)]
        code = subprocess.run(command, cwd=ROOT, timeout=60 + options.chunk * _LONGEST).returncode
        if code:
            print(f"pictures from {first}: exit code {code}")
            failed = True
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"peak memory of a process: {peak / 2**20:.0f} MB; {'FAILED' if failed or peak > _MOST else 'passed'}")
    return int(failed or peak > _MOST)


def _decode(first: int, last: int, seed: int) -> int:
    from vision.mutations import mutated

    from dlcli.core.progress import Silent
    from dlcli.vision.config import ImagePipelineConfig
    from dlcli.vision.headers import BadPicture, read_header
    from dlcli.vision.pixels import decode_items

    config = ImagePipelineConfig(image_size=(24, 32), resize="letterbox", color="rgb")
    pictures = mutated(last, seed=seed)[first:]
    problems, slowest = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        items = []
        for number, (_, data) in enumerate(pictures, start=first):
            path = Path(folder) / f"{number}.jpg"
            path.write_bytes(data)
            items.append(os.fspath(path))
        decode_items(items[:1], config, progress=Silent())  # The first one waits until the graph is made.
        named = 0
        for (kind, data), item in zip(pictures, items, strict=True):
            started = time.perf_counter()
            try:
                read_header(data)
                is_good = True
            except BadPicture:
                is_good = False
            _, bad = decode_items([item], config, progress=Silent())
            seconds = time.perf_counter() - started
            slowest = max(slowest, seconds)
            named += len(bad)
            wrong = [error for error in bad if error.item != item or not str(error)]  # type: ignore[attr-defined]
            if wrong or (not is_good and not bad) or seconds > _LONGEST:
                problems += 1
                print(f"{Path(item).stem} ({kind}): header {is_good}, {bad}, {seconds:.1f} s")
    print(f"{len(items)} pictures: {named} named, the others decoded; slowest {slowest:.2f} s; {problems} problems")
    return int(problems > 0)


if __name__ == "__main__":
    sys.exit(main())
