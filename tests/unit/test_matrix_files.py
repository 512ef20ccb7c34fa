"""Exports of sets that are made here, row by row: what tools and plain readers find in them, without Spark."""

from __future__ import annotations

import datetime
import gzip
import json
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pgenlib
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import WriterProperties, write_deltalake
from scipy import stats

from kgp import tables as t
from kgp.errors import CheckError, InputError
from kgp.io import matrix_files, matrix_stretches
from kgp.io.delta import Lake
from kgp.job import Progress, Report, run_job
from kgp.jobs.export_eqtl import EXPORT_EQTL, FORMATS
from kgp.params import EqtlExport

CONTIGS = ("2", "10", "22", "X")


@dataclass
class Made:
    """A set, and the arrays that it is made of.

    Args:
        samples: people.
        sexes: of each.
        variants: (contig, pos, ref, alt) in the order that is expected in files.
        dosages: variants × samples, NaN where missing.
        genes: (contig, tss, id, strand) in that order.
        values: phenotypes × samples, NaN where missing.
        covariates: (id, contig or None, values).
        parameters: of the set.
        is_expected: whether dosages are expected ones.
    """

    samples: list[str]
    sexes: list[str]
    variants: list[tuple[str, int, str, str]]
    dosages: np.ndarray
    genes: list[tuple[str, int, str, str]]
    values: np.ndarray
    covariates: list[tuple[str, str | None, list[float]]]
    parameters: dict[str, str] = field(default_factory=lambda: {"cis_window": "1000000", "x_model": "0_2"})
    is_expected: bool = False

    @property
    def ids(self) -> list[str]:
        return ["_".join(map(str, variant)) for variant in self.variants]

    def on(self, contig: str) -> list[int]:
        return [i for i, variant in enumerate(self.variants) if variant[0] == contig]

    def genes_on(self, contig: str) -> list[int]:
        return [i for i, gene in enumerate(self.genes) if gene[0] == contig]


def put(lake: Lake, table: Any, rows: list[dict[str, Any]], *, groups: int = 10_000) -> None:
    lake.create(table)
    write_deltalake(
        lake.path(table), pa.Table.from_pylist(rows, schema=table.arrow_schema), mode="append",
        writer_properties=WriterProperties(max_row_group_size=groups),
    )  # fmt: skip


def fill(lake: Lake, made: Made, matrix_id: str = "m1", name: str = "made") -> None:
    """Write the set into files whose rows are out of order and overlap, two sets' rows beside each other."""
    called = np.where(np.isnan(made.dosages), 0, made.dosages)
    rows = []
    for i, (contig, pos, ref, alt) in enumerate(made.variants):
        an = int(2 * (~np.isnan(made.dosages[i])).sum())
        values = [None if np.isnan(d) else d for d in made.dosages[i].tolist()]
        column = "expected_dosages" if made.is_expected else "dosages"
        kept = values if made.is_expected else [None if v is None else int(v) for v in values]
        rows.append(
            {"matrix_id": matrix_id, "contig": contig, "variant_id": made.ids[i], "start": pos - 1,
             "end": pos - 1 + len(ref), "ref": ref, "alt": alt, "ac": called[i].sum(), "an": an,
             "af": called[i].sum() / an, "n_missing": int(np.isnan(made.dosages[i]).sum()), column: kept}
        )  # fmt: skip
    if not made.is_expected:
        rows = [{**row, "ac": int(row["ac"])} for row in rows]
    for part in (rows[::-2], rows[-2::-2]):  # backwards, every second one
        put(lake, t.EQTL_GENOTYPES, part, groups=3)
    phenotypes = [
        {"matrix_id": matrix_id, "contig": contig, "phenotype_id": gene, "start": tss - 1, "end": tss + 500, "tss": tss,
         "strand": strand, "gene_id": gene, "values": [None if np.isnan(v) else v for v in made.values[i].tolist()]}
        for i, (contig, tss, gene, strand) in enumerate(made.genes)
    ]  # fmt: skip
    put(lake, t.EQTL_PHENOTYPES, phenotypes[::-1], groups=2)
    put(
        lake,
        t.EQTL_COVARIATES,
        [
            {"matrix_id": matrix_id, "covariate_id": one, "row_index": i, "values": values, "contig": contig}
            for i, (one, contig, values) in enumerate(made.covariates)
        ],
    )
    put(
        lake,
        t.SAMPLES,
        [
            {"sample_id": one, "load_ids": ["p"], "callsets": [], "sex": sex}
            for one, sex in zip(made.samples, made.sexes, strict=True)
        ],
    )
    n = len(made.samples)
    built_at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    filled: dict[str, Any] = {
        "matrix_id": matrix_id, "name": name, "dataset": None, "callset": "c", "build": "GRCh37",
        "parameters": made.parameters, "load_ids": [], "table_versions": {}, "sample_ids": made.samples,
        "run_ids": made.samples, "n_samples": n, "n_variants": len(made.variants), "n_phenotypes": len(made.genes),
        "n_covariates": len(made.covariates), "dropped": {}, "dropped_samples": {}, "notes": [], "seconds": 0.0,
        "built_at": built_at,
    }  # fmt: skip
    put(lake, t.EQTL_MATRICES, [{key: filled[key] for key in t.EQTL_MATRICES.columns}])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    def refuse() -> Any:
        raise AssertionError("Spark was started")

    return Lake(refuse, str(tmp_path / "lake"))


