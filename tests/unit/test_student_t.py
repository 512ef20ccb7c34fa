"""p-values by polynomials against mpmath and against the incomplete beta function of SciPy."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaincc

from kgp.eqtl.student_t import both_p_of_r2


def r2_of(t: np.ndarray, df: float) -> np.ndarray:
    return np.asarray(t**2 / (df + t**2))


@pytest.mark.parametrize("df", [1, 3.5, 9.99, 10, 11, 50, 305, 356, 2500, 100_000])
def test_p_is_that_of_the_incomplete_beta_function(df):
    """All over the intervals, at their borders and beyond the last of them."""
    random = np.random.default_rng(7)
    t = np.concatenate(
        [np.arange(0, 41, 1 / 32), random.uniform(0, 42, 20_000), 10 ** random.uniform(-9, 0, 5000)]
    )
    r2 = r2_of(t, df)
    p, neg_log10_p = both_p_of_r2(r2, df)
    exact = betaincc(0.5, df / 2, r2)
    is_large = exact > 1e-280
    rtol = 1e-10 if df >= 10 else 1e-8  # SciPy's own, of few degrees of freedom
    np.testing.assert_allclose(p[is_large], exact[is_large], rtol=rtol)
    np.testing.assert_allclose(neg_log10_p[is_large], -np.log10(exact[is_large]), rtol=rtol, atol=rtol)
    assert ((p >= 0) & (p <= 1) & (neg_log10_p >= 0)).all()


@pytest.mark.parametrize("t", [0.5, 1.96, 5.0, 12.3, 25.0, 39.99, 40.0, 77.0, 3000.0])
@pytest.mark.parametrize("df", [10.0, 306.0, 355.0])
def test_the_logarithm_is_exact_however_small_p_is(t, df):
    r2 = r2_of(np.array([t]), df)
    with mpmath.workdps(60):
        rest = 1 - mpmath.mpf(float(r2[0]))
        exact = -mpmath.log10(mpmath.betainc(df / 2, 0.5, 0, rest, regularized=True))
    assert both_p_of_r2(r2, df)[1][0] == pytest.approx(float(exact), rel=1e-11)


def test_the_ends():
    p, neg_log10_p = both_p_of_r2(np.array([0.0, 1.0]), 300.0)
    assert p.tolist() == [1.0, 0.0]
    assert 0.0 <= neg_log10_p[0] < 1e-15
    assert not np.signbit(neg_log10_p[0])
    assert 2300 < neg_log10_p[1] < 2400  # (2⁻⁵²)^150


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40),
    st.sampled_from([4.0, 20.0, 305.0]),
    st.integers(1, 9),
)
def test_a_p_depends_on_nothing_beside_it(values, df, at_once):
    """The same bytes, however the values are cut: a mapping's rows do not depend on its blocks."""
    r2 = np.array(values)
    together = both_p_of_r2(r2, df)
    apart = [both_p_of_r2(r2[i : i + at_once], df) for i in range(0, r2.size, at_once)]
    for whole, parts in zip(together, zip(*apart, strict=True), strict=True):
        np.testing.assert_array_equal(whole, np.concatenate(parts))
