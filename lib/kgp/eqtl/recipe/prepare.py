"""From measured expression to the phenotypes of a set, one step after the other.

The order is GTEx's: thresholds of the values as they were measured, normalisation, transform of each phenotype, hidden
factors of what has come of it. Phenotypes that can be in no set take part in normalisation, not in hidden factors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kgp.amounts import count
from kgp.eqtl.library_size import cpm, trimmed_mean_of_m
from kgp.eqtl.quantile import quantile_normalise
from kgp.eqtl.recipe.model import (
    MISSING_COUNTS,
    MISSING_VALUES,
    NO_VALUES,
    ExpressionRecipe,
    Prepared,
    Sieve,
)
from kgp.eqtl.recipe.settle import WithoutCounts, settle_recipe
from kgp.eqtl.recipe.transform import Remaining, transform_phenotypes
from kgp.eqtl.scale import Scale, recognise_scale
from kgp.eqtl.thresholds import (
    CONSTANT,
    drop_few_counts,
    drop_mostly_zero,
    drop_unexpressed,
    is_constant,
)
from kgp.errors import InputError

Floats = NDArray[np.float64]


def prepare_expression(
    values: Floats,
    counts: Floats | None,
    recipe: ExpressionRecipe,
    *,
    unit: str,
    processing: str,
    places: Sequence[str | None] | None = None,
    without_counts: WithoutCounts = "note",
) -> Prepared:
    """Follow a recipe; see the module for the order.

    At most two more arrays of the size of `values` are held at a time, three with TMM or quantile normalisation, and
    three more while PEER runs.

    Args:
        values: phenotypes × samples, in the unit, NaN where missing.
        counts: read counts of the same phenotypes and people, NaN where there are none; None where there are none at
            all. Values that are counts themselves need no others.
        recipe: what is asked for.
        unit: one of `kgp.params.UNITS`.
        processing: what was done to the values before; see `recognise_scale`.
        places: why a phenotype can be in no set, whatever is asked for; None where it can. Counted before all else.
        without_counts: see `settle_recipe`.

    Raises:
        InputError: the values are not what unit and processing say, a sample has no reads, or counts are of other
            phenotypes or people.
        UsageError: the recipe asks for what these values can't have, or for too many factors.
    """
    scale = recognise_scale(values, unit, processing)
    if counts is None and scale.needs_library_size:
        counts = values
    _check_shape(values, counts)
    recipe, notes = settle_recipe(
        recipe,
        scale,
        has_counts=counts is not None,
        has_negative=bool(np.fmin.reduce(values, axis=None, initial=0.0) < 0),
        without_counts=without_counts,
    )
    sieve = Sieve.of([None] * len(values) if places is None else list(places))
    _apply_thresholds(values, counts, recipe, scale, sieve)
    normalised = _normalise(values, counts, recipe, sieve)
    sieve.drop_flagged("no variance", is_constant(normalised), CONSTANT)
    if recipe.has_factors:
        sieve.drop_flagged("missing values", np.isnan(normalised).any(axis=1), MISSING_VALUES)
    rows = np.flatnonzero(sieve.is_left)
    remaining = Remaining(normalised[rows], rows, sieve)
    del normalised
    factors = transform_phenotypes(remaining, recipe)
    result = np.full(values.shape, np.nan)
    result[remaining.rows] = remaining.values
    return Prepared(result, sieve.reasons, factors.covariates, notes + factors.notes, tuple(sieve.steps))


def normalise_by_tmm(counts: Floats) -> Floats:
    """Counts per million reads of the effective library: library size times TMM factor, of all phenotypes.

    Args:
        counts: phenotypes × samples, NaN where there are none; such phenotypes are part of no library.

    Returns:
        phenotypes × samples; NaN throughout where a count is missing.

    Raises:
        InputError: a sample has no reads.

    Source: GTEx pipeline, eqtl_prepare_expression.py with ``edger_cpm(normalized_lib_sizes=True)``.

    >>> normalise_by_tmm(np.array([[1.0, 2.0], [3.0, 6.0], [np.nan, 1.0]])).tolist()
    [[250000.0, 250000.0], [750000.0, 750000.0], [nan, nan]]
    """
    is_whole = ~np.isnan(counts).any(axis=1)
    whole = counts[is_whole]
    made = np.full(counts.shape, np.nan)
    made[is_whole] = cpm(whole, trimmed_mean_of_m(whole))
    return made


def _apply_thresholds(
    values: Floats, counts: Floats | None, recipe: ExpressionRecipe, scale: Scale, sieve: Sieve
) -> None:
    """Drop what has no values, or too few or too low ones."""
    sieve.drop_flagged("values", np.isnan(values).all(axis=1), NO_VALUES)
    if recipe.has_expression_threshold:
        low = drop_unexpressed(
            values,
            min_expression=recipe.min_expression,
            min_expression_fraction=recipe.min_expression_fraction,
        )
        unit = "" if scale.unit == "unknown" else f" {scale.unit}"
        sieve.drop(f"{recipe.min_expression:g}{unit} in {_share(recipe.min_expression_fraction)}", low)
    if counts is not None and (recipe.has_count_threshold or recipe.normalisation == "tmm"):
        sieve.drop_flagged("counts", np.isnan(counts).any(axis=1), MISSING_COUNTS)
    if counts is not None and recipe.has_count_threshold:
        few = drop_few_counts(
            counts, min_count=recipe.min_count, min_count_fraction=recipe.min_count_fraction
        )
        sieve.drop(f"{recipe.min_count:g} reads in {_share(recipe.min_count_fraction)}", few)
    if recipe.has_zero_threshold:
        zero = drop_mostly_zero(values, max_zero_fraction=recipe.max_zero_fraction)
        sieve.drop(f"zero in at most {_share(recipe.max_zero_fraction)}", zero)


def _normalise(values: Floats, counts: Floats | None, recipe: ExpressionRecipe, sieve: Sieve) -> Floats:
    """Make people comparable, wherever their phenotypes lie.

    TMM goes by all phenotypes that have counts, quantile normalisation by those that expression does not speak against
    (GTEx, mode ``qn``).
    """
    if recipe.normalisation == "tmm" and counts is not None:
        made = normalise_by_tmm(counts)
        n = int((~np.isnan(made).any(axis=1)).sum())
        sieve.pass_through(f"TMM by all {count(n, 'phenotype')} with counts")
        return made
    if recipe.normalisation == "quantile":
        is_expressed = sieve.is_expressed
        made = np.full(values.shape, np.nan)
        made[is_expressed] = quantile_normalise(values[is_expressed])
        sieve.pass_through(f"quantile normalisation by {count(int(is_expressed.sum()), 'phenotype')}")
        return made
    return values


def _check_shape(values: Floats, counts: Floats | None) -> None:
    if counts is not None and counts.shape != values.shape:
        raise InputError(
            f"The counts are of {counts.shape[0]} phenotypes and {counts.shape[1]} people, the values of"
            f" {values.shape[0]} and {values.shape[1]}.",
            where="--counts",
            mend="Give counts of the same phenotypes and people, in their order.",
        )


def _share(fraction: float) -> str:
    return f"{100 * fraction:g} % of the people"
