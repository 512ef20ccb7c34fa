"""Which phenotypes are expressed enough, and vary enough, to be tested; each that is dropped has its reason.

Arrays are `phenotypes × samples` in the dataset's unit, NaN where a value is missing. A missing value counts among
all people, but never speaks for a phenotype: it reaches no threshold, and stands with the zeros.

Fractions are taken as the decimals that they are written as: 0.1 of 30 people are 3, although 0.1 * 30 is a little
more than 3 in floating point.
"""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
# For each phenotype why it is dropped, or None where it is kept.
Reasons = list[str | None]

BELOW_THRESHOLD = "expression below threshold"
FEW_COUNTS = "counts below threshold"
MOSTLY_ZERO = "zero in too many people"
CONSTANT = "constant"


def is_expressed(values: Floats, min_expression: float, min_expression_fraction: float) -> Flags:
    """Which phenotypes reach a value in enough people; both bounds are inclusive.

    Args:
        values: phenotypes × samples, in the dataset's unit.
        min_expression: least value, same unit.
        min_expression_fraction: fraction of the people, 0 to 1.

    Returns:
        a flag a phenotype.

    Source: GTEx pipeline, eqtl_prepare_expression.py (TPM >= 0.1 in >= 20 % of samples).

    >>> is_expressed(np.array([[0.1, 0.0, 0.0, 0.0, 0.0], [0.09, 0.0, 0.0, 0.0, np.nan]]), 0.1, 0.2).tolist()
    [True, False]
    """
    n_needed = math.ceil(_as_written(min_expression_fraction) * values.shape[1])
    return np.asarray((values >= min_expression).sum(axis=1) >= n_needed)


def is_mostly_zero(values: Floats, max_zero_fraction: float) -> Flags:
    """Which phenotypes are 0, or missing, in more than a fraction of the people; exactly that fraction is allowed.

    Args:
        values: phenotypes × samples, in the dataset's unit.
        max_zero_fraction: greatest fraction of the people, 0 to 1.

    Returns:
        a flag a phenotype.

    Source: Lappalainen et al. 2013 (genes with 0 in more than 50 % of samples removed: the ``50FN`` of its files).

    >>> is_mostly_zero(np.array([[0.0, 0.0, 1.0, 2.0], [0.0, 0.0, np.nan, 2.0]]), 0.5).tolist()
    [False, True]
    """
    n_allowed = math.floor(_as_written(max_zero_fraction) * values.shape[1])
    return np.asarray(((values == 0) | np.isnan(values)).sum(axis=1) > n_allowed)


def is_constant(values: Floats) -> Flags:
    """Which phenotypes have no variance: all their values are equal, or there are none.

    >>> is_constant(np.array([[1.0, 1.0, np.nan], [1.0, 2.0, 1.0], [np.nan, np.nan, np.nan]])).tolist()
    [True, False, True]
    """
    greatest = np.fmax.reduce(values, axis=1, initial=-np.inf, dtype=np.float64)  # passes NaN over
    least = np.fmin.reduce(values, axis=1, initial=np.inf, dtype=np.float64)
    return np.asarray(greatest <= least)


def drop_unexpressed(values: Floats, *, min_expression: float, min_expression_fraction: float) -> Reasons:
    """Drop what too few people express; see `is_expressed` (GTEx: 0.1 TPM in 0.2 of the people)."""
    return _reasons(~is_expressed(values, min_expression, min_expression_fraction), BELOW_THRESHOLD)


def drop_few_counts(counts: Floats, *, min_count: float, min_count_fraction: float) -> Reasons:
    """Drop what too few people have enough reads of; see `is_expressed` (GTEx: 6 reads in 0.2 of the people).

    GTEx asks for both: ``join_reasons(drop_unexpressed(tpm, …), drop_few_counts(counts, …))``.
    """
    return _reasons(~is_expressed(counts, min_count, min_count_fraction), FEW_COUNTS)


def drop_mostly_zero(values: Floats, *, max_zero_fraction: float) -> Reasons:
    """Threshold of Geuvadis: drop what is 0, or missing, in too many people; see `is_mostly_zero`."""
    return _reasons(is_mostly_zero(values, max_zero_fraction), MOSTLY_ZERO)


def drop_constant(values: Floats) -> Reasons:
    """Drop what has no variance; see `is_constant`."""
    return _reasons(is_constant(values), CONSTANT)


def join_reasons(*steps: Reasons) -> Reasons:
    """The reason of the first step that drops a phenotype, or None where no step does.

    Args:
        steps: reasons of the same phenotypes in the same order.

    Raises:
        ValueError: the steps differ in length.

    >>> join_reasons([None, "constant", None], ["counts below threshold", "counts below threshold", None])
    ['counts below threshold', 'constant', None]
    """
    return [next(filter(None, reasons), None) for reasons in zip(*steps, strict=True)]


def count_reasons(reasons: Reasons) -> dict[str, int]:
    """How many phenotypes are dropped for each reason, most frequent first.

    >>> count_reasons(["constant", None, "counts below threshold", "constant"])
    {'constant': 2, 'counts below threshold': 1}
    """
    return dict(Counter(filter(None, reasons)).most_common())


def _as_written(fraction: float) -> Fraction:
    return Fraction(repr(float(fraction)))


def _reasons(is_dropped: Flags, reason: str) -> Reasons:
    return [reason if flag else None for flag in is_dropped.tolist()]
