"""What is tested for an interaction: phenotypes, genotypes and their products with a covariate, made orthogonal.

Phenotypes, g and g × i are made residuals of the covariates and i, then g × i of g, and each has length 1.

Arrays are as in `kgp.eqtl.design`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kgp.eqtl.covariates import COLLINEAR, centre, orthonormal_basis
from kgp.eqtl.design import Flags, Floats, Numbers, check_complete, check_people, standardise
from kgp.errors import InputError

# Allele frequencies within this of the least count as it, as in tensorQTL.
_ROUNDING = 1e-7


@dataclass(frozen=True, eq=False)
class Interaction:
    """A covariate that genotypes interact with, beside the others.

    Args:
        standard: its values with mean 0 and variance 1, one a sample.
        mean: of the values as they were given.
        scale: their standard deviation.
        basis: samples × (covariates + 1), orthonormal: the covariates, then what they leave of the values.
        length: length of what the covariates leave of the values.
        is_upper: people of the upper half.
        df: degrees of freedom of each test: samples − 4 − covariates − those lost before.
    """

    standard: Floats
    mean: float
    scale: float
    basis: Floats
    length: float
    is_upper: Flags
    df: int


@dataclass(frozen=True, eq=False)
class InteractingGenotypes:
    """Variants and their products with the covariate, as orthogonal rows of length 1.

    With u the covariate's, g the variant's and x the product's row, all of them beside the covariates: the dosages are
    g_i u + g_g g, their products x_i u + x_g g + x_x x.

    Args:
        main: variants × samples: the row g.
        product: variants × samples: the row x.
        g_i, g_g, x_i, x_g, x_x: as above.
        is_rare: variants whose minor alleles are too rare among the people of the upper or the lower half.
        is_collinear: other variants that are constant, or whose product is a combination of the variant, the
            covariate and the other covariates.
    """

    main: Floats
    product: Floats
    g_i: Floats
    g_g: Floats
    x_i: Floats
    x_g: Floats
    x_x: Floats
    is_rare: Flags
    is_collinear: Flags

    @property
    def is_tested(self) -> Flags:
        """Variants that can be tested."""
        return ~(self.is_rare | self.is_collinear)


@dataclass(frozen=True, eq=False)
class InteractingPhenotypes:
    """Phenotypes beside the covariates.

    Args:
        rest: phenotypes × samples: what the covariates and the interacting one leave, as a part of `lengths`.
        r_i: partial correlation of each phenotype with the interacting covariate.
        lengths: length of what the covariates alone leave; 0 where that is nothing.
        is_constant: phenotypes of which nothing is left: nothing can be tested.
    """

    rest: Floats
    r_i: Floats
    lengths: Floats
    is_constant: Flags


def make_interaction(values: Floats, covariates: Floats, lost_df: int = 0) -> Interaction:
    """Prepare the covariate that genotypes interact with.

    The halves are those of tensorQTL: people ordered by the covariate, equal ones as they come; the first n // 2 are
    the lower half.

    Args:
        values: a value a sample.
        covariates: samples × covariates, without this one; none constant, none a combination of the others.
        lost_df: degrees of freedom that the phenotypes lost before.

    Raises:
        InputError: the covariate has a missing value, is constant or a combination of the others, or there are fewer
        people than covariates + lost_df + 5.

    >>> make_interaction(np.array([1.0, 4.0, 2.0, 3.0, 3.0, 7.0]), np.empty((6, 0))).is_upper.tolist()
    [False, True, False, False, True, True]
    """
    n_samples = values.size
    if not np.isfinite(values).all():
        raise InputError(
            f"The interacting covariate is missing for {int((~np.isfinite(values)).sum())} of {n_samples} people.",
            mend="Give a number for every person of the set.",
        )
    if values.max() == values.min():
        raise InputError(
            "The interacting covariate is constant.", mend="Name one that differs between people."
        )
    check_people(n_samples, covariates.shape[1] + 1, lost_df, n_products=1)
    centred = values - values.mean()
    others = centre(covariates)
    basis, _ = orthonormal_basis(others)
    rest = centred - basis @ (basis.T @ centred)
    rest -= basis @ (basis.T @ rest)
    length = float(np.sqrt(rest @ rest))
    if length <= COLLINEAR * float(np.sqrt(centred @ centred)):
        raise InputError(
            "The interacting covariate is a combination of the other covariates.",
            mend="Name another one, or build the set without those.",
        )
    order = np.argsort(values, kind="stable")
    is_upper = np.ones(n_samples, dtype=bool)
    is_upper[order[: n_samples // 2]] = False
    scale = float(centred.std())
    df = n_samples - 4 - covariates.shape[1] - lost_df
    return Interaction(
        centred / scale,
        float(values.mean()),
        scale,
        np.column_stack([basis, rest / length]),
        length,
        is_upper,
        df,
    )


def prepare_phenotypes(phenotypes: Floats, interaction: Interaction) -> InteractingPhenotypes:
    """Phenotypes × samples beside the covariates.

    Raises:
        InputError: a value is missing, or the phenotypes are of other samples.
    """
    standardised = standardise(phenotypes, interaction.basis[:, :-1], "phenotype")
    r_i = standardised.values @ interaction.basis[:, -1]
    rest = standardised.values - np.outer(r_i, interaction.basis[:, -1])
    return InteractingPhenotypes(rest, r_i, standardised.lengths, standardised.is_constant)


def prepare_genotypes(genotypes: Numbers, interaction: Interaction, min_maf: float) -> InteractingGenotypes:
    """Variants × samples (dosages of ALT) and their products with the covariate.

    Args:
        genotypes: variants × samples.
        interaction: of the same samples.
        min_maf: least minor allele frequency in the upper and in the lower half.

    Raises:
        InputError: a value is missing, or the genotypes are of other samples.

    Source: tensorQTL 1.0.10, core.filter_maf_interaction: both halves, with a tolerance of 1e-7.
    """
    check_complete(genotypes, "variant")
    is_rare = np.zeros(genotypes.shape[0], dtype=bool)
    for half in (interaction.is_upper, ~interaction.is_upper):
        af = genotypes[:, half].sum(axis=1, dtype=np.float64) / (2 * int(half.sum()))
        is_rare |= np.minimum(af, 1.0 - af) < min_maf - _ROUNDING
    dosages = genotypes.astype(np.float64)
    u = interaction.basis[:, -1]
    main = standardise(dosages, interaction.basis, "variant")
    products = dosages * interaction.standard
    centred = products - products.mean(axis=1, keepdims=True)
    before = _lengths(centred)
    beside = standardise(products, interaction.basis, "variant")
    along = np.einsum("ij,ij->i", beside.values, main.values)
    rest = beside.values - along[:, np.newaxis] * main.values
    share = _lengths(rest)
    is_collinear = main.is_constant | beside.is_constant | (share * beside.lengths <= COLLINEAR * before)
    rest *= np.divide(1.0, share, out=np.zeros_like(share), where=~is_collinear)[:, np.newaxis]
    g_i, g_g = np.einsum("ij,j->i", dosages, u), main.lengths
    # Products with the covariate as it was given: scale × those with the standard one + mean × dosages.
    return InteractingGenotypes(
        main.values,
        rest,
        g_i,
        g_g,
        interaction.scale * np.einsum("ij,j->i", products, u) + interaction.mean * g_i,
        interaction.scale * along * beside.lengths + interaction.mean * g_g,
        interaction.scale * share * beside.lengths,
        is_rare,
        is_collinear & ~is_rare,
    )


def _lengths(rows: Floats) -> Floats:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", rows, rows)))
