"""Figures of mappings as a whole: p-values, and distances of the best variants from the TSS."""

from __future__ import annotations

from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import beta

from kgp.report.facts import Floats
from kgp.report.facts_mapping import QuantileFact, TopFact
from kgp.report.style import ALARM, BAR, CATEGORIES, FAINT, INK, new_figure, scatter, styled

N_BINS = 20
# Part of the order statistics of uniform p-values that the band of a QQ plot holds, at each rank.
BAND = 0.95
_COLOURS = (BAR, CATEGORIES[0], *CATEGORIES[2:])


@styled
def draw_quantiles(series: dict[str, QuantileFact], n_band: int | None) -> Figure:
    """Observed against expected -log10 p, a series of points for each pass.

    Args:
        series: what is said of it → the pass.
        n_band: number of independent p-values that a band is drawn for; None for no band.
    """
    figure, axes = new_figure()
    most = max(float(one.expected.max(initial=1.0)) for one in series.values())
    if n_band is not None:
        expected, least, greatest = find_band(n_band)
        axes.fill_between(expected, least, greatest, color=FAINT, linewidth=0)
    axes.plot([0, most], [0, most], color=INK, linewidth=0.8, linestyle="--")
    for colour, (name, one) in zip(cycle(_COLOURS), series.items(), strict=False):
        scatter(axes, one.expected, one.observed, one.expected.size, s=9, color=colour, label=name)
    axes.set_xlabel("−log10 p expected where nothing is associated")
    axes.set_ylabel("−log10 p observed")
    axes.set_ylim(bottom=0.0)
    axes.set_xlim(left=0.0)
    axes.grid(True)
    figure.legend(loc="outside lower center", handletextpad=0.2)
    return figure


def find_band(n: int) -> tuple[Floats, Floats, Floats]:
    """Expected -log10 p of some ranks of independent uniform p-values, and what 95 % of them lie between at each.

    Args:
        n: p-values.

    Source: the k-th smallest of n uniform numbers is Beta(k, n + 1 - k).

    >>> expected, least, greatest = find_band(1)
    >>> expected.round(3).tolist(), least.round(3).tolist(), greatest.round(3).tolist()
    ([0.301], [0.011], [1.602])
    """
    ranks = np.unique(np.rint(np.geomspace(n, 1, 200))).astype(np.int64)[::-1]
    tail = (1 - BAND) / 2
    p = [beta.ppf(share, ranks, n + 1 - ranks) for share in (1 - tail, tail)]
    return -np.log10(ranks / (n + 1)), -np.log10(p[0]), -np.log10(p[1])


@styled
def draw_p_values(p: Floats, pi0: float | None, noun: str) -> Figure:
    """Histogram of p-values; the line is where they would end if all phenotypes without a signal were alike.

    Args:
        p: one a phenotype or group.
        pi0: share of them without a signal, as estimated; None where it was not.
        noun: what they are of.
    """
    figure, axes = new_figure(5.1, 3.4)
    axes.hist(p, bins=N_BINS, range=(0.0, 1.0), color=BAR, edgecolor=FAINT, linewidth=0.4)
    if pi0 is not None:
        label = f"share without a signal, π0: {pi0:.2f}" if pi0 < 1 else "where none has a signal"
        axes.axhline(pi0 * p.size / N_BINS, color=ALARM, linewidth=1.2, label=label)
        axes.legend(loc="upper right")
    axes.set_xlabel("p of the best variant, by the beta approximation")
    axes.set_ylabel(f"{noun}s in each {1 / N_BINS:g}")
    axes.set_xlim(0.0, 1.0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axes.yaxis.grid(True)
    return figure


@styled
def draw_distances(top: TopFact, window: int | None, noun: str) -> Figure:
    """Histogram of where the best variants of significant phenotypes lie.

    Args:
        top: the permutation pass, with a significant phenotype.
        window: bp to each side that were searched; None where not known.
        noun: what is significant.
    """
    figure, axes = new_figure(5.1, 3.4)
    distances = top.distances[top.is_egene] / 1e3
    reach = max(float(np.abs(distances).max()), 1.0) if not window else window / 1e3
    axes.hist(distances, bins=2 * N_BINS, range=(-reach, reach), color=BAR, edgecolor=FAINT, linewidth=0.4)
    axes.axvline(0.0, color=INK, linewidth=0.8, linestyle=":")
    axes.annotate(
        "TSS", (0.0, 1.0), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points", ha="center"
    )
    axes.set_xlim(-reach, reach)
    axes.set_xlabel("variant minus TSS, kb along the contig")
    axes.set_ylabel(f"significant {noun}s in each {reach / N_BINS:.3g} kb")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axes.yaxis.grid(True)
    return figure
