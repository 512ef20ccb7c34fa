"""The profiles' recipes against numpy, scipy, qtl (GTEx), edgeR, peertool and prcomp, and every bad input's message."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import qtl.norm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from kgp.config import Config
from kgp.eqtl.recipe import (
    EXPLAINED,
    MISSING_COUNTS,
    MISSING_VALUES,
    NO_VALUES,
    ExpressionRecipe,
    Prepared,
    normalise_by_tmm,
    prepare_expression,
)
from kgp.eqtl.thresholds import BELOW_THRESHOLD, CONSTANT, FEW_COUNTS, MOSTLY_ZERO
from kgp.errors import InputError, UsageError
from kgp.params import EqtlBuild

PROFILES = ("basic", "gtex", "geuvadis", "eqtl-catalogue", "none")


@pytest.fixture(scope="session")
def recipes(config: Config) -> dict[str, ExpressionRecipe]:
    """Profile → what it asks of expression, as conf/base.yml has it."""
    given = {"name": "a", "callset": "c", "dataset": "d"}
    made = {p: config.params(EqtlBuild, {**given, "profile": p}) for p in PROFILES}
    return {profile: ExpressionRecipe.of(params) for profile, params in made.items()}


@pytest.fixture(scope="session")
def nothing(recipes) -> ExpressionRecipe:
    """A recipe that leaves values as they are."""
    return recipes["none"]


@pytest.fixture(scope="session")
def rpkm(bundled: Path) -> np.ndarray:
    """RPKM of 301 genes of 358 people."""
    return pd.read_csv(bundled / "genes.50percent.chr22.bed.gz", sep="\t").iloc[:, 6:].to_numpy(np.float64)


@pytest.fixture(scope="session")
def oracles(root: Path) -> Path:
    return root / "tests" / "data" / "oracles"


def prepare(values, recipe, counts=None, *, unit="rpkm", processing="none", **given) -> Prepared:
    values = np.array(values, dtype=np.float64)
    before = values.copy(), None if counts is None else counts.copy()
    made = prepare_expression(values, counts, recipe, unit=unit, processing=processing, **given)
    assert np.array_equal(values, before[0], equal_nan=True)
    assert counts is None or np.array_equal(counts, before[1], equal_nan=True)
    check_sound(made, values)
    return made


def check_sound(made: Prepared, values: np.ndarray) -> None:
    """What holds of anything that was prepared."""
    is_kept = np.array([reason is None for reason in made.reasons])
    assert made.values.shape == values.shape
    assert np.isnan(made.values[~is_kept]).all()
    assert not np.isnan(made.values[is_kept]).all(axis=1).any()
    assert not np.isinf(made.values).any()
    n, dropped = len(values), Counter()
    for step in made.steps:
        assert (step.n_before, step.n_after) == (n, n - sum(step.dropped.values()))
        assert all(step.dropped.values())
        n, dropped = step.n_after, dropped + Counter(step.dropped)
    assert n == is_kept.sum()
    assert dropped == Counter(filter(None, made.reasons))


def to_normal(values: np.ndarray) -> np.ndarray:
    return stats.norm.ppf(stats.rankdata(values, axis=1) / (values.shape[1] + 1))


def canonical_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    bases = [np.linalg.qr(columns - columns.mean(axis=0))[0] for columns in (first, second)]
    return np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)


def simulate(n_phenotypes: int, n_people: int, n_factors: int, *, seed: int = 3):
    """Values of unit noise, that noise, and the samples × factors in them."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_people, n_factors))
    noise = rng.normal(size=(n_phenotypes, n_people))
    return rng.normal(size=(n_phenotypes, n_factors)) @ factors.T / 2 + noise, noise, factors


# --------------------------------------------------------------------------------------------------------- basic


def test_basic_of_zeros_constants_and_missing_values_against_scipy(recipes, rpkm):
    rng = np.random.default_rng(1)
    values = rpkm * (rng.random(rpkm.shape) < 0.6)
    values[::7] *= 0.01
    values[::13] = 4.0
    values[rng.random(values.shape) < 0.05] = np.nan
    made = prepare(values, recipes["basic"])
    expected: list[str | None] = []
    for row, found in zip(values, made.values, strict=True):
        called = ~np.isnan(row)
        if (row[called] >= 0.1).sum() < 72:  # 20 % of 358 are 71.6
            expected.append(BELOW_THRESHOLD)
        elif np.unique(row[called]).size == 1:
            expected.append(CONSTANT)
        else:
            expected.append(None)
            scores = stats.norm.ppf(stats.rankdata(row[called]) / (called.sum() + 1))
            np.testing.assert_allclose(found[called], scores, rtol=1e-12, atol=1e-15)
            assert np.isnan(found[~called]).all()
    assert made.reasons == expected
    assert set(expected) == {None, BELOW_THRESHOLD, CONSTANT}
    assert (made.factors, made.notes) == (None, ())
    assert [step.name for step in made.steps] == [
        "0.1 rpkm in 20 % of the people", "no variance", "inverse normal transform",
    ]  # fmt: skip


