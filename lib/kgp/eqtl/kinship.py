"""Kinship of every two people from their genotypes alone: KING-robust.

Counted are, over the variants called in both people, where both are heterozygous (het_het), where they are homozygous
for different alleles (ibs0), and where one is heterozygous and the other is not (het_hom); with h₁ and h₂ heterozygous
genotypes of the one and the other among those variants ::

    kinship = 1/2 - (4·ibs0 + het_hom₁ + het_hom₂) / (4·min(h₁, h₂))

It needs no allele frequencies, so people of several populations are compared rightly. The counts are whole numbers:
parts of the variants counted anywhere, merged in any order, are the same as all counted at once.

Source: Manichaikul et al. 2010, Bioinformatics 26:2867; ``plink2 --make-king-table``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgp.errors import InputError

Counts = NDArray[np.int32]
Dosages = NDArray[np.int8]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Singles = NDArray[np.float32]

# Least kinship of second-degree relatives, 2^-3.5 in 4 digits, as KING and plink2's documentation have it.
MIN_KINSHIP = 0.0884

# Degree of relationship → kinship that it is above: powers of 2 halfway between the expected 1/2, 1/4, 1/8, 1/16.
DEGREES = (("duplicate", 2.0**-1.5), ("first", 2.0**-2.5), ("second", 2.0**-3.5), ("third", 2.0**-4.5))
UNRELATED = "unrelated"

# Genotypes that are multiplied as 32-bit numbers at a time; sums in 32 bits are exact up to 2^24 variants.
BLOCK_VALUES = 16_000_000

_BOTH_HET, _BOTH_HOM, _HOM_PRODUCT, _HET_HOM = range(4)
_SYMMETRIC = (_BOTH_HET, _BOTH_HOM, _HOM_PRODUCT)


@dataclass(frozen=True, eq=False)
class KinshipTable:
    """Pairs of people, as plink2 orders them: person 1 with 0, 2 with 0 and 1, 3 with 0, 1 and 2, …

    Args:
        first, second: the two people as indices of samples, first > second.
        n_variants: variants called in both (NSNP).
        het_het: part of them where both are heterozygous (HETHET), NaN where there is none.
        ibs0: part of them where they are homozygous for different alleles (IBS0), NaN where there is none.
        kinship: 0.5 for the same person; -inf or NaN where one of the two has no heterozygous genotype.
    """

    first: Ints
    second: Ints
    n_variants: Ints
    het_het: Floats
    ibs0: Floats
    kinship: Floats

    def __len__(self) -> int:
        return len(self.first)

    @property
    def n_undetermined(self) -> int:
        """Pairs whose kinship cannot be told: one of them has no heterozygous genotype."""
        return int((~np.isfinite(self.kinship)).sum())

    def take(self, chosen: NDArray[np.bool_] | Ints) -> KinshipTable:
        """Those pairs only."""
        return KinshipTable(
            self.first[chosen],
            self.second[chosen],
            self.n_variants[chosen],
            self.het_het[chosen],
            self.ibs0[chosen],
            self.kinship[chosen],
        )


class KingCounts:
    """Counts of every two people, to which variants are added.

    `counts` and `n_variants` are all there is of it: they can be sent elsewhere and made a `KingCounts` again.

    Args:
        n_samples: people.
        counts: 4 × samples × samples, of what was added before; nothing, where not given. 2,504 people: 100 MB.
        n_variants: variants added before.
    """

    def __init__(self, n_samples: int, counts: Counts | None = None, n_variants: int = 0) -> None:
        shape = (4, n_samples, n_samples)
        if counts is not None and counts.shape != shape:
            raise InputError(
                f"Counts of shape {counts.shape} are not of {n_samples} people.", where="kinship"
            )
        self.counts: Counts = np.zeros(shape, dtype=np.int32) if counts is None else counts
        self.n_variants = n_variants

    def __getstate__(self) -> dict[str, object]:
        """Halves of the symmetric counts: what a task gives back is small."""
        n_samples = self.counts.shape[1]
        lower = [self.counts[which][np.tril_indices(n_samples)] for which in _SYMMETRIC]
        return {
            "n_samples": n_samples,
            "lower": lower,
            "het_hom": self.counts[_HET_HOM],
            "n_variants": self.n_variants,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        n_samples = state["n_samples"]
        self.counts = np.zeros((4, n_samples, n_samples), dtype=np.int32)
        for which, lower in zip(_SYMMETRIC, state["lower"], strict=True):
            half = self.counts[which]
            half[np.tril_indices(n_samples)] = lower
            half += np.tril(half, -1).T
        self.counts[_HET_HOM] = state["het_hom"]
        self.n_variants = state["n_variants"]

    def add(self, dosages: Dosages) -> None:
        """Add variants of autosomes.

        Args:
            dosages: variants × samples, copies of ALT in diploid genotypes, negative where missing.

        Raises:
            InputError: another number of samples, or a dosage above 2.
        """
        _check_diploid(dosages, self.counts.shape[1])
        n_rows = max(BLOCK_VALUES // max(dosages.shape[1], 1), 1)
        for first in range(0, len(dosages), n_rows):
            block = dosages[first : first + n_rows]
            is_complete = (block >= 0).all(axis=1)
            self._add_complete(block if is_complete.all() else block[is_complete])
            if not is_complete.all():
                self._add_incomplete(block[~is_complete])
        self.n_variants += len(dosages)

    def merge(self, other: KingCounts) -> None:
        """Add what another has counted in other variants of the same people.

        Raises:
            InputError: the other is of another number of people.
        """
        if other.counts.shape != self.counts.shape:
            raise InputError(
                f"Counts of {other.counts.shape[1]} people cannot be added to those of {self.counts.shape[1]}.",
                where="kinship",
            )
        self.counts += other.counts
        self.n_variants += other.n_variants

    def table(self, min_kinship: float | None = None) -> KinshipTable:
        """Kinship of every two people.

        Args:
            min_kinship: leave out pairs of less (``--king-table-filter``); those that cannot be told (NaN) stay in.
        """
        first, second = np.tril_indices(self.counts.shape[1], -1)
        both_het, both_hom, product = (
            self.counts[which][first, second].astype(np.int64)
            for which in (_BOTH_HET, _BOTH_HOM, _HOM_PRODUCT)
        )
        het_hom, hom_het = self.counts[_HET_HOM][first, second], self.counts[_HET_HOM][second, first]
        ibs0 = (both_hom - product) // 2
        one_het = het_hom.astype(np.int64) + hom_het
        n_variants = both_het + both_hom + one_het
        fewer = both_het + np.minimum(het_hom, hom_het)
        with np.errstate(divide="ignore", invalid="ignore"):
            kinship = 0.5 - (4 * ibs0 + one_het) / (4 * fewer)
            table = KinshipTable(first, second, n_variants, both_het / n_variants, ibs0 / n_variants, kinship)
        return table if min_kinship is None else table.take(~(kinship < min_kinship))

    def _add_complete(self, dosages: Dosages) -> None:
        """Variants called in everybody: two products instead of four."""
        het, sign = (dosages == 1).astype(np.float32), dosages.astype(np.float32) - np.float32(1.0)
        n_het = het.sum(axis=0, dtype=np.float64).astype(np.int32)
        both = _multiply(het, het)
        self.counts[_BOTH_HET] += both
        self.counts[_HOM_PRODUCT] += _multiply(sign, sign)
        self.counts[_HET_HOM] += n_het[:, None] - both
        both -= n_het[:, None]
        both -= n_het[None, :]
        both += np.int32(len(dosages))
        self.counts[_BOTH_HOM] += both

    def _add_incomplete(self, dosages: Dosages) -> None:
        het, is_hom = (dosages == 1).astype(np.float32), (dosages == 0) | (dosages == 2)
        hom = is_hom.astype(np.float32)
        sign = np.where(is_hom, dosages - np.int8(1), np.int8(0)).astype(np.float32)
        self.counts[_BOTH_HET] += _multiply(het, het)
        self.counts[_BOTH_HOM] += _multiply(hom, hom)
        self.counts[_HOM_PRODUCT] += _multiply(sign, sign)
        self.counts[_HET_HOM] += _multiply(het, hom)


def relatives(table: KinshipTable, min_kinship: float = MIN_KINSHIP) -> KinshipTable:
    """Pairs of at least so much kinship, the closest first.

    Args:
        table: of every pair.
        min_kinship: 0.0884 for second-degree relatives and closer. A kinship that cannot be told is not among them:
            `KinshipTable.n_undetermined` counts those.
    """
    chosen = table.take(table.kinship >= min_kinship)
    order = np.lexsort((chosen.second, chosen.first, -chosen.kinship))
    return chosen.take(order)


def degree_of(kinship: float) -> str:
    """Degree of relationship: duplicate (or monozygotic twin), first, second, third or unrelated.

    >>> degree_of(0.5), degree_of(0.25), degree_of(0.12), degree_of(0.0625), degree_of(-0.1)
    ('duplicate', 'first', 'second', 'third', 'unrelated')
    """
    return next((name for name, least in DEGREES if kinship > least), UNRELATED)


def _multiply(a: Singles, b: Singles) -> Counts:
    """Samples × samples; numpy computes half of a product of a matrix with itself."""
    return np.asarray((a.T @ b).astype(np.int32))


def _check_diploid(dosages: Dosages, n_samples: int) -> None:
    if dosages.shape[1] != n_samples:
        raise InputError(
            f"Genotypes of {dosages.shape[1]} people cannot be added to those of {n_samples}.",
            where="kinship",
        )
    if dosages.size and dosages.max() > 2:
        raise InputError(
            f"A genotype has {dosages.max()} copies of the ALT: kinship needs diploid genotypes.",
            where="kinship",
            mend="Add variants of autosomes only.",
        )
