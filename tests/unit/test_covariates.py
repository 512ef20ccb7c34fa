"""Covariates: names, order, and the columns that say nothing, found whatever their scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp.eqtl.covariates import (
    Covariates,
    check_degrees_of_freedom,
    drop_useless,
    join_covariates,
    make_indicators,
    orthonormal_basis,
    residualise,
)
from kgp.errors import InputError


def make_sex(*flags: int) -> Covariates:
    """The indicator of women, 1 or 0 a person."""
    return Covariates(("sex_female",), np.array(flags, dtype=np.float64)[:, None], {})


def make_populations(*populations: str) -> Covariates:
    return make_indicators("population", populations, [f"s{i}" for i in range(len(populations))])


def test_the_first_population_of_the_sorted_list_is_the_reference():
    made = join_covariates(
        make_sex(1, 0, 0, 1, 0, 0), make_populations("TSI", "GBR", "CEU", "CEU", "GBR", "TSI")
    )
    assert made.names == ("sex_female", "population_GBR", "population_TSI")
    assert made.values.T.tolist() == [[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0], [1, 0, 0, 0, 0, 1]]
    assert made.dropped == {}


def test_one_sex_is_a_constant_covariate_and_one_population_makes_none():
    made = join_covariates(make_sex(0, 0, 0, 0), make_populations("CEU", "CEU", "CEU", "CEU"))
    assert made.names == ()
    assert made.values.shape == (4, 0)
    assert made.dropped == {"sex_female": "constant"}


def test_a_population_of_one_sex_is_collinear_with_it_and_named():
    made = join_covariates(make_sex(0, 0, 1, 1), make_populations("CEU", "CEU", "FIN", "FIN"))
    assert made.names == ("sex_female",)
    assert made.dropped == {"population_FIN": "collinear with those before it"}


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


@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**600, 2.0**1000])
def test_a_covariate_of_any_size_is_as_good_as_another(scale):
    """Squares of such numbers overflow or vanish."""
    generator = np.random.default_rng(3)
    values = generator.normal(size=(30, 3))
    moved = np.column_stack([values[:, 0] * scale, values[:, 1:], values[:, 0] * 3.0])
    assert drop_useless(["a", "b", "c", "d"], moved).dropped == {"d": "collinear with those before it"}
    phenotypes = generator.normal(size=(4, 30))
    assert residualise(phenotypes, moved[:, :3]) == pytest.approx(residualise(phenotypes, values), abs=1e-12)


def test_whole_numbers_are_covariates():
    made = drop_useless(["a", "b"], np.array([[1, 7], [2, 7], [4, 7]]))
    assert (made.names, made.dropped) == (("a",), {"b": "constant"})


def test_more_covariates_than_people_leave_as_many_as_can_be_told_apart():
    values = np.random.default_rng(1).normal(size=(4, 6))
    result = drop_useless(list("abcdef"), values)
    assert result.names == ("a", "b", "c")
    assert set(result.dropped) == {"d", "e", "f"}


def test_a_missing_value_is_refused_by_name():
    with pytest.raises(InputError) as refused:
        drop_useless(["a", "b"], np.array([[1.0, 2.0], [2.0, np.nan], [3.0, 1.0]]))
    assert str(refused.value) == (
        "covariates, person 1 (counted from 0), column b: Covariate b has missing values, of 1 of 3 people. "
        "Give a number for every person, or leave it out."
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_value_that_is_no_number_gets_by(bad):
    values = np.array([[1.0, 2.0], [bad, bad], [bad, 1.0], [4.0, 4.0]])
    with pytest.raises(InputError, match=r"person 1 .*, column a: .* missing values, of 2 of 4 people"):
        drop_useless(["a", "b"], values)
    with pytest.raises(InputError, match=r"person 1 .*, column 0 .*: .* missing values, of 2 of 4 people"):
        orthonormal_basis(values)


def test_degrees_of_freedom():
    check_degrees_of_freedom(6, 3)
    with pytest.raises(
        InputError, match=r"^covariates: 5 people are too few for 3 covariates.*at least 6 people\.$"
    ):
        check_degrees_of_freedom(5, 3)


# ---------------------------------------------------------------------------------------------- indicators


def test_each_level_but_the_first_of_the_sorted_list_has_an_indicator():
    made = make_indicators("lab", ["UU", "HMGU", "LUMC", "HMGU", "UU", "LUMC"], list("abcdef"))
    assert made.names == ("lab_LUMC", "lab_UU")
    assert made.values.T.tolist() == [[0, 0, 1, 0, 0, 1], [1, 0, 0, 0, 1, 0]]
    assert made.dropped == {}
    assert made.notes == ("lab: the reference is HMGU (2 people).",)


def test_a_level_of_one_person_is_noted_with_the_person():
    made = make_indicators("batch", ["1", "1", "2", "3", "3"], list("abcde"))
    assert made.names == ("batch_2", "batch_3")
    assert made.notes == (
        "batch: the reference is 1 (2 people).",
        "batch 2 has one person, c: its indicator fits that person exactly.",
    )


def test_one_level_makes_no_indicator():
    made = make_indicators("lab", ["UU", "UU"], ["a", "b"])
    assert made.names == ()
    assert made.values.shape == (2, 0)


@pytest.mark.parametrize("missing", [None, "", "  "])
def test_a_missing_level_is_refused_with_the_person(missing):
    with pytest.raises(
        InputError,
        match=r"^covariate lab, person HG00097: lab of HG00097 is not known \(2 of 3 people\)\. Give it, leave lab",
    ):
        make_indicators("lab", ["UU", missing, None], ["HG00096", "HG00097", "HG00099"])


def test_missing_levels_are_a_level_of_their_own_where_asked_for():
    made = make_indicators("lab", ["UU", None, "HMGU", " "], list("abcd"), has_unknown_level=True)
    assert made.names == ("lab_UU", "lab_unknown")
    assert made.values.T.tolist() == [[1, 0, 0, 0], [0, 1, 0, 1]]
    assert made.notes[-1] == "lab of 2 people is unknown, a level of its own."


def test_names_have_no_blanks_and_stay_apart():
    assert make_indicators("lab", ["A", "CNAG  CRG\tBarcelona "], ["a", "b"]).names == (
        "lab_CNAG_CRG_Barcelona",
    )
    with pytest.raises(
        InputError,
        match=r"^covariate lab: 'CNAG CRG' and 'CNAG_CRG' would be the same covariate lab_CNAG_CRG",
    ):
        make_indicators("lab", ["CNAG CRG", "CNAG_CRG", "A"], ["a", "b", "c"])
    with pytest.raises(InputError, match="would be the same covariate lab_a_b"):
        make_indicators("lab", ["a b", "a_b"], ["a", "b"])


def test_levels_and_people_are_as_many():
    with pytest.raises(
        InputError, match=r"^covariate lab: 2 levels of lab were given for 3 people\. Give one"
    ):
        make_indicators("lab", ["A", "B"], ["a", "b", "c"])


@given(st.lists(st.sampled_from(["UU", "HMGU", "LUMC", "UNIGE", "ICMB"]), min_size=1, max_size=40))
def test_indicators_and_the_reference_tell_every_level_apart(levels):
    made = make_indicators("lab", levels, [f"s{i}" for i in range(len(levels))])
    reference = sorted(set(levels))[0]
    read_back = [
        next((made.names[j].removeprefix("lab_") for j in np.flatnonzero(row)), reference)
        for row in made.values
    ]
    assert read_back == levels
    assert (made.values.sum(axis=1) <= 1).all()


# -------------------------------------------------------------------------------------------------- joining


def test_a_lab_that_saw_one_population_alone_is_dropped_by_name():
    people = [f"s{i}" for i in range(8)]
    sex = make_sex(0, 1, 0, 1, 0, 1, 0, 1)
    populations = make_populations("CEU", "CEU", "FIN", "FIN", "YRI", "YRI", "YRI", "YRI")
    labs = make_indicators("lab", ["A", "A", "B", "B", "A", "A", "C", "C"], people)
    joined = join_covariates(sex, populations, labs)
    assert joined.names == ("sex_female", "population_FIN", "population_YRI", "lab_C")
    assert joined.dropped == {"lab_B": "collinear with those before it"}
    assert joined.notes == populations.notes + labs.notes
    # The rank is that of all columns together, by singular values.
    everything = np.hstack([np.ones((8, 1)), sex.values, populations.values, labs.values])
    assert np.linalg.matrix_rank(everything) == 1 + len(joined.names)


def test_what_was_dropped_before_is_still_told():
    before = join_covariates(make_sex(0, 0, 0, 0), make_populations("CEU", "FIN", "CEU", "FIN"))
    joined = join_covariates(before, make_indicators("lab", ["A", "B", "A", "B"], list("abcd")))
    assert joined.names == ("population_FIN",)
    assert joined.dropped == {"sex_female": "constant", "lab_B": "collinear with those before it"}


def test_parts_that_do_not_fit_together_are_refused():
    two = Covariates(("a",), np.array([[0.0], [1.0]]), {})
    three = Covariates(("b",), np.array([[0.0], [1.0], [0.0]]), {})
    with pytest.raises(
        InputError, match=r"^covariates: Covariates of different people cannot be joined: 2, 3 people"
    ):
        join_covariates(two, three)
    with pytest.raises(
        InputError, match=r"^covariates, columns 1 and 2: There are two covariates a\. Name them apart"
    ):
        join_covariates(two, two)
    with pytest.raises(InputError, match=r"^covariates: No covariates were given to join\. Give a part"):
        join_covariates()


# ------------------------------------------------------------------------------------------------ residuals


@given(st.integers(0, 2**32 - 1), st.integers(4, 40), st.integers(0, 6), st.integers(-8, 8))
def test_residuals_are_those_of_least_squares(seed, n_samples, n_covariates, exponent):
    generator = np.random.default_rng(seed)
    covariates = generator.normal(size=(n_samples, min(n_covariates, n_samples - 2)))
    values = generator.normal(size=(5, n_samples)) + 7.0
    design = np.hstack([np.ones((n_samples, 1)), covariates])
    slopes = np.linalg.lstsq(design, values.T, rcond=None)[0]
    scaled = covariates * 10.0**exponent
    if np.linalg.cond(design) < 1e4:
        assert residualise(values, scaled) == pytest.approx((values.T - design @ slopes).T, abs=1e-9)


def test_residuals_have_no_mean_and_nothing_of_the_covariates():
    generator = np.random.default_rng(1)
    covariates = generator.normal(size=(60, 5)) + 100.0
    left = residualise(generator.normal(size=(30, 60)) + covariates[:, 0], covariates)
    assert left.mean(axis=1) == pytest.approx(np.zeros(30), abs=1e-10)
    assert left @ covariates == pytest.approx(np.zeros((30, 5)), abs=1e-9)
    assert residualise(left, covariates) == pytest.approx(left, abs=1e-10)


def test_what_cannot_be_residualised_is_refused():
    values = np.random.default_rng(1).normal(size=(3, 6))
    column = np.arange(6.0)[:, None]
    with pytest.raises(
        InputError,
        match=r"^covariates, column 1 .*: Covariate 1 \(counted from 0\) is a combination of those before it",
    ):
        residualise(values, np.hstack([column, 2.0 * column + 5.0]))
    with pytest.raises(
        InputError, match=r"^covariates, column 0 .*: Covariate 0 \(counted from 0\) is constant.*intercept"
    ):
        residualise(values, np.full((6, 1), 0.1))
    with pytest.raises(InputError, match=r"Covariate 1 \(counted from 0\) has missing values"):
        residualise(values, np.hstack([column, np.full((6, 1), np.nan)]))
    with pytest.raises(InputError, match=r"^covariates: The covariates are of 6 people, the phenotypes of 5"):
        residualise(values[:, :5], column)
    values[2, 1] = np.nan
    with pytest.raises(
        InputError, match=r"^phenotypes, row 2, column 1 .*: Phenotype 2 \(counted from 0\) has missing"
    ):
        residualise(values, column)


@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(1, 6), st.integers(-9, 9))
def test_a_basis_is_orthonormal_and_gives_the_covariates_back(seed, n_samples, n_covariates, exponent):
    generator = np.random.default_rng(seed)
    covariates = generator.normal(size=(n_samples, min(n_covariates, n_samples)))
    covariates[:, 0] *= 10.0**exponent
    if np.linalg.cond(covariates / np.linalg.norm(covariates, axis=0)) < 1e5:
        basis, triangle = orthonormal_basis(covariates)
        assert basis.T @ basis == pytest.approx(np.eye(covariates.shape[1]), abs=1e-10)
        assert basis @ triangle == pytest.approx(covariates, rel=1e-8, abs=1e-10 * 10.0 ** max(exponent, 0))


def test_more_covariates_than_people_have_no_basis():
    with pytest.raises(InputError, match=r"Covariate 3 \(counted from 0\) is a combination"):
        orthonormal_basis(np.random.default_rng(1).normal(size=(3, 4)))
