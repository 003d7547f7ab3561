"""Whatever is wrong: one line that says what, where and what to do, the right exit code, and nothing left behind."""

from __future__ import annotations

import errno
import io
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pytest
from conftest import REVIEWS_TEST, Outcome, call
from trust.bad_cases import GOOD, HEADER, LATIN, write
from verbs.conftest import stopped  # noqa: F401  A fixture.
from verbs.helpers import history, record, same_weights, snapshot

from dlcli.cli import guarded
from dlcli.core.dataset import fingerprint

Command = Callable[..., Outcome]


def check(outcome: Outcome, code: int, *words: str) -> None:
    """Hold an outcome against an exit code and the words that its one error line must have."""
    assert outcome.code == code, outcome.err
    assert outcome.lines[-1].startswith("dlcli: ")
    assert sum(line.startswith("dlcli: ") for line in outcome.lines) == 1
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.lines[-1]


BAD_SETTINGS = [
    ("--ngrams 0", ["--ngrams", "1", "got '0'"]),
    ("--epochs 0", ["--epochs", "1", "got 0"]),
    ("--batch-size 0", ["--batch-size", "got 0"]),
    ("--batch-size 2.5", ["--batch-size", "'2.5'", "integer"]),
    ("--lr 0", ["--lr", "more than 0", "got 0"]),
    ("--lr -1", ["--lr", "more than 0", "got -1"]),
    ("--lr nan", ["--lr", "got nan"]),
    ("--lr fast", ["--lr", "'fast'"]),
    ("--val-split 1.5", ["--val-split", "between 0 and 1", "1.5"]),
    ("--val-split 150%", ["--val-split", "between 0 and 1", "150%"]),
    ("--val-split 0", ["--val-split", "at least 1", "0"]),
    ("--val-split 0.0", ["--val-split", "between 0 and 1"]),
    ("--val-split half", ["--val-split", "'half'"]),
    ("--seed -1", ["--seed", "at least 0", "got -1"]),
    ("--ngram-dropout 1", ["--ngram-dropout", "less than 1", "got 1"]),
    ("--optimizer adamm", ["--optimizer", "'adamm'", "adam", "sgd"]),
    ("--epoch 3", ["'--epoch'", "Did you mean", "'--epochs'"]),
    ("--bogus", ["'--bogus'", "dlcli train-text --help"]),
    ("one-more.csv", ["one-more.csv"]),
]


@pytest.mark.parametrize(("flags", "words"), BAD_SETTINGS, ids=[flags for flags, _ in BAD_SETTINGS])
def test_bad_settings_are_found_before_anything_is_read(
    dlcli: Command, tmp_path: Path, flags: str, words: list[str]
) -> None:
    check(dlcli("train-text", "nowhere.csv", "--out", "o", *shlex.split(flags)), 2, *words)
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("trian-text tiny.csv", ["'trian-text'", "Did you mean 'train-text'?"]),
        ("train-text", ["DATA", "--resume"]),
        ("train-text --resume nowhere", ["nowhere does not exist"]),
        ("check", ["DATA"]),
        ("check tiny.csv nowhere.csv", ["nowhere.csv does not exist"]),
        ("check tiny.csv --encoding klingon", ["--encoding", "'klingon'"]),
        ("check tiny.csv --allow anything", ["--allow", "'anything'", "'leaks'"]),
        ("check tiny.csv --show -1", ["--show", "at least 0", "-1"]),
        ("evaluate", ["RUN"]),
        ("evaluate RUN", ["DATA"]),
        ("evaluate nowhere tiny.csv", ["nowhere does not exist"]),
        ("evaluate RUN nowhere.csv", ["nowhere.csv does not exist"]),
        ("evaluate RUN tiny.csv --min-accuracy 95", ["--min-accuracy", "at most 1", "95"]),
        ("predict RUN", ["DATA", "--text"]),
        ("predict RUN tiny.csv --text good", ["DATA", "--text"]),
        ("export RUN --format onxn", ["--format", "'onxn'", "savedmodel"]),
        ("export RUN --verify 4 --verify-data nowhere.csv", ["nowhere.csv does not exist"]),
        ("run nowhere.toml", ["nowhere.toml does not exist"]),
        ("run quickstrat", ["'quickstrat'", "Did you mean 'quickstart'?"]),
        ("inspect nowhere", ["nowhere does not exist"]),
        ("doctor tiny.csv", ["tiny.csv"]),
    ],
)
@pytest.mark.usefixtures("tiny")
def test_bad_usage(dlcli: Command, run: Path, tmp_path: Path, arguments: str, words: list[str]) -> None:
    before = snapshot(tmp_path)
    check(dlcli(*(run if word == "RUN" else word for word in arguments.split())), 2, *words)
    assert snapshot(tmp_path) == before


