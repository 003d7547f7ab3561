"""A report as a page: one HTML file that needs no network."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Sequence
from typing import Any

import markupsafe
import numpy as np

from dlcli.core.dataset import IntArray
from dlcli.errors import DlcliError
from dlcli.results import words
from dlcli.results.pages import render
from dlcli.results.report import charts, sentences
from dlcli.results.report.answered import Mistake
from dlcli.results.report.gather import Report

# Classes of the confusion matrix; of more, those that take part in most mistakes, and the others as one.
_MOST_IN_MATRIX = 12
# Rows of the table of the classes; of more, those with the lowest F1.
_MOST_CLASSES = 60
# Characters of a name, of an example, and of a wrong answer that has no explanation.
_NAME, _EXAMPLE, _TEXT = 80, 240, 600
# Pixels of an example's longer side.
_THUMBNAIL = 112
_SCORES = {
    "accuracy": ("accuracy", "the share that is right"),
    "top_5_accuracy": ("top-5 accuracy", "the true class is among the best five"),
    "balanced_accuracy": ("balanced accuracy", "mean recall of the classes"),
    "f1_macro": ("macro F1", "mean F1 of the classes"),
    "auc": ("AUC", "area under the ROC curve"),
    "average_precision": ("average precision", "area under the precision-recall curve"),
    "log_loss": ("log loss", "cross entropy; lower is better"),
    "brier": ("Brier score", "squared error of the probabilities; lower is better"),
    "ece": ("calibration error", "expected gap of confidence and accuracy; lower is better"),
}


def page(report: Report, explanations: Sequence[markupsafe.Markup], *, note: str = "") -> str:
    """Return the page.

    Args:
        report: what to show.
        explanations: of all mistakes, as HTML; or none.
        note: why there are none.
    """
    labels = [cut(name, _NAME) for name in report.record.labels]
    return render(
        "report.html",
        report=report,
        record=report.record,
        labels=labels,
        say=sentences,
        share=sentences.share,
        number=sentences.number,
        charts={
            "learning": charts.learning(report),
            "ranking": charts.ranking(report),
            "calibration": charts.calibration(report),
        },
        scores=_scores(report),
        baseline_notes=words.baseline_lines(report.baselines, report.n),
        counts=_counts(report),
        classes=_classes(report),
        matrix=_matrix(report),
        examples=_examples(report),
        mistakes=[
            _mistake(report, mistake, explanation)
            for mistake, explanation in itertools.zip_longest(report.answered.mistakes, explanations)
        ],
        explained=bool(explanations),
        explanation_note=note,
        members=sentences.members(report),
        changed=_settings(report.settings.changed),
        others=_settings(report.settings.others),
    )


def cut(text: str, longest: int) -> str:
    """Return a text, its end left out where it is too long."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _scores(report: Report) -> list[dict[str, Any]]:
    """Return the rows of the table of scores: name, what it is, the run's, its interval, those of the baselines."""
    return [
        {
            "name": name,
            "title": title,
            "about": about,
            "score": report.judged.scores[name],
            "others": [baseline["metrics"][name]["value"] for baseline in report.baselines],
        }
        for name, (title, about) in _SCORES.items()
        if report.judged.scores[name].value is not None
    ]


def _counts(report: Report) -> list[dict[str, Any]]:
    """Return the items of each class: those of the training, where they are known, and those that are judged."""
    judged = np.bincount(report.answered.labels, minlength=len(report.record.labels))
    training = report.data.training
    order = np.argsort(-(judged if training is None else training), kind="stable")[:_MOST_CLASSES]
    most = int((judged if training is None else training).max())
    return [
        {
            "label": c,
            "training": None if training is None else int(training[c]),
            "judged": int(judged[c]),
            "bar": int((judged if training is None else training)[c]) / max(most, 1),
        }
        for c in order.tolist()
    ]


def _classes(report: Report) -> list[tuple[int, dict[str, Any]]]:
    """Return the scores of the classes, each with its place; of many, those with the lowest F1."""
    classes = list(enumerate(report.judged.classes))
    if len(classes) <= _MOST_CLASSES:
        return classes
    return sorted((one for one in classes if one[1]["n"]), key=lambda one: float(one[1]["f1"]))[:_MOST_CLASSES]


