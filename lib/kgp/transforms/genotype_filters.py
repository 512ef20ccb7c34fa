"""Which variants a matrix set leaves out for what its own people's genotypes say: one function a rule. Pure numpy.

Each rule takes the counts of many variants and says of each whether it is against it. Bounds are inclusive: what is
exactly at a bound is kept. A frequency is one division of whole numbers, so it equals the decimal at a bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kgp.transforms.hardy_weinberg import exact_p

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
Copies = npt.NDArray[np.int8] | npt.NDArray[np.float32]

# An expected dosage that is no further from a whole number counts as that genotype, as in plink2; 1.9 in 32 bits is
# somewhat less than that.
HARD_CALL = 0.1
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class CohortCounts:
    """What is counted of each variant among a set's people.

    Args:
        ac: copies of ALT among the called alleles; a sum of expected dosages where those are taken.
        an: called alleles.
        n_missing: people without a genotype.
        missing: fraction of people without a genotype; on X that of the sex with more of them.
        hwe_p: Hardy-Weinberg exact p, on X of women; NaN where it was not computed.
    """

    ac: Int64s | Floats
    an: Int64s
    n_missing: Int64s
    missing: Floats
    hwe_p: Floats

    @property
    def minor(self) -> Int64s | Floats:
        """Copies of the rarer allele."""
        minor: Int64s | Floats = np.minimum(self.ac, self.an - self.ac)
        return minor

    @property
    def maf(self) -> Floats:
        """Minor allele frequency; 0 where nothing is called."""
        maf: Floats = np.divide(self.minor, self.an, out=np.zeros(self.an.size), where=self.an > 0)
        return maf

    def take(self, chosen: Flags) -> CohortCounts:
        """Some of the variants."""
        return CohortCounts(*(column[chosen] for column in vars(self).values()))

    def put(self, rows: npt.NDArray[np.intp], counts: CohortCounts) -> None:
        """Fill in some of the variants."""
        for mine, other in zip(vars(self).values(), vars(counts).values(), strict=True):
            mine[rows] = other

    @classmethod
    def empty(cls, n_variants: int, *, is_expected: bool) -> CohortCounts:
        """Nobody called."""
        ac: Int64s | Floats = np.zeros(n_variants, np.int64)
        if is_expected:
            ac = np.zeros(n_variants, np.float64)
        an, n_missing = np.zeros(n_variants, dtype=np.int64), np.zeros(n_variants, dtype=np.int64)
        return cls(ac, an, n_missing, np.zeros(n_variants), np.full(n_variants, np.nan))


def drop_missing(counts: CohortCounts, max_missing: float) -> Flags:
    """Too many people lack a genotype, or all do; on X in either sex."""
    return np.asarray((counts.missing > max_missing) | (counts.an == 0))


def drop_incomplete(counts: CohortCounts) -> Flags:
    """Anybody lacks a genotype."""
    return counts.n_missing > 0


def drop_monomorphic(counts: CohortCounts) -> Flags:
    """Only one allele is there."""
    return np.asarray(counts.minor == 0)


def drop_constant(values: Copies) -> Flags:
    """Everybody who is called has the same (all are heterozygous): a slope has no meaning; tensorQTL drops it, too.

    Args:
        values: variants × samples as the set has them, negative or NaN where missing.

    >>> drop_constant(np.array([[1, 1, -1], [0, 1, -1]], dtype=np.int8)).tolist()
    [True, False]
    """
    if values.dtype == np.int8:
        # What is missing is the least as a signed number and the greatest as an unsigned one.
        most, least = values.max(axis=1), np.ascontiguousarray(values).view(np.uint8).min(axis=1)
        return np.asarray((most < 0) | (most == least))
    return np.asarray(~(np.fmax.reduce(values, axis=1) > np.fmin.reduce(values, axis=1)))


def drop_rare(counts: CohortCounts, min_maf: float) -> Flags:
    """The minor allele's frequency is too low."""
    return counts.maf < min_maf


def drop_few_minor_alleles(counts: CohortCounts, min_mac: int) -> Flags:
    """The minor allele has too few copies."""
    return np.asarray(counts.minor < min_mac)


def drop_out_of_equilibrium(counts: CohortCounts, min_hwe_p: float) -> Flags:
    """The genotypes are too unlikely in Hardy-Weinberg equilibrium; what was not tested is kept."""
    return counts.hwe_p < min_hwe_p


def count_diploid(copies: Copies, *, with_hwe: bool) -> CohortCounts:
    """Counts of variants of which everybody has two alleles.

    Args:
        copies: variants × samples: copies of ALT, negative where missing, or expected copies, NaN where missing.
        with_hwe: compute the Hardy-Weinberg p, too.

    >>> counts = count_diploid(np.array([[0, 1, 2, -1]], dtype=np.int8), with_hwe=False)
    >>> counts.ac.tolist(), counts.an.tolist(), counts.n_missing.tolist(), counts.missing.tolist()
    ([3], [6], [1], [0.25])
    """
    ac, n_called = _sum_called(copies)
    n_samples = copies.shape[1]
    n_missing = n_samples - n_called
    return CohortCounts(
        ac,
        2 * n_called,
        n_missing,
        n_missing / n_samples,
        _equilibrium_p(copies) if with_hwe else np.full(len(copies), np.nan),
    )


def count_on_x(copies: Copies, is_male: Flags, is_female: Flags, *, with_hwe: bool) -> CohortCounts:
    """Counts of variants of X of which men have one allele and women two.

    Args:
        copies: as `kgp.transforms.ploidy.count_copies_on_x` gives them.
        is_male: a sample each.
        is_female: a sample each.
        with_hwe: compute the Hardy-Weinberg p of women, too.
    """
    men, women = copies[:, is_male], copies[:, is_female]
    ac_men, n_men = _sum_called(men)
    ac_women, n_women = _sum_called(women)
    n_missing = copies.shape[1] - n_men - n_women
    return CohortCounts(
        ac_men + ac_women,
        n_men + 2 * n_women,
        n_missing,
        np.maximum(_missing(n_men, men.shape[1]), _missing(n_women, women.shape[1])),
        _equilibrium_p(women) if with_hwe else np.full(len(copies), np.nan),
    )


def _missing(n_called: Int64s, n_samples: int) -> Floats:
    """Fraction without a genotype; 0 of nobody."""
    return (n_samples - n_called) / max(1, n_samples)


def _sum_called(copies: Copies) -> tuple[Int64s | Floats, Int64s]:
    """Sum of what is called, exact for whole numbers, and how many are."""
    is_called = copies >= 0
    n_called = is_called.sum(axis=1, dtype=np.int64)
    if copies.dtype == np.int8:
        return copies.sum(axis=1, dtype=np.int64) + (copies.shape[1] - n_called), n_called
    return np.where(is_called, copies, np.float32(0)).sum(axis=1, dtype=np.float64), n_called


def _equilibrium_p(copies: Copies) -> Floats:
    """Hardy-Weinberg exact p of diploid genotypes; NaN where nobody is called."""
    if copies.dtype != np.int8:
        nearest = np.rint(copies)
        copies = np.where(np.abs(copies - nearest) <= HARD_CALL + _ROUNDING, nearest, np.float32(np.nan))
    hom_ref, het, hom_alt = ((copies == n).sum(axis=1, dtype=np.int64) for n in range(3))
    return exact_p(hom_ref, het, hom_alt)
