"""Variants that are the same to every test: each is computed once, however many there are in a window.

Arrays are `variants × samples`, as in `kgp.eqtl.design`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgp.eqtl.design import Design, Ints, Numbers, check_complete, standardise_genotypes

Singles = NDArray[np.float32]

# Variants looked at at a time, which bounds the memory.
_N_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class DistinctGenotypes:
    """The variants of a block, those that always have the same |r| taken together.

    Vectors are the same when they are equal after the first sample's dosage is taken off and the first other dosage
    is made 1: equal ones, those with REF and ALT exchanged, and carriers of one or two alleles alike.

    Args:
        genotypes: variants × samples as they were given.
        values: distinct vectors × samples, single precision, mean 0 and length 1 (residuals where the model says so).
        vector_of: each variant's row of `values`; −1 where the variant is constant and can't be tested.
    """

    genotypes: Numbers
    values: Singles
    vector_of: Ints


def find_distinct(genotypes: Numbers, design: Design) -> DistinctGenotypes:
    """Find the distinct vectors of a block of variants × samples, in the order in which they first occur.

    Raises:
        InputError: a value is missing, or the genotypes are of other samples than the design.
    """
    check_complete(genotypes, "variant")
    firsts, equal_to = _find_equal(genotypes)
    place_of: dict[bytes, int] = {}
    vector_of = np.full(firsts.size, -1, dtype=np.int64)
    parts: list[Singles] = []
    for start in range(0, firsts.size, _N_AT_ONCE):
        canonical = _make_canonical(genotypes[firsts[start : start + _N_AT_ONCE]])
        standardised = standardise_genotypes(canonical, design)
        new = []
        for i in np.flatnonzero(~standardised.is_constant).tolist():
            key = canonical[i].tobytes()
            if key not in place_of:
                place_of[key] = len(place_of)
                new.append(i)
            vector_of[start + i] = place_of[key]
        parts.append(standardised.values[new].astype(np.float32))
    empty = np.empty((0, genotypes.shape[1]), np.float32)
    return DistinctGenotypes(genotypes, np.concatenate([empty, *parts]), vector_of[equal_to])


def _find_equal(genotypes: Numbers) -> tuple[Ints, Ints]:
    """Rows that no earlier row equals to the byte, and of each row the place among them of the one it equals."""
    place_of: dict[bytes, int] = {}
    equal_to = np.array(
        [place_of.setdefault(row.tobytes(), len(place_of)) for row in genotypes], dtype=np.int64
    )
    return np.unique(equal_to, return_index=True)[1], equal_to


def _make_canonical(genotypes: Numbers) -> Numbers:
    """Variants that always have the same |r| become the same vector: first dosage 0, first other 1.

    Whole copies, of at most two alleles, stay small numbers: they become 2, not 1, which differs by no bit after the
    vectors are standardised.
    """
    if genotypes.dtype == np.int8 and genotypes.max(initial=0) <= 2:
        copies = genotypes - genotypes[:, :1]
        first = np.take_along_axis(copies, (copies != 0).argmax(axis=1)[:, np.newaxis], axis=1)
        # A constant one is all zeros, whatever it is multiplied with.
        return np.asarray(copies * (2 // np.where(first == 0, 1, first)).astype(np.int8))
    values = genotypes - genotypes[:, :1].astype(np.float64)
    first = np.take_along_axis(values, (values != 0.0).argmax(axis=1)[:, np.newaxis], axis=1)
    return np.asarray(np.divide(values, first, out=values, where=first != 0.0) + 0.0)  # no −0
