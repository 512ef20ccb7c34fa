"""Tails of beta distributions, and the one that stands for the best of many correlated tests.

The two-sided p of a correlation is a tail of a beta distribution: with f degrees of freedom, p = I_{1-r²}(f/2, 1/2).
The least p of a window's correlated variants, over permutations, is nearly Beta(a, b) distributed; with its
parameters a p that is far smaller than 1 / permutations can be told (Ongen et al. 2016, FastQTL).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betainc, betaln, digamma, polygamma, stdtr

from kgp.errors import InputError

Floats = NDArray[np.float64]

BetaMethod = Literal["maximum likelihood", "moments", "none"]

# Below this a tail is taken by its logarithm alone: what is near the least double loses digits.
_LEAST_TAIL = 1e-250
# 1 - r² of a perfect fit: the least that double precision tells from none.
LEAST_REST = 2.0**-52
# p of 1 and 0 have no logarithm of p or 1 - p; FastQTL and QTLtools take this distance from 1.
_FROM_ONE = 1e-8
_LEAST_P = float(np.finfo(np.float64).tiny)
# The effective degrees of freedom are sought within this factor of the nominal ones.
_MAX_DF_FACTOR = 100.0
_MIN_PERMUTATIONS = 10
_N_STEPS = 100
_N_NODES = 32


@dataclass(frozen=True)
class BetaFit:
    """The beta distribution of a window's least p over permutations.

    Args:
        shape1: a; about 1, for the degrees of freedom are chosen so. NaN where nothing could be fitted.
        shape2: b; about the number of independent tests in the window. NaN likewise.
        df: effective degrees of freedom that turn r² into the p's the distribution is of.
        method: ``maximum likelihood``; ``moments`` where the likelihood has no maximum; ``none`` where the
            permutations are all alike or give 1 alone: then there is no distribution.
    """

    shape1: float
    shape2: float
    df: float
    method: BetaMethod

    def p_value(self, r2: float) -> float:
        """Probability that the best r² of a permutation is at least this; the `p_beta` of the tools."""
        return float(betainc(self.shape1, self.shape2, p_of_r2(np.array([r2]), self.df))[0])

    def neg_log10_p(self, r2: float) -> float:
        """−log10 of `p_value`, exact where that is too small for a double."""
        log_p = log_p_of_r2(np.array([r2]), self.df)
        return float(-_log_lower_tail(self.shape1, self.shape2, log_p)[0] / math.log(10.0))


def p_of_r2(r2: Floats, df: float) -> Floats:
    """Two-sided p of a squared correlation, by Student's t with `df` degrees of freedom.

    Args:
        r2: squared correlations, 0 to 1; 1 counts as 1 − 2⁻⁵².
        df: degrees of freedom, more than 0.

    >>> p_of_r2(np.array([0.0, 0.25]), 10.0).round(6).tolist()
    [1.0, 0.097855]
    """
    rest = np.maximum(1.0 - r2, LEAST_REST)
    return np.asarray(2.0 * stdtr(df, -np.sqrt(df * r2 / rest)))


def neg_log10_p_of_r2(r2: Floats, df: float) -> Floats:
    """−log10 of `p_of_r2`, exact however small the p is.

    >>> neg_log10_p_of_r2(np.array([0.0, 0.25, 1.0]), 1000.0).round(3).tolist()
    [0.0, 63.768, 7828.378]
    """
    return np.asarray(-log_p_of_r2(r2, df) / math.log(10.0)) + 0.0


def log_p_of_r2(r2: Floats, df: float) -> Floats:
    """Natural logarithm of `p_of_r2`, exact however small the p is."""
    p = p_of_r2(r2, df)
    is_tiny = p < _LEAST_TAIL
    log_p = np.log(np.where(is_tiny, 1.0, p))
    if is_tiny.any():
        rest = np.maximum(1.0 - r2[is_tiny], LEAST_REST)
        log_p[is_tiny] = _log_by_fraction(df / 2.0, 0.5, rest, np.log(rest))
    return np.asarray(np.minimum(log_p, 0.0))


def fit_beta(r2_permuted: Floats, df: float) -> BetaFit:
    """Fit the beta distribution of the least p to the best r² of each permutation.

    First the effective degrees of freedom: those with which the p's have a first shape of 1 by their moments, as
    FastQTL, QTLtools and tensorQTL seek them; the nominal ones where there are none. Then both shapes by maximum
    likelihood, begun at the moments. The likelihood is concave, and its maximum is found to rounding; the tools
    stop a simplex earlier, at 0.01 (QTLtools, FastQTL) or 1e-4 (tensorQTL).

    Args:
        r2_permuted: the best squared correlation of each permutation.
        df: nominal degrees of freedom.

    Raises:
        InputError: there are fewer than 10 permutations.
    """
    if r2_permuted.size < _MIN_PERMUTATIONS:
        raise InputError(
            f"{r2_permuted.size} permutations are too few to fit a beta distribution to.",
            mend="Take at least 10; 1,000 and more are usual.",
        )
    least, greatest = float(r2_permuted.min()), float(r2_permuted.max())
    if greatest - least <= 1e-6 * greatest:  # permutations are made in single precision
        return BetaFit(math.nan, math.nan, df, "none")
    df = _find_effective_df(r2_permuted, df)
    p = np.clip(p_of_r2(r2_permuted, df), _LEAST_P, 1.0 - _FROM_ONE)
    shape1, shape2 = _moments(p)
    if not (shape1 > 0.0 and shape2 > 0.0):
        return BetaFit(math.nan, math.nan, df, "none")
    found = _maximise_likelihood(float(np.log(p).mean()), float(np.log1p(-p).mean()), shape1, shape2)
    if found is None:
        return BetaFit(shape1, shape2, df, "moments")
    return BetaFit(*found, df, "maximum likelihood")


def _find_effective_df(r2: Floats, df: float) -> float:
    """Degrees of freedom with which the first shape is 1 by the moments; its logarithm is nearly linear in theirs."""
    interpolate, nodes = _interpolation(r2)

    def miss(log_df: float) -> float:
        log_p = interpolate @ log_p_of_r2(nodes, math.exp(log_df))
        shape1, _ = _moments(np.exp(np.minimum(log_p, 0.0)))
        return math.log(shape1) if shape1 > 0.0 else math.nan

    start, reach = math.log(df), math.log(_MAX_DF_FACTOR)
    here = miss(start)
    # The slope is about −1: a little more than the whole way there mostly has the root between.
    step = 1.3 * here + math.copysign(0.01, here)
    there = miss(start + step)
    while here * there > 0.0 and abs(step) < reach:
        step *= 2.0
        there = miss(start + step)
    if math.isnan(here * there) or here * there > 0.0:
        return df
    return math.exp(brentq(miss, start, start + step, xtol=1e-7, rtol=1e-7))


def _interpolation(r2: Floats) -> tuple[Floats, Floats]:
    """A matrix that makes log p at r² of log p at a few nodes, whatever the degrees of freedom, and the nodes.

    log p is smooth in Fisher's z, atanh |r|: a polynomial through Chebyshev nodes has it to 1e-10 over the z's of
    a window's best correlations, at a tenth of the time.
    """
    z = np.arctanh(np.sqrt(np.minimum(r2, 1.0 - LEAST_REST)))
    middle, half = (z.max() + z.min()) / 2.0, (z.max() - z.min()) / 2.0
    nodes = np.cos(np.pi * (np.arange(_N_NODES) + 0.5) / _N_NODES)
    # Polynomials up to degree N − 1 are orthogonal over the nodes.
    weights = _chebyshev(nodes).T * (2.0 / _N_NODES)
    weights[0] /= 2.0
    return _chebyshev((z - middle) / half) @ weights, np.tanh(middle + half * nodes) ** 2


def _chebyshev(x: Floats) -> Floats:
    """Chebyshev polynomials of degree 0, 1 … at x, a column each."""
    columns = np.empty((_N_NODES, x.size))
    columns[0], columns[1] = 1.0, x
    for k in range(2, _N_NODES):
        columns[k] = 2.0 * x * columns[k - 1] - columns[k - 2]
    return columns.T


def _moments(p: Floats) -> tuple[float, float]:
    """Shapes of the beta distribution with the mean and variance of the p's; 0 where there is none."""
    mean = float(p.sum()) / p.size
    away = p - mean
    variance = float(away @ away) / (p.size - 1)
    if variance <= 0.0 or mean >= 1.0:
        return 0.0, 0.0
    shape1 = mean * (mean * (1.0 - mean) / variance - 1.0)
    return shape1, shape1 * (1.0 / mean - 1.0)


