"""Figures of mappings: p-values as a whole, distances, and one gene's locus and boxes."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kgp.report.facts import Floats
from kgp.report.facts_mapping import LocusFact, QuantileFact, TopFact
from kgp.report.style import ALARM, BAR, CATEGORIES, FAINT, INK, new_figure, scatter, styled

N_BINS = 20
# Colours of variants by their correlation with the best one, as locus plots have them.
R2_COLOURS = ((0.8, "#d55e00"), (0.6, "#e69f00"), (0.4, "#009e73"), (0.2, "#56b4e9"), (0.0, "#332288"))
BEST = "#cc79a7"


@styled
def draw_quantiles(series: dict[str, QuantileFact]) -> Figure:
    """Observed against expected -log10 p, a series of points for each pass."""
    figure, axes = new_figure()
    most = max(float(one.expected.max(initial=1.0)) for one in series.values())
    axes.plot([0, most], [0, most], color=INK, linewidth=0.8, linestyle="--")
    for colour, (name, one) in zip((BAR, CATEGORIES[0]), series.items(), strict=False):
        scatter(axes, one.expected, one.observed, one.expected.size, s=9, color=colour, label=name)
    axes.set_xlabel("−log10 p expected where nothing is associated")
    axes.set_ylabel("−log10 p observed")
    axes.legend(loc="upper left")
    axes.grid(True)
    return figure


@styled
def draw_p_values(p: Floats, pi0: float | None) -> Figure:
    """Histogram of p-values; the line is where they would end if all phenotypes without a signal were alike."""
    figure, axes = new_figure(5.1, 3.4)
    axes.hist(p, bins=N_BINS, range=(0.0, 1.0), color=BAR, edgecolor=FAINT, linewidth=0.4)
    if pi0 is not None:
        axes.axhline(
            pi0 * p.size / N_BINS, color=ALARM, linewidth=1.2, label=f"share without a signal: {pi0:.2f}"
        )
        axes.legend(loc="upper right")
    axes.set_xlabel("p of the best variant, by the beta approximation")
    axes.set_ylabel("phenotypes")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axes.yaxis.grid(True)
    return figure


@styled
def draw_distances(top: TopFact) -> Figure:
    """Histogram of where the best variants of significant phenotypes lie."""
    figure, axes = new_figure(5.1, 3.4)
    distances = top.distances[top.is_egene] / 1e3
    reach = max(float(np.abs(distances).max(initial=0.0)), 1.0)
    axes.hist(
        distances, bins=2 * N_BINS + 1, range=(-reach, reach), color=BAR, edgecolor=FAINT, linewidth=0.4
    )
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_xlabel("variant minus TSS, kb along the contig")
    axes.set_ylabel("significant phenotypes")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axes.yaxis.grid(True)
    return figure


@styled
def draw_locus(locus: LocusFact) -> Figure:
    """Each variant's -log10 p by position, coloured by its correlation with the best one."""
    figure, axes = new_figure(5.1, 4.2)
    places = locus.pos / 1e6
    above = 1.01
    for least, colour in R2_COLOURS:
        here = (locus.r2 >= least) & (locus.r2 < above)
        above = least
        here[locus.best] = False
        scatter(
            axes,
            places[here],
            locus.neg_log10_p[here],
            locus.n_variants,
            s=10,
            color=colour,
            label=f"r² ≥ {least:g}",
        )
    at = slice(locus.best, locus.best + 1)
    scatter(
        axes,
        places[at],
        locus.neg_log10_p[at],
        1,
        s=46,
        color=BEST,
        marker="D",
        label=locus.variant_ids[locus.best],
    )
    axes.axvline(locus.tss / 1e6, color=INK, linewidth=0.8, linestyle=":")
    at_top = ("data", "axes fraction")
    axes.annotate("TSS", (locus.tss / 1e6, 1.0), (3, -9), xycoords=at_top, textcoords="offset points")
    if locus.p_threshold:
        axes.axhline(-np.log10(locus.p_threshold), color=ALARM, linewidth=1.0, linestyle="--")
    axes.set_xlabel(f"position on {locus.contig}, Mb")
    axes.set_ylabel("−log10 p")
    axes.set_ylim(bottom=0.0)
    axes.grid(True)
    figure.legend(loc="outside lower center", ncols=3, handletextpad=0.2, columnspacing=1.2)
    return figure


@styled
def draw_boxes(locus: LocusFact) -> Figure:
    """The phenotype's values by genotype of the best variant: boxes, and each person as a point."""
    figure, axes = new_figure(5.1, 4.2)
    groups = group_by_copies(locus)
    ref, alt = (allele if len(allele) <= 8 else f"{allele[:7]}…" for allele in locus.alleles)
    names = {0: f"{ref}/{ref}", 1: f"{ref}/{alt}", 2: f"{alt}/{alt}"}
    axes.boxplot(
        [values for _, values in groups],
        positions=[copies for copies, _ in groups],
        widths=0.5,
        showfliers=False,
        medianprops={"color": ALARM, "linewidth": 1.6},
        boxprops={"color": INK},
        whiskerprops={"color": INK},
        capprops={"color": INK},
    )
    for copies, values in groups:
        # Points beside each other, in an order that is always the same.
        shift = 0.34 * ((np.arange(values.size) * 0.618034) % 1.0 - 0.5)
        scatter(axes, copies + shift, values, values.size, s=9, color=BAR, alpha=0.7)
    axes.set_xticks([copies for copies, _ in groups], [f"{names[c]}\n{v.size:,}" for c, v in groups])
    axes.set_xlim(-0.6, 2.6)
    axes.set_xlabel(f"{locus.variant_ids[locus.best]}, people below")
    axes.set_ylabel(f"{locus.gene_name or locus.phenotype_id}, as mapped")
    axes.yaxis.grid(True)
    return figure


def group_by_copies(locus: LocusFact) -> list[tuple[int, Floats]]:
    """Copies of ALT (expected ones rounded) → values of the people who have them, where there are any."""
    known = ~np.isnan(locus.dosages) & ~np.isnan(locus.values)
    copies = np.rint(locus.dosages[known]).astype(np.int64)
    values = locus.values[known]
    return [(n, values[copies == n]) for n in range(3) if (copies == n).any()]
