"""`dlcli eject`: a run as one plain Keras script, for whoever wants to leave dlcli."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from dlcli.core.config import Config, option
from dlcli.core.progress import Progress
from dlcli.errors import ModelError, UsageError
from dlcli.verbs import Action
from dlcli.verbs.shared.recorded import action_of, settings_of
from dlcli.verbs.shared.result import Result, facts

_ENDINGS = (".py",)
# The last line that a script prints.
_SAME = "the weights of the run"


class EjectConfig(Config):
    """All settings of an ejection."""

    run: Path = option(..., "A finished run.", argument=True, metavar="RUN")
    script: Path = option(..., "The script to write; its name ends in .py.", argument=True, metavar="SCRIPT")
    verify: bool = option(
        False, "Run the script, which trains the network again; exit code 4 when its weights are not those of the run."
    )
    force: bool = option(False, "Replace the script.")


class EjectResult(Result):
    """Where the script is, and what it leaves out."""

    run: Path
    script: Path
    lines: int
    left_out: list[str]
    verified: bool

    def text(self) -> str:
        """Return the result as lines of names and values."""
        verified = "its weights are those of the run, bit for bit" if self.verified else "no; --verify runs it"
        rows = [
            ("script", f"{self.script} ({self.lines} lines)"),
            ("left out", "; ".join(self.left_out)),
            ("verified", verified),
            ("run it with", f"python {self.script}"),
        ]
        return facts(rows)


def eject(config: EjectConfig, progress: Progress) -> EjectResult:
    """Write the script that trains a run again in plain Keras.

    Args:
        config: the settings.
        progress: told of stages.

    Returns:
        where it is.
    """
    from dlcli.core.files import require_free_file, write_text
    from dlcli.core.record import open_finished

    require_free_file(config.script, option="SCRIPT", endings=_ENDINGS, force=config.force)
    record = open_finished(config.run)
    verb = action_of(record, config.run)
    if verb.task is None:
        raise UsageError(
            f"{config.run} is a run of {record.verb}, which trains nothing",
            hint="Eject its members, which dlcli inspect names",
        )
    progress.begin("loading the run")
    from dlcli.results.eject.script import write_script

    found = write_script(config.run, settings_of(record, config.run), name=config.script.name)
    if config.verify and found.left_out:
        what = f"--verify: the weights will differ, as the script leaves out {'; '.join(found.left_out)}"
        raise UsageError(what, hint="Leave --verify out")
    if config.verify:
        progress.begin("running the script")
        _require_same(found.source, config.script.name)
    write_text(config.script, found.source)
    return EjectResult(
        run=config.run,
        script=config.script,
        lines=found.source.count("\n"),
        left_out=found.left_out,
        verified=config.verify,
    )


def _require_same(source: str, name: str) -> None:
    """Run a script in a folder of its own.

    Raises:
        ModelError: it fails, or its weights are not those of the run.
    """
    with tempfile.TemporaryDirectory(prefix="dlcli-eject-") as folder:
        script = Path(folder) / name
        script.write_text(source, encoding="utf-8")
        done = subprocess.run([sys.executable, script.name], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise ModelError(f"the script fails: {last}", hint="It was not kept; please report this")
    if done.stdout.splitlines()[-1:] != [_SAME]:
        raise ModelError(
            "the script's weights are not those of the run",
            hint="Is this the machine of the run? Without --verify the script is written all the same",
        )


ACTION = Action(
    config=EjectConfig,
    function=eject,
    examples=("dlcli eject runs/reviews train.py", "dlcli eject runs/reviews train.py --verify"),
)
