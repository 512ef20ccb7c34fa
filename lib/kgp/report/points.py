"""People as points: colours and marks by origin, a legend of both, and names beside those that stand apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kgp.report.facts import Floats, PeoplePoints
from kgp.report.style import MARKERS, SUPERPOPULATION_COLOURS, scatter

# Names beside points; the table has all of them.
MOST_NAMES = 12

Look = tuple[str | None, str | None]


def looks_of(points: PeoplePoints) -> dict[Look, tuple[str, str]]:
    """Superpopulation and population → colour and mark; populations of one superpopulation differ in their mark."""
    pairs = sorted(
        set(zip(points.superpopulations, points.populations, strict=True)),
        key=lambda pair: (pair[0] is None, pair[0] or "", pair[1] is None, pair[1] or ""),
    )
    looks: dict[Look, tuple[str, str]] = {}
    for pair in pairs:
        number = sum(other[0] == pair[0] for other in looks)
        looks[pair] = (SUPERPOPULATION_COLOURS[pair[0]], MARKERS[number % len(MARKERS)])
    return looks


def scatter_people(figure: Figure, axes: Axes, points: PeoplePoints, first: int, second: int) -> None:
    """People on two components, with axes that say what these explain and a legend below.

    Args:
        figure: for the legend.
        axes: where.
        points: the people.
        first, second: places of the components, from 0.
    """
    looks = looks_of(points)
    of_point = list(zip(points.superpopulations, points.populations, strict=True))
    for pair, (colour, marker) in looks.items():
        here = np.array([one == pair for one in of_point])
        scatter(
            axes,
            points.scores[here, first],
            points.scores[here, second],
            len(of_point),
            s=16,
            color=colour,
            marker=marker,
            alpha=0.75,
        )
    label_axes(axes, points, first, second)
    add_legend(figure, looks)


def add_legend(figure: Figure, looks: dict[Look, tuple[str, str]]) -> None:
    """A legend below the figure: a column a superpopulation, its populations underneath."""
    groups: dict[str | None, list[Line2D]] = {}
    for (superpopulation, population), (colour, marker) in looks.items():
        label = population or superpopulation or "not known"
        groups.setdefault(superpopulation, []).append(make_mark(label, colour, marker))
    n_rows = max(map(len, groups.values()))
    handles: list[Line2D] = []
    for superpopulation, marks in groups.items():
        handles.append(Line2D([], [], linestyle="", label=superpopulation or "others"))
        handles += marks + [Line2D([], [], linestyle="", label=" ")] * (n_rows - len(marks))
    legend = figure.legend(
        handles=handles, loc="outside lower center", ncols=len(groups), handletextpad=0.2, columnspacing=1.6
    )
    for number, text in enumerate(legend.get_texts()):
        if number % (n_rows + 1) == 0:
            text.set_fontweight("bold")


def make_mark(label: str, colour: str, marker: str) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], linestyle="", marker=marker, color=colour, markersize=5, label=label)


def label_axes(axes: Axes, points: PeoplePoints, first: int, second: int) -> None:
    """Say which components the axes are, from 0, and what they explain."""
    for axis, place in ((axes.xaxis, first), (axes.yaxis, second)):
        share = 100 * points.variance_explained[place]
        axis.set_label_text(f"component {place + 1} ({share:.2g} % of variance)")
    axes.grid(True)
    axes.locator_params(nbins=6)


def name_points(figure: Figure, axes: Axes, x: Floats, y: Floats, names: Sequence[str]) -> None:
    """Names beside points, in an order of importance; those that would lie on another name are left out.

    Args:
        figure: that the axes nearly fill.
        axes: with its limits as they stay.
        x, y: places of the points.
        names: what they are called, the most important first.
    """
    width, height = figure.get_size_inches() * 72
    taken: list[tuple[float, float, float, float]] = []
    low_x, high_x = axes.get_xlim()
    low_y, high_y = axes.get_ylim()
    for place_x, place_y, name in list(zip(x, y, names, strict=True))[:MOST_NAMES]:
        at_x, at_y = (
            (place_x - low_x) / (high_x - low_x) * width,
            (place_y - low_y) / (high_y - low_y) * height,
        )
        size = 5.2 * len(name)
        side = "left" if at_x + size + 8 < 0.82 * width else "right"
        left = at_x + 6 if side == "left" else at_x - 6 - size
        box = (left, at_y - 7, left + size, at_y + 7)
        if any(box[0] < b[2] and box[2] > b[0] and box[1] < b[3] and box[3] > b[1] for b in taken):
            continue
        taken.append(box)
        shift = 6 if side == "left" else -6
        axes.annotate(
            name,
            (place_x, place_y),
            (shift, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=8.5,
        )
