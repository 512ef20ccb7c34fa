"""`kgp eqtl map` as a job beside QTLtools, FastQTL and tensorQTL: the same pairs, values, best variants and eGenes."""

from __future__ import annotations

import gzip
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cis_data import read_cis, write_bed, write_covariates
from kgp import tables as t
from kgp.jobs import map_run
from map_sets import MadeSet, map_set, read_real_set, read_rows

N_PAIRS = 2_742_112


@pytest.fixture
def here(monkeypatch):
    """In this process: Spark is not what is tested here."""
    monkeypatch.setattr(map_run, "SMALL_SECONDS", 1e9)


@pytest.fixture(scope="module")
def example(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with QTLtools' example data as a set: 358 people, 608 genes, 85,485 variants, 50 components."""
    place, lake = shared_data / "geuvadis-eqtl-qtltools", tmp_path_factory.mktemp("example")
    read_example(place).write(lake)
    return lake


def read_example(place: Path) -> MadeSet:
    covariates = place / "genes.covariates.pc50.txt.gz"
    return read_real_set(place / "genotypes.chr22.vcf.gz", place / "genes.50percent.chr22.bed.gz", covariates)


def read_slice(bundled: Path, **given) -> MadeSet:
    """The bundled slice with covariates made by arithmetic, as `record_tensorqtl.py` makes them."""
    i = np.arange(358)
    covariates = np.column_stack([np.cos((k + 1) * i * i / 97.0) for k in range(5)])
    bed = bundled / "genes.50percent.chr22.bed.gz"
    return read_real_set(bundled / "genotypes.chr22.vcf.gz", bed, covariates, **given)


def columns_of(table, keys, names):
    """Key → row number, and columns as arrays."""
    where = {key: i for i, key in enumerate(zip(*(table[name].to_pylist() for name in keys), strict=True))}
    return where, {name: table[name].to_numpy() for name in names}


def read_oracle(root: Path, name: str) -> list[dict[str, str]]:
    with gzip.open(root / "tests" / "data" / "oracles" / "mapping" / name, "rt") as lines:
        header = next(lines).rstrip("\n").split("\t")
        return [dict(zip(header, line.rstrip("\n").split("\t"), strict=True)) for line in lines]


# ------------------------------------------------------------------------------------------------------- nominal


@pytest.mark.slow
def test_all_pairs_are_as_qtltools_has_them(require_tool, here, shared_data, example, tmp_path):
    place = shared_data / "geuvadis-eqtl-qtltools"
    command = [
        require_tool("QTLtools"),
        "cis",
        "--nominal",
        "1",
        "--std-err",
        "--out",
        tmp_path / "nominal.txt",
    ]
    command += ["--vcf", place / "genotypes.chr22.vcf.gz", "--bed", place / "genes.50percent.chr22.bed.gz"]
    subprocess.run(
        [*command, "--cov", place / "genes.covariates.pc50.txt.gz"], check=True, capture_output=True
    )
    report = map_set(example, model="qtltools")
    assert report.rows == {"eqtl_nominal": N_PAIRS}
    assert report.details["n_pairs"] == N_PAIRS
    assert report.details["dropped"] == {}
    rows = read_rows(example, t.EQTL_NOMINAL, f"map_id = '{report.details['map_id']}'")
    names = ("neg_log10_p", "slope", "slope_se", "tss_distance")
    where, ours = columns_of(rows, ("phenotype_id", "vcf_id"), names)
    assert len(where) == N_PAIRS
    order, told, strands = [], [], []
    for fields in map(str.split, (tmp_path / "nominal.txt").open()):
        order.append(where[fields[0], fields[7]])
        told.append((float(fields[11]), float(fields[13]), float(fields[14]), int(fields[6])))
        strands.append(fields[4])
    assert sorted(order) == list(range(N_PAIRS))
    ours = {name: values[order] for name, values in ours.items()}
    p, slope, slope_se, distance = np.array(told).T
    # It prints six digits: a millionth of p is 4e-7 of its logarithm; it computes in single precision.
    assert np.abs(ours["neg_log10_p"] + np.log10(p)).max() < 2e-5
    assert (np.sign(ours["slope"]) == np.sign(slope)).all()
    np.testing.assert_allclose(ours["slope_se"], slope_se, rtol=2e-5)
    np.testing.assert_allclose(ours["slope"], slope, rtol=2e-5, atol=1e-5 * float(np.abs(slope).max()))
    # It counts along the strand of the gene.
    np.testing.assert_array_equal(
        ours["tss_distance"], np.where(np.array(strands) == "-", -distance, distance)
    )


@pytest.mark.slow
def test_all_pairs_are_as_fastqtl_has_them(require_tool, here, shared_data, example, tmp_path):
    place = shared_data / "geuvadis-eqtl-qtltools"
    cis = read_cis(place / "genotypes.chr22.vcf.gz", place / "genes.50percent.chr22.bed.gz")
    bed = write_bed(tmp_path / "phenotypes.bed", cis)
    write_covariates(tmp_path / "covariates.txt", cis.samples, read_example(place).covariates, "\t")
    command = [require_tool("fastQTL"), "--region", "chr22:1-52000000", "--window", "1e6"]
    command += ["--vcf", place / "genotypes.chr22.vcf.gz", "--bed", bed, "--out", tmp_path / "nominal.txt"]
    subprocess.run(
        [*command, "--cov", tmp_path / "covariates.txt"], check=True, capture_output=True, cwd=tmp_path
    )
    report = map_set(example, model="fastqtl")
    assert report.details["df"] == 358 - 2 - 53  # the file has three more than the 50 components
    rows = read_rows(example, t.EQTL_NOMINAL, f"map_id = '{report.details['map_id']}'")
    names = ("neg_log10_p", "slope", "slope_se", "tss_distance", "ma_samples", "ma_count", "af")
    where, ours = columns_of(rows, ("phenotype_id", "vcf_id"), names)
    order, told = [], []
    for fields in map(str.split, (tmp_path / "nominal.txt").open()):
        order.append(where[fields[0], fields[1]])
        told.append([float(value) for value in fields[2:]])
    assert sorted(order) == list(range(N_PAIRS))
    ours = {name: values[order] for name, values in ours.items()}
    distance, ma_samples, ma_count, maf, p, slope, slope_se = np.array(told).T
    assert np.abs(ours["neg_log10_p"] + np.log10(p)).max() < 2e-5
    assert (np.sign(ours["slope"]) == np.sign(slope)).all()
    np.testing.assert_allclose(ours["slope_se"], slope_se, rtol=2e-5)
    np.testing.assert_allclose(ours["slope"], slope, rtol=2e-5, atol=1e-5 * float(np.abs(slope).max()))
    np.testing.assert_array_equal(ours["tss_distance"], distance)
    np.testing.assert_array_equal(ours["ma_samples"], ma_samples)
    np.testing.assert_array_equal(ours["ma_count"], ma_count)
    np.testing.assert_allclose(np.minimum(ours["af"], 1 - ours["af"]), maf, rtol=1e-5)


def test_pairs_are_as_tensorqtl_has_them(here, bundled, root, tmp_path):
    """All pairs of four genes; tensorQTL computes in single precision."""
    told = read_oracle(root, "tensorqtl_pairs.tsv.gz")
    made = read_slice(bundled)
    chosen = [made.phenotype_ids.index(name) for name in dict.fromkeys(row["phenotype_id"] for row in told)]
    made.phenotypes, made.tss = made.phenotypes[chosen], made.tss[chosen]
    made.phenotype_ids, made.phenotype_contigs = [made.phenotype_ids[i] for i in chosen], ["22"] * len(chosen)
    made.write(tmp_path)
    map_set(tmp_path)
    rows = read_rows(tmp_path, t.EQTL_NOMINAL)
    names = ("neg_log10_p", "slope", "slope_se", "af", "ma_samples", "ma_count")
    where, ours = columns_of(rows, ("phenotype_id", "variant_id"), names)
    order = [where[row["phenotype_id"], f"22_{row['variant_id']}_A_C"] for row in told]
    assert sorted(order) == list(range(rows.num_rows))
    theirs = {
        name: np.array([float(row[name]) for row in told]) for name in told[0] if not name.endswith("_id")
    }
    ours = {name: values[order] for name, values in ours.items()}
    assert np.abs(ours["neg_log10_p"] + np.log10(theirs["pval_nominal"])).max() < 1e-4
    np.testing.assert_allclose(ours["slope"], theirs["slope"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours["slope_se"], theirs["slope_se"], rtol=1e-5)
    np.testing.assert_allclose(ours["af"], theirs["af"], rtol=1e-6)
    np.testing.assert_array_equal(ours["ma_samples"], theirs["ma_samples"])
    np.testing.assert_array_equal(ours["ma_count"], theirs["ma_count"])


# ---------------------------------------------------------------------------------------------------- permutations


def read_permuted(path: Path) -> dict[str, list[str]]:
    return {fields[0]: fields for fields in map(str.split, path.read_text().splitlines())}


def count_egenes(root: Path) -> list[int]:
    """eGenes of QTLtools for each of its recorded seeds."""
    path = root / "tests" / "data" / "oracles" / "mapping" / "qtltools_seeds.tsv"
    return [int(line.split("\t")[1]) for line in path.read_text().splitlines()[1:]]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_permutations_find_what_qtltools_finds(require_tool, here, shared_data, example, root, tmp_path):
    """The same best variants, beta p's, and a number of eGenes inside the spread of its own seeds."""
    place = shared_data / "geuvadis-eqtl-qtltools"
    command = [require_tool("QTLtools"), "cis", "--permute", "1000", "--seed", "11"]
    command += ["--vcf", place / "genotypes.chr22.vcf.gz", "--bed", place / "genes.50percent.chr22.bed.gz"]
    command += ["--cov", place / "genes.covariates.pc50.txt.gz"]

    def run_part(part: int) -> dict[str, list[str]]:
        out = tmp_path / f"permute.{part}.txt"
        subprocess.run([*command, "--chunk", str(part), "2", "--out", out], check=True, capture_output=True)
        return read_permuted(out)

    with ThreadPoolExecutor(2) as pool:
        theirs = {name: row for part in pool.map(run_part, (1, 2)) for name, row in part.items()}
    compare_permutations(example, theirs, root)


@pytest.mark.slow
def test_permutations_find_what_qtltools_recorded(here, shared_data, example, root):
    compare_permutations(
        example, read_permuted(shared_data / "geuvadis-eqtl-qtltools/expected/permute1000.txt"), root
    )


def compare_permutations(example: Path, theirs: dict[str, list[str]], root: Path) -> None:
    report = map_set(example, mode="permute", model="qtltools", permutations=1000)
    figures = report.details["figures"]
    rows = read_rows(example, t.EQTL_TOP, f"map_id = '{report.details['map_id']}'").to_pylist()
    assert len(rows) == len(theirs) == figures["n_tested"] == 608
    told = [theirs[row["phenotype_id"]] for row in rows]
    for row, fields in zip(rows, told, strict=True):
        assert row["n_variants"] == int(fields[5])
        if row["vcf_id"] != fields[7]:  # a tie: as good, and no nearer
            assert row["neg_log10_p"] == pytest.approx(-np.log10(float(fields[15])), abs=1e-4)
            assert abs(row["tss_distance"]) <= abs(int(fields[6]))
    ours = np.array([row["p_beta"] for row in rows])
    assert np.corrcoef(ours, [float(fields[19]) for fields in told])[0, 1] > 0.999
    assert np.corrcoef([row["p_perm"] for row in rows], [float(fields[18]) for fields in told])[0, 1] > 0.998
    seeds = count_egenes(root)
    assert len(seeds) == 5
    assert min(seeds) <= figures["n_egenes"] <= max(seeds)


@pytest.mark.slow
def test_permutations_find_what_tensorqtl_finds(here, bundled, root, tmp_path):
    told = {row["phenotype_id"]: row for row in read_oracle(root, "tensorqtl_best.tsv.gz")}
    made = read_slice(bundled)
    made.write(tmp_path)
    map_set(tmp_path, mode="permute", permutations=1000)
    rows = read_rows(tmp_path, t.EQTL_TOP).to_pylist()
    assert {row["phenotype_id"] for row in rows} == set(told)
    for row in rows:
        of_tensorqtl = told[row["phenotype_id"]]
        assert row["n_variants"] == int(of_tensorqtl["num_var"])
        if row["variant_id"] == f"22_{of_tensorqtl['variant_id']}_A_C":
            assert row["slope"] == pytest.approx(float(of_tensorqtl["slope"]), rel=1e-4)
            assert row["slope_se"] == pytest.approx(float(of_tensorqtl["slope_se"]), rel=1e-4)
            assert (row["ma_samples"], row["ma_count"]) == (
                int(of_tensorqtl["ma_samples"]),
                int(of_tensorqtl["ma_count"]),
            )
        assert row["neg_log10_p"] == pytest.approx(-np.log10(float(of_tensorqtl["pval_nominal"])), abs=2e-4)
    for name, theirs, least in (("p_beta", "pval_beta", 0.999), ("p_perm", "pval_perm", 0.998)):
        both = np.array([(row[name], float(told[row["phenotype_id"]][theirs])) for row in rows])
        assert np.corrcoef(both.T)[0, 1] > least


# ----------------------------------------------------------------------------------------------------------- null


@pytest.mark.slow
@pytest.mark.parametrize("model", ["fastqtl", "qtltools"])
def test_without_any_effect_p_is_uniform_and_nothing_is_found(here, bundled, tmp_path, model):
    """Everybody gets the expression of somebody else, of each gene another one's: no gene has an eQTL."""
    made = read_slice(bundled)
    ranks = stats.rankdata(made.phenotypes, axis=1)
    made.phenotypes = np.random.default_rng(21).permuted(stats.norm.ppf(ranks / 359), axis=1)
    made.write(tmp_path)
    report = map_set(tmp_path, mode="permute", model=model, permutations=1000)
    rows = read_rows(tmp_path, t.EQTL_TOP)
    assert rows.num_rows == 301
    assert stats.kstest(rows["p_beta"].to_numpy(), "uniform").pvalue > 0.01
    assert stats.kstest(rows["p_perm"].to_numpy(), "uniform").pvalue > 0.01
    assert report.details["figures"]["n_egenes"] <= 1
    assert report.details["figures"]["pi0"] > 0.8
    map_set(tmp_path, model=model)
    nominal = read_rows(tmp_path, t.EQTL_NOMINAL)["p_value"].to_numpy()
    assert np.mean(nominal < 0.05) == pytest.approx(0.05, abs=0.006)