def test_basic_of_the_real_slice_against_scipy(recipes, rpkm):
    made = prepare(rpkm, recipes["basic"])
    is_kept = (rpkm >= 0.1).sum(axis=1) >= 72  # 20 % of 358 are 71.6
    assert [reason is None for reason in made.reasons] == is_kept.tolist()
    np.testing.assert_allclose(made.values[is_kept], to_normal(rpkm[is_kept]), rtol=1e-12, atol=1e-15)


def test_a_phenotype_without_values_says_so_and_one_with_some_stays(recipes):
    values = np.array([[np.nan] * 4, [np.nan, 1.0, 2.0, 3.0], [5.0, np.nan, np.nan, np.nan]])
    made = prepare(values, recipes["basic"])
    assert made.reasons == [NO_VALUES, None, CONSTANT]
    np.testing.assert_allclose(made.values[1], [np.nan, *stats.norm.ppf([0.25, 0.5, 0.75])], atol=1e-15)


def test_counts_that_are_not_asked_for_change_nothing(recipes, rpkm):
    counts = np.full(rpkm.shape, np.nan)
    assert np.array_equal(
        prepare(rpkm, recipes["basic"], counts).values, prepare(rpkm, recipes["basic"]).values, equal_nan=True
    )


# ---------------------------------------------------------------------------------------------------------- gtex


