"""Figures of people: how many of each population, and the overlap of callsets and datasets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from kgp.report.facts import PopulationFact
from kgp.report.overlap import Overlap
from kgp.report.style import BAR, FAINT, INK, SUPERPOPULATION_COLOURS, new_figure, styled

# Combinations that the figure shows; the table has all.
MOST_INTERSECTIONS = 24


@styled
def draw_populations(populations: Sequence[PopulationFact]) -> Figure:
    """A bar a population, coloured by superpopulation, with the number of people."""
    figure, axes = new_figure(5.1, 0.9 + 0.23 * len(populations))
    at = np.arange(len(populations))
    n_people = [one.n_people for one in populations]
    axes.barh(at, n_people, 0.76, color=[SUPERPOPULATION_COLOURS[p.superpopulation] for p in populations])
    for place, n in zip(at, n_people, strict=True):
        axes.annotate(f"{n:,}", (n, place), (3, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.set_yticks(at, [one.population or "not known" for one in populations])
    axes.set_ylim(len(populations) - 0.4, -0.6)
    axes.set_xlim(0, max(n_people) * 1.12)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.grid(True)
    axes.set_xlabel("people")
    there = list(dict.fromkeys(one.superpopulation for one in populations))
    figure.legend(
        handles=[Patch(color=SUPERPOPULATION_COLOURS[name], label=name or "none") for name in there],
        loc="outside upper center",
        ncols=len(there),
        handlelength=1.0,
        columnspacing=1.4,
    )
    return figure


@styled
def draw_overlap(overlap: Overlap) -> Figure:
    """An UpSet plot, lying on its side: a row a combination of sets, a column a set.

    Source: Lex et al. 2014.
    """
    shown = overlap.intersections[:MOST_INTERSECTIONS]
    n_sets = len(overlap.sets)
    figure = Figure(figsize=(5.2, 1.95 + 0.25 * len(shown)), layout="constrained")
    grid = figure.add_gridspec(
        2, 2, height_ratios=(0.75, 0.25 * len(shown) + 0.15), width_ratios=(0.31 * n_sets + 0.1, 2.7)
    )
    matrix = figure.add_subplot(grid[1, 0])
    sizes = figure.add_subplot(grid[0, 0], sharex=matrix)
    bars = figure.add_subplot(grid[1, 1], sharey=matrix)
    at, columns = np.arange(len(shown)), np.arange(n_sets)

    sizes.bar(columns, overlap.sizes, 0.62, color=INK)
    for column, n in zip(columns, overlap.sizes, strict=True):
        sizes.annotate(f"{n:,}", (column, n), (0, 2), textcoords="offset points", ha="center", fontsize=8.5)
    sizes.set_ylim(0, max(overlap.sizes) * 1.05)
    sizes.axis("off")

    for place in at[::2]:
        matrix.axhspan(place - 0.5, place + 0.5, color=FAINT, alpha=0.45, linewidth=0)
    for place, (flags, _) in zip(at, shown, strict=True):
        inside = columns[np.array(flags)]
        matrix.scatter(columns, [place] * n_sets, s=34, color=FAINT, linewidths=0)
        matrix.plot([inside.min(), inside.max()], [place, place], color=INK, linewidth=1.8)
        matrix.scatter(inside, [place] * len(inside), s=34, color=INK, linewidths=0, zorder=3)
    matrix.set_xlim(-0.55, n_sets - 0.45)
    matrix.set_ylim(len(shown) - 0.5, -0.5)
    matrix.set_xticks(
        columns, [name for name, _ in overlap.sets], rotation=60, ha="right", rotation_mode="anchor"
    )
    matrix.set_yticks([])
    matrix.tick_params(length=0)
    matrix.spines[:].set_visible(False)

    n_people = [n for _, n in shown]
    bars.barh(at, n_people, 0.66, color=BAR)
    for place, n in zip(at, n_people, strict=True):
        bars.annotate(f"{n:,}", (n, place), (3, 0), textcoords="offset points", va="center", fontsize=8.5)
    bars.set_xlim(0, max(n_people) * 1.18)
    bars.tick_params(axis="y", length=0, labelleft=False)
    bars.xaxis.grid(True)
    bars.set_xlabel("people in exactly these sets")
    return figure
