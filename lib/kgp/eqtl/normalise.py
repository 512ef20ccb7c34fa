"""From measured expression to phenotypes that a linear model may be fitted to.

Arrays are `phenotypes × samples` in the dataset's unit, NaN where a value is missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["average_ranks", "inverse_normal_transform"]

Floats = NDArray[np.float64]

# Ranks of so many phenotypes are made at a time, which bounds the memory that they take.
N_AT_ONCE = 2048


def inverse_normal_transform(values: Floats) -> Floats:
    """Each phenotype's ranks as normal quantiles: Φ⁻¹(rank / (n + 1)), ties with their average rank.

    Missing values stay NaN and do not count in n. A constant phenotype becomes 0 everywhere;
    `kgp.eqtl.thresholds.is_constant` tells.

    Args:
        values: phenotypes × samples.

    Returns:
        phenotypes × samples, in standard deviations.

    Source: rank-based transform as in GTEx (eqtl_functions / qtl.norm.inverse_normal_transform).

    >>> inverse_normal_transform(np.array([[30.0, 10.0, 20.0]])).round(4).tolist()
    [[0.6745, -0.6745, 0.0]]
    """
    n_called = (~np.isnan(values)).sum(axis=1, keepdims=True)
    return np.asarray(ndtri(average_ranks(values) / (n_called + 1.0)), dtype=np.float64)


def average_ranks(values: Floats) -> Floats:
    """Ranks from 1 within each phenotype, ties with their average; of a missing value NaN.

    Args:
        values: phenotypes × samples.

    >>> average_ranks(np.array([[7.0, 5.0, np.nan, 7.0]])).tolist()
    [[2.5, 1.0, nan, 2.5]]
    """
    ranks = np.empty(values.shape, dtype=np.float64)
    for start in range(0, values.shape[0], N_AT_ONCE):
        some = slice(start, start + N_AT_ONCE)
        ranks[some] = _rank(values[some])
    return ranks


def _rank(values: Floats) -> Floats:
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
    ranks[np.isnan(values)] = np.nan
    return ranks