def prepare_as_gtex(tpm: np.ndarray, counts: np.ndarray, tmm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """eqtl_prepare_expression.py with qtl's functions: the mask, and what it leaves."""
    n = tpm.shape[1]
    mask = ((tpm >= 0.1).sum(axis=1) >= 0.2 * n) & ((counts >= 6).sum(axis=1) >= 0.2 * n)
    frame = qtl.norm.edger_cpm(pd.DataFrame(counts), tmm=tmm, normalized_lib_sizes=True)
    return mask, qtl.norm.inverse_normal_transform(frame[mask]).to_numpy()


@pytest.fixture(scope="session")
def transcripts(shared_data: Path) -> np.ndarray:
    """Estimated counts of 5,408 transcripts of 91 people."""
    path = shared_data / "expression" / "TrQuantCount_CEU_chr19.tsv"
    return pd.read_csv(path, sep="\t").iloc[:, 2:].to_numpy(np.float64)


@pytest.fixture(scope="session")
def tpm(transcripts: np.ndarray) -> np.ndarray:
    """Transcripts per million of transcripts of made-up lengths."""
    rates = transcripts / np.random.default_rng(2).integers(300, 9000, len(transcripts))[:, None]
    return rates / rates.sum(axis=0) * 1e6


def test_gtex_of_real_counts_is_what_its_pipeline_makes(recipes, transcripts, tpm):
    made = prepare(tpm, recipes["gtex"].without(factors="none"), transcripts, unit="tpm")
    # Ranks do not see the digits in which qtl's factors differ, but for a few.
    tmm = qtl.norm.edger_calcnormfactors(pd.DataFrame(transcripts))
    mask, expected = prepare_as_gtex(tpm, transcripts, tmm)
    assert 1000 < mask.sum() < 4000
    assert [reason is None for reason in made.reasons] == mask.tolist()
    assert set(made.reasons) == {None, BELOW_THRESHOLD, FEW_COUNTS}
    assert (np.abs(made.values[mask] - expected) < 1e-9).mean() > 0.999
    assert np.abs(made.values[mask] - expected).max() < 0.1
    assert (made.notes, made.factors) == ((), None)
    assert [step.name for step in made.steps] == [
        "0.1 tpm in 20 % of the people", "6 reads in 20 % of the people", "TMM by all 5,408 phenotypes with counts",
        "inverse normal transform",
    ]  # fmt: skip


@pytest.mark.slow
def test_gtex_of_real_counts_has_fifteen_factors_of_the_phenotypes_as_they_are_mapped(
    recipes, transcripts, tpm
):
    made = prepare(tpm, recipes["gtex"], transcripts, unit="tpm")
    assert made.notes[0] == "15 PEER factors, by the number of people (91)."
    assert made.factors is not None
    assert made.factors.names == tuple(f"peer_{i}" for i in range(1, 16))
    kept = made.values[[reason is None for reason in made.reasons]]
    # The factors carry what the leading principal components do.
    left = np.linalg.svd(kept.T, full_matrices=False)[0][:, :5]
    assert canonical_correlations(left, made.factors.values).min() > 0.95


def test_tmm_is_edgers_cpm_of_its_factors_wherever_phenotypes_lie(oracles, recipes):
    counts = np.loadtxt(oracles / "normalise" / "counts_integer.tsv")
    expected = np.loadtxt(oracles / "normalise" / "cpm_tmm_integer.tsv.gz")
    np.testing.assert_allclose(normalise_by_tmm(counts), expected, rtol=1e-13)
    recipe = recipes["none"].without(normalisation="tmm")
    places = ["no place" if i % 3 else None for i in range(len(counts))]
    made = prepare(np.ones_like(counts), recipe, counts, unit="tpm", places=places)
    kept = [i for i, reason in enumerate(made.reasons) if reason is None]
    assert {i % 3 for i in kept} == {0}
    assert len(kept) > 20
    np.testing.assert_allclose(made.values[kept], expected[kept], rtol=1e-13)
    assert made.steps[0].dropped == {"no place": 80}


def test_values_that_are_counts_are_their_own_counts(oracles, recipes):
    counts = np.loadtxt(oracles / "normalise" / "counts_integer.tsv")
    recipe = recipes["gtex"].without(factors="none")
    made = prepare(counts, recipe, unit="count")
    beside = prepare(counts, recipe, counts, unit="count")
    assert made.notes == ()
    assert made.reasons == beside.reasons
    assert np.array_equal(made.values, beside.values, equal_nan=True)
    assert any(step.name.startswith("TMM") for step in made.steps)


def test_gtex_without_counts_says_so_and_goes_by_expression_alone(recipes, rpkm):
    made = prepare(rpkm, recipes["gtex"].without(n_factors=10))
    assert made.notes == (
        "There are no read counts: phenotypes are chosen by the expression threshold alone, and not normalised by TMM.",
    )
    alone = prepare(rpkm, recipes["basic"])
    assert made.reasons == alone.reasons
    assert np.array_equal(made.values, alone.values, equal_nan=True)


def test_a_threshold_on_counts_alone_is_noted_too(recipes, rpkm):
    made = prepare(rpkm, recipes["basic"].without(min_count=6.0, min_count_fraction=0.2))
    assert made.notes == (
        "There are no read counts: phenotypes are chosen by the expression threshold alone.",
    )


def test_phenotypes_without_counts_are_dropped_and_in_no_library(recipes, oracles):
    counts = np.loadtxt(oracles / "normalise" / "counts_integer.tsv")
    more = np.vstack([counts, np.full(9, np.nan), counts[5]])
    more[-1, 3] = np.nan
    recipe = recipes["none"].without(normalisation="tmm")
    made = prepare(np.ones_like(more), recipe, more, unit="tpm")
    assert made.reasons[-2:] == [MISSING_COUNTS] * 2
    expected = np.loadtxt(oracles / "normalise" / "cpm_tmm_integer.tsv.gz")
    kept = [i for i, reason in enumerate(made.reasons) if reason is None]
    np.testing.assert_allclose(made.values[kept], expected[kept], rtol=1e-13)


def test_peer_factors_are_those_of_peertool(oracles, recipes, rpkm):
    recipe = recipes["gtex"].without(min_expression_fraction=0.0, n_factors=10)
    made = prepare(rpkm, recipe)
    with gzip.open(oracles / "factors" / "peer_double.tsv.gz", "rt") as lines:
        recorded = np.array([line.split("\t") for line in list(lines)[1:]], dtype=float)[:, 1:].T
    assert made.factors is not None
    assert canonical_correlations(made.factors.values, recorded).min() > 0.9999


@pytest.mark.parametrize(("n_people", "n_factors"), [(149, 15), (150, 30), (250, 45), (350, 60)])
def test_gtex_takes_its_number_of_factors(recipes, n_people, n_factors):
    values = simulate(70, n_people, 2)[0]
    recipe = recipes["gtex"].without(min_expression_fraction=0.0)
    made = prepare(values, recipe, unit="unknown", processing="unknown")
    assert made.factors is not None
    assert len(made.factors.names) == n_factors
    assert f"{n_factors} PEER factors, by the number of people ({n_people})." in made.notes


def test_factors_are_not_inferred_from_what_can_be_in_no_set(recipes):
    values = simulate(120, 40, 2)[0]
    places = ["no place" if i >= 80 else None for i in range(120)]
    for method in ("peer", "pca"):
        recipe = recipes["none"].without(factors=method, n_factors=4, transform="inverse_normal")
        given = {"unit": "unknown", "processing": "unknown"}
        made = prepare(values, recipe, places=places, **given)
        alone = prepare(values[:80], recipe, **given)
        assert made.reasons == places
        assert np.array_equal(made.factors.values, alone.factors.values)


# ------------------------------------------------------------------------------------------------------ geuvadis


def test_geuvadis_takes_ten_factors_out_and_makes_residuals_normal(recipes):
    noisy, noise, factors = simulate(400, 120, 10)
    values = 50.0 + 8.0 * noisy
    values -= values.min()
    values[0, :61], values[1, :60] = 0.0, 0.0
    made = prepare(values, recipes["geuvadis"])
    assert made.reasons[:2] == [MOSTLY_ZERO, None]
    assert made.factors is None
    assert made.notes == ("The phenotypes are residuals of 10 hidden factors; map with --phenotype-df 10.",)
    assert [step.name.split(" in ")[0] for step in made.steps] == [
        "zero", "residuals of 10 PEER factors", "inverse normal transform",
    ]  # fmt: skip
    quantiles = stats.norm.ppf(np.arange(1, 121) / 121)
    np.testing.assert_allclose(np.sort(made.values[2:], axis=1), np.tile(quantiles, (398, 1)), atol=1e-12)
    # Ordinary least squares on the factors that are in the values is what an oracle could do best.
    design = np.column_stack([np.ones(120), factors])
    best = to_normal(values[2:] - (design @ np.linalg.lstsq(design, values[2:].T, rcond=None)[0]).T)
    close = [np.corrcoef(a, b)[0, 1] for a, b in zip(made.values[2:], best, strict=True)]
    assert np.median(close) > 0.95
    assert np.abs(np.corrcoef(made.values[2:].mean(axis=0), factors[:, 0])[0, 1]) < 0.3
    assert np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(made.values[2:], noise[2:], strict=True)]) > 0.9


