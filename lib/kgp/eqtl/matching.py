"""Whose run is it? Verdicts from the scores of runs against people.

Were a run the stated person's, the scores of others minus theirs would have a known distribution
(`kgp.eqtl.matching_scores`). So the margin beyond which a run is another's follows from the genotypes, and so does the
power to see it. Runs that turn out to be another's are left out of the fit, and all is scored again, until nothing
changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr

from kgp.eqtl.matching_scores import LN10, Flags, Floats, Ints, Scores, score_people

Verdict = Literal["match", "swap", "unclear"]

# Runs that may be called another's where none is: expected number of them in a set.
MAX_FALSE_SWAPS = 0.001
# log10 likelihood ratios: of a swap at least, whatever the margin that follows from the genotypes; and of a person over
# the next one, for that person to be the run's.
MIN_MARGIN = 3.0
MIN_LEAD = 2.0
# Where a smaller fraction of swaps would be found, no verdict is given.
MIN_POWER = 0.8
MIN_LOCI = 25
MIN_RUNS = 20

_MAX_ROUNDS = 10


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the scores say of each run.

    Args:
        verdicts: one a run.
        is_other: runs that fit another person better by the margin.
        best: person that fits best, by number; the stated one of equals.
        is_certain: that person fits better than any other by a clear margin.
        margin: log10 likelihood ratio from which a run is another's.
        power: fraction of swaps between two random people that would be found.
    """

    verdicts: tuple[Verdict, ...]
    is_other: Flags
    best: Ints
    is_certain: Flags
    margin: float
    power: float

    @property
    def can_tell(self) -> bool:
        """Whether swaps would be found, as a rule: otherwise all verdicts are unclear."""
        return self.power >= MIN_POWER


def match_people(
    expression: Floats, components: Floats, scales: Floats, stated: Ints, dosages: Floats, folds: Ints
) -> tuple[Scores, Judgement]:
    """Score every run against every person and give each run its verdict.

    Args:
        expression: see `score_people`.
        components: likewise.
        scales: likewise.
        stated: likewise.
        dosages: likewise.
        folds: likewise.
    """
    is_trusted = np.ones(stated.size, dtype=bool)
    for _ in range(_MAX_ROUNDS):
        scores = score_people(expression, components, scales, stated, dosages, folds, is_trusted)
        judged = judge_runs(scores)
        if (judged.is_other == ~is_trusted).all() or 2 * judged.is_other.sum() > stated.size:
            break
        is_trusted = ~judged.is_other
    return scores, judged


def judge_runs(scores: Scores) -> Judgement:
    """Give each run its verdict.

    A run is a ``swap`` where the best person's score exceeds the stated one's by the margin; a ``match`` where the
    stated person's exceeds any other's clearly; and ``unclear`` otherwise, or if a fifth of swaps would not be found.
    """
    margin = max(MIN_MARGIN, find_margin(scores))
    power = _measure_power(scores, margin)
    runs = np.arange(scores.stated.size)
    best = scores.values.argmax(axis=1)
    most = scores.values[runs, best]
    best = np.where(scores.own == most, scores.stated, best)
    others = scores.values.copy()
    others[runs, best] = -np.inf
    is_certain = most - others.max(axis=1) >= MIN_LEAD
    is_other = most - scores.own >= margin
    is_match = (best == scores.stated) & is_certain
    verdicts: list[Verdict] = [
        "unclear" if power < MIN_POWER else "swap" if other else "match" if match else "unclear"
        for other, match in zip(is_other, is_match, strict=True)
    ]
    return Judgement(tuple(verdicts), is_other, best, is_certain, margin, power)


def find_margin(scores: Scores) -> float:
    """The log10 likelihood ratio that another person than the right one reaches in hardly any set.

    With it the expected number of runs that are called another's is 0.001 if none is, by the normal distribution of
    each difference; see the module. Relatives are closer and weigh more in the sum.
    """
    distances = LN10 * scores.distances[scores.is_other]
    distances = distances[distances > 0.0]
    spreads = np.sqrt(2.0 * distances)
    low, high = 0.0, 100.0
    while high - low > 0.001:
        middle = (low + high) / 2.0
        if ndtr(-(middle + distances) / spreads).sum() > MAX_FALSE_SWAPS:
            low = middle
        else:
            high = middle
    return high / LN10


def _measure_power(scores: Scores, margin: float) -> float:
    """Fraction of runs of another person, any of them alike, whose swap would be found."""
    distances = LN10 * scores.distances[scores.is_other]
    if not distances.size:
        return 0.0
    spreads = np.sqrt(2.0 * np.maximum(distances, np.finfo(np.float64).tiny))
    return float(ndtr((distances - LN10 * margin) / spreads).mean())