@pytest.fixture
def made() -> Made:
    """Forty people, eight variants a contig, two of them at one place, one symbolic; missing values of both kinds."""
    generator = np.random.default_rng(11)
    samples = [f"HG{i:05}" for i in range(40)]
    sexes = ["male" if i % 3 else "female" for i in range(40)]
    variants, genes = [], []
    for contig in CONTIGS:
        # On X, 100,000 and 155,000,000 are pseudo-autosomal. More than a window apart, so that there are several.
        places = [100_000, 3_000_000, 3_000_100, 3_000_100, 3_200_000, 3_400_000, 3_400_050, 3_400_100]
        if contig == "X":
            places[-1] = 155_000_000
        alts = ["C", "C", "C", "G", "<DEL>", "C", "C", "C"]
        variants += [(contig, pos, "A", alt) for pos, alt in zip(places, alts, strict=True)]
        genes += [(contig, 3_000_050, f"b{contig}", "+"), (contig, 3_390_000, f"a{contig}", "-")]
    dosages = generator.integers(0, 3, size=(len(variants), 40)).astype(float)
    dosages[generator.random(dosages.shape) < 0.05] = np.nan
    values = generator.normal(size=(len(genes), 40))
    values[1, 3] = values[4, 7] = np.nan
    men = np.array([sex == "male" for sex in sexes])
    for i, (contig, pos, _, _) in enumerate(variants):
        if contig == "X" and 2_699_520 < pos < 154_931_043:
            dosages[i, men & (dosages[i] == 1)] = 2
    covariates = [
        ("sex_female", None, (~men).astype(float).tolist()),
        ("PC 1", None, generator.normal(size=40).tolist()),
    ]
    return Made(samples, sexes, variants, dosages, genes, values, covariates)


@pytest.fixture
def expected(made: Made) -> Made:
    """The same with expected dosages."""
    generator = np.random.default_rng(5)
    blurred = np.clip(made.dosages + generator.normal(0, 0.2, made.dosages.shape), 0, 2).astype(np.float32)
    made.dosages = blurred.astype(np.float64)
    made.is_expected = True
    return made


@pytest.fixture
def export(lake: Lake, config: Any) -> Callable[..., Report]:
    """``export(made, "fastqtl", out)``: write the set, run the job."""
    here = type(config)({**config.values, "": {**config.values[""], "lake": lake.uri}})

    def run(made: Made | None, export_format: str, out: Path) -> Report:
        if made is not None and not lake.exists(t.EQTL_MATRICES):
            fill(lake, made)
        params = here.params(EqtlExport, {"name": "made", "format": export_format, "out": str(out)})
        return run_job(EXPORT_EQTL, params, here, progress=Progress(quiet=True))

    return run


def read_table(path: Path, **options: Any) -> pd.DataFrame:
    """Numbers as they are written: pandas' own reading is off by a digit at times."""
    return pd.read_csv(path, sep="\t", float_precision="round_trip", **options)


def run(command: str, cwd: Path) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def slope(y: np.ndarray, x: np.ndarray, covariates: np.ndarray) -> float:
    design = np.column_stack([x, covariates, np.ones(len(x))])
    return float(np.linalg.lstsq(design, y, rcond=None)[0][0])


def with_means(rows: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(rows), np.nanmean(rows, axis=1, keepdims=True), rows)


def covariates_of(made: Made, contig: str | None = None) -> np.ndarray:
    return np.array([values for _, of, values in made.covariates if of in (None, contig)]).T