def _matrix(report: Report) -> dict[str, Any]:
    """Return the confusion matrix: names of the classes, and rows of counts with their share of the row."""
    counts = report.judged.confusion
    shown = list(range(len(counts)))
    names = [cut(name, _NAME) for name in report.record.labels]
    if len(counts) > _MOST_IN_MATRIX:
        wrong = counts - np.diag(np.diag(counts))
        worst = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")[: _MOST_IN_MATRIX - 1]
        shown = sorted(worst.tolist())
        counts = _with_others(counts, shown)
        names = [*(names[c] for c in shown), f"{len(names) - len(shown):,} others"]
    rows = [
        [
            {"count": int(count), "share": float(count / max(row.sum(), 1)), "right": r == c}
            for c, count in enumerate(row)
        ]
        for r, row in enumerate(counts)
    ]
    return {"names": names, "rows": rows, "whole": len(shown) == len(report.record.labels)}


def _with_others(counts: IntArray, shown: Sequence[int]) -> IntArray:
    """Return the matrix of some classes and of all others taken for one; mistakes among those count as right there."""
    group = np.full(len(counts), len(shown))
    group[list(shown)] = np.arange(len(shown))
    joined = np.zeros((len(shown) + 1, len(shown) + 1), np.int64)
    np.add.at(joined, (group[:, np.newaxis], group[np.newaxis]), counts)
    return joined


def _examples(report: Report) -> list[tuple[int, list[Any]]]:
    """Return for some classes what a few items look like: texts, or pictures as HTML."""
    if report.record.domain == "text":
        return [
            (label, [cut(item, _EXAMPLE) for item in items])
            for label, items in report.answered.examples.items()
            if items
        ]
    shown = [
        (label, [thumbnail(item, alt=f"an example of {report.record.labels[label]}") for item in items])
        for label, items in report.answered.examples.items()
    ]
    return [(label, [item for item in items if item]) for label, items in shown if any(items)]


def _mistake(report: Report, mistake: Mistake, explanation: markupsafe.Markup | None) -> dict[str, Any]:
    pictures = report.record.domain == "vision"
    if explanation is not None:
        content: Any = explanation
    elif pictures:
        content = thumbnail(mistake.item, alt="the picture", longest=2 * _THUMBNAIL)
    else:
        content = cut(mistake.item, _TEXT)
    return {
        "content": content,
        "explained": explanation is not None,
        "where": cut(report.name_of(mistake.item) if pictures else mistake.where, 2 * _NAME),
        "label": mistake.label,
        "predicted": mistake.predicted,
        "sureness": mistake.sureness,
    }


def thumbnail(item: str, *, alt: str, longest: int = _THUMBNAIL) -> markupsafe.Markup:
    """Return a picture as an `<img>` that holds a small JPEG; empty where it cannot be decoded any more.

    Args:
        item: a picture, as it was read.
        alt: what to say of it.
        longest: pixels of its longer side; smaller pictures are made larger in whole steps, their pixels kept.
    """
    from PIL import Image

    from dlcli.core.backend import tf
    from dlcli.vision.pixels import native_pixels

    try:
        image = Image.fromarray(native_pixels(item))
    except (DlcliError, tf.errors.OpError):  # It has changed since it was answered.
        return markupsafe.Markup("")
    if max(image.size) > longest:
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    else:
        times = max(1, longest // max(image.size))
        image = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    content = io.BytesIO()
    image.save(content, "JPEG", quality=80)
    data = base64.b64encode(content.getvalue()).decode()
    return markupsafe.Markup('<img src="data:image/jpeg;base64,{}" alt="{}" width="{}" height="{}">').format(
        data, cut(alt, _NAME), image.width, image.height
    )


def _settings(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Return names and values as a page shows them; what is not set is left out."""
    return [
        (name.rstrip("_").replace("_", "-"), _value(value)) for name, value in settings.items() if value is not None
    ]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return cut(", ".join(map(str, value)), 4 * _NAME) or "none"
    return cut(str(value), 4 * _NAME) or "none"
