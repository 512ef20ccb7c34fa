"""Linear regression of phenotypes on the variants near them, one pair at a time, computed in blocks.

Arrays are as in `kgp.eqtl.design`. Windows are ranges of rows of the genotypes, 0-based half-open. Results are in
double precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kgp.eqtl.beta_approximation import LEAST_REST
from kgp.eqtl.design import Design, Floats, Ints, Numbers, Standardised
from kgp.eqtl.student_t import both_p_of_r2
from kgp.errors import InputError

# Products of phenotypes and variants made at a time: 1 MB each in double precision, of which a few are held: cores that
# compute side by side have caches of their own, and one memory.
N_AT_ONCE = 1 << 17


@dataclass(frozen=True, eq=False)
class Pairs:
    """Tested pairs; all arrays have a value a pair, none is ever NaN or infinite.

    Args:
        phenotype: row of the phenotypes, from 0.
        variant: row of the genotypes, from 0.
        r: (partial) correlation.
        slope: change of the phenotype with each ALT allele, in the phenotype's unit.
        slope_se: its standard error.
        t: slope / slope_se.
        p: two-sided; 0 where it is below the least double.
        neg_log10_p: −log10 p, exact however small p is.
    """

    phenotype: Ints
    variant: Ints
    r: Floats
    slope: Floats
    slope_se: Floats
    t: Floats
    p: Floats
    neg_log10_p: Floats

    @property
    def r2(self) -> Floats:
        """Squared correlation."""
        return np.asarray(self.r**2)


@dataclass(frozen=True, eq=False)
class AlleleStatistics:
    """Alleles of each variant in the cohort, as tensorQTL counts them.

    Args:
        af: frequency of ALT.
        ma_samples: people who carry the minor allele (a dosage of more than half an allele); ALT where both are as
            frequent.
        ma_count: minor alleles of the cohort, dosages below half an ALT allele left out, rounded.
    """

    af: Floats
    ma_samples: Ints
    ma_count: Ints


def map_nominal(
    phenotypes: Standardised,
    genotypes: Standardised,
    windows: Ints,
    design: Design,
    n_at_once: int = N_AT_ONCE,
) -> Iterator[Pairs]:
    """Test every phenotype with every variant of its window.

    Neighbouring phenotypes are multiplied with all the variants that any of them has in its window, in one product,
    of which the windows are cut; phenotypes that lie in the order of their windows make that cheap.

    Args:
        phenotypes: phenotypes × samples; constant ones have no pairs.
        genotypes: variants × samples; constant ones have no pairs.
        windows: phenotypes × 2: first variant, one past the last; equal where there is none.
        design: what both were standardised with.
        n_at_once: products held at a time, which bounds the memory; a single phenotype may have more.

    Yields:
        pairs of a few phenotypes in their order, variants in theirs. Empty batches are left out.

    Raises:
        InputError: a window lies outside the genotypes.
    """
    check_windows(windows, phenotypes.values.shape[0], genotypes.values.shape[0])
    is_tested = (windows[:, 0] < windows[:, 1]) & ~phenotypes.is_constant
    for some in plan_batches(np.flatnonzero(is_tested), windows, n_at_once):
        start, stop = int(windows[some, 0].min()), int(windows[some, 1].max())
        r = phenotypes.values[some] @ genotypes.values[start:stop].T
        places = np.arange(start, stop)
        is_pair = (windows[some, :1] <= places) & (places < windows[some, 1:])
        i, j = np.nonzero(is_pair & ~genotypes.is_constant[start:stop])
        if i.size:
            yield make_pairs(some[i], j + start, r[i, j], phenotypes.lengths, genotypes.lengths, design.df)


def make_pairs(
    phenotype: Ints, variant: Ints, r: Floats, phenotype_lengths: Floats, genotype_lengths: Floats, df: int
) -> Pairs:
    """Slope, standard error, t and p of pairs from their correlations.

    A perfect fit counts with 1 − r² = 2⁻⁵², what double precision can tell from none, so that its t and p are finite.

    Args:
        phenotype: row a pair.
        variant: row a pair.
        r: correlation a pair.
        phenotype_lengths: length of each phenotype's residuals.
        genotype_lengths: length of each variant's centred (residual) dosages.
        df: degrees of freedom.
    """
    r = np.clip(r, -1.0, 1.0)
    r2 = r**2
    rest = np.maximum(1.0 - r2, LEAST_REST)
    unit = phenotype_lengths[phenotype] / genotype_lengths[variant]
    spread = np.sqrt(rest / df)
    p, neg_log10_p = both_p_of_r2(r2, df)
    return Pairs(phenotype, variant, r, r * unit, spread * unit, r / spread, p, neg_log10_p)


def count_alleles(genotypes: Numbers) -> AlleleStatistics:
    """Frequency, carriers and number of minor alleles of each variant.

    Args:
        genotypes: variants × samples, dosages of ALT.

    Source: tensorQTL 1.0.10, core.get_allele_stats.

    >>> found = count_alleles(np.array([[0, 1, 2, 0], [2, 2, 1, 2]], dtype=np.int8))
    >>> found.af.tolist(), found.ma_samples.tolist(), found.ma_count.tolist()
    ([0.375, 0.875], [2, 1], [3, 1])
    """
    n_alleles = 2 * genotypes.shape[1]
    total = genotypes.sum(axis=1, dtype=np.float64)
    af = total / n_alleles
    is_minor = af <= 0.5
    if genotypes.dtype.kind == "i":
        # Compared with whole numbers: numpy would make floats of them first.
        has_alt, has_ref = genotypes > 0, genotypes < 2
        n_alt = total
    else:
        has_alt, has_ref = genotypes > 0.5, genotypes < 1.5
        n_alt = np.rint(np.where(has_alt, genotypes, 0).sum(axis=1, dtype=np.float64))
    ma_samples = np.where(is_minor, has_alt.sum(axis=1), has_ref.sum(axis=1))
    ma_count = np.where(is_minor, n_alt, n_alleles - n_alt)
    return AlleleStatistics(af, ma_samples.astype(np.int64), ma_count.astype(np.int64))


def check_windows(windows: Ints, n_phenotypes: int, n_variants: int) -> None:
    """Refuse windows that are not ranges of the variants, one a phenotype.

    Raises:
        InputError: a window lies outside the genotypes, ends before it begins, or there are not as many as
        phenotypes.
    """
    if windows.shape != (n_phenotypes, 2):
        raise InputError(
            f"{windows.shape[0]} windows were given for {n_phenotypes} phenotypes.", mend="Give one each."
        )
    is_bad = (windows[:, 0] < 0) | (windows[:, 1] > n_variants) | (windows[:, 0] > windows[:, 1])
    if is_bad.any():
        bad = int(is_bad.argmax())
        start, stop = (int(edge) for edge in windows[bad])
        raise InputError(
            f"The window {start} to {stop} of phenotype {bad} (counted from 0) is no range of {n_variants} variants.",
            mend="Give the first variant and one past the last.",
        )


def plan_batches(phenotypes: Ints, windows: Ints, n_at_once: int) -> Iterator[Ints]:
    """Phenotypes in turn, as many as have a product with the variants of all their windows that is within bounds."""
    first = 0
    while first < phenotypes.size:
        start, stop = (int(edge) for edge in windows[phenotypes[first]])
        last = first + 1
        while last < phenotypes.size:
            start = min(start, int(windows[phenotypes[last], 0]))
            stop = max(stop, int(windows[phenotypes[last], 1]))
            if (last + 1 - first) * (stop - start) > n_at_once:
                break
            last += 1
        yield phenotypes[first:last]
        first = last
