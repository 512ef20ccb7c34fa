"""Permutations against regressions of permuted phenotypes written out, QTLtools, FastQTL, and under the null."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cis_data import Cis, read_cis, read_covariates, write_bed, write_covariates
from kgp.eqtl.association import map_nominal
from kgp.eqtl.beta_approximation import fit_beta
from kgp.eqtl.design import make_design, standardise_genotypes
from kgp.eqtl.distinct import find_distinct
from kgp.eqtl.permutation import BestPair, draw_permutations, map_permutations, prepare_permuted
from kgp.eqtl.qvalues import estimate_q_values
from kgp.errors import InputError


def search(
    phenotypes, genotypes, windows, distances, covariates, model="fastqtl", n=200, seed=1, groups=None
) -> list[BestPair]:
    design = make_design(covariates, model)
    prepared, distinct = prepare_permuted(phenotypes, design), find_distinct(genotypes, design)
    permutations = draw_permutations(design.n_samples, n, seed)
    return list(
        map_permutations(prepared, distinct, np.asarray(windows), distances, permutations, design, groups)
    )


def search_all(cis: Cis, covariates, **options) -> list[BestPair]:
    return search(cis.expression, cis.genotypes, cis.windows, cis.distances, covariates, **options)


def make_data(seed=1, n_samples=50, n_variants=40, n_phenotypes=4, n_covariates=3):
    generator = np.random.default_rng(seed)
    covariates = generator.normal(size=(n_samples, n_covariates))
    genotypes = generator.binomial(2, 0.3, size=(n_variants, n_samples)).astype(np.int8)
    phenotypes = generator.normal(size=(n_phenotypes, n_samples)) + 0.8 * genotypes[:n_phenotypes]
    phenotypes += generator.normal(size=n_covariates) @ covariates.T
    return phenotypes, genotypes, covariates


def residuals(rows, covariates):
    X = np.column_stack([np.ones(len(covariates)), covariates])
    return rows - (X @ np.linalg.lstsq(X, rows.T, rcond=None)[0]).T


def best_r2(phenotype, genotypes):
    """Greatest squared correlation of a phenotype with any of some genotypes, by numpy's own corrcoef."""
    return (np.corrcoef(phenotype, genotypes)[0, 1:] ** 2).max()


WHOLE = [[0, 40]] * 4
FAR = [np.arange(40)] * 4


@pytest.mark.parametrize("model", ["fastqtl", "qtltools"])
def test_the_best_of_each_permutation_is_that_of_regressions_written_out(model):
    """FastQTL makes residuals of the permuted phenotype, QTLtools permutes the residuals."""
    phenotypes, genotypes, covariates = make_data()
    found = search(phenotypes, genotypes, WHOLE, FAR, covariates, model)
    permutations = draw_permutations(50, 200, 1)
    df = 50 - 2 - (3 if model == "fastqtl" else 0)
    for i, result in enumerate(found):
        if model == "fastqtl":
            x = residuals(genotypes.astype(float), covariates)
            permuted = residuals(phenotypes[i][permutations], covariates)
            truth = best_r2(residuals(phenotypes[i : i + 1], covariates)[0], x)
        else:
            x = genotypes
            residual = residuals(phenotypes[i : i + 1], covariates)[0]
            permuted = residual[permutations]
            truth = best_r2(residual, x)
        expected = np.array([best_r2(y, x) for y in permuted])
        assert result.pair.r2[0] == pytest.approx(truth, rel=1e-12)
        assert result.n_as_good == (expected >= truth).sum()
        assert result.p_perm == ((expected >= truth).sum() + 1) / 201
        fit = fit_beta(expected, df)
        assert result.beta.df == pytest.approx(fit.df, rel=1e-5)
        assert (result.beta.shape1, result.beta.shape2) == pytest.approx((fit.shape1, fit.shape2), rel=1e-5)
        assert result.p_beta == pytest.approx(fit.p_value(truth), rel=1e-4)
        assert result.neg_log10_p_beta == pytest.approx(-np.log10(result.p_beta), rel=1e-9)
        t = np.sqrt(truth * result.beta.df / (1 - truth))
        p = 2 * stats.t.sf(t, result.beta.df)
        assert result.p_beta == pytest.approx(
            stats.beta.cdf(p, result.beta.shape1, result.beta.shape2), rel=1e-9
        )


