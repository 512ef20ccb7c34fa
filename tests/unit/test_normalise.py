"""Normalisation against scipy's ranks and quantiles, and the bounds at their edges."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from kgp.eqtl.normalise import inverse_normal_transform, is_constant, is_expressed, normalise_basic

shapes = st.tuples(st.integers(1, 6), st.integers(1, 40))
# Few distinct values make ties; NaN are missing values; infinities are values like others.
tied = st.sampled_from([0.0, -0.0, 0.1, 0.5, 1.0, 1e300, -3.0, math.inf, -math.inf, math.nan])
any_value = st.floats(allow_nan=True, allow_infinity=False, width=64)


@given(arrays.arrays(np.float64, shapes, elements=st.one_of(tied, any_value)))
def test_inverse_normal_transform_equals_scipy(values):
    transformed = inverse_normal_transform(values.copy())
    for row, found in zip(values, transformed, strict=True):
        called = ~np.isnan(row)
        assert np.isnan(found[~called]).all()
        expected = stats.norm.ppf(stats.rankdata(row[called], method="average") / (called.sum() + 1))
        np.testing.assert_allclose(found[called], expected, rtol=1e-12, atol=1e-15)


@given(arrays.arrays(np.float64, shapes, elements=st.one_of(tied, any_value)))
def test_constant_is_having_at_most_one_distinct_value(values):
    expected = [len(set(row[~np.isnan(row)].tolist())) <= 1 for row in values]
    assert is_constant(values).tolist() == expected


@given(
    arrays.arrays(np.float64, shapes, elements=st.one_of(tied, any_value)),
    st.sampled_from([0.0, 0.1, 1.0, -3.0]),
    st.integers(0, 100),
)
def test_expressed_is_counting_in_exact_arithmetic(values, least, percent):
    expected = [
        Fraction(sum(bool(v >= least) for v in row), len(row)) >= Fraction(percent, 100) for row in values
    ]
    assert is_expressed(values, least, percent / 100).tolist() == expected


@pytest.mark.parametrize(
    ("fraction", "n_samples", "needed"),
    [(0.1, 30, 3), (0.2, 358, 72), (0.3, 10, 3), (0.07, 100, 7), (1.0, 5, 5)],
)
def test_a_fraction_is_the_decimal_that_it_is_written_as(fraction, n_samples, needed):
    """0.1 * 30 is 3.0000000000000004 and 0.07 * 100 is 7.000000000000001: nobody means one person more."""
    values = np.zeros((2, n_samples))
    values[0, :needed] = 0.5
    values[1, : needed - 1] = 0.5
    assert is_expressed(values, 0.5, fraction).tolist() == [True, False]


def test_a_threshold_of_no_people_keeps_everything():
    assert is_expressed(np.array([[np.nan, 0.0]]), 1.0, 0.0).tolist() == [True]


def test_basic_says_why_a_phenotype_is_dropped():
    values = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 5.0], [2.0, 2.0, 2.0], [1.0, np.nan, 4.0]])
    transformed, reasons = normalise_basic(values, min_expression=0.5, min_expression_fraction=0.5)
    assert reasons == [None, "expression below threshold", "constant", None]
    third = stats.norm.ppf(1 / 3)
    np.testing.assert_allclose(transformed[3], [third, np.nan, -third])


def test_the_order_of_people_does_not_matter():
    generator = np.random.default_rng(7)
    values = generator.integers(0, 9, size=(5, 30)).astype(float)
    order = generator.permutation(30)
    assert np.array_equal(
        inverse_normal_transform(values)[:, order], inverse_normal_transform(values[:, order])
    )
