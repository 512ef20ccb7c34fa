"""`kgp eqtl map` on small sets, in this process: against regressions written out, and what it leaves out and keeps."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from kgp import tables as t
from kgp.eqtl.permutation import draw_permutations
from kgp.errors import InputError, UsageError
from kgp.jobs import map_cuts, map_run
from kgp.jobs.map_run import BlockTask
from map_sets import MadeSet, list_data_files, make_set, map_set, read_rows
from servers.azurite import key, serve_azurite


def regress(y, x, covariates, model):
    """r, slope, its error, t and p of one pair by least squares."""
    X = np.column_stack([np.ones(len(y)), covariates])

    def residual(values):
        return values - X @ np.linalg.lstsq(X, values, rcond=None)[0]

    df = len(y) - 2
    y = residual(y)
    if model == "fastqtl":
        x, df = residual(x), df - covariates.shape[1]
    x = x - x.mean()
    slope = (x @ y) / (x @ x)
    error = math.sqrt(((y - slope * x) ** 2).sum() / df / (x @ x))
    return slope, error, slope / error, 2 * stats.t.sf(abs(slope / error), df)


def fill(genotypes):
    values = genotypes.astype(float)
    values[values < 0] = np.nan
    return np.where(np.isnan(values), np.nanmean(values, axis=1, keepdims=True), values)


def pairs_of(made: MadeSet, window=None):
    """All pairs of a set by brute force: (phenotype, variant)."""
    window = made.window if window is None else window
    return [
        (i, j)
        for i, (contig, tss) in enumerate(zip(made.phenotype_contigs, made.tss, strict=True))
        for j, (other, pos) in enumerate(zip(made.contigs, made.positions, strict=True))
        if contig == other and abs(pos - tss) <= window
    ]


def cut_finely(monkeypatch):
    """Many blocks instead of one a contig."""
    monkeypatch.setitem(map_cuts.plan_cis.__kwdefaults__, "block_seconds", 3e-5)


def test_nominal_pairs_are_those_of_regressions_written_out(tmp_path):
    """Calls with some missing, and dosages likewise, in both models."""
    calls = make_set(n_files=3)
    calls.genotypes[np.random.default_rng(3).random(calls.genotypes.shape) < 0.05] = -1
    dosages = make_set(2)
    noise = np.random.default_rng(4).uniform(0, 0.4, dosages.genotypes.shape)
    dosages.genotypes = np.clip(dosages.genotypes + noise, 0, 2).astype(np.float32)
    dosages.genotypes[7, :3] = np.nan
    for k, made in enumerate((calls, dosages)):
        lake = tmp_path / str(k)
        made.write(lake)
        x = fill(made.genotypes)
        for model in ("fastqtl", "qtltools"):
            report = map_set(lake, model=model)
            rows = read_rows(lake, t.EQTL_NOMINAL, f"model = '{model}'").to_pylist()
            expected = pairs_of(made)
            assert report.rows == {"eqtl_nominal": len(expected)}
            assert report.details["n_pairs"] == len(expected) == len(rows)
            found = {(row["phenotype_id"], row["variant_id"]): row for row in rows}
            for i, j in expected:
                row = found[made.phenotype_ids[i], made.variant_ids[j]]
                told = [row[name] for name in ("slope", "slope_se", "t_statistic", "p_value")]
                # float32 holds a mean of some people to 1e-7.
                assert told == pytest.approx(
                    regress(made.phenotypes[i], x[j], made.covariates, model), rel=2e-5
                )
                assert row["neg_log10_p"] == pytest.approx(-math.log10(row["p_value"]), abs=1e-12)
                assert row["tss_distance"] == made.positions[j] - made.tss[i]
                assert (row["contig"], row["start"]) == (made.contigs[j], made.positions[j] - 1)
                assert (row["vcf_id"], row["ref"], row["alt"]) == (made.vcf_ids[j], "A", "C")
                assert row["af"] == pytest.approx(x[j].sum() / (2 * made.n_samples), rel=1e-6)
                carries = x[j] > 0.5 if row["af"] <= 0.5 else x[j] < 1.5
                assert row["ma_samples"] == carries.sum()
                if k == 0 and not (made.genotypes[j] < 0).any():
                    assert row["ma_count"] == min(x[j].sum(), 2 * made.n_samples - x[j].sum())


def test_the_ledger_says_what_was_done(tmp_path):
    made = make_set()
    made.write(tmp_path)
    report = map_set(tmp_path, mode="permute", contig=["chr10"], phenotype_df=4, cis_window=700, fdr=0.1)
    (row,) = read_rows(tmp_path, t.EQTL_MAPS).to_pylist(maps_as_pydicts="strict")
    expected = [pair for pair in pairs_of(made, 700) if made.phenotype_contigs[pair[0]] == "10"]
    assert row["map_id"] == report.details["map_id"]
    assert (row["name"], row["matrix_id"], row["mode"], row["model"]) == ("made", "m1", "permute", "fastqtl")
    assert row["df"] == 60 - 2 - 3 - 4
    assert (row["n_samples"], row["n_phenotypes"], row["n_pairs"]) == (60, 3, len(expected))
    parameters = row["parameters"]
    assert {name: parameters[name] for name in ("contig", "cis_window", "phenotype_df", "fdr", "permutations")} == {
        "contig": "10", "cis_window": "700", "phenotype_df": "4", "fdr": "0.1", "permutations": "100",
    }  # fmt: skip
    assert row["dropped"] == {}
    assert set(row["figures"]) >= {"n_tested", "n_egenes", "pi0"}
    assert "3 phenotypes" in report.summary
    assert f"{len(expected)} pairs" in report.summary
    assert read_rows(tmp_path, t.EQTL_TOP)["n_variants"].to_pylist() == [
        sum(i == phenotype for i, _ in expected) for phenotype in (3, 4, 5)
    ]


def test_the_same_mapping_again_does_nothing(tmp_path):
    make_set().write(tmp_path)
    first = map_set(tmp_path)
    files = list_data_files(tmp_path, t.EQTL_NOMINAL)
    again = map_set(tmp_path)
    assert (first.changed, again.changed) == (True, False)
    assert again.summary == "set made is mapped so already (nominal, fastqtl), nothing to do"
    assert list_data_files(tmp_path, t.EQTL_NOMINAL) == files
    other = map_set(tmp_path, cis_window=600)
    assert other.changed
    assert read_rows(tmp_path, t.EQTL_MAPS).num_rows == 2
    before = read_rows(tmp_path, t.EQTL_NOMINAL)
    replaced = map_set(tmp_path, replace=True)
    assert replaced.changed
    assert not set(files) & set(list_data_files(tmp_path, t.EQTL_NOMINAL))
    assert read_rows(tmp_path, t.EQTL_NOMINAL).equals(before)
    assert read_rows(tmp_path, t.EQTL_MAPS).num_rows == 2


def best_of_permutations(made, i, variants, permutations):
    """Greatest r² of each permuted phenotype with any variant, beside the covariates."""
    X = np.column_stack([np.ones(made.n_samples), made.covariates])
    hat = np.eye(made.n_samples) - X @ np.linalg.pinv(X)
    x = made.genotypes[variants].astype(float) @ hat
    y = np.vstack([made.phenotypes[i], made.phenotypes[i][permutations]]) @ hat
    r2 = (x @ y.T) ** 2 / np.outer((x**2).sum(axis=1), (y**2).sum(axis=1))
    return r2[:, 0], r2[:, 1:].max(axis=0)


def test_the_best_pair_and_its_permutations_are_those_written_out(tmp_path):
    made = make_set(n_phenotypes=10)
    made.write(tmp_path)
    map_set(tmp_path, mode="permute", permutations=200, seed=7)
    rows = {row["phenotype_id"]: row for row in read_rows(tmp_path, t.EQTL_TOP).to_pylist()}
    assert len(rows) == 10
    permutations = draw_permutations(60, 200, 7)
    for i, name in enumerate(made.phenotype_ids):
        variants = [j for phenotype, j in pairs_of(made) if phenotype == i]
        r2, permuted = best_of_permutations(made, i, variants, permutations)
        row = rows[name]
        assert row["variant_id"] == made.variant_ids[variants[r2.argmax()]]
        assert row["p_perm"] == ((permuted >= r2.max()).sum() + 1) / 201
        assert row["n_variants"] == len(variants)
        of_best = regress(
            made.phenotypes[i],
            made.genotypes[variants[r2.argmax()]].astype(float),
            made.covariates,
            "fastqtl",
        )
        assert (row["slope"], row["slope_se"], row["t_statistic"], row["p_value"]) == pytest.approx(
            of_best, rel=1e-9
        )
        p_true = 2 * stats.t.sf(
            math.sqrt(row["effective_df"] * r2.max() / (1 - r2.max())), row["effective_df"]
        )
        p_beta = stats.beta.cdf(p_true, row["beta_shape1"], row["beta_shape2"])
        assert row["p_beta"] == pytest.approx(p_beta, rel=1e-9)
        assert row["neg_log10_p_beta"] == pytest.approx(-math.log10(p_beta), rel=1e-9)
        assert (row["group_id"], row["n_phenotypes"]) == (None, None)


def test_q_values_and_thresholds_of_few_phenotypes_are_those_of_benjamini_and_hochberg(tmp_path):
    made = make_set(n_phenotypes=10)
    made.write(tmp_path)
    report = map_set(tmp_path, mode="permute")
    rows = read_rows(tmp_path, t.EQTL_TOP)
    p = rows["p_beta"].to_numpy()
    q = stats.false_discovery_control(p)
    np.testing.assert_allclose(rows["q_value"], q, rtol=1e-12)
    np.testing.assert_allclose(rows["q_value_bh"], q, rtol=1e-12)
    assert rows["is_egene"].to_pylist() == (q <= 0.05).tolist()
    figures = report.details["figures"]
    assert figures["n_egenes"] == (q <= 0.05).sum() > 3
    assert figures["pi0"] == 1.0
    assert "lambda" not in figures
    assert figures["p_beta_threshold"] == pytest.approx((p[q <= 0.05].max() + p[q > 0.05].min()) / 2)
    expected = stats.beta.ppf(figures["p_beta_threshold"], rows["beta_shape1"], rows["beta_shape2"])
    np.testing.assert_allclose(rows["p_threshold"], expected, rtol=1e-9)
    assert any("10 phenotypes are too few to estimate pi0 from" in note for note in report.notes)

    fixed = map_set(tmp_path, mode="permute", q_lambda=0.5)
    pi0 = min(1.0, (p >= 0.5).mean() / 0.5)
    assert fixed.details["figures"] | {"pi0": pi0, "lambda": 0.5} == fixed.details["figures"]
    told = read_rows(tmp_path, t.EQTL_TOP, f"map_id = '{fixed.details['map_id']}'")
    np.testing.assert_allclose(told["q_value"], q * pi0, rtol=1e-12)


@pytest.mark.parametrize(
    ("groups", "fdr"), [(None, 0.05), (None, 0.5), (None, 1.0), (["a", "a", None, "b", "b", "b"] * 4, 0.2)]
)
def test_thresholds_of_qtltools_are_on_the_scale_of_p_value(tmp_path, groups, fdr):
    """By the lines of runFDR_cis.R; phenotypes are eGenes where p_value is at most the threshold, and nowhere else."""
    made = make_set(n_phenotypes=24, groups=groups)
    made.phenotypes[::3] = np.random.default_rng(2).normal(size=made.phenotypes[::3].shape)
    made.write(tmp_path)
    report = map_set(tmp_path, mode="permute", model="qtltools", fdr=fdr, grouped=groups is not None)
    rows = read_rows(tmp_path, t.EQTL_TOP)
    p_beta, df = report.details["figures"]["p_beta_threshold"], report.details["df"]
    assert df == 60 - 2
    dof2 = rows["effective_df"].to_numpy()
    assert (np.abs(dof2 - df) > 0.5).any()
    test0 = stats.f.isf(stats.beta.ppf(p_beta, rows["beta_shape1"], rows["beta_shape2"]), 1, dof2)
    corr0 = np.sqrt(test0 / (dof2 + test0))
    expected = stats.f.sf(df * corr0 * corr0 / (1 - corr0 * corr0), 1, df)
    np.testing.assert_allclose(rows["p_threshold"], expected, rtol=1e-7)
    is_egene = rows["is_egene"].to_numpy(zero_copy_only=False)
    assert is_egene.any()
    assert is_egene.all() == (fdr == 1.0)
    assert (is_egene == (rows["p_value"].to_numpy() <= rows["p_threshold"].to_numpy())).all()


def test_without_an_egene_there_is_no_threshold(tmp_path):
    made = make_set()
    made.phenotypes = np.random.default_rng(9).normal(size=made.phenotypes.shape)
    made.write(tmp_path)
    report = map_set(tmp_path, mode="permute", fdr=0.001)
    rows = read_rows(tmp_path, t.EQTL_TOP)
    assert rows["p_threshold"].null_count == rows.num_rows == 6
    assert report.details["figures"]["n_egenes"] == 0
    assert "p_beta_threshold" not in report.details["figures"]


def test_phenotypes_of_a_group_are_searched_as_one(tmp_path):
    """The best of all, judged by the best of all in each permutation; groups may interleave."""
    made = make_set(n_phenotypes=8, groups=["a", "b", "a", "b", "c", None, "c", "d"])
    made.write(tmp_path)
    map_set(tmp_path, mode="permute", grouped=True)
    rows = {row["group_id"]: row for row in read_rows(tmp_path, t.EQTL_TOP).to_pylist()}
    assert {name: row["n_phenotypes"] for name, row in rows.items()} == {
        "a": 2,
        "b": 2,
        "c": 2,
        "gene5": 1,
        "d": 1,
    }
    permutations = draw_permutations(60, 100, 1)
    for name, members in {"a": [0, 2], "b": [1, 3], "c": [4, 6], "gene5": [5], "d": [7]}.items():
        found = []
        for i in members:
            variants = [j for phenotype, j in pairs_of(made) if phenotype == i]
            found.append((i, variants, *best_of_permutations(made, i, variants, permutations)))
        i, variants, r2, _ = max(found, key=lambda one: one[2].max())
        permuted = np.max([one[3] for one in found], axis=0)
        assert rows[name]["phenotype_id"] == made.phenotype_ids[i]
        assert rows[name]["variant_id"] == made.variant_ids[variants[r2.argmax()]]
        assert rows[name]["p_perm"] == ((permuted >= r2.max()).sum() + 1) / 101


def test_what_cannot_be_tested_is_counted(tmp_path):
    """No row has a NaN, and every phenotype and pair is tested or has its reason."""
    made = make_set(n_phenotypes=8, window=600)
    made.phenotypes[1, 4] = np.nan
    made.phenotypes[2] = 3.0
    made.phenotypes[3] = 2.0 * made.covariates[:, 0] - made.covariates[:, 1] + 5.0
    made.tss = made.tss.copy()
    made.tss[4] = 10_000_000
    near = [j for i, j in pairs_of(made) if i == 6]
    made.genotypes[near] = 1
    made.genotypes[0] = 2
    made.write(tmp_path)
    expected = [(i, j) for i, j in pairs_of(made) if i not in (1, 2, 3)]
    tested = [(i, j) for i, j in expected if np.ptp(made.genotypes[j])]
    for mode, table in (("nominal", t.EQTL_NOMINAL), ("permute", t.EQTL_TOP)):
        report = map_set(tmp_path, mode=mode)
        assert report.details["dropped"] == {
            "phenotype with missing values": 1,
            "constant phenotype": 1,
            "phenotype constant beside the covariates": 1,
            "phenotype without a variant in its window": 1,
            "phenotype with constant genotypes only": 1,
            "pair with a constant genotype": len(expected) - len(tested),
        }
        assert report.details["n_phenotypes"] == len({i for i, _ in tested}) == 3
        assert report.details["n_pairs"] == len(tested)
        assert any("phenotype with missing values: 1" in note for note in report.notes)
        rows = read_rows(tmp_path, table)
        assert set(rows["phenotype_id"].to_pylist()) == {made.phenotype_ids[i] for i in (0, 5, 7)}
        for name in table.required:
            assert not rows[name].null_count
        for column in rows.columns:
            if pa.types.is_floating(column.type):
                assert np.isfinite(column.drop_null().to_numpy()).all()


def test_a_variant_that_the_covariates_explain_is_not_tested(tmp_path):
    made = make_set()
    made.genotypes[10] = (made.covariates[:, 1] > 0).astype(np.int8)
    made.covariates = np.column_stack([made.covariates, made.genotypes[10]])
    made.covariate_names = ["c0", "c1", "c2", "is_carrier"]
    made.write(tmp_path)
    n_near = sum(j == 10 for _, j in pairs_of(made))
    assert n_near
    assert map_set(tmp_path).details["dropped"] == {"pair with a constant genotype": n_near}
    assert map_set(tmp_path, model="qtltools").details["dropped"] == {}


def test_p_values_below_the_least_double_are_kept_as_logarithms(tmp_path):
    made = make_set(n_samples=400)
    made.phenotypes[0] = made.genotypes[5] + 1e-7 * np.random.default_rng(1).normal(size=400)
    made.phenotypes[1] = made.genotypes[20]
    made.write(tmp_path)
    map_set(tmp_path, mode="permute")
    rows = read_rows(tmp_path, t.EQTL_TOP).to_pylist()[:2]
    for row in rows:
        assert row["p_value"] == row["p_beta"] == 0.0
        assert 1000 < row["neg_log10_p"] < 1e5
        assert 1000 < row["neg_log10_p_beta"] < 1e5
    r2 = 1 / (1 + 395 / rows[0]["t_statistic"] ** 2)
    # p = I(1 - r²; df/2, 1/2), whose first term is all that counts here.
    rest = 395 / (395 + rows[0]["t_statistic"] ** 2)
    log_p = (
        197.5 * math.log(rest)
        - math.log(197.5)
        - (math.lgamma(197.5) + math.lgamma(0.5) - math.lgamma(198.0))
    )
    assert 0.999 < r2 <= 1
    assert rows[0]["neg_log10_p"] == pytest.approx(-log_p / math.log(10), rel=1e-6)


def test_covariates_without_use_are_named(tmp_path):
    made = make_set()
    flat, twice = np.ones(60), made.covariates[:, 0] - 2 * made.covariates[:, 1]
    made.covariates = np.column_stack([made.covariates, flat, twice])
    made.covariate_names = ["c0", "c1", "c2", "flat", "twice"]
    made.write(tmp_path / "more")
    make_set().write(tmp_path / "without")
    report = map_set(tmp_path / "more")
    assert "covariate flat is left out: constant" in report.notes
    assert "covariate twice is left out: collinear with those before it" in report.notes
    (row,) = read_rows(tmp_path / "more", t.EQTL_MAPS).to_pylist(maps_as_pydicts="strict")
    assert row["parameters"]["covariates_left_out"] == "flat,twice"
    assert row["df"] == 55
    map_set(tmp_path / "without")
    assert read_rows(tmp_path / "more", t.EQTL_NOMINAL).equals(
        read_rows(tmp_path / "without", t.EQTL_NOMINAL)
    )


def test_covariates_of_a_contig_are_for_its_phenotypes_alone(tmp_path):
    made = make_set(covariate_contigs=[None, "2", "10"])
    made.write(tmp_path)
    report = map_set(tmp_path)
    assert report.details["df"] == 60 - 2 - 2
    rows = {
        (row["phenotype_id"], row["variant_id"]): row
        for row in read_rows(tmp_path, t.EQTL_NOMINAL).to_pylist()
    }
    for i, j in pairs_of(made):
        used = made.covariates[:, [0, 1] if made.contigs[j] == "2" else [0, 2]]
        row = rows[made.phenotype_ids[i], made.variant_ids[j]]
        expected = regress(made.phenotypes[i], made.genotypes[j].astype(float), used, "fastqtl")
        assert (row["slope"], row["slope_se"], row["t_statistic"], row["p_value"]) == pytest.approx(
            expected, rel=1e-8
        )


def test_bad_input_has_its_message(tmp_path):
    made = make_set()
    made.write(tmp_path / "good")
    with pytest.raises(
        InputError, match=r"--name: There is no matrix set other in this lake. There are: made."
    ):
        map_set(tmp_path / "good", name="other")
    with pytest.raises(UsageError, match="--cis-window: 1,501 bases are more than the 1,500"):
        map_set(tmp_path / "good", cis_window=1501)
    with pytest.raises(UsageError, match=r"--contig: The set has no phenotype on contig 3. It has: 2, 10."):
        map_set(tmp_path / "good", contig=["3"])
    with pytest.raises(
        UsageError, match=r"--cis-window: A trans mapping has no cis window. .*--trans-distance"
    ):
        map_set(tmp_path / "good", mode="trans", cis_window=1000)
    for options in ({}, {"mode": "interaction", "interaction": "c0"}):
        least = 61 + len(options) // 2
        with pytest.raises(
            InputError,
            match=r"covariates and --phenotype-df: 60 people are too few for 3 covariates and 55 lost degrees of "
            rf"freedom: no degree of freedom is left. Give a smaller --phenotype-df, .* at least {least} people",
        ):
            map_set(tmp_path / "good", phenotype_df=55, **options)

    missing = make_set()
    missing.covariates[3, 1] = np.nan
    missing.write(tmp_path / "missing")
    with pytest.raises(
        InputError, match=r"column c1: Covariate c1 has missing values, of 1 of 60 people. Give a number"
    ):
        map_set(tmp_path / "missing")

    flat = make_set()
    flat.phenotypes[:] = 1.0
    flat.write(tmp_path / "flat")
    with pytest.raises(
        InputError, match=r"set made: Nothing can be tested: constant phenotype: 6. Build a set"
    ):
        map_set(tmp_path / "flat")
    with pytest.raises(InputError, match=r"Build a set with other phenotypes, or map other contigs.$"):
        map_set(tmp_path / "flat", mode="trans")
    assert read_rows(tmp_path / "flat", t.EQTL_MAPS).num_rows == 0
    assert not (tmp_path / "flat" / "_maps").exists()


def test_what_mends_a_mapping_of_nothing_is_of_its_mode(tmp_path):
    made = make_set()
    made.write(tmp_path / "near")
    kept = [made.phenotype_contigs[i] == "2" for i in range(6)]
    made.phenotypes, made.tss = made.phenotypes[kept], [x for x, k in zip(made.tss, kept, strict=True) if k]
    made.phenotype_contigs = ["2"] * sum(kept)
    made.phenotype_ids = made.phenotype_ids[: sum(kept)]
    there = [contig == "2" for contig in made.contigs]
    made.genotypes, made.positions = made.genotypes[there], np.asarray(made.positions)[there]
    made.variant_ids = [x for x, k in zip(made.variant_ids, there, strict=True) if k]
    made.vcf_ids, made.contigs = made.vcf_ids[: sum(there)], ["2"] * sum(there)
    made.write(tmp_path / "one")
    with pytest.raises(
        InputError,
        match=r"pair nearer than the trans distance: [\d,]+\. Give a smaller --trans-distance, build a set with other "
        r"phenotypes, or map other contigs\.$",
    ):
        map_set(tmp_path / "one", mode="trans")
    with pytest.raises(
        InputError,
        match=r"Give a smaller --min-interaction-maf, .*build a set with other phenotypes or a wider window",
    ):
        map_set(tmp_path / "near", mode="interaction", interaction="c0", min_interaction_maf=0.5)


# ----------------------------------------------------------------------------------------- killed and gone on


class Stopper:
    """Lets a few blocks be mapped, then ends the run as a kill does: nothing after it is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 1_000_000
        self.done: list[str] = []
        real = BlockTask.__call__

        def call(task: BlockTask, block: map_cuts.PlannedBlock) -> None:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            real(task, block)
            self.done.append(block.key)

        monkeypatch.setattr(map_run.BlockTask, "__call__", call)


