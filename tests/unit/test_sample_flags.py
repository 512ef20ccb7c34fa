"""Common variants and flags of samples, against their definitions written plainly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kgp.eqtl.common_variants import CommonRule, find_incomplete, find_rare
from kgp.eqtl.sample_flags import flag_samples, score_heterozygosity

DOSAGES = arrays(
    np.int8, st.tuples(st.integers(1, 12), st.integers(1, 20)), elements=st.sampled_from([-1, 0, 1, 2])
)
PERCENT = st.integers(0, 100)


@given(DOSAGES, PERCENT, st.integers(0, 50), st.booleans())
@settings(deadline=None)
def test_bounds_are_inclusive_and_exact(dosages: np.ndarray, missing: int, maf: int, is_x: bool) -> None:
    """In fractions of whole numbers: a frequency of 5 in 100 is 0.05, whatever a double makes of it."""
    rule = CommonRule(maf / 100, missing / 100)
    has_one = np.arange(dosages.shape[1]) % 3 == 0
    incomplete, rare = find_incomplete(dosages, rule), find_rare(dosages, rule, has_one if is_x else None)
    for row, is_incomplete, is_rare in zip(dosages.tolist(), incomplete, rare, strict=True):
        n_missing = row.count(-1)
        assert is_incomplete == (
            Fraction(n_missing, len(row)) > Fraction(missing, 100) or n_missing == len(row)
        )
        alleles: list[int] = []
        for copies, one in zip(row, has_one.tolist(), strict=True):
            if copies >= 0 and is_x and one:
                alleles += [] if copies == 1 else [copies // 2]
            elif copies >= 0:
                alleles += [int(copies > 0), int(copies > 1)]
        minor = min(sum(alleles), len(alleles) - sum(alleles))
        frequency = Fraction(minor, len(alleles)) if alleles else Fraction(0)
        assert is_rare == (frequency < Fraction(maf, 100))


def test_people_are_compared_with_their_superpopulation() -> None:
    rng = np.random.default_rng(2)
    groups = ["AFR"] * 50 + ["EUR"] * 50 + ["SAS"] * 5 + [None] * 3
    f = np.concatenate([rng.normal(-0.2, 0.01, 50), rng.normal(0.1, 0.01, 50), np.full(8, 0.1)])
    f[7], f[60] = 0.1, 0.2  # usual in the other group; unusual in its own
    scores = score_heterozygosity(f, groups)
    for members in (slice(0, 50), slice(50, 100)):
        deviation = 1.4826 * np.median(np.abs(f[members] - np.median(f[members])))
        np.testing.assert_allclose(scores[members], (f[members] - np.median(f[members])) / deviation)
    everybody = (f - np.median(f)) / (1.4826 * np.median(np.abs(f - np.median(f))))
    np.testing.assert_allclose(scores[100:], everybody[100:])
    flags = flag_samples(np.ones(108), f, groups, [None] * 108, [None] * 108)
    assert flags[7] == flags[60] == ["heterozygosity_outlier"]


@pytest.mark.parametrize(
    "f",
    [
        pytest.param(np.arange(19.0) ** 4, id="too few people"),
        pytest.param(np.full(30, np.nan), id="nothing known"),
        pytest.param(np.zeros(30), id="nobody differs"),
    ],
)
def test_where_it_cannot_be_told_nobody_is_an_outlier(f: np.ndarray) -> None:
    assert score_heterozygosity(f, [None] * len(f)).tolist() == [0.0] * len(f)


def test_a_person_whose_heterozygosity_is_not_known_is_no_outlier() -> None:
    f = np.random.default_rng(1).normal(0, 1, 40)
    f[3] = np.nan
    scores = score_heterozygosity(f, ["EUR"] * 40)
    assert scores[3] == 0.0
    assert np.isfinite(scores).all()
    assert (scores != 0).sum() >= 38


def test_flags_come_in_one_order_and_thresholds_are_not_below_them() -> None:
    f = np.concatenate([np.linspace(-1, 1, 40), [50.0]])
    call_rate = np.full(41, 0.97)
    call_rate[40] = 0.9699
    stated: list[str | None] = [None, "male", *["female"] * 39]
    inferred: list[str | None] = ["male", None, *["female"] * 38, "male"]
    flags = flag_samples(call_rate, f, ["EUR"] * 41, stated, inferred)
    assert flags[40] == ["low_call_rate", "heterozygosity_outlier", "sex_mismatch"]
    assert all(one == [] for one in flags[:40])