def test_residuals_of_peer_keep_the_unit(recipes):
    values = 1e4 + 5e2 * simulate(200, 60, 3)[0]
    recipe = recipes["geuvadis"].without(transform="none", n_factors=3)
    made = prepare(values, recipe)
    np.testing.assert_allclose(made.values.mean(axis=1), 0.0, atol=1e-8)
    assert 400 < np.median(made.values.std(axis=1)) < 550
    large = prepare(values * 1024.0, recipe)
    np.testing.assert_allclose(large.values, made.values * 1024.0, rtol=1e-9, atol=1e-3)


def test_residuals_are_not_corrected_twice(recipes, rpkm):
    residuals = rpkm - rpkm.mean(axis=1, keepdims=True)
    made = prepare(residuals, recipes["geuvadis"], processing="peer10_residuals")
    assert made.notes == (
        "The values are residuals of 10 hidden factors already: zeros are not counted, no factors are inferred"
        " again; map with --phenotype-df 10.",
    )
    assert made.factors is None
    assert [step.name for step in made.steps] == ["inverse normal transform"]
    np.testing.assert_allclose(made.values, to_normal(residuals), rtol=1e-12, atol=1e-15)


def test_residuals_as_they_are_tell_their_degrees_of_freedom(nothing):
    made = prepare([[1.0, -2.0], [3.0, 4.0]], nothing, processing="peer7_residuals")
    assert made.notes == ("The values are residuals of 7 hidden factors already; map with --phenotype-df 7.",)
    assert made.values.tolist() == [[1.0, -2.0], [3.0, 4.0]]


def test_real_genes_that_are_mostly_zero_are_counted_in_the_text(recipes, shared_data):
    path = shared_data / "geuvadis-eqtl-qtltools" / "genes.50percent.chr22.bed.gz"
    with gzip.open(path, "rt") as lines:
        texts = [line.split("\t")[6:] for line in list(lines)[1:]]
    n_zero = [sum(float(text) == 0 for text in row) for row in texts]
    recipe = recipes["geuvadis"].without(factors="none", max_zero_fraction=0.05)
    made = prepare(np.array(texts, dtype=float), recipe)
    assert len(texts) == 608
    assert [r == MOSTLY_ZERO for r in made.reasons] == [20 * n > len(texts[0]) for n in n_zero]
    assert MOSTLY_ZERO in made.reasons