@pytest.mark.parametrize(("mode", "table"), [("nominal", t.EQTL_NOMINAL), ("permute", t.EQTL_TOP)])
def test_a_run_that_was_ended_goes_on_where_it_was(tmp_path, monkeypatch, mode, table):
    cut_finely(monkeypatch)
    made = make_set(n_phenotypes=12)
    for name in ("whole", "ended"):
        made.write(tmp_path / name)
    whole = map_set(tmp_path / "whole", mode=mode)
    assert whole.details["blocks"] >= 6
    stopper = Stopper(monkeypatch)
    stopper.left = 2
    with pytest.raises(KeyboardInterrupt):
        map_set(tmp_path / "ended", mode=mode)
    assert read_rows(tmp_path / "ended", table).num_rows == 0
    assert read_rows(tmp_path / "ended", t.EQTL_MAPS).num_rows == 0
    first = list(stopper.done)
    stopper.left = 1_000_000
    report = map_set(tmp_path / "ended", mode=mode)
    assert report.details["blocks_kept"] == len(first) == 2
    assert len(stopper.done) == len(set(stopper.done)) == whole.details["blocks"]
    assert read_rows(tmp_path / "ended", table).equals(read_rows(tmp_path / "whole", table))
    assert not (tmp_path / "ended" / "_maps").exists()


