"""The expression side of the profiles: from measured values to the phenotypes and hidden factors of a matrix set.

`model` says what is asked for and what comes back, `settle` what of it these values allow, `factors` infers hidden
factors, and `prepare` does one step after the other.
"""

from __future__ import annotations

from kgp.eqtl.recipe.model import (
    EXPLAINED,
    MISSING_COUNTS,
    MISSING_VALUES,
    NO_VALUES,
    ExpressionRecipe,
    Prepared,
    Step,
)
from kgp.eqtl.recipe.prepare import normalise_by_tmm, prepare_expression
from kgp.eqtl.recipe.settle import settle_recipe

__all__ = [
    "EXPLAINED",
    "MISSING_COUNTS",
    "MISSING_VALUES",
    "NO_VALUES",
    "ExpressionRecipe",
    "Prepared",
    "Step",
    "normalise_by_tmm",
    "prepare_expression",
    "settle_recipe",
]
