"""How figures look, and how matplotlib's SVG becomes a part of a page: its own ids, the page's colours, text as text.

Colours that change between the light and the dark scheme are drawn in placeholders, which become CSS variables of the
page. Nothing in an SVG depends on when or where it was drawn.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kgp.report.facts import Floats

P = ParamSpec("P")

# Okabe and Ito's palette, which people with any colour vision can tell apart.
SUPERPOPULATION_COLOURS = {
    "AFR": "#e69f00",
    "AMR": "#d55e00",
    "EAS": "#009e73",
    "EUR": "#0072b2",
    "SAS": "#cc79a7",
    None: "#888888",
}
SEX_COLOURS = {"female": "#cc79a7", "male": "#0072b2", None: "#888888"}
BAR = "#56b4e9"
ALARM = "#d55e00"
# Of Tol's muted palette: other things than people's origin have other colours.
CATEGORIES = ("#332288", "#88ccee", "#44aa99", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")

# Placeholders: nothing else is drawn in these.
INK, FAINT, PAPER = "#010203", "#010204", "#010205"
_VARIABLES = {
    INK: "--ink",
    FAINT: "--faint",
    PAPER: "--paper",
    "#0072b2": "--blue",
    "#332288": "--indigo",
    "#882255": "--wine",
}

# More points than these are drawn as pixels.
MOST_VECTORS = 20_000
_DPI = 160
_PIXELS_A_POINT = 1.5  # a little larger than life, so that it can still be read on a narrow screen
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "kgp",
    "text.parse_math": False,  # names may have dollar signs
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "savefig.bbox": None,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "path.simplify": False,
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Let a function draw with the settings of the report, whatever matplotlib's are."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_SETTINGS)
            return draw(*args, **kwargs)

    return drawn


def new_figure(width: float = 5.1, height: float = 4.0) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; 5.1 inches are as wide as a column of the page."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def scatter(axes: Axes, x: Floats, y: Floats, n_all: int, **look: Any) -> None:
    """Points, as pixels where the figure has very many.

    Args:
        axes: where.
        x, y: places.
        n_all: points of the whole figure.
        look: colour, marker, size and label, as matplotlib takes them.
    """
    axes.scatter(x, y, linewidths=look.pop("linewidths", 0.3), rasterized=n_all > MOST_VECTORS, **look)


def to_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as an SVG element that may stand in a page with others.

    Args:
        figure: as a `styled` function gives it.
        name: unique in the page; letters, digits and hyphens.
        title: what a screen reader says first.
        description: what the figure shows, in words.
    """
    text = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with matplotlib.rc_context(_SETTINGS):
        figure.savefig(text, format="svg", metadata=nothing, dpi=_DPI)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].rstrip()
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = _own_ids(svg, name)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = svg.replace("'DejaVu Sans'", _FONT)
    opening, rest = svg.split(">", 1)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', opening)
    assert box is not None
    width = round(float(box[1]) * _PIXELS_A_POINT)
    return (
        f'<svg {box[0]} role="img" aria-labelledby="{name}-title {name}-desc" style="max-width: {width}px" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f'<title id="{name}-title">{html.escape(title)}</title>'
        f'<desc id="{name}-desc">{html.escape(description)}</desc>{rest}'
    )


def _own_ids(svg: str, name: str) -> str:
    """Ids that nothing refers to go; the others get the figure's name, for those of two figures may be the same.

    They are numbered, for matplotlib's are hashes of floating-point numbers, whose last bit depends on the machine.
    """
    used = dict.fromkeys(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    numbered = {one: f"{name}-{number}" for number, one in enumerate(used, start=1)}

    def rename(found: re.Match[str]) -> str:
        return f' id="{numbered[found[1]]}"' if found[1] in numbered else ""

    svg = re.sub(r' id="([^"]+)"', rename, svg)
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda found: found[1] + numbered[found[2]], svg)