def test_a_block_whose_result_is_damaged_is_mapped_again(tmp_path, monkeypatch):
    """A machine that goes down may leave a file with its name and without its content."""
    cut_finely(monkeypatch)
    make_set(n_phenotypes=12).write(tmp_path)
    stopper = Stopper(monkeypatch)
    stopper.left = 3
    with pytest.raises(KeyboardInterrupt):
        map_set(tmp_path, mode="permute")
    damaged = sorted((tmp_path / "_maps").rglob("*.arrow"))[1]
    damaged.write_bytes(damaged.read_bytes()[:100])
    stopper.left = 1_000_000
    report = map_set(tmp_path, mode="permute")
    assert report.details["blocks_kept"] == 2
    assert read_rows(tmp_path, t.EQTL_TOP).num_rows == 12


def test_a_block_whose_file_is_gone_is_mapped_again(tmp_path, monkeypatch):
    cut_finely(monkeypatch)
    make_set(n_phenotypes=12).write(tmp_path)
    stopper = Stopper(monkeypatch)
    stopper.left = 3
    with pytest.raises(KeyboardInterrupt):
        map_set(tmp_path)
    files = sorted((tmp_path / "eqtl_nominal").rglob("*.parquet"))
    assert len(files) == 3
    files[0].unlink()
    stopper.left = 1_000_000
    report = map_set(tmp_path)
    assert report.details["blocks_kept"] == 2
    assert read_rows(tmp_path, t.EQTL_NOMINAL).num_rows == report.details["n_pairs"]


