"""Alleles by class and minor allele frequency. Pure functions of Arrow columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]

BINS = (
    "monomorphic", "singleton", "doubleton", "≤ 0.1 %", "0.1–0.5 %", "0.5–1 %", "1–5 %", "5–10 %", "10–50 %",
)  # fmt: skip
CLASSES = ("SNV", "indel", "other")

# Upper bounds of the bins from the third on, inclusive, in thousandths.
_BOUNDS = (1, 5, 10, 50, 100)
_FIRST_BOUNDED = 3
_BASES = "^[ACGTNacgtn]+$"


def bin_alleles(ac: pa.Array, an: pa.Array) -> Ints:
    """Bin of each allele: by its minor allele count up to two copies, beyond by its minor allele frequency.

    A frequency on a bound belongs to the lower bin; a minor allele with one copy is a singleton however few people
    there are.

    Args:
        ac: copies of ALT.
        an: called alleles.

    Returns:
        place in `BINS`; -1 where nothing is called.

    >>> [BINS[i] for i in bin_alleles(pa.array([0, 1, 199, 5, 50]), pa.array([200, 200, 200, 100, 100]))]
    ['monomorphic', 'singleton', 'singleton', '1–5 %', '10–50 %']
    """
    copies, called = (
        pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype(np.int64) for column in (ac, an)
    )
    minor = np.minimum(copies, called - copies)
    bins = np.minimum(minor, _FIRST_BOUNDED)
    is_common = minor >= _FIRST_BOUNDED
    # Whole numbers: 5 of 100 are not more than 50 of 1000, whatever a floating point fraction says.
    above = (minor[:, None] * 1000 > called[:, None] * np.array(_BOUNDS)).sum(axis=1)
    bins = np.where(is_common, _FIRST_BOUNDED + above, bins)
    return np.asarray(np.where(called > 0, bins, -1))


def classify(ref: pa.Array, alt: pa.Array) -> Ints:
    """Class of each allele, as a place in `CLASSES`: one base for one base, bases of another number, or anything else.

    >>> [CLASSES[i] for i in classify(pa.array(["A", "AC", "AC", "A"]), pa.array(["T", "A", "GT", "<DEL>"]))]
    ['SNV', 'indel', 'other', 'other']
    """
    is_plain = pc.and_(pc.match_substring_regex(ref, _BASES), pc.match_substring_regex(alt, _BASES))
    lengths = [pc.utf8_length(column) for column in (ref, alt)]
    is_equal = pc.equal(*lengths)
    is_snv = pc.and_(is_plain, pc.and_(is_equal, pc.equal(lengths[0], 1)))
    is_indel = pc.and_(is_plain, pc.invert(is_equal))
    flags = [pc.fill_null(column, False).to_numpy(zero_copy_only=False) for column in (is_snv, is_indel)]
    return np.asarray(np.select(flags, [0, 1], 2), dtype=np.int64)


def count_spectrum(bins: Ints, classes: Ints) -> Ints:
    """How many alleles fall into each class and bin: classes × bins, those without a frequency left out.

    >>> count_spectrum(np.array([1, 1, -1]), np.array([0, 1, 0])).sum(axis=1).tolist()
    [1, 1, 0]
    """
    is_counted = bins >= 0
    places = classes[is_counted] * len(BINS) + bins[is_counted]
    return np.bincount(places, minlength=len(CLASSES) * len(BINS)).reshape(len(CLASSES), len(BINS))