def test_a_label_that_only_the_validation_data_has(dlcli: Command, tiny: Path, tmp_path: Path) -> None:
    write(tmp_path / "val.csv", HEADER + "so so,mixed\n")
    check(dlcli("train-text", tiny, "--val", "val.csv", "--out", "o"), 3, "val.csv", "'mixed'", "neg, pos")
    assert not Path("o").exists()


def test_a_label_that_the_run_does_not_know(dlcli: Command, run: Path, tmp_path: Path) -> None:
    write(tmp_path / "other.csv", HEADER + "so so,mixed\nfine,pos\n")
    before = snapshot(run)
    check(dlcli("evaluate", run, "other.csv"), 3, "other.csv", "'mixed'", "neg, pos")
    assert snapshot(run) == before


def test_some_blank_texts_are_counted_and_left_out(dlcli: Command, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", GOOD + " ,pos\n\t,neg\n")
    outcome = dlcli("train-text", "a.csv", "--epochs", "1", "--out", "o")
    assert outcome.code == 0
    assert "warning: a.csv: 2 blank texts are left out (line 42, line 43)" in outcome.lines
    assert sum(record(Path("o"))["data"][part] for part in ("training", "validation")) == 40


def test_a_byte_order_mark_is_no_part_of_the_header(dlcli: Command, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", GOOD.encode("utf-8-sig"))
    assert dlcli("train-text", "a.csv", "--epochs", "1", "--out", "o").code == 0
    rows = [line.split(",") for line in GOOD.splitlines()[1:]]
    assert record(Path("o"))["data"]["fingerprint"] == fingerprint(*zip(*rows, strict=True))


def test_latin_1_is_read_when_it_is_named(dlcli: Command, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", LATIN)
    assert dlcli("train-text", "a.csv", "--encoding", "latin-1", "--min-count", "1", "--out", "o").code == 0
    assert "café\t1\t1\n" in Path("o/pipeline/vocabulary.tsv").read_text(encoding="utf-8")


def test_stdin_that_is_not_utf_8(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"fine\na caf\xe9\n"), encoding="utf-8"))
    code = guarded(["predict", str(run), "-"], debug=False)
    check(Outcome(code, "", capsys.readouterr().err), 3, "utf-8")


# Where a run goes.


@pytest.mark.parametrize("flags", ["", "--force"])
def test_a_folder_that_is_not_ours_is_left_alone(dlcli: Command, tmp_path: Path, flags: str) -> None:
    write(tmp_path / "full/notes.txt", "mine")
    check(dlcli("train-text", "nowhere.csv", "--out", "full", *flags.split()), 5, "full is not empty", "--out")
    assert snapshot(tmp_path).keys() == {"full/notes.txt"}


def test_a_run_is_replaced_only_with_force(dlcli: Command, tiny: Path) -> None:
    arguments = ("train-text", tiny, "--epochs", "1", "--out", "o")
    assert dlcli(*arguments).code == 0
    before = snapshot(Path("o"))
    check(dlcli("train-text", "nowhere.csv", "--out", "o"), 5, "o holds a run already", "--force", "--resume")
    assert snapshot(Path("o")) == before
    assert dlcli(*arguments, "--seed", "3", "--force").code == 0
    assert record(Path("o"))["seed"] == 3


def test_force_keeps_the_old_run_when_the_data_is_bad(dlcli: Command, tiny: Path) -> None:
    assert dlcli("train-text", tiny, "--epochs", "1", "--out", "o").code == 0
    before = snapshot(Path("o"))
    check(dlcli("train-text", "nowhere.csv", "--out", "o", "--force"), 2, "nowhere.csv does not exist")
    assert snapshot(Path("o")) == before


@pytest.mark.parametrize("verb", ["train-text nowhere.csv", "predict RUN nowhere.csv", "export RUN --verify 4"])
@pytest.mark.parametrize(
    "place",
    ["file/o", pytest.param("/proc/nowhere/o", marks=pytest.mark.skipif(os.name != "posix", reason="no /proc"))],
)
def test_a_place_that_cannot_be_written_is_found_before_the_data_is_read(
    dlcli: Command, run: Path, tmp_path: Path, verb: str, place: str
) -> None:
    write(tmp_path / "file", "mine")
    arguments = [run if word == "RUN" else word for word in verb.split()]
    more = ["--verify-data", "nowhere.csv"] if "export" in arguments else []
    check(dlcli(*arguments, *more, "--out", place), 5, "cannot write", str(Path(place).parent), "--out")
    assert snapshot(tmp_path).keys() == {"file"}


def test_predict_does_not_overwrite_unasked(dlcli: Command, run: Path, tmp_path: Path) -> None:
    write(tmp_path / "p.csv", "mine")
    # DESIGN's table: an output that is there already is 5.
    check(dlcli("predict", run, "--text", "good", "--out", "p.csv"), 5, "p.csv exists", "--force")
    assert Path("p.csv").read_text() == "mine"
    assert dlcli("predict", run, "--text", "good", "--out", "p.csv", "--force").code == 0
    assert Path("p.csv").read_text().startswith("text,prediction,probability\n")


def test_predict_refuses_a_table_with_its_own_columns(dlcli: Command, run: Path, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "text,prediction\na,b\n")
    check(dlcli("predict", run, "a.csv"), 3, "a.csv", "'prediction'", "Rename")


def test_predict_leaves_no_half_file(dlcli: Command, run: Path, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "text\nfine\na,b\n")
    check(dlcli("predict", run, "a.csv", "--out", "p.csv"), 3, "a.csv, line 3", "got 2")
    assert snapshot(tmp_path).keys() == {"a.csv"}


@pytest.mark.parametrize(("flags", "words"), [("", "is not empty"), ("--force", "no export of ours")])
def test_export_leaves_a_strange_folder_alone(
    dlcli: Command, run: Path, tmp_path: Path, flags: str, words: str
) -> None:
    write(tmp_path / "served/notes.txt", "mine")
    check(dlcli("export", run, "--out", "served", *flags.split()), 5, words, "--out")
    assert snapshot(tmp_path).keys() == {"served/notes.txt"}


# Runs that are not whole.


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


DAMAGE: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "model-truncated": (lambda run: truncate(run / "model.keras"), ["damaged", "model.keras"]),
    "model-flipped": (lambda run: flip(run / "model.keras"), ["damaged", "model.keras"]),
    "model-missing": (lambda run: (run / "model.keras").unlink(), ["model.keras is missing"]),
    "metrics-flipped": (lambda run: flip(run / "metrics.json"), ["damaged", "metrics.json"]),
    "history-missing": (lambda run: (run / "history.jsonl").unlink(), ["history.jsonl is missing"]),
    "vocabulary-missing": (
        lambda run: (run / "pipeline/vocabulary.tsv").unlink(),
        ["pipeline/vocabulary.tsv is missing"],
    ),
    "vocabulary-flipped": (lambda run: flip(run / "pipeline/vocabulary.tsv"), ["damaged", "vocabulary.tsv"]),
    "pipeline-missing": (lambda run: shutil.rmtree(run / "pipeline"), ["pipeline/", "missing"]),
    "record-garbage": (lambda run: (run / "run.json").write_text("{garbage"), ["run.json", "damaged"]),
    "record-empty": (lambda run: (run / "run.json").write_text(""), ["run.json", "damaged"]),
    "record-truncated": (lambda run: truncate(run / "run.json"), ["run.json", "damaged"]),
    "record-binary": (lambda run: (run / "run.json").write_bytes(b"\xff\0"), ["run.json", "damaged"]),
    "record-list": (lambda run: (run / "run.json").write_text("[]"), ["run.json", "damaged"]),
    "record-newer": (lambda run: edit(run / "run.json", shape="new"), ["run.json", "newer dlcli"]),
    "record-missing": (lambda run: (run / "run.json").unlink(), ["is not a run", "run.json"]),
}


