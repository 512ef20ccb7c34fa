"""Principal components of phenotypes, and how many of them to take.

Arrays are `phenotypes × samples`. There are far more phenotypes than samples, so everything goes through the
samples × samples Gram matrix: two tables of 20,000 × 450 need no more memory than one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgp.errors import InputError, UsageError

Floats = NDArray[np.float64]

# Phenotypes that are standardised at a time: 4,096 × 450 are 15 MB.
BLOCK = 4096

# R's summary(prcomp(...)) rounds proportions of variance so; PCAForQTL chooses by the rounded ones.
R_DECIMALS = 5

# Of a component's largest score: scores that near to it count as equal when its sign is chosen.
SIGN_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of samples.

    Args:
        scores: samples × n; column j is what R calls ``prcomp(...)$x[, j]``. The sign of each is such that
            its largest score in absolute value is positive (the first of those equal to within 1e-9).
        variance_explained: proportion of the variance of each component that there is, not only of the first
            n: min(samples, phenotypes) numbers, descending, their sum is 1.
    """

    scores: Floats
    variance_explained: Floats


@dataclass(frozen=True, eq=False)
class ChoiceByPermutation:
    """How many components explain more than chance does.

    Args:
        n_components: components whose p-value is at most alpha.
        p_values: one a component, never falling.
        alpha: significance level.
        n_permutations: data sets that it was compared with.
    """

    n_components: int
    p_values: Floats
    alpha: float
    n_permutations: int


def principal_components(values: Floats, n: int) -> Components:
    """The first n principal components of samples, as R's ``prcomp(t(values), scale. = TRUE)``.

    Args:
        values: phenotypes × samples, none missing, none constant.
        n: how many components, at most min(samples - 1, phenotypes).

    Raises:
        InputError: a value is missing, or a phenotype is constant.
        UsageError: there are not n components.

    >>> made = principal_components(np.array([[1.0, 2.0, 6.0], [2.0, 4.0, 12.0]]), 1)
    >>> made.scores[:, 0].round(4).tolist(), made.variance_explained.round(4).tolist()
    ([-1.069, -0.5345, 1.6036], [1.0, 0.0])
    """
    _check_number(n, values.shape[1], values.shape[0], is_centred=True)
    return from_gram(gram_matrix(values), n, n_phenotypes=values.shape[0])


def from_gram(gram: Floats, n: int, *, n_phenotypes: int, is_centred: bool = True) -> Components:
    """The first n principal components from a Gram matrix, which may have been accumulated elsewhere.

    Args:
        gram: samples × samples, the sum over phenotypes of zzᵀ with z the phenotype as it is to be analysed
            (centred, scaled).
        n: how many components.
        n_phenotypes: phenotypes that were summed.
        is_centred: whether they were centred: that leaves one component fewer than samples.

    Raises:
        InputError: the matrix is all zero, or not finite.
        UsageError: there are not n components.
    """
    _check_number(n, gram.shape[0], n_phenotypes, is_centred=is_centred)
    if not np.isfinite(gram).all():
        raise InputError(
            "The values are too large: their squares overflow.",
            mend="Scale them first, for example by the inverse normal transform.",
        )
    variances, vectors = np.linalg.eigh(gram)
    variances = np.maximum(variances[::-1], 0.0)
    if variances[0] == 0.0:
        raise InputError("No phenotype varies.", mend="Give phenotypes with variance.")
    vectors = vectors[:, ::-1][:, :n]
    scores = vectors * (np.sqrt(variances[:n]) * choose_signs(vectors))
    return Components(scores, _proportions(variances, n_phenotypes))


def gram_matrix(values: Floats) -> Floats:
    """Sum over phenotypes of zzᵀ, z being the phenotype centred and scaled; a block of phenotypes at a time.

    Args:
        values: phenotypes × samples, none missing, none constant.

    Returns:
        samples × samples.

    Raises:
        InputError: a value is missing, or a phenotype is constant.
    """
    return _sum_of_products(_standardised_blocks(values), values.shape[1])


def choose_by_elbow(variance_explained: Floats) -> int:
    """How many components to take: where the curve of proportions is farthest from the line through its ends.

    Args:
        variance_explained: proportion of variance of every component, as `Components` has them. They are
            rounded to 5 decimals first, as R's ``summary(prcomp(...))`` does and PCAForQTL therefore sees them.

    Returns:
        the number of the component (from 1) at the greatest distance, the first of equals.

    Raises:
        UsageError: there are fewer than 2 components.

    Source: Zhou et al. 2022, Genome Biology 23:210; PCAForQTL::runElbow.

    >>> choose_by_elbow(np.array([0.5, 0.3, 0.1, 0.06, 0.04]))
    3
    """
    proportions = np.round(variance_explained, R_DECIMALS)
    if proportions.size < 2:
        raise UsageError(
            f"An elbow needs 2 components or more, not {proportions.size}.", mend="Give every proportion."
        )
    width, height = proportions.size - 1, proportions[-1] - proportions[0]
    places = np.arange(proportions.size)
    distances = np.abs(width * (proportions[0] - proportions) + places * height) / np.hypot(width, height)
    return int(distances.argmax()) + 1


