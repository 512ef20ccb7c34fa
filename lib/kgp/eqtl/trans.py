"""All phenotypes with all variants, of which the pairs below a p-value are kept.

Products are made in single precision, and only pairs that may be strong enough by those are computed again in double:
no pair is missed, and none is kept by rounding. Arrays are as in `kgp.eqtl.design`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import stdtrit

from kgp.eqtl.association import Pairs, check_windows, make_pairs
from kgp.eqtl.design import Design, Flags, Floats, Ints, Standardised
from kgp.errors import InputError

# Rows of phenotypes and of variants of a product.
_N_PHENOTYPES = 512
_N_VARIANTS = 1024
# Pairs computed again at a time, which bounds the memory: two rows of the people each.
_N_AGAIN = 1 << 14
_LEAST_DOUBLE = float(np.finfo(np.float64).smallest_subnormal)


def find_least_r(max_p: float, df: int) -> float:
    """The |correlation| whose p, by Student's t with `df` degrees of freedom, is `max_p`.

    Args:
        max_p: 0 to 1; 0 stands for what is too small for a double, as `kgp.eqtl.association.Pairs` has it.
        df: degrees of freedom.

    Raises:
        InputError: it is no p-value.

    >>> round(find_least_r(0.05, 10), 4), find_least_r(1.0, 10)
    (0.576, 0.0)
    """
    if not 0.0 <= max_p <= 1.0:
        raise InputError(f"{max_p} is no p-value.", mend="Give 0 to 1.")
    t = float(stdtrit(df, max(max_p / 2.0, _LEAST_DOUBLE)))
    return float(np.hypot(t, np.sqrt(df)) ** -1 * abs(t))


def map_trans(
    phenotypes: Standardised, genotypes: Standardised, cis: Ints, design: Design, max_p: float
) -> Iterator[Pairs]:
    """Test every phenotype with every variant that is not cis to it, and keep the pairs with p ≤ `max_p`.

    Args:
        phenotypes: phenotypes × samples; constant ones have no pairs.
        genotypes: variants × samples; constant ones have no pairs.
        cis: phenotypes × 2: first variant that is cis to the phenotype, one past the last; equal where none is.
        design: what both were standardised with.
        max_p: greatest p of a kept pair, 0 to 1.

    Yields:
        kept pairs of a few phenotypes in their order, variants in theirs. Empty batches are left out.

    Raises:
        InputError: a cis range lies outside the genotypes, or `max_p` is no p-value.
    """
    check_windows(cis, phenotypes.values.shape[0], genotypes.values.shape[0])
    least = find_least_r(max_p, design.df) - _rounding(design.n_samples)
    y, x = (np.flatnonzero(~rows.is_constant) for rows in (phenotypes, genotypes))
    variants = genotypes.values.astype(np.float32)
    for start in range(0, y.size, _N_PHENOTYPES):
        some = y[start : start + _N_PHENOTYPES]
        i, j = _preselect(phenotypes.values[some].astype(np.float32), variants, x, least)
        is_trans = (j < cis[some[i], 0]) | (j >= cis[some[i], 1])
        phenotype, variant = some[i[is_trans]], j[is_trans]
        r = _correlate(phenotypes.values, genotypes.values, phenotype, variant)
        pairs = make_pairs(phenotype, variant, r, phenotypes.lengths, genotypes.lengths, design.df)
        kept = _take(pairs, pairs.p <= max_p)
        if kept.p.size:
            yield kept


def count_trans(is_phenotype: Flags, is_variant: Flags, cis: Ints) -> tuple[int, int]:
    """Pairs that `map_trans` tests, and pairs that it leaves out because they are cis.

    Args:
        is_phenotype: phenotypes that can be tested.
        is_variant: variants that can be tested.
        cis: as of `map_trans`.

    >>> count_trans(np.array([True, True]), np.array([True, False, True]), np.array([[0, 2], [3, 3]]))
    (3, 1)
    """
    before = np.concatenate([[0], np.cumsum(is_variant)])
    n_cis = int((before[cis[:, 1]] - before[cis[:, 0]])[is_phenotype].sum())
    return int(is_phenotype.sum()) * int(before[-1]) - n_cis, n_cis


def _rounding(n_samples: int) -> float:
    """How far a product of two rows of length 1 in single precision may be from that in double precision.

    Twice the bound n·u of a sum's rounding; half of that is for the rows' own.

    Source: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1.
    """
    return (n_samples + 4) * float(np.finfo(np.float32).eps)


def _preselect(
    phenotypes: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    variants: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    tested: Ints,
    least: float,
) -> tuple[Ints, Ints]:
    """Rows of phenotypes and of variants whose |product| is at least so great, by phenotype and variant."""
    found = []
    for start in range(0, tested.size, _N_VARIANTS):
        places = tested[start : start + _N_VARIANTS]
        product = phenotypes @ variants[places].T
        i, j = np.nonzero(np.abs(product, out=product) >= least)
        found.append((i, places[j]))
    i = np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in found)])
    j = np.concatenate([np.empty(0, np.int64), *(columns for _, columns in found)])
    order = np.argsort(i, kind="stable")  # variants are in order already
    return i[order], j[order]


def _correlate(phenotypes: Floats, genotypes: Floats, i: Ints, j: Ints) -> Floats:
    """Products of pairs of rows in double precision."""
    r = np.empty(i.size)
    for start in range(0, i.size, _N_AGAIN):
        some = slice(start, start + _N_AGAIN)
        np.einsum("ij,ij->i", phenotypes[i[some]], genotypes[j[some]], out=r[some])
    return r


def _take(pairs: Pairs, chosen: Flags) -> Pairs:
    return Pairs(
        pairs.phenotype[chosen],
        pairs.variant[chosen],
        pairs.r[chosen],
        pairs.slope[chosen],
        pairs.slope_se[chosen],
        pairs.t[chosen],
        pairs.p[chosen],
        pairs.neg_log10_p[chosen],
    )
