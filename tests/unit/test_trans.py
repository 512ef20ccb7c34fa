"""Trans pairs against regressions of all pairs written out, QTLtools trans and what tensorQTL found."""

from __future__ import annotations

import gzip
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cis_data import Cis, read_cis
from kgp.eqtl.association import Pairs
from kgp.eqtl.design import make_design, standardise_genotypes, standardise_phenotypes
from kgp.eqtl.trans import count_trans, find_least_r, map_trans
from kgp.errors import InputError

FIELDS = ("phenotype", "variant", "r", "slope", "slope_se", "t", "p", "neg_log10_p")


def search(phenotypes, genotypes, cis, covariates, max_p, model="fastqtl", lost_df=0) -> Pairs:
    design = make_design(covariates, model, lost_df)
    y, x = standardise_phenotypes(phenotypes, design), standardise_genotypes(genotypes, design)
    batches = list(map_trans(y, x, np.asarray(cis), design, max_p))
    empty = np.empty(0)
    return Pairs(
        *(np.concatenate([empty, *(getattr(batch, field) for batch in batches)]) for field in FIELDS)
    )


def make_data(seed=1, n_samples=70, n_variants=60, n_phenotypes=30, n_covariates=3):
    generator = np.random.default_rng(seed)
    covariates = generator.normal(size=(n_samples, n_covariates))
    genotypes = generator.binomial(2, 0.3, size=(n_variants, n_samples)).astype(np.int8)
    phenotypes = generator.normal(size=(n_phenotypes, n_samples))
    phenotypes += generator.normal(size=n_covariates) @ covariates.T
    phenotypes[: n_phenotypes // 2] += 0.8 * genotypes[: n_phenotypes // 2]
    return phenotypes, genotypes, covariates


NOWHERE = np.zeros((30, 2), int)


def residuals(rows, covariates):
    X = np.column_stack([np.ones(len(covariates)), covariates])
    return rows - (X @ np.linalg.lstsq(X, rows.T, rcond=None)[0]).T


def regress_all(phenotypes, genotypes, covariates, model):
    """Phenotypes × variants × (slope, SE, p), by scipy's linregress and the degrees of freedom of the model."""
    y = residuals(phenotypes, covariates)
    x = residuals(genotypes.astype(float), covariates) if model == "fastqtl" else genotypes.astype(float)
    df = y.shape[1] - 2 - (covariates.shape[1] if model == "fastqtl" else 0)
    found = np.empty((len(y), len(x), 3))
    for i, j in np.ndindex(len(y), len(x)):
        told = stats.linregress(x[j], y[i])
        se = told.stderr * np.sqrt((y.shape[1] - 2) / df)
        found[i, j] = told.slope, se, 2 * stats.t.sf(abs(told.slope / se), df)
    return found


@pytest.mark.parametrize("model", ["fastqtl", "qtltools"])
@pytest.mark.parametrize("max_p", [0.001, 0.05, 1.0])
def test_kept_pairs_are_those_of_all_regressions(model, max_p):
    phenotypes, genotypes, covariates = make_data()
    found = search(phenotypes, genotypes, NOWHERE, covariates, max_p, model)
    expected = regress_all(phenotypes, genotypes, covariates, model)
    i, j = np.nonzero(expected[:, :, 2] <= max_p)
    assert i.size > 5
    np.testing.assert_array_equal(found.phenotype, i)
    np.testing.assert_array_equal(found.variant, j)
    for k, field in enumerate(("slope", "slope_se", "p")):
        np.testing.assert_allclose(getattr(found, field), expected[i, j, k], rtol=1e-8)


def test_degrees_of_freedom_that_were_lost_before_count():
    phenotypes, genotypes, covariates = make_data()
    found = search(phenotypes, genotypes, NOWHERE, covariates, 1.0, lost_df=10)
    df = 70 - 2 - 3 - 10
    np.testing.assert_allclose(found.p, 2 * stats.t.sf(np.abs(found.t), df), rtol=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 1799), st.sampled_from(["fastqtl", "qtltools"]))