@pytest.mark.parametrize("model", ["fastqtl", "qtltools"])
def test_the_best_pair_is_that_of_the_nominal_pass(model):
    phenotypes, genotypes, covariates = make_data(2)
    windows = np.array([[0, 40], [5, 25], [0, 3], [39, 40]])
    found = search(phenotypes, genotypes, windows, [np.arange(b - a) for a, b in windows], covariates, model)
    design = make_design(covariates, model)
    nominal = map_nominal(
        prepare_permuted(phenotypes, design).truth,
        standardise_genotypes(genotypes, design),
        windows,
        design,
        1,
    )
    for result, pairs in zip(found, nominal, strict=True):
        best = np.abs(pairs.r).argmax()
        assert (result.pair.phenotype[0], result.pair.variant[0]) == (
            pairs.phenotype[best],
            pairs.variant[best],
        )
        for field in ("r", "slope", "slope_se", "t", "p", "neg_log10_p"):
            assert getattr(result.pair, field)[0] == pytest.approx(getattr(pairs, field)[best], rel=1e-9)
        assert result.n_variants == pairs.p.size


def test_equal_variants_are_computed_once_and_the_nearest_is_taken():
    """Equal vectors, alleles exchanged, and carriers of two alleles for one: the same |r|."""
    phenotypes, genotypes, covariates = make_data(3)
    strong = (genotypes[0] > 0).astype(np.int8)
    phenotypes[0] = strong + 0.01 * phenotypes[1]
    block = np.vstack([genotypes[1:4], strong, 2 - strong, 2 * strong, genotypes[1:4], np.ones((1, 50))])
    for order, nearest in (([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], 5), ([0, 0, 0, -6, 6, 7, 0, 0, 0, 0], 3)):
        (found,) = search(phenotypes[:1], block, [[0, 10]], [np.array(order)], covariates)
        assert found.n_ties == 3
        assert found.pair.variant[0] == nearest
        assert (found.n_variants, found.n_vectors) == (9, 4)
    slopes = {
        k: search(phenotypes[:1], block[k : k + 1], [[0, 1]], [np.array([0])], covariates)[0].pair.slope[0]
        for k in (3, 4, 5)
    }
    assert slopes[4] == pytest.approx(-slopes[3])
    assert slopes[5] == pytest.approx(slopes[3] / 2)
    reduced = search(phenotypes[:1], block[:4], [[0, 4]], [np.arange(4)], covariates)[0]
    assert (reduced.beta, reduced.n_as_good) == (found.beta, found.n_as_good)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(0, 20), st.integers(21, 40), st.booleans())
def test_blocks_change_no_bit(seed, start, stop, as_float):
    """A phenotype with its own variants alone gives what it gives among others, in any block."""
    phenotypes, genotypes, covariates = make_data(seed)
    genotypes[5], genotypes[30] = genotypes[25], 2 - genotypes[8]
    windows = np.array([[0, 40], [start, stop], [3, 3], [2, 30]])
    distances = [np.arange(b - a) for a, b in windows]
    together = search(phenotypes, genotypes, windows, distances, covariates, n=50)
    assert [result.group for result in together] == [0, 1, 3]
    block = genotypes[start:stop].astype(float) if as_float else genotypes[start:stop]
    (alone,) = search(phenotypes[1:2], block, [[0, stop - start]], distances[1:2], covariates, n=50)
    among = together[1]
    assert alone.beta == among.beta
    assert alone.n_as_good == among.n_as_good
    assert alone.pair.r[0] == among.pair.r[0]
    assert alone.pair.variant[0] + start == among.pair.variant[0]


def test_the_search_is_the_same_in_large_windows_and_many_permutations():
    """More variants and permutations than a product holds: the same as by parts."""
    generator = np.random.default_rng(9)
    genotypes = generator.binomial(2, 0.4, size=(1300, 30)).astype(np.int8)
    phenotype = generator.normal(size=(1, 30))
    none = np.empty((30, 0))
    (found,) = search(phenotype, genotypes, [[0, 1300]], [np.arange(1300)], none, n=2100)
    permutations = draw_permutations(30, 2100, 1)
    x = stats.zscore(genotypes.astype(float), axis=1)
    y = stats.zscore(phenotype[0])[permutations]
    expected = ((x @ y.T / 30) ** 2).max(axis=0)
    assert found.n_permutations == 2100
    fit = fit_beta(expected, 28)
    assert (found.beta.shape1, found.beta.shape2) == pytest.approx((fit.shape1, fit.shape2), rel=1e-5)
    assert found.n_as_good == (expected >= found.pair.r2[0]).sum()