def choose_by_be(
    values: Floats, *, seed: int, n_permutations: int = 20, alpha: float = 0.05
) -> ChoiceByPermutation:
    """How many components to take: those that explain more than in data whose phenotypes are unrelated.

    Buja and Eyuboglu's parallel analysis: in each permutation the samples of every phenotype are shuffled
    independently of the other phenotypes. The p-value of component j is (1 + permutations in which it
    explains as much or more) / (1 + permutations), raised to that of the component before it. Phenotypes are
    centred and scaled, and proportions rounded to 5 decimals, as PCAForQTL does.

    Args:
        values: phenotypes × samples, none missing, none constant.
        seed: of numpy's default generator; the same seed gives the same permutations.
        n_permutations: B; below 1 / alpha - 1 no p-value can reach alpha.
        alpha: significance level.

    Raises:
        InputError: a value is missing, or a phenotype is constant.
        UsageError: alpha is not within 0 to 1, or there are too few permutations for it.

    Source: Buja and Eyuboglu 1992; Zhou et al. 2022, Genome Biology 23:210; PCAForQTL::runBE.
    """
    if not 0.0 < alpha <= 1.0:
        raise UsageError(f"alpha {alpha:g} is not above 0 and at most 1.", mend="Take 0.05.")
    if 1.0 / (n_permutations + 1) > alpha:
        raise UsageError(
            f"With {n_permutations} permutations no p-value can be {alpha:g} or less.",
            mend=f"Take {int(np.ceil(1.0 / alpha)) - 1} permutations or more.",
        )
    observed = _rounded_proportions(values, lambda block: block)
    generator = np.random.default_rng(seed)
    n_as_great = np.zeros(observed.size, dtype=np.int64)
    for _ in range(n_permutations):
        permuted = _rounded_proportions(values, lambda block: generator.permuted(block, axis=1))
        n_as_great += permuted >= observed
    p_values = np.maximum.accumulate((n_as_great + 1.0) / (n_permutations + 1.0))
    return ChoiceByPermutation(int((p_values <= alpha).sum()), p_values, alpha, n_permutations)


def check_complete(values: Floats) -> None:
    """Refuse missing values.

    Args:
        values: phenotypes × samples.

    Raises:
        InputError: a value is missing or infinite; the first phenotype's index (from 0) is named.
    """
    is_complete = np.isfinite(values).all(axis=1)
    if not is_complete.all():
        raise InputError(
            f"Phenotype {int(is_complete.argmin())} (counted from 0) has missing or infinite values;"
            f" {int((~is_complete).sum())} of {is_complete.size} do.",
            mend="Leave such phenotypes out, or fill the values in.",
        )


def to_unit_size(values: Floats, axis: int) -> Floats:
    """Values times a power of two along an axis, so that the largest of each row or column lies from 0.5 to 1.

    Nothing is rounded by it, and squares neither overflow nor vanish. What is all 0 stays so.

    Args:
        values: two dimensions, none missing.
        axis: 1 to scale each row, 0 to scale each column.

    >>> to_unit_size(np.array([[3.0 * 2.0**900, 2.0**900], [0.0, 0.0]]), 1).tolist()
    [[0.75, 0.25], [0.0, 0.0]]
    """
    _, exponents = np.frexp(np.abs(values).max(axis=axis, keepdims=True, initial=0.0))
    return np.asarray(np.ldexp(values, -exponents))


def _check_number(n: int, n_samples: int, n_phenotypes: int, *, is_centred: bool) -> None:
    """Refuse more components than there are."""
    n_most = min(n_samples - 1 if is_centred else n_samples, n_phenotypes)
    if n_most < 1:
        raise UsageError(
            f"{n} principal components of {n_samples} people and {n_phenotypes} phenotypes cannot be had.",
            mend="Give more people, or phenotypes.",
        )
    if not 1 <= n <= n_most:
        raise UsageError(
            f"{n} principal components of {n_samples} people and {n_phenotypes} phenotypes cannot be had.",
            mend=f"Ask for 1 to {n_most}.",
        )


def _rounded_proportions(values: Floats, change: Callable[[Floats], Floats]) -> Floats:
    """Proportions of variance as R shows them, after a change to each block of standardised phenotypes."""
    blocks = (change(block) for block in _standardised_blocks(values))
    gram = _sum_of_products(blocks, values.shape[1])
    variances = np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0)
    return np.round(_proportions(variances, values.shape[0]), R_DECIMALS)


def _proportions(variances: Floats, n_phenotypes: int) -> Floats:
    """Each component's share of the variance; there are min(samples, phenotypes) components."""
    return np.asarray(variances[: min(variances.size, n_phenotypes)] / variances.sum())


def choose_signs(vectors: Floats) -> Floats:
    """For each column 1 or -1, so that its largest value becomes positive; equal but for rounding are equal."""
    sizes = np.abs(vectors)
    places = (sizes >= (1.0 - SIGN_TOLERANCE) * sizes.max(axis=0)).argmax(axis=0)
    return np.where(vectors[places, np.arange(vectors.shape[1])] < 0.0, -1.0, 1.0)


def _sum_of_products(blocks: Iterator[Floats], n_samples: int) -> Floats:
    """The sum of blockᵀ block."""
    gram = np.zeros((n_samples, n_samples))
    for block in blocks:
        gram += block.T @ block
    return gram


def _standardised_blocks(values: Floats) -> Iterator[Floats]:
    """Some thousand phenotypes at a time, centred and scaled."""
    check_complete(values)
    for start in range(0, values.shape[0], BLOCK):
        block = values[start : start + BLOCK]
        _check_varies(block, start)
        block = to_unit_size(block, 1)
        block = block - block.mean(axis=1, keepdims=True)
        yield block / np.sqrt((block**2).sum(axis=1, keepdims=True) / (block.shape[1] - 1))


def _check_varies(block: Floats, start: int) -> None:
    """Refuse a constant phenotype: it has no standard deviation to be divided by."""
    is_flat = block.max(axis=1) == block.min(axis=1)
    if is_flat.any():
        raise InputError(
            f"Phenotype {start + int(is_flat.argmax())} (counted from 0) is constant and cannot be scaled.",
            mend="Leave constant phenotypes out (kgp.eqtl.thresholds.is_constant tells).",
        )
