"""Fine-mapping by the sum of single effects (SuSiE): which variants of a window may be those that act.

A phenotype is a sum of effects of one variant each, and which variant that is has a probability. The effects are fitted
in turn to what the others leave (iterative Bayesian stepwise selection) until the evidence lower bound no longer
grows; the prior variance of each is estimated by one step of EM each time, as tensorQTL does it, and becomes 0, which
ends the effect, where that is as likely.

Phenotype and genotypes are standardised (`kgp.eqtl.design`): one standard deviation is their unit here.

Source: Wang, Sarkar, Carbonetto and Stephens 2020, doi 10.1111/rssb.12388; susieR 0.11 and later; tensorQTL 1.0.10.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kgp.eqtl.design import Flags, Floats, Ints
from kgp.errors import InputError

# An effect with less prior variance is none.
_MIN_PRIOR_VARIANCE = 1e-9
# Least residual variance, where variants explain all of a phenotype.
_MIN_RESIDUAL_VARIANCE = 1e-4
# Vectors whose correlations are computed at a time, which bounds the memory.
_N_AT_ONCE = 512


@dataclass(frozen=True)
class SusieOptions:
    """How to fit and what to report.

    Args:
        n_effects: effects at most.
        coverage: least probability that a credible set has its effect's variant.
        min_purity: least |r| of any two variants of a credible set.
        prior_variance: of an effect at the start, as a share of the phenotype's variance.
        null_weight: prior probability that an effect is none of the variants.
        max_iterations: rounds over all effects at most.
        tolerance: growth of the evidence lower bound below which the fit has converged.
    """

    n_effects: int = 10
    coverage: float = 0.95
    min_purity: float = 0.5
    prior_variance: float = 0.2
    null_weight: float = 0.0
    max_iterations: int = 200
    tolerance: float = 1e-3


@dataclass(frozen=True, eq=False)
class CredibleSet:
    """The fewest variants that have an effect's variant among them with the probability asked for.

    Args:
        effect: row of the fit's `alpha`.
        variants: the most probable first; of equally probable ones the first in the window.
        purity: least |r| of any two of them, over all of them.
        coverage: probability that the effect's variant is one of them.
        log10_bf: log10 of the Bayes factor of the effect beside the others.
    """

    effect: int
    variants: Ints
    purity: float
    coverage: float
    log10_bf: float


@dataclass(frozen=True, eq=False)
class SusieFit:
    """A fitted sum of single effects.

    Args:
        alpha: effects × variants: probability that the variant is the effect's.
        mu: effects × variants: posterior mean of the effect if it is the variant's, in standard deviations of the
            phenotype for one of the genotype.
        mu2: effects × variants: posterior mean of its square.
        prior_variances: of the effects (V); 0 where there is none.
        residual_variance: share of the phenotype's variance that is left (sigma2).
        log_bf: natural logarithm of the Bayes factor of each effect.
        elbo: evidence lower bound after each round.
        converged: whether it has ceased to grow.
        credible_sets: of the effects, those with the greatest Bayes factor first.
    """

    alpha: Floats
    mu: Floats
    mu2: Floats
    prior_variances: Floats
    residual_variance: float
    log_bf: Floats
    elbo: Floats
    converged: bool
    credible_sets: tuple[CredibleSet, ...]

    @property
    def pip(self) -> Floats:
        """Posterior inclusion probability a variant: that it is that of any effect."""
        return np.asarray(1.0 - np.prod(1.0 - self.alpha[self._is_effect], axis=0))

    @property
    def posterior_mean(self) -> Floats:
        """Posterior mean a variant of its effect, whichever variants act."""
        return np.asarray((self.alpha * self.mu)[self._is_effect].sum(axis=0))

    @property
    def posterior_sd(self) -> Floats:
        """Posterior standard deviation a variant of its effect."""
        alpha, mu, mu2 = (one[self._is_effect] for one in (self.alpha, self.mu, self.mu2))
        return np.asarray(np.sqrt(np.maximum(alpha * mu2 - (alpha * mu) ** 2, 0.0).sum(axis=0)))

    @property
    def _is_effect(self) -> Flags:
        return np.asarray(self.prior_variances > _MIN_PRIOR_VARIANCE)


def fit_susie(
    phenotype: Floats, genotypes: Floats, vector_of: Ints, options: SusieOptions = SusieOptions()
) -> SusieFit:
    """Fine-map one phenotype in its window.

    Args:
        phenotype: a value a sample, with mean 0 and length 1.
        genotypes: distinct vectors × samples, each with mean 0 and length 1.
        vector_of: each variant's row of `genotypes`: variants that are the same are computed once. `mu` is that of
            the row, whose sign may be the other one.
        options: how to fit and what to report.

    Raises:
        InputError: there is no variant, or the genotypes are of other samples than the phenotype.

    >>> y = np.array([-0.5, -0.5, 0.5, 0.5])
    >>> x = np.array([[-0.5, -0.5, 0.5, 0.5], [0.5, -0.5, 0.5, -0.5]])
    >>> [one.variants.tolist() for one in fit_susie(y, x, np.array([0, 1])).credible_sets]
    [[0]]
    """
    if not vector_of.size or genotypes.shape[1:] != phenotype.shape:
        raise InputError(
            f"{vector_of.size} variants of {genotypes.shape[-1]} people are no window of a phenotype of "
            f"{phenotype.size}.",
            mend="Give at least one variant, and all for the same people in the same order.",
        )
    effects = _Effects(phenotype, genotypes, vector_of, options)
    elbo = [-math.inf]
    converged = False
    while not converged and len(elbo) <= options.max_iterations:
        effects.update()
        elbo.append(effects.elbo())
        converged = elbo[-1] - elbo[-2] < options.tolerance
        if not converged:
            effects.estimate_residual_variance()
    alpha, mu, mu2 = (np.asarray(one[:, vector_of]) for one in (effects.alpha, effects.mu, effects.mu2))
    sets = tuple(sorted(_find_sets(effects, vector_of, options), key=lambda one: -one.log10_bf))
    return SusieFit(
        alpha,
        mu,
        mu2,
        effects.prior_variances,
        effects.residual_variance,
        effects.log_bf,
        np.array(elbo[1:]),
        converged,
        sets,
    )


class _Effects:
    """The effects while they are fitted; `alpha`, `mu` and `mu2` are effects × vectors."""

    def __init__(self, phenotype: Floats, genotypes: Floats, vector_of: Ints, options: SusieOptions) -> None:
        n_effects = min(options.n_effects, vector_of.size)
        self.n_samples = phenotype.size
        # Sum of squares of whatever has a standard deviation of 1.
        self.squares = float(self.n_samples - 1)
        self.phenotype = phenotype * math.sqrt(self.squares)
        self.genotypes = genotypes
        self.copies = np.bincount(vector_of, minlength=len(genotypes)).astype(np.float64)
        self.null_weight = options.null_weight
        self.prior = (1.0 - options.null_weight) / vector_of.size
        self.alpha = np.full((n_effects, len(genotypes)), self.prior)
        self.null_alpha = np.full(n_effects, options.null_weight)
        self.mu = np.zeros_like(self.alpha)
        self.mu2 = np.zeros_like(self.alpha)
        self.fitted = np.zeros((n_effects, self.n_samples))
        # Posterior mean of the square of each effect, whichever variant it is of.
        self.second = np.zeros(n_effects)
        self.kl = np.zeros(n_effects)
        self.log_bf = np.zeros(n_effects)
        self.prior_variances = np.full(n_effects, options.prior_variance)
        self.residual_variance = 1.0

    def update(self) -> None:
        """Fit each effect once to what the others leave."""
        residual = self.phenotype - self.fitted.sum(axis=0)
        for effect, variance in enumerate(self.prior_variances.tolist()):
            residual += self.fitted[effect]
            if variance > 0.0:
                self._fit(effect, residual, variance)
            else:
                self._end(effect)
            residual -= self.fitted[effect]

    def elbo(self) -> float:
        """The evidence lower bound."""
        spread = self.n_samples * math.log(2.0 * math.pi * self.residual_variance)
        return -0.5 * (spread + self._squared_residuals() / self.residual_variance) - float(self.kl.sum())

    def estimate_residual_variance(self) -> None:
        """That with the greatest evidence lower bound."""
        self.residual_variance = max(self._squared_residuals() / self.n_samples, _MIN_RESIDUAL_VARIANCE)

    def _fit(self, effect: int, residual: Floats, variance: float) -> None:
        """Regress on one variant, whichever it is, and take a step of EM to its prior variance."""
        scores = math.sqrt(self.squares) * (self.genotypes @ residual)
        weights, null_weight, log_bf = self._weigh(scores, variance)
        left = self.residual_variance
        posterior_variance = variance * left / (variance * self.squares + left)
        self.alpha[effect] = weights
        self.null_alpha[effect] = null_weight
        self.mu[effect] = scores * (posterior_variance / left)
        self.mu2[effect] = self.mu[effect] ** 2 + posterior_variance
        copies = self.copies * weights
        fitted = math.sqrt(self.squares) * ((copies * self.mu[effect]) @ self.genotypes)
        self.fitted[effect] = fitted
        self.second[effect] = copies @ self.mu2[effect]
        explained = float(residual @ fitted) - 0.5 * self.squares * float(self.second[effect])
        self.kl[effect] = explained / left - log_bf
        self.log_bf[effect] = log_bf
        estimate = float(self.second[effect]) + null_weight * variance
        is_likelier = self._weigh(scores, estimate)[2] > 0.0
        self.prior_variances[effect] = estimate if is_likelier else 0.0

    def _weigh(self, scores: Floats, variance: float) -> tuple[Floats, float, float]:
        """Probability of each variant and of none, and the log Bayes factor, for a prior variance."""
        left = self.residual_variance
        total = variance * self.squares + left
        log_bfs = scores**2 * (0.5 * variance / (left * total)) + 0.5 * math.log(left / total)
        greatest = max(float(log_bfs.max()), 0.0)
        weights = self.prior * np.exp(log_bfs - greatest)
        null_weight = self.null_weight * math.exp(-greatest)
        summed = float(self.copies @ weights) + null_weight
        return weights / summed, null_weight / summed, greatest + math.log(summed)

    def _end(self, effect: int) -> None:
        """An effect without prior variance is none, and stays so."""
        self.alpha[effect] = self.prior
        self.null_alpha[effect] = self.null_weight
        for values in (self.mu, self.mu2, self.fitted, self.second, self.kl, self.log_bf):
            values[effect] = 0.0

    def _squared_residuals(self) -> float:
        """Expected sum of squares of what all effects leave."""
        residual = self.phenotype - self.fitted.sum(axis=0)
        uncertain = self.squares * self.second.sum() - np.square(self.fitted).sum()
        return float(residual @ residual + uncertain)


def _find_sets(effects: _Effects, vector_of: Ints, options: SusieOptions) -> Iterator[CredibleSet]:
    """The credible sets that are pure, each once, by effect."""
    seen = set()
    for effect in np.flatnonzero(effects.prior_variances > _MIN_PRIOR_VARIANCE).tolist():
        alpha = effects.alpha[effect, vector_of]
        if options.null_weight:
            alpha = np.append(alpha, effects.null_alpha[effect])
        order = np.argsort(-alpha, kind="stable")
        covered = np.minimum(np.cumsum(alpha[order]), 1.0)
        size = min(int((covered < options.coverage).sum()) + 1, alpha.size)
        members = order[:size]
        key = np.sort(members).tobytes()
        if vector_of.size in members or key in seen:
            continue
        seen.add(key)
        purity = _find_purity(effects.genotypes[np.unique(vector_of[members])], options.min_purity)
        if purity is not None:
            log10_bf = float(effects.log_bf[effect]) / math.log(10.0)
            yield CredibleSet(effect, members, purity, float(covered[size - 1]), log10_bf)


def _find_purity(vectors: Floats, least: float) -> float | None:
    """Least |r| of any two vectors; None, as soon as that is known, where it is below the least wanted."""
    purity = 1.0
    for start in range(0, len(vectors), _N_AT_ONCE):
        correlations = vectors[start:] @ vectors[start : start + _N_AT_ONCE].T
        purity = min(purity, float(np.abs(correlations).min()))
        if purity < least:
            return None
    return purity
