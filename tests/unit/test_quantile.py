"""Quantile normalisation against preprocessCore and limma (recorded), qtl (GTEx), and its own promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import qtl.norm
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from kgp.eqtl.quantile import quantile_normalise
from kgp.errors import InputError

RECORDED = [0, 89, 179, 269, 357]  # columns of the slice that make.R writes

shapes = st.tuples(st.integers(1, 20), st.integers(1, 6))
tied = st.integers(-5, 5).map(float)
spread = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.fixture(scope="module")
def oracles(root: Path) -> Path:
    return root / "tests" / "data" / "oracles" / "normalise"


@pytest.fixture(scope="module")
def tables(oracles: Path, bundled: Path) -> dict[str, np.ndarray]:
    bed = pd.read_csv(bundled / "genes.50percent.chr22.bed.gz", sep="\t")
    values = bed.iloc[:, 6:].to_numpy(np.float64)
    row, column = np.indices(values.shape) + 1
    return {
        "ties": np.loadtxt(oracles / "counts_integer.tsv"),
        "missing": np.genfromtxt(oracles / "values_missing.tsv"),
        "slice": values,
        "slice_missing": np.where((row * 13 + column * 7) % 29 == 0, np.nan, values),
    }


@pytest.mark.parametrize("program", ["preprocesscore", "limma"])
@pytest.mark.parametrize("table", ["ties", "missing", "slice", "slice_missing"])
def test_values_equal_those_of_r(table, program, tables, oracles):
    values = tables[table]
    assert np.isnan(values).any() == ("missing" in table)
    found = quantile_normalise(values)
    if "slice" in table:
        found = found[:, RECORDED]
    expected = np.genfromtxt(oracles / f"quantile_{table}.{program}.tsv.gz")
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("table", ["ties", "slice"])
def test_values_equal_those_of_gtex_where_nothing_is_missing(table, tables):
    expected = qtl.norm.normalize_quantiles(pd.DataFrame(tables[table])).to_numpy()
    np.testing.assert_allclose(quantile_normalise(tables[table]), expected, rtol=1e-12, atol=1e-15)


@given(arrays.arrays(np.float64, shapes, elements=spread, unique=True))
def test_every_sample_has_the_mean_distribution(values):
    reference = np.sort(values, axis=0).mean(axis=1)
    for column in quantile_normalise(values).T:
        np.testing.assert_allclose(np.sort(column), reference, rtol=1e-9, atol=1e-9)


@given(arrays.arrays(np.float64, shapes, elements=st.one_of(tied, spread)))
def test_ranks_are_kept_and_ties_take_the_mean_place(values):
    reference = np.sort(values, axis=0).mean(axis=1)
    for column, found in zip(values.T, quantile_normalise(values).T, strict=True):
        ranks = stats.rankdata(column)
        below = reference[np.floor(ranks).astype(int) - 1]
        above = reference[np.ceil(ranks).astype(int) - 1]
        np.testing.assert_allclose(found, (below + above) / 2, rtol=1e-9, atol=1e-9)
        order = np.argsort(column, kind="stable")
        assert (np.diff(found[order]) >= -1e-9).all()


@given(arrays.arrays(np.float64, (12, 4), elements=st.one_of(tied, spread)), st.integers(0, 2**24 - 1))
def test_missing_stay_missing_and_the_rest_is_interpolated(values, pattern):
    """The definition written down with scipy's ranks and numpy's own quantiles."""
    lost = np.zeros((12, 4), dtype=bool)
    lost[:8, :3] = np.array([pattern >> n & 1 for n in range(24)], dtype=bool).reshape(8, 3)
    values = np.where(lost, np.nan, values)
    reference = np.nanquantile(values, np.linspace(0, 1, 12), axis=0).mean(axis=1)
    found = quantile_normalise(values)
    assert np.array_equal(np.isnan(found), lost)
    for column, normal in zip(values.T, found.T, strict=True):
        called = ~np.isnan(column)
        places = (stats.rankdata(column[called]) - 1) / (called.sum() - 1)
        expected = np.quantile(reference, places)
        np.testing.assert_allclose(normal[called], expected, rtol=1e-9, atol=1e-7)


@given(arrays.arrays(np.float64, shapes, elements=st.one_of(tied, spread)), st.randoms(use_true_random=False))
def test_the_order_of_phenotypes_and_samples_does_not_matter(values, random):
    rows = random.sample(range(values.shape[0]), values.shape[0])
    columns = random.sample(range(values.shape[1]), values.shape[1])
    moved = quantile_normalise(values[rows][:, columns])
    np.testing.assert_allclose(moved, quantile_normalise(values)[rows][:, columns], rtol=1e-9, atol=1e-9)


def test_no_phenotypes_and_no_samples_give_none():
    assert quantile_normalise(np.empty((0, 3))).shape == (0, 3)
    assert quantile_normalise(np.empty((3, 0))).shape == (3, 0)


def test_one_phenotype_becomes_its_mean():
    assert quantile_normalise(np.array([[1.0, 2.0, 6.0]])).tolist() == [[3.0, 3.0, 3.0]]


def test_the_values_given_are_left_as_they_were():
    values = np.array([[3.0, 1.0], [2.0, np.nan], [5.0, 7.0]])
    before = values.copy()
    quantile_normalise(values)
    assert np.array_equal(values, before, equal_nan=True)


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.float32])
def test_whole_numbers_and_short_floats_lose_nothing(kind):
    """The mean of whole numbers is none: a result of the input's own type would cut it."""
    values = np.array([[5, 4], [2, 1], [3, 4]], dtype=kind)
    found = quantile_normalise(values)
    assert found.dtype == np.float64
    assert found.tolist() == [[4.5, 4.0], [1.5, 1.5], [3.5, 4.0]]


@pytest.mark.parametrize("n_values", [0, 1])
def test_a_sample_with_too_few_values_is_refused(n_values):
    values = np.ones((3, 2))
    values[n_values:, 1] = np.nan
    with pytest.raises(InputError) as caught:
        quantile_normalise(values)
    assert str(caught.value) == (
        f"sample 2 of the matrix: Of 3 phenotypes the sample has {n_values} values: they have no distribution. "
        "Leave the sample out."
    )


def test_an_infinite_value_is_refused_with_its_place():
    with pytest.raises(InputError) as caught:
        quantile_normalise(np.array([[1.0, 2.0], [3.0, -np.inf]]))
    assert str(caught.value) == (
        "phenotype 2, sample 2 of the matrix: -inf has no mean. Give finite numbers, or leave the phenotype out."
    )
