"""Figures of what was left out: of a matrix set, step by step, and of the loaded files."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from kgp.report.facts import QuarantineFact
from kgp.report.style import ALARM, BAR, INK, new_figure, styled

# Bars of a figure; the table has all of them.
MOST_REASONS = 12


@styled
def draw_steps(kind: str, n_kept: int, dropped: Mapping[str, int]) -> Figure:
    """What there was, what each reason took away, and what is left: a waterfall.

    Args:
        kind: people, phenotypes or variants.
        n_kept: how many are in the set.
        dropped: why → how many, in the order of the steps.
    """
    reasons = list(dropped.items())
    total = n_kept + sum(dropped.values())
    figure, axes = new_figure(5.1, 1.05 + 0.4 * (len(reasons) + 2))
    labels, left = ["considered"], total
    axes.barh(0, total, 0.62, color=BAR)
    axes.annotate(f"{total:,}", (total, 0), (3, 0), textcoords="offset points", va="center")
    for row, (reason, n) in enumerate(reasons, start=1):
        axes.barh(row, n, 0.62, left=left - n, color=ALARM)
        axes.plot([left, left], [row - 1 + 0.31, row + 0.31], color=INK, linewidth=0.6)
        axes.annotate(f"−{n:,}", (left, row), (3, 0), textcoords="offset points", va="center")
        labels.append(_wrapped(reason))
        left -= n
    axes.plot([left, left], [len(reasons) + 0.31, len(reasons) + 0.69], color=INK, linewidth=0.6)
    axes.barh(len(reasons) + 1, n_kept, 0.62, color=BAR)
    axes.annotate(f"{n_kept:,}", (n_kept, len(reasons) + 1), (3, 0), textcoords="offset points", va="center")
    labels.append("in the set")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(0, max(total, 1) * 1.2)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.grid(True)
    axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel(kind)
    return figure


@styled
def draw_quarantine(rows: Sequence[QuarantineFact]) -> Figure:
    """Records that could not be loaded, by reason, over all files."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.reason] = counts.get(row.reason, 0) + row.n
    shown = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:MOST_REASONS]
    labels = [_wrapped(reason, 34) for reason, _ in shown]
    n_lines = sum(label.count("\n") + 1 for label in labels)
    figure, axes = new_figure(5.1, 0.9 + 0.17 * n_lines + 0.14 * len(shown))
    at = np.arange(len(shown))
    axes.barh(at, [n for _, n in shown], 0.62, color=ALARM)
    for place, (_, n) in zip(at, shown, strict=True):
        axes.annotate(f"{n:,}", (n, place), (3, 0), textcoords="offset points", va="center")
    axes.set_yticks(at, labels)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(0, max(n for _, n in shown) * 1.2)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.grid(True)
    axes.locator_params(axis="x", nbins=4, integer=True)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("records")
    return figure


def _wrapped(text: str, width: int = 26) -> str:
    """Text in lines of a label, three at most."""
    lines = textwrap.wrap(text, width) or [text]
    return "\n".join(lines[:3]) + ("…" if len(lines) > 3 else "")