def test_a_group_is_searched_as_one():
    phenotypes, genotypes, covariates = make_data(4)
    single = search(phenotypes, genotypes, WHOLE, FAR, covariates)
    (first, second) = search(phenotypes, genotypes, WHOLE, FAR, covariates, groups=[[2, 0, 1], [3]])
    best = max(single[:3], key=lambda result: abs(result.pair.r[0]))
    assert (first.group, first.n_phenotypes) == (0, 3)
    assert first.pair.phenotype[0] == best.pair.phenotype[0]
    assert first.pair.r[0] == best.pair.r[0]
    assert first.p_perm >= best.p_perm
    assert first.beta.shape2 > best.beta.shape2
    assert (second.group, second.beta, second.p_beta) == (1, single[3].beta, single[3].p_beta)


def test_what_cannot_be_tested_is_left_out():
    phenotypes, genotypes, covariates = make_data(5)
    phenotypes[1] = 3.0
    genotypes[:5] = 1
    windows = [[0, 40], [0, 40], [0, 5], [7, 7]]
    found = search(phenotypes, genotypes, windows, [np.arange(b - a) for a, b in windows], covariates)
    assert [result.group for result in found] == [0]
    assert found[0].n_variants == 35
    (group,) = search(
        phenotypes,
        genotypes,
        windows,
        [np.arange(b - a) for a, b in windows],
        covariates,
        groups=[[0, 1, 2, 3]],
    )
    assert group.n_phenotypes == 1


def test_one_variant_has_a_uniform_p():
    phenotypes, genotypes, covariates = make_data(6)
    (found,) = search(phenotypes[:1], genotypes[7:8], [[0, 1]], [np.array([0])], covariates, n=5000)
    assert (found.beta.shape1, found.beta.shape2) == pytest.approx((1.0, 1.0), abs=0.1)
    assert found.p_beta == pytest.approx(found.pair.p[0], abs=0.03)


def test_permutations_without_variance_leave_the_permutation_p():
    """A phenotype of one person and a variant of one other: every permutation but few is the same."""
    n = 12
    phenotype, genotype = np.zeros((1, n)), np.zeros((1, n))
    phenotype[0, 0], genotype[0, 1] = 1.0, 1.0
    design = make_design(np.empty((n, 0)))
    orders = np.tile(np.arange(n), (20, 1))
    (found,) = map_permutations(
        prepare_permuted(phenotype, design),
        find_distinct(genotype, design),
        np.array([[0, 1]]),
        [np.array([0])],
        orders,
        design,
    )
    assert found.beta.method == "none"
    assert found.p_perm == found.p_beta == 1.0
    assert found.neg_log10_p_beta == 0.0


def test_permutations_are_those_of_the_seed():
    orders = draw_permutations(37, 60, seed=5)
    assert (np.sort(orders, axis=1) == np.arange(37)).all()
    assert (draw_permutations(37, 20, seed=5) == orders[:20]).all()
    assert (draw_permutations(37, 20, seed=6) != orders[:20]).any()
    assert len({tuple(row) for row in orders.tolist()}) == 60


def test_every_place_is_as_likely():
    orders = draw_permutations(8, 20_000, seed=1)
    counts = np.array([np.bincount(orders[:, k], minlength=8) for k in range(8)])
    assert stats.chisquare(counts.ravel()).pvalue > 0.001


@pytest.mark.parametrize(("n", "seed"), [(0, 1), (10, -1), (10, 1 << 128)])
def test_a_seed_or_number_out_of_range_is_refused(n, seed):
    with pytest.raises(InputError, match=f"{n} permutations with seed {seed} cannot be drawn"):
        draw_permutations(10, n, seed)