def test_the_boundary_is_exact(seed, k, model):
    """A pair whose p is the greatest p is kept, and not one double below it: preselection in single precision tells
    nothing."""
    phenotypes, genotypes, covariates = make_data(seed)
    p = search(phenotypes, genotypes, NOWHERE, covariates, 1.0, model).p
    assert p.size == 1800
    at = float(np.sort(p)[k])
    assert (
        (search(phenotypes, genotypes, NOWHERE, covariates, at, model).p <= at).sum()
        == (p <= at).sum()
        == k + 1
    )
    below = search(phenotypes, genotypes, NOWHERE, covariates, float(np.nextafter(at, 0)), model)
    assert below.p.size == (p < at).sum() == k


@settings(deadline=None, max_examples=60)
@given(st.floats(1e-300, 1.0), st.integers(1, 5000))
def test_the_threshold_is_the_correlation_of_that_p(max_p, df):
    r = find_least_r(max_p, df)
    t = r * np.sqrt(df / max(1 - r**2, 2.0**-52))
    if r < 0.999999:
        assert stats.t.logsf(t, df) + np.log(2) == pytest.approx(np.log(max_p), rel=1e-6, abs=1e-7)


def test_cis_pairs_are_left_out():
    phenotypes, genotypes, covariates = make_data()
    cis = np.array([[k, k + 3] if k < 20 else [0, 0] for k in range(30)])
    found = search(phenotypes, genotypes, cis, covariates, 0.05)
    everything = search(phenotypes, genotypes, NOWHERE, covariates, 0.05)
    is_cis = (everything.variant >= cis[everything.phenotype.astype(int), 0]) & (
        everything.variant < cis[everything.phenotype.astype(int), 1]
    )
    assert is_cis.sum() > 10
    np.testing.assert_array_equal(found.phenotype, everything.phenotype[~is_cis])
    np.testing.assert_array_equal(found.p, everything.p[~is_cis])
    assert count_trans(np.ones(30, bool), np.ones(60, bool), cis) == (1800 - 60, 60)


def test_what_is_constant_has_no_pair():
    phenotypes, genotypes, covariates = make_data()
    phenotypes[3], genotypes[5] = 1.0, 2
    genotypes[6] = 1
    found = search(phenotypes, genotypes, NOWHERE, covariates, 1.0)
    assert found.p.size == 29 * 58
    assert 3 not in found.phenotype
    assert not {5, 6} & set(found.variant.tolist())
    assert np.isfinite(found.neg_log10_p).all()


def test_many_rows_give_what_few_give():
    """More phenotypes and variants than a product has."""
    phenotypes, genotypes, covariates = make_data(4, n_samples=40, n_variants=2100, n_phenotypes=1100)
    cis = np.zeros((1100, 2), int)
    found = search(phenotypes, genotypes, cis, covariates, 1e-4)
    y, x = residuals(phenotypes, covariates), residuals(genotypes.astype(float), covariates)
    y, x = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (y, x))
    r = y @ x.T
    p = 2 * stats.t.sf(np.abs(r) * np.sqrt(35 / (1 - r**2)), 35)
    i, j = np.nonzero(p <= 1e-4)
    np.testing.assert_array_equal(np.column_stack([found.phenotype, found.variant]), np.column_stack([i, j]))
    np.testing.assert_allclose(found.p, p[i, j], rtol=1e-8)


@pytest.mark.parametrize("max_p", [-0.1, 1.5, float("nan")])
def test_no_p_is_refused(max_p):
    phenotypes, genotypes, covariates = make_data()
    with pytest.raises(InputError, match=f"{max_p} is no p-value"):
        search(phenotypes, genotypes, NOWHERE, covariates, max_p)


