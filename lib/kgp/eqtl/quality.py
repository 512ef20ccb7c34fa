"""How the runs of an expression table compare: correlation and principal components.

Arrays are `phenotypes × runs`, NaN where a value is missing. Everything that a whole table is needed for is a sum over
phenotypes of something runs × runs, so a table of any length is read block by block: `sum_block` of each, `add` of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgp.eqtl.components import from_gram
from kgp.eqtl.quality_outliers import robust_scores
from kgp.eqtl.quality_scale import Scaling
from kgp.eqtl.thresholds import is_constant, is_expressed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Runs are compared over phenotypes with at least 0.1 TPM, RPKM or CPM (GTEx, eqtl_prepare_expression.py) in at least
# half of the runs (Lappalainen et al. 2013: the 50FN of its files).
MIN_VALUE = 0.1
MIN_FRACTION = 0.5

# Standard deviations of this part of the mean are rounding.
_ROUNDING = 1e-10


@dataclass(frozen=True, eq=False)
class RunSums:
    """What is known of the runs after some phenotypes; sums of disjoint blocks can be added in any order.

    Args:
        n_phenotypes: phenotypes that were seen.
        n_compared: those that are expressed, which alone count in what follows but `n_expressed`.
        n_varying: those of them that are not constant, which alone count in `gram`.
        n_incomplete: those of them with a missing value.
        n_expressed: phenotypes with a value above 0, a run.
        n_pairs: phenotypes with a value in both runs, runs × runs.
        means: mean of run i over the phenotypes that run j has a value of, too; runs × runs.
        squares: sum of squared deviations from those means, runs × runs.
        products: sum of products of run i's deviations and run j's, runs × runs.
        gram: sum over phenotypes of zzᵀ, z standardised and 0 where missing, runs × runs.
    """

    n_phenotypes: int
    n_compared: int
    n_varying: int
    n_incomplete: int
    n_expressed: Ints
    n_pairs: Floats
    means: Floats
    squares: Floats
    products: Floats
    gram: Floats

    @classmethod
    def empty(cls, n_runs: int) -> RunSums:
        """No phenotype seen."""
        square = [np.zeros((n_runs, n_runs)) for _ in range(5)]
        return cls(0, 0, 0, 0, np.zeros(n_runs, dtype=np.int64), *square)

    def add(self, other: RunSums) -> RunSums:
        """The sums of both; co-moments by Chan, Golub and LeVeque 1983, so nothing is lost to a large mean."""
        n_pairs = self.n_pairs + other.n_pairs
        weight = np.divide(other.n_pairs, n_pairs, out=np.zeros_like(n_pairs), where=n_pairs > 0)
        shift = other.means - self.means
        both = self.n_pairs * weight
        return RunSums(
            self.n_phenotypes + other.n_phenotypes,
            self.n_compared + other.n_compared,
            self.n_varying + other.n_varying,
            self.n_incomplete + other.n_incomplete,
            self.n_expressed + other.n_expressed,
            n_pairs,
            self.means + shift * weight,
            self.squares + other.squares + shift**2 * both,
            self.products + other.products + shift * shift.T * both,
            self.gram + other.gram,
        )


def sum_block(values: Floats, scaling: Scaling) -> RunSums:
    """What a block of whole phenotypes tells of the runs.

    Args:
        values: phenotypes × runs in the table's unit, NaN where missing.
        scaling: of the table.
    """
    linear = scaling.to_linear(values)
    is_compared = is_expressed(linear, -np.inf if scaling.is_log else MIN_VALUE, MIN_FRACTION)
    logs = scaling.to_log(linear[is_compared])
    is_missing = np.isnan(logs)
    has_missing = is_missing.any(axis=1)
    varying = ~is_constant(logs)
    plain = RunSums(
        len(values),
        len(logs),
        int(varying.sum()),
        int(has_missing.sum()),
        np.asarray((linear > 0).sum(axis=0), dtype=np.int64),
        *_complete_moments(logs[~has_missing]),
        _sum_of_products(_standardise(logs[varying])),
    )
    if not has_missing.any():
        return plain
    nothing = RunSums.empty(values.shape[1])
    moments = _pairwise_moments(logs[has_missing])
    return plain.add(RunSums(0, 0, 0, 0, nothing.n_expressed, *moments, nothing.gram))


def correlate(sums: RunSums) -> Floats:
    """Pearson's correlation of every two runs over the phenotypes that have a value in both, runs × runs.

    It is 0 where it is not defined: one of the two is constant, or they share fewer than two phenotypes.
    """
    # The sums of squares of a constant run are 0 but for rounding.
    least = sums.n_pairs * (sums.means * _ROUNDING) ** 2
    scale = np.sqrt(sums.squares * sums.squares.T)
    is_defined = (sums.squares > least) & (sums.squares > 0) & (sums.n_pairs > 1)
    is_defined &= is_defined.T
    return np.divide(sums.products, scale, out=np.zeros_like(scale), where=is_defined)


def d_statistics(correlations: Floats) -> Floats:
    """Median of each run's correlations with all others.

    Args:
        correlations: runs × runs, two runs at least.

    Source: 't Hoen et al. 2013, Nature Biotechnology 31:1015, doi 10.1038/nbt.2702.

    >>> d_statistics(np.array([[1.0, 0.9, 0.8, 0.1], [0.9, 1.0, 0.7, 0.2], [0.8, 0.7, 1.0, 0.3], [0.1, 0.2, 0.3, 1.0]]))
    array([0.8, 0.7, 0.7, 0.2])
    """
    n_runs = len(correlations)
    others = correlations[~np.eye(n_runs, dtype=bool)].reshape(n_runs, n_runs - 1)
    return np.asarray(np.median(others, axis=1))


@dataclass(frozen=True, eq=False)
class RunQuality:
    """How runs compare with each other.

    Args:
        n_compared: phenotypes that they were compared over.
        n_expressed: phenotypes with a value above 0, a run.
        d_statistic: median correlation with the others, a run.
        d_score: its robust score, a run.
        components: scores, runs × components.
        variance_explained: of each of them.
    """

    n_compared: int
    n_expressed: Ints
    d_statistic: Floats
    d_score: Floats
    components: Floats
    variance_explained: Floats


def compare_runs(sums: RunSums, n_components: int) -> RunQuality:
    """Correlation and principal components from the sums over a whole table.

    Args:
        sums: of all phenotypes.
        n_components: components that are wanted; there are fewer where runs or phenotypes are fewer.
    """
    n_runs = len(sums.gram)
    d = d_statistics(correlate(sums))
    n = min(n_components, n_runs - 1, sums.n_varying)
    components, shares = np.empty((n_runs, 0)), np.empty(0)
    if n:
        made = from_gram(sums.gram, n, n_phenotypes=sums.n_varying)
        components, shares = made.scores, made.variance_explained[:n]
    return RunQuality(sums.n_compared, sums.n_expressed, d, robust_scores(d), components, shares)


def _complete_moments(logs: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """n_pairs, means, squares, products of phenotypes without a missing value."""
    n_runs = logs.shape[1]
    shape = (n_runs, n_runs)
    means = logs.mean(axis=0) if len(logs) else np.zeros(n_runs)
    products = _sum_of_products(logs - means)
    squares = np.broadcast_to(np.diag(products)[:, None], shape)
    return np.full(shape, float(len(logs))), np.broadcast_to(means[:, None], shape), squares, products


def _pairwise_moments(logs: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """n_pairs, means, squares, products over the phenotypes that both runs have a value of."""
    has_value = (~np.isnan(logs)).astype(np.float64)
    n_values = has_value.sum(axis=0)
    means = np.divide(np.nansum(logs, axis=0), n_values, out=np.zeros_like(n_values), where=n_values > 0)
    away = np.where(np.isnan(logs), 0.0, logs - means)
    n_pairs = has_value.T @ has_value
    sums = away.T @ has_value
    shifts = np.divide(sums, n_pairs, out=np.zeros_like(sums), where=n_pairs > 0)
    squares = np.maximum((away**2).T @ has_value - shifts * sums, 0.0)
    return n_pairs, means[:, None] + shifts, squares, away.T @ away - shifts * sums.T


def _standardise(logs: Floats) -> Floats:
    """Phenotypes that vary, each with mean 0 and standard deviation 1 (over n - 1); missing values are 0."""
    if not logs.size:
        return logs
    away = logs - np.nanmean(logs, axis=1, keepdims=True)
    scaled = away / np.nanstd(away, axis=1, ddof=1, keepdims=True)
    return np.asarray(np.nan_to_num(scaled, nan=0.0))


def _sum_of_products(rows: Floats) -> Floats:
    return np.asarray(rows.T @ rows)
