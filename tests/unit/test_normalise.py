"""Thresholds at their edges, and ranks as normal quantiles against scipy, R and qtl (GTEx)."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import qtl.norm
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from kgp.eqtl.normalise import average_ranks, inverse_normal_transform
from kgp.eqtl.thresholds import (
    BELOW_THRESHOLD,
    CONSTANT,
    FEW_COUNTS,
    MOSTLY_ZERO,
    count_reasons,
    drop_constant,
    drop_few_counts,
    drop_mostly_zero,
    drop_unexpressed,
    is_constant,
    is_expressed,
    is_mostly_zero,
    join_reasons,
)

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


def test_low_expression_is_told_before_no_variance():
    values = np.array(
        [[1.0, 2.0, 3.0], [0.0, 0.0, 5.0], [2.0, 2.0, 2.0], [1.0, np.nan, 4.0], [0.1, 0.1, 0.1]]
    )
    low = drop_unexpressed(values, min_expression=0.5, min_expression_fraction=0.5)
    reasons = join_reasons(low, drop_constant(values))
    assert reasons == [None, BELOW_THRESHOLD, CONSTANT, None, BELOW_THRESHOLD]


def test_a_missing_value_stays_and_does_not_count():
    third = stats.norm.ppf(1 / 3)
    np.testing.assert_allclose(
        inverse_normal_transform(np.array([[1.0, np.nan, 4.0]])), [[third, np.nan, -third]]
    )


def test_the_order_of_people_does_not_matter():
    generator = np.random.default_rng(7)
    values = generator.integers(0, 9, size=(5, 30)).astype(float)
    order = generator.permutation(30)
    assert np.array_equal(
        inverse_normal_transform(values)[:, order], inverse_normal_transform(values[:, order])
    )


# ---- inverse normal transform: other programs, and what it must not depend on


@pytest.fixture(scope="module")
def slice_values(bundled: Path) -> np.ndarray:
    """RPKM of 301 genes of 358 people."""
    return pd.read_csv(bundled / "genes.50percent.chr22.bed.gz", sep="\t").iloc[:, 6:].to_numpy(np.float64)


@pytest.fixture(scope="module")
def oracles(root: Path) -> Path:
    return root / "tests" / "data" / "oracles" / "normalise"


def test_inverse_normal_transform_equals_r(oracles):
    values = np.genfromtxt(oracles / "values_missing.tsv")
    expected = np.genfromtxt(oracles / "inverse_normal_missing.tsv.gz")
    assert 0 < np.isnan(expected).mean() < 0.5
    np.testing.assert_allclose(inverse_normal_transform(values), expected, rtol=1e-13, atol=1e-15)


def test_inverse_normal_transform_equals_gtex(slice_values):
    expected = qtl.norm.inverse_normal_transform(slice_values)
    assert expected.shape == (301, 358)
    np.testing.assert_allclose(inverse_normal_transform(slice_values), expected, rtol=1e-13, atol=1e-15)


@given(arrays.arrays(np.float64, shapes, elements=st.one_of(tied, any_value)))
def test_average_ranks_equal_scipy(values):
    expected = stats.rankdata(values, method="average", axis=1, nan_policy="omit")
    assert np.array_equal(average_ranks(values), expected, equal_nan=True)


def test_many_phenotypes_are_ranked_as_few_are():
    """More than are ranked at a time."""
    values = (np.arange(5000 * 7).reshape(5000, 7) * 7919 % 101).astype(np.float64)
    assert np.array_equal(average_ranks(values), stats.rankdata(values, axis=1))


@given(arrays.arrays(np.float64, shapes, elements=st.one_of(tied, any_value)))
def test_inverse_normal_transform_is_monotone_and_symmetric(values):
    transformed = inverse_normal_transform(values)
    for row, found in zip(values, transformed, strict=True):
        called = ~np.isnan(row)
        order = np.argsort(row[called], kind="stable")
        steps, found_steps = row[called][order], found[called][order]
        is_greater = steps[1:] > steps[:-1]
        assert np.array_equal(found_steps[1:] > found_steps[:-1], is_greater)
    np.testing.assert_allclose(inverse_normal_transform(-values), -transformed, rtol=1e-10, atol=1e-12)


@given(arrays.arrays(np.float64, shapes, elements=st.integers(-1000, 1000).map(float)))
def test_inverse_normal_transform_does_not_see_a_monotone_transform(values):
    assert np.array_equal(inverse_normal_transform(values), inverse_normal_transform(values**3 * 8 + 1))


# ---- thresholds, and why a phenotype is dropped


@given(
    arrays.arrays(np.float64, shapes, elements=st.one_of(tied, any_value)),
    st.integers(0, 100),
)
def test_mostly_zero_is_counting_in_exact_arithmetic(values, percent):
    expected = [
        Fraction(sum(v == 0 or math.isnan(v) for v in row), len(row)) > Fraction(percent, 100)
        for row in values.tolist()
    ]
    assert is_mostly_zero(values, percent / 100).tolist() == expected


def test_half_of_462_may_be_zero_and_not_one_more():
    values = np.ones((2, 462))
    values[0, :231] = 0.0
    values[1, :231], values[1, 461] = 0.0, np.nan
    assert drop_mostly_zero(values, max_zero_fraction=0.5) == [None, MOSTLY_ZERO]


def test_gtex_asks_for_expression_and_for_counts():
    expression = np.array([[0.1, 0.0, 0.0, 0.0, 0.0], [9.0] * 5, [0.09] * 5, [0.0] * 5])
    counts = np.array([[6.0, 0.0, 0.0, 0.0, 0.0], [5.9] * 5, [100.0] * 5, [0.0] * 5])
    low = drop_unexpressed(expression, min_expression=0.1, min_expression_fraction=0.2)
    few = drop_few_counts(counts, min_count=6, min_count_fraction=0.2)
    reasons = join_reasons(low, few, drop_constant(expression))
    assert reasons == [None, FEW_COUNTS, "expression below threshold", "expression below threshold"]
    assert count_reasons(reasons) == {"expression below threshold": 2, FEW_COUNTS: 1}


def test_what_varies_in_nobody_is_constant():
    values = np.array([[3.0, 3.0], [3.0, np.nan], [3.0, 4.0]])
    assert drop_constant(values) == [CONSTANT, CONSTANT, None]


def test_reasons_of_other_phenotypes_are_not_joined():
    with pytest.raises(ValueError, match="shorter"):
        join_reasons([None, CONSTANT], [None])


def test_thresholds_of_real_counts_add_up(shared_data):
    """Transcripts of 91 people: counted here line by line in decimal text."""
    path = shared_data / "expression" / "TrQuantCount_CEU_chr19.tsv"
    lines = [line.split("\t")[2:] for line in path.read_text().splitlines()[1:]]
    expected = Counter()
    for fields in lines:
        n_reached, n_zero = sum(float(f) >= 6 for f in fields), sum(float(f) == 0 for f in fields)
        if n_reached * 5 < len(fields):
            expected[FEW_COUNTS] += 1
        elif n_zero * 2 > len(fields):
            expected[MOSTLY_ZERO] += 1
    counts = np.array(lines, dtype=np.float64)
    few = drop_few_counts(counts, min_count=6, min_count_fraction=0.2)
    found = join_reasons(few, drop_mostly_zero(counts, max_zero_fraction=0.5))
    assert count_reasons(found) == dict(expected)
    assert len(expected) == 2


def test_whole_numbers_are_expression():
    values = np.array([[1, 2, 3], [4, 4, 4]])
    assert drop_unexpressed(values, min_expression=0.1, min_expression_fraction=0.2) == [None, None]
    assert drop_constant(values) == [None, CONSTANT]
    assert inverse_normal_transform(values)[0] == pytest.approx(
        [-0.6744897501960817, 0.0, 0.6744897501960817]
    )
