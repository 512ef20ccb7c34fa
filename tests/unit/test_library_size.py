"""Library sizes and TMM against edgeR (recorded), qtl (GTEx), and the paper written down anew."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import qtl.norm
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from kgp.eqtl.library_size import cpm, sum_libraries, trimmed_mean_of_m
from kgp.errors import InputError

TABLES = ("integer", "fractional", "tied", "sparse", "two", "few", "apart", "slice")
# What make.R asks edgeR for, in kgp's words; R counts columns from 1.
CASES = {
    "default": {},
    "unweighted": {"is_weighted": False},
    "reference_2": {"reference": 1},
    "trims": {"logratio_trim": 0.1, "sum_trim": 0.2},
    "untrimmed": {"logratio_trim": 0.0, "sum_trim": 0.0},
    "a_cutoff": {"a_cutoff": -8.0},
}

# Whole numbers: their sums are exact in any order. Each sample has reads.
counts_tables = arrays.arrays(
    np.float64, st.tuples(st.integers(2, 30), st.integers(2, 6)), elements=st.integers(0, 60).map(float)
).filter(lambda counts: bool((counts.sum(axis=0) > 0).all()))


@pytest.fixture(scope="module")
def oracles(root: Path) -> Path:
    return root / "tests" / "data" / "oracles" / "normalise"


@pytest.fixture(scope="module")
def tables(oracles: Path, bundled: Path) -> dict[str, np.ndarray]:
    made = {name: np.loadtxt(oracles / f"counts_{name}.tsv") for name in TABLES if name != "slice"}
    bed = pd.read_csv(bundled / "genes.50percent.chr22.bed.gz", sep="\t")
    return made | {"slice": bed.iloc[:, 6:].to_numpy(np.float64)}


@pytest.fixture(scope="module")
def edger(oracles: Path) -> dict[tuple[str, str], np.ndarray]:
    """Factors that edgeR gave, by table and case."""
    with gzip.open(oracles / "tmm.tsv.gz", "rt") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines][1:]
    return {(table, case): np.array(factors.split(), dtype=np.float64) for table, case, factors in rows}


@pytest.fixture(scope="module")
def real_counts(shared_data: Path) -> np.ndarray:
    """Estimated counts of 5,408 transcripts of 91 people."""
    path = shared_data / "expression" / "TrQuantCount_CEU_chr19.tsv"
    counts = pd.read_csv(path, sep="\t").iloc[:, 2:].to_numpy(np.float64)
    assert counts.shape == (5408, 91)
    return counts


def libm_log2(values):
    """log2 as the C library rounds it, -inf of 0, NaN of NaN."""
    texts = np.asarray(values, dtype=np.float64)
    logs = [math.log2(v) if v > 0 else (-math.inf if v == 0 else math.nan) for v in texts.ravel().tolist()]
    return np.array(logs).reshape(texts.shape)


def paper(counts, reference, logratio_trim=0.3, sum_trim=0.05):
    """Robinson & Oshlack 2010, equations 1 and 2 and the trimming of their Methods, a phenotype at a time."""
    n_reads = [math.fsum(column) for column in counts.T.tolist()]
    factors = []
    for k, column in enumerate(counts.T):
        pairs = [
            (y, r) for y, r in zip(column.tolist(), counts[:, reference].tolist(), strict=True) if y and r
        ]
        shares = [(y / n_reads[k], r / n_reads[reference]) for y, r in pairs]
        m = [math.log2(y / r) for y, r in shares]
        a = [(math.log2(y) + math.log2(r)) / 2 for y, r in shares]
        weights = [
            1 / ((n_reads[k] - y) / (n_reads[k] * y) + (n_reads[reference] - r) / (n_reads[reference] * r))
            for y, r in pairs
        ]
        m_rank, a_rank = stats.rankdata(m), stats.rankdata(a)
        m_cut, a_cut = math.floor(len(m) * logratio_trim), math.floor(len(a) * sum_trim)
        kept = [
            i
            for i in range(len(m))
            if m_cut < m_rank[i] <= len(m) - m_cut and a_cut < a_rank[i] <= len(a) - a_cut
        ]
        factors.append(
            2 ** (math.fsum(weights[i] * m[i] for i in kept) / math.fsum(weights[i] for i in kept))
        )
    return np.array(factors) / stats.gmean(factors)


# ---- edgeR


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("table", TABLES)
def test_factors_equal_those_of_edger(table, case, tables, edger):
    found = trimmed_mean_of_m(tables[table], **CASES[case])
    np.testing.assert_allclose(found, edger[table, case], rtol=1e-13)


def test_the_tables_hold_what_makes_tmm_hard(tables):
    integer = tables["integer"]
    assert (integer == 0).all(axis=1).sum() == 4
    assert integer.sum(axis=0).max() > 1000 * integer.sum(axis=0).min()
    sparse = tables["sparse"][(tables["sparse"] > 0).any(axis=1)]
    assert np.median(np.percentile(sparse, 75, axis=0)) == 0
    apart = tables["apart"]
    assert not ((apart[:, 4] > 0) & (apart[:, [0, 1, 2, 3, 5]] > 0).any(axis=1)).any()


def test_counts_per_million_equal_those_of_edger(tables, oracles):
    counts = tables["integer"]
    np.testing.assert_allclose(cpm(counts), np.loadtxt(oracles / "cpm_integer.tsv.gz"), rtol=1e-14)
    found = cpm(counts, trimmed_mean_of_m(counts))
    np.testing.assert_allclose(found, np.loadtxt(oracles / "cpm_tmm_integer.tsv.gz"), rtol=1e-14)


# ---- qtl (GTEx) and the paper, on real counts


class _NumpyThatRoundsLikeR:
    """numpy but for what R rounds otherwise: sums in extended precision, log2 of the C library."""

    log2 = staticmethod(libm_log2)

    @staticmethod
    def sum(values, axis=None):
        return np.asarray(np.sum(values, axis=axis, dtype=np.longdouble), dtype=np.float64)

    def __getattr__(self, name):
        return getattr(np, name)


@pytest.mark.parametrize("is_whole", [False, True], ids=["estimated", "whole"])
def test_real_factors_equal_those_of_gtex_when_it_rounds_like_r(real_counts, is_whole, monkeypatch):
    counts = np.rint(real_counts) if is_whole else real_counts
    monkeypatch.setattr(qtl.norm, "np", _NumpyThatRoundsLikeR())
    expected = qtl.norm.edger_calcnormfactors(pd.DataFrame(counts))
    np.testing.assert_allclose(trimmed_mean_of_m(counts), expected, rtol=1e-12)


def test_real_factors_are_those_of_gtex_but_for_ties_at_the_cuts(real_counts):
    expected = qtl.norm.edger_calcnormfactors(pd.DataFrame(real_counts))
    np.testing.assert_allclose(trimmed_mean_of_m(real_counts), expected, rtol=1e-3)


def test_real_factors_equal_the_paper(real_counts):
    few = real_counts[:, :12]
    np.testing.assert_allclose(trimmed_mean_of_m(few, reference=5), paper(few, 5), rtol=1e-12)


def test_real_counts_per_million_equal_those_of_gtex(real_counts):
    factors = trimmed_mean_of_m(real_counts)
    expected = qtl.norm.edger_cpm(pd.DataFrame(real_counts), tmm=factors)
    np.testing.assert_allclose(cpm(real_counts, factors), expected.to_numpy(), rtol=1e-13)


def test_the_slice_equals_gtex_and_the_paper(tables):
    values = tables["slice"]
    expected = qtl.norm.edger_calcnormfactors(pd.DataFrame(values))
    np.testing.assert_allclose(trimmed_mean_of_m(values), expected, rtol=1e-12)
    few = values[:, :10]
    np.testing.assert_allclose(trimmed_mean_of_m(few, reference=3), paper(few, 3), rtol=1e-12)


# ---- what holds of any counts


@given(counts_tables)
def test_the_geometric_mean_of_factors_is_one(counts):
    factors = trimmed_mean_of_m(counts)
    assert factors.shape == (counts.shape[1],)
    assert math.isclose(stats.gmean(factors), 1, rel_tol=1e-12)


@given(counts_tables, st.randoms(use_true_random=False))
def test_the_order_of_phenotypes_does_not_matter(counts, random):
    order = random.sample(range(counts.shape[0]), counts.shape[0])
    np.testing.assert_allclose(trimmed_mean_of_m(counts[order]), trimmed_mean_of_m(counts), rtol=1e-12)


@given(counts_tables, st.randoms(use_true_random=False))
def test_factors_go_with_their_samples(counts, random):
    order = random.sample(range(counts.shape[1]), counts.shape[1])
    expected = trimmed_mean_of_m(counts, reference=order[0])[order]
    np.testing.assert_allclose(trimmed_mean_of_m(counts[:, order], reference=0), expected, rtol=1e-12)


@given(counts_tables)
def test_the_reference_is_nearest_the_mean_of_the_75th_percentiles(counts):
    seen = counts[(counts > 0).any(axis=1)]
    percentiles = np.percentile(seen, 75, axis=0) / counts.sum(axis=0)
    assume(np.median(percentiles) > 0)
    distances = np.abs(percentiles - percentiles.mean())
    nearest = np.sort(distances)[:2]
    assume(nearest[1] - nearest[0] > 1e-9)
    expected = trimmed_mean_of_m(counts, reference=int(np.argmin(distances)))
    assert np.array_equal(trimmed_mean_of_m(counts), expected)


@given(counts_tables, st.integers(1, 8))
def test_a_zero_row_more_changes_nothing(counts, n_rows):
    more = np.vstack([counts, np.zeros((n_rows, counts.shape[1]))])
    assert np.array_equal(trimmed_mean_of_m(more), trimmed_mean_of_m(counts))


def test_one_sample_has_factor_one_and_none_has_none():
    assert trimmed_mean_of_m(np.array([[3.0], [4.0]])).tolist() == [1.0]
    assert trimmed_mean_of_m(np.empty((3, 0))).tolist() == []


def test_a_phenotype_that_is_all_of_two_libraries_leaves_nothing_to_correct():
    """Beside 10²⁰ reads a single one is lost to rounding: the variance of the ratio is 0."""
    counts = np.array([[1e20, 1e20], [1.0, 8.0], [2.0, 1.0]])
    assert trimmed_mean_of_m(counts, logratio_trim=0.0, sum_trim=0.0).tolist() == [1.0, 1.0]


def test_the_counts_given_are_left_as_they_were(tables):
    counts = tables["integer"].copy()
    cpm(counts, trimmed_mean_of_m(counts))
    assert np.array_equal(counts, tables["integer"])


# ---- bad input


@pytest.mark.parametrize("bad", [np.nan, -1.0, np.inf], ids=["missing", "negative", "infinite"])
@pytest.mark.parametrize("function", [sum_libraries, cpm, trimmed_mean_of_m], ids=lambda f: f.__name__)
def test_what_is_no_count_is_refused_with_its_place(function, bad):
    counts = np.ones((4, 3))
    counts[2, 1] = bad
    with pytest.raises(InputError) as caught:
        function(counts)
    assert str(caught.value) == (
        f"phenotype 3, sample 2 of the matrix: {bad} is no count. "
        "Give counts of reads: numbers from 0, none of them missing."
    )


@pytest.mark.parametrize("function", [sum_libraries, cpm, trimmed_mean_of_m], ids=lambda f: f.__name__)
def test_a_sample_without_reads_is_refused(function):
    with pytest.raises(InputError) as caught:
        function(np.array([[1.0, 0.0], [2.0, 0.0]]))
    assert (
        str(caught.value) == "sample 2 of the matrix: The library size is 0. Leave out samples without reads."
    )


def test_factors_that_are_not_one_a_sample_or_not_positive_are_refused():
    with pytest.raises(InputError, match=r"3 factors are given for 2 samples\. Give one a sample"):
        cpm(np.ones((2, 2)), np.ones(3))
    with pytest.raises(
        InputError, match=r"sample 2 of the matrix: The factor is 0\. Give positive numbers\."
    ):
        cpm(np.ones((2, 2)), np.array([1.0, 0.0]))


@pytest.mark.parametrize("reference", [-1, 2])
def test_a_reference_that_is_no_column_is_refused(reference):
    with pytest.raises(
        InputError, match=rf"reference: {reference} is no column\. Give a number from 0 to 1\."
    ):
        trimmed_mean_of_m(np.ones((2, 2)), reference=reference)


@pytest.mark.parametrize("name", ["logratio_trim", "sum_trim"])
def test_a_trim_that_leaves_nothing_is_refused(name):
    with pytest.raises(
        InputError, match=rf"{name}: 0\.5 is out of range\. Give a number from 0 to below 0\.5\."
    ):
        trimmed_mean_of_m(np.ones((2, 2)), **{name: 0.5})
