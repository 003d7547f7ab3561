"""Baselines: scikit-learn's own answers, kept in the run as arrays, fitted anew when they are not of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import REVIEWS_TEST
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from verbs.helpers import read_csv

from dlcli.core.progress import Progress
from dlcli.core.record import read_record
from dlcli.errors import DataError
from dlcli.results import baselines, tfidf
from dlcli.results.baselines import Answers, Baseline, find, majority
from dlcli.results.tfidf import Tfidf

TEXTS = ["good film", "good story", "a bad film", "bad story", "good good", "bad bad film"] * 5
LABELS = np.array([1, 1, 0, 0, 1, 0] * 5)


class Stages(Progress):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def begin(self, task: str, total: int | None = None) -> None:
        self.begun.append(task)

    def advance(self, count: int = 1) -> None: ...
    def epoch(self, line: str) -> None: ...
    def note(self, text: str) -> None: ...
    def detail(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """Return a copy of a run that no baseline was fitted for yet."""
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "baselines", ignore_errors=True)
    return tmp_path / "run"


@pytest.mark.parametrize("classes", [2, 3])
def test_its_answers_are_scikit_learns(classes: int) -> None:
    labels = LABELS if classes == 2 else np.array([1, 2, 0, 0, 1, 0] * 5)
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2), LogisticRegression(max_iter=200)
    )
    model.fit(TEXTS, labels)
    fitted = Tfidf.learn(TEXTS, labels, classes, seed=0)
    unseen = ["a good story", "", "unheard words", "bad bad good"]
    assert fitted.outputs(unseen) == pytest.approx(model.predict_proba(unseen), abs=1e-12)
    assert fitted.rows == 30
    assert fitted.counts.tolist() == np.bincount(labels).tolist()


def test_of_many_texts_a_sample_is_fitted_with_every_class_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfidf, "MOST_FITTED", 10)
    labels = np.array([0] * 20 + [1] * 9 + [2])
    fitted = Tfidf.learn(TEXTS, labels, 3, seed=0)
    assert 10 <= fitted.rows <= 13
    assert fitted.outputs(["good"]).shape == (1, 3)
    assert fitted.counts.tolist() == [20, 9, 1]


def test_texts_that_share_no_word() -> None:
    with pytest.raises(DataError, match="no word is in two"):
        Tfidf.learn(["one", "two", "three"], np.array([0, 1, 0]), 2, seed=0)


def test_the_fitted_model_is_kept_and_found_again(copy: Path) -> None:
    record = read_record(copy)
    first, again = Stages(), Stages()
    found, notes = find(copy, record, first)
    assert [baseline.name for baseline in found] == ["majority", "tfidf"]
    assert notes == []
    assert any("fitting the TF-IDF logistic regression" in task for task in first.begun)
    assert [path.name for path in (copy / "baselines").iterdir()] == ["tfidf.npz"]
    with np.load(copy / "baselines" / "tfidf.npz", allow_pickle=False) as file:
        assert json.loads(file["about"].tobytes())["data"] == record.data["fingerprint"]
    kept, _ = find(copy, record, again)
    assert again.begun == []
    texts = [row["text"] for row in read_csv(REVIEWS_TEST)[:50]]
    for one, other in zip(found, kept, strict=True):
        assert np.array_equal(one.outputs(texts), other.outputs(texts))
        assert one.about == other.about


def damaged(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def of_other_data(file: Path) -> None:
    with np.load(file) as content:
        arrays = dict(content)
    about = json.loads(arrays["about"].tobytes()) | {"data": "something else"}
    np.savez(file, **{**arrays, "about": np.frombuffer(json.dumps(about).encode(), np.uint8)})


@pytest.mark.parametrize("change", [damaged, of_other_data, lambda file: file.write_bytes(b""), Path.unlink])
def test_what_is_damaged_or_of_other_data_is_fitted_anew(copy: Path, change: object) -> None:
    record = read_record(copy)
    find(copy, record, Stages())
    before = (copy / "baselines" / "tfidf.npz").read_bytes()
    change(copy / "baselines" / "tfidf.npz")  # type: ignore[operator]
    again = Stages()
    assert find(copy, record, again)[1] == []
    assert any("fitting" in task for task in again.begun)
    assert len((copy / "baselines" / "tfidf.npz").read_bytes()) == len(before)


def test_without_the_training_data_the_validation_data_gives_the_majority(copy: Path) -> None:
    record = read_record(copy)
    record.config["data"] = "/gone/train.csv"
    found, notes = find(copy, record, Stages())
    assert [baseline.name for baseline in found] == ["majority"]
    assert found[0].about.endswith("of the validation data")
    assert notes == ["no TF-IDF logistic regression: /gone/train.csv does not exist"]
    (copy / "validation.npz").unlink()
    found, notes = find(copy, record, Stages())
    assert found == []
    assert "no majority baseline" in notes[1]


def test_training_data_that_has_changed_gives_no_baseline(copy: Path, tmp_path: Path) -> None:
    record = read_record(copy)
    changed = tmp_path / "changed.csv"
    changed.write_text(Path(record.config["data"]).read_text().replace("film", "movie"))
    record.config["data"] = str(changed)
    notes = find(copy, record, Stages())[1]
    assert notes == [f"no TF-IDF logistic regression: {changed} has changed since the training"]


def test_a_run_that_cannot_be_written_has_its_baseline_all_the_same(copy: Path) -> None:
    (copy / "baselines").write_text("in the way")
    found, notes = find(copy, read_record(copy), Stages())
    assert [baseline.name for baseline in found] == ["majority", "tfidf"]
    assert len(notes) == 1
    assert notes[0].startswith("the TF-IDF logistic regression is not kept in the run: ")


def test_the_majority_gives_every_item_the_shares() -> None:
    baseline = majority(np.array([30, 60, 10]), ["a", "b", "c"], "training")
    assert baseline.outputs(["x", "y"]).tolist() == [[0.3, 0.6, 0.1]] * 2
    assert baseline.about == "'b', 60.0% of the training data"


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(baselines, "_MOST_ANSWERED", 100)
    yield 100


def test_of_many_items_a_random_sample_is_answered(limit: int) -> None:
    asked: list[int] = []

    def outputs(texts: object) -> np.ndarray:  # type: ignore[type-arg]
        numbers = [int(text) for text in texts]  # type: ignore[attr-defined]
        asked.extend(numbers)
        return np.array([[number, 0.0] for number in numbers])

    answers = Answers([Baseline(name="n", title="n", about="", outputs=outputs)], 2, seed=0)
    for start in range(0, 5000, 50):
        answers.add([str(number) for number in range(start, start + 50)])
    assert limit / 4 < len(answers.rows) <= limit
    # Each answer stands beside its item, and far from all items were answered.
    assert answers.outputs["n"][:, 0].tolist() == answers.rows.tolist()
    assert len(asked) < 1500
    # From the whole stream, not its beginning.
    assert 2000 < answers.rows.mean() < 3000