# ------------------------------------------------------------------------------------------------ eQTL Catalogue


def test_eqtl_catalogue_takes_six_components_of_cqn_values_as_they_are(recipes, shared_data):
    path = shared_data / "expression" / "qtlmap" / "GEUVADIS_cqn.tsv"
    values = pd.read_csv(path, sep="\t", index_col=0).to_numpy(np.float64)
    made = prepare(values, recipes["eqtl-catalogue"], unit="log2_cqn", processing="cqn")
    assert made.reasons == [None] * 80
    assert np.array_equal(made.values, values)
    assert made.notes == ()
    standard = (values - values.mean(axis=1, keepdims=True)) / values.std(axis=1, ddof=1, keepdims=True)
    left, lengths, _ = np.linalg.svd(standard.T, full_matrices=False)
    expected = left[:, :6] * lengths[:6]
    assert made.factors is not None
    assert made.factors.names == tuple(f"expression_pc_{i}" for i in range(1, 7))
    signs = np.sign((made.factors.values * expected).sum(axis=0))
    np.testing.assert_allclose(made.factors.values * signs, expected, rtol=1e-8, atol=1e-9)


def test_components_are_those_of_prcomp(oracles, recipes, rpkm):
    recipe = recipes["eqtl-catalogue"].without(transform="inverse_normal", n_factors=5)
    made = prepare(rpkm, recipe)
    recorded = pd.read_csv(oracles / "factors" / "scores.tsv.gz", sep="\t")
    expected = recorded.select_dtypes("number").to_numpy()
    assert expected.shape == (358, 5)
    signs = np.sign((made.factors.values * expected).sum(axis=0))
    np.testing.assert_allclose(made.factors.values * signs, expected, rtol=1e-7, atol=1e-8)


def test_values_on_a_linear_scale_are_noted_where_they_stay_so(recipes, rpkm):
    made = prepare(rpkm, recipes["eqtl-catalogue"])
    assert made.notes == ("The values are used as given, on a linear scale (rpkm).",)


def test_components_by_the_elbow(recipes, rpkm):
    recipe = recipes["eqtl-catalogue"].without(n_factors=None, transform="inverse_normal")
    made = prepare(rpkm, recipe)
    normal = to_normal(rpkm)
    shares = np.linalg.svd(
        (normal - normal.mean(axis=1, keepdims=True)) / normal.std(axis=1, keepdims=True), compute_uv=False
    )
    shares = np.round(shares**2 / (shares**2).sum(), 5)
    first, last = np.array([0.0, shares[0]]), np.array([len(shares) - 1.0, shares[-1]])
    along = (last - first) / np.linalg.norm(last - first)
    away = [p - along * (p @ along) for p in np.column_stack([np.arange(len(shares)), shares]) - first]
    n = int(np.argmax([np.linalg.norm(d) for d in away])) + 1
    assert 1 < n < 60
    assert len(made.factors.names) == n
    assert made.notes == (f"{n} principal components of expression, by the elbow of their variance.",)


def test_components_taken_out_are_least_squares_residuals(recipes, rpkm):
    recipe = recipes["none"].without(factors="pca", n_factors=3, factors_as="residuals", transform="log2")
    made = prepare(rpkm, recipe)
    logs = np.log2(rpkm + 1)
    standard = (logs - logs.mean(axis=1, keepdims=True)) / logs.std(axis=1, ddof=1, keepdims=True)
    scores = np.linalg.svd(standard.T, full_matrices=False)[0][:, :3]
    design = np.column_stack([np.ones(358), scores])
    expected = logs - (design @ np.linalg.lstsq(design, logs.T, rcond=None)[0]).T
    np.testing.assert_allclose(made.values, expected, atol=1e-9)
    assert made.factors is None
    assert made.notes == ("The phenotypes are residuals of 3 hidden factors; map with --phenotype-df 3.",)


# ------------------------------------------------------------------------------------- normalisation and transforms