# ------------------------------------------------------------------------------------------------- FastQTL, QTLtools


def read_vcf(path: Path) -> tuple[list[str], list[list[str]]]:
    with gzip.open(path, "rt") as lines:
        rows = [line.rstrip("\n") for line in lines]
    return [r for r in rows if r.startswith("#")], [r.split("\t") for r in rows if not r.startswith("#")]


def test_the_vcf_is_in_karyotype_order_and_missing_is_missing(
    made: Made, export: Callable[..., Report], tmp_path: Path, require_tool: Callable[[str], Path]
) -> None:
    report = export(made, "fastqtl", tmp_path / "out")
    header, rows = read_vcf(tmp_path / "out" / "genotypes.vcf.gz")
    assert [(r[0], int(r[1]), r[3], r[4]) for r in rows] == made.variants
    assert [r[2] for r in rows] == made.ids
    words = {0: "0/0:0", 1: "0/1:1", 2: "1/1:2"}
    for row, dosages in zip(rows, made.dosages, strict=True):
        assert row[9:] == ["./.:." if np.isnan(d) else words[int(d)] for d in dosages]
        assert f"AN={2 * (~np.isnan(dosages)).sum()};" in row[7]
        assert f"AC={int(np.nansum(dosages))};" in row[7]
        assert ("END=3200000" in row[7]) == (row[4] == "<DEL>")
    assert any("hemizygous men on X count 0 or 2 copies" in line for line in header)
    assert "-1" not in "".join("".join(row[9:]) for row in rows)
    counted = run(f"{require_tool('bcftools')} index -n out/genotypes.vcf.gz", tmp_path)
    assert int(counted) == len(made.variants)
    assert report.rows["genotypes.vcf.gz"] == len(made.variants)
    assert "in men (x_model 0_2)" in (tmp_path / "out" / "README.fastqtl.txt").read_text()


def test_the_tools_take_the_mean_for_what_is_missing(
    made: Made, export: Callable[..., Report], tmp_path: Path, require_tool: Callable[[str], Path]
) -> None:
    """Each pair's slope is the least-squares one with the mean for missing genotypes and phenotypes."""
    require_tool("fastQTL"), require_tool("QTLtools")
    made.parameters["cis_window"] = "500000"
    report = export(made, "fastqtl", tmp_path / "out")
    qtltools, fastqtl = report.details["commands"]
    run(qtltools.replace("--nominal 1e-5", "--nominal 1"), tmp_path)
    run(fastqtl, tmp_path)
    found: dict[str, dict[tuple[str, str], float]] = {"fastqtl": {}, "qtltools": {}}
    for i in range(1, 5):
        with gzip.open(tmp_path / f"fastqtl.{i}.txt.gz", "rt") as lines:
            found["fastqtl"] |= {(f[0], f[1]): float(f[7]) for f in map(str.split, lines)}
    for f in map(str.split, (tmp_path / "qtltools.txt").read_text().splitlines()):
        found["qtltools"][f[0], f[7]] = float(f[13])
    y, x, c = with_means(made.values), with_means(made.dosages), covariates_of(made)
    n = 0
    residuals = np.array([one - np.column_stack([c, np.ones(40)]) @ np.linalg.lstsq(
        np.column_stack([c, np.ones(40)]), one, rcond=None)[0] for one in y])  # fmt: skip
    for i, (contig, tss, gene, _) in enumerate(made.genes):
        for j, (there, pos, _, alt) in enumerate(made.variants):
            if there == contig and abs(pos - tss) <= 500_000 and alt != "<DEL>":
                pair = gene, made.ids[j]
                assert found["fastqtl"][pair] == pytest.approx(slope(y[i], x[j], c), rel=2e-3, abs=2e-5)
                alone = stats.linregress(x[j], residuals[i]).slope
                assert found["qtltools"][pair] == pytest.approx(alone, rel=2e-3, abs=2e-5)
                n += 1
    assert n == 2 * (6 * 3 + 5)


