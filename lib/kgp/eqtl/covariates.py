"""Covariates: what people differ in that a mapping must not take for an effect of a variant.

Arrays are `samples × covariates`; the order of the samples is the matrix set's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgp.amounts import count
from kgp.eqtl.components import to_unit_size
from kgp.errors import InputError

Floats = NDArray[np.float64]

CONSTANT = "constant"

# The level of those whose level is missing, where that was asked for.
UNKNOWN = "unknown"

# What is left of a covariate, as a fraction of its length, below which it is collinear with those before it.
COLLINEAR = 1e-7


@dataclass(frozen=True, eq=False)
class Covariates:
    """Named covariates of the people of a set.

    Args:
        names: a name a covariate.
        values: samples × covariates.
        dropped: covariate that was left out → why.
        notes: what a reader of the result should know, one sentence each.
    """

    names: tuple[str, ...]
    values: Floats
    dropped: Mapping[str, str]
    notes: tuple[str, ...] = ()


def make_indicators(
    name: str, levels: Sequence[str | None], samples: Sequence[str], *, has_unknown_level: bool = False
) -> Covariates:
    """Indicators of a factor such as batch or lab: one of each level but the first of the sorted list.

    Args:
        name: of the factor: ``lab``.
        levels: level a sample; None or blank where it is not known.
        samples: sample ids in the same order, for messages.
        has_unknown_level: count those without a level as a level of their own, ``unknown``, instead of
            refusing them.

    Returns:
        ``<name>_<LEVEL>`` for each level but the reference, blanks in a level written as ``_``. Notes tell the
        reference, a level with a single sample (its indicator takes that sample out of every test), and how
        many are unknown. Nothing is dropped here: `join_covariates` does.

    Raises:
        InputError: a level is missing, two levels differ by blanks only, or there are not as many levels as
            samples.

    >>> made = make_indicators("lab", ["UU", "CNAG CRG", "UU", "UNIGE"], ["a", "b", "c", "d"])
    >>> made.names, made.values.tolist()
    (('lab_UNIGE', 'lab_UU'), [[0.0, 1.0], [0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    >>> made.notes[0]
    'lab: the reference is CNAG CRG (1 person).'
    """
    if len(levels) != len(samples):
        raise InputError(
            f"{len(levels)} levels of {name} were given for {len(samples)} people.",
            where=f"covariate {name}",
            mend="Give one level a person, in the order of the people.",
        )
    given = [(level or "").strip() for level in levels]
    missing = [sample for sample, level in zip(samples, given, strict=True) if not level]
    if missing and not has_unknown_level:
        raise InputError(
            f"{name} of {missing[0]} is not known ({len(missing)} of {len(samples)} people).",
            where=f"covariate {name}, person {missing[0]}",
            mend=f"Give it, leave {name} or these people out, or count them as a level of their own.",
        )
    members: dict[str, list[str]] = {}
    for sample, level in zip(samples, given, strict=True):
        members.setdefault(level or UNKNOWN, []).append(sample)
    columns = _name_columns(name, sorted(members))
    chosen = np.array([level or UNKNOWN for level in given], dtype=object)
    values = np.zeros((len(samples), len(columns)))
    for j, level in enumerate(columns):
        values[:, j] = chosen == level
    return Covariates(tuple(columns.values()), values, {}, _note_levels(name, members))


def join_covariates(*parts: Covariates) -> Covariates:
    """Put covariates side by side, without those that say nothing beside the ones before them.

    Args:
        parts: of the same samples in the same order; where two are collinear the earlier one stays.

    Returns:
        the covariates of all parts, with all that was dropped and noted.

    Raises:
        InputError: two have the same name, a value is missing, or the parts are of different samples.

    >>> lab = make_indicators("lab", ["A", "A", "B", "B"], ["1", "2", "3", "4"])
    >>> population = make_indicators("population", ["CEU", "CEU", "FIN", "FIN"], ["1", "2", "3", "4"])
    >>> join_covariates(population, lab).dropped
    {'lab_B': 'collinear with those before it'}
    """
    if not parts:
        raise InputError(
            "No covariates were given to join.",
            where="covariates",
            mend="Give a part without columns where there are none.",
        )
    if len({part.values.shape[0] for part in parts}) > 1:
        counts = ", ".join(str(part.values.shape[0]) for part in parts)
        raise InputError(
            f"Covariates of different people cannot be joined: {counts} people.",
            where="covariates",
            mend="Make all of them for the same list of people.",
        )
    names = [name for part in parts for name in part.names]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"There are two covariates {twice[0]}.",
            where="covariates, columns "
            + " and ".join(str(i + 1) for i, n in enumerate(names) if n == twice[0]),
            mend="Name them apart.",
        )
    joined = drop_useless(names, np.hstack([part.values for part in parts]))
    dropped = {name: reason for part in parts for name, reason in part.dropped.items()}
    notes = tuple(note for part in parts for note in part.notes)
    return Covariates(joined.names, joined.values, dropped | dict(joined.dropped), notes)


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
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        bad = names[int(np.flatnonzero(~np.isfinite(values).all(axis=0))[0])]
        raise _missing(values, bad, "Give a number for every person, or leave it out.")
    varies = values.max(axis=0, initial=-np.inf) > values.min(axis=0, initial=np.inf)
    dropped = {name: CONSTANT for name, is_kept in zip(names, varies, strict=True) if not is_kept}
    candidates = np.flatnonzero(varies)
    kept: list[int] = []
    if candidates.size:
        centred = centre(values[:, candidates])
        lengths = np.sqrt((centred**2).sum(axis=0))
        left = np.zeros(candidates.size)
        diagonal = np.abs(np.diag(np.linalg.qr(centred / lengths, mode="r")))
        left[: diagonal.size] = diagonal
        collinear = left < COLLINEAR
        kept = candidates[~collinear].tolist()
        dropped |= {names[int(j)]: "collinear with those before it" for j in candidates[collinear]}
    return Covariates(tuple(names[j] for j in kept), values[:, kept], dropped)


def residualise(values: Floats, covariates: Floats) -> Floats:
    """What least squares on the covariates and an intercept leave of each phenotype.

    Args:
        values: phenotypes × samples, none missing.
        covariates: samples × covariates, none constant, none a combination of the others (`drop_useless`).

    Returns:
        phenotypes × samples; the mean of each is 0.

    Raises:
        InputError: a value is missing, the covariates are of other samples, or they are collinear.

    >>> residualise(np.array([[1.0, 2.0, 4.0, 7.0]]), np.array([[0.0], [0.0], [1.0], [1.0]])).tolist()
    [[-0.5, 0.5, -1.5, 1.5]]
    """
    is_complete = np.isfinite(values).all(axis=1)
    if not is_complete.all():
        row = int(is_complete.argmin())
        raise InputError(
            f"Phenotype {row} (counted from 0) has missing values.",
            where=f"phenotypes, row {row}, column {int(np.isfinite(values[row]).argmin())} (counted from 0)",
            mend="Leave it out, or fill the values in.",
        )
    check_people(covariates, values.shape[1])
    is_flat = covariates.max(axis=0) == covariates.min(axis=0)
    if is_flat.any():
        raise InputError(
            f"Covariate {int(is_flat.argmax())} (counted from 0) is constant.",
            where=f"covariates, column {int(is_flat.argmax())} (counted from 0)",
            mend="Leave it out: there is an intercept already.",
        )
    centred = values - values.mean(axis=1, keepdims=True)
    basis, _ = orthonormal_basis(centre(covariates))
    return np.asarray(centred - (centred @ basis) @ basis.T)


def check_people(covariates: Floats, n_samples: int) -> None:
    """Refuse covariates (samples × covariates) of another number of people than the phenotypes.

    Raises:
        InputError: they are.
    """
    if covariates.shape[0] != n_samples:
        raise InputError(
            f"The covariates are of {covariates.shape[0]} people, the phenotypes of {n_samples}.",
            where="covariates",
            mend="Give both for the same people in the same order.",
        )


def centre(covariates: Floats) -> Floats:
    """Covariates with mean 0, each times a power of two with which no square overflows or vanishes.

    Args:
        covariates: samples × covariates.
    """
    sized = to_unit_size(covariates, 0)
    return np.asarray(sized - sized.mean(axis=0))


def orthonormal_basis(covariates: Floats) -> tuple[Floats, Floats]:
    """QR of covariates: an orthonormal basis Q of their span, and R with covariates = Q R.

    Args:
        covariates: samples × covariates.

    Raises:
        InputError: a value is missing, or a covariate is zero or a combination of those before it; its index
            (from 0) is named.
    """
    if not np.isfinite(covariates).all():
        bad = int((~np.isfinite(covariates).all(axis=0)).argmax())
        raise _missing(covariates, f"{bad} (counted from 0)", "Give a number for every person.")
    lengths = np.sqrt((covariates**2).sum(axis=0))
    basis, triangle = np.linalg.qr(covariates / np.where(lengths > 0.0, lengths, 1.0))
    is_free = np.zeros(covariates.shape[1], dtype=bool)
    is_free[: triangle.shape[0]] = np.abs(np.diag(triangle)) >= COLLINEAR
    if not is_free.all():
        raise InputError(
            f"Covariate {int(is_free.argmin())} (counted from 0) is a combination of those before it.",
            where=f"covariates, column {int(is_free.argmin())} (counted from 0)",
            mend="Leave it out (kgp.eqtl.covariates.drop_useless does).",
        )
    return np.asarray(basis), np.asarray(triangle * lengths)


def check_degrees_of_freedom(n_samples: int, n_covariates: int) -> None:
    """Refuse a set in which nothing is left to test with: n - 2 - k degrees of freedom must be at least 1.

    Raises:
        InputError: there are fewer people than covariates + 3.
    """
    if n_samples < n_covariates + 3:
        raise InputError(
            f"{count(n_samples, 'person is', 'people are')} too few for {count(n_covariates, 'covariate')}: "
            "no degree of freedom is left.",
            where="covariates",
            mend=f"Take a larger cohort: at least {n_covariates + 3} people.",
        )


def _missing(values: Floats, name: str, mend: str) -> InputError:
    """What to say of the first covariate (samples × covariates) with missing values."""
    is_missing = ~np.isfinite(values)
    column = is_missing[:, int(is_missing.any(axis=0).argmax())]
    return InputError(
        f"Covariate {name} has missing values, of {int(column.sum())} of {len(column)} people.",
        where=f"covariates, person {int(column.argmax())} (counted from 0), column {name}",
        mend=mend,
    )


def _name_columns(name: str, levels: Sequence[str]) -> dict[str, str]:
    """Level → column of every level but the first; covariate files are split at blanks, so names have none."""
    columns = {level: f"{name}_{'_'.join(level.split())}" for level in levels}
    by_column = {column: level for level, column in columns.items()}
    for level, column in columns.items():
        if by_column[column] != level:
            raise InputError(
                f"'{level}' and '{by_column[column]}' would be the same covariate {column}.",
                where=f"covariate {name}",
                mend=f"Write the levels of {name} so that they differ by more than blanks.",
            )
    return dict(list(columns.items())[1:])


def _note_levels(name: str, members: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What to know of a factor's levels."""
    levels = sorted(members)
    notes = []
    if levels:
        notes.append(f"{name}: the reference is {levels[0]} ({_count(len(members[levels[0]]))}).")
    notes += [
        f"{name} {level} has one person, {members[level][0]}: its indicator fits that person exactly."
        for level in levels[1:]
        if len(members[level]) == 1
    ]
    if UNKNOWN in members:
        notes.append(f"{name} of {_count(len(members[UNKNOWN]))} is unknown, a level of its own.")
    return tuple(notes)


def _count(n: int) -> str:
    return f"{n} person" if n == 1 else f"{n} people"