def test_quantile_normalisation_goes_by_what_is_expressed_as_gtex_does(recipes, rpkm):
    values = rpkm.copy()
    values[::5] *= 1e-4
    recipe = recipes["basic"].without(normalisation="quantile", transform="none")
    places = ["no place" if i % 4 == 1 else None for i in range(len(values))]
    made = prepare(values, recipe, places=places)
    mask = (values >= 0.1).sum(axis=1) >= 72
    expected = np.full(values.shape, np.nan)
    expected[mask] = qtl.norm.normalize_quantiles(pd.DataFrame(values[mask])).to_numpy()
    kept = np.array([reason is None for reason in made.reasons])
    assert kept.tolist() == (mask & np.array([p is None for p in places])).tolist()
    np.testing.assert_allclose(made.values[kept], expected[kept], rtol=1e-12)


def test_log2_is_of_the_value_plus_one(nothing):
    made = prepare([[0.0, 1.0, 3.0, np.nan]], nothing.without(transform="log2"))
    assert np.array_equal(made.values, [[0.0, 1.0, 2.0, np.nan]], equal_nan=True)


def test_what_a_logarithm_makes_constant_is_dropped(nothing):
    made = prepare([[1e-30, 2e-30, 0.0], [1.0, 2.0, 3.0]], nothing.without(transform="log2"))
    assert made.reasons == [CONSTANT, None]
    assert made.steps[-1].dropped == {CONSTANT: 1}


def test_log2_of_an_unknown_unit_is_noted(nothing):
    made = prepare([[0.0, 1.0]], nothing.without(transform="log2"), unit="unknown", processing="unknown")
    assert made.notes == ("The unit of the values is not known: they are taken as never logged before.",)


def test_counts_without_library_size_are_noted(recipes):
    made = prepare([[1.0, 9.0, 4.0]], recipes["basic"], unit="count")
    assert made.notes == (
        "The values are read counts, not corrected for library size: --normalisation tmm does.",
    )


def test_a_threshold_on_a_log2_scale_is_noted(recipes):
    made = prepare([[5.0, 9.0, 4.0]], recipes["basic"], unit="log2_intensity")
    assert made.notes == (
        "The values are on a log2 scale (log2_intensity), and so is the expression threshold 0.1.",
    )


def test_a_threshold_on_values_that_may_be_no_expression_is_noted(recipes):
    values, given = [[-1.0, 0.0, 4.0]], {"unit": "unknown", "processing": "unknown"}
    assert prepare(values, recipes["basic"], **given).notes == (
        "Some values are below 0, of no known unit: the expression threshold 0.1 may say nothing of them.",
    )
    assert prepare(np.abs(values), recipes["basic"], **given).notes == ()


def test_none_leaves_everything_but_what_says_nothing(nothing):
    values = [[1.0, np.nan, 3.0], [2.0, 2.0, 2.0], [np.nan] * 3, [-1.0, 0.0, 0.0]]
    made = prepare(values, nothing, unit="unknown", processing="unknown")
    assert made.reasons == [None, CONSTANT, NO_VALUES, None]
    assert np.array_equal(made.values[[0, 3]], np.array(values)[[0, 3]], equal_nan=True)


def test_factors_need_whole_phenotypes_and_drop_the_others(recipes, rpkm):
    values = rpkm.copy()
    values[4, 7] = values[200, 0] = np.nan
    for profile in ("gtex", "eqtl-catalogue", "geuvadis"):
        recipe = recipes[profile].without(n_factors=3, max_zero_fraction=1.0)
        made = prepare(values, recipe)
        assert [i for i, r in enumerate(made.reasons) if r == MISSING_VALUES] == [4, 200]
        assert not np.isnan(made.values[[i for i, r in enumerate(made.reasons) if r is None]]).any()
    assert prepare(values, recipes["gtex"].without(n_factors=0)).reasons[4] is None


def test_what_is_nothing_but_the_factors_is_dropped(nothing):
    rng = np.random.default_rng(4)
    shared = rng.normal(size=(2, 30)) * 100
    values = np.vstack([shared, rng.normal(size=(2, 2)) @ shared])
    recipe = nothing.without(factors="pca", n_factors=2, factors_as="residuals")
    made = prepare(values, recipe, unit="unknown", processing="unknown")
    assert made.reasons == [EXPLAINED] * 4


@pytest.mark.parametrize("method", ["peer", "pca"])
def test_no_factors_are_none(recipes, rpkm, method):
    made = prepare(rpkm, recipes["basic"].without(factors=method, n_factors=0))
    assert made.factors is None
    assert np.array_equal(made.values, prepare(rpkm, recipes["basic"]).values, equal_nan=True)


def test_where_no_phenotype_is_left_reasons_tell(recipes):
    made = prepare(np.zeros((3, 40)), recipes["gtex"], np.ones((3, 40)), unit="tpm")
    assert made.reasons == [BELOW_THRESHOLD] * 3
    assert made.factors is None


