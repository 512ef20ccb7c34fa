"""Hidden factors of the phenotypes of a set: how many, as covariates, or taken out.

Arrays are `phenotypes × samples`, none missing, none constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgp.amounts import count
from kgp.eqtl.components import Components, choose_by_be, choose_by_elbow, principal_components
from kgp.eqtl.covariates import Covariates, residualise
from kgp.eqtl.peer import PeerResult, n_peer_factors, peer
from kgp.eqtl.recipe.model import ExpressionRecipe
from kgp.errors import UsageError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Phenotypes that are standardised at a time.
N_AT_ONCE = 2048
# What is left of a phenotype's length once factors are out, below which it is rounding alone.
NOTHING = 1e-10

# Of the permutations that choose the number of components: the same in every build.
_SEED = 1
# Of phenotypes with standard deviation 1: weights of factors that PEER switched off are below it, others far above.
_LEAST_WEIGHT = 1e-8

# What a mapping needs besides the factors: an intercept, the variant and one degree of freedom.
_OTHERS = 3


@dataclass(frozen=True, eq=False)
class HiddenFactors:
    """Factors of the people.

    Args:
        names: ``peer_1`` …, or ``expression_pc_1`` ….
        scores: samples × factors.
        text: what was done.
        notes: what a reader of the result should know.
    """

    names: tuple[str, ...]
    scores: Floats
    text: str
    notes: tuple[str, ...]

    @property
    def covariates(self) -> Covariates:
        """The factors beside other covariates."""
        return Covariates(self.names, self.scores, {})


def infer_factors(values: Floats, recipe: ExpressionRecipe, *, are_normal: bool) -> HiddenFactors:
    """Infer hidden factors of complete phenotypes.

    PEER sees phenotypes of the inverse normal transform as they are (GTEx) and others centred and scaled: its priors
    know no unit. Principal components are of centred, scaled phenotypes (eQTL Catalogue).

    Args:
        values: phenotypes × samples.
        recipe: which factors, and how many: where it has no number PEER's by people, that of the components by their
            elbow or by permutation.
        are_normal: whether each phenotype has been through the inverse normal transform.

    Raises:
        UsageError: there are not enough people or phenotypes for so many.
    """
    if recipe.factors == "pca":
        return _find_components(values, recipe)
    n = _choose_peer(values, recipe.n_factors)
    made = peer(values if are_normal else standardise(values)[0], n)
    return _describe_peer(made, values.shape[1], is_given=recipe.n_factors is not None)


def take_factors_out(values: Floats, recipe: ExpressionRecipe) -> tuple[HiddenFactors, Floats]:
    """Infer hidden factors of complete phenotypes, centred and scaled, and what is left without them.

    Args:
        values: phenotypes × samples.
        recipe: as for `infer_factors`.

    Returns:
        the factors, and phenotypes × samples in the unit of the values, the mean of each phenotype 0.

    Raises:
        UsageError: as `infer_factors`.
    """
    if recipe.factors == "pca":
        factors = _find_components(values, recipe)
        return factors, residualise(values, factors.scores)
    n = _choose_peer(values, recipe.n_factors)
    standard, deviations = standardise(values)
    made = peer(standard, n)
    factors = _describe_peer(made, values.shape[1], is_given=recipe.n_factors is not None)
    return factors, made.residuals * deviations


def is_nothing_left(before: Floats, residuals: Floats) -> Flags:
    """Which phenotypes are nothing but rounding once factors are out.

    Args:
        before: phenotypes × samples.
        residuals: what is left of them, centred.
    """
    flags = np.empty(len(before), dtype=np.bool_)
    for start in range(0, len(before), N_AT_ONCE):
        some = slice(start, start + N_AT_ONCE)
        flags[some] = _lengths(residuals[some]) <= NOTHING * _lengths(before[some])
    return flags


def standardise(values: Floats) -> tuple[Floats, Floats]:
    """Each phenotype with mean 0 and standard deviation 1 (over n − 1); and those deviations, phenotypes × 1.

    >>> standardise(np.array([[1.0, 3.0]]))[0].round(4).tolist()
    [[-0.7071, 0.7071]]
    """
    made = np.empty_like(values)
    deviations = np.empty((len(values), 1))
    for start in range(0, len(values), N_AT_ONCE):
        some = slice(start, start + N_AT_ONCE)
        deviations[some] = values[some].std(axis=1, ddof=1, keepdims=True)
        made[some] = (values[some] - values[some].mean(axis=1, keepdims=True)) / deviations[some]
    return made, deviations


def _choose_peer(values: Floats, n_factors: int | None) -> int:
    n = n_peer_factors(values.shape[1]) if n_factors is None else n_factors
    _check_number(n, values, "PEER factors", is_given=n_factors is not None)
    return n


def _describe_peer(made: PeerResult, n_people: int, *, is_given: bool) -> HiddenFactors:
    n = made.factors.shape[1]
    notes = []
    if not is_given:
        notes.append(f"{n} PEER factors, by the number of people ({n_people}).")
    if not made.has_converged:
        notes.append(f"PEER had not converged after {made.n_iterations:,} iterations.")
    if n_off := int((np.abs(made.weights).max(axis=0) < _LEAST_WEIGHT).sum()):
        notes.append(f"PEER switched {n_off} of {n} factors off: no phenotype has a weight of them.")
    text = f"{count(n, 'PEER factor')} in {count(made.n_iterations, 'iteration')}"
    return HiddenFactors(tuple(f"peer_{i + 1}" for i in range(n)), made.factors, text, tuple(notes))


def _find_components(values: Floats, recipe: ExpressionRecipe) -> HiddenFactors:
    what, is_given = "principal components", recipe.n_factors is not None
    _check_number(recipe.n_factors or 1, values, what, is_given=is_given)
    made = principal_components(values, _most(values))
    notes: tuple[str, ...] = ()
    n = recipe.n_factors
    if n is None:
        n, notes = _choose_components(values, made, recipe)
        _check_number(n, values, what, is_given=is_given)
    text = f"{count(n, 'principal component')}, {made.variance_explained[:n].sum():.1%} of the variance"
    names = tuple(f"expression_pc_{i + 1}" for i in range(n))
    return HiddenFactors(names, made.scores[:, :n], text, notes)


def _choose_components(
    values: Floats, made: Components, recipe: ExpressionRecipe
) -> tuple[int, tuple[str, ...]]:
    """How many components, and a sentence that says how they were chosen."""
    if recipe.n_factors_by == "elbow":
        n = choose_by_elbow(made.variance_explained)
        return n, (f"{count(n, 'principal component')} of expression, by the elbow of their variance.",)
    chosen = choose_by_be(values, seed=_SEED)
    n = chosen.n_components
    how = (
        f"more of its variance than chance does (Buja and Eyuboglu: {chosen.n_permutations} permutations, "
        f"p at most {chosen.alpha:g}, seed {_SEED})"
    )
    if not n:
        return 0, (f"No principal component of expression explains {how}: there are no hidden factors.",)
    return n, (f"{count(n, 'principal component')} of expression, each of which explains {how}.",)


def _check_number(n: int, values: Floats, what: str, *, is_given: bool) -> None:
    """Refuse more factors than people or phenotypes can tell of."""
    n_phenotypes, n_people = values.shape
    most = _most(values)
    if n <= most:
        return
    chosen = "" if is_given else " (the number that the method says)"
    how = f"Give --n-factors {most} or fewer, or --factors none" if most > 0 else "Give --factors none"
    raise UsageError(
        f"{n} {what}{chosen} are too many for {count(n_people, 'person', 'people')} and"
        f" {count(n_phenotypes, 'phenotype')}.",
        where="--n-factors",
        mend=f"{how}, or take more people.",
    )


def _most(values: Floats) -> int:
    n_phenotypes, n_people = values.shape
    return min(n_people - _OTHERS, n_phenotypes - 1)


def _lengths(values: Floats) -> Floats:
    return np.asarray(np.sqrt(((values - values.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)))
