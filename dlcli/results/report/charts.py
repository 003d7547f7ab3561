"""The charts of a report: learning curves, ROC and precision-recall curves, calibration."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import markupsafe
import numpy as np
import numpy.typing as npt

from dlcli.core.metrics import rated_classes
from dlcli.core.panels import COLOURS, GREY, VERMILION, Curve, Panel, figure, shorten
from dlcli.core.plots import training_panels
from dlcli.core.scales import Scale
from dlcli.results.report.gather import Report
from dlcli.results.svg import colour, inline

# Lines of one chart; more cannot be told apart.
_MOST_CURVES = 6
# Points of one line: enough that nobody sees the corners.
_MOST_POINTS = 150
# Of fewer items, a share says nothing.
_FEW = 10
_SHARES = Scale(-0.02, 1.02, False, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart, and what stands under it.

    Attributes:
        svg: an `<svg>` element.
        legend: the name and the CSS colour of each line that has its name there.
        note: how to read it, a sentence.
    """

    svg: markupsafe.Markup
    legend: list[tuple[str, str]]
    note: str


def learning(report: Report) -> list[Chart]:
    """Return the loss and the scores of each epoch; nothing for a run without a history, such as an ensemble."""
    if not report.history:
        return []
    monitor = _monitored(report)
    best = int(report.record.scores.get("best_epoch") or 0)
    panels = training_panels(report.history, best_epoch=best, monitor=monitor)
    notes = (
        "Where the training line goes on falling and the validation line rises, the run learns its items by heart.",
        "The ring marks the best epoch, whose weights the run keeps.",
    )
    return [
        _chart([panel], name=name, note=note, about=f"{len(report.history)} epochs, the best one is {best}")
        for panel, name, note in zip(panels, ("loss", "scores"), notes, strict=True)
    ]


def ranking(report: Report) -> list[Chart]:
    """Return the ROC and the precision-recall curve of the rated classes; of many, of those with the lowest F1."""
    labels, outputs = report.answered.labels, report.answered.outputs
    rated = rated_classes(np.bincount(labels, minlength=outputs.shape[1]) > 0).tolist()
    if not rated or not report.record.probabilistic:
        return []
    classes = report.judged.classes
    shown = sorted(sorted(rated, key=lambda c: float(classes[c]["f1"] or 0.0))[:_MOST_CURVES])
    some = f" Of {len(rated):,} classes the {len(shown)} with the lowest F1." if len(shown) < len(rated) else ""
    names = [report.record.labels[c] for c in shown]
    return [
        _ranking_chart(
            [_roc(labels == c, outputs[:, c]) for c in shown],
            names,
            name="roc",
            title="ROC curve",
            axes=("false positive rate", "true positive rate"),
            note=f"The nearer to the upper left corner, the better; the dotted line is guessing.{some}",
            guess=True,
        ),
        _ranking_chart(
            [_precision_recall(labels == c, outputs[:, c]) for c in shown],
            names,
            name="pr",
            title="Precision-recall curve",
            axes=("recall", "precision"),
            note=f"How many of those taken for a class are of it, as more of the class are found.{some}",
            guess=False,
        ),
    ]


def calibration(report: Report) -> Chart | None:
    """Return how often the answers of each confidence are right; None for scores."""
    bins = report.judged.calibration
    if not bins:
        return None
    counted = [b for b in bins if b["n"] >= _FEW] or bins
    curve = Curve("this run", [b["confidence"] for b in counted], [b["accuracy"] for b in counted], VERMILION)
    low = float(np.floor(min(0.5, *curve.xs, *curve.ys) * 10) / 10)
    scale = Scale(low - 0.02, 1.02, False, tuple(np.round(np.linspace(low, 1.0, 6), 2).tolist()))
    perfect = Curve("perfectly calibrated", [low, 1.0], [low, 1.0], GREY, line=":", width=1.2, dots=False)
    panel = Panel(
        title="Calibration",
        x_label="mean confidence",
        y_label="share that is right",
        curves=[perfect, curve],
        x=scale,
        y=scale,
        labelled=False,
    )
    note = "Below the dotted line the run is surer than it should be, above it less sure."
    if len(counted) < len(bins):
        note += f" Bins with fewer than {_FEW} items are left out."
    return _chart([panel], name="calibration", note=note, about=f"{len(bins)} bins of confidence", legend=[curve])


def _ranking_chart(
    points: Sequence[tuple[Any, Any]],
    names: Sequence[str],
    *,
    name: str,
    title: str,
    axes: tuple[str, str],
    note: str,
    guess: bool,
) -> Chart:
    curves = [
        Curve(label, *_thinned(*line), COLOURS[i], dots=False)
        for i, (label, line) in enumerate(zip(names, points, strict=True))
    ]
    guessing = [Curve("guessing", [0.0, 1.0], [0.0, 1.0], GREY, line=":", width=1.2, dots=False)] if guess else []
    x_label, y_label = axes
    panel = Panel(
        title=title,
        x_label=x_label,
        y_label=y_label,
        curves=[*guessing, *curves],
        x=_SHARES,
        y=_SHARES,
        labelled=False,
    )
    about = f"{y_label} against {x_label} of {len(names)} classes, each against the others"
    return _chart([panel], name=name, note=note, about=about, legend=curves)


def _roc(right: npt.NDArray[np.bool_], scores: npt.NDArray[Any]) -> tuple[Any, Any]:
    from sklearn.metrics import roc_curve

    false_positives, true_positives, _ = roc_curve(right, scores)
    return false_positives, true_positives


def _precision_recall(right: npt.NDArray[np.bool_], scores: npt.NDArray[Any]) -> tuple[Any, Any]:
    from sklearn.metrics import precision_recall_curve

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, _ = precision_recall_curve(right, scores)
    return recall[::-1], precision[::-1]


def _thinned(xs: npt.NDArray[Any], ys: npt.NDArray[Any]) -> tuple[list[float], list[float]]:
    """Return points of a line at about equal distances along it, the first and the last among them."""
    way = np.append(0.0, np.cumsum(np.hypot(np.diff(xs), np.diff(ys))))
    rows = np.unique(np.searchsorted(way, np.linspace(0.0, way[-1], _MOST_POINTS)).clip(0, len(xs) - 1))
    rows = np.union1d(rows, [0, len(xs) - 1])
    return xs[rows].tolist(), ys[rows].tolist()


def _chart(panels: Sequence[Panel], *, name: str, note: str, about: str, legend: Sequence[Curve] = ()) -> Chart:
    svg = inline(figure(panels), name=f"chart-{name}", title=panels[0].title, description=about)
    return Chart(svg=svg, legend=[(shorten(curve.label), colour(curve.colour)) for curve in legend], note=note)


def _monitored(report: Report) -> str:
    from dlcli.core.training_config import JudgingConfig

    names = ("monitor", "mode", "metrics")
    return JudgingConfig(**{name: report.record.config[name] for name in names}).monitored()
