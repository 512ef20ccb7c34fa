"""What a profile asks of expression, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from kgp.eqtl.covariates import Covariates
from kgp.eqtl.thresholds import Reasons, count_reasons, join_reasons
from kgp.params.eqtl import EqtlBuild, Factors, FactorsAs, FactorsBy, Normalisation, Transform

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

NO_VALUES = "no values"
MISSING_COUNTS = "counts missing"
MISSING_VALUES = "values missing, and hidden factors need all"
EXPLAINED = "nothing left without the hidden factors"


@dataclass(frozen=True)
class ExpressionRecipe:
    """The options of `kgp eqtl build` that expression goes by, with their names there.

    Args:
        min_expression: least value, in the dataset's unit.
        min_expression_fraction: fraction of the people that must reach it; 0 for no threshold.
        min_count: least number of reads.
        min_count_fraction: fraction of the people that must reach it; 0 for no threshold.
        max_zero_fraction: greatest fraction of the people with 0 or no value; 1 for no threshold.
        normalisation: between people.
        transform: of each phenotype.
        factors: how hidden factors are inferred.
        n_factors: how many; None for as many as the method says.
        n_factors_by: what says the number of principal components where none is given.
        factors_as: whether they become covariates, or the phenotypes residuals.
    """

    min_expression: float
    min_expression_fraction: float
    min_count: float
    min_count_fraction: float
    max_zero_fraction: float
    normalisation: Normalisation
    transform: Transform
    factors: Factors
    n_factors: int | None
    n_factors_by: FactorsBy
    factors_as: FactorsAs

    @classmethod
    def of(cls, params: EqtlBuild) -> ExpressionRecipe:
        """Those of the options of a build."""
        return cls(**{one.name: getattr(params, one.name) for one in fields(cls)})

    @property
    def has_expression_threshold(self) -> bool:
        """Whether values are held against a threshold."""
        return self.min_expression_fraction > 0

    @property
    def has_count_threshold(self) -> bool:
        """Whether counts are."""
        return self.min_count_fraction > 0 and self.min_count > 0

    @property
    def has_zero_threshold(self) -> bool:
        """Whether zeros are counted."""
        return self.max_zero_fraction < 1

    @property
    def has_factors(self) -> bool:
        """Whether hidden factors are inferred."""
        return self.factors != "none" and self.n_factors != 0

    def without(self, **changes: object) -> ExpressionRecipe:
        """The recipe with other values of some fields."""
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Step:
    """What a step did to the phenotypes.

    Args:
        name: what was done, with its numbers.
        n_before: phenotypes before it.
        n_after: phenotypes after it.
        dropped: reason → phenotypes, of those that are dropped here.
    """

    name: str
    n_before: int
    n_after: int
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Prepared:
    """Phenotypes as a set has them.

    Args:
        values: phenotypes × samples; rows that are dropped are NaN.
        reasons: why a phenotype is dropped; None where it is kept.
        factors: hidden factors as covariates (``peer_1`` …, ``expression_pc_1`` …); None where there are none.
        notes: what a reader of the result should know, one sentence each.
        steps: what was done, in its order.
    """

    values: Floats
    reasons: Reasons
    factors: Covariates | None
    notes: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass(eq=False)
class Sieve:
    """Which phenotypes are left after each step, and why the others are not.

    Args:
        places: why phenotypes can be in no set; they are counted first, but take part in normalisation.
        own: why expression itself drops phenotypes.
        steps: what was done.
    """

    places: Reasons
    own: Reasons
    steps: list[Step] = field(default_factory=list)

    @classmethod
    def of(cls, places: Reasons) -> Sieve:
        """One in which only places have spoken."""
        sieve = cls(places, [None] * len(places))
        dropped = count_reasons(places)
        if dropped:
            sieve.steps.append(Step("place", len(places), int(sieve.is_left.sum()), dropped))
        return sieve

    @property
    def reasons(self) -> Reasons:
        """Why each phenotype is dropped, places first."""
        return join_reasons(self.places, self.own)

    @property
    def is_left(self) -> Flags:
        """Phenotypes that nothing speaks against."""
        return _is_none(self.reasons)

    @property
    def is_expressed(self) -> Flags:
        """Phenotypes that expression does not speak against, wherever they lie."""
        return _is_none(self.own)

    def drop(self, name: str, reasons: Reasons) -> None:
        """Make a step that drops phenotypes; their first reason holds."""
        before = self.reasons
        self.own = join_reasons(self.own, reasons)
        after = self.reasons
        new = [now if was is None else None for was, now in zip(before, after, strict=True)]
        self.steps.append(Step(name, before.count(None), after.count(None), count_reasons(new)))

    def drop_flagged(self, name: str, flags: Flags, reason: str) -> None:
        """Make a step for one reason; none where it drops nothing that is left."""
        if (flags & self.is_left).any():
            self.drop(name, [reason if flag else None for flag in flags.tolist()])

    def pass_through(self, name: str) -> None:
        """Make a step that changes values only."""
        n = int(self.is_left.sum())
        self.steps.append(Step(name, n, n))


def _is_none(reasons: Reasons) -> Flags:
    return np.array([reason is None for reason in reasons], dtype=np.bool_)
