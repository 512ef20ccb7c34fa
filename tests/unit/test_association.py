"""Nominal associations against least squares written out, statsmodels' formulas, QTLtools and FastQTL."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cis_data import Cis, read_cis, read_covariates, write_bed, write_covariates
from kgp.eqtl.association import Pairs, count_alleles, make_pairs, map_nominal
from kgp.eqtl.design import make_design, standardise_genotypes, standardise_phenotypes
from kgp.errors import InputError

FIELDS = ("phenotype", "variant", "r", "slope", "slope_se", "t", "p", "neg_log10_p")


def map_all(phenotypes, genotypes, windows, covariates, model="fastqtl", lost_df=0, **options) -> Pairs:
    design = make_design(covariates, model, lost_df)
    batches = list(
        map_nominal(
            standardise_phenotypes(phenotypes, design),
            standardise_genotypes(genotypes, design),
            np.asarray(windows),
            design,
            **options,
        )
    )
    return Pairs(*(np.concatenate([getattr(batch, field) for batch in batches]) for field in FIELDS))


def make_data(seed=1, n_samples=60, n_covariates=4, n_variants=30, n_phenotypes=5):
    generator = np.random.default_rng(seed)
    covariates = generator.normal(size=(n_samples, n_covariates))
    genotypes = generator.binomial(2, 0.3, size=(n_variants, n_samples)).astype(np.int8)
    effects = generator.normal(size=(n_phenotypes, n_variants)) * (generator.uniform(size=n_variants) < 0.2)
    noise = (
        generator.normal(size=(n_phenotypes, n_samples)) + generator.normal(size=n_covariates) @ covariates.T
    )
    return effects @ genotypes + noise, genotypes, covariates


def regress(y, x, covariates):
    """Slope, its SE and p of x in y ~ 1 + x + covariates, by the normal equations."""
    X = np.column_stack([np.ones_like(y), x, covariates])
    inverse = np.linalg.inv(X.T @ X)
    beta = inverse @ X.T @ y
    df = len(y) - X.shape[1]
    variance = ((y - X @ beta) ** 2).sum() / df
    se = np.sqrt(variance * inverse[1, 1])
    return beta[1], se, 2 * stats.t.sf(abs(beta[1] / se), df)


def test_the_model_of_fastqtl_is_the_regression_with_all_covariates():
    phenotypes, genotypes, covariates = make_data()
    found = map_all(phenotypes, genotypes, [[0, 30]] * 5, covariates)
    expected = np.array([[regress(y, x, covariates) for x in genotypes] for y in phenotypes])
    for k, field in enumerate(("slope", "slope_se", "p")):
        np.testing.assert_allclose(getattr(found, field).reshape(5, 30), expected[:, :, k], rtol=1e-9)
    np.testing.assert_allclose(found.t, found.slope / found.slope_se, rtol=1e-12)
    np.testing.assert_allclose(found.neg_log10_p, -np.log10(found.p), rtol=1e-12)
    np.testing.assert_allclose(found.r2, found.t**2 / (found.t**2 + 54), rtol=1e-10)


def test_the_model_of_qtltools_is_the_regression_of_residuals_on_the_genotype():
    phenotypes, genotypes, covariates = make_data(2)
    found = map_all(phenotypes, genotypes, [[0, 30]] * 5, covariates, model="qtltools")
    X = np.column_stack([np.ones(60), covariates])
    residuals = phenotypes - (X @ np.linalg.lstsq(X, phenotypes.T, rcond=None)[0]).T
    expected = np.array([[stats.linregress(x, y) for x in genotypes] for y in residuals])
    np.testing.assert_allclose(found.slope.reshape(5, 30), expected[:, :, 0], rtol=1e-9)
    np.testing.assert_allclose(found.p.reshape(5, 30), expected[:, :, 3], rtol=1e-9)
    np.testing.assert_allclose(found.slope_se.reshape(5, 30), expected[:, :, 4], rtol=1e-9)


@pytest.mark.parametrize(("model", "df"), [("fastqtl", 60 - 2 - 4 - 10), ("qtltools", 60 - 2 - 10)])
def test_degrees_of_freedom_that_were_lost_before_are_taken_off(model, df):
    phenotypes, genotypes, covariates = make_data(3)
    found = map_all(phenotypes, genotypes, [[0, 30]] * 5, covariates, model=model, lost_df=10)
    np.testing.assert_allclose(found.p, 2 * stats.t.sf(np.abs(found.t), df), rtol=1e-9)
    np.testing.assert_allclose(found.t**2, df * found.r2 / (1 - found.r2), rtol=1e-9)


def test_without_covariates_the_models_are_one():
    phenotypes, genotypes, _ = make_data(4)
    none = np.empty((60, 0))
    one, other = (
        map_all(phenotypes, genotypes, [[0, 30]] * 5, none, model=m) for m in ("fastqtl", "qtltools")
    )
    assert one.p.tolist() == other.p.tolist()


@settings(deadline=None, max_examples=50)
@given(st.data(), st.integers(0, 10**6), st.integers(1, 200))
def test_blocks_change_nothing(data, seed, n_at_once):
    """Any windows in any order, batches of any size: the pairs are those of a loop, once each, in order."""
    phenotypes, genotypes, covariates = make_data(seed)
    edges = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted)
    windows = np.array(data.draw(st.lists(edges, min_size=5, max_size=5)))
    design = make_design(covariates)
    y, x = standardise_phenotypes(phenotypes, design), standardise_genotypes(genotypes, design)
    batches = list(map_nominal(y, x, windows, design, n_at_once))
    pairs = [(int(i), int(j)) for b in batches for i, j in zip(b.phenotype, b.variant, strict=True)]
    assert pairs == [(i, j) for i, (a, b) in enumerate(windows) for j in range(a, b)]
    r = [value for b in batches for value in b.r]
    np.testing.assert_allclose(r, [y.values[i] @ x.values[j] for i, j in pairs], atol=1e-14)
    assert all(b.p.size <= max(n_at_once, 30) for b in batches)


def test_a_row_is_standardised_to_the_same_bits_in_any_company():
    generator = np.random.default_rng(8)
    phenotypes, covariates = generator.normal(size=(70, 358)), generator.normal(size=(358, 53))
    design = make_design(covariates)
    together = standardise_phenotypes(phenotypes, design)
    for start in (1, 3, 7, 8, 29, 69):
        alone = standardise_phenotypes(phenotypes[start:], design)
        assert alone.values.tobytes() == together.values[start:].tobytes()
        assert alone.lengths.tobytes() == together.lengths[start:].tobytes()


def test_what_is_constant_has_no_pairs():
    """A variant or phenotype without variance, or with none beside the covariates, is not tested, and is told."""
    phenotypes, genotypes, covariates = make_data(5)
    genotypes = genotypes.astype(float)
    genotypes[3], genotypes[4] = 2.0, 0.1  # 0.1 has no exact mean
    genotypes[5] = 1.0 + covariates @ [0.1, 0.0, 0.2, 0.0]
    phenotypes[1], phenotypes[2] = 7.3, covariates[:, 2]
    design = make_design(covariates)
    y, x = standardise_phenotypes(phenotypes, design), standardise_genotypes(genotypes, design)
    assert np.flatnonzero(y.is_constant).tolist() == [1, 2]
    assert np.flatnonzero(x.is_constant).tolist() == [3, 4, 5]
    found = map_all(phenotypes, genotypes, [[0, 30]] * 5, covariates)
    assert sorted(set(found.phenotype.tolist())) == [0, 3, 4]
    assert not {3, 4, 5} & set(found.variant.tolist())
    as_they_are = standardise_genotypes(genotypes, make_design(covariates, "qtltools"))
    assert np.flatnonzero(as_they_are.is_constant).tolist() == [3, 4]
    assert all(np.isfinite(getattr(found, field)).all() for field in FIELDS)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_perfect_fit_is_finite(sign):
    _, genotypes, covariates = make_data(6)
    found = map_all(sign * genotypes[:1].astype(float), genotypes, [[0, 30]], covariates)
    assert found.slope[0] == pytest.approx(sign)
    assert all(np.isfinite(getattr(found, field)).all() for field in FIELDS)
    assert found.neg_log10_p[0] > 350
    assert found.p[0] == 0.0
    assert abs(found.t[0]) > 1e8


def test_alleles_are_counted_as_fastqtl_and_tensorqtl_count_them():
    """In hard calls, by the definition; a tie of the alleles goes to ALT."""
    generator = np.random.default_rng(1)
    genotypes = np.vstack([generator.binomial(2, 0.2, (40, 31)), generator.binomial(2, 0.8, (40, 31))])
    genotypes = np.vstack([genotypes, [0, 2] * 15 + [1]]).astype(np.int8)
    found = count_alleles(genotypes)
    for row, af, ma_samples, ma_count in zip(
        genotypes, found.af, found.ma_samples, found.ma_count, strict=True
    ):
        minor = row if row.sum() <= 31 else 2 - row
        assert af == row.sum() / 62
        assert (ma_samples, ma_count) == ((minor > 0).sum(), minor.sum())


def test_dosages_below_half_an_allele_do_not_count():
    found = count_alleles(np.array([[0.1, 0.4, 0.6, 1.9], [1.9, 1.6, 2.0, 0.4]]))
    assert found.ma_samples.tolist() == [2, 1]
    assert found.ma_count.tolist() == [2, 2]  # rint(0.6 + 1.9); 8 - rint(1.9 + 1.6 + 2.0)


def test_bad_input_is_refused():
    phenotypes, genotypes, covariates = make_data(7)
    with pytest.raises(InputError, match="60 people are too few for 4 covariates and 54 lost degrees"):
        make_design(covariates, lost_df=54)
    with pytest.raises(InputError, match="1 person is too few for 0 covariates and 1 lost degree of freedom"):
        make_design(np.empty((1, 0)), lost_df=1)
    with pytest.raises(InputError, match="-1 degrees of freedom cannot be lost"):
        make_design(covariates, lost_df=-1)
    with pytest.raises(InputError, match=r"Covariate 1 .counted from 0. has missing values"):
        make_design(np.where(np.arange(4) == 1, np.nan, covariates))
    design = make_design(covariates)
    with pytest.raises(InputError, match="phenotypes are of 59 people, the covariates of 60"):
        standardise_phenotypes(phenotypes[:, 1:], design)
    with pytest.raises(InputError, match="variants are of 59 people, the covariates of 60"):
        standardise_genotypes(genotypes[:, 1:], make_design(covariates, "qtltools"))
    missing = genotypes.astype(float)
    missing[8, 5] = np.nan
    with pytest.raises(InputError, match=r"Variant 8 .counted from 0. has missing or infinite"):
        standardise_genotypes(missing, design)
    with pytest.raises(InputError, match=r"The window 3 to 31 of phenotype 1 .* is no range of 30 variants"):
        map_all(phenotypes[:2], genotypes, [[0, 3], [3, 31]], covariates)
    with pytest.raises(InputError, match="1 windows were given for 2 phenotypes"):
        map_all(phenotypes[:2], genotypes, [[0, 3]], covariates)


def test_the_statistics_of_a_pair_need_its_correlation_alone():
    pairs = make_pairs(np.array([0]), np.array([0]), np.array([0.5]), np.array([6.0]), np.array([3.0]), 100)
    assert pairs.slope[0] == 1.0
    assert pairs.slope_se[0] == pytest.approx(2 * np.sqrt(0.75 / 100))


# --------------------------------------------------------------------------------- the tools, on the bundled slice


@pytest.fixture(scope="module")
def slice_of_chr22(bundled: Path) -> tuple[Cis, np.ndarray]:
    """Genes of 600 kb with the variants about them, and five covariates."""
    cis = read_cis(
        bundled / "genotypes.chr22.vcf.gz", bundled / "genes.50percent.chr22.bed.gz", 50_200_000, 50_800_000
    )
    return cis, np.random.default_rng(5).normal(size=(358, 5)).round(4)


def test_qtltools_finds_the_same_pairs_and_values(require_tool, bundled, slice_of_chr22, tmp_path):
    program = require_tool("QTLtools")
    cis, covariates = slice_of_chr22
    write_covariates(tmp_path / "covariates.txt", cis.samples, covariates, " ")
    command = [program, "cis", "--nominal", "1", "--std-err", "--region", "chr22:50200000-50800000"]
    command += [
        "--vcf",
        bundled / "genotypes.chr22.vcf.gz",
        "--bed",
        bundled / "genes.50percent.chr22.bed.gz",
    ]
    command += ["--cov", tmp_path / "covariates.txt", "--out", tmp_path / "nominal.txt"]
    subprocess.run(command, check=True, capture_output=True)
    told = {}
    for fields in map(str.split, (tmp_path / "nominal.txt").read_text().splitlines()):
        told[fields[0], fields[7]] = [int(fields[5]), *map(float, fields[11:15])]
    found = map_all(cis.expression, cis.genotypes, cis.windows, covariates, model="qtltools")
    ours = [(cis.genes[i], cis.ids[j]) for i, j in zip(found.phenotype, found.variant, strict=True)]
    assert len(ours) > 50_000
    assert set(ours) == set(told)
    n_variants, p, r2, slope, slope_se = np.array([told[pair] for pair in ours]).T
    assert (n_variants == np.bincount(found.phenotype)[found.phenotype]).all()
    assert np.abs(found.neg_log10_p + np.log10(p)).max() < 1e-4
    # QTLtools multiplies in single precision: what is nearly 0 has no more digits than that.
    np.testing.assert_allclose(found.r2, r2, rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(
        found.slope, slope, rtol=1e-5, atol=2e-7 * float(np.abs(slope / np.sqrt(r2)).max())
    )
    np.testing.assert_allclose(found.slope_se, slope_se, rtol=1e-5)


def test_fastqtl_finds_the_same_pairs_and_values(require_tool, bundled, slice_of_chr22, tmp_path):
    program = require_tool("fastQTL")
    cis, covariates = slice_of_chr22
    bed = write_bed(tmp_path / "phenotypes.bed", cis)
    write_covariates(tmp_path / "covariates.txt", cis.samples, covariates, "\t")
    command = [
        program,
        "--region",
        "chr22:50200000-50800000",
        "--window",
        "1e6",
        "--out",
        tmp_path / "nominal.txt",
    ]
    command += ["--vcf", bundled / "genotypes.chr22.vcf.gz", "--bed", bed]
    subprocess.run(
        [*command, "--cov", tmp_path / "covariates.txt"], check=True, capture_output=True, cwd=tmp_path
    )
    told = {}
    for fields in map(str.split, (tmp_path / "nominal.txt").read_text().splitlines()):
        told[fields[0], fields[1]] = [float(value) for value in fields[2:]]
    found = map_all(cis.expression, cis.genotypes, cis.windows, covariates)
    ours = [(cis.genes[i], cis.ids[j]) for i, j in zip(found.phenotype, found.variant, strict=True)]
    assert set(ours) == set(told)
    distance, ma_samples, ma_count, af, p, slope, slope_se = np.array([told[pair] for pair in ours]).T
    alleles = count_alleles(cis.genotypes)
    assert (distance == cis.positions[found.variant] - cis.tss[found.phenotype]).all()
    assert (ma_samples == alleles.ma_samples[found.variant]).all()
    assert (ma_count == alleles.ma_count[found.variant]).all()
    frequency = alleles.af[found.variant]  # FastQTL prints the minor allele's
    np.testing.assert_allclose(np.minimum(frequency, 1 - frequency), af, rtol=1e-5)
    assert np.abs(found.neg_log10_p + np.log10(p)).max() < 1e-4
    np.testing.assert_allclose(found.slope_se, slope_se, rtol=1e-4)
    np.testing.assert_allclose(found.slope, slope, rtol=1e-5, atol=1e-5 * float(np.abs(slope).max()))


# ---------------------------------------------------------------------------------------------- the shared data


def test_two_genes_are_as_qtltools_recorded_them(shared_data):
    """The recorded rows of two genes, 53 covariates."""
    place = shared_data / "geuvadis-eqtl-qtltools"
    with gzip.open(place / "expected" / "nominal.2genes.txt.gz", "rt") as lines:
        told = [line.split() for line in lines]
    genes = sorted({fields[0] for fields in told})
    at = [int(fields[2]) for fields in told]
    cis = read_cis(place / "genotypes.chr22.vcf.gz", place / "genes.50percent.chr22.bed.gz", min(at), max(at))
    chosen = [cis.genes.index(gene) for gene in genes]
    covariates = read_covariates(place / "genes.covariates.pc50.txt.gz", cis.samples)
    found = map_all(cis.expression[chosen], cis.genotypes, cis.windows[chosen], covariates, model="qtltools")
    ours = {
        (genes[i], cis.ids[j]): (p, slope)
        for i, j, p, slope in zip(found.phenotype, found.variant, found.neg_log10_p, found.slope, strict=True)
    }
    theirs = {(fields[0], fields[7]): (-np.log10(float(fields[11])), float(fields[13])) for fields in told}
    assert ours.keys() == theirs.keys()
    difference = np.array([ours[pair] for pair in theirs]) - np.array(list(theirs.values()))
    assert np.abs(difference).max(axis=0) == pytest.approx([0.0, 0.0], abs=1e-5)


@pytest.mark.slow
def test_all_pairs_are_as_qtltools_has_them(require_tool, shared_data, tmp_path):
    """2,742,112 pairs of 608 genes and 85,485 variants."""
    program = require_tool("QTLtools")
    place = shared_data / "geuvadis-eqtl-qtltools"
    vcf, bed = place / "genotypes.chr22.vcf.gz", place / "genes.50percent.chr22.bed.gz"
    command = [
        program,
        "cis",
        "--nominal",
        "1",
        "--vcf",
        vcf,
        "--bed",
        bed,
        "--out",
        tmp_path / "nominal.txt",
    ]
    subprocess.run(
        [*command, "--cov", place / "genes.covariates.pc50.txt.gz"], check=True, capture_output=True
    )
    cis = read_cis(vcf, bed)
    covariates = read_covariates(place / "genes.covariates.pc50.txt.gz", cis.samples)
    found = map_all(cis.expression, cis.genotypes, cis.windows, covariates, model="qtltools")
    gene_of = {gene: i for i, gene in enumerate(cis.genes)}
    variant_of = {name: j for j, name in enumerate(cis.ids)}
    told = np.empty((found.p.size, 5))
    with open(tmp_path / "nominal.txt") as lines:
        for k, fields in enumerate(line.split() for line in lines):
            told[k] = gene_of[fields[0]], variant_of[fields[7]], fields[11], fields[13], fields[5]
    assert found.p.size == 2_742_112 == k + 1
    told = told[np.lexsort((told[:, 1], told[:, 0]))]
    assert (told[:, 0] == found.phenotype).all()
    assert (told[:, 1] == found.variant).all()
    assert np.abs(found.neg_log10_p + np.log10(told[:, 2])).max() < 2e-5
    assert (np.sign(told[:, 3]) == np.sign(found.slope)).all()
    assert (told[:, 4] == np.bincount(found.phenotype)[found.phenotype]).all()
