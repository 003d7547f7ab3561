"""From flags to a config: every verb, every flag."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome

from dlcli.verbs import VERBS, Verb
from dlcli.verbs.shared.result import Result

Command = Callable[..., Outcome]

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
    assert {case.split()[0] for case in FLAGS} == {verb.name for verb in VERBS}
