"""`dlcli train-text --model ...`: each model trains, answers, resumes and is exported; what does not fit is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REVIEWS, REVIEWS_TEST, Outcome, call
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from dlcli.text.config import SEQUENCE_MODELS
from verbs.helpers import history, read_csv, record, same_weights, without_times, write_csv

TINY = {
    "bow": "--stem porter --stop-words sklearn",
    "mlp": "--hidden-units 8 --features counts",
    "cnn": "--units 8 --embedding-dim 8 --numbers drop",
    "bilstm": "--units 4 --embedding-dim 8 --padding pre --max-length 90%",
    "transformer": "--units 8 --embedding-dim 8 --heads 2 --strip-accents",
}


def refused(outcome: Outcome, code: int, *words: str) -> None:
    """Assert that a command ended in one line with these words."""
    assert outcome.code == code, outcome.err
    for word in words:
        assert word in outcome.lines[-1]


@pytest.fixture(scope="module")
def models(small: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return tiny runs of several models on `small`."""
    folder = tmp_path_factory.mktemp("models")
    for name, flags in TINY.items():
        outcome = call("train-text", small, "--model", name, "--epochs", "2", *flags.split(), "--out", folder / name)
        assert outcome.code == 0, outcome.err
    return {name: folder / name for name in TINY}


