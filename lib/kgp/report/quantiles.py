"""Observed p-values against expected ones, from counts: a hundred million pairs fit into a few thousand numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from kgp.report.facts import Floats
from kgp.report.facts_mapping import QuantileFact

# Bins of -log10 p: fine enough that a figure can't show the difference.
_WIDTH = 0.002
_N_BINS = 500_000
# The smallest p-values, which stand alone in a figure, are kept as they are.
_N_EXACT = 1_000
# Points of the rest.
_N_POINTS = 400
_MEDIAN = float(chi2.ppf(0.5, 1))


class PCounts:
    """Counts of p-values, a batch at a time.

    >>> counts = PCounts()
    >>> counts.add(-np.log10((np.arange(999) + 1) / 1000))
    >>> fact = counts.quantiles()
    >>> fact.n, round(fact.inflation, 2), bool(np.abs(fact.observed - fact.expected).max() < 0.01)
    (999, 1.0, True)
    """

    def __init__(self) -> None:
        self.n = 0
        self._bins: NDArray[np.int64] = np.zeros(_N_BINS + 1, dtype=np.int64)
        self._greatest: Floats = np.empty(0)

    def add(self, neg_log10_p: Floats) -> None:
        """Count some p-values in.

        Args:
            neg_log10_p: -log10 of them; none missing.
        """
        self.n += neg_log10_p.size
        places = np.minimum(neg_log10_p / _WIDTH, _N_BINS).astype(np.int64)
        self._bins += np.bincount(places, minlength=_N_BINS + 1)
        both = np.concatenate([self._greatest, neg_log10_p])
        if both.size > _N_EXACT:
            both = np.partition(both, both.size - _N_EXACT)[-_N_EXACT:]
        self._greatest = both

    def quantiles(self) -> QuantileFact:
        """Points of a QQ plot: the smallest p-values one by one, the others at evenly spaced expected values."""
        exact = np.sort(self._greatest)[::-1]
        ranks = np.arange(1, exact.size + 1, dtype=np.float64)
        expected, observed = -np.log10(ranks / (self.n + 1)), exact
        if self.n > exact.size:
            above = self.n - np.cumsum(self._bins)  # p-values beyond each bin's upper edge
            spread = 10.0 ** -np.linspace(0.0, float(expected[-1]), _N_POINTS, endpoint=False)
            more = np.clip(spread * (self.n + 1), exact.size, self.n)
            at = np.searchsorted(-above, -more, side="right")
            expected = np.concatenate([expected, -np.log10(more / (self.n + 1))])
            observed = np.concatenate([observed, (at + 0.5) * _WIDTH])
        order = np.argsort(expected, kind="stable")
        return QuantileFact(self.n, expected[order], observed[order], self._inflation())

    def _inflation(self) -> float:
        if not self.n:
            return float("nan")
        if self.n <= _N_EXACT:
            median = float(np.median(self._greatest))
        else:
            middle = int(np.searchsorted(np.cumsum(self._bins), self.n / 2))
            median = (middle + 0.5) * _WIDTH
        return float(chi2.isf(10.0**-median, 1)) / _MEDIAN
