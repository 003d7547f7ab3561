"""The command itself: its help, its flags, its streams, and how it ends."""

from __future__ import annotations

import dataclasses
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
from conftest import REVIEWS, REVIEWS_TEST, Outcome
from verbs.helpers import record

import dlcli
from dlcli import verbs
from dlcli.options import flag
from dlcli.verbs import VERBS, Verb
from dlcli.verbs.shared.result import Result

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


# From flags to a config.

FLAGS: dict[str, tuple[str, dict[str, Any]]] = {
    "finetune": (
        "photos --base base.keras --freeze-base --weights none --preprocessing unit --upsample 2 --head flatten-dense"
        " --hidden-units 64,32 --dropout 0.5 --lower-lr 0.3 --augment book --augment-copies 3 --cache none"
        " --then-unfreeze block5 --then-lr 1e-5 --then-epochs 4 --image-size 150 --resize stretch --out r",
        {
            "data": Path("photos"),
            "base": "base.keras",
            "freeze_base": True,
            "weights": "none",
            "preprocessing": "unit",
            "upsample": 2,
            "head": "flatten-dense",
            "hidden_units": (64, 32),
            "dropout": 0.5,
            "lower_lr": 0.3,
            "augment": "book",
            "augment_copies": 3,
            "cache": "none",
            "then_unfreeze": "block5",
            "then_lr": 1e-5,
            "then_epochs": 4,
            "image_size": (150, 150),
            "resize": "stretch",
            "out": Path("r"),
        },
    ),
    "finetune again": (
        "photos --from r --unfreeze 3 --augment light --augment-online",
        {"data": Path("photos"), "from_": Path("r"), "unfreeze": "3", "augment": "light", "augment_online": True},
    ),
    "eject": (
        "runs/r train.py --verify --force",
        {"run": Path("runs/r"), "script": Path("train.py"), "verify": True, "force": True},
    ),
    "reproduce": (
        "runs/r --out again --tolerance 0.01",
        {"run": Path("runs/r"), "out": Path("again"), "tolerance": 0.01},
    ),
    "features": (
        "photos f.npz --base shipped --pooling max --no-labels --precision float32 --device cpu --force",
        {
            "data": Path("photos"),
            "out": Path("f.npz"),
            "base": "shipped",
            "pooling": "max",
            "labels": False,
            "precision": "float32",
            "device": "cpu",
            "force": True,
        },
    ),
    "train-text": (
        "d.csv --val v.csv --text-column review --label-column stars --encoding latin-1 --no-lowercase --no-strip-html"
        " --punctuation drop --ngrams 3 --max-features 500 --min-count 4 --model ngram --embedding-dim 8"
        " --ngram-dropout 0.3 --epochs 9 --batch-size 32 --optimizer sgd --lr 0.5 --label-smoothing 0.2"
        " --class-weight neg=1,pos=2.5 --monitor val_loss --patience 4 --min-delta 0.001 --val-split 20% --seed 7"
        " --device cpu --out runs/r --force --dry-run",
        {
            "data": Path("d.csv"),
            "val": Path("v.csv"),
            "text_column": "review",
            "label_column": "stars",
            "encoding": "latin-1",
            "lowercase": False,
            "strip_html": False,
            "punctuation": "drop",
            "ngrams": (1, 3),
            "max_features": 500,
            "min_count": 4,
            "model": "ngram",
            "embedding_dim": 8,
            "ngram_dropout": 0.3,
            "epochs": 9,
            "batch_size": 32,
            "optimizer": "sgd",
            "lr": 0.5,
            "label_smoothing": 0.2,
            "class_weight": "neg=1,pos=2.5",
            "monitor": "val_loss",
            "patience": 4,
            "min_delta": 0.001,
            "val_split": 0.2,
            "seed": 7,
            "device": "cpu",
            "out": Path("runs/r"),
            "force": True,
            "dry_run": True,
        },
    ),
    "check": (
        "a.csv b.csv --text-column review --label-column stars --encoding cp1252 --show 3 --exact --allow leaks"
        " --allow blank-text",
        {
            "data": (Path("a.csv"), Path("b.csv")),
            "text_column": "review",
            "label_column": "stars",
            "encoding": "cp1252",
            "show": 3,
            "exact": True,
            "allow": ("leaks", "blank-text"),
        },
    ),
    "clean": (
        "a.csv b.csv --text-column review --encoding cp1252 --no-lowercase --no-strip-html --strip-urls --strip-accents"
        " --numbers mask --punctuation drop --analyzer char --min-word-length 2 --stop-words s.txt --stem porter"
        " --skip-bad --escape-formulas --force",
        {
            "data": Path("a.csv"),
            "out": Path("b.csv"),
            "skip_bad": True,
            "escape_formulas": True,
            "text_column": "review",
            "encoding": "cp1252",
            "lowercase": False,
            "strip_html": False,
            "strip_urls": True,
            "strip_accents": True,
            "numbers": "mask",
            "punctuation": "drop",
            "analyzer": "char",
            "min_word_length": 2,
            "stop_words": "s.txt",
            "stem": "porter",
            "force": True,
        },
    ),
    "tokenize": (
        "a.csv bag --text-column review --label-column stars --encoding cp1252 --ngrams 1-3 --min-count 2 --min-df 2%"
        " --max-df 500 --max-features 9 --features binary --no-labels --from b --force",
        {
            "data": Path("a.csv"),
            "out": Path("bag"),
            "text_column": "review",
            "label_column": "stars",
            "encoding": "cp1252",
            "ngrams": (1, 3),
            "min_count": 2,
            "min_df": 0.02,
            "max_df": 500,
            "max_features": 9,
            "features": "binary",
            "labels": False,
            "from_": Path("b"),
            "force": True,
        },
    ),
    "tokenize ids": (
        "a.csv ids --features ids --max-length 90% --padding pre --truncating post",
        {
            "data": Path("a.csv"),
            "out": Path("ids"),
            "features": "ids",
            "max_length": 0.9,
            "padding": "pre",
            "truncating": "post",
        },
    ),
    "augment": (
        "photos out --copies 2 --rotation 40 --width-shift 0.2 --height-shift 10 --zoom 0.8-1.1 --horizontal-flip"
        " --fill-mode constant --fill-value 9 --no-originals --image-size 120x160 --quality 70 --workers 3",
        {
            "data": Path("photos"),
            "out": Path("out"),
            "copies": 2,
            "rotation": 40.0,
            "width_shift": 0.2,
            "height_shift": 10,
            "zoom": (0.8, 1.1),
            "horizontal_flip": True,
            "fill_mode": "constant",
            "fill_value": 9.0,
            "originals": False,
            "image_size": (120, 160),
            "quality": 70,
            "workers": 3,
        },
    ),
    "train-image": (
        "photos --val v --model resnet --filters 8,16 --image-size 32 --resize crop --color grayscale --rescale 1/127.5"
        " --augment book --no-horizontal-flip --mixup 0.2 --cache none --skip-bad --class-mode binary --epochs 3",
        {
            "data": Path("photos"),
            "val": Path("v"),
            "model": "resnet",
            "filters": (8, 16),
            "image_size": (32, 32),
            "resize": "crop",
            "color": "grayscale",
            "rescale": 1 / 127.5,
            "augment": "book",
            "horizontal_flip": False,
            "mixup": 0.2,
            "cache": "none",
            "skip_bad": True,
            "class_mode": "binary",
            "loss": "binary_crossentropy",
            "epochs": 3,
        },
    ),
    "train-text --resume": ("--resume runs/r", {"resume": Path("runs/r")}),
    "train-text --val-split": ("d.csv --val-split 500", {"data": Path("d.csv"), "val_split": 500}),
    "ensemble": (
        "runs/r runs/s --weights 0.8,0.2 --out runs/b --force",
        {
            "runs": (Path("runs/r"), Path("runs/s")),
            "weights": (0.8, 0.2),
            "out": Path("runs/b"),
            "force": True,
        },
    ),
    "evaluate": (
        "runs/r d.csv --text-column review --label-column stars --encoding cp1252 --min-accuracy 0.9 --min f1=0.9"
        " --min auc=0.95 --max ece=0.05 --better-than runs/s --gate lower --bootstrap 500 --seed 3 --slice country"
        " --slice year --threshold best-f1 --no-baselines --save-predictions p.csv --force",
        {
            "run": Path("runs/r"),
            "data": Path("d.csv"),
            "text_column": "review",
            "label_column": "stars",
            "encoding": "cp1252",
            "min_accuracy": 0.9,
            "min": ("f1=0.9", "auc=0.95"),
            "max": ("ece=0.05",),
            "better_than": Path("runs/s"),
            "gate": "lower",
            "bootstrap": 500,
            "seed": 3,
            "slice": ("country", "year"),
            "threshold": "best-f1",
            "baselines": False,
            "save_predictions": Path("p.csv"),
            "force": True,
        },
    ),
    "evaluate --threshold": (
        "runs/r d.csv --threshold 0.4",
        {"run": Path("runs/r"), "data": Path("d.csv"), "threshold": 0.4},
    ),
    "report": (
        "runs/r d.csv --format html --out page.html --open --force --bootstrap 500 --seed 3 --text-column review"
        " --label-column stars --encoding cp1252",
        {
            "run": Path("runs/r"),
            "data": Path("d.csv"),
            "format": "html",
            "out": Path("page.html"),
            "open": True,
            "force": True,
            "bootstrap": 500,
            "seed": 3,
            "text_column": "review",
            "label_column": "stars",
            "encoding": "cp1252",
        },
    ),
    "compare": (
        "runs/r runs/s --on d.csv --text-column review --label-column stars --encoding cp1252 --bootstrap 500 --seed 3"
        " --plot c.png --force",
        {
            "runs": (Path("runs/r"), Path("runs/s")),
            "on": Path("d.csv"),
            "text_column": "review",
            "label_column": "stars",
            "encoding": "cp1252",
            "bootstrap": 500,
            "seed": 3,
            "plot": Path("c.png"),
            "force": True,
        },
    ),
    "explain": (
        "runs/r d.csv --text-column review --encoding cp1252 --method occlusion --target pos --html w.html --limit 5"
        " --window 2 --stride 1 --seed 3 --baseline gray --force",
        {
            "run": Path("runs/r"),
            "data": Path("d.csv"),
            "text_column": "review",
            "encoding": "cp1252",
            "method": "occlusion",
            "target": "pos",
            "html": Path("w.html"),
            "limit": 5,
            "window": 2,
            "stride": 1,
            "seed": 3,
            "baseline": "gray",
            "force": True,
        },
    ),
    "bench": (
        "runs/r --artefact a --artefact b/model.onnx --data d.csv --items 9 --batch-size 4 --seconds 0.5 --threads 2",
        {
            "run": Path("runs/r"),
            "artefact": (Path("a"), Path("b/model.onnx")),
            "data": Path("d.csv"),
            "items": 9,
            "batch_size": 4,
            "seconds": 0.5,
            "threads": 2,
        },
    ),
    "predict": (
        "runs/r d.csv --text-column review --encoding cp1252 --out p.jsonl --format csv --proba --batch-size 64"
        " --skip-bad --escape-formulas --force",
        {
            "run": Path("runs/r"),
            "batch_size": 64,
            "data": Path("d.csv"),
            "skip_bad": True,
            "escape_formulas": True,
            "text_column": "review",
            "encoding": "cp1252",
            "out": Path("p.jsonl"),
            "format": "csv",
            "proba": True,
            "force": True,
        },
    ),
    "predict base:": (
        "base:vgg16 dog.jpg --top 5 --format text",
        {"run": Path("base:vgg16"), "data": Path("dog.jpg"), "top": 5, "format": "text"},
    ),
    "predict --text": ("runs/r --text one --text two", {"run": Path("runs/r"), "text": ("one", "two")}),
    "export": (
        "runs/r --format onnx --quantize int8 --out served/1 --force --verify 64 --verify-data d.csv"
        " --text-column review --encoding cp1252 --web --mirror https://m/x",
        {
            "run": Path("runs/r"),
            "format": "onnx",
            "web": True,
            "mirror": "https://m/x",
            "quantize": "int8",
            "out": Path("served/1"),
            "force": True,
            "verify": 64,
            "verify_data": Path("d.csv"),
            "text_column": "review",
            "encoding": "cp1252",
        },
    ),
    "inspect": (
        "runs/r --layers --weights a,b --activations a.png --of c --visualise d --steps 5 --seed 3 --top-activating e"
        " --data d.csv --top 4 --filters 0-2,9 --graph g.svg --out o --force",
        {
            "run": Path("runs/r"),
            "layers": True,
            "weights": ("a", "b"),
            "activations": Path("a.png"),
            "of": ("c",),
            "visualise": "d",
            "steps": 5,
            "seed": 3,
            "top_activating": "e",
            "data": Path("d.csv"),
            "top": 4,
            "filters": (0, 1, 2, 9),
            "graph": Path("g.svg"),
            "out": Path("o"),
            "force": True,
        },
    ),
    "doctor": ("", {}),
    "data": (
        "fetch imdb mine --mirror https://host/pub --force",
        {"action": "fetch", "names": ("imdb", "mine"), "mirror": "https://host/pub", "force": True},
    ),
    "pretrained": (
        "fetch vgg16 mine --full --mirror https://host/pub --force",
        {
            "action": "fetch",
            "names": ("vgg16", "mine"),
            "full": True,
            "mirror": "https://host/pub",
            "force": True,
        },
    ),
    "pretrained add": (
        "add my.keras --name mine --preprocessing unit",
        {"action": "add", "names": ("my.keras",), "name": "mine", "preprocessing": "unit"},
    ),
    "run": (
        "quickstart --set train.epochs=2 --set data=d.csv --dry-run",
        {"recipe": "quickstart", "set": ("train.epochs=2", "data=d.csv"), "dry_run": True},
    ),
}


