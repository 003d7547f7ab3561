"""The record of a run: `run.json`, what it says and what it vouches for.

`run.json` is written as the last file of a finished run, with the hashes of the others: it is the commit. A run whose
writer died still says `running`, but nobody holds its lock; it counts as interrupted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from dlcli.core.files import write_text
from dlcli.core.locks import is_held
from dlcli.core.vouched import files_below, require_inside, require_vouched
from dlcli.errors import ModelError, SurroundingsError, UsageError, from_os_error

RECORD = "run.json"
MODEL = "model.keras"
PIPELINE = "pipeline"
HISTORY = "history.jsonl"
METRICS = "metrics.json"
VALIDATION = "validation.npz"
CHECKPOINTS = "checkpoints"
PLOTS = "plots"
TENSORBOARD = "tensorboard"
LOG = "log.txt"
LOCK = ".lock"
_ANEW = "Train it anew"
# The settings of a verb are some kilobytes.
_LARGEST_RECORD = 16 * 2**20
# What a finished run vouches for with hashes.
HASHED = (MODEL, PIPELINE, HISTORY, METRICS, VALIDATION)

Status = Literal["running", "interrupted", "finished"]


class _Recorded(dict[str, Any]):
    """A part of a record: what should be in it and is not is damage, and no bug."""

    def __missing__(self, key: str) -> Any:
        raise ModelError(f"the {RECORD} of the run is damaged or from a newer dlcli: it has no {key!r}", hint=_ANEW)


Recorded = Annotated[dict[str, Any], AfterValidator(_Recorded)]


class RunRecord(BaseModel):
    """The content of `run.json`."""

    model_config = ConfigDict(extra="forbid")

    schema_: Literal[1] = Field(1, alias="schema")
    status: Status = "running"
    verb: str = Field(pattern="^[a-z][a-z-]*$")
    domain: str
    config: Recorded
    argv: list[str] = []
    pid: int = 0
    seed: int = 0
    labels: list[str] = []
    data: Recorded = {}
    machine: Recorded = {}
    device: str = ""
    model: Recorded = {}
    scores: dict[str, int | float | None] = {}
    problem: str = ""
    started: str = ""
    finished: str = ""
    seconds: float = 0.0
    hashes: dict[str, str] = {}

    @property
    def probabilistic(self) -> bool:
        """Whether the outputs of the model are probabilities; else they are scores, as those of a hinge loss."""
        return bool(self.model.get("outputs", "probabilities") == "probabilities")

    @property
    def resumable(self) -> bool:
        """Whether there is a training to go on with; an ensemble trains nothing."""
        return "members" not in self.config

    def write(self, folder: Path) -> None:
        """Write `run.json` into a folder, whole or not at all."""
        write_text(folder / RECORD, self.model_dump_json(indent=2, by_alias=True) + "\n")


def read_record(path: Path) -> RunRecord:
    """Read `run.json` of a run.

    Returns:
        the record; a run whose writer died while it said `running` counts as interrupted.

    Raises:
        UsageError: there is nothing at `path`.
        ModelError: what is there is no run, its record is damaged, or a link in it leads elsewhere.
    """
    if not path.exists():
        problem = f"{path} is no run" if str(path).startswith("base:") else f"{path} does not exist"
        raise UsageError(problem, hint="Expected the directory of a run")
    require_inside(path)
    file = path / RECORD
    try:
        if not file.is_file():
            raise ModelError(f"{path} is not a run: it has no {RECORD}", hint="Expected the directory of a run")
        if file.stat().st_size > _LARGEST_RECORD:
            raise ModelError(f"{file} is damaged: it is too large", hint=_ANEW)
        record = RunRecord.model_validate_json(file.read_bytes())
    except OSError as error:
        raise from_os_error(error, file) from error
    except ValidationError as error:
        raise damaged_record(path, error) from None
    if record.status == "running" and not is_held(path / LOCK):
        record.status = "interrupted"
    return record


def damaged_record(path: Path, error: ValidationError) -> ModelError:
    """Return what is wrong with the record of a run."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    what = f"{where}: {first['msg']}" if where else first["msg"]
    return ModelError(f"{path / RECORD} is damaged or from a newer dlcli ({what})", hint=_ANEW)


def files_of(path: Path, record: RunRecord) -> list[Path]:
    """Return the files that a run consists of."""
    return [path / name for name in (RECORD, *record.hashes)]


def read_idle(path: Path) -> RunRecord:
    """Read `run.json` of a run that nobody writes.

    Raises:
        SurroundingsError: somebody does; the rest is as in `read_record`.
    """
    record = read_record(path)
    if record.status == "running":
        raise still_running(path, record.pid)
    return record


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return a record for each epoch that a run has trained, finished or not.

    Raises:
        ModelError: `history.jsonl` is damaged.
    """
    file = path / HISTORY
    if not file.exists():
        return []
    try:
        found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file} is damaged ({error})", hint=_ANEW) from None
    if not all(isinstance(epoch, dict) for epoch in found):
        raise ModelError(f"{file} is damaged: expected an object a line", hint=_ANEW)
    return found


def open_finished(path: Path) -> RunRecord:
    """Read the record of a finished run, and check every file that it vouches for.

    Raises:
        UsageError: there is nothing at `path`.
        SurroundingsError: the run is still being written.
        ModelError: it was not finished, or a file is missing or changed.
    """
    record = read_idle(path)
    if record.status == "interrupted":
        raise ModelError(f"{path} was interrupted", hint=f"Finish it with: dlcli {record.verb} --resume {path}")
    require_vouched(path, record.hashes, there=_vouchable(path), needed=(MODEL, METRICS), hint=_ANEW)
    if not any(name.startswith(f"{PIPELINE}/") for name in record.hashes):
        raise ModelError(f"{path} is refused: its {RECORD} vouches for no {PIPELINE}/", hint=_ANEW)
    return record


def _vouchable(path: Path) -> list[str]:
    """Return the names of the files that a run has and that it must vouch for."""
    found = [name for name in HASHED if (path / name).is_file()]
    return found + [f"{PIPELINE}/{name}" for name in files_below(path / PIPELINE)]


def still_running(path: Path, pid: int) -> SurroundingsError:
    """Return that another process writes a run."""
    return SurroundingsError(f"{path} is still running (process {pid})", hint="Wait for it, or stop it")
