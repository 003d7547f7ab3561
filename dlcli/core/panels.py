"""How a panel of a picture is drawn: its axes, lines and their names; and the PNG file.

matplotlib's object interface, never pyplot, so nothing is global and nothing needs a screen. It is imported inside the
functions, and what it would work out by itself at a cost (margins, ticks, where a legend fits) is worked out here.
Equal values give equal bytes, whatever a user's matplotlibrc says.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.core.files import replacing
from dlcli.core.scales import Scale, short
from dlcli.errors import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart by the colour-blind too (Okabe and Ito 2008, "Color Universal Design"); grey is in the place of their
# yellow, which is too faint on white.
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, BLACK, GREY = "#CC79A7", "#56B4E9", "#000000", "#8C8C8C"
COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK, GREY)
INK, QUIET, FAINT = "#222222", "#5F5F5F", "#E6E6E6"

DPI = 120
# Inches: the area that is drawn in, and what stands around it.
WIDTH, HEIGHT, BOTTOM, EDGE = 3.9, 2.8, 0.55, 0.2
TOP, LOW_TOP = 0.68, 0.48  # With a subtitle, and without.
CHARACTER = 0.074  # The mean width of one at 9 points, measured on names; digits are wider.
ROW = 0.17  # Between two labels, one above the other.
LEGEND_ROW = 0.2
LONGEST = 32  # Characters of a name.
MARKED = 20  # Up to so many values, each has its dot.


@dataclass(frozen=True)
class Curve:
    """One line.

    Attributes:
        label: its name; any text.
        xs: finite numbers, rising.
        ys: as many; NaN where there is no value.
        colour: of the line.
        line: matplotlib's line style.
        width: of the line, in points.
        dots: whether values have dots where they are few.
    """

    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: str
    line: str = "-"
    width: float = 1.8
    dots: bool = True

    @property
    def known(self) -> list[tuple[float, float]]:
        """The points whose value is a number."""
        return [(x, y) for x, y in zip(self.xs, self.ys, strict=True) if math.isfinite(y)]

    @property
    def marked(self) -> list[int]:
        """Positions of the values that need a dot: all of a few; of many, those between gaps, where no line goes."""
        there = [False, *map(math.isfinite, self.ys), False]
        few = self.dots and len(self.ys) <= MARKED
        return [i for i in range(len(self.ys)) if there[i + 1] and (few or not (there[i] or there[i + 2]))]


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: what is seen.
        x_label: the name of the horizontal axis.
        y_label: the name of the vertical axis.
        curves: the lines; those without a value are left out.
        x: the horizontal scale.
        y: the vertical scale.
        subtitle: a second, quieter line.
        guide: where a vertical line stands, if anywhere.
        ring: a point to mark, if any, and its colour.
        labelled: whether the lines have their names at their ends.
    """

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    x: Scale
    y: Scale
    subtitle: str = ""
    guide: float | None = None
    ring: tuple[float, float, str] | None = None
    labelled: bool = True
    seen: list[Curve] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "seen", [curve for curve in self.curves if curve.known])

    @property
    def left(self) -> float:
        """Inches that the vertical axis's labels take."""
        return 0.42 + 0.08 * max((len(short(tick)) for tick in self.y.ticks), default=0)

    @property
    def right(self) -> float:
        """Inches that the names of the lines take."""
        names = [len(shorten(curve.label)) for curve in self.seen if self.labelled]
        return EDGE + (0.15 + CHARACTER * max(names) if any(names) else 0)


def shorten(name: str, longest: int = LONGEST) -> str:
    """Return a name on one line, printable, and its middle left out where it is too long."""
    name = printable(" ".join(name.encode("utf-8", "replace").decode("utf-8").split()))
    if len(name) <= longest:
        return name
    return f"{name[: longest // 2]}…{name[len(name) - (longest - 1) // 2 :]}"


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Give matplotlib its defaults and ours, not the user's, and keep its chatter (missing glyphs, its font cache)."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib import artist

    # A third of matplotlib's import is spent on tables of keywords for its docstrings (0.14 s); nobody reads them here.
    tables, artist.kwdoc = artist.kwdoc, lambda artist: ""
    try:
        import matplotlib.backends.backend_agg
        import matplotlib.figure
    finally:
        artist.kwdoc = tables
    ours = {
        "axes.axisbelow": True,
        "axes.edgecolor": "#9A9A9A",
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.labelcolor": QUIET,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "font.size": 9,
        "grid.color": FAINT,
        "lines.solid_capstyle": "round",
        "text.color": INK,
        "text.parse_math": False,  # A `$` in a name is a dollar sign.
        "xtick.color": "#9A9A9A",
        "xtick.labelcolor": QUIET,
        "ytick.labelcolor": QUIET,
        "ytick.major.size": 0,
    }
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        defaults = {key: value for key, value in matplotlib.rcParamsDefault.items() if key != "backend"}
        matplotlib.rcParams.update(defaults | ours)
        yield


