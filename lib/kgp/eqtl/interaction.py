"""Genotypes whose effect differs with a covariate: phenotype ~ covariates + g + i + g × i, for all pairs of a window.

The regression is solved by orthogonal steps (`kgp.eqtl.interaction_design`): two products of a block hold all
regressions of it.

Arrays are as in `kgp.eqtl.design`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kgp.eqtl.association import N_AT_ONCE, check_windows, plan_batches
from kgp.eqtl.beta_approximation import LEAST_REST
from kgp.eqtl.design import Floats, Ints
from kgp.eqtl.interaction_design import InteractingGenotypes, InteractingPhenotypes, Interaction
from kgp.eqtl.student_t import both_p_of_r2


@dataclass(frozen=True, eq=False)
class Effect:
    """A term of the regressions of some pairs: arrays with a value a pair, none NaN or infinite.

    Args:
        slope: change of the phenotype with the term.
        slope_se: its standard error.
        p: two-sided; 0 where it is below the least double.
    """

    slope: Floats
    slope_se: Floats
    p: Floats


@dataclass(frozen=True, eq=False)
class InteractionPairs:
    """Tested pairs.

    Args:
        phenotype: row of the phenotypes, from 0.
        variant: row of the genotypes, from 0.
        g: of the dosage, where the covariate is 0.
        i: of the covariate, where the dosage is 0.
        gi: of their product.
        neg_log10_p_gi: −log10 of the p of `gi`, exact however small that is.
    """

    phenotype: Ints
    variant: Ints
    g: Effect
    i: Effect
    gi: Effect
    neg_log10_p_gi: Floats


def map_interactions(
    phenotypes: InteractingPhenotypes,
    genotypes: InteractingGenotypes,
    windows: Ints,
    interaction: Interaction,
    n_at_once: int = N_AT_ONCE // 4,
) -> Iterator[InteractionPairs]:
    """Test every phenotype with every variant of its window, and with its product with the covariate.

    Args:
        phenotypes: of `prepare_phenotypes`; constant ones have no pairs.
        genotypes: of `prepare_genotypes`; those that can't be tested have no pairs.
        windows: phenotypes × 2: first variant, one past the last; equal where there is none.
        interaction: what both were prepared with.
        n_at_once: products held at a time, which bounds the memory; a single phenotype may have more.

    Yields:
        pairs of a few phenotypes in their order, variants in theirs. Empty batches are left out.

    Raises:
        InputError: a window lies outside the genotypes.

    Source: tensorQTL 1.0.10, core.calculate_interaction_nominal: the same model and degrees of freedom.
    """
    check_windows(windows, phenotypes.rest.shape[0], genotypes.main.shape[0])
    is_mapped = (windows[:, 0] < windows[:, 1]) & ~phenotypes.is_constant
    for some in plan_batches(np.flatnonzero(is_mapped), windows, n_at_once):
        start, stop = int(windows[some, 0].min()), int(windows[some, 1].max())
        tested = start + np.flatnonzero(genotypes.is_tested[start:stop])
        is_pair = (windows[some, :1] <= tested) & (tested < windows[some, 1:])
        k, j = np.nonzero(is_pair)
        if k.size:
            rest = phenotypes.rest[some]
            r_g = (rest @ genotypes.main[tested].T)[k, j]
            r_x = (rest @ genotypes.product[tested].T)[k, j]
            yield _make_pairs(some[k], tested[j], r_g, r_x, phenotypes, genotypes, interaction)


def _make_pairs(
    phenotype: Ints,
    variant: Ints,
    r_g: Floats,
    r_x: Floats,
    phenotypes: InteractingPhenotypes,
    genotypes: InteractingGenotypes,
    interaction: Interaction,
) -> InteractionPairs:
    """Slopes of the terms from the orthogonal ones: back substitution, the last first."""
    g_i, g_g = genotypes.g_i[variant], genotypes.g_g[variant]
    x_i, x_g, x_x = genotypes.x_i[variant], genotypes.x_g[variant], genotypes.x_x[variant]
    r_i, unit = phenotypes.r_i[phenotype], phenotypes.lengths[phenotype]
    rest = np.maximum(1.0 - r_i**2 - r_g**2 - r_x**2, LEAST_REST)
    spread = np.sqrt(rest / interaction.df)
    slope_gi = r_x / x_x
    slope_g = (r_g - slope_gi * x_g) / g_g
    slope_i = (r_i - slope_gi * x_i - slope_g * g_i) / interaction.length
    # Rows of the inverse of the triangle of g_… and x_…: what a slope takes of each orthogonal term.
    of_x = -x_g / (x_x * g_g)
    size_g = np.hypot(1.0 / g_g, of_x)
    size_i = np.sqrt(1.0 + (g_i / g_g) ** 2 + (x_i / x_x + of_x * g_i) ** 2) / interaction.length
    g, _ = _make_effect(slope_g, spread * size_g, unit, interaction.df)
    i, _ = _make_effect(slope_i, spread * size_i, unit, interaction.df)
    gi, neg_log10_p_gi = _make_effect(slope_gi, spread / x_x, unit, interaction.df)
    return InteractionPairs(phenotype, variant, g, i, gi, neg_log10_p_gi)


def _make_effect(slope: Floats, slope_se: Floats, unit: Floats, df: int) -> tuple[Effect, Floats]:
    """A term, and −log10 of its p; slopes are of phenotypes of length 1, `unit` is that of each."""
    p, neg_log10_p = both_p_of_r2(_r2_of_t(slope / slope_se, df), df)
    return Effect(slope * unit, slope_se * unit, p), neg_log10_p


def _r2_of_t(t: Floats, df: int) -> Floats:
    """Squared partial correlation that has this t."""
    return np.asarray(t**2 / (t**2 + df))
