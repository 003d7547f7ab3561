"""matplotlib's figures as SVG inside a page: in its colours and its font, and named for those who do not see them."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import markupsafe

from dlcli.core.panels import BLUE, FAINT, GREY, INK, QUIET, VERMILION, style
from dlcli.results.pages import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What `page.css` calls the colours of `core/panels.py`, so that dark mode and print have their own; other colours stay.
_VARIABLES = {
    INK: "--ink",
    QUIET: "--quiet",
    FAINT: "--grid",
    GREY: "--quiet",
    "#9A9A9A": "--line",
    BLUE: "--first",
    VERMILION: "--second",
    "#009E73": "--third",
    "#E69F00": "--fourth",
    "#CC79A7": "--fifth",
    "#56B4E9": "--sixth",
    "#000000": "--ink",
    "#FFFFFF": "--panel",
}
_VARIABLES = {colour.lower(): name for colour, name in _VARIABLES.items()}
_COLOUR = re.compile("#[0-9a-f]{6}")
_FONT = re.compile(r"font-family: [^;\"]*;? ?")
_LONG = re.compile(r"(\d+\.\d\d)\d+")


def colour(code: str) -> str:
    """Return a colour of a figure as CSS."""
    name = _VARIABLES.get(code.lower())
    return f"var({name})" if name else code


@style()
def inline(figure: Figure, *, name: str, title: str, description: str) -> markupsafe.Markup:
    """Return a figure as an `<svg>` element that stands alone: no metadata, no address, letters as text.

    Args:
        figure: without a background of its own.
        name: unique on the page; begins all ids.
        title: what it shows.
        description: what is to be seen in it, for those who do not see it.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
    content = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(content, metadata=nothing)
    whole = content.getvalue()
    box = re.search(r'viewBox="([^"]+)"', whole)
    assert box is not None
    inner = whole[whole.index(">", whole.index("<svg")) + 1 : whole.rindex("</svg>")]
    for kind in ("metadata", "style"):  # Its style would hold for the whole page.
        inner = re.sub(f"<{kind}.*?</{kind}>", "", inner, flags=re.DOTALL)
    inner = re.sub("<[^>]+>", lambda tag: _of_the_page(tag[0], name), inner)
    head = (
        f'<svg class="chart" viewBox="{box[1]}" role="img" aria-labelledby="{name}-title {name}-text">'
        f'<title id="{name}-title">{markupsafe.escape(plain(title))}</title>'
        f'<desc id="{name}-text">{markupsafe.escape(plain(description))}</desc>'
    )
    return markupsafe.Markup(head + inner + "</svg>")  # noqa: S704 - what is not drawn by matplotlib is escaped above.


def _of_the_page(tag: str, name: str) -> str:
    """Return a tag with ids of its own, colours and font of the page, and hundredths of a point at most."""
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = tag.replace("url(#", f"url(#{name}-").replace('xlink:href="#', f'href="#{name}-')
    tag = _COLOUR.sub(lambda found: colour(found[0]), _FONT.sub("", tag))
    return _LONG.sub(r"\1", " ".join(tag.split()))
