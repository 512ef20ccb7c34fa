"""Which variants are common and complete enough among some people to tell of the people. Pure numpy.

Both bounds are inclusive, as plink2's ``--maf`` and ``--geno`` are. A frequency is one division of whole numbers, so it
equals the decimal at a bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgp.eqtl.sample_quality import count_alleles

Dosages = NDArray[np.int8]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class CommonRule:
    """Bounds on variants.

    Args:
        min_maf: least minor allele frequency, 0 to 0.5.
        max_missing: greatest fraction of people without a genotype, 0 to 1.
    """

    min_maf: float
    max_missing: float


def find_incomplete(dosages: Dosages, rule: CommonRule) -> Flags:
    """Variants that too many people have no genotype of; all of those that nobody has one of.

    Args:
        dosages: variants × samples, negative where missing.
        rule: the bounds.

    >>> find_incomplete(np.array([[0, -1, 1, 2], [-1, -1, -1, -1]], dtype=np.int8), CommonRule(0.0, 0.25)).tolist()
    [False, True]
    """
    n_samples = dosages.shape[1]
    n_missing = (dosages < 0).sum(axis=1)
    return np.asarray((n_missing / max(n_samples, 1) > rule.max_missing) | (n_missing == n_samples))


def find_rare(dosages: Dosages, rule: CommonRule, has_one_copy: Flags | None = None) -> Flags:
    """Variants whose minor allele is too rare.

    Args:
        dosages: variants × samples, copies of ALT in diploid genotypes, negative where missing.
        rule: the bounds.
        has_one_copy: of X, who is known to have one of it: see `count_alleles`.

    >>> find_rare(np.array([[0, 0, 0, 1], [2, 2, 2, 2]], dtype=np.int8), CommonRule(0.125, 1.0)).tolist()
    [False, True]
    """
    n_copies, n_alleles = count_alleles(dosages, has_one_copy)
    minor = np.minimum(n_copies, n_alleles - n_copies)
    frequency = np.divide(minor, n_alleles, out=np.zeros(len(dosages)), where=n_alleles > 0)
    return np.asarray(frequency < rule.min_maf)
