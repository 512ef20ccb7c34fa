"""How well each run's expression fits each person's genotypes, at loci where the two go together.

At a locus the expression of a run of person j is taken to be a + c'γ + b·g_j + e: components c of the run's own
expression, dosage g_j of the locus' lead variant, and noise e that is normal and correlated between loci. That is
Fisher's linear discriminant with a class a person, and the log10 likelihood ratio of two people is the score. Runs
against people at cis eQTLs is the idea of MixupMapper (Westra et al. 2011, Bioinformatics 27:2104) and of R/lineup
(Broman et al. 2015, G3 5:2177); they compare distances, whose distribution is not known beforehand. A likelihood ratio
has one: were the run the stated person's, the score of another minus theirs is normal (in natural logarithms) with
mean −D and variance 2D, where D is half the squared distance of the two people's expected expression.

Three things keep the scores honest:

- a run's own values are never in the fit that it is scored with (cross-fitting in tenths), nor are those of a run that
  is nearly the same;
- a run whose noise has a greater variance than others', as a whole or where people differ, is measured by that
  variance, so an odd run tells little; effects are expected to be the weaker the more of a run's variance was taken
  out of it beforehand;
- correlations of the noise between loci are shrunken (Schäfer & Strimmer 2005, Stat Appl Genet Mol Biol 4:32), and
  what they still leave to explain is measured and divided by (`_measure_excess`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

LN10 = float(np.log(10.0))
N_FOLDS = 10
# Correlation of two runs from which one would tell of the other.
MIN_SAME = 0.8
# Of a sum of squares of normal scores or dosages, and of a variance: below it there is none.
_LEAST = 1e-6
# Half of 1 plus the median of a chi-square of one degree of freedom: see `_measure_excess`.
_MEDIAN_SQUARE = 0.7275


@dataclass(frozen=True, eq=False)
class Scores:
    """How well runs fit people, in log10 likelihood ratios.

    Args:
        values: runs × people, against a person with the average genotype.
        distances: runs × people: by how much the stated person's score is expected to be greater than that person's,
            and the other way round if the run is that person's.
        stated: person of each run, by number.
    """

    values: Floats
    distances: Floats
    stated: Ints

    @property
    def own(self) -> Floats:
        """Score of each run's stated person."""
        return np.asarray(self.values[np.arange(self.stated.size), self.stated])

    @property
    def is_other(self) -> Flags:
        """Runs × people: who is not the stated one."""
        is_other = np.ones(self.values.shape, dtype=bool)
        is_other[np.arange(self.stated.size), self.stated] = False
        return is_other


def make_folds(run_ids: Sequence[str], expression: Floats) -> Ints:
    """Fold of each run, whatever their order; nearly the same runs are in one.

    Args:
        run_ids: names of the runs.
        expression: phenotypes × runs.

    >>> make_folds(["b", "a", "c"], np.array([[1.0, 1.1, 7.0], [3.0, 3.1, 0.0], [0.0, 0.0, 0.0]])).tolist()
    [0, 0, 2]
    """
    order = np.argsort(np.array(run_ids), kind="stable")
    is_same = np.corrcoef(expression[:, order], rowvar=False) >= MIN_SAME
    np.fill_diagonal(is_same, True)
    folds = np.empty(order.size, dtype=np.int64)
    folds[order] = is_same.argmax(axis=1) % N_FOLDS
    return folds


def score_people(
    expression: Floats,
    components: Floats,
    scales: Floats,
    stated: Ints,
    dosages: Floats,
    folds: Ints,
    is_trusted: Flags,
) -> Scores:
    """Score every run against every person.

    Args:
        expression: loci × runs, of about unit variance.
        components: runs × components, orthonormal, of mean 0.
        scales: what is left of effects and of the noise's variance in each run; see `Expression.scales`.
        stated: person that each run is said to be of, by number.
        dosages: loci × people: copies of ALT, none missing.
        folds: of the runs; those of one are scored with what the others fit.
        is_trusted: runs that are fitted with.
    """
    n_loci, n_runs = expression.shape
    values = np.empty((n_runs, dosages.shape[1]))
    distances = np.empty_like(values)
    centred = dosages - dosages[:, stated].mean(axis=1, keepdims=True)
    for fold in np.unique(folds):
        tested, others = np.flatnonzero(folds == fold), np.flatnonzero((folds != fold) & is_trusted)
        fit = _fit(expression[:, others], components[others], centred[:, stated[others]])
        design = _with_intercept(components[tested])
        weights = scales[tested] ** 2 / (1.0 + np.square(fit.inverse @ design.T).sum(axis=0))
        weights = weights[:, np.newaxis]
        runs = fit.whiten(expression[:, tested] - (design @ fit.nuisance).T) / scales[tested]
        people = fit.whiten(fit.slopes[:, np.newaxis] * centred)
        rests = weights * _squared_distances(runs, people)
        from_best = weights * _squared_distances(people[:, rests.argmin(axis=1)], people)
        noise = 2.0 * _measure_noise(rests, from_best, scales[tested], n_loci)[:, np.newaxis]
        values[tested] = (weights * np.square(runs).sum(axis=0)[:, np.newaxis] - rests) / noise
        distances[tested] = weights * _squared_distances(people[:, stated[tested]], people) / noise
    scores = Scores(values / LN10, distances / LN10, stated)
    excess = _measure_excess(scores, is_trusted)
    return Scores(scores.values / excess, scores.distances / excess, stated)


