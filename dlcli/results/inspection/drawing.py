"""A network drawn: a box for each layer, arrows for what flows, branches beside each other, long ones in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.core.files import replacing
from dlcli.core.panels import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, QUIET, SKY, VERMILION, shorten, style
from dlcli.results.inspection.structure import Layer, shown_shape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = (".png", ".svg")

# Inches: a box, what is between ranks and between boxes beside each other, around columns, and the heading.
_WIDTH, _HEIGHT, _BELOW, _BESIDE, _MARGIN, _HEAD = 2.75, 0.44, 0.2, 0.25, 0.35, 0.78
# How far an arrow that passes boxes by stands out, the first and each one more; more than so many lie on each other.
_OUT, _MOST_LANES = 0.14, 4
# The picture's width to its height that columns are chosen for, and the most ranks that stay one column.
_ASPECT, _ONE_COLUMN = 1.5, 14
_DPI = 130
# Pixels along a side: more, and few programs open it.
_MOST_PIXELS = 12_000

# What a layer does, by a part of its class' name, the first that fits; so are boxes coloured, and the words say it too.
_FAMILIES = (
    (("Input",), GREY),
    (("Conv",), BLUE),
    (("Normalization", "Rescaling", "Dropout", "UnitNorm"), "#B9C0C8"),
    (("LSTM", "GRU", "RNN", "Attention"), PURPLE),
    (("Embedding",), GREEN),
    (("Pool", "Flatten"), ORANGE),
    (("Add", "Concatenate", "Multiply", "GeometricMean"), SKY),
    (("Dense", "Functional", "Sequential"), VERMILION),
)


# Of arrows to the next layer; those that skip some are blue.
_GREY = "#7A828C"


@dataclass(frozen=True)
class _Box:
    """Where a layer stands: its rank, its column, and the middle of its upper edge in inches from the lower left."""

    layer: Layer
    rank: int
    column: int
    x: float
    y: float


def draw_network(path: Path, layers: Sequence[Layer], *, title: str, subtitle: str) -> None:
    """Write a drawing of a network.

    Args:
        path: a PNG or SVG file.
        layers: of the network, in their order; those inside others are left out.
        title: its name.
        subtitle: what it is.

    Raises:
        SurroundingsError: the disk is full, or not writable.
    """
    drawn = network_figure(layers, title=title, subtitle=subtitle)
    with style(), replacing(path) as temporary:
        if path.suffix.lower() == ".svg":
            import matplotlib

            matplotlib.rcParams["svg.fonttype"] = "none"  # Names can be searched for.
            matplotlib.rcParams["svg.hashsalt"] = "dlcli"
            metadata: dict[str, Any] = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            drawn.savefig(temporary, format="svg", metadata=metadata)
        else:
            dpi = min(_DPI, _MOST_PIXELS / max(drawn.get_size_inches()))
            drawn.savefig(temporary, format="png", dpi=dpi, metadata={"Software": None})


@style()
def network_figure(layers: Sequence[Layer], *, title: str, subtitle: str) -> Figure:
    """Return the drawing of `draw_network`."""
    from matplotlib.figure import Figure

    layers = [layer for layer in layers if not layer.depth]
    ranks = _ranks(layers)
    boxes, width, height = _placed(ranks)
    full = max(width, 4.2)
    figure = Figure(figsize=(full, height + _HEAD))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, full)
    axes.set_ylim(0, height + _HEAD)
    axes.axis("off")
    axes.text(_MARGIN, height + 0.45, shorten(title, 60), fontsize=13, fontweight="bold", color=INK)
    axes.text(_MARGIN, height + 0.24, shorten(subtitle, int(13 * full)), fontsize=9, color=QUIET)
    lanes: list[tuple[int, _Box, _Box]] = []
    for box in boxes.values():
        for name in box.layer.inputs:
            if name in boxes:
                _draw_arrow(axes, boxes[name], box, list(boxes.values()), lanes)
    for box in boxes.values():
        _draw_box(axes, box)
    return figure


def _ranks(layers: Sequence[Layer]) -> list[list[Layer]]:
    """Return layers by how many others come before them, at most."""
    place: dict[str, int] = {}
    for layer in layers:
        place[layer.name] = 1 + max((place[name] for name in layer.inputs if name in place), default=-1)
    # What begins late, such as the mask of a text, stands just before what needs it first.
    for layer in reversed(layers):
        users = [place[other.name] for other in layers if layer.name in other.inputs]
        if users and layer.inputs:
            place[layer.name] = min(users) - 1
    ranks: list[list[Layer]] = [[] for _ in range(1 + max(place.values(), default=0))]
    for layer in layers:
        ranks[place[layer.name]].append(layer)
    return ranks


def _placed(ranks: list[list[Layer]]) -> tuple[dict[str, _Box], float, float]:
    """Return where each layer stands, and the width and height of them all."""
    columns = _columns(ranks)
    boxes: dict[str, _Box] = {}
    left, passed = _MARGIN, 0
    tallest = max(len(column) for column in columns) * (_HEIGHT + _BELOW)
    for number, column in enumerate(columns):
        widest = max(map(len, column))
        full = widest * _WIDTH + (widest - 1) * _BESIDE
        for down, rank in enumerate(column):
            first = left + (full - len(rank) * _WIDTH - (len(rank) - 1) * _BESIDE) / 2 + _WIDTH / 2
            for across, layer in enumerate(_ordered(rank, boxes)):
                y = tallest - down * (_HEIGHT + _BELOW)
                boxes[layer.name] = _Box(layer, passed + down, number, first + across * (_WIDTH + _BESIDE), y + _MARGIN)
        passed += len(column)
        left += full + 2 * _MARGIN + _OUT * _MOST_LANES / 2
    return boxes, left - _MARGIN, tallest + _MARGIN


def _ordered(rank: list[Layer], boxes: dict[str, _Box]) -> list[Layer]:
    """Return layers of a rank in the order of what they take, so that arrows do not cross."""

    def middle(layer: Layer) -> float:
        places = [boxes[name].x for name in layer.inputs if name in boxes]
        return sum(places) / len(places) if places else 0.0

    return sorted(rank, key=middle)


def _columns(ranks: list[list[Layer]]) -> list[list[list[Layer]]]:
    """Cut a long network into columns, where only one thing flows if there is such a place near."""
    if len(ranks) <= _ONE_COLUMN:
        return [ranks]
    widest = max(map(len, ranks))
    wide, high = widest * (_WIDTH + _BESIDE) + 2 * _MARGIN, _HEIGHT + _BELOW
    count = max(2, round((_ASPECT * len(ranks) * high / wide) ** 0.5))
    size = -(-len(ranks) // count)
    columns, start = [], 0
    while start < len(ranks):
        end = min(len(ranks), start + size)
        near = [
            place for place in range(start + size // 2, min(len(ranks), end + size // 2)) if _is_waist(ranks, place)
        ]
        end = min(near, key=lambda place: abs(place - end)) if near and end < len(ranks) else end
        columns.append(ranks[start:end])
        start = end
    return columns


def _is_waist(ranks: list[list[Layer]], place: int) -> bool:
    """Say whether only one arrow leads from above a rank into it and beyond."""
    above = {layer.name for rank in ranks[:place] for layer in rank}
    return sum(name in above for rank in ranks[place:] for layer in rank for name in layer.inputs) == 1


def _draw_box(axes: Any, box: _Box) -> None:
    from matplotlib.patches import FancyBboxPatch, Rectangle

    layer, left, bottom = box.layer, box.x - _WIDTH / 2, box.y - _HEIGHT
    colour = next((colour for parts, colour in _FAMILIES if any(part in layer.kind for part in parts)), GREY)
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom), _WIDTH, _HEIGHT, boxstyle="round,pad=0,rounding_size=0.05", fc="white", ec="#C4C9CF", lw=0.8
        )
    )
    axes.add_patch(Rectangle((left, bottom + 0.03), 0.06, _HEIGHT - 0.06, fc=colour, ec="none"))
    parameters = f"{layer.parameters:,}" if layer.parameters else ""
    frozen = parameters and not layer.trainable
    lines = (
        (0.14, "left", 0.13, shorten(layer.name, 34), INK, 8.0, "bold"),
        (0.14, "left", 0.315, shorten(layer.kind, 25), QUIET, 7.0, "normal"),
        (_WIDTH - 0.08, "right", 0.315, shown_shape(layer.shape), QUIET, 7.0, "normal"),
    )
    for x, where, down, text, shade, size, weight in lines:
        axes.text(left + x, box.y - down, text, ha=where, va="center", color=shade, fontsize=size, fontweight=weight)
    if parameters and len(layer.name) < 26:
        axes.text(
            left + _WIDTH - 0.08,
            box.y - 0.13,
            f"{parameters}{' frozen' if frozen else ''}",
            ha="right",
            va="center",
            color=QUIET if frozen else INK,
            fontsize=7,
        )


def _draw_arrow(axes: Any, start: _Box, end: _Box, boxes: Sequence[_Box], lanes: list[tuple[int, _Box, _Box]]) -> None:
    """Draw what flows: straight to the next rank, past the boxes between, or over the top of the next column."""
    low = start.y - _HEIGHT
    if start.column != end.column:
        corner, over = low - _BELOW / 2, end.y + 0.14
        skips = end.rank - start.rank > 1
        between = min(box.x for box in boxes if box.column == end.column) - _WIDTH / 2 - _MARGIN * 0.7
        between -= _OUT if skips else 0
        way = [(start.x, low), (start.x, corner), (between, corner), (between, over), (end.x, over), (end.x, end.y)]
        _line(axes, way, colour=BLUE if skips else _GREY)
    elif end.rank - start.rank == 1:
        half = (low + end.y) / 2
        straight = abs(start.x - end.x) < 0.01
        corners = [] if straight else [(start.x, half), (end.x, half)]
        _line(axes, [(start.x, low), *corners, (end.x, end.y)])
    else:
        passed = [box.x for box in boxes if start.rank <= box.rank <= end.rank]
        beside = [box.x for box in boxes if box.rank in (start.rank, end.rank)]
        # To the side where no box stands in the way.
        side = -1 if max(start.x, end.x) < max(beside) and min(start.x, end.x) == min(beside) else 1
        out = side * (max(side * x for x in passed) + _WIDTH / 2 + _OUT * _lane(start, end, lanes))
        first, last = start.y - 0.62 * _HEIGHT, end.y - 0.38 * _HEIGHT
        leave, arrive = start.x + side * _WIDTH / 2, end.x + side * _WIDTH / 2
        _line(axes, [(leave, first), (out, first), (out, last), (arrive, last)], colour=BLUE)


def _lane(start: _Box, end: _Box, lanes: list[tuple[int, _Box, _Box]]) -> int:
    """Return the first place, from 1, beside the boxes that no other arrow takes there; keep it in `lanes`."""
    taken = {
        lane
        for lane, first, last in lanes
        if first.column == start.column and first.rank < end.rank and start.rank < last.rank and first is not start
    }
    lane = next((lane for lane in range(1, _MOST_LANES) if lane not in taken), _MOST_LANES)
    lanes.append((lane, start, end))
    return lane


def _line(axes: Any, points: list[tuple[float, float]], *, colour: str = _GREY) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Way

    head = "-|>,head_length=3.2,head_width=1.8"
    axes.add_patch(
        FancyArrowPatch(path=Way(points), arrowstyle=head, color=colour, lw=1.0, fill=False, joinstyle="round")
    )
    # The head alone is filled.
    axes.add_patch(FancyArrowPatch(path=Way(points[-2:]), arrowstyle=head, color=colour, lw=1.0))
