"""Hidden factors of expression by PEER's variational model (Stegle et al. 2010, 2012).

For phenotype p of sample n, with x the sample's factors (known covariates, then hidden ones)::

    y_np = Σ_k x_nk w_pk + noise          noise ~ N(0, 1/ε_p)
    x_nk ~ N(0, 1)  where k is hidden     w_pk ~ N(0, 1/α_k)
    α_k  ~ Gamma(0.001, 0.01)             ε_p  ~ Gamma(0.1, 10)

A factor that explains nothing gets a great precision α: its weights vanish. The posterior is approximated by
q(W) q(α) q(X) q(ε), which are updated in that order; each update raises the lower bound of the evidence.

It is the model, the start (principal components), the order of updates and the stopping rule of the program
`peer` 1.0 (class PEER without a sparsity prior). What differs:

- Arithmetic is float64; `peer` computes in float32, in which neither stopping rule resolves its tolerance.
- Covariates are known exactly. `peer` updates them as if they could move (prior precision 100), then writes
  them back, with which its bound may fall. Without covariates the updates are the same.
- The prior of α is GTEx's, Gamma(0.001, 0.01); the default of `peer` is Gamma(0.001, 0.1).
- The covariances of all weights share one eigenbasis instead of one inverse a phenotype: the same numbers.
- The sign of each factor is fixed by its start; the bound has the constant that `peer` leaves out, P K / 2.
- There is no ``add_mean`` (give a column of ones as a covariate), no sparsity prior, and the uncertainty of
  the values is the default of `peer` for all: a variance of 0.01.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from kgp.eqtl.components import check_complete, from_gram
from kgp.eqtl.covariates import check_people, orthonormal_basis
from kgp.errors import InputError, UsageError

Floats = NDArray[np.float64]

# fewer people than this → so many factors; from 350 on 60 (GTEx v8).
FACTORS_BY_SAMPLES = ((150, 15), (250, 30), (350, 45))
FACTORS_AT_MOST = 60

LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class PeerSettings:
    """Priors and stopping rules; the defaults are GTEx's.

    Args:
        alpha_shape: of the Gamma prior of the weights' precision, a factor.
        alpha_rate: its rate.
        noise_shape: of the Gamma prior of the noise's precision, a phenotype.
        noise_rate: its rate.
        value_variance: variance with which every value was measured.
        max_iterations: sweeps at most.
        bound_tolerance: stop when the bound changes by less.
        variance_tolerance: stop when the mean squared residual changes by less.
    """

    alpha_shape: float = 0.001
    alpha_rate: float = 0.01
    noise_shape: float = 0.1
    noise_rate: float = 10.0
    value_variance: float = 0.01
    max_iterations: int = 1000
    bound_tolerance: float = 1e-3
    variance_tolerance: float = 1e-8


@dataclass(frozen=True, eq=False)
class PeerResult:
    """Hidden factors and what belongs to them.

    Args:
        factors: samples × n_factors, posterior means of the hidden factors.
        weights: phenotypes × (covariates + n_factors), posterior means; covariates first.
        precisions: α of each column of weights; 1/α is the factor's relevance.
        noise_precisions: ε of each phenotype.
        residuals: phenotypes × samples, the values without covariates and factors.
        bounds: lower bound of the evidence after each sweep; never falls.
        residual_variances: mean squared residual after each sweep.
        has_converged: whether a stopping rule was met before max_iterations.
    """

    factors: Floats
    weights: Floats
    precisions: Floats
    noise_precisions: Floats
    residuals: Floats
    bounds: Floats
    residual_variances: Floats
    has_converged: bool

    @property
    def n_iterations(self) -> int:
        """How many sweeps were made."""
        return self.bounds.size


@dataclass(frozen=True, eq=False)
class _Gammas:
    """Gamma posteriors with one shape and a rate each."""

    shape: float
    rates: Floats

    @property
    def means(self) -> Floats:
        return self.shape / self.rates

    @property
    def mean_logs(self) -> Floats:
        return np.asarray(digamma(self.shape) - np.log(self.rates))

    def bound(self, prior_shape: float, prior_rate: float) -> float:
        """Expected log prior plus entropy."""
        shape, n = self.shape, self.rates.size
        log_prior = n * (prior_shape * np.log(prior_rate) - gammaln(prior_shape))
        log_prior += ((prior_shape - 1.0) * self.mean_logs - prior_rate * self.means).sum()
        entropy = n * (shape + gammaln(shape) + (1.0 - shape) * digamma(shape)) - np.log(self.rates).sum()
        return float(log_prior + entropy)


@dataclass(frozen=True, eq=False)
class _Weights:
    """q(W): means, and the covariance of phenotype p as ``basis @ diag(spreads[p]) @ basis.T``."""

    means: Floats
    basis: Floats
    spreads: Floats
    log_determinants: float

    @cached_property
    def squares(self) -> Floats:
        """Σ_p E[w_pk²] of each factor k."""
        return np.diag(self.second_moment())

    def second_moment(self, noise: Floats | None = None) -> Floats:
        """Σ_p E[w_p w_pᵀ], each phenotype times its noise precision where given; factors × factors."""
        factor = np.ones(self.means.shape[0]) if noise is None else noise
        spread = (self.basis * (factor @ self.spreads)) @ self.basis.T
        return np.asarray(spread + self.means.T @ (self.means * factor[:, None]))


@dataclass(frozen=True, eq=False)
class _Factors:
    """q(X): means of all factors (covariates first), Σ_n E[x_n x_nᵀ], and the hidden ones' covariance."""

    means: Floats
    second_moment: Floats
    covariance: Floats