def test_places_are_counted_first(recipes):
    made = prepare([[0.0, 0.0], [0.0, 0.0], [1.0, 2.0]], recipes["basic"], places=["no place", None, None])
    assert made.reasons == ["no place", BELOW_THRESHOLD, None]
    assert made.steps[0].dropped == {"no place": 1}


# ------------------------------------------------------------------------------------------------------ bad input


def refusal(error, values, recipe, counts=None, **given):
    values = np.array(values, dtype=float)
    with pytest.raises(error) as problem:
        prepare_expression(
            values,
            counts,
            recipe,
            **{"unit": "rpkm", "processing": "none", **given},  # type: ignore[arg-type]
        )
    return str(problem.value)


def test_a_logarithm_of_residuals_or_logs_is_refused(nothing):
    recipe = nothing.without(transform="log2")
    for stated, said in (
        ({"processing": "peer10_residuals"}, "residuals of 10 hidden factors"),
        ({"unit": "log2_cqn", "processing": "cqn"}, "on a log2 scale already (log2_cqn)"),
        ({"unit": "unknown", "processing": "unknown"}, "below 0 for some"),
    ):
        assert refusal(UsageError, [[1.0, -2.0]], recipe, **stated) == (
            f"--transform log2: The values are {said}: no logarithm can be taken of them."
            " Give --transform inverse_normal or none."
        )


def test_residuals_reach_no_threshold_of_expression_and_that_is_said(recipes):
    values = np.random.default_rng(4).standard_normal((3, 12))
    made = prepare(values, recipes["basic"], processing="peer10_residuals")
    assert made.reasons == [None, None, None]
    assert made.notes == (
        "The values are residuals of 10 hidden factors already: no expression threshold is applied; map with"
        " --phenotype-df 10.",
    )


def test_tmm_in_the_place_of_residuals_is_refused(recipes):
    said = refusal(
        UsageError, np.ones((2, 2)), recipes["gtex"], np.ones((2, 2)), processing="peer3_residuals"
    )
    assert said == (
        "--normalisation tmm: The values are residuals of 3 hidden factors, which TMM would put others in the place of."
        " Take the quantification that the residuals were made from, or --normalisation none."
    )


def test_counts_that_a_person_asked_for_must_be_there(recipes):
    recipe = recipes["basic"].without(normalisation="tmm", min_count=6.0, min_count_fraction=0.2)
    assert refusal(UsageError, [[1.0, 2.0]], recipe, without_counts="refuse") == (
        "--counts: The recipe has normalisation tmm and min_count, but there are no read counts: the values are rpkm."
        " Name the quantification that has them, or leave out what needs them."
    )
    recipe = recipes["basic"].without(normalisation="tmm")
    said = refusal(
        UsageError, [[1.0, 2.0]], recipe, unit="unknown", processing="unknown", without_counts="refuse"
    )
    assert (
        "The recipe has normalisation tmm, but there are no read counts: the values are of no known unit."
        in said
    )


def test_counts_of_others_are_refused(recipes):
    assert refusal(InputError, np.ones((2, 3)), recipes["gtex"], np.ones((2, 4))) == (
        "--counts: The counts are of 2 phenotypes and 4 people, the values of 2 and 3."
        " Give counts of the same phenotypes and people, in their order."
    )


def test_values_that_contradict_their_unit_are_refused(recipes):
    assert "The unit is rpkm, but -1 is negative (1 in all)." in refusal(
        InputError, [[1.0, -1.0]], recipes["basic"]
    )


@pytest.mark.parametrize(
    ("method", "what"), [("peer", "PEER factors"), ("pca", "principal components")], ids=["peer", "pca"]
)
@pytest.mark.parametrize("factors_as", ["covariates", "residuals"])
def test_too_many_factors_are_refused(nothing, method, what, factors_as):
    values = simulate(40, 12, 1)[0]
    recipe = nothing.without(factors=method, n_factors=10, factors_as=factors_as)
    given = {"unit": "unknown", "processing": "unknown"}
    assert refusal(UsageError, values, recipe, **given) == (
        f"--n-factors: 10 {what} are too many for 12 people and 40 phenotypes."
        " Give --n-factors 9 or fewer, or --factors none, or take more people."
    )
    notes = prepare(values, recipe.without(n_factors=9), **given).notes
    assert [note for note in notes if "switched" not in note][1:] == []
    assert any("residuals" in note for note in notes) == (factors_as == "residuals")
    assert any(re.match(r"PEER switched [1-8] of 9 factors off", note) for note in notes) == (
        method == "peer"
    )
    said = refusal(UsageError, values[:5], recipe.without(n_factors=5), **given)
    assert f"5 {what} are too many for 12 people and 5 phenotypes. Give --n-factors 4 or fewer" in said
    said = refusal(UsageError, values[:, :3], recipe.without(n_factors=1), **given)
    assert "Give --factors none, or take more people." in said


