"""Each phenotype on its own, and hidden factors of all of them: the last steps of a recipe.

Residuals of hidden factors are made after a logarithm and before the inverse normal transform (Geuvadis); factors that
become covariates are those of the phenotypes as the set has them (GTEx, eQTL Catalogue).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgp.eqtl.covariates import Covariates
from kgp.eqtl.normalise import inverse_normal_transform
from kgp.eqtl.recipe.factors import N_AT_ONCE, infer_factors, is_nothing_left, take_factors_out
from kgp.eqtl.recipe.model import EXPLAINED, ExpressionRecipe, Sieve
from kgp.eqtl.recipe.settle import advise_df
from kgp.eqtl.scale import take_log2
from kgp.eqtl.thresholds import CONSTANT, is_constant

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# log2(value + 1): 0 stays 0.
LOG2_OFFSET = 1.0


@dataclass(eq=False)
class Remaining:
    """The phenotypes that nothing has spoken against yet.

    Args:
        values: remaining phenotypes × samples; steps write over it.
        rows: which of all phenotypes they are, ascending.
        sieve: where steps are told of.
    """

    values: Floats
    rows: NDArray[np.intp]
    sieve: Sieve

    def drop(self, name: str, flags: Flags, reason: str) -> None:
        """Leave phenotypes out, one flag each."""
        if not flags.any():
            return
        of_all = np.zeros(len(self.sieve.own), dtype=np.bool_)
        of_all[self.rows] = flags
        self.sieve.drop_flagged(name, of_all, reason)
        self.values, self.rows = self.values[~flags], self.rows[~flags]


@dataclass(frozen=True)
class FoundFactors:
    """Hidden factors as a set has them.

    Args:
        covariates: None where the phenotypes are residuals of them, or there are none.
        notes: what a reader of the result should know.
    """

    covariates: Covariates | None = None
    notes: tuple[str, ...] = ()


def transform_phenotypes(remaining: Remaining, recipe: ExpressionRecipe) -> FoundFactors:
    """Logarithm, residuals, inverse normal transform and hidden factors, in this order, as the recipe has them.

    Args:
        remaining: none of them constant, and complete where there are hidden factors; changed in place.
        recipe: settled for these values.

    Raises:
        UsageError: there are not enough people or phenotypes for so many factors.
    """
    found = FoundFactors()
    if recipe.transform == "log2":
        _take_log2(remaining)
    if recipe.has_factors and recipe.factors_as == "residuals" and len(remaining.rows):
        found = _take_factors_out(remaining, recipe)
    if recipe.transform == "inverse_normal":
        _make_normal(remaining)
    if recipe.has_factors and recipe.factors_as == "covariates" and len(remaining.rows):
        are_normal = recipe.transform == "inverse_normal"
        factors = infer_factors(remaining.values, recipe, are_normal=are_normal)
        remaining.sieve.pass_through(f"{factors.text}, as covariates")
        found = FoundFactors(factors.covariates, factors.notes)
    return found


def _take_log2(remaining: Remaining) -> None:
    remaining.values = take_log2(remaining.values, LOG2_OFFSET)
    remaining.sieve.pass_through(f"log2 of value + {LOG2_OFFSET:g}")
    # Values far below the offset are all 0 now.
    remaining.drop("no variance on the log2 scale", is_constant(remaining.values), CONSTANT)


def _take_factors_out(remaining: Remaining, recipe: ExpressionRecipe) -> FoundFactors:
    before = remaining.values
    factors, remaining.values = take_factors_out(before, recipe)
    remaining.sieve.pass_through(f"residuals of {factors.text}")
    remaining.drop("nothing left", is_nothing_left(before, remaining.values), EXPLAINED)
    if not factors.names:
        return FoundFactors(notes=factors.notes)
    n = len(factors.names)
    told = f"The phenotypes are residuals of {n} hidden factors; {advise_df(n)}."
    return FoundFactors(notes=(*factors.notes, told))


def _make_normal(remaining: Remaining) -> None:
    values = remaining.values
    for start in range(0, len(values), N_AT_ONCE):
        some = slice(start, start + N_AT_ONCE)
        values[some] = inverse_normal_transform(values[some])
    remaining.sieve.pass_through("inverse normal transform")