def test_results_of_sets_that_are_gone_are_removed(tmp_path, monkeypatch):
    cut_finely(monkeypatch)
    made = make_set(n_phenotypes=12)
    lake = made.write(tmp_path)
    stopper = Stopper(monkeypatch)
    stopper.left = 2
    with pytest.raises(KeyboardInterrupt):
        map_set(tmp_path)
    left = list((tmp_path / "eqtl_nominal").rglob("*.parquet"))
    assert len(left) == 2
    lake.put(t.EQTL_MATRICES, [], "matrix_id = 'm1'")
    made.matrix_id = "m2"
    made.write(tmp_path)
    stopper.left = 1_000_000
    report = map_set(tmp_path)
    assert report.details["blocks_kept"] == 0
    assert not any(path.exists() for path in left)
    assert not (tmp_path / "_maps").exists()


def test_results_that_vanish_meanwhile_are_reported(tmp_path, monkeypatch):
    make_set().write(tmp_path)
    real = BlockTask.__call__

    def lose(task: BlockTask, block: map_cuts.PlannedBlock) -> None:
        real(task, block)
        task.results.forget(block.key)

    monkeypatch.setattr(map_run.BlockTask, "__call__", lose)
    with pytest.raises(Exception, match="results of 2 blocks are gone: another run maps the same"):
        map_set(tmp_path)


