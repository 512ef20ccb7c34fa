"""The best variant of each phenotype, and how often permuted phenotypes have one as good.

Arrays are `phenotypes × samples`, `variants × samples` and `permutations × samples`, as in `kgp.eqtl.design`.
Every permutation of the samples is used for all phenotypes. What is found for a phenotype depends on its values, its
window and the seed alone, to the last bit: not on the blocks or partitions that the phenotypes and variants come in.

The best |r| of a permutation is found in single precision: within 1e-6 of double precision. The best variant, its r
and all that follows are in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kgp.eqtl.association import Pairs, check_windows, make_pairs
from kgp.eqtl.beta_approximation import BetaFit, fit_beta
from kgp.eqtl.design import (
    Design,
    Floats,
    Ints,
    Standardised,
    standardise,
    standardise_genotypes,
    standardise_phenotypes,
)
from kgp.eqtl.distinct import DistinctGenotypes, Singles
from kgp.errors import InputError

# Rows and columns of a product: the result (2 MB) stays in the cache until its extremes are taken.
_N_VARIANTS = 512
_N_PERMUTATIONS = 1000
# Correlations within this of each other in single precision are looked at again in double precision.
_SINGLE = 1e-5
# Correlations within this fraction of each other in double precision are the same.
_DOUBLE = 1e-12
# A permutation is as good as the truth where it is within the rounding of single precision.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Permuted:
    """Phenotypes ready to be permuted.

    Args:
        truth: phenotypes × samples, as `standardise_phenotypes` gives them.
        values: phenotypes × samples that the permutations reorder, mean 0 and length 1, single precision: in the
            model ``qtltools`` the residuals; in ``fastqtl`` the phenotypes themselves, which are made residuals after
            each permutation.
        basis: samples × covariates to be taken out of a permuted phenotype; no columns in ``qtltools``.
    """

    truth: Standardised
    values: Singles
    basis: Singles


@dataclass(frozen=True, eq=False)
class BestPair:
    """The best pair of a phenotype, or of a group of phenotypes, and what its permutations say of it.

    Args:
        group: the group's place in what was given; without groups the row of the phenotype.
        pair: phenotype, variant and statistics, arrays with one value.
        n_variants: variants tested with that phenotype: all of its window that aren't constant.
        n_vectors: distinct genotype vectors among them.
        n_ties: variants of the window with the same |r| as the best, itself included; the nearest to the phenotype is
            taken, of several the first.
        n_phenotypes: phenotypes of the group that were tested.
        n_as_good: permutations whose best r² is at least that of the pair.
        n_permutations: permutations.
        beta: fitted to the best r² of the permutations.
    """

    group: int
    pair: Pairs
    n_variants: int
    n_vectors: int
    n_ties: int
    n_phenotypes: int
    n_as_good: int
    n_permutations: int
    beta: BetaFit

    @property
    def p_perm(self) -> float:
        """(n_as_good + 1) / (n_permutations + 1)."""
        return (self.n_as_good + 1) / (self.n_permutations + 1)

    @property
    def p_beta(self) -> float:
        """p by the beta approximation; p_perm where none could be fitted."""
        return self.p_perm if self.beta.method == "none" else self.beta.p_value(float(self.pair.r2[0]))

    @property
    def neg_log10_p_beta(self) -> float:
        """−log10 p_beta, exact however small it is."""
        if self.beta.method == "none":
            return -math.log10(self.p_perm)
        return self.beta.neg_log10_p(float(self.pair.r2[0]))


def draw_permutations(n_samples: int, n_permutations: int, seed: int) -> Ints:
    """Permutations × samples: orders of the samples, the same for a seed on every machine and with every numpy.

    Each row sorts raw 64-bit numbers of Philox, whose stream numpy promises to keep. The first rows are the same
    however many are drawn.

    Args:
        n_samples: people.
        n_permutations: rows.
        seed: 0 or more, below 2¹²⁸.

    Raises:
        InputError: the seed or the number is negative.

    >>> draw_permutations(5, 2, seed=1).tolist()
    [[3, 2, 0, 1, 4], [0, 4, 2, 3, 1]]
    """
    if not 0 <= seed < 1 << 128 or n_permutations < 1:
        raise InputError(
            f"{n_permutations} permutations with seed {seed} cannot be drawn.",
            mend="Give at least one permutation and a seed that is not negative.",
        )
    keys = (
        np.random.Philox(key=seed).random_raw(n_permutations * n_samples).reshape(n_permutations, n_samples)
    )
    return np.argsort(keys, axis=1, kind="stable")


def prepare_permuted(phenotypes: Floats, design: Design) -> Permuted:
    """Make phenotypes × samples ready for `map_permutations`.

    Raises:
        InputError: a value is missing, or the phenotypes are of other samples than the design.
    """
    truth = standardise_phenotypes(phenotypes, design)
    if design.model == "qtltools":
        return Permuted(truth, truth.values.astype(np.float32), np.empty((design.n_samples, 0), np.float32))
    values = standardise(phenotypes, None, "phenotype").values.astype(np.float32)
    return Permuted(truth, values, design.basis.astype(np.float32))


def map_permutations(
    phenotypes: Permuted,
    genotypes: DistinctGenotypes,
    windows: Ints,
    distances: Sequence[Ints],
    permutations: Ints,
    design: Design,
    groups: Sequence[Sequence[int]] | None = None,
) -> Iterator[BestPair]:
    """Find the best pair of each phenotype, and fit the beta distribution to the best of its permutations.

    Args:
        phenotypes: phenotypes × samples.
        genotypes: variants × samples.
        windows: phenotypes × 2: first variant, one past the last; equal where there is none.
        distances: of each phenotype, the distance of each variant of its window in base pairs; decides between
            variants of the same |r|.
        permutations: permutations × samples, of `draw_permutations`.
        design: what both were made with.
        groups: rows of phenotypes that are searched as one (transcripts of a gene; QTLtools --grp-best); without them
            each phenotype is a group of its own.

    Yields:
        a result a group; groups of which nothing can be tested are left out: no variant in the windows that isn't
        constant, or no phenotype that isn't.

    Raises:
        InputError: a window lies outside the genotypes, or there are fewer than 10 permutations.
    """
    check_windows(windows, phenotypes.values.shape[0], genotypes.vector_of.size)
    for place, members in enumerate(groups or [[i] for i in range(phenotypes.values.shape[0])]):
        best: _Best | None = None
        permuted = np.zeros(permutations.shape[0])
        n_tested = 0
        for i in members:
            found = _find_best(phenotypes, genotypes, i, windows[i], distances[i], design)
            if found is not None:
                n_tested += 1
                permuted = np.maximum(
                    permuted, _find_best_permuted(phenotypes, i, found.vectors, permutations)
                )
                best = found if best is None or found.strength > best.strength * (1.0 + _DOUBLE) else best
        if best is not None:
            yield BestPair(
                group=place,
                pair=best.pair,
                n_variants=best.n_variants,
                n_vectors=best.vectors.shape[0],
                n_ties=best.n_ties,
                n_phenotypes=n_tested,
                n_as_good=int((permuted >= best.strength * (1.0 - _ROUNDING)).sum()),
                n_permutations=permuted.size,
                beta=fit_beta(permuted**2, design.df),
            )


@dataclass(frozen=True, eq=False)
class _Best:
    """Args: vectors: distinct vectors of the window × samples, as they first occur in it."""

    pair: Pairs
    n_variants: int
    vectors: Singles
    n_ties: int

    @property
    def strength(self) -> float:
        """|r|."""
        return abs(float(self.pair.r[0]))


def _find_best(
    phenotypes: Permuted, genotypes: DistinctGenotypes, i: int, window: Ints, distances: Ints, design: Design
) -> _Best | None:
    """The best variant of a phenotype's window; None where nothing can be tested."""
    start, stop = (int(edge) for edge in window)
    vector_of = genotypes.vector_of[start:stop]
    tested = np.flatnonzero(vector_of >= 0)
    if phenotypes.truth.is_constant[i] or not tested.size:
        return None
    places, first = np.unique(vector_of[tested], return_index=True)
    # In an order that the window alone decides: BLAS rounds by the place of a row.
    places, first = places[np.argsort(first)], np.sort(first)
    vectors = genotypes.values[places]
    truth = phenotypes.truth.values[i]
    rough = np.abs(vectors @ truth.astype(np.float32))
    near = np.flatnonzero(rough >= rough.max() - _SINGLE)
    exact = standardise_genotypes(genotypes.genotypes[start + tested[first[near]]], design)
    strengths = np.abs([float(row @ truth) for row in exact.values])
    tied_places = places[near[strengths >= strengths.max() * (1.0 - _DOUBLE)]]
    tied = tested[np.isin(vector_of[tested], tied_places)]
    chosen = start + int(tied[np.abs(distances[tied]).argmin()])
    of_chosen = standardise_genotypes(genotypes.genotypes[chosen : chosen + 1], design)
    r = np.array([float(of_chosen.values[0] @ truth)])
    at = np.array([0])
    pair = make_pairs(at, at, r, phenotypes.truth.lengths[i : i + 1], of_chosen.lengths, design.df)
    named = replace(pair, phenotype=at + i, variant=at + chosen)
    return _Best(named, tested.size, vectors, tied.size)


