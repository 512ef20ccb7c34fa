"""Tails of Student's t and of beta distributions against mpmath, and the fit against data of a known distribution."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kgp.eqtl.beta_approximation import BetaFit, fit_beta, neg_log10_p_of_r2, p_of_r2
from kgp.errors import InputError


def lower_tail(a, b, x):
    """I_x(a, b) by its series of positive terms (DLMF 8.17.8), with the digits that mpmath works with."""
    a, b, x = mpmath.mpf(a), mpmath.mpf(b), mpmath.mpf(x)
    term = total = mpmath.mpf(1)
    k = 0
    while term > total * mpmath.mpf(10) ** -40:
        term *= (a + b + k) / (a + 1 + k) * x
        total += term
        k += 1
    return x**a * (1 - x) ** b / (a * mpmath.beta(a, b)) * total


def exact_p(r2: float, df: float):
    """Two-sided p: I_{1-r²}(f/2, 1/2), or where that is not small what is left of 1."""
    r2, half = min(mpmath.mpf(r2), 1 - mpmath.mpf(2) ** -52), mpmath.mpf(df) / 2
    return 1 - lower_tail(0.5, half, r2) if r2 < 0.5 and r2 * df < 50 else lower_tail(half, 0.5, 1 - r2)


def exact_log10_p(r2: float, df: float):
    with mpmath.workdps(80):
        return mpmath.log10(exact_p(r2, df))


def exact_log10_beta(a: float, b: float, r2: float, df: float):
    with mpmath.workdps(80):
        return mpmath.log10(lower_tail(a, b, exact_p(r2, df)))


@pytest.mark.parametrize("df", [1, 2, 3.5, 10, 50, 305, 356, 2500, 100_000])
@pytest.mark.parametrize("r2", [1e-18, 1e-9, 1e-4, 0.01, 0.1, 0.3, 0.6, 0.9, 0.99, 1 - 1e-6, 1 - 1e-12, 1.0])
def test_p_is_exact_far_below_the_least_double(r2, df):
    exact = -exact_log10_p(r2, df)
    found = neg_log10_p_of_r2(np.array([r2]), df)[0]
    assert found == pytest.approx(float(exact), rel=1e-11, abs=1e-9)
    if exact < 300:
        assert p_of_r2(np.array([r2]), df)[0] == pytest.approx(float(10**-exact), rel=1e-9)


def test_the_logarithm_has_no_step_where_it_is_taken_over():
    """Around 1e-250 one formula follows the other."""
    r2 = 1.0 - np.exp(np.linspace(-3.28, -3.18, 2001))
    found = neg_log10_p_of_r2(r2, 356.0)
    assert found.min() < 250 < found.max()
    exact = np.array([float(-exact_log10_p(float(x), 356.0)) for x in r2[::200]])
    np.testing.assert_allclose(found[::200], exact, rtol=1e-13)
    assert (np.diff(found) < 0).all()


@settings(deadline=None, max_examples=60)
@given(st.floats(0.0, 1.0), st.floats(1.0, 1e5))
def test_p_and_its_logarithm_are_finite_and_agree(r2, df):
    p, neg_log10_p = p_of_r2(np.array([r2]), df)[0], neg_log10_p_of_r2(np.array([r2]), df)[0]
    assert 0.0 <= p <= 1.0
    assert 0.0 <= neg_log10_p < math.inf
    assert 10.0**-neg_log10_p == pytest.approx(p, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(
    ("a", "b", "r2", "df"),
    [
        (1.05, 600.0, 0.1, 310.0),
        (1.05, 600.0, 0.9, 310.0),
        (0.9, 80.0, 0.99, 500.0),
        (1.1, 1200.0, 0.95, 2500.0),
    ],
)
def test_p_beta_is_exact_far_below_the_least_double(a, b, r2, df):
    fit = BetaFit(a, b, df, "maximum likelihood")
    exact = -exact_log10_beta(a, b, r2, df)
    assert fit.neg_log10_p(r2) == pytest.approx(float(exact), rel=1e-11)
    assert fit.p_value(r2) == pytest.approx(float(mpmath.mpf(10) ** -exact), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(("n_tests", "df"), [(1, 100.0), (20, 50.0), (300, 356.0), (2000, 356.0)])
def test_the_best_of_independent_tests_has_that_many_as_its_second_shape(n_tests, df):
    """The least of m uniform p's is Beta(1, m); the fit finds it, and its p's are uniform again."""
    generator = np.random.default_rng(7)
    p = 1.0 - (1.0 - generator.uniform(size=20_000)) ** (1.0 / n_tests)
    t = stats.t.isf(p / 2.0, df)
    fit = fit_beta(t**2 / (df + t**2), df)
    assert fit.method == "maximum likelihood"
    assert fit.df == pytest.approx(df, rel=0.1)
    assert fit.shape1 == pytest.approx(1.0, abs=0.03)
    assert fit.shape2 == pytest.approx(n_tests, rel=0.15)
    again = np.array([fit.p_value(x) for x in (t**2 / (df + t**2))[:2000]])
    assert stats.kstest(again, "uniform").pvalue > 0.01


def test_the_shapes_are_the_maximum_of_the_likelihood():
    """scipy's own fit of the same p's, and a likelihood that falls to all sides."""
    generator = np.random.default_rng(3)
    r2 = generator.beta(0.5, 178.0, size=(1000, 200)).max(axis=1)
    fit = fit_beta(r2, 356.0)
    p = p_of_r2(r2, fit.df)
    a, b, _, _ = stats.beta.fit(p, floc=0, fscale=1)
    assert (fit.shape1, fit.shape2) == pytest.approx((a, b), rel=1e-4)
    best = stats.beta.logpdf(p, fit.shape1, fit.shape2).sum()
    for da, db in ((1.001, 1), (0.999, 1), (1, 1.001), (1, 0.999)):
        assert stats.beta.logpdf(p, fit.shape1 * da, fit.shape2 * db).sum() < best
    mean, variance = p.mean(), p.var(ddof=1)
    assert mean * (mean * (1 - mean) / variance - 1) == pytest.approx(1.0, abs=1e-5)


def test_permutations_that_are_all_alike_have_no_distribution():
    fit = fit_beta(np.full(1000, 0.04), 100.0)
    assert fit.method == "none"
    assert math.isnan(fit.shape1)
    assert fit.df == 100.0
    assert fit_beta(np.zeros(1000), 100.0).method == "none"


@pytest.mark.parametrize("df", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("n_values", [2, 3, 10])
def test_few_different_values_are_fitted_or_said_not_to_be(df, n_values):
    r2 = np.tile(np.linspace(0.2, 1.0, n_values), 20)
    fit = fit_beta(r2, df)
    if fit.method == "none":
        assert math.isnan(fit.shape1)
    else:
        assert fit.shape1 > 0
        assert fit.shape2 > 0
        assert 0.0 <= fit.p_value(0.5) <= 1.0
        assert math.isfinite(fit.neg_log10_p(1.0))


def test_a_handful_of_permutations_is_refused():
    with pytest.raises(InputError, match="9 permutations are too few to fit a beta distribution to"):
        fit_beta(np.linspace(0.1, 0.2, 9), 100.0)
