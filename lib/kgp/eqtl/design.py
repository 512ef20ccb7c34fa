"""What is tested with what: residuals of the covariates, scaled so that a product of two rows is their correlation.

Arrays are `phenotypes × samples`, `variants × samples` (dosages of ALT, 0 to 2) and `samples × covariates`, all of
the same samples in the same order and complete: missing genotypes are filled in with the variant's mean before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kgp.amounts import count
from kgp.eqtl.covariates import COLLINEAR, centre, check_degrees_of_freedom, orthonormal_basis
from kgp.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64] | NDArray[np.float32] | NDArray[np.int8]

Model = Literal["fastqtl", "qtltools"]

# Rows of a product: no more than BLAS treats alike on any processor.
_N_PROJECTED = 8


@dataclass(frozen=True, eq=False)
class Design:
    """What is regressed out of what, and the degrees of freedom that are left.

    Args:
        model: ``fastqtl`` (FastQTL, tensorQTL): phenotype and genotype are residuals of the covariates;
            ``qtltools`` (QTLtools cis --cov): the phenotype alone is.
        n_samples: people.
        basis: samples × covariates, an orthonormal basis of the centred covariates.
        lost_df: degrees of freedom that the phenotypes lost before, as residuals of so many factors.
    """

    model: Model
    n_samples: int
    basis: Floats
    lost_df: int

    @property
    def df(self) -> int:
        """Degrees of freedom of a pair's test."""
        n_covariates = self.basis.shape[1] if self.model == "fastqtl" else 0
        return self.n_samples - 2 - n_covariates - self.lost_df

    @property
    def genotype_basis(self) -> Floats | None:
        """The basis that genotypes are made residuals of, or None in the model that leaves them as they are."""
        return self.basis if self.model == "fastqtl" else None


@dataclass(frozen=True, eq=False)
class Standardised:
    """Rows with mean 0 and length 1, so that a scalar product of two is their correlation.

    Args:
        values: rows × samples; 0 throughout in rows that are constant.
        lengths: root of the sum of squares of each centred (residual) row; 0 where constant.
        is_constant: rows without variance, or with none left beside the covariates: nothing can be tested.
    """

    values: Floats
    lengths: Floats
    is_constant: Flags


def make_design(covariates: Floats, model: Model = "fastqtl", lost_df: int = 0) -> Design:
    """Prepare the covariates of a mapping; an intercept is always there besides.

    Args:
        covariates: samples × covariates (0 columns where there are none), none constant, none a combination of the
            others (`kgp.eqtl.covariates.drop_useless`).
        model: see `Design`.
        lost_df: see `Design`.

    Raises:
        InputError: there are fewer people than covariates + lost_df + 3, a value is missing, or covariates are
        collinear.

    >>> make_design(np.array([[0.0], [1.0], [0.0], [1.0], [2.0], [2.0]])).df
    3
    """
    n_samples, n_covariates = covariates.shape
    if lost_df < 0:
        raise InputError(f"{lost_df} degrees of freedom cannot be lost.", mend="Give 0 or more.")
    check_people(n_samples, n_covariates, lost_df)
    basis, _ = orthonormal_basis(centre(covariates))
    return Design(model, n_samples, basis, lost_df)


def check_people(n_samples: int, n_covariates: int, lost_df: int, n_products: int = 0) -> None:
    """Refuse a set in which nothing is left to test with, by what takes the degrees of freedom.

    Args:
        n_samples: people.
        n_covariates: beside the intercept.
        lost_df: see `Design`.
        n_products: of genotype and covariate in each test.

    Raises:
        InputError: there are fewer people than covariates + lost_df + products + 3.
    """
    least = n_covariates + lost_df + n_products + 3
    if lost_df and n_samples < least:
        raise InputError(
            f"{count(n_samples, 'person is', 'people are')} too few for {count(n_covariates, 'covariate')} and "
            f"{count(lost_df, 'lost degree', 'lost degrees')} of freedom: no degree of freedom is left.",
            where="covariates and --phenotype-df",
            mend=f"Give a smaller --phenotype-df, or take a larger cohort: at least {least:,} people.",
        )
    check_degrees_of_freedom(n_samples, n_covariates + n_products)


def standardise_phenotypes(phenotypes: Floats, design: Design) -> Standardised:
    """Phenotypes × samples as residuals of the covariates, with mean 0 and length 1.

    Raises:
        InputError: a value is missing or infinite, or the phenotypes are of other samples.
    """
    return standardise(phenotypes, design.basis, "phenotype")


def standardise_genotypes(genotypes: Numbers, design: Design) -> Standardised:
    """Variants × samples with mean 0 and length 1; residuals of the covariates where the model says so.

    Raises:
        InputError: a value is missing or infinite, or the genotypes are of other samples.
    """
    _check_samples(genotypes, design.n_samples, "variant")
    return standardise(genotypes, design.genotype_basis, "variant")


def standardise(rows: Numbers, basis: Floats | None, what: str) -> Standardised:
    """Rows with mean 0 and length 1, beforehand made residuals of a basis if there is one.

    Args:
        rows: rows × samples.
        basis: samples × vectors, orthonormal and centred; or None.
        what: name of a row, for messages.

    Raises:
        InputError: a value is missing or infinite, or the rows are of other samples than the basis.
    """
    if basis is not None:
        _check_samples(rows, basis.shape[0], what)
    check_complete(rows, what)
    values = rows.astype(np.float64)
    means = values.mean(axis=1, keepdims=True)
    is_constant = values.max(axis=1) == values.min(axis=1)
    values -= means
    before = _lengths(values)
    if basis is not None:
        _subtract_projections(values, basis)
    lengths = _lengths(values)
    is_constant |= lengths <= COLLINEAR * before
    lengths[is_constant] = 0.0
    values *= np.divide(1.0, lengths, out=np.zeros_like(lengths), where=~is_constant)[:, np.newaxis]
    return Standardised(values, lengths, np.asarray(is_constant))


def check_complete(rows: Numbers, what: str) -> None:
    """Refuse rows with a missing or infinite value.

    Args:
        rows: rows × samples.
        what: name of a row, for messages.

    Raises:
        InputError: there is one; the first is named by its index.
    """
    if rows.dtype.kind == "i":
        return
    is_complete = np.isfinite(rows.sum(axis=1, dtype=np.float64))
    if not is_complete.all():
        raise InputError(
            f"{what.capitalize()} {int(is_complete.argmin())} (counted from 0) has missing or infinite values.",
            mend="Fill missing genotypes in with the mean, or leave the row out.",
        )


def _subtract_projections(values: Floats, basis: Floats) -> None:
    """Make rows residuals of a basis, in place.

    A few rows at a time, and always as many: BLAS takes other ways for other shapes and places in a matrix, and a row
    would differ in its last bits by the rows that it comes with.
    """
    block = np.zeros((_N_PROJECTED, values.shape[1]))
    for start in range(0, values.shape[0], _N_PROJECTED):
        some = values[start : start + _N_PROJECTED]
        block[: some.shape[0]] = some
        some -= ((block @ basis) @ basis.T)[: some.shape[0]]


def _lengths(values: Floats) -> Floats:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", values, values)))


def _check_samples(rows: Numbers, n_samples: int, what: str) -> None:
    if rows.shape[1] != n_samples:
        raise InputError(
            f"The {what}s are of {rows.shape[1]} people, the covariates of {n_samples}.",
            mend="Give all for the same people in the same order.",
        )