def test_cis_ranges_outside_are_refused():
    phenotypes, genotypes, covariates = make_data()
    with pytest.raises(InputError, match="The window 0 to 61 of phenotype 0"):
        search(phenotypes, genotypes, [[0, 61]] * 30, covariates, 0.05)


# --------------------------------------------------------------------------------------------------- the tools


@pytest.fixture(scope="module")
def region(bundled) -> Cis:
    return read_cis(bundled / "genotypes.chr22.vcf.gz", bundled / "genes.50percent.chr22.bed.gz")


def find_near(cis: Cis, distance: int) -> np.ndarray:
    first = np.searchsorted(cis.positions, cis.tss - distance, side="left")
    return np.column_stack([first, np.searchsorted(cis.positions, cis.tss + distance, side="right")])


def test_qtltools_trans_finds_the_same_pairs(require_tool, bundled, region, tmp_path):
    """All 13.8 million pairs of the slice that are further apart than a million bases, without covariates."""
    program = require_tool("QTLtools")
    command = [
        program,
        "trans",
        "--nominal",
        "--threshold",
        "1e-5",
        "--window",
        "1000000",
        "--out",
        tmp_path / "t",
    ]
    command += [
        "--vcf",
        bundled / "genotypes.chr22.vcf.gz",
        "--bed",
        bundled / "genes.50percent.chr22.bed.gz",
    ]
    log = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    near = find_near(region, 1_000_000)
    n_pairs, _ = count_trans(np.ones(len(region.genes), bool), np.ones(len(region.ids), bool), near)
    assert f"/{n_pairs}" in log
    found = search(region.expression, region.genotypes, near, np.empty((358, 0)), 1e-5, "qtltools")
    with gzip.open(tmp_path / "t.hits.txt.gz", "rt") as lines:
        rows = [line.split() for line in lines]
    ours = {
        (region.genes[i], region.ids[j], int(region.positions[j])): (p, r)
        for i, j, p, r in zip(
            found.phenotype.astype(int), found.variant.astype(int), found.p, found.r, strict=True
        )
    }
    assert {(row[0], row[3], int(row[5])) for row in rows} == ours.keys()
    assert len(ours) == len(rows) > 300
    for row in rows:
        p, r = ours[row[0], row[3], int(row[5])]
        assert p == pytest.approx(float(row[6]), rel=2e-5)
        assert r == pytest.approx(float(row[8]), rel=2e-5)


def test_pairs_are_those_of_tensorqtl(root, region):
    """Recorded in single precision; a pair at the very threshold may differ."""
    i = np.arange(358)
    covariates = np.column_stack([np.cos((k + 1) * i * i / 97.0) for k in range(5)])
    found = search(region.expression, region.genotypes, find_near(region, 1_000_000), covariates, 1e-5)
    with gzip.open(root / "tests" / "data" / "oracles" / "tensorqtl" / "trans.tsv.gz", "rt") as lines:
        names = next(lines).split()
        rows = [dict(zip(names, line.split(), strict=True)) for line in lines]
    ours = [
        (region.genes[i], region.ids[j])
        for i, j in zip(found.phenotype.astype(int), found.variant.astype(int), strict=True)
    ]
    order = sorted(range(len(ours)), key=lambda k: (*ours[k], found.slope[k]))
    told = sorted(
        rows, key=lambda row: (row["phenotype_id"], row["variant_id"].split(":")[0], float(row["b"]))
    )
    assert len(told) > 250
    assert [ours[k] for k in order] == [
        (row["phenotype_id"], row["variant_id"].split(":")[0]) for row in told
    ]
    np.testing.assert_allclose(found.slope[order], [float(row["b"]) for row in told], rtol=1e-5)
    np.testing.assert_allclose(found.slope_se[order], [float(row["b_se"]) for row in told], rtol=1e-5)
    np.testing.assert_allclose(found.p[order], [float(row["pval"]) for row in told], rtol=1e-3)