def n_peer_factors(n_samples: int) -> int:
    """How many hidden factors GTEx takes: 15 below 150 people, 30 below 250, 45 below 350, else 60.

    >>> [n_peer_factors(n) for n in (149, 150, 249, 250, 349, 350, 3202)]
    [15, 30, 30, 45, 45, 60, 60]
    """
    return next((n for below, n in FACTORS_BY_SAMPLES if n_samples < below), FACTORS_AT_MOST)


def peer(
    values: Floats,
    n_factors: int,
    *,
    covariates: Floats | None = None,
    settings: PeerSettings = PeerSettings(),
) -> PeerResult:
    """Infer hidden factors.

    Values are taken as they are: centre each phenotype (the inverse normal transform does), or give a column
    of ones among the covariates.

    Args:
        values: phenotypes × samples, none missing.
        n_factors: hidden factors, see `n_peer_factors`.
        covariates: samples × covariates, known, none a combination of the others.
        settings: priors and stopping rules.

    Raises:
        InputError: a value is missing, covariates are missing, collinear or of other samples, or there are
            not more phenotypes and samples than factors and covariates.
        UsageError: n_factors is below 1.

    Source: Stegle et al. 2010, PLoS Computational Biology 6:e1000770; Stegle et al. 2012, Nature Protocols
    7:500.
    """
    known = np.empty((values.shape[1], 0)) if covariates is None else np.asarray(covariates, dtype=np.float64)
    _check_input(values, n_factors, known)
    model = _Model(values, known, settings)
    bounds: list[float] = []
    variances: list[float] = []
    factors, weights, alpha, noise = model.start(n_factors)
    products = values @ factors.means
    has_converged = False
    while len(bounds) < settings.max_iterations and not has_converged:
        weights = model.update_weights(products, factors, alpha.means, noise.means)
        alpha = model.update_alpha(weights)
        factors = model.update_factors(weights, noise.means)
        products = values @ factors.means
        noise = model.update_noise(products, factors, weights)
        bounds.append(model.bound(factors, weights, alpha, noise))
        variances.append(model.residual_variance(products, factors, weights))
        has_converged = len(bounds) > 1 and (
            abs(bounds[-1] - bounds[-2]) < settings.bound_tolerance
            or abs(variances[-1] - variances[-2]) < settings.variance_tolerance
        )
    return PeerResult(
        factors=factors.means[:, known.shape[1] :],
        weights=weights.means,
        precisions=alpha.means,
        noise_precisions=noise.means,
        residuals=values - weights.means @ factors.means.T,
        bounds=np.array(bounds),
        residual_variances=np.array(variances),
        has_converged=has_converged,
    )