def test_the_number_that_the_method_says_can_be_too_many(recipes):
    values = np.abs(simulate(40, 12, 1)[0]) + 1
    said = refusal(UsageError, values, recipes["gtex"].without(transform="none"))
    assert said == (
        "--n-factors: 15 PEER factors (the number that the method says) are too many for 12 people and 40 phenotypes."
        " Give --n-factors 9 or fewer, or --factors none, or take more people."
    )


def test_a_sample_without_reads_is_refused(recipes):
    counts = np.array([[1.0, 0.0], [5.0, 0.0]])
    assert "The library size is 0." in refusal(InputError, np.ones((2, 2)), recipes["gtex"], counts)


# ------------------------------------------------------------------------------------- what a recipe does not depend on

amounts = st.sampled_from([0.0, 0.05, 0.1, 1.0, 2.5, 7.0, 1000.0, np.nan])
tables = st.tuples(st.integers(1, 8), st.integers(2, 12)).flatmap(
    lambda shape: arrays.arrays(np.float64, shape, elements=amounts)
)
changes = st.fixed_dictionaries(
    {
        "min_expression_fraction": st.sampled_from([0.0, 0.2, 1.0]),
        "max_zero_fraction": st.sampled_from([0.0, 0.5, 1.0]),
        "normalisation": st.sampled_from(["none", "tmm"]),
        "transform": st.sampled_from(["none", "log2", "inverse_normal"]),
    }
)


@given(tables, changes, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_the_order_of_phenotypes_does_not_matter(recipes, values, change, random):
    recipe = recipes["basic"].without(**change)
    order = random.sample(range(len(values)), len(values))
    made, moved = prepare(values, recipe), prepare(values[order], recipe)
    assert moved.reasons == [made.reasons[i] for i in order]
    assert np.array_equal(moved.values, made.values[order], equal_nan=True)
    assert [(s.n_before, s.n_after) for s in moved.steps] == [(s.n_before, s.n_after) for s in made.steps]


@given(tables, changes, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_values_go_with_their_people(recipes, values, change, random):
    recipe = recipes["basic"].without(**change)
    order = random.sample(range(values.shape[1]), values.shape[1])
    made, moved = prepare(values, recipe), prepare(values[:, order], recipe)
    assert moved.reasons == made.reasons
    assert np.array_equal(moved.values, made.values[:, order], equal_nan=True)


@given(tables, st.data())
@settings(max_examples=60)
def test_reasons_are_counted_by_hand(recipes, values, data):
    places = data.draw(
        st.lists(st.sampled_from([None, "no place"]), min_size=len(values), max_size=len(values))
    )
    recipe = recipes["basic"].without(max_zero_fraction=0.5)
    expected = []
    n = values.shape[1]
    for row, place in zip(values.tolist(), places, strict=True):
        there = [v for v in row if v == v]
        if place is not None:
            expected.append(place)
        elif not there:
            expected.append(NO_VALUES)
        elif 5 * sum(v >= 0.1 for v in there) < n:
            expected.append(BELOW_THRESHOLD)
        elif 2 * (there.count(0.0) + n - len(there)) > n:
            expected.append(MOSTLY_ZERO)
        else:
            expected.append(CONSTANT if len(set(there)) == 1 else None)
    assert prepare(values, recipe, places=places).reasons == expected


@pytest.mark.parametrize("method", ["peer", "pca"])
def test_factors_do_not_depend_on_the_order_or_the_unit_of_phenotypes(nothing, method):
    values = 100 + simulate(90, 35, 3)[0]
    recipe = nothing.without(factors=method, n_factors=3)
    order = np.random.default_rng(1).permutation(90)
    scales = np.exp2(np.random.default_rng(2).integers(-8, 9, 90))[:, None]
    made = prepare(values, recipe)
    for other in (values[order], values * scales):
        found = prepare(other, recipe).factors.values
        assert canonical_correlations(found, made.factors.values).min() > 1 - 1e-9