@pytest.mark.parametrize("verb", ["predict broken --text good", "inspect broken"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_run(dlcli: Command, run: Path, kind: str, verb: str) -> None:
    damage, words = DAMAGE[kind]
    shutil.copytree(run, "broken")
    damage(Path("broken"))
    check(dlcli(*verb.split()), 4, "broken", *words)


@pytest.mark.parametrize("verb", ["evaluate RUN DATA", "export RUN --out o", "train-text --resume RUN"])
def test_every_verb_refuses_a_damaged_run(dlcli: Command, run: Path, verb: str) -> None:
    shutil.copytree(run, "broken")
    flip(Path("broken/model.keras"))
    known = {"RUN": "broken", "DATA": REVIEWS_TEST}
    check(dlcli(*(known.get(word, word) for word in verb.split())), 4, "broken is damaged: model.keras")
    assert not Path("o").exists()


@pytest.mark.parametrize(
    "verb", ["predict R --text good", "evaluate R DATA", "train-text --resume R", "train-text DATA --force --out R"]
)
def test_a_run_that_is_still_running(dlcli: Command, run: Path, verb: str) -> None:
    shutil.copytree(run, "R")
    edit(Path("R/run.json"), status="running", pid=4242)
    before = snapshot(Path("R"))
    with filelock.FileLock("R/.lock"):
        outcome = dlcli(*(REVIEWS_TEST if word == "DATA" else word for word in verb.split()))
    check(outcome, 5, "R is still running", "process 4242")
    assert snapshot(Path("R")) == before


@pytest.mark.parametrize("status", ["running", "interrupted"])
def test_a_run_that_was_stopped(dlcli: Command, run: Path, status: str) -> None:
    shutil.copytree(run, "R")
    edit(Path("R/run.json"), status=status)
    check(dlcli("predict", "R", "--text", "good"), 4, "R was interrupted", "dlcli train-text --resume R")


# Resuming.


def test_resume_takes_no_changed_setting(dlcli: Command, stopped: Path) -> None:  # noqa: F811
    before = snapshot(stopped)
    outcome = dlcli("train-text", "--resume", stopped, "--lr", "0.5", "--epochs", "4", "--ngrams", "3")
    check(outcome, 2, "--lr (the run has 0.02, got 0.5)", "--ngrams (the run has 2, got 3)")
    assert "--epochs" not in outcome.err
    assert snapshot(stopped) == before


def test_resume_takes_no_changed_data(dlcli: Command, stopped: Path, tiny: Path) -> None:  # noqa: F811
    tiny.write_text(tiny.read_text().replace("good film number 1,", "new film number 1,"))
    check(dlcli("train-text", "--resume", stopped), 2, "data has changed", "other content", "train anew")
    assert record(stopped)["status"] == "interrupted"


def test_resume_without_its_data(dlcli: Command, stopped: Path, tiny: Path) -> None:  # noqa: F811
    tiny.unlink()
    check(dlcli("train-text", "--resume", stopped), 2, "tiny.csv does not exist")
    assert record(stopped)["status"] == "interrupted"


def test_resume_of_what_is_no_run(dlcli: Command) -> None:
    Path("o").mkdir()
    check(dlcli("train-text", "--resume", "o"), 4, "o is not a run", "run.json")


@pytest.mark.parametrize("name", ["state.json", "epoch-2.npz"])
def test_resume_from_a_damaged_checkpoint(dlcli: Command, stopped: Path, name: str) -> None:  # noqa: F811
    truncate(stopped / "checkpoints" / name)
    check(dlcli("train-text", "--resume", stopped), 4, name, "damaged", "--force")


# Numbers and disks.


def test_a_loss_that_is_no_number_from_the_start(dlcli: Command, tiny: Path) -> None:
    outcome = dlcli("train-text", tiny, "--out", "o", "--lr", "3e38", "--l2", "1e10", "--batch-size", "512")
    check(outcome, 6, "the validation loss is not a finite number in epoch 1", "--lr")
    assert record(Path("o"))["status"] == "interrupted"
    assert not Path("o/model.keras").exists()


@pytest.mark.parametrize("flags", ["--optimizer sgd --lr 1e30 --batch-size 512", "--lr 1e38 --batch-size 512"])
def test_a_loss_that_is_no_number_later(dlcli: Command, tiny: Path, flags: str) -> None:
    """The best epoch before is a run like any other, and says what happened."""
    outcome = dlcli("train-text", tiny, "--out", "o", *flags.split())
    check(outcome, 6, "the validation loss is not a finite number in epoch 2", "the run keeps epoch 1", "--lr")
    found = record(Path("o"))
    assert (found["status"], found["problem"]) == ("finished", "the validation loss is not a finite number in epoch 2")
    assert "the validation loss is not a finite number" in dlcli("inspect", "o").out
    assert dlcli("predict", "o", "--text", "good film").code == 0


DISK_SETTINGS = ("--epochs", "3", "--patience", "9", "--ngram-dropout", "0.5")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run on the same data as `tiny` that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    outcome = call("train-text", write(folder / "a.csv", GOOD), "--out", folder / "run", *DISK_SETTINGS)
    assert outcome.code == 0, outcome.err
    return folder / "run"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs the names of open files")
@pytest.mark.parametrize(("file", "epochs"), [("run", None), ("epoch-2", 1), ("model", 3), ("metrics", 3)])
def test_a_full_disk_is_said_and_the_run_goes_on_later(
    dlcli: Command,
    tiny: Path,
    tmp_path: Path,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    epochs: int | None,
) -> None:
    fsync = os.fsync

    def full(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        if name.startswith(f".{file}."):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("dlcli.core.files.os.fsync", full)
        outcome = dlcli("train-text", tiny, "--out", "o", *DISK_SETTINGS)
    check(outcome, 5, "the disk is full")
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name]
    if epochs is None:  # Not even its record could be written: there is nothing to go on with.
        assert not Path("o").exists()
        return
    assert record(Path("o"))["status"] == "interrupted"
    assert outcome.lines[-1].endswith("dlcli train-text --resume o")
    assert len(history(Path("o")) if Path("o/history.jsonl").exists() else []) == epochs

    assert dlcli("train-text", "--resume", "o").code == 0
    assert same_weights(Path("o"), whole)
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name]


def test_an_output_of_an_unknown_kind_is_refused(dlcli: Callable[..., Outcome], run: Path) -> None:
    outcome = dlcli("predict", run, "--text", "good", "--out", "p.xlsx")
    assert outcome.code == 2
    assert ".csv, .jsonl, .ndjson" in outcome.err


def test_labels_cannot_steer_the_terminal(dlcli: Callable[..., Outcome], tiny: Path) -> None:
    tiny.write_text(tiny.read_text().replace(",pos", ",\x1b[31mRED"), encoding="utf-8")
    outcome = dlcli("train-text", tiny, "--out", "r", "--epochs", "1")
    assert outcome.code == 0
    assert "\x1b" not in outcome.out + outcome.err + dlcli("inspect", "r").out