class Nothing(Result):
    def text(self) -> str:
        return "nothing"


@pytest.mark.parametrize("case", FLAGS)
def test_flags_become_a_config(dlcli: Command, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    seen: list[Any] = []
    load = Verb.load

    def recording(verb: Verb) -> Any:
        def function(config: Any, progress: Any) -> Result:
            seen.append(config)
            return Nothing()

        return dataclasses.replace(load(verb), function=function)

    monkeypatch.setattr(Verb, "load", recording)
    flags, expected = FLAGS[case]
    outcome = dlcli(case.split()[0], *flags.split())
    assert (outcome.code, outcome.out, outcome.err) == (0, "nothing\n", "")
    (config,) = seen
    assert config.model_dump(exclude_unset=True) == expected
    # What no flag named has its default.
    assert config.model_dump() == {**type(config).model_construct().model_dump(), **config.model_dump(), **expected}


def test_every_verb_has_its_flags_tested() -> None:
    assert {case.split()[0] for case in FLAGS} == set(NAMES)


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

    monkeypatch.setattr("dlcli.core.run.read_record", broken)
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


def test_a_reader_that_goes_away_is_no_error(run: Path) -> None:
    with subprocess.Popen(
        [*PYTHON, "predict", str(run), str(REVIEWS)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"text,label,prediction,probability\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


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
