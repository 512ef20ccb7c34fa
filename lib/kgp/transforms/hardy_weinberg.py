"""Hardy-Weinberg exact test of many variants at once. Pure numpy.

The two-sided test of Wigginton, Cutler and Abecasis (Am J Hum Genet 2005, 76:887), without mid-p, as `bcftools
+fill-tags` and `plink2 --hardy` compute it. Given n diploid genotypes with m copies of the rarer allele, the number of
heterozygotes h (of m's parity) has the probability ::

    P(h) = n! / (r! h! c!) · 2^h · m! (2n - m)! / (2n)!        r = (m - h) / 2,  c = n - h - r
    P(h + 2) / P(h) = 4 r c / ((h + 2) (h + 1))

and p is the sum of all P that are not greater than that of the observed h. P has one peak, and from there it is
multiplied out to both sides with that ratio, so that its relative error is a few rounding errors even in a tail of
1e-300, and equal probabilities of the two sides are found equal.

The distributions of (n, m) are kept from call to call, because the same few thousand come again in every block of a
file.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Two probabilities are equal where they differ by less: far above the rounding of the products (1e-14), far below
# the difference of any two that are not equal.
_TIE = 1e-12

# Probabilities that are kept (all of 3,202 samples are 2.6 million; 64 MB), and that are computed in one go.
_CAPACITY = 4_000_000
_BLOCK = 1 << 15


def exact_p(n_hom_ref: npt.ArrayLike, n_het: npt.ArrayLike, n_hom_alt: npt.ArrayLike) -> Floats:
    """The p-value of each table of genotypes; it is the same when the alleles change places.

    >>> exact_p([5, 0, 1469], [0, 0, 138], [5, 0, 5]).round(9).tolist()
    [0.001363961, nan, 0.382518667]

    Args:
        n_hom_ref: samples without the allele; an array of any shape.
        n_het: samples with one copy, in the same shape.
        n_hom_alt: samples with two copies, in the same shape.

    Returns:
        p in 0 … 1 in that shape; NaN where there is no genotype, 0 where a double can not say how small it is (1e-308).
    """
    shape = np.shape(n_het)
    hom_ref, het, hom_alt = (np.ravel(counts).astype(np.int64) for counts in (n_hom_ref, n_het, n_hom_alt))
    n = hom_ref + het + hom_alt
    m = 2 * np.minimum(hom_ref, hom_alt) + het
    p = np.where(n > 0, 1.0, np.nan)
    varying = np.flatnonzero(m > 0)
    keys, which = np.unique(n[varying] << 32 | m[varying], return_inverse=True)
    # As many distributions at a time as can be kept: with few samples, or without missing genotypes, all of them.
    turn = np.cumsum(_sizes(keys)) // _CAPACITY
    for one in range(int(turn[-1]) + 1 if keys.size else 0):
        first, last = np.searchsorted(turn, (one, one + 1))
        rows = varying if last - first == keys.size else varying[(which >= first) & (which < last)]
        places = which if last - first == keys.size else which[(which >= first) & (which < last)] - first
        with _LOCK:
            p[rows] = _KEPT.look_up(keys[first:last], places, het[rows])
    return p.reshape(shape)


@dataclass(frozen=True)
class _Spans:
    """Where the distributions of some (n, m) stand: P(peak), P(peak + 2), … and P(peak - 2), P(peak - 4), ….

    Args:
        keys: n << 32 | m, ascending.
        peak: the h with the greatest probability.
        above, n_above: place and number of the probabilities from the peak upwards; a zero follows them.
        below, n_below: the same downwards, without the peak.
    """

    keys: Ints
    peak: Ints
    above: Ints
    n_above: Ints
    below: Ints
    n_below: Ints

    def take(self, places: npt.NDArray[np.intp]) -> _Spans:
        """Those only."""
        return _Spans(*(column[places] for column in self._columns()))

    def merge(self, other: _Spans) -> _Spans:
        """Both, in the order of their keys."""
        columns = zip(self._columns(), other._columns(), strict=True)
        both = _Spans(*(np.concatenate(pair) for pair in columns))
        return both.take(np.argsort(both.keys))

    def _columns(self) -> tuple[Ints, ...]:
        return (self.keys, self.peak, self.above, self.n_above, self.below, self.n_below)


class _Distributions:
    """Distributions that have been computed: each probability, and the sum of it and all that lie further out."""

    def __init__(self) -> None:
        self._forget(_CAPACITY)

    def _forget(self, capacity: int) -> None:
        # Memory that is not written to is not taken from the machine.
        self.probabilities, self.tails, self.used = np.empty(capacity), np.empty(capacity), 0
        self.spans = _Spans(*(np.empty(0, dtype=np.int64) for _ in range(6)))

    def look_up(self, keys: Ints, places: npt.NDArray[np.intp], het: Ints) -> Floats:
        """p of each row.

        Args:
            keys: n << 32 | m of the distributions, ascending.
            places: which of these each row has.
            het: observed heterozygotes of each row.
        """
        spans = self._find(keys).take(places)
        is_above = het >= spans.peak
        steps = np.where(is_above, het - spans.peak, spans.peak - 2 - het) // 2
        own = np.where(is_above, spans.above, spans.below) + steps
        opposite = np.where(is_above, spans.below, spans.above)
        first = self._first_not_greater(
            self.probabilities[own] * (1 + _TIE), opposite, np.where(is_above, spans.n_below, spans.n_above)
        )
        p: Floats = np.minimum(self.tails[own] + self.tails[opposite + first], 1.0)
        return p

    def _first_not_greater(self, bound: Floats, begin: Ints, length: Ints) -> Ints:
        """By bisection, the first of each row's falling probabilities that is not greater than its bound."""
        low, high = np.zeros_like(length), length
        for _ in range(int(length.max(initial=0)).bit_length()):
            middle = (low + high) // 2
            is_not_greater = self.probabilities[begin + middle] <= bound
            low, high = np.where(is_not_greater, low, middle + 1), np.where(is_not_greater, middle, high)
        return high

    def _find(self, keys: Ints) -> _Spans:
        """The distributions of these keys; those that are not there yet are computed."""
        new = keys[~np.isin(keys, self.spans.keys, assume_unique=True)]
        if new.size:
            spans = _measure(new)
            if self.used + _room(spans) > self.probabilities.size:
                spans = _measure(keys)
                self._forget(max(_CAPACITY, _room(spans)))
            self._compute(spans)
        return self.spans.take(np.searchsorted(self.spans.keys, keys))

    def _compute(self, spans: _Spans) -> None:
        for first, last in _blocks(spans):
            block = spans.take(np.arange(first, last))
            n, m, peak = block.keys >> 32, block.keys & 0xFFFFFFFF, block.peak.astype(np.float64)
            above, tails_above = self._take_room(block.n_above, spans.above[first:last])
            below, tails_below = self._take_room(block.n_below, spans.below[first:last])
            h = peak[:, None] + 2 * np.arange(above.shape[1] - 1)
            above[:, 0] = 1.0
            above[:, 1:] = (m[:, None] - h) * ((2 * n - m)[:, None] - h) / ((h + 2) * (h + 1))
            h = peak[:, None] - 2 * np.arange(below.shape[1])
            below[:] = h * (h - 1) / ((m[:, None] - h + 2) * ((2 * n - m)[:, None] - h + 2))
            for half, tails in ((above, tails_above), (below, tails_below)):
                np.cumprod(half, axis=1, out=half)
                np.cumsum(half[:, ::-1], axis=1, out=tails[:, ::-1])
            total = tails_above[:, :1] + tails_below[:, :1]
            for part in (above, below, tails_above, tails_below):
                part /= total
        self.spans = self.spans.merge(spans)

    def _take_room(self, lengths: Ints, places: Ints) -> tuple[Floats, Floats]:
        """Matrices for probabilities and tails, a row each distribution; `places` gets where the rows lie."""
        shape = (lengths.size, int(lengths.max()) + 1)
        begin, self.used = self.used, self.used + shape[0] * shape[1]
        places[:] = begin + shape[1] * np.arange(shape[0])
        room = slice(begin, self.used)
        return self.probabilities[room].reshape(shape), self.tails[room].reshape(shape)