def _find_best_permuted(phenotypes: Permuted, i: int, vectors: Singles, permutations: Ints) -> Floats:
    """The greatest |r| of a window's vectors (× samples) in each permutation of a phenotype."""
    n_permutations = permutations.shape[0]
    best = np.empty(n_permutations)
    products = np.empty(_N_VARIANTS * _N_PERMUTATIONS, np.float32)
    for begin in range(0, n_permutations, _N_PERMUTATIONS):
        permuted = phenotypes.values[i][permutations[begin : begin + _N_PERMUTATIONS]]
        n_columns = permuted.shape[0]
        extremes = np.zeros((2, n_columns), np.float32)
        for start in range(0, vectors.shape[0], _N_VARIANTS):
            some = vectors[start : start + _N_VARIANTS]
            product = products[: some.shape[0] * n_columns].reshape(some.shape[0], n_columns)
            np.dot(some, permuted.T, out=product)
            np.maximum(extremes[0], product.max(axis=0), out=extremes[0])
            np.minimum(extremes[1], product.min(axis=0), out=extremes[1])
        greatest = np.maximum(extremes[0], -extremes[1]).astype(np.float64)
        best[begin : begin + n_columns] = greatest / _residual_lengths(permuted, phenotypes.basis)
    return np.minimum(best, 1.0)


def _residual_lengths(permuted: Singles, basis: Singles) -> Floats:
    """Length of what the covariates leave of permuted phenotypes of length 1.

    Genotypes that are residuals themselves have the same product with a phenotype as with its residuals: only the
    length is missing from their correlation.
    """
    explained = (permuted @ basis).astype(np.float64)
    return np.asarray(np.sqrt(np.maximum(1.0 - (explained**2).sum(axis=1), np.finfo(np.float32).eps)))
