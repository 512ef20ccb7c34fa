"""Quality of each person's genotypes: call rate, heterozygosity, and sex by the heterozygosity of X.

Whoever has fewer heterozygous genotypes than Hardy-Weinberg equilibrium lets expect has a positive F (inbreeding,
allelic dropout), whoever has more a negative one (a contaminated sample). On X outside the pseudoautosomal regions a
person with one copy has no heterozygous genotype (F near 1), one with two has as many as expected (F near 0).

Everything is a sum over variants, of whole numbers: parts of the variants counted anywhere, merged in any order, are
the same as all counted at once. Allele frequencies are those of the people counted: a part has to hold all of them.

Source: ``plink2 --missing`` and ``--het``; ``plink1.9 --check-sex``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kgp.errors import InputError, UsageError
from kgp.genome import ReferenceBuild

Dosages = NDArray[np.int8]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Role = Literal["autosome", "x"]

# plink1.9's --check-sex: at most this F for two copies of X, at least that for one.
MAX_FEMALE_F = 0.2
MIN_MALE_F = 0.8

# Variants counted at a time.
BLOCK = 4096

# Expected heterozygosities are summed in whole multiples of 2^-36: in any order the same sum, of up to 2^27 variants,
# and off by less than 1e-10 of it. A block's sum of them stays below 2^53, where doubles are exact.
_UNITS = 2.0**36


def role_of(contig: str, start: int, build: ReferenceBuild) -> Role | None:
    """What a variant tells of: autosomes of call rate and heterozygosity, X outside the PAR of sex, others of nothing.

    Args:
        contig: in any spelling that the build knows.
        start: place of the variant, 0-based.
        build: reference build of the place.

    Returns:
        autosome, x, or None: the pseudoautosomal regions, Y, MT, and contigs that the build does not know.

    >>> from kgp.genome import GRCH37
    >>> [role_of(contig, 3_000_000, GRCH37) for contig in ("chr22", "X", "Y", "GL000192.1")]
    ['autosome', 'x', None, None]
    >>> role_of("X", 100_000, GRCH37) is None
    True
    """
    canonical = build.canonical(contig)
    if canonical is None or build.is_par(contig, start):
        return None
    inheritance = build.inheritance(contig, start)
    if inheritance == "haploid":
        return None
    return "x" if inheritance == "x" else "autosome"


def list_autosomes(contigs: Iterable[str], build: ReferenceBuild) -> list[str]:
    """Those contigs that are autosomes, in their order.

    >>> from kgp.genome import GRCH37
    >>> list_autosomes(["chr22", "X", "7", "MT"], GRCH37)
    ['chr22', '7']
    """
    return [contig for contig in contigs if role_of(contig, 0, build) == "autosome"]


def code_hemizygous(dosages: Dosages, is_haploid: Flags) -> Dosages:
    """Dosages with haploid genotypes counted as two equal copies: 0 and 2.

    Args:
        dosages: variants × samples, copies of ALT, negative where missing.
        is_haploid: variants × samples, or samples alone: whose genotypes are of one copy.

    >>> code_hemizygous(np.array([[0, 1, 1, -1]], dtype=np.int8), np.array([True, True, False, True])).tolist()
    [[0, 2, 1, -1]]
    """
    return np.where(is_haploid & (dosages == 1), np.int8(2), dosages)


@dataclass(eq=False)
class CallCounts:
    """Genotypes called.

    Args:
        n_called: variants with a genotype, a person.
        n_variants: variants counted.
    """

    n_called: Ints
    n_variants: int = 0

    @classmethod
    def of(cls, n_samples: int) -> CallCounts:
        """Nothing counted yet."""
        return cls(np.zeros(n_samples, dtype=np.int64))

    def add(self, dosages: Dosages) -> None:
        """Add variants.

        Args:
            dosages: variants × samples, negative where missing.

        Raises:
            InputError: another number of samples.
        """
        _check_samples(dosages.shape[1], len(self.n_called))
        self.n_called += (dosages >= 0).sum(axis=0)
        self.n_variants += len(dosages)

    def merge(self, other: CallCounts) -> None:
        """Add what another has counted in other variants of the same people."""
        _check_samples(len(other.n_called), len(self.n_called))
        self.n_called += other.n_called
        self.n_variants += other.n_variants

    @property
    def call_rate(self) -> Floats:
        """Part of the variants with a genotype, 0 to 1 a person; NaN where no variant was counted."""
        return np.asarray(self.n_called / (self.n_variants or np.nan))


@dataclass(eq=False)
class HeterozygosityCounts:
    """Heterozygous genotypes, observed and expected, in variants that vary.

    Args:
        n_het: heterozygous genotypes, a person.
        n_called: genotypes (plink2's OBS_CT), a person.
        expected_units: expected heterozygous genotypes times 2^36, a person.
        n_variants: variants that vary.
        n_monomorphic: variants that do not, which count nowhere else.
    """

    n_het: Ints
    n_called: Ints
    expected_units: Ints
    n_variants: int = 0
    n_monomorphic: int = 0

    @classmethod
    def of(cls, n_samples: int) -> HeterozygosityCounts:
        """Nothing counted yet."""
        n_het, n_called, expected_units = (np.zeros(n_samples, dtype=np.int64) for _ in range(3))
        return cls(n_het, n_called, expected_units)

    def add(self, dosages: Dosages, has_one_copy: Flags | None = None) -> None:
        """Add variants: all of autosomes, or all of X outside the pseudoautosomal regions.

        Args:
            dosages: variants × samples, copies of ALT in diploid genotypes, negative where missing; haploid genotypes
                as `code_hemizygous` gives them.
            has_one_copy: who is known to have one X: counted as one allele in the allele frequencies, where a
                heterozygous genotype of theirs does not count. It does not touch their own observed number.

        Raises:
            InputError: another number of samples, or a dosage above 2.
        """
        _check_samples(dosages.shape[1], len(self.n_het))
        if dosages.size and dosages.max() > 2:
            raise InputError(
                f"A genotype has {dosages.max()} copies of the ALT: heterozygosity needs diploid genotypes.",
                where="sample quality",
            )
        for first in range(0, len(dosages), BLOCK):
            self._add_block(dosages[first : first + BLOCK], has_one_copy)

    def merge(self, other: HeterozygosityCounts) -> None:
        """Add what another has counted in other variants of the same people."""
        _check_samples(len(other.n_het), len(self.n_het))
        self.n_het += other.n_het
        self.n_called += other.n_called
        self.expected_units += other.expected_units
        self.n_variants += other.n_variants
        self.n_monomorphic += other.n_monomorphic

    @property
    def observed_hom(self) -> Ints:
        """Homozygous genotypes a person: O(HOM)."""
        return self.n_called - self.n_het

    @property
    def expected_het(self) -> Floats:
        """Expected heterozygous genotypes a person: the sum of 2p(1 - p) over the called variants."""
        return np.asarray(self.expected_units / _UNITS)

    @property
    def expected_hom(self) -> Floats:
        """Expected homozygous genotypes a person: E(HOM)."""
        return np.asarray(self.n_called - self.expected_het)

    @property
    def f(self) -> Floats:
        """1 - observed / expected heterozygous genotypes a person; NaN where none is called."""
        with np.errstate(invalid="ignore"):
            return np.asarray(1.0 - self.n_het / self.expected_het)

    def _add_block(self, dosages: Dosages, has_one_copy: Flags | None) -> None:
        is_het, is_called = dosages == 1, dosages >= 0
        n_copies, n_alleles = count_alleles(dosages, has_one_copy)
        varies = (n_copies > 0) & (n_copies < n_alleles)
        frequency = np.divide(n_copies, n_alleles, out=np.zeros(len(dosages)), where=varies)
        units = np.rint(2.0 * frequency * (1.0 - frequency) * _UNITS)
        self.n_het += is_het[varies].sum(axis=0)
        self.n_called += is_called[varies].sum(axis=0)
        self.expected_units += (units @ is_called.astype(np.float64)).astype(np.int64)
        self.n_variants += int(varies.sum())
        self.n_monomorphic += int((~varies).sum())


def infer_sexes(
    f: Floats, *, max_female_f: float = MAX_FEMALE_F, min_male_f: float = MIN_MALE_F
) -> list[str | None]:
    """Sex of each person by the F of X.

    Where files write the genotypes of males as haploid, those have an F of 1 by that alone: such a sex repeats what the
    caller of the genotypes was told.

    Args:
        f: of `HeterozygosityCounts` on X outside the pseudoautosomal regions.
        max_female_f: females have less.
        min_male_f: males have more.

    Returns:
        male, female, or None between the thresholds and where nothing is called.

    Raises:
        UsageError: the thresholds overlap.

    >>> infer_sexes(np.array([0.99, 0.5, -0.1, np.nan]))
    ['male', None, 'female', None]
    """
    if max_female_f > min_male_f:
        raise UsageError(
            f"Who has an F of X between {min_male_f:g} and {max_female_f:g} would be both male and female.",
            mend="Take 0.2 for females and 0.8 for males.",
        )
    return ["male" if x > min_male_f else "female" if x < max_female_f else None for x in f.tolist()]


def count_alleles(dosages: Dosages, has_one_copy: Flags | None = None) -> tuple[Ints, Ints]:
    """Copies of ALT and called alleles, a variant.

    Args:
        dosages: variants × samples, as `HeterozygosityCounts.add` takes them.
        has_one_copy: who is known to have one X: one allele a called genotype, none where it is heterozygous.

    >>> dosages = np.array([[0, 1, 2, 2, -1]], dtype=np.int8)
    >>> [counts.tolist() for counts in count_alleles(dosages)]
    [[5], [8]]
    >>> [counts.tolist() for counts in count_alleles(dosages, np.array([False, True, True, False, True]))]
    [[3], [5]]
    """
    is_called = dosages >= 0
    copies = np.where(is_called, dosages, np.int8(0))
    n_copies, n_alleles = copies.sum(axis=1, dtype=np.int64), 2 * is_called.sum(axis=1, dtype=np.int64)
    if has_one_copy is not None:
        one, one_is_het = copies[:, has_one_copy], (dosages[:, has_one_copy] == 1).sum(axis=1)
        n_copies -= ((one == 2).sum(axis=1) + one_is_het).astype(np.int64)
        n_alleles -= is_called[:, has_one_copy].sum(axis=1) + one_is_het
    return n_copies, n_alleles


def _check_samples(n: int, n_samples: int) -> None:
    if n != n_samples:
        raise InputError(
            f"Genotypes of {n} people cannot be added to those of {n_samples}.", where="sample quality"
        )
