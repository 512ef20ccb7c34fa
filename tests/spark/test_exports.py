"""Exports: what the tools read is what the raw files say, and exporting again changes nothing."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import subprocess

import numpy as np
import pandas as pd
import pgenlib
import pysam
import pytest
from scipy import stats

from kgp.errors import InputError, LakeError, UsageError
from kgp.io import matrix_files, matrix_stretches
from kgp.io.exports import ExportDirectory

LOOSE = {"min_expression": 0.0, "min_maf": 0.0, "max_missing": 1.0}


@pytest.fixture(scope="session")
def export_set(make_config):
    """``export_set(lake, name, format, out)``: run the job; gives its report."""
    from kgp.job import Progress, run_job
    from kgp.jobs.export_eqtl import EXPORT_EQTL
    from kgp.params import EqtlExport

    def export(lake, name, export_format, out):
        config = make_config(lake)
        params = config.params(EqtlExport, {"name": name, "format": export_format, "out": str(out)})
        return run_job(EXPORT_EQTL, params, config, progress=Progress(quiet=True))

    return export


@pytest.fixture(scope="session")
def exported(slice_lake, export_set, tmp_path_factory):
    """The set ``eur`` of the bundled slice in both formats, in one directory."""
    out = tmp_path_factory.mktemp("out")
    reports = {name: export_set(slice_lake, "eur", name, out) for name in ("fastqtl", "tensorqtl")}
    return out, reports


def run(*command, cwd=None):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def near_genes(raw, cis_window=1_000_000):
    """(index, gene) of the expressed genes, and which variants lie near one, from the raw files alone."""
    columns = [raw.gene_samples.index(s) for s in raw.samples]
    genes = [(i, g) for i, g in enumerate(raw.genes) if (raw.expression[i, columns] >= 0.1).sum() >= 72]
    pos = np.array([site[0] for site in raw.sites])
    tss = np.array([g[1] for _, g in genes])
    return genes, (np.abs(pos[:, None] - tss[None, :]) <= cis_window).any(axis=1)


# ----------------------------------------------------------------------------------------------- the files


def test_the_vcf_holds_the_genotypes_of_the_source(exported, raw, require_tool):
    out, _ = exported
    _, near = near_genes(raw)
    assert (out / "genotypes.vcf.gz.tbi").stat().st_mtime >= (out / "genotypes.vcf.gz").stat().st_mtime
    text = run(require_tool("bcftools"), "query", "-f", r"%CHROM\t%POS\t%ID\t%REF\t%ALT\t%AC\t%AN\t%AF[\t%GT:%DS]\n",
               out / "genotypes.vcf.gz")  # fmt: skip
    words = {0: "0/0:0", 1: "0/1:1", 2: "1/1:2"}
    lines = text.splitlines()
    assert len(lines) == near.sum()
    for line, i in zip(lines, np.flatnonzero(near), strict=True):
        pos, _, ref, alt = raw.sites[i]
        ac = int(raw.dosages[i].sum())
        leading = ["22", str(pos), f"22_{pos}_{ref}_{alt}", ref, alt, str(ac), "716", f"{ac / 716:.6g}"]
        assert line.split("\t") == leading + [words[d] for d in raw.dosages[i].tolist()]
    samples = run(require_tool("bcftools"), "query", "-l", out / "genotypes.vcf.gz").split()
    assert samples == raw.samples
    header = run(require_tool("bcftools"), "view", "-h", out / "genotypes.vcf.gz")
    assert "##contig=<ID=22,length=51304566,assembly=GRCh37>" in header
    # The index finds a line by its place.
    pos = raw.sites[np.flatnonzero(near)[1000]][0]
    assert run("tabix", out / "genotypes.vcf.gz", f"22:{pos}-{pos}").split("\t")[1] == str(pos)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("phenotypes.fastqtl.bed.gz", ["#Chr", "start", "end", "ID"]),
        ("phenotypes.qtltools.bed.gz", ["#chr", "start", "end", "pid", "gid", "strand"]),
        ("phenotypes.bed.gz", ["#chr", "start", "end", "phenotype_id"]),
    ],
)
def test_the_beds_hold_the_transformed_expression(exported, raw, name, columns):
    out, _ = exported
    genes, _ = near_genes(raw)
    with gzip.open(out / name, "rt") as lines:
        header, *body = (line.rstrip("\n").split("\t") for line in lines)
    assert header == columns + raw.samples
    order = [raw.gene_samples.index(s) for s in raw.samples]
    genes.sort(key=lambda gene: (gene[1][1], gene[1][2]))
    assert [row[3] for row in body] == [g[2] for _, g in genes]
    for row, (i, (_, end, gene, strand)) in zip(body, genes, strict=True):
        assert row[:4] == ["22", str(end - 1), str(end), gene]
        if len(columns) == 6:
            assert row[4:6] == [gene, strand]
        expected = stats.norm.ppf(stats.rankdata(raw.expression[i, order]) / 359)
        np.testing.assert_allclose([float(x) for x in row[len(columns) :]], expected, rtol=1e-12, atol=1e-15)
    with pysam.TabixFile(str(out / name)) as tabix:
        middle = genes[len(genes) // 2][1]
        assert any(line.split("\t")[3] == middle[2] for line in tabix.fetch("22", middle[1] - 1, middle[1]))


def test_tensorqtl_reads_the_same_people_everywhere(exported, raw):
    """What tensorQTL 1.0.10 does: read_phenotype_bed, covariates transposed, PgenReader."""
    out, _ = exported
    phenotypes = pd.read_csv(out / "phenotypes.bed.gz", sep="\t", index_col=3, dtype={"#chr": str})
    places = phenotypes.iloc[:, :3]
    assert places.equals(places.sort_values(["start", "end"], kind="stable"))
    assert (places["start"] + 1 == places["end"]).all()
    covariates = pd.read_csv(out / "covariates.txt", sep="\t", index_col=0).T
    assert phenotypes.columns[3:].equals(covariates.index)
    assert list(covariates.columns) == ["sex_female", "population_FIN", "population_GBR", "population_TSI"]
    assert covariates["population_TSI"].tolist() == [int(raw.panel[s][0] == "TSI") for s in raw.samples]
    people = pd.read_csv(out / "genotypes.psam", sep="\t", index_col=0)
    assert list(people.index) == raw.samples == list(covariates.index)
    variants = pd.read_csv(
        out / "genotypes.pvar", sep="\t", comment="#", names=["chrom", "pos", "id", "ref", "alt"]
    )
    _, near = near_genes(raw)
    assert variants["pos"].tolist() == [raw.sites[i][0] for i in np.flatnonzero(near)]
    with pgenlib.PgenReader(bytes(out / "genotypes.pgen")) as reader:
        found = np.zeros((len(variants), len(people)), np.int8)
        reader.read_range(0, len(variants), found)
    assert np.array_equal(found, raw.dosages[near])


# ----------------------------------------------------------------------------------------------- the tools


def test_qtltools_gives_on_the_export_what_it_gives_on_the_source(exported, bundled, require_tool, tmp_path):
    """Every pair of every gene: the same p, r², slope and best variant, from the VCF as it was bundled."""
    out, _ = exported
    qtltools = require_tool("QTLtools")
    # The bundled rows say chr22, which the export calls 22.
    with (
        gzip.open(out / "phenotypes.qtltools.bed.gz", "rt") as lines,
        pysam.BGZFile(str(tmp_path / "chr.bed.gz"), "wb") as bed,
    ):
        for line in lines:
            bed.write((line if line.startswith("#") else f"chr{line}").encode())
    pysam.tabix_index(str(tmp_path / "chr.bed.gz"), preset="bed")
    results = []
    for vcf, bed in (
        (out / "genotypes.vcf.gz", out / "phenotypes.qtltools.bed.gz"),
        (bundled / "genotypes.chr22.vcf.gz", tmp_path / "chr.bed.gz"),
    ):
        run(qtltools, "cis", "--vcf", vcf, "--bed", bed, "--cov", out / "covariates.txt.gz", "--nominal", "0.1",
            "--out", tmp_path / "nominal.txt", "--silent")  # fmt: skip
        rows = [line.split() for line in (tmp_path / "nominal.txt").read_text().splitlines()]
        # Without contigs (22, chr22) and the variant's id (22_pos_ref_alt, 22_pos).
        results.append([[*row[:1], *row[2:7], *row[9:]] for row in rows])
    assert len(results[0]) > 100_000
    assert results[0] == results[1]


def test_fastqtl_runs_and_its_slope_is_the_least_squares_one(exported, raw, require_tool, tmp_path):
    out, _ = exported
    run(require_tool("fastQTL"), "--vcf", out / "genotypes.vcf.gz", "--bed", out / "phenotypes.fastqtl.bed.gz", "--cov",
        out / "covariates.txt.gz", "--region", "22:45600000-45800000", "--out", tmp_path / "nominal.txt.gz",
        cwd=tmp_path)  # fmt: skip
    with gzip.open(tmp_path / "nominal.txt.gz", "rt") as lines:
        rows = [line.split() for line in lines]
    pos = np.array([site[0] for site in raw.sites])
    genes = [(i, g) for i, g in near_genes(raw)[0] if 45_600_000 <= g[1] <= 45_800_000]
    expected = {(g[2], j) for _, g in genes for j in np.flatnonzero(np.abs(pos - g[1]) <= 1_000_000)}
    assert len(genes) >= 2
    assert len(rows) == len(expected)
    order = [raw.gene_samples.index(s) for s in raw.samples]
    indicators = [
        [raw.panel[s][2] == "female", *(raw.panel[s][0] == p for p in ("FIN", "GBR", "TSI"))]
        for s in raw.samples
    ]
    covariates = np.column_stack([np.ones(358), np.array(indicators, dtype=float)])
    y = {g[2]: stats.norm.ppf(stats.rankdata(raw.expression[i, order]) / 359) for i, g in genes}
    index = {"22_{}_{}_{}".format(site[0], *site[2:]): j for j, site in enumerate(raw.sites)}
    for gene, variant, distance, *_, p, slope, slope_se in rows[:: len(rows) // 50]:
        j = index[variant]
        assert (gene, j) in expected
        assert int(distance) == pos[j] - next(g[1] for _, g in genes if g[2] == gene)
        design = np.column_stack([raw.dosages[j], covariates])
        beta, residual, _, _ = np.linalg.lstsq(design, y[gene], rcond=None)
        df = 358 - design.shape[1]
        se = np.sqrt(residual[0] / df * np.linalg.inv(design.T @ design)[0, 0])
        assert float(slope) == pytest.approx(beta[0], rel=2e-4, abs=1e-6)
        assert float(slope_se) == pytest.approx(se, rel=2e-4)
        assert float(p) == pytest.approx(2 * stats.t.sf(abs(beta[0] / se), df), rel=5e-3)


@pytest.mark.slow
def test_plink2_counts_what_bcftools_counts_in_a_cohort(
    slice_template, build_set, export_set, bundled, raw, require_tool, tmp_path
):
    lake, out = tmp_path / "lake", tmp_path / "out"
    shutil.copytree(slice_template, lake)
    build_set(lake, name="fin", cohort="FIN", min_maf=0.1, cis_window=100_000)
    export_set(lake, "fin", "tensorqtl", out)
    run(
        require_tool("plink2"), "--pfile", out / "genotypes", "--freq", "counts", "--out", tmp_path / "counts"
    )
    found = pd.read_csv(tmp_path / "counts.acount", sep="\t")
    finns = [s for s in raw.samples if raw.panel[s][0] == "FIN"]
    subset = run(
        require_tool("bcftools"), "view", "-Ov", "-s", ",".join(finns), bundled / "genotypes.chr22.vcf.gz"
    )
    (tmp_path / "finns.vcf").write_text(subset)
    text = run("bcftools", "query", "-f", r"22_%POS\_%REF\_%ALT\t%AC\t%AN\n", tmp_path / "finns.vcf")
    expected = {name: (int(ac), int(an)) for name, ac, an in (line.split("\t") for line in text.splitlines())}
    assert len(found) > 5_000
    for name, alt, total in zip(found["ID"], found["ALT_CTS"], found["OBS_CT"], strict=True):
        assert expected[name] == (alt, total)
        assert min(alt, total - alt) / total >= 0.1


@pytest.fixture
def gaps(toy):
    """Forty people, two genes on contigs 2 and 10; genotypes and phenotypes with missing values."""
    generator = np.random.default_rng(3)
    names = [f"HG{i:02}" for i in range(40)]
    toy.people = {n: ("CEU", "EUR", "male" if i % 3 else "female") for i, n in enumerate(names)}
    toy.callset = names
    toy.runs = {n: n for n in names}
    make = type(toy.variants)
    template = toy.variants[0]
    toy.variants = make()
    for contig, pos in (("10", 900), ("2", 1100), ("10", 950), ("2", 1000), ("2", 1050)):
        dosages = generator.integers(0, 3, size=40).tolist()
        for i in generator.choice(40, size=6, replace=False):
            dosages[i] = None
        toy.variants.append(
            {**template, "contig": contig, "start": pos - 1, "end": pos, "record_id": pos, "dosages": dosages,
             "variant_id": f"{contig}_{pos}_A_C"}
        )  # fmt: skip
    toy.variants[1] |= {"alt": "<DEL>", "variant_id": "2_1100_A_<DEL>_1500", "end": 1500}
    toy.genes = {"g10": ("10", 1000), "g2": ("2", 1000)}
    toy.expression = {
        g: dict(zip(names, generator.lognormal(size=40).tolist(), strict=True)) for g in toy.genes
    }
    for i in (4, 17, 30):
        toy.expression["g2"][names[i]] = None
    return toy


def least_squares(y, x, covariates):
    """Slope of x, both residualised on covariates and intercept."""
    design = np.column_stack([x, covariates, np.ones(len(x))])
    return np.linalg.lstsq(design, y, rcond=None)[0][0]


@pytest.mark.slow
def test_what_is_missing_is_missing_for_every_tool(gaps, lake, build_set, export_set, require_tool, tmp_path):
    """Both tools and tensorQTL take the mean for a missing genotype or phenotype; a -1 or 0 would give other slopes."""
    gaps.fill(lake)
    build_set(lake.uri, name="gaps", **LOOSE)
    reports = {name: export_set(lake.uri, "gaps", name, tmp_path / name) for name in ("fastqtl", "tensorqtl")}
    assert any("3 missing phenotype values" in note for note in reports["tensorqtl"].notes)
    out = tmp_path / "fastqtl"
    vcf = run(
        require_tool("bcftools"), "query", "-f", r"%CHROM:%POS %END[ %GT/%DS]\n", out / "genotypes.vcf.gz"
    )
    assert [line.split()[:2] for line in vcf.splitlines()] == [
        ["2:1000", "1000"], ["2:1050", "1050"], ["2:1100", "1500"], ["10:900", "900"], ["10:950", "950"]
    ]  # fmt: skip
    assert all(line.count("././.") == 6 for line in vcf.splitlines())
    assert "-1" not in vcf

    female = np.array([float(p[2] == "female") for p in gaps.people.values()])
    expected = {}
    for gene, (contig, _) in gaps.genes.items():
        values = np.array([np.nan if v is None else v for v in gaps.expression[gene].values()])
        y, called = np.zeros(40), ~np.isnan(values)
        y[called] = stats.norm.ppf(stats.rankdata(values[called]) / (called.sum() + 1))
        y[~called] = y[called].mean()
        for row in gaps.variants:
            if row["contig"] == contig:
                x = np.array([np.nan if d is None else d for d in row["dosages"]], dtype=float)
                expected[gene, row["variant_id"]] = (y, np.where(np.isnan(x), np.nanmean(x), x))

    # As the report says it is run: a chunk a contig.
    require_tool("fastQTL")
    command = next(c for c in reports["fastqtl"].details["commands"] if "fastQTL" in c)
    run("bash", "-c", command, cwd=tmp_path)
    fastqtl = {}
    for i in (1, 2):
        with gzip.open(tmp_path / f"fastqtl.{i}.txt.gz", "rt") as lines:
            fastqtl |= {(f[0], f[1]): float(f[7]) for f in map(str.split, lines)}
    run(require_tool("QTLtools"), "cis", "--vcf", out / "genotypes.vcf.gz", "--bed", out / "phenotypes.qtltools.bed.gz",
        "--nominal", "1", "--out", tmp_path / "q.txt", "--silent")  # fmt: skip
    qtltools = {
        (f[0], f[7]): float(f[13]) for f in map(str.split, (tmp_path / "q.txt").read_text().splitlines())
    }
    assert set(fastqtl) == set(qtltools) == set(expected)
    for pair, (y, x) in expected.items():
        assert fastqtl[pair] == pytest.approx(least_squares(y, x, female), rel=1e-3, abs=1e-5)
        assert qtltools[pair] == pytest.approx(stats.linregress(x, y).slope, rel=1e-3, abs=1e-5)

    bed = pd.read_csv(tmp_path / "tensorqtl" / "phenotypes.bed.gz", sep="\t", index_col=3)
    assert not bed.isna().to_numpy().any()
    np.testing.assert_allclose(
        bed.loc["g2"].to_numpy()[3:].astype(float), expected["g2", "2_1000_A_C"][0], atol=1e-12
    )
    with pgenlib.PgenReader(bytes(tmp_path / "tensorqtl" / "genotypes.pgen")) as reader:
        cells = np.zeros((5, 40), np.int8)
        reader.read_range(0, 5, cells)
    order = [gaps.variants[i]["dosages"] for i in (3, 4, 1, 0, 2)]
    assert cells.tolist() == [[-9 if d is None else d for d in row] for row in order]


# ------------------------------------------------------------------------------------------------ again and again


def digests(directory):
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in directory.iterdir()}


def test_exporting_again_is_nothing_to_do(exported, slice_lake, export_set):
    out, reports = exported
    before = digests(out)
    for name, first in reports.items():
        again = export_set(slice_lake, "eur", name, out)
        assert first.changed
        assert not again.changed
        assert "already exported" in again.summary
        assert again.details["files"] == first.details["files"]
    assert digests(out) == before
    for file in reports["fastqtl"].details["files"]:
        assert file["bytes"] == (out / file["name"]).stat().st_size
    assert reports["tensorqtl"].rows["genotypes.psam"] == 358
    assert again.details["commands"] == reports["tensorqtl"].details["commands"]


@pytest.mark.slow
def test_a_file_that_was_changed_or_lost_is_written_again_and_the_others_are_left(
    gaps, lake, build_set, export_set, tmp_path, monkeypatch
):
    gaps.fill(lake)
    build_set(lake.uri, name="gaps", **LOOSE)
    out = tmp_path / "out"
    export_set(lake.uri, "gaps", "fastqtl", out)
    before = digests(out)
    (out / "covariates.txt.gz").unlink()
    (out / "phenotypes.fastqtl.bed.gz").write_bytes(b"spoilt")
    (out / ".kgp-export-left").mkdir()  # what an export that was killed leaves
    # By tasks, in many stretches and blocks, which must not show in the files.
    monkeypatch.setattr(matrix_stretches, "DRIVER_VALUES", 0)
    monkeypatch.setattr(matrix_stretches, "STRETCH_VALUES", 60)
    monkeypatch.setattr(matrix_files, "BLOCK_VALUES", 50)
    assert export_set(lake.uri, "gaps", "fastqtl", out).changed
    after = digests(out)
    assert {name: content for name, (content, _) in after.items()} == {n: c for n, (c, _) in before.items()}
    assert after["genotypes.vcf.gz"] == before["genotypes.vcf.gz"]
    assert not (out / ".kgp-export-left").exists()


def put(directory, export_format="fastqtl", *, commands=(), **contents):
    """Put files with these contents into an `ExportDirectory`."""
    with directory.aside() as aside:
        for name, content in contents.items():
            (aside / name).write_text(content)
        return directory.put_in_place(aside, dict.fromkeys(contents, 1), export_format, "1", list(commands))


def test_a_directory_knows_whether_its_files_are_as_they_were_written(tmp_path):
    out = ExportDirectory(str(tmp_path), "a", "id1")
    assert out.finished("fastqtl", "1") is None
    files = put(out, one="1", two="2", commands=["run it"])
    assert [(f.name, f.size) for f in files] == [("one", 1), ("two", 1)]
    again = ExportDirectory(tmp_path.as_uri(), "a", "id1")
    assert again.finished("fastqtl", "1") == files
    assert again.commands("fastqtl") == ["run it"]
    assert again.finished("fastqtl", "2") is None  # files of an earlier version of kgp
    assert again.finished("tensorqtl", "1") is None
    (tmp_path / "two").write_text("3")
    assert again.finished("fastqtl", "1") is None
    (tmp_path / "two").unlink()
    assert again.finished("fastqtl", "1") is None


def test_a_set_that_was_built_anew_takes_the_place_of_the_old_one(tmp_path):
    old = ExportDirectory(str(tmp_path), "a", "id1")
    put(old, one="1", covariates="1")
    put(old, "tensorqtl", three="3")
    new = ExportDirectory(str(tmp_path), "a", "id2")
    assert new.outdated == ["fastqtl", "tensorqtl"]
    assert new.finished("fastqtl", "1") is None
    put(new, one="2")
    assert (tmp_path / "one").read_text() == "2"
    assert not (tmp_path / "covariates").exists()  # the new set has none
    assert new.outdated == []
    assert new.finished("tensorqtl", "1") is None
    assert set(json.loads((tmp_path / "manifest.json").read_text())["formats"]) == {"fastqtl"}
    with pytest.raises(LakeError, match="Set a was exported there"):
        ExportDirectory(str(tmp_path), "b", "id3")


def test_an_export_that_fails_leaves_the_directory_as_it_was(tmp_path):
    out = ExportDirectory(str(tmp_path), "a", "id1")
    put(out, one="1")
    before = digests(tmp_path)
    with contextlib.suppress(RuntimeError), out.aside() as aside:
        (aside / "one").write_text("2")
        raise RuntimeError
    assert digests(tmp_path) == before


def test_clear_messages_and_a_set_without_covariates(toy, lake, build_set, export_set, tmp_path):
    toy.people = dict.fromkeys(toy.people, ("CEU", "EUR", "male"))
    toy.fill(lake)
    out = tmp_path / "out"
    with pytest.raises(InputError, match=r"There is no matrix set a in this lake. Build it first"):
        export_set(lake.uri, "a", "fastqtl", out)
    build_set(lake.uri, name="a", **LOOSE)
    with pytest.raises(InputError, match=r"There is no matrix set b in this lake. There are: a."):
        export_set(lake.uri, "b", "fastqtl", out)
    with pytest.raises(UsageError, match="is no local directory"):
        export_set(lake.uri, "a", "fastqtl", "az://container/out")
    assert not out.exists()

    report = export_set(lake.uri, "a", "fastqtl", out)
    assert not (out / "covariates.txt.gz").exists()
    assert not any("--cov" in command for command in report.details["commands"])


@pytest.mark.parametrize("export_format", ["fastqtl", "tensorqtl", "plink2", "matrixeqtl", "parquet"])
def test_tasks_write_the_bytes_that_the_driver_writes(
    slice_lake, export_set, tmp_path, monkeypatch, export_format
):
    export_set(slice_lake, "eur", export_format, tmp_path / "driver")
    monkeypatch.setattr(matrix_stretches, "DRIVER_VALUES", 0)
    monkeypatch.setattr(matrix_stretches, "STRETCH_VALUES", 2_000_000)
    export_set(slice_lake, "eur", export_format, tmp_path / "tasks")
    names = {path.name for path in (tmp_path / "driver").iterdir()} - {
        f"README.{export_format}.txt",
        "manifest.json",
    }
    assert names
    for name in names:
        assert (tmp_path / "tasks" / name).read_bytes() == (tmp_path / "driver" / name).read_bytes(), name