def _measure_noise(rests: Floats, from_best: Floats, scales: Floats, n_loci: int) -> Floats:
    """Variance of each run's noise, its scale at least: as a whole, and where people differ.

    With the best person's expected expression taken out, the noise along the way to another person has half of its
    variance in common between all of them; the other half is seen in how it varies over people.

    Args:
        rests: runs × people, squared distances of a run's expression from what is expected of a person.
        from_best: runs × people, squared distances of what is expected of a person and of the run's best one.
        scales: of the runs.
        n_loci: loci.
    """
    least = rests.min(axis=1)
    lengths = np.sqrt(from_best)
    along = np.divide(
        least[:, np.newaxis] + from_best - rests,
        2.0 * lengths,
        out=np.full_like(rests, np.nan),
        where=lengths > _LEAST,
    )
    is_there = ~np.isnan(along)
    n_people = np.maximum(is_there.sum(axis=1), 1)
    along[~is_there] = 0.0
    means = along.sum(axis=1) / n_people
    squares = np.square(along, out=along).sum(axis=1) / n_people
    return np.asarray(np.maximum(scales, np.maximum(least / n_loci, 2.0 * (squares - means**2))))


def _measure_excess(scores: Scores, is_trusted: Flags) -> float:
    """By how much the differences of scores vary more than they should; 1 where they don't.

    For a run of the stated person (score of j − score of the stated + D) / √(2D) is standard normal. For two people j
    such numbers of one run are correlated with 1/2, because the stated person is in both: their mean square over j
    is (z² + 1) / 2 with z standard normal, whose median over runs is 0.7275 and is not moved by a few odd ones. Where
    people are further apart than expected, because swapped runs have weakened the effects, that is no excess.
    """
    is_other = scores.is_other & (scores.distances > _LEAST)
    n_others = is_other.sum(axis=1)
    is_used = is_trusted & (n_others > 0)
    if not is_used.any():
        return 1.0
    distances = np.where(is_other, scores.distances, 0.0)
    behind = np.where(is_other, scores.own[:, np.newaxis] - scores.values, 0.0)
    further = max(1.0, float(np.median(behind.sum(axis=1)[is_used] / distances.sum(axis=1)[is_used])))
    squares = np.divide(
        LN10 * (further * distances - behind) ** 2,
        2.0 * distances,
        out=np.zeros_like(behind),
        where=is_other,
    )
    return max(1.0, float(np.median(squares.sum(axis=1)[is_used] / n_others[is_used])) / _MEDIAN_SQUARE)


@dataclass(frozen=True, eq=False)
class _Fit:
    """Effects at each locus, and the noise that they leave.

    Args:
        slopes: of the dosage, a locus.
        nuisance: intercept and components × loci.
        inverse: of R of the QR of intercept and components, transposed: leverages are lengths of its products.
        spreads: standard deviation of the noise of each locus.
        root: lower Cholesky factor of the noise's shrunken correlations.
    """

    slopes: Floats
    nuisance: Floats
    inverse: Floats
    spreads: Floats
    root: Floats

    def whiten(self, rows: Floats) -> Floats:
        """Loci × anything, in units in which the noise is uncorrelated with variance 1."""
        return np.asarray(solve_triangular(self.root, rows / self.spreads[:, np.newaxis], lower=True))


def _fit(expression: Floats, components: Floats, dosages: Floats) -> _Fit:
    """Least squares at each locus: intercept, components and dosage; correlations of the residuals, shrunken.

    Args:
        expression: loci × runs.
        components: runs × components.
        dosages: loci × runs.
    """
    design = _with_intercept(components)
    basis, triangle = np.linalg.qr(design)
    left, left_dosages = (rows - (rows @ basis) @ basis.T for rows in (expression, dosages))
    lengths = np.einsum("ij,ij->i", left_dosages, left_dosages)
    products = np.einsum("ij,ij->i", left, left_dosages)
    # The few carriers of an allele may all be in the fold that is left out: then nothing is learnt there.
    slopes = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > _LEAST)
    noise = left - slopes[:, np.newaxis] * left_dosages
    df = design.shape[0] - design.shape[1] - 1
    spreads = np.sqrt(np.maximum(np.einsum("ij,ij->i", noise, noise) / df, _LEAST))
    inverse = np.linalg.inv(triangle)
    nuisance = inverse @ (basis.T @ (expression - slopes[:, np.newaxis] * dosages).T)
    noise /= spreads[:, np.newaxis]
    root = np.linalg.cholesky(_shrink(noise @ noise.T / df, df))
    return _Fit(slopes, nuisance, inverse.T, spreads, root)


def _shrink(correlations: Floats, df: int) -> Floats:
    """Correlations times 1 − λ, λ = Σ var(r) / Σ r² off the diagonal, with var(r) = (1 − r²)² / df.

    Source: Schäfer & Strimmer 2005, target D with unit variances; var(r) is that of the normal distribution.
    """
    squares = correlations**2
    np.fill_diagonal(squares, 0.0)
    variances = (1.0 - squares) ** 2 / df
    np.fill_diagonal(variances, 0.0)
    shrinkage = min(1.0, float(variances.sum() / max(squares.sum(), np.finfo(np.float64).tiny)))
    shrunken = (1.0 - shrinkage) * correlations
    np.fill_diagonal(shrunken, 1.0)
    return np.asarray(shrunken)


def _squared_distances(a: Floats, b: Floats) -> Floats:
    """Between the columns of two arrays: columns of `a` × columns of `b`."""
    squares = np.einsum("ij,ij->j", a, a)[:, np.newaxis] + np.einsum("ij,ij->j", b, b)
    return np.asarray(np.maximum(squares - 2.0 * (a.T @ b), 0.0))


def _with_intercept(components: Floats) -> Floats:
    return np.column_stack([np.ones(components.shape[0]), components])
