"""Figures of genotypes: components, and the allele frequency spectrum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from kgp.report.facts import Counts, PeoplePoints
from kgp.report.points import scatter_people
from kgp.report.spectrum import BINS
from kgp.report.style import new_figure, styled


@styled
def draw_components(points: PeoplePoints, first: int, second: int) -> Figure:
    """People on two components, coloured by superpopulation, with a mark of their own a population.

    Args:
        points: the people.
        first, second: places of the components, from 0.
    """
    figure, axes = new_figure(5.1, 5.0)
    scatter_people(figure, axes, points, first, second)
    return figure


@styled
def draw_spectrum(series: Mapping[str, Counts], colours: Sequence[str]) -> Figure:
    """Of each series, the part of its polymorphic alleles that falls into each bin of frequency.

    Args:
        series: name → alleles in each bin.
        colours: of the series.
    """
    figure, axes = new_figure(5.1, 3.5)
    shown = {name: counts[1:] for name, counts in series.items() if sum(counts[1:])}
    at, width = np.arange(len(BINS) - 1), 0.84 / max(len(shown), 1)
    for number, (name, counts) in enumerate(shown.items()):
        part = 100 * np.array(counts) / sum(counts)
        places = at + (number - (len(shown) - 1) / 2) * width
        axes.bar(places, part, width * 0.94, color=colours[number], label=f"{name} ({sum(counts):,})")
    axes.set_xticks(at, BINS[1:], rotation=35, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", length=0)
    axes.yaxis.grid(True)
    axes.set_ylabel("% of polymorphic alleles")
    axes.set_xlabel("minor allele: copies, then frequency")
    figure.legend(loc="outside upper center", ncols=min(len(shown), 3), handlelength=1.0, columnspacing=1.4)
    return figure
