"""The command itself: its help, its flags, its streams, and how it ends."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import REVIEWS_TEST, Outcome
from verbs.helpers import record

import dlcli
from dlcli import verbs
from dlcli.options import flag
from dlcli.verbs import VERBS, Verb

Command = Callable[..., Outcome]

NAMES = [verb.name for verb in VERBS]
PYTHON = [sys.executable, "-m", "dlcli"]
# What takes longer to import than a help may take to show.
HEAVY = {"tensorflow", "keras", "numpy", "pandas", "sklearn"}


# Help.


@pytest.fixture(scope="module")
def helps() -> dict[str, dict[str, Any]]:
    """Return, for the root and each verb, its help and the packages that were imported by then: in a new process."""
    script = """if True:
        import contextlib, io, json, sys
        from dlcli.cli import guarded
        found = {}
        for name in ["", *sys.argv[1:]]:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                code = guarded([*name.split(), "--help"], debug=False)
            imported = sorted({module.partition(".")[0] for module in sys.modules})
            found[name] = {"code": code, "text": out.getvalue(), "imported": imported}
        print(json.dumps(found))
    """
    done = subprocess.run([sys.executable, "-c", script, *NAMES], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def test_the_root_help_shows_every_verb_and_imports_nothing_heavy(helps: dict[str, dict[str, Any]]) -> None:
    root = helps[""]
    assert root["code"] == 0
    for verb in VERBS:
        assert f"  {verb.name} " in root["text"]
        assert verb.summary in root["text"]
    assert not {*HEAVY, "pydantic", "rich"} & set(root["imported"])


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_a_verb_ends_in_an_example_and_imports_nothing_heavy(
    helps: dict[str, dict[str, Any]], name: str
) -> None:
    found = helps[name]
    action = next(verb for verb in VERBS if verb.name == name).load()
    assert found["code"] == 0
    assert action.examples
    assert all(example.startswith(f"dlcli {name}") or f"| dlcli {name} " in example for example in action.examples)
    assert found["text"].splitlines()[-len(action.examples) :] == [f"  {example}" for example in action.examples]
    assert not HEAVY & set(found["imported"])


@pytest.mark.parametrize("verb", VERBS, ids=NAMES)
def test_the_help_of_a_verb_shows_every_setting(helps: dict[str, dict[str, Any]], verb: Verb) -> None:
    text = helps[verb.name]["text"]
    for field, info in verb.load().config.model_fields.items():
        assert info.description, field
        name = flag(field, verb.load().config)
        if name.startswith("--"):
            assert f"  {name} " in text or f"  {name}\n" in text or f"  {name}/--no-{name[2:]}" in text, name
            assert "".join(info.description.split()) in "".join(text.split()), name
        else:
            assert name in text.splitlines()[0]
    for common in ("--json", "--quiet", "--verbose", "--debug", "--help"):
        assert common in text


def test_the_table_of_verbs_is_that_of_the_modules() -> None:
    every = [module.name for module in pkgutil.iter_modules(verbs.__path__) if not module.ispkg]
    assert {name.replace("-", "_") for name in NAMES} == set(every)
    assert len(set(NAMES)) == len(NAMES)
    for verb in VERBS:
        assert verb.load().config.model_config["frozen"]
        assert verb.summary.endswith(".")


def test_version() -> None:
    done = subprocess.run([*PYTHON, "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"dlcli {dlcli.__version__}\n", "")


# Streams.


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ("train-text TINY --epochs 1 --out o", {"run", "items", "labels", "accuracy", "loss", "best_epoch", "seconds"}),
        ("train-text TINY --dry-run", {"run", "items", "labels", "parameters"}),
        ("clean TINY b.csv", {"rows", "words_in", "words_out", "empty", "stop_words", "out"}),
        ("tokenize TINY bag", {"texts", "features", "shape", "ngrams", "distinct", "nonzeros", "files", "out"}),
        ("check TINY TEST", {"data", "findings", "errors", "warnings"}),
        ("evaluate RUN TEST", {"n", "accuracy", "loss", "f1_macro", "metrics", "classes", "confusion", "baselines"}),
        ("compare RUN COPY --on TEST", {"runs", "settings", "data", "n", "paired"}),
        ("predict RUN --text good --text bad", {"run", "labels", "predictions"}),
        ("predict RUN TEST --proba", {"run", "labels", "predictions"}),
        ("predict RUN TEST --out p.csv", {"run", "labels", "out", "n"}),
        ("export RUN --out served --verify 2", {"run", "out", "format", "verified", "largest_difference"}),
        ("inspect RUN", {"status", "model", "labels", "data", "scores", "config", "history", "evaluations"}),
        ("doctor", {"dlcli", "python", "packages", "devices", "problems"}),
        ("data", {"action", "data_sets"}),
        ("run", {"steps"}),
        ("run quickstart --dry-run", {"recipe", "steps", "data_sets"}),
    ],
)
def test_json_is_one_object_and_quiet_is_quiet(
    dlcli: Command, run: Path, tiny: Path, arguments: str, fields: set[str]
) -> None:
    known = {"RUN": run, "TINY": tiny, "TEST": REVIEWS_TEST, "COPY": Path("copy")}
    if "COPY" in arguments:
        shutil.copytree(run, "copy")
    outcome = dlcli(*(known.get(word, word) for word in arguments.split()), "--json", "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    result = json.loads(outcome.out)
    assert result["schema"] == 1
    assert fields <= result.keys()


def test_results_go_to_stdout_and_progress_to_stderr(dlcli: Command, tiny: Path) -> None:
    outcome = dlcli("train-text", tiny, "--epochs", "2", "--out", "o")
    assert outcome.lines[:2] == ["run directory: o", "computes on cpu in float32"]
    assert [line.split()[1] for line in outcome.lines[2:]] == ["1/2", "2/2"]
    assert outcome.out.splitlines()[-1].split() == ["run", "o"]
    assert "epoch 1/2" not in outcome.out


def test_quiet_and_verbose(dlcli: Command, tiny: Path) -> None:
    arguments = ("train-text", tiny, "--epochs", "1", "--force", "--out", "o")
    plain, quiet, verbose = dlcli(*arguments), dlcli(*arguments, "-q"), dlcli(*arguments, "-v")
    assert quiet.err == ""
    first, second, third = (re.sub(r"seconds .*", "", outcome.out) for outcome in (plain, quiet, verbose))
    assert first == second == third
    assert any("n-grams" in line for line in verbose.lines)
    assert len(verbose.lines) > len(plain.lines)


@pytest.mark.parametrize("arguments", [["inspect", "nowhere"], ["inspect"], ["inspct"], ["inspect", "--bogus"]])
def test_an_error_is_one_line_even_when_quiet(dlcli: Command, arguments: list[str]) -> None:
    for more in ([], ["--quiet"], ["--json"]):
        outcome = dlcli(*arguments, *more)
        assert (outcome.code, outcome.out, len(outcome.lines)) == (2, "", 1)
        assert outcome.err.startswith("dlcli: ")


def test_control_characters_of_the_data_do_not_reach_the_terminal(dlcli: Command, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("te\x1b[31mxt,label\na,b\n")
    outcome = dlcli("train-text", "a.csv")
    assert outcome.code == 3
    assert "\x1b" not in outcome.err


def test_a_bug_is_code_1_and_asks_for_a_report(dlcli: Command, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("dlcli.core.record.read_record", broken)
    outcome = dlcli("inspect", run)
    assert (outcome.code, len(outcome.lines)) == (1, 1)
    assert "a bug in dlcli: ZeroDivisionError: of all things" in outcome.err


def test_debug_shows_the_traceback() -> None:
    ended = subprocess.run([*PYTHON, "inspect", "nowhere", "--debug"], capture_output=True, text=True)
    err = ended.stderr
    assert ended.returncode == 2
    assert "Traceback (most recent call last)" in err
    assert "UsageError" in err
    assert err.splitlines()[-1].startswith("dlcli: nowhere does not exist")


# How it ends.


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_a_training_that_can_be_resumed(dlcli: Command, tiny: Path) -> None:
    out = tiny.with_name("o")
    arguments = ["train-text", str(tiny), "--epochs", "100000", "--patience", "100000", "--out", str(out)]
    with subprocess.Popen(
        [*PYTHON, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore SIGINT, and their children with them.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            while not process.stderr.readline().startswith("epoch 3/"):
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            out_text, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert out_text == ""
    assert err.splitlines()[-2:] == [f"go on with: dlcli train-text --resume {out}", "dlcli: interrupted"]
    left = record(out)
    assert left["status"] == "interrupted"
    assert left["argv"] == arguments
    assert dlcli("inspect", out).code == 0
    assert "--resume" in dlcli("predict", out, "--text", "good").err


@pytest.mark.parametrize(
    ("words", "expected"), [("dlcli train-t", "plain,train-text"), ("dlcli train-text --epo", "plain,--epochs")]
)
def test_shell_completion_knows_verbs_and_options(words: str, expected: str) -> None:
    wanted = {"_DLCLI_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    ended = subprocess.run(PYTHON, env=os.environ | wanted, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.split(), ended.stderr) == (0, [expected], "")


@pytest.mark.parametrize("place", ["parse_args", "resolve_command"])
def test_ctrl_c_while_the_command_line_is_read_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    from dlcli.cli import guarded

    monkeypatch.setattr(f"dlcli.cli.Verbs.{place}", interrupt)
    assert guarded(["check", "a.csv"], debug=False) == 130
    assert capsys.readouterr().err == "dlcli: interrupted\n"
