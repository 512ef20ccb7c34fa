"""Quality of expression against whole matrices in numpy, pandas and scipy, and against planted mistakes."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kgp.eqtl.quality import (
    MIN_FRACTION,
    MIN_VALUE,
    RunSums,
    compare_runs,
    correlate,
    d_statistics,
    sum_block,
)
from kgp.eqtl.quality_outliers import find_far_runs, robust_scores
from kgp.eqtl.quality_scale import choose_scaling
from kgp.eqtl.quality_sex import (
    find_sex_phenotypes,
    infer_sexes,
    measure_xist,
    measure_y,
    split_in_two,
)
from kgp.genome import GRCH37, GRCH38, NCBI36

RPKM = choose_scaling("rpkm", "none", 0.0, None)
LOGS = choose_scaling("log2_cqn", "cqn", -3.0, None)


def make_values(n_phenotypes, n_runs, seed, *, missing=0.0):
    """Expression-like numbers: heights of ten orders, three hidden factors, some phenotypes silent, some flat."""
    rng = np.random.default_rng(seed)
    height = rng.normal(1.0, 3.0, size=(n_phenotypes, 1))
    factors = rng.normal(size=(n_phenotypes, 3)) @ rng.normal(size=(3, n_runs)) * 0.3
    values = np.exp2(height + factors + rng.normal(0, 0.4, size=(n_phenotypes, n_runs)))
    values[rng.random(n_phenotypes) < 0.1] = 0.0
    values[rng.random(n_phenotypes) < 0.05] = 2.5
    values[rng.random(values.shape) < missing] = np.nan
    return values


def sum_all(values, scaling, cuts=()):
    sums = RunSums.empty(values.shape[1])
    for block in np.split(values, list(cuts)):
        sums = sums.add(sum_block(block, scaling))
    return sums


def expressed_logs(values):
    """What runs are compared over, by the rule as it is documented."""
    n_needed = math.ceil(values.shape[1] * MIN_FRACTION)
    return np.log2(values[(values >= MIN_VALUE).sum(axis=1) >= n_needed] + 1)


# -- scaling


@pytest.mark.parametrize(
    ("unit", "processing", "least", "text", "is_log"),
    [
        ("rpkm", "none", 0.0, "log2(rpkm + 1)", False),
        ("tpm", "quantile", 0.0, "log2(tpm + 1)", False),
        ("count", "none", 0.0, "log2(counts per million + 1)", False),
        ("log2_intensity", "none", 4.0, "log2_intensity as it is", True),
        ("log2_cqn", "cqn", -9.0, "log2_cqn as it is", True),
        ("rpkm", "peer10_residuals", 0.0, "residuals as they are", True),
        ("rpkm", "none", -0.1, "rpkm as it is, for some values are negative", True),
        ("unknown", "unknown", 0.0, "log2(value + 1), the unit being unknown", False),
        ("unknown", "unknown", -1.0, "unknown as it is, for some values are negative", True),
    ],
)
def test_every_unit_has_its_scale(unit, processing, least, text, is_log):
    scaling = choose_scaling(unit, processing, least, np.ones(1))
    assert (scaling.text, scaling.is_log) == (text, is_log)
    values = np.array([[3.0]]) if unit != "count" else np.array([[3e-6]])
    assert scaling.to_log(scaling.to_linear(values)) == pytest.approx(values if is_log else np.array([[2.0]]))


def test_counts_become_counts_per_million_of_the_runs_total():
    counts = np.array([[10.0, 30.0, 0.0], [90.0, 10.0, 0.0]])
    scaling = choose_scaling("count", "none", 0.0, counts.sum(axis=0))
    expected = np.log2(np.array([[1e5, 7.5e5, 0.0], [9e5, 2.5e5, 0.0]]) + 1)
    assert scaling.to_log(scaling.to_linear(counts)) == pytest.approx(expected, rel=1e-12)


# -- correlation


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_correlation_is_numpys(seed):
    values = make_values(400, 17, seed)
    sums = sum_all(values, RPKM, cuts=[0, 1, 130, 131, 399])
    logs = expressed_logs(values)
    assert sums.n_compared == len(logs) < sums.n_phenotypes == 400
    assert correlate(sums) == pytest.approx(np.corrcoef(logs.T), abs=1e-12)
    assert sums.n_expressed.tolist() == (values > 0).sum(axis=0).tolist()
    others = np.ma.array(np.corrcoef(logs.T), mask=np.eye(17, dtype=bool))
    assert d_statistics(correlate(sums)) == pytest.approx(np.ma.median(others, axis=1).filled(), abs=1e-12)


@pytest.mark.parametrize("missing", [0.001, 0.2, 0.45])
def test_missing_values_are_left_out_pair_by_pair_as_by_pandas(missing):
    values = make_values(300, 12, 5, missing=missing)
    sums = sum_all(values, RPKM, cuts=[77, 78, 210])
    logs = expressed_logs(values)
    assert correlate(sums) == pytest.approx(pd.DataFrame(logs).corr().to_numpy(), abs=1e-11)
    assert sums.n_incomplete == int(np.isnan(logs).any(axis=1).sum()) > 0


def test_nothing_is_lost_to_a_large_mean():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(500, 6)) + 1e7
    sums = sum_all(values, LOGS, cuts=range(50, 500, 50))
    assert correlate(sums) == pytest.approx(np.corrcoef((values - 1e7).T), abs=1e-8)


def test_a_run_that_does_not_vary_correlates_with_nobody():
    values = make_values(200, 8, 4)
    values[:, 2] = 0.0
    values[:, 5] = np.nan
    found = correlate(sum_all(values, RPKM, cuts=[90]))
    assert not found[2].any()
    assert not found[5].any()
    assert (found[0, [1, 3, 4, 6, 7]] > 0.5).all()
    values[:, 2] = 0.3
    assert not correlate(sum_all(values, RPKM, cuts=[33]))[2].any()


# -- principal components


def test_components_are_those_of_a_singular_value_decomposition():
    values = make_values(500, 20, 7)
    quality = compare_runs(sum_all(values, RPKM, cuts=[100, 350]), 6)
    logs = expressed_logs(values)
    logs = logs[logs.max(axis=1) > logs.min(axis=1)]
    scaled = (logs - logs.mean(axis=1, keepdims=True)) / logs.std(axis=1, ddof=1, keepdims=True)
    _, lengths, directions = np.linalg.svd(scaled, full_matrices=False)
    expected = directions[:6].T * lengths[:6]
    signs = np.sign((expected * quality.components).sum(axis=0))
    assert quality.components == pytest.approx(expected * signs, abs=1e-8)
    assert quality.variance_explained == pytest.approx((lengths**2 / (lengths**2).sum())[:6], abs=1e-12)


def test_a_missing_value_stands_at_its_phenotypes_mean():
    values = make_values(300, 15, 8, missing=0.05)
    quality = compare_runs(sum_all(values, RPKM, cuts=[11]), 3)
    logs = expressed_logs(values)
    logs = logs[np.nanmax(logs, axis=1) > np.nanmin(logs, axis=1)]
    table = pd.DataFrame(logs.T)
    scaled = ((table - table.mean()) / table.std()).fillna(0.0).to_numpy().T
    lengths = np.linalg.svd(scaled, compute_uv=False)
    assert quality.variance_explained == pytest.approx((lengths**2 / (lengths**2).sum())[:3], abs=1e-12)


def test_there_are_no_more_components_than_runs_or_phenotypes_bear():
    assert compare_runs(sum_all(make_values(300, 5, 1), RPKM), 10).components.shape == (5, 4)
    assert compare_runs(sum_all(np.full((3, 5), 2.0), RPKM), 10).components.shape == (5, 0)


# -- order does not matter


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 50),
    missing=st.sampled_from([0.0, 0.1]),
    cuts=st.lists(st.integers(0, 120), max_size=8).map(sorted),
    data=st.randoms(use_true_random=False),
)
def test_cuts_and_order_of_phenotypes_change_nothing(seed, missing, cuts, data):
    values = make_values(120, 9, seed, missing=missing)
    order = list(range(120))
    data.shuffle(order)
    whole, cut = sum_all(values, RPKM), sum_all(values[order], RPKM, cuts)
    a, b = compare_runs(whole, 3), compare_runs(cut, 3)
    assert a.n_expressed.tolist() == b.n_expressed.tolist()
    assert correlate(cut) == pytest.approx(correlate(whole), abs=1e-9)
    assert b.d_statistic == pytest.approx(a.d_statistic, abs=1e-9)
    assert b.variance_explained == pytest.approx(a.variance_explained, abs=1e-9)
    assert cut.gram == pytest.approx(whole.gram, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 50), order=st.permutations(range(9)))
def test_permuting_runs_permutes_results(seed, order):
    values = make_values(150, 9, seed)
    a, b = (compare_runs(sum_all(one, RPKM, cuts=[50]), 2) for one in (values, values[:, order]))
    assert b.d_statistic == pytest.approx(a.d_statistic[order], abs=1e-9)
    assert b.d_score == pytest.approx(a.d_score[order], rel=1e-6, abs=1e-6)
    assert b.n_expressed.tolist() == a.n_expressed[order].tolist()
    assert b.components == pytest.approx(a.components[order], abs=1e-7)


# -- outliers


def test_scores_are_scipys():
    values = np.random.default_rng(0).lognormal(size=(101, 3))
    mad = stats.median_abs_deviation(values, axis=0, scale=1 / 1.4826)
    assert robust_scores(values) == pytest.approx((values - np.median(values, axis=0)) / mad, rel=1e-12)


def test_where_most_values_are_equal_the_mean_deviation_scales():
    values = np.array([4.0] * 6 + [3.0, 0.0])
    deviation = 1.2533 * (1 + 4) / 8
    assert robust_scores(values) == pytest.approx([0.0] * 6 + [-1 / deviation, -4 / deviation])
    assert not robust_scores(np.full(5, 0.3)).any()


def test_one_run_far_off_is_an_outlier_and_many_are_a_group():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(100, 3))
    scores[7, 0] = 30.0
    scores[20:40, 1] = 30.0
    first, second, third = find_far_runs(scores, np.array([0.3, 0.2, 0.1]), 5.0)
    assert (first.outliers.tolist(), first.group.tolist()) == ([7], [])
    assert (second.outliers.tolist(), second.group.tolist()) == ([], list(range(20, 40)))
    assert (len(third.outliers), len(third.group)) == (0, 0)


def test_components_that_explain_little_make_no_outliers():
    scores = np.random.default_rng(1).normal(size=(100, 6))
    scores[3] = 50.0
    found = find_far_runs(scores, np.array([0.3, 0.1, 0.089, 0.05, 0.3, 0.3]), 5.0)
    assert [far.component for far in found] == [0, 1]
    assert all(far.outliers.tolist() == [3] for far in found)


# -- sex


def xist_and_y(n_female, n_male, seed=0):
    """log2(RPKM + 1) of XIST and of genes of Y as cell lines have them; females first."""
    rng = np.random.default_rng(seed)
    xist = np.concatenate([rng.normal(4.5, 0.8, n_female), np.abs(rng.normal(0, 0.15, n_male))])
    y = np.concatenate([np.abs(rng.normal(0, 0.1, n_female)), rng.normal(3.5, 0.5, n_male)])
    return xist, y


@pytest.mark.parametrize(("n_female", "n_male"), [(250, 212), (60, 9), (9, 60), (12, 12)])
def test_both_sexes_are_told_whatever_their_share(n_female, n_male):
    sexes, why = infer_sexes(*xist_and_y(n_female, n_male), is_log2=True)
    assert why is None
    wrong = [(s, e) for s, e in zip(sexes, ["female"] * n_female + ["male"] * n_male, strict=True) if s != e]
    assert len(wrong) <= 0.02 * len(sexes)
    assert all(inferred is None for inferred, _ in wrong)


def test_lost_y_lost_xist_both_and_in_between_are_undecided():
    xist, y = xist_and_y(40, 40)
    xist[0] = 0.0  # a female whose line lost XIST
    y[41] = 0.0  # a male whose line lost Y
    xist[42] = 4.5  # both, as of XXY or of two mixed samples
    xist[1] = 1.9  # between the groups
    y[43] = np.nan
    sexes, why = infer_sexes(xist, y, is_log2=True)
    assert why is None
    assert [sexes[i] for i in (0, 41, 42, 1, 43)] == [None] * 5
    assert sexes[2:40] == ["female"] * 38
    assert sexes[44:] == ["male"] * 36


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shape", ["normal", "uniform", "exponential", "lognormal"])
def test_runs_of_one_sex_are_not_torn_in_two(seed, shape):
    rng = np.random.default_rng(seed)
    xist, y = (getattr(rng, shape)(size=60) for _ in range(2))
    sexes, why = infer_sexes(xist, y, is_log2=False)
    assert set(sexes) == {None}
    assert why is not None


def test_reasons_why_no_sex_can_be_told():
    xist, y = xist_and_y(30, 30)
    assert (
        infer_sexes(xist[:19], y[:19], is_log2=True)[1] == "fewer than 20 runs are too few to see two groups"
    )
    flat = np.random.default_rng(0).normal(size=60)
    assert infer_sexes(flat, y, is_log2=True)[1] == "the runs do not fall into two clear groups by XIST"
    both = infer_sexes(flat, flat, is_log2=True)[1]
    assert both == "the runs do not fall into two clear groups by XIST nor by genes of Y"
    same = infer_sexes(xist, xist, is_log2=True)[1]
    assert same == "the groups by XIST and those by genes of Y do not oppose each other"


def test_groups_of_logarithms_are_a_factor_of_two_apart():
    values = np.concatenate([np.linspace(0, 0.01, 20), np.linspace(0.9, 0.91, 20)])
    assert split_in_two(values, min_difference=1.0) is None
    split = split_in_two(values, min_difference=0.0)
    assert split is not None
    assert (split.low, split.high) == pytest.approx((0.005, 0.905))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), n_low=st.integers(3, 40), n_high=st.integers(3, 40))
def test_the_split_has_the_least_squares_within(seed, n_low, n_high):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(0, 1, n_low), rng.normal(9, 1, n_high)])
    split = split_in_two(values, min_difference=0.0)
    ordered, n = np.sort(values), n_low + n_high
    if n < 20:
        assert split is None
        return
    least = max(2, math.ceil(0.05 * n))
    cuts = {k: ordered[:k].var() * k + ordered[k:].var() * (n - k) for k in range(least, n - least + 1)}
    best = min(cuts, key=cuts.__getitem__)
    if split is not None:
        assert (split.low, split.high) == pytest.approx(
            (np.median(ordered[:best]), np.median(ordered[best:]))
        )
    else:
        spread = math.sqrt(cuts[best] / (n - 2))
        away = np.median(ordered[best:]) - np.median(ordered[:best])
        middle = np.median(ordered[:best]) + away / 3, np.median(ordered[best:]) - away / 3
        assert away < 4 * spread or ((ordered > middle[0]) & (ordered < middle[1])).sum() > 0.1 * n


def place(phenotype_id, contig, start, end, **given_columns):
    row = {"phenotype_id": phenotype_id, "contig": contig, "start": start, "end": end}
    return {"gene_id": None, "gene_name": None, **row, **given_columns}


def test_xist_is_found_by_gene_id_phenotype_id_or_symbol():
    rows = [
        place("ENSG00000229807.4", "X", 1, 2),
        place("ENST00000429829.1", "X", 1, 2, gene_id="ENSG00000229807"),
        place("ILMN_1764573", "X", 1, 2, gene_name="Xist"),
        place("ENSG00000270641.1", "X", 1, 2, gene_name="TSIX"),
        place("ENSG000002298070", "X", 1, 2),
    ]
    assert find_sex_phenotypes(rows, GRCH37).xist == {r["phenotype_id"] for r in rows[:3]}
    assert find_sex_phenotypes(rows, None).xist == {r["phenotype_id"] for r in rows[:3]}


def test_phenotypes_without_a_place_are_no_genes_of_y():
    rows = [place("ENSG00000229807.4", None, None, None), place("SRY", None, None, None)]
    found = find_sex_phenotypes([*rows, place("RPS4Y1", "Y", 2_709_526, 2_800_041)], GRCH37)
    assert (found.xist, found.y) == ({"ENSG00000229807.4"}, {"RPS4Y1"})


def test_genes_of_y_are_those_outside_the_pseudoautosomal_regions():
    # Places of Ensembl 75 (GRCh37) and 110 (GRCh38); XG lies across the end of PAR1.
    genes37 = [
        place("SRY", "Y", 2_654_895, 2_655_782),
        place("RPS4Y1", "Y", 2_709_526, 2_800_041),
        place("PLCXD1", "Y", 148_060, 170_022),
        place("XGY1", "Y", 2_609_220, 2_657_229),
        place("IL9R", "Y", 59_330_251, 59_343_488),
        place("DDX3X", "X", 41_192_650, 41_223_725),
    ]
    genes38 = [
        place("SRY", "chrY", 2_786_854, 2_787_682),
        place("PLCXD1", "chrY", 281_054, 303_356),
        place("IL9R", "chrY", 57_184_215, 57_197_337),
    ]
    assert find_sex_phenotypes(genes37, GRCH37).y == {"SRY", "RPS4Y1"}
    assert find_sex_phenotypes(genes38, GRCH38).y == {"SRY"}
    assert find_sex_phenotypes([place("a", "Y", 57_443_437, 57_443_438)], NCBI36).y == frozenset()
    assert find_sex_phenotypes([place("a", "Y", 57_443_436, 57_443_437)], NCBI36).y == {"a"}
    assert find_sex_phenotypes(genes37, None).y == frozenset()


@pytest.mark.parametrize("build", [NCBI36, GRCH37, GRCH38])
def test_pseudoautosomal_regions_of_y_are_as_long_as_those_of_x(build):
    for (start, end), offset in zip(
        build.par, (0 if build is not GRCH37 else -50_000, build.length("Y") - build.length("X")), strict=True
    ):
        for at, inside in ((start - 1, False), (start, True), (end - 1, True), (end, False)):
            on_y = at + offset
            if 0 <= on_y < build.length("Y"):
                found = find_sex_phenotypes([place("a", "Y", on_y, on_y + 1)], build).y
                assert bool(found) is not inside, (build.name, on_y)


def test_measures_of_genes_transcripts_and_probes():
    assert measure_xist(np.array([[3.0, 0.0], [4.0, 1.0]]), RPKM).tolist() == [3.0, 1.0]
    assert measure_xist(np.array([[3.0, 0.0], [4.0, 1.0]]), LOGS).tolist() == [3.5, 0.5]
    rows = np.array([[0.0, 31.0], [0.0, 15.0], [0.4, 0.1], [0.0, 1.5], [np.nan, np.nan]])
    y, n_y = measure_y(rows, RPKM)
    assert (y.tolist(), n_y) == (
        [0.0, 4.5],
        2,
    )  # log2(32) and log2(16); the others are silent or hardly differ
    assert measure_y(rows[2:3], RPKM) == (None, 0)
    y, n_y = measure_y(np.array([[5.0, 9.0, np.nan], [np.nan, 8.0, np.nan]]), LOGS)
    assert n_y == 1
    assert y[:2].tolist() == [5.0, 9.0]
    assert np.isnan(y[2])


# -- real tables


@pytest.mark.parametrize(
    ("path", "n_ids", "unit", "shape", "low"),
    [
        ("TrQuantCount_CEU_chr19.tsv", 2, "count", (5408, 91), {"NA11930", "NA12272"}),
        ("qtlmap/GEUVADIS_cqn.tsv", 1, "log2_cqn", (80, 89), {"ERR188196"}),
    ],
)
def test_real_tables_are_compared_as_numpy_does(shared_data, path, n_ids, unit, shape, low):
    table = pd.read_csv(shared_data / "expression" / path, sep="\t", index_col=list(range(n_ids)))
    values = table.to_numpy(dtype=np.float64)
    assert values.shape == shape
    scaling = choose_scaling(unit, "none", values.min(), values.sum(axis=0))
    quality = compare_runs(sum_all(values, scaling, cuts=range(0, len(values), 31)), 10)
    if unit == "count":
        values = expressed_logs(values / values.sum(axis=0) * 1e6)
    others = np.ma.array(np.corrcoef(values.T), mask=np.eye(shape[1], dtype=bool))
    d = np.ma.median(others, axis=1).filled()
    assert quality.d_statistic == pytest.approx(d, abs=1e-11)
    mad = stats.median_abs_deviation(d, scale=1 / 1.4826)
    assert {table.columns[i] for i in np.flatnonzero(d < np.median(d) - 5 * mad)} == low
    assert {table.columns[i] for i in np.flatnonzero(quality.d_score < -5)} == low
    far = find_far_runs(quality.components, quality.variance_explained, 5.0)
    assert not any(len(one.outliers) for one in far)