def _maximise_likelihood(
    mean_log: float, mean_log_rest: float, shape1: float, shape2: float
) -> tuple[float, float] | None:
    """Newton's method on the two score equations; None where it does not settle."""
    shapes = np.array([shape1, shape2])
    for _ in range(_N_STEPS):
        total = shapes.sum()
        score = digamma(shapes) - digamma(total) - np.array([mean_log, mean_log_rest])
        information = np.diag(polygamma(1, shapes)) - polygamma(1, total)
        step = np.linalg.solve(information, score)
        moved = shapes - step
        while (moved <= 0.0).any():
            step = step / 2.0
            moved = shapes - step
        is_settled = (np.abs(step) <= 1e-10 * moved).all()
        shapes = moved
        if is_settled:
            return float(shapes[0]), float(shapes[1])
    return None


def _log_lower_tail(a: float, b: float, log_x: Floats) -> Floats:
    """log I_x(a, b) for x given as its logarithm, which may be far below the least double."""
    x = np.exp(log_x)
    tail = betainc(a, b, x)
    is_tiny = tail < _LEAST_TAIL
    log_tail = np.log(np.where(is_tiny, 1.0, tail))
    if is_tiny.any():
        log_tail[is_tiny] = _log_by_fraction(a, b, x[is_tiny], log_x[is_tiny])
    return np.asarray(log_tail)


def _log_by_fraction(a: float, b: float, x: Floats, log_x: Floats) -> Floats:
    """log I_x(a, b) far in the lower tail, by the continued fraction.

    Args:
        a: first shape.
        b: second shape.
        x: greater than 0 and below the mean, (a + 1) / (a + b + 2): there the fraction converges.
        log_x: its logarithm, which may be known where x itself is too small for a double.

    Source: DLMF 8.17.22, evaluated by the modified Lentz method.
    """
    log_front = a * log_x + b * np.log1p(-x) - math.log(a) - betaln(a, b)
    return np.asarray(log_front - np.log(_continued_fraction(a, b, x)))


def _continued_fraction(a: float, b: float, x: Floats) -> Floats:
    """1 + d₁/(1 + d₂/(1 + …)) of DLMF 8.17.22."""
    value, c, d = np.ones_like(x), np.ones_like(x), np.zeros_like(x)
    for j in range(1, 10_000):
        m = j // 2
        if j % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / (1.0 + term * d)
        c = 1.0 + term / c
        change = c * d
        value = value * change
        if (np.abs(change - 1.0) < 1e-15).all():
            break
    return value