def test_bad_input_is_refused():
    phenotypes, genotypes, covariates = make_data(7)
    with pytest.raises(InputError, match=r"The window 0 to 41 of phenotype 3 .* is no range of 40 variants"):
        search(phenotypes, genotypes, [*WHOLE[:3], [0, 41]], FAR, covariates)
    with pytest.raises(InputError, match="5 permutations are too few"):
        search(phenotypes, genotypes, WHOLE, FAR, covariates, n=5)
    with pytest.raises(InputError, match="variants are of 49 people, the covariates of 50"):
        search(phenotypes, genotypes[:, 1:], WHOLE, FAR, covariates)
    missing = np.tile(genotypes.astype(float), (60, 1))
    missing[2100, 4] = np.nan
    with pytest.raises(InputError, match=r"Variant 2100 .* missing or infinite"):
        search(phenotypes, missing, WHOLE, FAR, covariates)


# --------------------------------------------------------------------------------------------------- the tools


def test_qtltools_finds_the_same_best_variants(require_tool, bundled, tmp_path):
    program = require_tool("QTLtools")
    vcf, bed = bundled / "genotypes.chr22.vcf.gz", bundled / "genes.50percent.chr22.bed.gz"
    command = [program, "cis", "--permute", "300", "--seed", "1", "--region", "chr22:50600000-50800000"]
    command += ["--vcf", vcf, "--bed", bed, "--out", tmp_path / "permute.txt"]
    subprocess.run(command, check=True, capture_output=True)
    told = {
        fields[0]: fields for fields in map(str.split, (tmp_path / "permute.txt").read_text().splitlines())
    }
    cis = read_cis(vcf, bed, 50_600_000, 50_800_000)
    found = search_all(cis, np.empty((358, 0)), model="qtltools", n=300)
    assert {cis.genes[result.group] for result in found} == told.keys()
    assert len(found) > 5
    for result in found:
        fields = told[cis.genes[result.group]]
        compare_with_qtltools(cis, result, fields)
        assert abs(result.p_perm - float(fields[18])) < 5 * np.sqrt(0.25 / 300)


def compare_with_qtltools(cis: Cis, result: BestPair, fields: list[str]) -> None:
    """The number of variants, the best one unless it is tied, and its statistics."""
    assert result.n_variants == int(fields[5])
    assert cis.ids[int(result.pair.variant[0])] == fields[7] or result.n_ties > 1
    assert result.pair.p[0] == pytest.approx(float(fields[15]), rel=1e-4)
    assert result.pair.slope[0] == pytest.approx(float(fields[17]), rel=1e-4)
    assert result.beta.df == pytest.approx(float(fields[12]), rel=0.35)
    assert result.beta.shape1 == pytest.approx(1.0, abs=0.25)


