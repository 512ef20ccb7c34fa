"""Figures of the quality of expression: components by laboratory, D-statistic, and sex by XIST and Y."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from kgp.eqtl.quality_outliers import LOW_CORRELATION, PCA_OUTLIER, SEX_MISMATCH
from kgp.report.facts import Floats, PeoplePoints, QualityFact
from kgp.report.points import label_axes, looks_of, make_mark, name_points, scatter_people, take_turns
from kgp.report.style import ALARM, CATEGORIES, SEX_COLOURS, new_figure, scatter, styled


@styled
def draw_by_origin(fact: QualityFact) -> Figure:
    """Runs on the first two components, coloured by superpopulation; those that stand apart are ringed and named."""
    figure, axes = new_figure(5.1, 5.0)
    scatter_people(figure, axes, fact.points, 0, 1)
    apart = [i for i, flags in enumerate(fact.flags) if PCA_OUTLIER in flags]
    x, y = fact.points.scores[apart, 0], fact.points.scores[apart, 1]
    _ring(figure, x, y, [fact.points.names[i] for i in apart])
    return figure


@styled
def draw_by_lab(points: PeoplePoints, labs: Sequence[str | None]) -> Figure:
    """Runs on the first two components, coloured by laboratory."""
    figure, axes = new_figure(5.1, 5.0)
    names = sorted({lab for lab in labs if lab is not None}) + [None] * (None in labs)
    looks = {}
    for number, name in enumerate(names):
        colour = CATEGORIES[number % len(CATEGORIES)] if name is not None else "#888888"
        looks[name] = colour, "os^D"[number // len(CATEGORIES) % 4]
    for name, here in take_turns({name: np.flatnonzero([lab == name for lab in labs]) for name in names}):
        x, y, (colour, marker) = points.scores[here, 0], points.scores[here, 1], looks[name]
        scatter(axes, x, y, len(labs), s=16, color=colour, marker=marker, alpha=0.8)
    handles = [make_mark(name or "not known", *look) for name, look in looks.items()]
    label_axes(axes, points, 0, 1)
    widest = max(len(name or "not known") for name in names)
    n_columns = max(1, min(len(names), 50 // (widest + 4), 4))
    figure.legend(handles=handles, loc="outside lower center", ncols=n_columns, handletextpad=0.2)
    return figure


@styled
def draw_d_statistics(fact: QualityFact) -> Figure:
    """The D-statistic of each run, by population; flagged runs are ringed and named."""
    looks = looks_of(fact.points)
    figure, axes = new_figure(5.1, max(2.4, 1.0 + 0.34 * len(looks)))
    of_point = list(zip(fact.points.superpopulations, fact.points.populations, strict=True))
    y = np.zeros(len(of_point))
    for row, (pair, (colour, marker)) in enumerate(looks.items()):
        here = np.array([one == pair for one in of_point])
        y[here] = row + _jitter(fact.d_statistics[here])
        x = fact.d_statistics[here]
        scatter(axes, x, y[here], len(of_point), s=14, color=colour, marker=marker, alpha=0.7)
    axes.set_yticks(range(len(looks)), [pair[1] or "not known" for pair in looks])
    axes.set_ylim(len(looks) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.08)
    axes.xaxis.grid(True)
    axes.set_xlabel("D-statistic: median correlation with the other runs")
    flagged = [i for i, flags in enumerate(fact.flags) if LOW_CORRELATION in flags]
    flagged.sort(key=lambda i: fact.d_statistics[i])
    _ring(figure, fact.d_statistics[flagged], y[flagged], [fact.points.names[i] for i in flagged])
    return figure


@styled
def draw_sex(fact: QualityFact) -> Figure:
    """Runs by their expression of XIST and of genes of Y, coloured by the stated sex; mismatches are ringed."""
    figure, axes = new_figure(5.1, 4.4)
    is_measured = np.isfinite(fact.xist) & np.isfinite(fact.y_expression)
    handles = []
    for sex, marker in (("female", "o"), ("male", "^"), (None, "s")):
        here = is_measured & np.array([one == sex for one in fact.sex_stated])
        if here.any():
            x, y, colour = fact.xist[here], fact.y_expression[here], SEX_COLOURS[sex]
            scatter(axes, x, y, len(fact.run_ids), s=18, color=colour, marker=marker, alpha=0.75)
            label = f"stated {sex} ({here.sum():,})" if sex else f"sex not known ({here.sum():,})"
            handles.append(make_mark(label, colour, marker))
    axes.margins(0.08)
    axes.grid(True)
    axes.set_xlabel(f"XIST{fact.scale and ', '}{fact.scale}")
    axes.set_ylabel(f"mean of genes of Y{fact.scale and ', '}{fact.scale}")
    wrong = [i for i, flags in enumerate(fact.flags) if SEX_MISMATCH in flags and is_measured[i]]
    _ring(figure, fact.xist[wrong], fact.y_expression[wrong], [fact.points.names[i] for i in wrong])
    if wrong:
        ring = make_mark("other than stated", ALARM, "o")
        ring.set(markerfacecolor="none", markersize=8)
        handles.append(ring)
    figure.legend(handles=handles, loc="outside lower center", ncols=2, handletextpad=0.2)
    return figure


def _ring(figure: Figure, x: Floats, y: Floats, names: Sequence[str]) -> None:
    axes = figure.axes[0]
    axes.scatter(x, y, s=70, facecolors="none", edgecolors=ALARM, linewidths=1.3)
    name_points(figure, axes, x, y, names)


def _jitter(values: Floats) -> Floats:
    """Up and down a little, by rank, so that points of one value do not hide each other."""
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return np.asarray((rank * 0.618034 % 1.0 - 0.5) * 0.62)
