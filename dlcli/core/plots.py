"""Training drawn: learning curves, learning rate, norms, several runs over one another, the learning-rate range test.

What is drawn; `core/panels.py` knows how, `core/scales.py` on which axes. To import this costs nothing, the
first picture imports matplotlib (0.3 s).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

from dlcli.core.panels import BLUE, COLOURS, GREY, VERMILION, Curve, Panel, figure, save, shorten
from dlcli.core.scales import Scale, epochs, linear, logarithmic, scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

History = Sequence[Mapping[str, Any]]

TRAINING, VALIDATION = BLUE, VERMILION
OTHERS = tuple(colour for colour in COLOURS if colour not in (TRAINING, VALIDATION))
LINES = ("-", "--", ":", "-.")  # The second to the fourth take another round through the colours.

# From this ratio of the largest to the smallest value on, an axis is logarithmic.
LOG_RATES, LOG_NORMS, LOG_LOSSES = 20, 100, 1000


def draw_training(history: History, *, best_epoch: int, monitor: str, folder: Path) -> None:
    """Write `learning-curves.png`, `learning-rate.png` and `norms.png`.

    Args:
        history: a record an epoch: `epoch` (from 1), `loss`, `accuracy`, `val_loss`, `val_accuracy`, any other `val_`
            score, `learning_rate`, `weight_norm`, `gradient_norm`; what is missing, None or not finite leaves a gap.
        best_epoch: the epoch to mark; 0 for none.
        monitor: the record's key that it was picked by.
        folder: an existing one.

    Raises:
        SurroundingsError: the disk is full or not writable; an older picture is as it was.
    """
    for name, drawn in training_figures(history, best_epoch=best_epoch, monitor=monitor).items():
        save(drawn, folder / name)


def draw_histories(histories: Mapping[str, History], path: Path) -> None:
    """Write one picture of several runs: their validation loss and validation accuracy.

    Args:
        histories: run name -> its history, as for `draw_training`; the legend keeps their order.
        path: the PNG file.

    Raises:
        SurroundingsError: the disk is full or not writable; an older picture is as it was.
    """
    save(histories_figure(histories), path)


def draw_range_test(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], *, suggestion: float, path: Path
) -> None:
    """Write a picture of a learning-rate range test (Smith 2017, "Cyclical learning rates", section 3.3).

    Args:
        rates: the learning rate of each step, rising; at least one is above 0.
        losses: the loss of each step; the end may be huge or not finite.
        smoothed: the same, smoothed.
        suggestion: the learning rate to mark.
        path: the PNG file.

    Raises:
        SurroundingsError: the disk is full or not writable; an older picture is as it was.
    """
    save(range_test_figure(rates, losses, smoothed, suggestion=suggestion), path)


def training_figures(history: History, *, best_epoch: int, monitor: str) -> dict[str, Figure]:
    """Return the figures of `draw_training` by file name."""
    rates, weights, gradients = (
        _curve(history, key, "", BLUE) for key in ("learning_rate", "weight_norm", "gradient_norm")
    )
    return {
        "learning-curves.png": figure(training_panels(history, best_epoch=best_epoch, monitor=monitor)),
        "learning-rate.png": figure(
            [
                _epochs_panel(
                    "Learning rate", "learning rate", [rates], scale(_values(rates), log_from=LOG_RATES, zero=True)
                )
            ]
        ),
        "norms.png": figure(
            [
                _epochs_panel(title, title.lower(), [curve], scale(_values(curve), log_from=LOG_NORMS))
                for title, curve in (("Weight norm", weights), ("Gradient norm", gradients))
            ]
        ),
    }


def training_panels(history: History, *, best_epoch: int, monitor: str) -> list[Panel]:
    """Return the learning curves of `draw_training`: the loss, and the scores."""
    best = _Best(history, best_epoch, monitor)
    return [_loss_panel(history, best), _scores_panel(history, best)]


def histories_figure(histories: Mapping[str, History]) -> Figure:
    """Return the figure of `draw_histories`."""
    panels, legend = [], []
    for key, title in (("val_loss", "Validation loss"), ("val_accuracy", "Validation accuracy")):
        legend = [
            _curve(history, key, name, *_look(COLOURS, i), dots=len(histories) <= len(COLOURS))
            for i, (name, history) in enumerate(histories.items())
        ]
        values = _values(*legend)
        extent = scale(values, log_from=LOG_LOSSES) if key == "val_loss" else _scores_scale(values)
        panels.append(_epochs_panel(title, title.lower().split()[1], legend, extent, labelled=False))
    return figure(panels, legend=legend)


def range_test_figure(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], *, suggestion: float
) -> Figure:
    """Return the figure of `draw_range_test`."""
    steps = [
        (float(rate), _number(loss), _number(smooth))
        for rate, loss, smooth in zip(rates, losses, smoothed, strict=True)
        if rate > 0
    ]
    xs = [rate for rate, _, _ in steps]
    raw = Curve("each step", xs, [loss for _, loss, _ in steps], GREY, width=0.8, dots=False)
    smooth = Curve("smoothed", xs, [loss for _, _, loss in steps], BLUE, dots=False)
    marked = math.isfinite(suggestion) and suggestion > 0
    at = min(smooth.known, key=lambda point: abs(math.log(point[0] / suggestion))) if marked and smooth.known else None
    panel = Panel(
        title="Loss while the learning rate rises",
        subtitle=f"suggested learning rate {suggestion:.3g}" if marked else "",
        x_label="learning rate",
        y_label="loss",
        curves=[raw, smooth],
        x=logarithmic([*xs, suggestion] if marked else xs, tight=True),
        y=_until_it_diverges(raw, smooth),
        guide=suggestion if marked else None,
        ring=(suggestion, at[1], BLUE) if at else None,
        labelled=False,
    )
    return figure([panel], legend=[smooth, raw])


def _until_it_diverges(raw: Curve, smooth: Curve) -> Scale:
    """Return the scale of the loss while it falls; the tail, thousands of times as high, would squash it."""
    if not smooth.known:
        return linear(_values(raw))
    turn, low = min(smooth.known, key=lambda point: point[1])
    falling = [y for x, y in smooth.known if x <= turn]
    # Half of the fall again above where it began; at least a fifth of the loss, where it never fell.
    high = max(falling) + max(0.5 * (max(falling) - low), 0.2 * abs(low))
    shown = [y for y in _values(raw, smooth) if y <= high]
    return linear([*shown, min(high, max(_values(raw, smooth)))])


@dataclass(frozen=True)
class _Best:
    """The epoch to mark, and what picked it."""

    history: History
    epoch: int
    monitor: str

    def marks(self, key: str, colour: str) -> dict[str, Any]:
        """Return `Panel`'s subtitle, guide and ring for a panel in which the best epoch's value of `key` is marked."""
        record = next((record for record in self.history if record.get("epoch") == self.epoch), None)
        if record is None:
            return {}
        value = _number(record.get(key))
        known = math.isfinite(value)
        subtitle = f"best epoch {self.epoch}"
        if known:
            subtitle += f"{', by' if key == self.monitor else ':'} {shorten(key, 24)} {value:.4g}"
        return {"subtitle": subtitle, "guide": self.epoch, "ring": (self.epoch, value, colour) if known else None}


def _loss_panel(history: History, best: _Best) -> Panel:
    curves = [
        _curve(history, "loss", "training", TRAINING),
        _curve(history, "val_loss", "validation", VALIDATION),
    ]
    extent = scale(_values(*curves), log_from=LOG_LOSSES)
    return _epochs_panel("Loss", "loss", curves, extent, **best.marks("val_loss", VALIDATION))


def _scores_panel(history: History, best: _Best) -> Panel:
    named = {"accuracy": _curve(history, "accuracy", "training", TRAINING)}
    named["val_accuracy"] = _curve(history, "val_accuracy", "validation", VALIDATION)
    title, y_label = "Accuracy", "accuracy"
    keys = sorted(
        {key for record in history for key in record if key.startswith("val_")} - {"val_loss", "val_accuracy"}
    )
    others = [curve for key in keys if (curve := _curve(history, key, key, GREY)).known]
    if others:
        title, y_label = "Accuracy and other scores", "score"
        labels = {"accuracy": "accuracy, training", "val_accuracy": "accuracy, validation"}
        named = {key: replace(curve, label=labels[key]) for key, curve in named.items()}
        for i, curve in enumerate(others):
            colour, line = _look(OTHERS, i)
            label = f"{shorten(curve.label.removeprefix('val_'), 20)}, validation"
            named[curve.label] = replace(curve, label=label, colour=colour, line=line)
    key = best.monitor if best.monitor in named else "val_accuracy"
    curves = list(named.values())
    extent = _scores_scale(_values(*curves))
    return _epochs_panel(title, y_label, curves, extent, **best.marks(key, named[key].colour))


def _epochs_panel(title: str, y_label: str, curves: Sequence[Curve], y: Scale, **marks: Any) -> Panel:
    numbers = [x for curve in curves for x in curve.xs]
    return Panel(title=title, x_label="epoch", y_label=y_label, curves=curves, x=epochs(numbers), y=y, **marks)


def _scores_scale(values: Sequence[float]) -> Scale:
    """Shares have no tick above 1 or below 0; a score that is no share has its own range."""
    shares = all(0 <= value <= 1 for value in values)
    return linear(values, bounds=(0, 1)) if shares else linear(values)


def _look(colours: Sequence[str], i: int) -> tuple[str, str]:
    """Return the colour and the line style of the i-th line."""
    return colours[i % len(colours)], LINES[i // len(colours) % len(LINES)]


def _curve(history: History, key: str, label: str, colour: str, line: str = "-", *, dots: bool = True) -> Curve:
    numbers = [float(record.get("epoch", i)) for i, record in enumerate(history, start=1)]
    return Curve(label, numbers, [_number(record.get(key)) for record in history], colour, line, dots=dots)


def _values(*curves: Curve) -> list[float]:
    return [y for curve in curves for _, y in curve.known]


def _number(value: Any) -> float:
    """Return a finite number, or NaN for anything else."""
    number = float(value) if isinstance(value, SupportsFloat) else math.nan
    return number if math.isfinite(number) else math.nan