@pytest.mark.parametrize("name", TINY)
def test_a_model_is_exported_and_answers_as_the_run(
    dlcli: Any, models: dict[str, Path], small: Path, name: str
) -> None:
    outcome = dlcli("export", models[name], "--verify", "64", "--verify-data", small, "--out", "served", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["verified"] == 64


def test_what_a_model_reads_is_in_the_record(models: dict[str, Path]) -> None:
    found = {name: record(path)["config"] for name, path in models.items()}
    assert {name: config["features"] for name, config in found.items()} == {
        "bow": "tfidf",
        "mlp": "counts",
        "cnn": "ids",
        "bilstm": "ids",
        "transformer": "ids",
    }
    assert found["bow"]["ngrams"] == 1
    assert (found["cnn"]["max_length"], found["cnn"]["truncating"], found["cnn"]["lr"]) == (400, "pre", 0.002)
    assert found["cnn"]["batch_size"] == 32, "there are few texts"
    assert found["bilstm"]["units"] == 4
    pipeline = json.loads((models["bilstm"] / "pipeline/pipeline.json").read_text())
    lengths = [len(row["text"].split()) for row in read_csv(REVIEWS)[:300]]
    assert max(lengths) // 3 < pipeline["max_length"] <= 2 * max(lengths), "a share of the texts became a count"


def test_predictions_do_not_depend_on_the_company(models: dict[str, Path]) -> None:
    """Padding leaks nothing: a text's answer is the same alone and among longer ones."""
    from dlcli.serving.predictor import Predictor

    texts = ["not good", "good", " ".join(["a long one that is not bad at all"] * 9)]
    for name in ("cnn", "bilstm", "transformer"):
        predictor = Predictor(models[name])
        alone = np.concatenate([predictor.outputs([text]) for text in texts])
        np.testing.assert_allclose(alone, predictor.outputs(texts), atol=2e-6)


def test_a_resumed_training_ends_as_the_one_that_was_never_stopped(
    dlcli: Any, models: dict[str, Path], small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "bilstm"  # Of all models it has the most state: two directions, and dropout's seeds in both.

    def interrupt(self: object, line: str) -> None:
        raise KeyboardInterrupt

    flags = ("--model", name, "--epochs", "2", *TINY[name].split())
    with monkeypatch.context() as patch:
        patch.setattr("dlcli.console.Console.epoch", interrupt)
        assert dlcli("train-text", small, *flags, "--out", "o").code == 130
    assert len(history(Path("o"))) == 1
    assert dlcli("train-text", "--resume", "o").code == 0
    assert same_weights(Path("o"), models[name])
    assert without_times(Path("o")) == without_times(models[name])


def test_compiled_steps_pad_to_few_widths(dlcli: Any, small: Path) -> None:
    flags = ("--model", "rnn", "--units", "2", "--embedding-dim", "2", "--jit", "on", "--epochs", "1", "--out", "o")
    outcome = dlcli("train-text", small, "--max-length", "3", *flags)
    assert outcome.code == 0, outcome.err
    widths = record(Path("o"))["model"]["widths"]
    assert widths == sorted(set(widths))
    assert widths[-1] == 3
    assert f"compiled with XLA, widths {', '.join(map(str, widths))}" in outcome.err


def table(model: Path) -> np.ndarray:
    from dlcli.core.backend import keras

    loaded = keras.saving.load_model(model / "model.keras", compile=False)
    return np.array(loaded.get_layer("embedding").get_weights()[0])


class TestVectors:
    @pytest.fixture
    def vectors(self, tmp_path: Path) -> Path:
        path = tmp_path / "vectors.txt"
        path.write_text("good 0.5 -0.25 1\nbad -1 2 0.125\nunheard 3 3 3\n", encoding="utf-8")
        return path

    def row(self, run: Path, word: str) -> np.ndarray:
        terms = [line.split("\t")[0] for line in (run / "pipeline/vocabulary.tsv").read_text().splitlines()[1:]]
        return np.asarray(table(run)[2 + terms.index(word)])

    def train(self, dlcli: Any, tiny: Path, vectors: Path, *flags: str) -> Any:
        return dlcli("train-text", tiny, "--model", "cnn", "--units", "2", "--vectors", vectors, "--epochs", "3",
                     "--lr", "0.02", "--out", "o", "--patience", "0", *flags)  # fmt: skip

    def test_frozen_ones_stay_as_the_file_has_them(self, dlcli: Any, tiny: Path, vectors: Path) -> None:
        outcome = self.train(dlcli, tiny, vectors, "--freeze-embedding")
        assert outcome.code == 0, outcome.err
        assert "2 of " in outcome.err and "words have a vector" in outcome.err
        np.testing.assert_array_equal(self.row(Path("o"), "good"), np.float32([0.5, -0.25, 1]))
        np.testing.assert_array_equal(self.row(Path("o"), "bad"), np.float32([-1, 2, 0.125]))
        assert np.abs(self.row(Path("o"), "film")).max() < 0.06, "what the file lacks starts at random"

    @pytest.mark.parametrize(("epochs", "moved"), [("1", True), ("3", False)])
    def test_frozen_first_they_move_after_so_many_epochs(
        self, dlcli: Any, tiny: Path, vectors: Path, epochs: str, moved: bool
    ) -> None:
        assert self.train(dlcli, tiny, vectors, "--freeze-epochs", epochs, "--monitor", "loss").code == 0
        assert record(Path("o"))["scores"]["best_epoch"] > 1
        assert np.any(self.row(Path("o"), "good") != np.float32([0.5, -0.25, 1])) == moved

    def test_another_dimension_is_refused(self, dlcli: Any, tiny: Path, vectors: Path) -> None:
        outcome = self.train(dlcli, tiny, vectors, "--embedding-dim", "5")
        refused(outcome, 2, "--embedding-dim 5 is not the size of the vectors, 3")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--model lstm --ngrams 2", ["--ngrams is for ngram, bow and mlp", "lstm reads single words in their order"]),
        ("--model bow --max-length 10", ["--max-length does not go with --model bow"]),
        ("--padding pre", ["--padding does not go with --model ngram"]),
        ("--features tfidf", ["--features tfidf does not go with --model ngram, which takes binary"]),
        ("--model cnn --features counts", ["--features counts does not go with --model cnn, which takes ids"]),
        ("--model cnn --max-length 0", ["--max-length: expected a count of at least 1"]),
        ("--ngrams 3-2", ["--ngrams: expected lengths from 1 to 8, the shorter one first"]),
        ("--ngrams two", ["--ngrams: expected a length such as 2, or a range such as 1-3, got 'two'"]),
        ("--min-df 200%", ["--min-df: expected a share between 0 and 1"]),
        ("--model lstm --kernel-sizes 3", ["--kernel-sizes does not go with --model lstm"]),
        ("--model cnn --freeze-embedding", ["--freeze-embedding"]),
        ("--stop-words german.txt", ["there is no file 'german.txt'"]),
        ("--stem snowball:klingon", ["Snowball has no language 'klingon'", "swedish"]),
        ("--stem port", ["--stem: expected one of none, porter", "Did you mean 'porter'?"]),
    ],
)
def test_what_does_not_fit_is_refused(dlcli: Any, small: Path, flags: str, words: list[str]) -> None:
    outcome = dlcli("train-text", small, *flags.split(), "--out", "o")
    refused(outcome, 2, *words)
    assert not Path("o").exists()