def _sizes(keys: Ints) -> Ints:
    """Room that each distribution takes: its h and a zero at both ends."""
    return (keys & 0xFFFFFFFF) // 2 + 3


def _measure(keys: Ints) -> _Spans:
    """Peak and lengths of distributions that have no place yet, the longest first.

    P(h) >= P(h - 2) where h (2n + 3) <= (m + 2) (2n - m + 2), which the ratio says.
    """
    keys = keys[np.argsort(-(keys & 0xFFFFFFFF), kind="stable")]
    n, m = keys >> 32, keys & 0xFFFFFFFF
    peak = np.minimum((m + 2) * (2 * n - m + 2) // (2 * n + 3), m)
    peak -= (m - peak) % 2
    nowhere = np.zeros_like(keys)
    return _Spans(keys, peak, nowhere, (m - peak) // 2 + 1, nowhere.copy(), (peak - m % 2) // 2)


def _blocks(spans: _Spans) -> list[tuple[int, int]]:
    """Distributions of like length, as many together as the processor's cache holds."""
    sizes, bounds, first = _sizes(spans.keys), [], 0
    while first < sizes.size:
        last = min(first + max(1, _BLOCK // int(sizes[first])), sizes.size)
        bounds.append((first, last))
        first = last
    return bounds


def _room(spans: _Spans) -> int:
    return sum(
        (last - first) * int(lengths[first:last].max() + 1)
        for first, last in _blocks(spans)
        for lengths in (spans.n_above, spans.n_below)
    )


_KEPT = _Distributions()
_LOCK = threading.Lock()
