"""q-values against R's qvalue, thresholds against their definition."""

from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kgp.eqtl.qvalues import (
    LAMBDAS,
    adjust_benjamini_hochberg,
    estimate_q_values,
    find_p_threshold,
    nominal_thresholds,
)
from kgp.errors import InputError

CASES = ("mixed", "strong", "null", "few")


@pytest.fixture(scope="module")
def recorded(root: Path) -> dict[tuple[str, str], np.ndarray]:
    """(case, λ) → pi0, p, q and Benjamini-Hochberg of each p-value."""
    found: dict[tuple[str, str], list[list[float]]] = {}
    with gzip.open(root / "tests/data/oracles/association/qvalues.tsv.gz", "rt") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            values = [float(row[name]) for name in ("pi0", "p", "q", "bh")]
            found.setdefault((row["case"], row["lambda"]), []).append(values)
    return {key: np.array(rows) for key, rows in found.items()}


@pytest.mark.parametrize("case", CASES)
def test_the_smoother_is_that_of_qvalue(recorded, case):
    """R's search for the spline's penalty stops at about 1e-5 of 3 degrees of freedom; ours has them exactly."""
    pi0, p, q, _ = recorded[case, "smoother"].T
    found = estimate_q_values(p)
    assert found.method == "smoother"
    assert found.lambdas == LAMBDAS
    assert found.pi0 == pytest.approx(pi0[0], rel=2e-5)
    np.testing.assert_allclose(found.q, q * found.pi0 / pi0[0], rtol=1e-12)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("at", ["0.5", "0.85"])
def test_a_fixed_lambda_is_that_of_qvalue(recorded, case, at):
    pi0, p, q, _ = recorded[case, at].T
    found = estimate_q_values(p, fixed_lambda=float(at))
    assert (found.method, found.lambdas) == ("fixed", (float(at),))
    assert found.pi0 == pytest.approx(pi0[0], rel=1e-14)
    np.testing.assert_allclose(found.q, q, rtol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_benjamini_hochberg_is_that_of_r(recorded, case):
    _, p, _, expected = recorded[case, "smoother"].T
    np.testing.assert_allclose(adjust_benjamini_hochberg(p), expected, rtol=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_q_values_are_in_the_order_of_p_and_at_most_those_of_benjamini_hochberg(values):
    p = np.array(values)
    found = estimate_q_values(p)
    adjusted = adjust_benjamini_hochberg(p)
    assert 0.0 < found.pi0 <= 1.0
    assert (found.q <= adjusted).all()
    assert (adjusted >= p * (1 - 1e-15)).all()
    assert (np.diff(found.q[np.argsort(p, kind="stable")]) >= 0).all()


def test_where_pi0_cannot_be_estimated_it_is_one_and_said():
    p = np.linspace(0.001, 0.9, 50)
    found = estimate_q_values(p)
    assert (found.method, found.pi0) == ("one", 1.0)
    assert found.note == "No p reaches λ = 0.95: pi0 is taken as 1."
    assert found.q.tolist() == adjust_benjamini_hochberg(p).tolist()
    assert estimate_q_values(p, fixed_lambda=0.85).method == "fixed"
    rising = np.concatenate([np.full(9000, 0.06), np.full(1, 0.96)])
    fallen = estimate_q_values(rising)
    assert fallen.method in ("smoother", "one")
    assert 0.0 < fallen.pi0 <= 1.0


def test_bad_input_is_refused():
    with pytest.raises(InputError, match=r"There are no p-values to adjust. No phenotype was tested"):
        estimate_q_values(np.array([]))
    with pytest.raises(InputError, match=r"p-value 1 .counted from 0.: nan is no p-value"):
        estimate_q_values(np.array([0.5, math.nan]))
    with pytest.raises(InputError, match=r"1\.5 is no p-value"):
        adjust_benjamini_hochberg(np.array([1.5]))
    for at in (1.0, -0.1):
        with pytest.raises(InputError, match=f"λ cannot be {at}"):
            estimate_q_values(np.array([0.5]), fixed_lambda=at)


def test_the_threshold_lies_between_the_last_significant_and_the_first_other():
    p = np.array([0.5, 0.01, 0.02, 0.04])
    q = np.array([0.5, 0.02, 0.03, 0.06])
    assert find_p_threshold(p, q, 0.05) == pytest.approx(0.03)
    assert find_p_threshold(p, q, 1.0) == 0.5  # all: the last one's
    assert find_p_threshold(p, q, 0.01) is None
    assert find_p_threshold(p, q, 0.06) == pytest.approx(0.27)  # q at the bound is significant


def test_nominal_thresholds_are_quantiles_of_the_phenotypes_distributions():
    shape1, shape2 = np.array([1.0, 1.05, 0.9, math.nan]), np.array([1.0, 600.0, 80.0, math.nan])
    found = nominal_thresholds(0.03, shape1, shape2)
    assert found[0] == pytest.approx(0.03)
    np.testing.assert_allclose(found[:3], stats.beta.ppf(0.03, shape1[:3], shape2[:3]), rtol=1e-12)
    np.testing.assert_allclose(stats.beta.cdf(found[:3], shape1[:3], shape2[:3]), 0.03, rtol=1e-10)
    assert math.isnan(found[3])


def run_fdr_cis(p_threshold, shape1, shape2, effective_df, df):
    """Nominal thresholds line by line after QTLtools' runFDR_cis.R."""
    pval0 = stats.beta.ppf(p_threshold, shape1, shape2)
    test0 = (
        stats.t.isf(pval0 / 2, effective_df) ** 2
    )  # qf(…, 1, dof2, lower.tail = F): scipy's f.isf has 7 digits
    corr0 = np.sqrt(test0 / (effective_df + test0))
    test1 = df * corr0 * corr0 / (1 - corr0 * corr0)
    return stats.f.sf(test1, 1, df)


@given(
    p=st.floats(1e-6, 0.9),
    shape1=st.floats(0.8, 1.3),
    shape2=st.floats(2, 3000),
    effective_df=st.floats(25, 900),  # with fewer the script's 1 - r² has lost its digits
    df=st.integers(25, 900),
)
def test_thresholds_of_the_nominal_degrees_of_freedom_are_those_of_qtltools(
    p, shape1, shape2, effective_df, df
):
    given_ = [np.array([value], float) for value in (shape1, shape2, effective_df, df)]
    np.testing.assert_allclose(nominal_thresholds(p, *given_), run_fdr_cis(p, *given_), rtol=1e-7)


def test_thresholds_stay_where_the_degrees_of_freedom_are_the_same_and_where_there_is_none():
    shape1, shape2 = np.array([1.1, 0.9, math.nan]), np.array([300.0, 60.0, math.nan])
    effective_df = np.array([70.0, 70.0, math.nan])
    found = nominal_thresholds(1e-5, shape1, shape2, effective_df, np.full(3, 70.0))
    np.testing.assert_allclose(found[:2], nominal_thresholds(1e-5, shape1[:2], shape2[:2]), rtol=1e-10)
    assert math.isnan(found[2])
    other = nominal_thresholds(1e-5, shape1, shape2, effective_df, np.full(3, 90.0))
    assert (other[:2] < found[:2]).all()  # the same r² is stronger evidence with more degrees of freedom
