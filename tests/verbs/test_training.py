"""What the verbs that train share: other starts, trials, scores that are asked for, and what is refused in time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import REVIEWS, Outcome, call

from verbs.helpers import history, read_csv, record, same_weights, snapshot, weights, write_csv

Command = Callable[..., Outcome]
PNG = b"\x89PNG\r\n\x1a\n"
TIMES = ("seconds", "step_ms")


def timeless(run: Path) -> list[dict[str, object]]:
    return [{name: value for name, value in epoch.items() if name not in TIMES} for epoch in history(run)]


def refused(outcome: Outcome, code: int, *words: str) -> None:
    assert outcome.code == code, outcome.err
    for word in words:
        assert word in outcome.lines[-1], outcome.err


# Scores that are asked for, and what is drawn.


@pytest.fixture(scope="module")
def judged(small: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """Return a run with metrics of its own, and what its training printed."""
    path = tmp_path_factory.mktemp("judged") / "run"
    flags = ("--epochs", "3", "--patience", "0", "--metrics", "auc,f1", "--monitor", "val_brier")
    outcome = call("train-text", small, *flags, "--out", path, "--json")
    assert outcome.code == 0, outcome.err
    return path, outcome


def test_metrics_are_in_history_and_result(judged: tuple[Path, Outcome]) -> None:
    run, outcome = judged
    result, epochs = json.loads(outcome.out), history(run)
    best = min(epochs, key=lambda epoch: epoch["val_brier"])
    assert result["best_epoch"] == best["epoch"]
    assert result["scores"] == {name: best[f"val_{name}"] for name in ("auc", "f1_macro", "brier")}
    assert 0.5 < result["scores"]["auc"] <= 1
    assert (result["accuracy"], result["loss"]) == (best["val_accuracy"], best["val_loss"])
    assert record(run)["scores"] == json.loads((run / "metrics.json").read_text())
    assert all(f"val_brier {epoch['val_brier']:.4f}" in outcome.err for epoch in epochs)


def test_every_training_is_drawn(judged: tuple[Path, Outcome]) -> None:
    plots = sorted((judged[0] / "plots").iterdir())
    assert {path.suffix for path in plots} == {".png"}
    assert len(plots) >= 3, "curves, learning rate, norms"
    for path in plots:
        content = path.read_bytes()
        assert content.startswith(PNG) and len(content) > 1000


def test_lists_compare_equal_at_a_resume(dlcli: Command, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: object, line: str) -> None:
        raise KeyboardInterrupt

    flags = ("--metrics", "auc,f1", "--warmup", "10%", "--hidden-units", "4,3", "--embedding-dim", "2", "--epochs", "2")
    with monkeypatch.context() as patch:
        patch.setattr("dlcli.console.Console.epoch", interrupt)
        assert dlcli("train-text", tiny, *flags, "--out", "o").code == 130
    before = snapshot(Path("o"))
    outcome = dlcli("train-text", "--resume", "o", "--metrics", "auc", "--schedule", "cosine", "--hidden-units", "4")
    refused(
        outcome, 2, "--metrics (the run has ['auc', 'f1'], got ['auc'])", "--hidden-units (the run has [4, 3], got [4])"
    )
    refused(outcome, 2, "--schedule (the run has 'constant', got 'cosine')", "train anew")
    assert "--warmup" not in outcome.err
    assert snapshot(Path("o")) == before
    assert dlcli("train-text", "--resume", "o", *flags).code == 0
    assert len(history(Path("o"))) == 2


# A start from another run's weights.


class TestFrom:
    SAME = ("--epochs", "1", "--optimizer", "sgd", "--lr", "1e-30")

    def test_it_starts_at_the_weights(self, dlcli: Command, small: Path, small_run: Path) -> None:
        assert dlcli("train-text", small, "--from", small_run, "--out", "o", *self.SAME).code == 0
        for one, other in zip(weights(Path("o")), weights(small_run), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-25)
        found = record(Path("o"))
        assert found["config"]["from_"] == str(small_run)
        assert found["data"]["start"] == record(small_run)["hashes"]["model.keras"]
        for name in ("vocabulary.tsv", "pipeline.json"):
            assert (Path("o/pipeline") / name).read_bytes() == (small_run / "pipeline" / name).read_bytes()
        assert history(Path("o"))[0]["val_loss"] == pytest.approx(history(small_run)[-1]["val_loss"], rel=1e-5)

    def test_it_takes_model_and_preprocessing(self, dlcli: Command, small: Path, tmp_path: Path) -> None:
        flags = ("--ngrams", "1", "--hidden-units", "3", "--activation", "penalized_tanh", "--epochs", "1")
        assert dlcli("train-text", small, "--out", "a", *flags).code == 0
        words = read_csv(small)[:60]
        other = write_csv(tmp_path / "other.csv", [{**row, "text": f"zebra {row['text']}"} for row in words])
        assert dlcli("train-text", other, "--from", "a", "--out", "b", "--ngrams", "1", *self.SAME).code == 0
        found = record(Path("b"))["config"]
        assert (found["ngrams"], found["hidden_units"], found["activation"]) == (1, [3], "penalized_tanh")
        assert "zebra" not in Path("b/pipeline/vocabulary.tsv").read_text()
        assert same_weights(Path("a"), Path("b")) or all(
            np.allclose(one, other, rtol=0, atol=1e-25)
            for one, other in zip(weights(Path("a")), weights(Path("b")), strict=True)
        )

    @pytest.mark.parametrize(
        ("flags", "code", "words"),
        [
            ("--ngrams 1", 2, ["--ngrams: --from takes", "which has 2, got 1", "Leave it out"]),
            ("--hidden-units 4", 2, ["--hidden-units: --from takes", "got [4]"]),
            ("--dropout 0.5", 2, ["--dropout: --from takes", "which has 0.0, got 0.5"]),
            ("--loss hinge", 2, ["--loss hinge does not fit the run of --from", "probabilities"]),
            ("--precision bfloat16", 2, ["computes in float32, not in bfloat16", "--precision float32"]),
            ("--layer-lr classses=0", 2, ["no layer 'classses'", "Did you mean 'classes'?"]),
            ("--out RUN --force", 2, ["is the run of --from"]),
        ],
    )
    def test_what_does_not_fit(
        self, dlcli: Command, tmp_path: Path, small: Path, small_run: Path, flags: str, code: int, words: list[str]
    ) -> None:
        before = snapshot(small_run)
        given = [str(small_run) if word == "RUN" else word for word in flags.split()]
        out = () if "--out" in given else ("--out", "o")
        refused(dlcli("train-text", small, "--from", small_run, *out, *given), code, *words)
        assert list(tmp_path.iterdir()) == []
        assert snapshot(small_run) == before

    def test_other_classes(self, dlcli: Command, tmp_path: Path, three: Path, small: Path) -> None:
        refused(dlcli("train-text", small, "--from", three, "--out", "o"), 3, "other classes", "class_1", "neg")
        assert not Path("o").exists()

    def test_it_can_be_stopped_and_resumed(
        self, dlcli: Command, small: Path, small_run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(self: object, line: str) -> None:
            raise KeyboardInterrupt

        flags = ("--from", small_run, "--epochs", "2", "--batch-size", "64", "--patience", "0")
        assert dlcli("train-text", small, *flags, "--out", "whole").code == 0
        with monkeypatch.context() as patch:
            patch.setattr("dlcli.console.Console.epoch", interrupt)
            outcome = dlcli("train-text", small, *flags, "--out", "o")
        assert outcome.code == 130
        assert "go on with: dlcli train-text --resume o" in outcome.err
        assert dlcli("train-text", "--resume", "o").code == 0
        assert same_weights(Path("o"), Path("whole"))
        assert timeless(Path("o")) == timeless(Path("whole"))

    def test_the_start_must_not_change_meanwhile(
        self, dlcli: Command, tiny: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(self: object, line: str) -> None:
            raise KeyboardInterrupt

        assert dlcli("train-text", tiny, "--epochs", "1", "--out", "start").code == 0
        with monkeypatch.context() as patch:
            patch.setattr("dlcli.console.Console.epoch", interrupt)
            assert dlcli("train-text", tiny, "--from", "start", "--out", "o").code == 130
        assert dlcli("train-text", tiny, "--epochs", "1", "--lr", "0.5", "--out", "start", "--force").code == 0
        refused(dlcli("train-text", "--resume", "o"), 2, "started from has changed")


# Trials.


class TestFindLr:
    def test_it_suggests_a_rate_and_leaves_a_curve(self, dlcli: Command) -> None:
        outcome = dlcli("train-text", REVIEWS, "--find-lr", "--out", "f", "--json")
        assert outcome.code == 0, outcome.err
        result = json.loads(outcome.out)
        assert result["run"] is None
        # Adam's default of this model is 0.02.
        assert 0.002 <= result["suggested_lr"] <= 0.5
        assert result["plot"] == "f/find-lr.png"
        assert sorted(path.name for path in Path("f").iterdir()) == ["find-lr.csv", "find-lr.png"]
        assert Path("f/find-lr.png").read_bytes().startswith(PNG)
        rows = read_csv(Path("f/find-lr.csv"))
        rates, losses = ([float(row[name]) for row in rows] for name in ("learning_rate", "loss"))
        assert 20 <= len(rows) <= 120
        assert rates[0] == pytest.approx(1e-6)
        ratios = np.array(rates[1:]) / np.array(rates[:-1])
        np.testing.assert_allclose(ratios, 1e8 ** (1 / 119), rtol=1e-6)
        assert losses[0] == pytest.approx(np.log(2), rel=0.01), "the loss of each batch, not their mean"
        assert min(losses) < 0.3
        assert any(rate == pytest.approx(result["suggested_lr"]) for rate in rates)
        # What the text says can be copied into a command.
        again = dlcli("train-text", REVIEWS, "--find-lr", "--out", "f")
        refused(again, 5, "holds a range test already", "--force")

    def test_folders(self, dlcli: Command, tiny: Path, tmp_path: Path) -> None:
        Path("other").mkdir()
        Path("other/notes.txt").write_text("mine")
        Path("file").write_text("mine")
        Path("old").mkdir()
        for name in ("find-lr.csv", "find-lr.png"):
            Path("old", name).write_text("old")
        before = snapshot(tmp_path)
        for flags in ((), ("--force",)):
            refused(dlcli("train-text", tiny, "--find-lr", "--out", "other", *flags), 5, "other is not empty")
            refused(dlcli("train-text", tiny, "--find-lr", "--out", "file", *flags), 5, "file is not empty")
        assert snapshot(tmp_path) == before
        outcome = dlcli("train-text", tiny, "--find-lr", "--out", "old", "--force")
        assert outcome.code == 0, outcome.err
        assert "suggestion" in outcome.out and "--lr " in outcome.out
        assert read_csv(Path("old/find-lr.csv"))

    def test_a_loss_that_falls_nowhere(self, dlcli: Command, tiny: Path, tmp_path: Path) -> None:
        before = snapshot(tmp_path)
        outcome = dlcli("train-text", tiny, "--find-lr", "--layer-lr", "embedding=0,classes=0", "--out", "f")
        refused(outcome, 6, "the loss falls at no learning rate from 1e-06 to 100")
        assert snapshot(tmp_path) == before


class TestDryRun:
    def test_its_figures(self, dlcli: Command, small: Path, small_run: Path, tmp_path: Path) -> None:
        outcome = dlcli("train-text", small, "--dry-run", "--out", "o", "--json")
        result = json.loads(outcome.out)
        assert result["parameters"] == record(small_run)["model"]["parameters"]
        assert result["memory_mb"] > 100
        assert 0 < result["seconds_per_epoch"] < 60
        assert "o/run.json" in result["would_write"] and "o/model.keras" in result["would_write"]
        written = {path.relative_to(small_run).parts[0] for path in small_run.rglob("*") if path.is_file()}
        named = {Path(name).relative_to("o").parts[0] for name in result["would_write"]}
        # Shared with tests that evaluate and export it.
        assert written - {".lock", "evaluations", "baselines", "exports"} <= named
        assert list(tmp_path.iterdir()) == []
        for flags in ((), ("--out", "new/folder/o")):
            text = dlcli("train-text", small, "--dry-run", *flags).out
            assert "nothing was written" in text and "MB" in text
            assert list(tmp_path.iterdir()) == []

    def test_a_loss_that_is_no_number_at_once(self, dlcli: Command, tiny: Path) -> None:
        outcome = dlcli("train-text", tiny, "--dry-run", "--l2", "1e39")
        refused(outcome, 6, "the loss is not a finite number in the first step")


# What is refused before there is a run directory.


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--layer-lr clases=0.1", ["--layer-lr", "no layer 'clases'", "Did you mean 'classes'?"]),
        ("--layer-lr hidden_1=0.1", ["--layer-lr", "no layer 'hidden_1'", "embedding"]),
        (
            "--warmup 8 --epochs 8 --batch-size 512",
            ["the schedule is longer than the training", "--warmup 8 steps", "has 8"],
        ),
        ("--accumulate 9 --epochs 8 --batch-size 512", ["--accumulate 9", "more batches than the training has: 8"]),
        ("--loss binary_crossentropy --val VAL3", ["binary_crossentropy is for two classes"]),
        ("--val ONE --monitor val_auc", ["--monitor val_auc is undefined", "one class", "val_loss"]),
        ("--hidden-units 4 --activation relux", ["no activation 'relux'", "Did you mean 'relu'?"]),
        ("--initializer he_norml", ["no initializer 'he_norml'", "Did you mean 'he_normal'?"]),
        ("--activation tanh", ["--activation is for hidden layers", "--hidden-units"]),
        ("--optimizer adam --momentum 0.9", ["--momentum does not go with --optimizer adam", "sgd, rmsprop"]),
        ("--device cpu:0,1,2,3,4", ["--device", "cannot be split"]),
        ("--device gpu:7", ["--device: there is no 'gpu:7'"]),
        ("--precision float16 --device cpu", ["float16 is for GPUs"]),
        ("--accumulate 2 --device cpu:0,1", ["--accumulate is for one device"]),
    ],
)
def test_no_run_directory_is_left(dlcli: Command, tiny: Path, tmp_path: Path, flags: str, words: list[str]) -> None:
    rows = read_csv(tiny)
    write_csv(tmp_path / "one.csv", [row for row in rows if row["label"] == "pos"])
    data = tiny
    if "VAL3" in flags:
        flags = flags.replace(" --val VAL3", "")
        data = write_csv(tmp_path / "three.csv", rows + [{"text": f"odd {n}", "label": "odd"} for n in range(20)])
    before = snapshot(tmp_path)
    given = [str(tmp_path / "one.csv") if word == "ONE" else word for word in flags.split()]
    refused(dlcli("train-text", data, "--out", "o", *given), 2, *words)
    assert snapshot(tmp_path) == before
    assert not Path("o").exists()


# A loss that stops being a number later.


def test_a_training_that_diverges_keeps_its_best_epoch(dlcli: Command, tiny: Path) -> None:
    """Each step multiplies the weights by 1 - 2 * 25: the penalty is no float32 number after a dozen of them."""
    flags = "--optimizer sgd --lr 1 --l2 25 --batch-size 4 --epochs 6"
    outcome = dlcli("train-text", tiny, "--out", "o", "--patience", "0", *flags.split())
    assert outcome.code == 6, outcome.err
    assert "is not a finite number in epoch" in outcome.lines[-1]
    assert "the run keeps epoch" in outcome.lines[-1]
    found = record(Path("o"))
    assert found["status"] == "finished"
    assert "not a finite number" in found["problem"]
    assert all(np.isfinite(array).all() for array in weights(Path("o")))
    assert 1 <= len(history(Path("o"))) < 6
    assert found["scores"]["best_epoch"] <= len(history(Path("o")))
    assert list(Path("o/plots").glob("*.png"))
    assert dlcli("inspect", "o").code == 0
    scores = json.loads(dlcli("evaluate", "o", tiny, "--json").out)
    assert np.isfinite(scores["loss"])


# More memory than there is.


def test_a_step_that_cannot_fit_is_refused_before_there_is_a_run(
    dlcli: Command, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dlcli.core.step_memory import StepMemory

    gigabyte = 10**9
    step = StepMemory(fixed=0, least=gigabyte, likely=10 * gigabyte)
    monkeypatch.setattr("dlcli.core.step_memory.step_memory", lambda model, *, longest: step)
    flags = ("--batch-size", "32", "--epochs", "1", "--out", "o")
    for free, way in ((30, "--batch-size 2 should fit"), (9, "Not even one item fits")):
        monkeypatch.setattr("dlcli.verbs.shared.trials.available_memory", lambda free=free: free * gigabyte)
        outcome = dlcli("train-text", tiny, *flags)
        refused(outcome, 6, f"out of memory with --batch-size 32: a step takes 32.0 GB at least, {free}.0 GB are", way)
        assert not Path("o").exists()
    monkeypatch.setattr("dlcli.verbs.shared.trials.available_memory", lambda: 90 * gigabyte)
    outcome = dlcli("train-text", tiny, *flags)
    assert outcome.code == 0, outcome.err
    expected = "warning: a step may take 320.0 GB of memory, and 90.0 GB are left; --batch-size 8 should fit"
    assert expected in outcome.lines


@pytest.mark.parametrize("kind", ["ResourceExhaustedError", "AbortedError", "MemoryError"])
def test_memory_that_is_exhausted_in_a_step_names_a_batch_size(
    dlcli: Command, tiny: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    import tensorflow as tf

    says = "could not execute a primitive" if kind == "AbortedError" else "OOM when allocating tensor"
    error = MemoryError() if kind == "MemoryError" else getattr(tf.errors, kind)(None, None, says)

    def exhaust(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("dlcli.core.fit.train", exhaust)
    outcome = dlcli("train-text", tiny, "--batch-size", "32", "--out", "o")
    refused(outcome, 6, "out of memory with --batch-size 32", "--batch-size 16 should fit")
    assert record(Path("o"))["status"] == "interrupted"