def test_blocks_and_files_change_no_row(tmp_path, monkeypatch):
    """However the set lies in files, and however it is cut into blocks: permutations are the same to the last bit."""
    made = make_set(n_phenotypes=12)
    made.write(tmp_path / "one")
    map_set(tmp_path / "one", mode="permute")
    cut_finely(monkeypatch)
    made.n_files = 7
    made.write(tmp_path / "many")
    report = map_set(tmp_path / "many", mode="permute")
    assert report.details["blocks"] >= 6
    one, many = (read_rows(tmp_path / name, t.EQTL_TOP) for name in ("one", "many"))
    assert one.equals(many)


# A process with so many threads of BLAS maps a lake.
THREADS = """
import sys
from map_sets import map_set
map_set(sys.argv[1], mode="permute")
map_set(sys.argv[1])
"""


@pytest.mark.slow
def test_threads_change_no_bit(tmp_path, root):
    """A product or a QR that is shared among threads is rounded otherwise than by one."""
    covariates = np.random.default_rng(6).normal(size=(358, 53))
    found = []
    for threads in ("1", "2", "4"):
        lake = tmp_path / threads
        make_set(n_samples=358, n_variants=2000, n_phenotypes=30, covariates=covariates).write(lake)
        environ = {
            **os.environ,
            "OPENBLAS_NUM_THREADS": threads,
            "PYTHONPATH": f"{root / 'tests'}:{root / 'lib'}",
        }
        subprocess.run(
            [sys.executable, "-c", THREADS, str(lake)], env=environ, check=True, capture_output=True
        )
        found.append([read_rows(lake, table) for table in (t.EQTL_TOP, t.EQTL_NOMINAL)])
    assert found[0][1].num_rows > 500
    for other in found[1:]:
        assert [one.equals(two) for one, two in zip(found[0], other, strict=True)] == [True, True]


