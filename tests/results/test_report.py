"""What a report gathers and shows, on answers that are made up: many classes, scores, one class, no items."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.core.record import RunRecord
from dlcli.results import metrics
from dlcli.results.report import charts, sentences
from dlcli.results.report.answered import MOST_MISTAKES, Answered
from dlcli.results.report.charts import _thinned
from dlcli.results.report.gather import Data, Report, _settings
from dlcli.results.report.markdown import markdown
from dlcli.results.report.model_card import model_card
from dlcli.results.report.page import _matrix, page


def answered(classes: int, n: int, *, probabilistic: bool = True) -> Answered:
    random = np.random.default_rng(0)
    labels = np.arange(n) % classes
    logits = random.normal(size=(n, classes)) + 3 * np.eye(classes)[labels]
    outputs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) if probabilistic else logits
    items = Answered(classes=classes, probabilistic=probabilistic)
    items.add(labels, outputs.astype(np.float32), items=[f"text {i}" for i in range(n)])
    return items


def a_report(items: Answered, labels: list[str], **record: Any) -> Report:
    known = {"outputs": "probabilities" if items.probabilistic else "scores", "name": "bow", "parameters": 7}
    config = {"data": "d.csv", "monitor": "val_accuracy", "mode": "auto", "metrics": ["accuracy"], "epochs": 3}
    made = RunRecord(
        verb="train-text", domain="text", labels=labels, model=known, config=config, status="finished", **record
    )
    judged = metrics.judge(
        items.labels,
        items.outputs,
        items.predicted,
        labels,
        probabilistic=items.probabilistic,
        resamples=0,
        seed=0,
    )
    return Report(
        run=Path("runs/r"),
        record=made,
        answered=items,
        data=Data(source="test.csv", own=False, training=None),
        judged=judged,
        baselines=[],
        verdict=None,
        history=[],
        settings=_settings(made, {"epochs": 8}),
        notes=[],
    )


def test_the_surest_mistakes_are_kept_whatever_the_pieces() -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, 400)
    outputs = random.dirichlet(np.ones(3), 400)
    items = [f"item {i}" for i in range(400)]
    whole, pieces = (Answered(classes=3, probabilistic=True) for _ in range(2))
    whole.add(labels, outputs, items=items, where=items)
    for start in range(0, 400, 90):
        part = slice(start, start + 90)
        pieces.add(labels[part], outputs[part], items=items[part], where=items[part])
    assert whole.mistakes == pieces.mistakes and whole.examples == pieces.examples
    wrong = np.flatnonzero(outputs.argmax(axis=1) != labels)
    expected = wrong[np.argsort(-outputs[wrong].max(axis=1))][:MOST_MISTAKES]
    assert [mistake.item for mistake in whole.mistakes] == [items[row] for row in expected]


def test_of_scores_the_distance_to_the_true_class_counts() -> None:
    items = Answered(classes=2, probabilistic=False)
    items.add(np.array([0, 0]), np.array([[5.0, 6.0], [-3.0, 1.0]]), items=["near", "far"])
    assert [(mistake.item, mistake.sureness) for mistake in items.mistakes] == [("far", 4.0), ("near", 1.0)]


def test_many_classes_make_a_small_page() -> None:
    names = [f"class {i}" for i in range(100)]
    report = a_report(answered(100, 1000), names)
    shown = page(report, [])
    assert len(shown) < 200_000 and shown.count("<tr>") < 200
    assert "89 others" in shown and "Of 100 classes the 6 with the lowest F1." in shown
    matrix = _matrix(report)
    assert len(matrix["rows"]) == 12 and sum(cell["count"] for row in matrix["rows"] for cell in row) == 1000
    assert len(markdown(report)) < 65_536 and "Of 100 classes those with the lowest F1." in markdown(report)


def test_scores_have_no_curves_and_no_calibration() -> None:
    report = a_report(answered(2, 50, probabilistic=False), ["a", "b"])
    shown = page(report, [], note="They are not explained: <why>.")
    assert "They are not explained: &lt;why&gt;." in shown
    assert charts.calibration(report) is None and charts.ranking(report) == []
    assert "<svg" not in shown and "above the true class" in shown
    assert "(the run gives scores, not probabilities)" in shown


def test_items_of_one_class_and_no_mistake() -> None:
    items = Answered(classes=2, probabilistic=True)
    items.add(np.zeros(40, np.int64), np.tile([0.9, 0.1], (40, 1)), items=["x"] * 40)
    shown = page(a_report(items, ["a", "b"]), [])
    assert "There is none." in shown and "chart-roc" not in shown and "chart-calibration" in shown


def test_without_the_items_nothing_of_them_is_shown() -> None:
    items = Answered(classes=2, probabilistic=True)
    items.add(np.array([0, 1]), np.array([[0.2, 0.8], [0.3, 0.7]]))
    shown = page(a_report(items, ["a", "b"]), [])
    assert "The items themselves are not at hand" in shown and "Examples" not in shown


def test_an_ensemble_has_members_and_no_history() -> None:
    report = a_report(answered(2, 40), ["a", "b"])
    report.record.config.update(members=["/runs/a", "/runs/<b>"], weights=[0.75, 0.25])
    shown = page(report, [])
    assert "<dt>0.25</dt><dd><bdi>/runs/&lt;b&gt;</bdi></dd>" in shown and 'id="learning"' not in shown
    assert "dlcli reproduce" not in shown


def test_lines_are_thinned_and_keep_their_ends() -> None:
    xs = np.linspace(0, 1, 10_000)
    thin = _thinned(xs, xs**2)
    assert len(thin[0]) <= 152 and (thin[0][0], thin[0][-1], thin[1][-1]) == (0, 1, 1)
    assert np.hypot(np.diff(thin[0]), np.diff(thin[1])).max() < 0.02
    assert _thinned(np.array([0.0, 1.0]), np.array([1.0, 1.0])) == ([0.0, 1.0], [1.0, 1.0])


def test_what_differs_from_the_defaults_comes_first() -> None:
    record = RunRecord(
        verb="train-text",
        domain="text",
        argv=["train-text", "d.csv", "--image-size=48"],
        config={"epochs": 3, "lr": 0.1, "image_size": "48", "filters": [8], "dropout": None, "data": "d.csv"},
    )
    defaults = {"epochs": 8, "lr": 0.1, "image_size": None, "filters": [], "dropout": 0.5}
    parted = _settings(record, defaults)
    assert parted.changed == {"epochs": 3, "image_size": "48"}
    assert list(parted.others) == ["lr", "filters", "dropout", "data"]


@pytest.mark.parametrize(("shift", "words"), [(0.0, "fits how often"), (0.2, "too sure, by 20.0 points")])
def test_calibration_in_words(shift: float, words: str) -> None:
    items = Answered(classes=2, probabilistic=True)
    sure = 0.75 + shift
    items.add(np.array([0, 0, 0, 1] * 25), np.tile([sure, 1 - sure], (100, 1)))
    assert words in sentences.calibrated(a_report(items, ["a", "b"]))


def test_what_nobody_said_is_marked_as_missing_in_a_model_card() -> None:
    card = model_card(a_report(answered(2, 60), ["<b>", "a|b"]))
    for section in ("Intended use", "Out-of-scope use", "Licence and contact"):
        assert f"## {section}\n\n*Not stated: to be written by who publishes the model.*" in card
    assert not re.search(r"^(license|language|datasets):", card, re.MULTILINE)
    assert "| `a\\|b` |" in card and "All settings are" not in card and "| `epochs` | `3` |" in card
