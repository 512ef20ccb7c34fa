"""What of a recipe the values at hand allow: what was done before is not done twice, and nonsense is refused."""

from __future__ import annotations

from typing import Literal

from kgp.eqtl.recipe.model import ExpressionRecipe
from kgp.eqtl.scale import Scale
from kgp.errors import UsageError

WithoutCounts = Literal["note", "refuse"]


def settle_recipe(
    recipe: ExpressionRecipe,
    scale: Scale,
    *,
    has_counts: bool,
    has_negative: bool,
    without_counts: WithoutCounts = "note",
) -> tuple[ExpressionRecipe, tuple[str, ...]]:
    """The recipe without what these values can't have or have had, and a sentence for each such thing.

    Args:
        recipe: what is asked for.
        scale: what the values are.
        has_counts: whether there are read counts of the same phenotypes and people.
        has_negative: whether a value is below 0.
        without_counts: what becomes of TMM and the threshold on counts where there are none: left out with a note, as
            the profile gtex has it, or refused.

    Raises:
        UsageError: values that have no logarithm are to be logged, or counts are asked for and there are none.
    """
    notes: list[str] = []
    if not has_counts:
        recipe = _do_without_counts(recipe, scale, without_counts, notes)
    _check_log2(recipe, scale, has_negative)
    if scale.n_factors_removed:
        recipe = _respect_residuals(recipe, scale, notes)
    notes += _warn(recipe, scale, has_negative)
    return recipe, tuple(notes)


def _check_log2(recipe: ExpressionRecipe, scale: Scale, has_negative: bool) -> None:
    if recipe.transform != "log2" or recipe.normalisation == "tmm":
        return
    what = None
    if scale.n_factors_removed:
        what = f"residuals of {scale.n_factors_removed} hidden factors"
    elif scale.form == "log2":
        what = f"on a log2 scale already ({scale.unit})"
    elif has_negative:
        what = "below 0 for some"
    if what is not None:
        raise UsageError(
            f"The values are {what}: no logarithm can be taken of them.",
            where="--transform log2",
            mend="Give --transform inverse_normal or none.",
        )


def _do_without_counts(
    recipe: ExpressionRecipe, scale: Scale, without_counts: WithoutCounts, notes: list[str]
) -> ExpressionRecipe:
    """Without TMM and without a threshold on counts."""
    wants = {"normalisation tmm": recipe.normalisation == "tmm", "min_count": recipe.has_count_threshold}
    if not any(wants.values()):
        return recipe
    if without_counts == "refuse":
        said = " and ".join(name for name, is_wanted in wants.items() if is_wanted)
        raise UsageError(
            f"The recipe has {said}, but there are no read counts: the values are {_unit(scale)}.",
            where="--counts",
            mend="Name the quantification that has them, or leave out what needs them.",
        )
    notes.append(
        "There are no read counts: phenotypes are chosen by the expression threshold alone"
        + (", and not normalised by TMM." if wants["normalisation tmm"] else ".")
    )
    normalisation = "none" if recipe.normalisation == "tmm" else recipe.normalisation
    return recipe.without(normalisation=normalisation, min_count=0.0, min_count_fraction=0.0)


def _respect_residuals(recipe: ExpressionRecipe, scale: Scale, notes: list[str]) -> ExpressionRecipe:
    """Without what the values have had before they became residuals."""
    n = scale.n_factors_removed
    if recipe.normalisation == "tmm":
        raise UsageError(
            f"The values are residuals of {n} hidden factors, which TMM would put others in the place of.",
            where="--normalisation tmm",
            mend="Take the quantification that the residuals were made from, or --normalisation none.",
        )
    left_out = []
    if recipe.has_expression_threshold:
        left_out.append("no expression threshold is applied")
    if recipe.has_zero_threshold:
        left_out.append("zeros are not counted")
    if recipe.has_factors:
        left_out.append("no factors are inferred again")
    said = f": {', '.join(left_out)}" if left_out else ""
    notes.append(f"The values are residuals of {n} hidden factors already{said}; {advise_df(n)}.")
    return recipe.without(
        min_expression=0.0, min_expression_fraction=0.0, max_zero_fraction=1.0, factors="none", n_factors=None
    )


def advise_df(n_factors: int) -> str:
    """How a mapping learns of degrees of freedom that phenotypes have lost.

    >>> advise_df(10)
    'map with --phenotype-df 10'
    """
    return f"map with --phenotype-df {n_factors}"


def _warn(recipe: ExpressionRecipe, scale: Scale, has_negative: bool) -> list[str]:
    """What a reader of the result should know of the scale."""
    notes = []
    if recipe.has_expression_threshold and scale.form == "log2":
        notes.append(
            f"The values are on a log2 scale ({scale.unit}), and so is the expression threshold"
            f" {recipe.min_expression:g}."
        )
    if recipe.has_expression_threshold and scale.form == "unknown" and has_negative:
        notes.append(
            f"Some values are below 0, of no known unit: the expression threshold {recipe.min_expression:g} may say"
            " nothing of them."
        )
    if scale.needs_library_size and recipe.normalisation == "none":
        notes.append("The values are read counts, not corrected for library size: --normalisation tmm does.")
    if recipe.transform == "none" and scale.form == "linear" and not scale.n_factors_removed:
        notes.append(f"The values are used as given, on a linear scale ({scale.unit}).")
    if recipe.transform == "log2" and scale.form == "unknown":
        notes.append("The unit of the values is not known: they are taken as never logged before.")
    return notes


def _unit(scale: Scale) -> str:
    return "of no known unit" if scale.unit == "unknown" else scale.unit
