"""From measured expression to phenotypes that a linear model may be fitted to.

Arrays are `phenotypes × samples` in the dataset's unit, NaN where a value is missing.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BELOW_THRESHOLD = "expression below threshold"
CONSTANT = "constant"


def is_expressed(values: Floats, min_expression: float, min_expression_fraction: float) -> Flags:
    """Which phenotypes reach a value in enough people; both bounds are inclusive.

    The fraction is taken as the decimal that it is written as: 0.1 of 30 people are 3, although 0.1 * 30 is a
    little more than 3 in floating point. People without a value count among all, but never reach the
    threshold.

    Args:
        values: phenotypes × samples, in the dataset's unit.
        min_expression: least value, same unit.
        min_expression_fraction: fraction of the people, 0 to 1.

    Returns:
        a flag a phenotype.

    Source: GTEx pipeline, eqtl_prepare_expression.py (TPM >= 0.1 in >= 20 % of samples).

    >>> is_expressed(np.array([[0.1, 0.0, 0.0, 0.0, 0.0], [0.09, 0.0, 0.0, 0.0, np.nan]]), 0.1, 0.2).tolist()
    [True, False]
    """
    n_samples = values.shape[1]
    n_needed = math.ceil(Fraction(repr(float(min_expression_fraction))) * n_samples)
    return np.asarray((values >= min_expression).sum(axis=1) >= n_needed)


def is_constant(values: Floats) -> Flags:
    """Which phenotypes have no variance: all their values are equal, or there are none.

    >>> is_constant(np.array([[1.0, 1.0, np.nan], [1.0, 2.0, 1.0], [np.nan, np.nan, np.nan]])).tolist()
    [True, False, True]
    """
    is_missing = np.isnan(values)
    greatest = np.where(is_missing, -np.inf, values).max(axis=1, initial=-np.inf)
    least = np.where(is_missing, np.inf, values).min(axis=1, initial=np.inf)
    return np.asarray(greatest <= least)


def inverse_normal_transform(values: Floats) -> Floats:
    """Each phenotype's ranks as normal quantiles: Φ⁻¹(rank / (n + 1)), ties with their average rank.

    Missing values stay NaN and do not count in n. A constant phenotype becomes 0 everywhere;
    `is_constant` tells.

    Args:
        values: phenotypes × samples.

    Returns:
        phenotypes × samples, in standard deviations.

    Source: rank-based transform as in GTEx (eqtl_functions / qtl.norm.inverse_normal_transform).

    >>> inverse_normal_transform(np.array([[30.0, 10.0, 20.0]])).round(4).tolist()
    [[0.6745, -0.6745, 0.0]]
    """
    is_missing = np.isnan(values)
    n_called = (~is_missing).sum(axis=1, keepdims=True)
    result = np.asarray(ndtri(_average_ranks(values) / (n_called + 1.0)), dtype=np.float64)
    result[is_missing] = np.nan
    return result


def normalise_basic(
    values: Floats, *, min_expression: float, min_expression_fraction: float
) -> tuple[Floats, list[str | None]]:
    """Profile basic: threshold, no variance, inverse normal transform.

    Args:
        values: phenotypes × samples, in the dataset's unit.
        min_expression: see `is_expressed`.
        min_expression_fraction: see `is_expressed`.

    Returns:
        phenotypes × samples transformed, and for each phenotype why it is dropped, or None where it is kept.
    """
    expressed = is_expressed(values, min_expression, min_expression_fraction)
    constant = is_constant(values)
    reasons = [
        BELOW_THRESHOLD if not is_kept else CONSTANT if is_flat else None
        for is_kept, is_flat in zip(expressed.tolist(), constant.tolist(), strict=True)
    ]
    return inverse_normal_transform(values), reasons


def _average_ranks(values: Floats) -> Floats:
    """Ranks from 1 within each row, ties averaged; NaN come last and their ranks mean nothing."""
    n_rows, n_columns = values.shape
    if not n_columns:
        return np.empty_like(values)
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    place = np.broadcast_to(np.arange(n_columns), (n_rows, n_columns))
    is_first = np.ones((n_rows, n_columns), dtype=bool)
    is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    is_last = np.ones((n_rows, n_columns), dtype=bool)
    is_last[:, :-1] = is_first[:, 1:]
    first = np.maximum.accumulate(np.where(is_first, place, 0), axis=1)
    last = np.minimum.accumulate(np.where(is_last, place, n_columns)[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty((n_rows, n_columns), dtype=np.float64)
    np.put_along_axis(ranks, order, (first + last) / 2.0 + 1.0, axis=1)
    return ranks
