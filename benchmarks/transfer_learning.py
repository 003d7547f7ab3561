"""What a frozen base costs beside the textbook's script, in one run, as ratios.

    python benchmarks/transfer_learning.py [--data DIR] [--runs 3] [--only frozen,again,copies] [--take 8]

Trains a head on VGG16 with random weights, frozen, on 2,000 photographs of 150x150, five epochs, as whole processes, in
turn with the script that lecture notes have (`peers/frozen_vgg16.py`): the base inside the model. That script is timed
on `--take` batches of 32 an epoch, start and first epoch apart, and scaled to all of them; 0 runs it in full. `again`
is our command for a second time, with the features kept; `copies` has four changed copies of each picture besides
itself, for which the script's seconds are taken five times: it would read them from the disk. See README.md.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from inputs import find_pictures
from measure import Finished, NotMeasured, Table, run_process, spread

REPOSITORY = Path(__file__).resolve().parents[1]
PEER = Path(__file__).resolve().parent / "peers" / "frozen_vgg16.py"
EPOCHS, COPIES = 5, 4
PARTS = ("frozen", "again", "copies")


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = REPOSITORY.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help="holds cats_dogs_train/ or its .tar.xz")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each side (3)")
    parser.add_argument("--take", type=int, default=8, metavar="N", help="batches of an epoch of the script (8; 0 all)")
    parser.add_argument("--only", default=",".join(PARTS), metavar="PARTS", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dlcli-bench-") as name:
        try:
            bench = Bench(find_pictures("cats_dogs_train", options.data, Path(name)), Path(name), take=options.take)
            table = bench.table(options.only.split(","), runs=options.runs)
        except NotMeasured as error:
            print(f"not measured: {error}", file=sys.stderr)
            return 1
    print(table.as_text())
    if options.markdown:
        options.markdown.write_text(table.as_markdown() + "\n", encoding="utf-8")
    return 0


class Bench:
    """Runs both sides.

    Args:
        pictures: a folder a class.
        work: for logs, runs and caches.
        take: batches of an epoch of the script; 0 for all.
    """

    def __init__(self, pictures: Path, work: Path, *, take: int) -> None:
        self.pictures, self.work, self.take = pictures, work, take
        self._count = 0

    def table(self, parts: list[str], *, runs: int) -> Table:
        """Run both sides in turn and compare medians."""
        theirs: list[tuple[float, float]] = []
        ours: dict[str, list[float]] = {part: [] for part in parts}
        peaks: dict[str, float] = dict.fromkeys(parts, 0.0)
        for number in range(runs):
            theirs.append(self.script())
            for part in parts:
                done = self.ours(part, home=f"home-{part if part == 'copies' else 'frozen'}-{number}")
                ours[part].append(done.wall)
                peaks[part] = max(peaks[part], done.peak_mb)
            print(f"run {number}: {sum(theirs[-1]):.0f} {ours}", file=sys.stderr, flush=True)
        scaled = f", scaled from {self.take} batches an epoch" if self.take else ""
        table = Table(
            f"VGG16 at 150x150, frozen, {EPOCHS} epochs: medians of {runs} (smallest-largest)",
            ("what", f"the script, s{scaled}", "dlcli finetune, s", "times as fast", "peak, MB"),
        )
        names = {"frozen": "first run", "again": "second run", "copies": f"{COPIES} changed copies of each"}
        for part in parts:
            work = [start + epochs * (1 + COPIES if part == "copies" else 1) for start, epochs in theirs]
            ratio = statistics.median(work) / statistics.median(ours[part])
            table.rows.append((names[part], spread(work, 0), spread(ours[part]), f"{ratio:.1f}", f"{peaks[part]:.0f}"))
        return table

    def script(self) -> tuple[float, float]:
        """Return the seconds that the script takes: for its start, and for its epochs, scaled to all batches."""
        command = [sys.executable, str(PEER), str(self.pictures), "--take", str(self.take)]
        done = self._run([*command, "--epochs", str(EPOCHS if not self.take else 2)])
        found = json.loads(done.stdout.splitlines()[-1])
        start = done.wall - sum(found["epochs"])
        if not self.take:
            return start, sum(found["epochs"])
        share = sum(found["batches"]) / (self.take + max(1, self.take // 4))
        return start, EPOCHS * share * float(found["epochs"][-1])

    def ours(self, part: str, *, home: str) -> Finished:
        """Run our command, with an empty cache unless it is for the second time."""
        self._count += 1
        command: list[str] = [sys.executable, "-m", "dlcli", "finetune", str(self.pictures), "--base", "vgg16"]
        command += ["--weights", "none", "--head", "flatten-dense", "--hidden-units", "256", "--image-size", "150"]
        command += ["--epochs", str(EPOCHS), "--val-split", "0.2", "--out", str(self.work / f"run-{self._count}")]
        if part == "copies":
            command += ["--augment", "book", "--augment-copies", str(COPIES)]
        return self._run(command, home=self.work / home)

    def _run(self, command: list[str], *, home: Path | None = None) -> Finished:
        env = {"DLCLI_HOME": str(home)} if home else {}
        return run_process(command, log=self.work / "log", cwd=self.work, env=env)


if __name__ == "__main__":
    sys.exit(main())