class _Model:
    """The updates, each the best q of one group given the others, and the bound.

    Args:
        values: phenotypes × samples.
        known: samples × covariates.
        settings: priors.
    """

    def __init__(self, values: Floats, known: Floats, settings: PeerSettings) -> None:
        self.values = values
        self.known = known
        self.settings = settings
        self.squares = np.einsum("pn,pn->p", values, values)

    def start(self, n_factors: int) -> tuple[_Factors, _Weights, _Gammas, _Gammas]:
        """Covariates by least squares, hidden factors by the principal components of what is left."""
        n_phenotypes, n_samples = self.values.shape
        gram = self.values.T @ self.values
        slopes = np.zeros((n_phenotypes, 0))
        if self.known.size:
            basis, triangle = orthonormal_basis(self.known)
            rest = np.eye(n_samples) - basis @ basis.T
            gram = rest @ gram @ rest
            slopes = np.linalg.solve(triangle, (self.values @ basis).T).T
        scores = from_gram(gram, n_factors, n_phenotypes=n_phenotypes, is_centred=False).scores
        vectors = scores / np.sqrt((scores**2).sum(axis=0))
        means = np.hstack([self.known, vectors])
        factors = _Factors(means, means.T @ means, np.zeros((n_factors, n_factors)))
        weight_means = np.hstack([slopes, self.values @ vectors])
        n_all = means.shape[1]
        weights = _Weights(weight_means, np.eye(n_all), np.zeros((n_phenotypes, n_all)), 0.0)
        noise = _Gammas(self.settings.noise_shape, np.full(n_phenotypes, self.settings.noise_rate))
        return factors, weights, self.update_alpha(weights), noise

    def update_weights(self, products: Floats, factors: _Factors, alpha: Floats, noise: Floats) -> _Weights:
        """q(w_p) has covariance (diag α + ε_p E[XᵀX])⁻¹ and mean ε_p covariance · E[X]ᵀ y_p.

        With α^-½ E[XᵀX] α^-½ = U diag(λ) Uᵀ every covariance is B diag(1 / (1 + ε_p λ)) Bᵀ, B = α^-½ U.

        Args:
            products: phenotypes × factors, values @ E[X].
        """
        roots = 1.0 / np.sqrt(alpha)
        eigenvalues, vectors = np.linalg.eigh(factors.second_moment * np.outer(roots, roots))
        basis = roots[:, None] * vectors
        spreads = 1.0 / (1.0 + np.outer(noise, np.maximum(eigenvalues, 0.0)))
        means = ((products @ basis) * spreads * noise[:, None]) @ basis.T
        log_determinants = float(np.log(spreads).sum() - self.values.shape[0] * np.log(alpha).sum())
        return _Weights(means, basis, spreads, log_determinants)

    def update_alpha(self, weights: _Weights) -> _Gammas:
        """q(α_k) from the sum of the squared weights of factor k."""
        settings = self.settings
        shape = settings.alpha_shape + 0.5 * self.values.shape[0]
        return _Gammas(shape, settings.alpha_rate + 0.5 * weights.squares)

    def update_factors(self, weights: _Weights, noise: Floats) -> _Factors:
        """q(x_n) of the hidden factors, given the covariates; its covariance is the same for all samples."""
        n_known, n_samples = self.known.shape[1], self.values.shape[1]
        precision = weights.second_moment(noise)
        hidden = precision[n_known:, n_known:]
        covariance = np.linalg.inv(hidden + np.eye(hidden.shape[0]))
        pull = self.values.T @ (weights.means[:, n_known:] * noise[:, None])
        pull -= self.known @ precision[:n_known, n_known:]
        means = np.hstack([self.known, pull @ covariance])
        second_moment = np.asarray(means.T @ means, dtype=np.float64)
        second_moment[n_known:, n_known:] += n_samples * covariance
        return _Factors(means, second_moment, covariance)

    def update_noise(self, products: Floats, factors: _Factors, weights: _Weights) -> _Gammas:
        """q(ε_p) from the expected squared error of phenotype p."""
        settings = self.settings
        errors = self._expected_errors(products, factors, weights)
        return _Gammas(settings.noise_shape + 0.5 * self.values.shape[1], settings.noise_rate + 0.5 * errors)

    def bound(self, factors: _Factors, weights: _Weights, alpha: _Gammas, noise: _Gammas) -> float:
        """Lower bound of the log evidence, after `update_noise`."""
        n_phenotypes, n_samples = self.values.shape
        settings, n_all = self.settings, weights.means.shape[1]
        errors = 2.0 * (noise.rates - settings.noise_rate)
        of_values = 0.5 * (
            n_samples * (noise.mean_logs.sum() - n_phenotypes * LOG_2PI) - noise.means @ errors
        )
        of_weights = 0.5 * (
            n_phenotypes * (alpha.mean_logs.sum() + n_all)
            - alpha.means @ weights.squares
            + weights.log_determinants
        )
        n_hidden = factors.covariance.shape[0]
        hidden_squares = np.diag(factors.second_moment)[self.known.shape[1] :].sum()
        log_determinant = np.linalg.slogdet(factors.covariance)[1]
        of_factors = 0.5 * (n_samples * (n_hidden + log_determinant) - hidden_squares)
        of_alpha = alpha.bound(settings.alpha_shape, settings.alpha_rate)
        of_noise = noise.bound(settings.noise_shape, settings.noise_rate)
        return float(of_values + of_weights + of_factors + of_alpha + of_noise)

    def residual_variance(self, products: Floats, factors: _Factors, weights: _Weights) -> float:
        """Mean squared residual, from products that are at hand."""
        explained = (factors.means.T @ factors.means * (weights.means.T @ weights.means)).sum()
        total = self.squares.sum() - 2.0 * (products * weights.means).sum() + explained
        return float(total / self.values.size)

    def _expected_errors(self, products: Floats, factors: _Factors, weights: _Weights) -> Floats:
        """Σ_n E[(y_np - x_n w_p)²] of each phenotype."""
        second = factors.second_moment
        measured = self.squares + self.values.shape[1] * self.settings.value_variance
        fitted = np.einsum("pk,pk->p", products, weights.means)
        of_means = np.einsum("pk,pk->p", weights.means @ second, weights.means)
        of_spread = weights.spreads @ np.diag(weights.basis.T @ second @ weights.basis)
        return np.asarray(measured - 2.0 * fitted + of_means + of_spread)


def _check_input(values: Floats, n_factors: int, known: Floats) -> None:
    """Refuse what the model cannot be fitted to."""
    if n_factors < 1:
        raise UsageError(f"{n_factors} hidden factors cannot be inferred.", mend="Ask for 1 or more.")
    check_complete(values)
    n_phenotypes, n_samples = values.shape
    check_people(known, n_samples)
    n_all = n_factors + known.shape[1]
    if n_all >= min(values.shape):
        raise InputError(
            f"{n_factors} hidden factors and {known.shape[1]} covariates are too many for {n_samples} people"
            f" and {n_phenotypes} phenotypes.",
            mend=f"Ask for fewer: all together at most {min(values.shape) - 1}.",
        )