@style()
def figure(panels: Sequence[Panel], *, legend: Sequence[Curve] = ()) -> Figure:
    """Return a figure of panels side by side.

    Args:
        panels: from left to right.
        legend: lines whose names stand in a column at the right, for lines that several panels share.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    names = [shorten(curve.label) for curve in legend]
    column = 0.65 + CHARACTER * max(map(len, names)) if names else 0.0
    inner = max(HEIGHT, LEGEND_ROW * len(names))
    width = sum(panel.left + WIDTH + panel.right for panel in panels) + column
    top = TOP if any(panel.subtitle for panel in panels) else LOW_TOP
    height = BOTTOM + inner + top
    drawn = Figure(figsize=(width, height), dpi=DPI)
    x = 0.0
    for panel in panels:
        x += panel.left
        axes = drawn.add_axes((x / width, BOTTOM / height, WIDTH / width, inner / height))
        _draw(panel, axes, rows=inner / ROW)
        for text, above, size, weight, colour in (
            (panel.title, top - 0.28, 10.5, "bold", INK),
            (panel.subtitle, 0.17, 9, "normal", QUIET),
        ):
            if text:
                place = (x / width, (BOTTOM + inner + above) / height)
                drawn.text(*place, text, fontsize=size, fontweight=weight, color=colour)
        x += WIDTH + panel.right
    if names:
        drawn.legend(
            [Line2D([], [], color=curve.colour, linestyle=curve.line, linewidth=curve.width) for curve in legend],
            names,
            loc="upper left",
            bbox_to_anchor=(x / width, (BOTTOM + inner) / height),
            borderaxespad=0,
            frameon=False,
            handlelength=2.4,
        )
    return drawn


def _draw(panel: Panel, axes: Axes, *, rows: float) -> None:
    for axis, set_limits, extent, turn in (
        (axes.xaxis, axes.set_xlim, panel.x, axes.set_xscale),
        (axes.yaxis, axes.set_ylim, panel.y, axes.set_yscale),
    ):
        if extent.log:
            turn("log")
            axis.set_ticks([], minor=True)
        axis.set_ticks(extent.ticks, [short(tick) for tick in extent.ticks])
        set_limits(extent.low, extent.high)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    axes.yaxis.set_label_coords(-(panel.left - 0.16) / WIDTH, 0.5)
    if panel.guide is not None:
        axes.axvline(panel.guide, color=GREY, linewidth=1, linestyle=(0, (1, 2)), gid="guide")
    for curve in panel.seen:
        axes.plot(
            curve.xs,
            curve.ys,
            color=curve.colour,
            linestyle=curve.line,
            linewidth=curve.width,
            marker="o" if curve.marked else "",
            markersize=3.5,
            markevery=curve.marked or None,
            label=curve.label,
        )
    if panel.ring:
        *point, colour = panel.ring
        axes.plot(*point, "o", markersize=8, markerfacecolor="white", markeredgecolor=colour, gid="ring")
    if not panel.seen:
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", va="center", color=QUIET)
    if panel.labelled:
        _label_ends(panel, axes, rows=rows)


def _label_ends(panel: Panel, axes: Axes, *, rows: float) -> None:
    ends = sorted(((panel.y.share(curve.known[-1][1]), curve) for curve in panel.seen), key=lambda end: end[0])
    places = spread([end for end, _ in ends], gap=1 / rows)
    for (end, curve), place in zip(ends, places, strict=True):
        if curve.label:
            axes.plot(
                (1.0, 1.02), (end, place), transform=axes.transAxes, color=curve.colour, linewidth=0.8, clip_on=False
            )
            axes.text(1.03, place, shorten(curve.label), transform=axes.transAxes, va="center", color=INK)


def spread(wanted: Sequence[float], *, gap: float) -> list[float]:
    """Move rising places apart until each is `gap` from the next, none above 1 while there is room below.

    Args:
        wanted: places from 0 to 1, rising.
        gap: the smallest distance between two.
    """
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + gap) if places else place)
    ceiling = 1.0
    for i in reversed(range(len(places))):
        places[i] = min(places[i], ceiling)
        ceiling = places[i] - gap
    return places


@style()
def save(drawn: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all; without a date or a version in it.

    Args:
        drawn: what `figure` returned.
        path: the PNG file.

    Raises:
        SurroundingsError: the disk is full or not writable; an older picture is as it was.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(drawn)
    canvas.draw()
    full = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba(), "raw", "RGBA", 0, 1)
    # In 256 colours a picture has a quarter of the bytes, and is written faster for it. An octree's white is 254.
    picture = full.convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    picture.putpalette([255 if value == 254 else value for value in picture.getpalette() or []])
    content = io.BytesIO()
    picture.save(content, "PNG", dpi=(DPI, DPI))
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())
