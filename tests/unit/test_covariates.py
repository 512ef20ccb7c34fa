"""Covariates: names, order, and the columns that say nothing, found whatever their scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp.eqtl.covariates import check_degrees_of_freedom, drop_useless, make_basic_covariates
from kgp.errors import InputError


def test_the_first_population_of_the_sorted_list_is_the_reference():
    made = make_basic_covariates(
        ["female", "male", "male", "female", "male", "male"], ["TSI", "GBR", "CEU", "CEU", "GBR", "TSI"]
    )
    assert made.names == ("sex_female", "population_GBR", "population_TSI")
    assert made.values.T.tolist() == [[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0], [1, 0, 0, 0, 0, 1]]
    assert made.dropped == {}


def test_one_sex_is_a_constant_covariate_and_one_population_makes_none():
    made = make_basic_covariates(["male"] * 4, ["CEU"] * 4)
    assert made.names == ()
    assert made.values.shape == (4, 0)
    assert made.dropped == {"sex_female": "constant"}


def test_a_population_of_one_sex_is_collinear_with_it_and_named():
    made = make_basic_covariates(["male", "male", "female", "female"], ["CEU", "CEU", "FIN", "FIN"])
    assert made.names == ("sex_female",)
    assert made.dropped == {"population_FIN": "collinear with those before it"}


def test_an_unknown_sex_is_refused():
    with pytest.raises(InputError, match="'other' is no sex"):
        make_basic_covariates(["male", "other"], ["CEU", "CEU"])


@given(st.integers(0, 2**32 - 1), st.integers(3, 400), st.integers(1, 8), st.integers(-12, 12))
def test_a_combination_of_covariates_is_found_at_any_scale(seed, n_samples, n_before, exponent):
    """Random columns are independent; a combination of them at any scale is collinear, and only that."""
    generator = np.random.default_rng(seed)
    n_before = min(n_before, n_samples - 2)
    independent = generator.normal(size=(n_samples, n_before)) + generator.normal(size=n_before)
    combined = 10.0**exponent * (independent @ generator.uniform(0.5, 2.0, size=n_before) + 3.0)
    names = [f"c{j}" for j in range(n_before)]
    result = drop_useless([*names, "combined"], np.column_stack([independent, combined]))
    # Independence of random columns is checked with singular values, not with our QR.
    centred = independent - independent.mean(axis=0)
    singular = np.linalg.svd(centred / np.linalg.norm(centred, axis=0), compute_uv=False)
    if singular[-1] > 1e-3:
        assert result.names == tuple(names)
        assert result.dropped == {"combined": "collinear with those before it"}


@given(st.integers(0, 2**32 - 1), st.integers(-12, 12))
def test_an_independent_covariate_is_kept_at_any_scale(seed, exponent):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(50, 4))
    values[:, 2] *= 10.0**exponent
    assert drop_useless(["a", "b", "c", "d"], values).names == ("a", "b", "c", "d")


def test_more_covariates_than_people_leave_as_many_as_can_be_told_apart():
    values = np.random.default_rng(1).normal(size=(4, 6))
    result = drop_useless(list("abcdef"), values)
    assert result.names == ("a", "b", "c")
    assert set(result.dropped) == {"d", "e", "f"}


def test_a_missing_value_is_refused_by_name():
    with pytest.raises(InputError, match="Covariate b has missing values"):
        drop_useless(["a", "b"], np.array([[1.0, 2.0], [2.0, np.nan], [3.0, 1.0]]))


def test_degrees_of_freedom():
    check_degrees_of_freedom(6, 3)
    with pytest.raises(InputError, match="5 people are too few for 3 covariates"):
        check_degrees_of_freedom(5, 3)
