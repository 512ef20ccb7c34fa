"""Which people's genotypes stand apart: too few called, another sex than stated, too much or too little heterozygosity.

Thresholds are those of Anderson et al. 2010 (Nature Protocols 5:1564): a call rate below 0.97, a heterozygosity 3
standard deviations off. The heterozygosity of people depends on where their families come from, so a person is compared
with the people of the same superpopulation; and by their median and MAD, which the outliers themselves do not move.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LOW_CALL_RATE = "low_call_rate"
HETEROZYGOSITY_OUTLIER = "heterozygosity_outlier"
SEX_MISMATCH = "sex_mismatch"
FLAGS = (LOW_CALL_RATE, HETEROZYGOSITY_OUTLIER, SEX_MISMATCH)

MIN_CALL_RATE = 0.97
MAX_DEVIATIONS = 3.0

# A median and its MAD of fewer people say too little to call one of them an outlier.
MIN_PEOPLE = 20

# MAD of a normal distribution in standard deviations.
_MAD_SCALE = 1.4826


def flag_samples(
    call_rate: Floats,
    inbreeding: Floats,
    groups: Sequence[str | None],
    sexes_stated: Sequence[str | None],
    sexes_inferred: Sequence[str | None],
) -> list[list[str]]:
    """What is amiss with each person, in the order of `FLAGS`.

    Args:
        call_rate: 0 to 1 a person.
        inbreeding: F of autosomes a person, NaN where it is not known: then it is no outlier.
        groups: superpopulation a person, None where it is not known.
        sexes_stated: by the panel; None where not known.
        sexes_inferred: by X; None where it can't be told.

    >>> flag_samples(np.array([0.9, 1.0]), np.zeros(2), [None, None], ["male", "male"], [None, "female"])
    [['low_call_rate'], ['sex_mismatch']]
    """
    outliers = np.abs(score_heterozygosity(inbreeding, groups)) > MAX_DEVIATIONS
    found = []
    for i, (stated, inferred) in enumerate(zip(sexes_stated, sexes_inferred, strict=True)):
        is_other = stated is not None and inferred is not None and stated != inferred
        has = (call_rate[i] < MIN_CALL_RATE, outliers[i], is_other)
        found.append([flag for flag, is_so in zip(FLAGS, has, strict=True) if is_so])
    return found


def score_heterozygosity(inbreeding: Floats, groups: Sequence[str | None]) -> Floats:
    """How many standard deviations each person's F is off the median of the person's group, 0 where it can't be told.

    People of no group, or of one with fewer than 20, are compared with everybody; fewer than 20 people with nobody.

    Args:
        inbreeding: F a person, NaN where it is not known.
        groups: a name a person, or None.

    Source: median and 1.4826 · MAD in the place of mean and standard deviation (Iglewicz and Hoaglin 1993).
    """
    everybody = np.isfinite(inbreeding)
    names = np.array([name or "" for name in groups], dtype=object)
    scores = np.zeros(len(inbreeding))
    for name in sorted(set(names.tolist())):
        members = everybody & (names == name)
        is_own = name != "" and members.sum() >= MIN_PEOPLE
        compared = inbreeding[members if is_own else everybody]
        if len(compared) < MIN_PEOPLE:
            continue
        median = np.median(compared)
        deviation = _MAD_SCALE * np.median(np.abs(compared - median))
        if deviation > 0:
            scores[members] = (inbreeding[members] - median) / deviation
    return scores