def test_progress_tells_blocks_and_phenotypes(tmp_path, monkeypatch):
    make_set().write(tmp_path)
    seen: list[str] = []
    real = map_run._watch

    def watch(results, blocks):
        status = real(results, blocks)
        monkeypatch.setattr(map_run, "_LOOK_EVERY", -1.0)

        def told():
            seen.append(status())
            return seen[-1]

        seen.append(status())
        return told

    monkeypatch.setattr(map_run, "_watch", watch)
    real_call = BlockTask.__call__

    def call(task: BlockTask, block: map_cuts.PlannedBlock) -> None:
        real_call(task, block)
        seen.append(real(task.results, [block])())

    monkeypatch.setattr(map_run.BlockTask, "__call__", call)
    map_set(tmp_path)
    assert seen[0] == "0/2 blocks, 0/6 phenotypes"
    assert "1/1 blocks, 3/3 phenotypes" in seen


def test_the_lake_holds_nothing_else(tmp_path):
    made = make_set()
    made.write(tmp_path)
    map_set(tmp_path)
    named = {Path(path).name for path in list_data_files(tmp_path, t.EQTL_NOMINAL)}
    assert {path.name for path in (tmp_path / "eqtl_nominal").rglob("*.parquet")} == named


@pytest.mark.slow
def test_a_lake_on_azure_is_mapped_and_gone_on_with(tmp_path, monkeypatch):
    """The same rows as on a disk; what is finished is listed, read and removed there, too."""
    cut_finely(monkeypatch)
    made = make_set(n_phenotypes=12)
    made.write(tmp_path)
    with serve_azurite(accounts={"own": key()}) as azurite:
        azurite.make_container("own", "lake")
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string("own"))
        uri = "az://lake@own/made"
        made.write(uri)
        stopper = Stopper(monkeypatch)
        for mode, table in (("permute", t.EQTL_TOP), ("nominal", t.EQTL_NOMINAL)):
            stopper.left = 2
            with pytest.raises(KeyboardInterrupt):
                map_set(uri, mode=mode)
            stopper.left = 1_000_000
            report = map_set(uri, mode=mode)
            assert report.details["blocks_kept"] == 2
            map_set(tmp_path, mode=mode)
            assert read_rows(uri, table).equals(read_rows(tmp_path, table))
        names = [blob.name for blob in azurite.client("own").get_container_client("lake").list_blobs()]
    assert not [name for name in names if name.startswith("made/_maps")]
    assert [name for name in names if name.startswith("made/eqtl_nominal/")]
