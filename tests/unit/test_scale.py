"""Scales: what each unit and processing leaves to do, and contradictions refused with one message."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kgp.eqtl.scale import Scale, recognise_scale, take_log2
from kgp.errors import InputError
from kgp.params import UNITS

PLAIN = np.array([[0.0, 3.5], [12.0, np.nan]])
SIGNED = np.array([[0.0, -3.5], [12.0, np.nan]])


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_is_known(unit):
    processing = "cqn" if unit == "log2_cqn" else "none"
    assert recognise_scale(PLAIN, unit, processing).unit == unit


@pytest.mark.parametrize(
    (
        "unit",
        "processing",
        "form",
        "needs_library_size",
        "can_take_log2",
        "is_quantile_normalised",
        "n_factors",
    ),
    [
        ("count", "none", "linear", True, True, False, 0),
        ("count", "unknown", "linear", False, True, False, 0),
        ("count", "quantile", "linear", False, True, True, 0),
        ("rpkm", "none", "linear", False, True, False, 0),
        ("rpkm", "peer10_residuals", "linear", False, False, False, 10),
        ("tpm", "none", "linear", False, True, False, 0),
        ("cpm", "quantile", "linear", False, True, True, 0),
        ("log2_intensity", "none", "log2", False, False, False, 0),
        ("log2_intensity", "quantile", "log2", False, False, True, 0),
        ("log2_cqn", "cqn", "log2", False, False, True, 0),
        ("log2_cqn", "unknown", "log2", False, False, True, 0),
        ("log2_cqn", "peer25_residuals", "log2", False, False, True, 25),
        ("unknown", "cqn", "log2", False, False, True, 0),
        ("unknown", "none", "unknown", False, False, False, 0),
    ],
)
def test_unit_and_processing_decide(
    unit, processing, form, needs_library_size, can_take_log2, is_quantile_normalised, n_factors
):
    assert recognise_scale(PLAIN, unit, processing) == Scale(
        unit=unit,
        form=form,
        needs_library_size=needs_library_size,
        can_take_log2=can_take_log2,
        is_quantile_normalised=is_quantile_normalised,
        n_factors_removed=n_factors,
    )


@pytest.mark.parametrize("unit", ["count", "rpkm", "tpm", "cpm"])
def test_a_negative_value_on_a_linear_scale_is_refused(unit):
    with pytest.raises(InputError) as caught:
        recognise_scale(SIGNED, unit, "none")
    assert str(caught.value) == (
        f"phenotype 1, sample 2 of the matrix: The unit is {unit}, but -3.5 is negative (1 in all). State the "
        "unit and the processing that the values have: log2_…, or peer<N>_residuals."
    )


@pytest.mark.parametrize(
    ("unit", "processing"),
    [("rpkm", "peer10_residuals"), ("log2_intensity", "none"), ("log2_cqn", "cqn"), ("unknown", "unknown")],
)
def test_a_negative_value_is_allowed_in_residuals_and_logs(unit, processing):
    assert recognise_scale(SIGNED, unit, processing).can_take_log2 is False


@pytest.mark.parametrize(("unit", "processing"), [("log2_intensity", "quantile"), ("log2_cqn", "cqn")])
def test_values_that_were_never_logged_are_refused(unit, processing):
    with pytest.raises(InputError) as caught:
        recognise_scale(np.array([[5.0, 64.0], [1500.0, 70.0]]), unit, processing)
    assert str(caught.value) == (
        f"phenotype 2, sample 1 of the matrix: The unit is {unit}, but 1500 is beyond any log2 (2 in all). "
        "State the unit that the values have, for example tpm or count."
    )


def test_an_infinite_value_is_refused():
    with pytest.raises(InputError, match=r"sample 1 of the matrix: inf is no measurement\. Write NA where"):
        recognise_scale(np.array([[np.inf, 1.0]]), "tpm", "none")


def test_unknown_words_are_refused_with_those_that_are_known():
    with pytest.raises(
        InputError, match=r"unit: 'fpkm' is no unit\. Use count, rpkm, tpm, cpm, log2_intensity"
    ):
        recognise_scale(PLAIN, "fpkm", "none")
    expected = (
        r"processing: 'rma' is no processing that kgp knows\. Use none, quantile, cqn, unknown, or peer<N>"
    )
    with pytest.raises(InputError, match=expected):
        recognise_scale(PLAIN, "tpm", "rma")
    with pytest.raises(InputError, match="'peer<N>_residuals' is no processing"):
        recognise_scale(PLAIN, "tpm", "peer<N>_residuals")


def test_unit_and_processing_that_contradict_each_other_are_refused():
    with pytest.raises(InputError) as caught:
        recognise_scale(PLAIN, "tpm", "cqn")
    assert str(caught.value) == (
        "unit, processing: The unit is tpm, but the processing cqn, whose values are log2. State the unit log2_cqn, "
        "or the processing that was done."
    )
    with pytest.raises(InputError) as caught:
        recognise_scale(PLAIN, "log2_cqn", "none")
    assert str(caught.value) == (
        "unit, processing: The unit is log2_cqn, but the processing none. State the processing cqn, or the unit that "
        "the values have."
    )


def test_the_real_cqn_matrix_is_recognised_and_refused_as_tpm(shared_data):
    table = pd.read_csv(shared_data / "expression" / "qtlmap" / "GEUVADIS_cqn.tsv", sep="\t", index_col=0)
    values = table.select_dtypes("number").to_numpy(np.float64)
    assert values.shape == (80, 89)
    assert (values < 0).any()
    scale = recognise_scale(values, "log2_cqn", "cqn")
    assert (scale.form, scale.can_take_log2, scale.is_quantile_normalised) == ("log2", False, True)
    with pytest.raises(InputError, match=r"The unit is tpm, but -\d+\.\d+ is negative"):
        recognise_scale(values, "tpm", "none")


def test_real_estimated_counts_are_fractional_and_counts(shared_data):
    table = pd.read_csv(shared_data / "expression" / "TrQuantCount_CEU_chr19.tsv", sep="\t")
    values = table.iloc[:, 2:].to_numpy(np.float64)
    assert (values % 1 != 0).any()
    assert recognise_scale(values, "count", "none").needs_library_size


# ---- log2


@given(
    arrays.arrays(np.float64, (3, 4), elements=st.floats(0, 1e12, allow_nan=False)),
    st.sampled_from([0.5, 1.0, 0.25]),
)
def test_log2_equals_the_c_library(values, offset):
    expected = [[math.log2(v + offset) for v in row] for row in values.tolist()]
    np.testing.assert_allclose(take_log2(values, offset), expected, rtol=1e-14, atol=1e-15)


def test_missing_has_no_log_and_stays_missing():
    found = take_log2(np.array([[np.nan, 8.0]]), 0.0)
    assert np.array_equal(found, [[np.nan, 3.0]], equal_nan=True)


@pytest.mark.parametrize(("value", "offset"), [(0.0, 0.0), (-1.0, 1.0), (-7.5, 0.5), (math.inf, 1.0)])
def test_what_has_no_logarithm_is_refused_with_its_place(value, offset):
    with pytest.raises(InputError) as caught:
        take_log2(np.array([[1.0, 2.0], [3.0, value]]), offset)
    assert str(caught.value) == (
        f"phenotype 2, sample 2 of the matrix: {value:g} + {offset:g} has no logarithm. Give values that were not "
        "logged before, or a greater offset."
    )