def test_expected_dosages_reach_both_tools(
    expected: Made, export: Callable[..., Report], tmp_path: Path, require_tool: Callable[[str], Path]
) -> None:
    require_tool("fastQTL"), require_tool("QTLtools")
    report = export(expected, "fastqtl", tmp_path / "out")
    header, rows = read_vcf(tmp_path / "out" / "genotypes.vcf.gz")
    assert {row[8] for row in rows} == {"DS"}
    assert not any(line.startswith("##FORMAT=<ID=GT") for line in header)
    read = np.array([[np.nan if v == "." else np.float32(v) for v in row[9:]] for row in rows], np.float32)
    np.testing.assert_array_equal(read, expected.dosages.astype(np.float32))
    qtltools, fastqtl = report.details["commands"]
    run(qtltools.replace("--nominal 1e-5", "--nominal 1"), tmp_path)
    run(fastqtl, tmp_path)
    y, x, c = with_means(expected.values), with_means(expected.dosages), covariates_of(expected)
    genes = {gene: i for i, (_, _, gene, _) in enumerate(expected.genes)}
    variants = {one: j for j, one in enumerate(expected.ids)}
    n = 0
    for i in range(1, 5):
        with gzip.open(tmp_path / f"fastqtl.{i}.txt.gz", "rt") as lines:
            for f in map(str.split, lines):
                wanted = slope(y[genes[f[0]]], x[variants[f[1]]], c)
                assert float(f[7]) == pytest.approx(wanted, rel=2e-3, abs=2e-5)
                n += 1
    tested = (tmp_path / "qtltools.txt").read_text().splitlines()
    assert n > 40
    assert len(tested) >= n
    design = np.column_stack([c, np.ones(40)])
    for f in map(str.split, tested):
        one = y[genes[f[0]]]
        rest = one - design @ np.linalg.lstsq(design, one, rcond=None)[0]
        wanted = stats.linregress(x[variants[f[7]]], rest).slope
        assert float(f[13]) == pytest.approx(wanted, rel=2e-3, abs=2e-5)


# --------------------------------------------------------------------------------------------------- PLINK 2


def read_pgen(path: Path, n_variants: int, n_samples: int, *, dosages: bool) -> np.ndarray:
    with pgenlib.PgenReader(bytes(path)) as reader:
        if dosages:
            found: np.ndarray = np.zeros((n_variants, n_samples), np.float32)
            reader.read_dosages_range(0, n_variants, found)
        else:
            found = np.zeros((n_variants, n_samples), np.int8)
            reader.read_range(0, n_variants, found)
    return np.where(found == -9, np.nan, found)


