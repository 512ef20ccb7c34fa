"""Figures of one phenotype: the variants near it, and its values by the genotype of the best one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from kgp.report.facts import Floats
from kgp.report.facts_mapping import LocusFact
from kgp.report.style import ALARM, BAR, INK, SEX_COLOURS, new_figure, scatter, styled

# Colours of variants by their correlation with the best one, as locus plots have them.
R2_COLOURS = ((0.8, "#d55e00"), (0.6, "#e69f00"), (0.4, "#009e73"), (0.2, "#56b4e9"), (0.0, "#332288"))
BEST = "#cc79a7"
# Points of a figure above which those that lie on one another, to a third of their size, are drawn once.
MOST_POINTS = 4_000
_N_CELLS = (240, 150)
# People of a genotype below which points alone are drawn: a box of four is no more than they are.
MIN_BOX = 5
# Longest name in a figure.
_N_LETTERS = 28


@dataclass(frozen=True, eq=False)
class People:
    """Some people in a figure of boxes.

    Args:
        copies: of ALT, expected ones rounded.
        sex: of them, where men have one copy of the variant and women two, or not known; None where all have two.
        dosages, values: of each.
    """

    copies: int
    sex: str | None
    dosages: Floats
    values: Floats


@styled
def draw_locus(locus: LocusFact) -> Figure:
    """Each variant's -log10 p by position, coloured by its correlation with the best one."""
    figure, axes = new_figure(5.1, 4.4)
    places = locus.pos / 1e6
    is_drawn = choose_points(places, locus.neg_log10_p)
    is_drawn[locus.best] = False
    above = 1.01
    for least, colour in R2_COLOURS:
        here = is_drawn & (locus.r2 >= least) & (locus.r2 < above)
        label = f"r² ≥ {least:g}" if least else f"r² < {above:g}"
        above = least
        n_all = int(is_drawn.sum())
        scatter(axes, places[here], locus.neg_log10_p[here], n_all, s=10, color=colour, label=label)
    at = slice(locus.best, locus.best + 1)
    name = shorten(locus.variant_ids[locus.best])
    look = {"s": 46, "color": BEST, "marker": "D", "label": f"best: {name}", "zorder": 3}
    scatter(axes, places[at], locus.neg_log10_p[at], 1, **look)
    _mark_tss(axes, locus)
    if locus.p_threshold:
        whose = "gene" if locus.judged is None or locus.judged.group_id is None else "group"
        label = f"threshold of the {whose}: p {locus.p_threshold:.2g}"
        axes.axhline(-np.log10(locus.p_threshold), color=ALARM, linewidth=1.0, linestyle="--", label=label)
    axes.set_xlabel(f"position on {locus.contig}, Mb ({locus.build})")
    axes.set_ylabel("−log10 p")
    axes.set_ylim(bottom=0.0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.grid(True)
    figure.legend(loc="outside lower center", ncols=2, handletextpad=0.2, columnspacing=1.2)
    return figure


def choose_points(x: Floats, y: Floats) -> NDArray[np.bool_]:
    """Which points are drawn: all of few; of many the uppermost of those that lie on one another.

    Args:
        x, y: places.
    """
    if x.size <= MOST_POINTS:
        return np.ones(x.size, dtype=np.bool_)
    cells = [
        np.floor((values - values.min()) / max(float(np.ptp(values)), 1e-300) * n).astype(np.int64)
        for values, n in zip((x, y), _N_CELLS, strict=True)
    ]
    order = np.argsort(-y, kind="stable")
    _, first = np.unique((cells[0] * (_N_CELLS[1] + 1) + cells[1])[order], return_index=True)
    is_drawn = np.zeros(x.size, dtype=np.bool_)
    is_drawn[order[first]] = True
    return is_drawn


@styled
def draw_boxes(locus: LocusFact) -> Figure:
    """The phenotype's values by genotype of the best variant: boxes, and each person as a point.

    Where genotypes are expected copies, people stand at theirs, and a line is fitted instead of boxes.
    """
    figure, axes = new_figure(5.1, 4.4)
    groups = list(group_people(locus))
    if locus.is_expected:
        _draw_expected(axes, groups)
        axes.set_xlabel(f"expected copies of {shorten(locus.alleles[1], 8)}, {_name_best(locus)}")
    else:
        _draw_copies(axes, groups)
        axes.set_xticks(*_label_copies(locus, groups))
        axes.set_xlabel(f"genotype of {_name_best(locus)}")
    axes.set_xlim(-0.6, 2.6)
    axes.set_ylabel(f"{shorten(locus.gene_name or locus.phenotype_id)}, as mapped")
    axes.yaxis.grid(True)
    if locus.sexes is not None or locus.is_expected:
        figure.legend(loc="outside lower center", ncols=3, handletextpad=0.2, columnspacing=1.2)
    return figure


def group_people(locus: LocusFact) -> Iterator[People]:
    """People with a genotype and a value, by copies of ALT (expected ones rounded) and sex, where it matters."""
    sexes = locus.sexes or (None,) * locus.values.size
    order = {"female": 0, "male": 1}
    for copies in range(3):
        for sex in sorted(set(sexes), key=lambda one: order.get(one or "", 2)):
            is_of = np.array([one == sex for one in sexes])
            here = locus.is_known & is_of & (np.rint(np.nan_to_num(locus.dosages)) == copies)
            if here.any():
                yield People(copies, sex, locus.dosages[here], locus.values[here])


def shorten(name: str, most: int = _N_LETTERS) -> str:
    """A name as it fits into a figure.

    >>> shorten("22_41256802_ACCCCCCCCCCCCCCCCCCCCCCCCCCT_A", 12)
    '22_41256802…'
    """
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _mark_tss(axes: Axes, locus: LocusFact) -> None:
    """The TSS, and which way the gene is read."""
    axes.axvline(locus.tss / 1e6, color=INK, linewidth=0.8, linestyle=":")
    text = {"+": "TSS →", "-": "← TSS"}.get(locus.strand or "", "TSS")
    side = {"+": "left", "-": "right"}.get(locus.strand or "", "center")
    at = (locus.tss / 1e6, 1.0)
    axes.annotate(text, at, (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points", ha=side)


def _name_best(locus: LocusFact) -> str:
    return shorten(locus.variant_ids[locus.best])


def _colour(sex: str | None, locus_has_sexes: bool) -> str:
    return SEX_COLOURS[sex] if locus_has_sexes else BAR


def _draw_copies(axes: Axes, groups: list[People]) -> None:
    """A box for each genotype of enough people, and the people as points."""
    by_sex = len({one.sex for one in groups}) > 1 or groups[0].sex is not None
    shifts = {"female": -0.2, "male": 0.2} if by_sex else {}
    named: set[str | None] = set()
    for one in groups:
        place, width = one.copies + shifts.get(one.sex or "", 0.0), 0.34 if by_sex else 0.5
        if one.values.size >= MIN_BOX:
            axes.boxplot(
                [one.values],
                positions=[place],
                widths=width,
                showfliers=False,
                medianprops={"color": ALARM, "linewidth": 1.6},
                boxprops={"color": INK},
                whiskerprops={"color": INK},
                capprops={"color": INK},
                manage_ticks=False,
            )
        # Points beside each other, in an order that is always the same.
        shift = 0.68 * width * ((np.arange(one.values.size) * 0.618034) % 1.0 - 0.5)
        label = None if not by_sex or one.sex in named else _name_sex(one.sex)
        named.add(one.sex)
        look = {"s": 9, "color": _colour(one.sex, by_sex), "alpha": 0.7, "label": label}
        scatter(axes, place + shift, one.values, one.values.size, **look)


def _draw_expected(axes: Axes, groups: list[People]) -> None:
    """People at their expected copies, and the line of least squares."""
    by_sex = len({one.sex for one in groups}) > 1
    for sex in dict.fromkeys(one.sex for one in groups):
        x = np.concatenate([one.dosages for one in groups if one.sex == sex])
        y = np.concatenate([one.values for one in groups if one.sex == sex])
        label = _name_sex(sex) if by_sex else None
        scatter(axes, x, y, x.size, s=9, color=_colour(sex, by_sex), alpha=0.7, label=label)
    x = np.concatenate([one.dosages for one in groups])
    y = np.concatenate([one.values for one in groups])
    if np.ptp(x) > 0:
        slope = float(np.polyfit(x, y, 1)[0])
        ends = np.array([x.min(), x.max()])
        label = "least squares, covariates not taken out"
        axes.plot(ends, y.mean() + slope * (ends - x.mean()), color=ALARM, linewidth=1.6, label=label)
    axes.set_xticks([0, 1, 2])


def _name_sex(sex: str | None) -> str:
    return {"female": "women", "male": "men"}.get(sex or "", "sex not known")


def _label_copies(locus: LocusFact, groups: list[People]) -> tuple[list[int], list[str]]:
    """Genotypes below their boxes, with the people who have them."""
    ref, alt = (shorten(allele, 8 if locus.sexes is None else 4) for allele in locus.alleles)
    names = {0: f"{ref}/{ref}", 1: f"{ref}/{alt}", 2: f"{alt}/{alt}"}
    labels = []
    copies = sorted({one.copies for one in groups})
    for n in copies:
        here = [one for one in groups if one.copies == n]
        # A man's one copy, whatever it counts, is his genotype.
        hemizygous = {ref if n == 0 else alt for one in here if one.sex == "male"}
        diploid = {names[n] for one in here if one.sex != "male"}
        people = " + ".join(f"{one.values.size:,}" for one in here)
        labels.append(f"{' or '.join([*sorted(diploid), *sorted(hemizygous)])}\nn = {people}")
    return copies, labels
