"""Quantile normalisation: every sample gets the same distribution, the mean of all samples' sorted values.

Arrays are `phenotypes × samples`, NaN where a value is missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kgp.eqtl.normalise import average_ranks
from kgp.eqtl.scale import find_first
from kgp.errors import InputError

Floats = NDArray[np.float64]


def quantile_normalise(values: Floats) -> Floats:
    """Give each sample the mean distribution of all; preprocessCore's normalize.quantiles, to rounding.

    A value becomes the reference at its rank within its sample, ties at their average rank. A sample with missing
    values takes part with its quantiles interpolated to all phenotypes, and its ranks are stretched
    likewise; missing values stay missing. That is also limma's normalizeQuantiles(ties=TRUE), and
    where nothing is missing `qtl.norm.normalize_quantiles` of GTEx, which can't have missing values.

    Args:
        values: phenotypes × samples, on a scale on which means are meant (often log2).

    Returns:
        phenotypes × samples, same unit.

    Raises:
        InputError: a value is infinite; or a sample with missing values has fewer than two others, which
            preprocessCore and limma make nothing of.

    Source: Bolstad et al. 2003; preprocessCore 1.60, normalize.quantiles.

    >>> quantile_normalise(np.array([[5.0, 4.0], [2.0, 1.0], [3.0, 4.0]])).tolist()
    [[4.5, 4.0], [1.5, 1.5], [3.5, 4.0]]
    """
    values = np.asarray(values, dtype=np.float64)
    _check(values)
    n_phenotypes, n_samples = values.shape
    if not values.size:
        return values.copy()
    reference = np.zeros(n_phenotypes)
    for column in values.T:
        reference += _stretch(np.sort(column[~np.isnan(column)]), n_phenotypes)
    reference /= n_samples
    result = np.empty_like(values)
    for j, column in enumerate(values.T):
        result[:, j] = _take_quantiles(reference, column)
    return result


def _stretch(ordered: Floats, n: int) -> Floats:
    """The quantiles of ascending values at n even places from the least to the greatest."""
    n_values = ordered.size
    if n_values == n:
        return ordered
    return np.interp(np.arange(n) * (n_values - 1) / (n - 1), np.arange(n_values), ordered)


def _take_quantiles(reference: Floats, column: Floats) -> Floats:
    """The reference at each value's rank, its ends at the column's least and greatest rank."""
    n_values = np.count_nonzero(~np.isnan(column))
    places = average_ranks(column[np.newaxis])[0] - 1
    if n_values < column.size:
        places = places * (column.size - 1) / (n_values - 1)
    return np.asarray(np.interp(places, np.arange(column.size), reference))


def _check(values: Floats) -> None:
    if (infinite := np.isinf(values)).any():
        place, at = find_first(infinite)
        raise InputError(
            f"{values[at]} has no mean.",
            where=place,
            mend="Give finite numbers, or leave the phenotype out.",
        )
    n_values = (~np.isnan(values)).sum(axis=0)
    poor = np.flatnonzero((n_values < 2) & (n_values < values.shape[0]))
    if poor.size:
        raise InputError(
            f"Of {values.shape[0]} phenotypes the sample has {n_values[poor[0]]} values: they have no distribution.",
            where=f"sample {poor[0] + 1} of the matrix",
            mend="Leave the sample out.",
        )