def test_tensorqtl_has_the_numbers_of_the_set(
    made: Made, export: Callable[..., Report], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = export(made, "tensorqtl", out)
    np.testing.assert_array_equal(read_pgen(out / "genotypes.pgen", 32, 40, dosages=False), made.dosages)
    pvar = [line.split("\t") for line in (out / "genotypes.pvar").read_text().splitlines() if line[0] != "#"]
    assert [(r[0], int(r[1]), *r[3:]) for r in pvar] == made.variants
    psam = read_table(out / "genotypes.psam")
    assert psam["SEX"].tolist() == [1 if sex == "male" else 2 for sex in made.sexes]
    bed = read_table(out / "phenotypes.bed.gz", index_col=3, dtype={"#chr": str})
    assert list(bed.index) == [gene for _, _, gene, _ in made.genes]
    np.testing.assert_allclose(bed.to_numpy()[:, 3:].astype(float), with_means(made.values), rtol=1e-14)
    assert any("2 missing phenotype values were written as the phenotype's mean" in n for n in report.notes)
    covariates = read_table(out / "covariates.txt", index_col=0).T
    assert list(covariates.columns) == [
        "sex_female",
        "PC_1",
    ]  # a blank would be a cell of its own for QTLtools
    np.testing.assert_array_equal(covariates.to_numpy(), covariates_of(made))


def test_expected_dosages_are_plink_dosages(
    expected: Made, export: Callable[..., Report], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = export(expected, "tensorqtl", out)
    found = read_pgen(out / "genotypes.pgen", 32, 40, dosages=True)
    np.testing.assert_allclose(found, expected.dosages, atol=1 / 32768)
    assert "--dosages" in report.details["commands"][0]


def plink_slopes(report: Report, tmp_path: Path, contig: str) -> dict[tuple[str, str], tuple[float, str]]:
    command = next(c for c in report.details["commands"] if c.endswith(f"plink2.{contig}"))
    run(command, tmp_path)
    found = {}
    for path in tmp_path.glob(f"plink2.{contig}.*.glm.linear"):
        gene = path.name.removeprefix(f"plink2.{contig}.").removesuffix(".glm.linear")
        for row in read_table(path).to_dict("records"):
            if row["TEST"] == "ADD" and row["ERRCODE"] == ".":
                found[gene, row["ID"]] = float(row["BETA"]), row["A1"]
    return found


def check_plink(
    made: Made, report: Report, tmp_path: Path, contig: str, scale: np.ndarray | None = None
) -> None:
    """PLINK 2 leaves out who has no genotype or phenotype."""
    found = plink_slopes(report, tmp_path, contig)
    n = 0
    for i in made.genes_on(contig):
        for j in made.on(contig):
            x = made.dosages[j] if scale is None else made.dosages[j] * scale
            known = ~np.isnan(x) & ~np.isnan(made.values[i])
            wanted = slope(made.values[i][known], x[known], covariates_of(made, contig)[known])
            value, effect = found[made.genes[i][2], made.ids[j]]
            assert effect == made.variants[j][3]
            assert value == pytest.approx(wanted, rel=1e-4, abs=1e-6)
            n += 1
    assert n == len(made.on(contig)) * 2


@pytest.mark.parametrize("contig", ["10", "X"])
def test_plink2_runs_on_its_files(
    made: Made,
    export: Callable[..., Report],
    tmp_path: Path,
    contig: str,
    require_tool: Callable[[str], Path],
) -> None:
    require_tool("plink2")
    report = export(made, "plink2", tmp_path / "out")
    check_plink(made, report, tmp_path, contig)


def test_plink2_takes_dosages(
    expected: Made, export: Callable[..., Report], tmp_path: Path, require_tool: Callable[[str], Path]
) -> None:
    require_tool("plink2")
    expected.dosages = np.round(expected.dosages * 16384) / 16384
    check_plink(expected, export(expected, "plink2", tmp_path / "out"), tmp_path, "22")


def hemizygous(made: Made) -> np.ndarray:
    """Variants × samples: men outside of the pseudo-autosomal regions of X."""
    on_x = np.array([c == "X" and 2_699_520 < pos < 154_931_043 for c, pos, _, _ in made.variants])
    return np.outer(on_x, [sex == "male" for sex in made.sexes])


def test_x_by_copies_of_0_and_1(
    made: Made, export: Callable[..., Report], tmp_path: Path, require_tool: Callable[[str], Path]
) -> None:
    """PLINK 2's files have 0 and 2, and its own option halves them; the others have what the set has."""
    require_tool("plink2")
    made.parameters["x_model"] = "0_1"
    is_half = hemizygous(made)
    made.dosages = np.where(is_half, made.dosages / 2, made.dosages)
    report = export(made, "plink2", tmp_path / "out")
    stored = read_pgen(tmp_path / "out" / "plink2.pgen", 32, 40, dosages=False)
    np.testing.assert_array_equal(stored, np.where(is_half, made.dosages * 2, made.dosages))
    pvar = [
        line.split("\t")
        for line in (tmp_path / "out" / "plink2.pvar").read_text().splitlines()
        if line[0] != "#"
    ]
    assert [row[0] for row in pvar[-8:]] == ["PAR1", *["X"] * 6, "PAR2"]
    assert "--chr X,PAR1,PAR2" in report.details["commands"][-1]
    assert "--xchr-model 1" in report.details["commands"][-1]
    check_plink(made, report, tmp_path, "X")
    export(made, "tensorqtl", tmp_path / "out")
    kept = read_pgen(tmp_path / "out" / "genotypes.pgen", 32, 40, dosages=False)
    np.testing.assert_array_equal(kept, made.dosages)
    export(made, "fastqtl", tmp_path / "out")
    header, _ = read_vcf(tmp_path / "out" / "genotypes.vcf.gz")
    assert any("hemizygous men on X count 0 or 1 copy" in line for line in header)


def test_a_man_with_two_copies_is_refused_where_one_counts(
    made: Made, export: Callable[..., Report], tmp_path: Path
) -> None:
    made.parameters["x_model"] = "0_1"
    with pytest.raises(InputError, match=r"A man has two copies at variant X_\d+_A_.*kgp samples qc"):
        export(made, "plink2", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_phenotypes_that_plink2_takes_for_cases_are_told(
    made: Made, export: Callable[..., Report], tmp_path: Path
) -> None:
    made.values[2] = np.arange(40) % 2 + 1
    report = export(made, "plink2", tmp_path / "out")
    assert any(note.startswith("1 phenotypes have no values but 0, 1 and 2") for note in report.notes)


# -------------------------------------------------------------------------------------------------- Matrix eQTL


@pytest.mark.parametrize("kind", ["calls", "dosages"])
def test_matrix_eqtl_tables(made: Made, export: Callable[..., Report], tmp_path: Path, kind: str) -> None:
    if kind == "dosages":
        made.dosages = np.clip(made.dosages * 0.9, 0, 2).astype(np.float32).astype(np.float64)
        made.is_expected = True
    out = tmp_path / "out"
    report = export(made, "matrixeqtl", out)
    snps = read_table(out / "SNP.txt", index_col=0)
    assert list(snps.index) == made.ids
    assert list(snps.columns) == made.samples
    np.testing.assert_array_equal(snps.to_numpy(np.float32), made.dosages.astype(np.float32))
    places = read_table(out / "snpspos.txt", dtype={"chr": str})
    assert list(places.columns) == ["snp", "chr", "pos"]
    assert places.to_numpy().tolist() == [
        [i, v[0], v[1]] for i, v in zip(made.ids, made.variants, strict=True)
    ]
    expression = read_table(out / "expression.txt", index_col=0)
    np.testing.assert_array_equal(expression.to_numpy(), made.values)
    genes = read_table(out / "genepos.txt", dtype={"chr": str})
    assert genes.to_numpy().tolist() == [[gene, contig, tss, tss] for contig, tss, gene, _ in made.genes]
    covariates = read_table(out / "matrixeqtl.covariates.txt", index_col=0)
    np.testing.assert_array_equal(covariates.to_numpy().T, covariates_of(made))
    assert report.details["commands"] == [f"Rscript {out}/matrixeqtl.R"]
    assert "cisDist = 1000000" in (out / "matrixeqtl.R").read_text()


def test_r_parses_the_script_and_reads_the_positions(
    made: Made, export: Callable[..., Report], tmp_path: Path, require_tool: Callable[[str], Path]
) -> None:
    """With stand-ins for the package's two names, R runs the script to its end."""
    require_tool("Rscript")
    export(made, "matrixeqtl", tmp_path / "out")
    (tmp_path / "stub.R").write_text(
        "library <- function(...) invisible(NULL)\n"
        "SlicedData <- list(new = function() {\n"
        "  self <- new.env()\n"
        "  self$LoadFile <- function(path) self$data <- read.table(path, header = TRUE, sep = self$fileDelimiter,\n"
        "    row.names = self$fileSkipColumns, na.strings = self$fileOmitCharacters, check.names = FALSE)\n"
        "  self\n})\n"
        "modelLINEAR <- 1\n"
        "Matrix_eQTL_main <- function(snps, gene, cvrt, snpspos, genepos, cisDist, output_file_name.cis, ...) {\n"
        "  cat(dim(snps$data), dim(gene$data), dim(cvrt$data), snpspos$chr[1], genepos$left[1], cisDist,\n"
        '    sum(is.na(snps$data)), sum(is.na(gene$data)), output_file_name.cis, "\\n")\n}\n'
    )
    script = (tmp_path / "out" / "matrixeqtl.R").read_text()
    (tmp_path / "out" / "run.R").write_text((tmp_path / "stub.R").read_text() + script)
    said = run("Rscript out/run.R", tmp_path).split()
    n_missing = str(int(np.isnan(made.dosages).sum()))
    assert said == [
        "32",
        "40",
        "8",
        "40",
        "2",
        "40",
        "2",
        "3000050",
        "1e+06",
        n_missing,
        "2",
        "matrixeqtl.cis.txt",
    ]


# ------------------------------------------------------------------------------------------------------ Parquet


def test_parquet_is_wide_with_the_id_first(made: Made, export: Callable[..., Report], tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(made, "parquet", out)
    for contig in CONTIGS:
        path = out / f"genotypes.{contig}.parquet"
        assert pq.read_schema(path).names == ["variant_id", *made.samples]
        assert set(pq.read_schema(path).types[1:]) == {pa.int8()}
        found = pd.read_parquet(path).set_index("variant_id")
        assert list(found.index) == [made.ids[i] for i in made.on(contig)]
        np.testing.assert_array_equal(found.to_numpy(np.float64), made.dosages[made.on(contig)])
    variants = pd.read_parquet(out / "variants.parquet")
    assert (
        list(zip(variants["contig"], variants["pos"], variants["ref"], variants["alt"], strict=True))
        == made.variants
    )
    # As jaxQTL and tensorQTL read it: the fourth column becomes the index.
    bed = pd.read_parquet(out / "phenotypes.bed.parquet")
    bed.set_index(bed.columns[3], inplace=True)
    assert list(bed.columns[:3]) == ["#chr", "start", "end"]
    assert bed.index.tolist() == (out / "genes.txt").read_text().split() == [gene[2] for gene in made.genes]
    assert (bed["end"] == [gene[1] for gene in made.genes]).all()
    assert (bed["start"] + 1 == bed["end"]).all()
    np.testing.assert_array_equal(bed.to_numpy()[:, 3:].astype(float), made.values)
    for table in (
        pd.read_parquet(out / "covariates.parquet").set_index("iid"),
        read_table(out / "covariates.tsv", index_col=0),
    ):
        assert list(table.index) == made.samples
        np.testing.assert_array_equal(table.to_numpy(), covariates_of(made))


def test_parquet_of_expected_dosages(
    expected: Made, export: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgp.io.matrix_parquet.STRETCH_VALUES", 120)  # three rows a row group
    export(expected, "parquet", tmp_path / "out")
    found = pq.ParquetFile(tmp_path / "out" / "genotypes.22.parquet")
    assert found.num_row_groups > 1
    values = found.read().to_pandas().set_index("variant_id").to_numpy()
    np.testing.assert_array_equal(values, expected.dosages[expected.on("22")].astype(np.float32))


# ---------------------------------------------------------------------------------- covariates of one contig each


@pytest.fixture
def loco(made: Made) -> Made:
    """Two components, each made without the contig of the phenotypes."""
    generator = np.random.default_rng(2)
    for contig in CONTIGS:
        made.covariates.append((f"PC1_without_{contig}", contig, generator.normal(size=40).tolist()))
    return made


def test_covariates_of_a_contig_go_with_its_phenotypes(
    loco: Made, export: Callable[..., Report], tmp_path: Path, require_tool: Callable[[str], Path]
) -> None:
    require_tool("fastQTL"), require_tool("QTLtools"), require_tool("plink2")
    out = tmp_path / "out"
    reports = {name: export(loco, name, out) for name in FORMATS}
    names = {path.name for path in out.iterdir()}
    for contig in CONTIGS:
        table = read_table(out / f"covariates.{contig}.txt", index_col=0)
        assert list(table.index) == ["sex_female", "PC_1", f"PC1_without_{contig}"]
        np.testing.assert_array_equal(table.to_numpy().T, covariates_of(loco, contig))
        assert {f"phenotypes.{contig}.bed.gz", f"plink2.covariates.{contig}.txt", f"expression.{contig}.txt",
                f"matrixeqtl.covariates.{contig}.txt", f"phenotypes.{contig}.bed.parquet",
                f"covariates.{contig}.tsv"} <= names  # fmt: skip
    assert "covariates.txt" not in names
    assert "phenotypes.bed.gz" not in names
    assert len(reports["tensorqtl"].details["commands"]) == len(CONTIGS)
    check_plink(loco, reports["plink2"], tmp_path, "10")
    y, x = with_means(loco.values), with_means(loco.dosages)
    for command in reports["fastqtl"].details["commands"][2:4]:
        run(command, tmp_path)
    with gzip.open(tmp_path / "fastqtl.10.txt.gz", "rt") as lines:
        rows = list(map(str.split, lines))
    assert {row[0] for row in rows} == {"a10", "b10"}
    assert (tmp_path / "qtltools.10.txt").exists()
    for row in rows:
        i = next(i for i, gene in enumerate(loco.genes) if gene[2] == row[0])
        wanted = slope(y[i], x[loco.ids.index(row[1])], covariates_of(loco, "10"))
        assert float(row[7]) == pytest.approx(wanted, rel=2e-3, abs=2e-5)


# --------------------------------------------------------------------------------------------- files as a whole


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "manifest.json"}


@pytest.mark.parametrize("export_format", list(FORMATS))
def test_the_bytes_depend_on_rows_alone(
    made: Made, export: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, export_format: str,
    lake: Lake,
) -> None:  # fmt: skip
    """Other files and row groups of the tables, smaller stretches and blocks: the same bytes."""
    export(made, export_format, tmp_path / "a")
    from deltalake import DeltaTable

    DeltaTable(lake.path(t.EQTL_GENOTYPES)).optimize.compact()
    DeltaTable(lake.path(t.EQTL_PHENOTYPES)).optimize.compact()
    monkeypatch.setattr(matrix_stretches, "STRETCH_VALUES", 100)
    monkeypatch.setattr(matrix_files, "BLOCK_VALUES", 50)
    export(None, export_format, tmp_path / "b")
    first, second = contents(tmp_path / "a"), contents(tmp_path / "b")
    readme = f"README.{export_format}.txt"
    assert first.pop(readme).replace(b"/a/", b"/b/") == second.pop(readme)
    assert {name: data for name, data in first.items() if not name.endswith(".tbi")} == {
        name: data for name, data in second.items() if not name.endswith(".tbi")
    }


def test_formats_lie_beside_each_other_and_again_is_nothing_to_do(
    made: Made, export: Callable[..., Report], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for name in FORMATS:
        assert export(made, name, out).changed
    listed = json.loads((out / "manifest.json").read_text())["formats"]
    names = [file["name"] for one in listed.values() for file in one["files"]]
    assert len(names) == len(set(names))  # no format writes a file of another
    assert {*names, "manifest.json"} == {path.name for path in out.iterdir()}
    for name in FORMATS:
        again = export(made, name, out)
        assert not again.changed
        assert [shlex.split(c.split(";")[0])[0] for c in again.details["commands"]]
        text = (out / f"README.{name}.txt").read_text()
        assert all(command in text for command in again.details["commands"])
        assert "never as -1" in text


@pytest.mark.parametrize("export_format", list(FORMATS))
def test_a_set_without_covariates(
    made: Made, export: Callable[..., Report], tmp_path: Path, export_format: str
) -> None:
    made.covariates = []
    report = export(made, export_format, tmp_path / "out")
    assert not [path for path in (tmp_path / "out").iterdir() if "covariates" in path.name]
    options = {"--cov", "--covar", "-covar", "--covariates"}
    assert not any(options & set(shlex.split(command)) for command in report.details["commands"])


def test_rows_of_another_set_and_of_nobody_are_left_alone(
    made: Made, export: Callable[..., Report], tmp_path: Path, lake: Lake
) -> None:
    fill(lake, made)
    twice = [{**row, "matrix_id": "debris"} for row in lake.fetch_all(t.EQTL_GENOTYPES).to_pylist()[:5]]
    put(lake, t.EQTL_GENOTYPES, twice)
    export(None, "fastqtl", tmp_path / "out")
    assert len(read_vcf(tmp_path / "out" / "genotypes.vcf.gz")[1]) == len(made.variants)


@pytest.mark.parametrize("export_format", list(FORMATS))
def test_a_dosage_of_three_copies_is_refused(
    made: Made, export: Callable[..., Report], tmp_path: Path, export_format: str
) -> None:
    made.dosages[4, 0] = 3
    with pytest.raises(
        InputError, match=r"Variant 2_3200000_A_<DEL> has a dosage of 3, which is no number of copies"
    ):
        export(made, export_format, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_a_set_that_lost_rows_is_noticed(
    made: Made, lake: Lake, export: Callable[..., Report], tmp_path: Path
) -> None:
    fill(lake, made)
    kept = [row for row in lake.fetch_all(t.EQTL_GENOTYPES).to_pylist() if row["contig"] != "10"]
    lake.put(t.EQTL_GENOTYPES, kept, None)
    for name in ("fastqtl", "tensorqtl", "parquet"):
        with pytest.raises(CheckError, match=r"24 variants (were written|came) instead of 32"):
            export(None, name, tmp_path / "out")


def test_stretches_begin_at_windows_and_hold_every_row_once(
    made: Made, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(lake, made)
    monkeypatch.setattr(matrix_stretches, "STRETCH_VALUES", 100)
    from kgp.genome import GRCH37

    parts = lake.parts(t.EQTL_GENOTYPES, ids=["m1"], target_rows=1)
    stretches = matrix_stretches.plan_stretches(parts, GRCH37, 40)
    assert len(stretches) > len(CONTIGS)
    assert list(dict.fromkeys(one.contig for one in stretches)) == list(CONTIGS)
    found = []
    for one, following in zip(stretches, [*stretches[1:], None], strict=True):
        rows = matrix_stretches.read_stretch(one)
        found += [] if rows is None else rows.rows.column("variant_id").to_pylist()
        if following is not None and following.contig == one.contig:
            assert one.end == following.begin
            assert one.end % matrix_stretches.WINDOW == 0
    assert found == made.ids