def test_a_stop_list_is_found_from_any_directory(dlcli: Any, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: object, line: str) -> None:
        raise KeyboardInterrupt

    Path("stops.txt").write_text("the\nfilm\n", encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr("dlcli.console.Console.epoch", interrupt)
        flags = ("--stop-words", "stops.txt", "--epochs", "2", "--out", "o")
        assert dlcli("train-text", small, *flags).code == 130
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    outcome = dlcli("train-text", "--resume", "../o")
    assert outcome.code == 0, outcome.err
    assert "film\t" not in Path("../o/pipeline/vocabulary.tsv").read_text()


def test_texts_of_which_nothing_is_left(dlcli: Any, tmp_path: Path) -> None:
    stops = ["the", "and", "of", "to", "in", "is", "it", "this"]
    rows = [{"text": stop, "label": "a"} for stop in stops] + [{"text": f"word{n} x", "label": "b"} for n in range(8)]
    flags = ("--stop-words", "sklearn", "--epochs", "1", "--val-split", "4", "--out", "o")
    outcome = dlcli("train-text", write_csv(tmp_path / "d.csv", rows), *flags)
    assert outcome.code == 0, outcome.err
    assert "nothing is left of 6 of 12 training texts after cleaning and cutting" in outcome.err
    rows = [{"text": stop, "label": "ab"[n % 2]} for n, stop in enumerate(stops)]
    outcome = dlcli("train-text", write_csv(tmp_path / "e.csv", rows), *flags[:-1], "p")
    refused(outcome, 3, "no word is left of the 4 training texts")


# Against scikit-learn, on the sample reviews.


@pytest.mark.parametrize(
    ("loss", "l2", "steps", "peer"),
    [
        # Of two mirrored columns of weights each pays half of what scikit-learn's single one does.
        ("categorical_crossentropy", 1 / 3000, ("15", "500"), LogisticRegression(max_iter=1000)),
        # The loss is the mean over two columns, each a machine of its own.
        ("hinge", 1 / (4 * 3000), ("10", "600"), LinearSVC(loss="hinge", max_iter=20_000)),
    ],
)
def test_bow_is_the_model_of_scikit_learn(dlcli: Any, loss: str, l2: float, steps: tuple[str, str], peer: Any) -> None:
    epochs, batch_size = steps
    flags = [
        "--model",
        "bow",
        "--punctuation",
        "drop",
        "--no-strip-html",
        "--epochs",
        epochs,
        "--patience",
        "0",
        "--monitor",
        "loss",
        "--lr",
        "0.2",
    ]
    flags += ["--batch-size", batch_size, "--schedule", "cosine", "--loss", loss, "--l2", str(l2)]
    flags += ["--val", REVIEWS_TEST]
    smoothing = [] if loss == "hinge" else ["--label-smoothing", "0"]
    assert dlcli("train-text", REVIEWS, *flags, *smoothing, "--out", "o").code == 0
    ours = read_csv(dlcli("predict", "o", REVIEWS_TEST, "--proba").out)
    train, test = read_csv(REVIEWS), read_csv(REVIEWS_TEST)
    vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b")
    peer.fit(vectorizer.fit_transform([row["text"] for row in train]), [row["label"] for row in train])
    matrix = vectorizer.transform([row["text"] for row in test])
    labels = [row["label"] for row in test]
    right = np.mean([row["prediction"] == label for row, label in zip(ours, labels, strict=True)])
    assert right == pytest.approx(peer.score(matrix, labels), abs=0.006)
    if loss != "hinge":
        probabilities = [float(row["p(pos)"]) for row in ours]
        np.testing.assert_allclose(probabilities, peer.predict_proba(matrix)[:, 1], atol=0.06)


def test_every_sequence_model_has_defaults() -> None:
    from dlcli.text.defaults import MODEL_DEFAULTS, TRAINING_DEFAULTS

    assert set(SEQUENCE_MODELS) == set(MODEL_DEFAULTS) <= set(TRAINING_DEFAULTS)


def test_the_vocabulary_is_a_table_that_others_read(models: dict[str, Path]) -> None:
    with (models["bow"] / "pipeline/vocabulary.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert list(rows[0]) == ["term", "count", "texts"]
    assert all(int(row["count"]) >= int(row["texts"]) >= 1 for row in rows)
    assert not {"the", "and"} & {row["term"] for row in rows}, "stop words are gone"
