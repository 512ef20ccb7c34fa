"""People as points: colours and marks by origin, a legend of both, and names beside those that stand apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from kgp.report.facts import Floats, PeoplePoints
from kgp.report.style import MARKERS, SUPERPOPULATION_COLOURS, scatter

# Names beside points; the table has all of them.
MOST_NAMES = 12

# Parts that the points of a group are drawn in.
N_TURNS = 8

# Part of a figure's width and height that is left to the axes, at least.
_AXES_SHARE = np.array([0.82, 0.7])

Look = tuple[str | None, str | None]
Group = TypeVar("Group")
Places = NDArray[np.int64]
Box = tuple[float, float, float, float]


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
    places = {pair: np.flatnonzero([one == pair for one in of_point]) for pair in looks}
    for pair, here in take_turns(places):
        x, y = points.scores[here, first], points.scores[here, second]
        colour, marker = looks[pair]
        scatter(axes, x, y, len(of_point), s=16, color=colour, marker=marker, alpha=0.75)
    label_axes(axes, points, first, second)
    add_legend(figure, looks)


def take_turns(groups: Mapping[Group, Places]) -> Iterator[tuple[Group, Places]]:
    """The points of several groups in turns, some of each at a time: no group is drawn on top of all the others.

    Args:
        groups: group → places of its points.
    """
    for turn in range(N_TURNS):
        for group, places in groups.items():
            if len(some := places[turn::N_TURNS]):
                yield group, some


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
    """Names beside points, in an order of importance; those that would lie on another name or point are left out.

    Args:
        figure: that the axes fill but for their labels and a legend.
        axes: with its limits as they stay.
        x, y: places of the points.
        names: what they are called, the most important first.
    """
    width, height = figure.get_size_inches() * 72 * _AXES_SHARE
    low_x, high_x = axes.get_xlim()
    low_y, high_y = axes.get_ylim()
    at = np.column_stack([(x - low_x) / (high_x - low_x) * width, (y - low_y) / (high_y - low_y) * height])
    taken: list[Box] = []
    for place, name in enumerate(names[:MOST_NAMES]):
        others = [_box(at[i], -4, 4) for i in range(len(at)) if i != place]
        size = 6.0 * len(name)
        sides = {"left": _box(at[place], 6, 6 + size), "right": _box(at[place], -6 - size, -6)}
        free = [
            side
            for side, box in sides.items()
            if box[0] >= 0 and box[2] <= width and not any(_meet(box, b) for b in (*taken, *others))
        ]
        if not free:
            continue
        taken.append(sides[free[0]])
        axes.annotate(
            name,
            (x[place], y[place]),
            (6 if free[0] == "left" else -6, 0),
            textcoords="offset points",
            ha=free[0],
            va="center",
            fontsize=8.5,
        )


def _box(point: Floats, from_x: float, to_x: float) -> Box:
    """What a name or a ring takes up: left, bottom, right, top, in points."""
    x, y = point.tolist()
    return x + from_x, y - 7, x + to_x, y + 7


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and a[2] > b[0] and a[1] < b[3] and a[3] > b[1]