def test_fastqtl_finds_the_same_best_variants(require_tool, bundled, tmp_path):
    """Its columns: variants, shapes, df, p by it, variant, distance, 4 of alleles, p, slope, SE, p_perm, p_beta."""
    program = require_tool("fastQTL")
    vcf = bundled / "genotypes.chr22.vcf.gz"
    cis = read_cis(vcf, bundled / "genes.50percent.chr22.bed.gz", 50_600_000, 50_650_000)
    covariates = np.random.default_rng(5).normal(size=(358, 5)).round(4)
    write_covariates(tmp_path / "covariates.txt", cis.samples, covariates, "\t")
    command = [
        program,
        "--region",
        "chr22:50600000-50650000",
        "--permute",
        "300",
        "--seed",
        "1",
        "--window",
        "1e6",
    ]
    command += ["--vcf", vcf, "--bed", write_bed(tmp_path / "phenotypes.bed", cis)]
    command += ["--cov", tmp_path / "covariates.txt", "--out", tmp_path / "permute.txt"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    told = {
        fields[0]: fields for fields in map(str.split, (tmp_path / "permute.txt").read_text().splitlines())
    }
    found = search_all(cis, covariates, n=300)
    assert {cis.genes[result.group] for result in found} == told.keys()
    assert len(found) > 1
    for result in found:
        fields = told[cis.genes[result.group]]
        assert result.n_variants == int(fields[1])
        assert cis.ids[int(result.pair.variant[0])] == fields[6] or result.n_ties > 1
        p, slope, slope_se, p_perm, p_beta = map(float, fields[12:17])
        assert result.pair.p[0] == pytest.approx(p, rel=1e-4)
        assert abs(result.pair.slope[0]) == pytest.approx(abs(slope), rel=1e-4)
        assert result.pair.slope_se[0] == pytest.approx(slope_se, rel=1e-4)
        assert abs(result.p_perm - p_perm) < 5 * np.sqrt(0.25 / 300)
        assert result.neg_log10_p_beta == pytest.approx(-np.log10(p_beta), rel=0.3, abs=0.3)
        assert result.beta.df == pytest.approx(float(fields[4]), rel=0.25)


def test_some_genes_are_as_qtltools_recorded_them(shared_data):
    place = shared_data / "geuvadis-eqtl-qtltools"
    cis, covariates = read_recorded(place, 20_000_000, 21_200_000)
    found = search_all(cis, covariates, model="qtltools", n=300)
    told = read_permuted(place)
    assert len(found) > 15
    for result in found:
        compare_with_qtltools(cis, result, told[cis.genes[result.group]])


def read_recorded(place: Path, start=0, end=1 << 29):
    cis = read_cis(place / "genotypes.chr22.vcf.gz", place / "genes.50percent.chr22.bed.gz", start, end)
    return cis, read_covariates(place / "genes.covariates.pc50.txt.gz", cis.samples)


def read_permuted(place: Path) -> dict[str, list[str]]:
    lines = (place / "expected" / "permute1000.txt").read_text().splitlines()
    return {fields[0]: fields for fields in map(str.split, lines)}


@pytest.mark.slow
def test_all_genes_are_as_qtltools_recorded_them(shared_data):
    """608 genes, 1,000 permutations: the same best variants, beta p correlated, and nearly as many eQTL genes."""
    place = shared_data / "geuvadis-eqtl-qtltools"
    cis, covariates = read_recorded(place)
    found = search_all(cis, covariates, model="qtltools", n=1000)
    fields = [read_permuted(place)[cis.genes[result.group]] for result in found]
    assert len(found) == 608
    for result, row in zip(found, fields, strict=True):
        assert result.n_variants == int(row[5])
        assert cis.ids[int(result.pair.variant[0])] == row[7] or result.n_ties > 1
    ours, theirs = np.array([result.p_beta for result in found]), np.array([float(row[19]) for row in fields])
    assert np.corrcoef(ours, theirs)[0, 1] > 0.999
    assert np.corrcoef([result.p_perm for result in found], [float(row[18]) for row in fields])[0, 1] > 0.998
    n_ours, n_theirs = ((estimate_q_values(p).q <= 0.05).sum() for p in (ours, theirs))
    assert abs(int(n_ours) - int(n_theirs)) <= 5


@pytest.mark.slow
@pytest.mark.parametrize("model", ["fastqtl", "qtltools"])
def test_expression_that_belongs_to_others_gives_uniform_p(bundled, model):
    """Everybody gets the expression of somebody else: no gene has an eQTL, and p_beta says so."""
    cis = read_cis(bundled / "genotypes.chr22.vcf.gz", bundled / "genes.50percent.chr22.bed.gz")
    ranks = stats.rankdata(cis.expression, axis=1)
    generator = np.random.default_rng(20)
    # Each gene is shuffled by itself, or 301 correlated genes would be few independent ones.
    shuffled = generator.permuted(stats.norm.ppf(ranks / 359), axis=1)
    covariates = generator.normal(size=(358, 10))
    found = search(shuffled, cis.genotypes, cis.windows, cis.distances, covariates, model, n=1000)
    p_beta = np.array([result.p_beta for result in found])
    assert p_beta.size == 301
    assert stats.kstest(p_beta, "uniform").pvalue > 0.01
    assert stats.kstest([result.p_perm for result in found], "uniform").pvalue > 0.01
    assert (estimate_q_values(p_beta).q <= 0.05).sum() <= 1
    design = make_design(covariates, model)
    x = standardise_genotypes(cis.genotypes[::997], design)
    windows = np.tile([0, x.values.shape[0]], (301, 1))
    pairs = list(map_nominal(prepare_permuted(shuffled, design).truth, x, windows, design))
    p = np.concatenate([batch.p for batch in pairs])
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.005)
