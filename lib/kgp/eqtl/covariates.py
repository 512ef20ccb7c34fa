"""Covariates: what people differ in that a mapping must not take for an effect of a variant.

Arrays are `samples × covariates`; the order of the samples is the matrix set's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgp.errors import InputError

Floats = NDArray[np.float64]

CONSTANT = "constant"

# What is left of a covariate, as a fraction of its length, below which it is collinear with those before it.
COLLINEAR = 1e-7


@dataclass(frozen=True, eq=False)
class Covariates:
    """Named covariates of the people of a set.

    Args:
        names: a name a covariate.
        values: samples × covariates.
        dropped: covariate that was left out → why.
    """

    names: tuple[str, ...]
    values: Floats
    dropped: Mapping[str, str]


def make_basic_covariates(sexes: Sequence[str], populations: Sequence[str]) -> Covariates:
    """Profile basic: an indicator of sex, and one of each population but the first of the sorted list.

    Args:
        sexes: ``male`` or ``female`` a sample.
        populations: population code a sample.

    Returns:
        ``sex_female`` and ``population_<CODE>``, 1 where it is so, without those that say nothing.

    Raises:
        InputError: a sex is neither male nor female.

    >>> made = make_basic_covariates(["male", "female", "male", "female"], ["CEU", "CEU", "FIN", "FIN"])
    >>> made.names, made.values.tolist()
    (('sex_female', 'population_FIN'), [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    """
    if unknown := sorted({sex for sex in sexes if sex not in ("male", "female")}):
        raise InputError(
            f"'{unknown[0]}' is no sex.", where="samples", mend="Write male or female in the panel."
        )
    columns = {"sex_female": np.array([sex == "female" for sex in sexes], dtype=np.float64)}
    for population in sorted(set(populations))[1:]:
        columns[f"population_{population}"] = np.array(
            [p == population for p in populations], dtype=np.float64
        )
    return drop_useless(tuple(columns), np.column_stack(list(columns.values())))


def drop_useless(names: Sequence[str], values: Floats) -> Covariates:
    """Leave out covariates that are constant, or a linear combination of those before them.

    With QR of the centred matrix, |R_jj| is what is left of covariate j once those before it are taken
    out. Below 1e-7 of the centred covariate's own length it is collinear, as in R's lm. (GTEx's
    combine_covariates.py compares |R_jj| with eps · covariates whatever the scale, and so misses many a
    repeated column.)

    Args:
        names: a name a covariate.
        values: samples × covariates.

    Raises:
        InputError: a value is missing.

    >>> drop_useless(["a", "b", "c"], np.array([[1.0, 2.0, 5.0], [2.0, 4.0, 5.0], [4.0, 8.0, 5.0]])).dropped
    {'c': 'constant', 'b': 'collinear with those before it'}
    """
    if not np.isfinite(values).all():
        bad = names[int(np.flatnonzero(~np.isfinite(values).all(axis=0))[0])]
        raise InputError(
            f"Covariate {bad} has missing values.", mend="Give a number for every person, or leave it out."
        )
    varies = values.max(axis=0, initial=-np.inf) > values.min(axis=0, initial=np.inf)
    dropped = {name: CONSTANT for name, is_kept in zip(names, varies, strict=True) if not is_kept}
    candidates = np.flatnonzero(varies)
    kept: list[int] = []
    if candidates.size:
        centred = values[:, candidates] - values[:, candidates].mean(axis=0)
        lengths = np.sqrt((centred**2).sum(axis=0))
        left = np.zeros(candidates.size)
        diagonal = np.abs(np.diag(np.linalg.qr(centred / lengths, mode="r")))
        left[: diagonal.size] = diagonal
        collinear = left < COLLINEAR
        kept = candidates[~collinear].tolist()
        dropped |= {names[int(j)]: "collinear with those before it" for j in candidates[collinear]}
    return Covariates(tuple(names[j] for j in kept), values[:, kept], dropped)


def check_degrees_of_freedom(n_samples: int, n_covariates: int) -> None:
    """Refuse a set in which nothing is left to test with: n - 2 - k degrees of freedom must be at least 1.

    Raises:
        InputError: there are fewer people than covariates + 3.
    """
    if n_samples < n_covariates + 3:
        raise InputError(
            f"{n_samples} people are too few for {n_covariates} covariates: no degree of freedom is left.",
            mend=f"Take a larger cohort: at least {n_covariates + 3} people.",
        )
