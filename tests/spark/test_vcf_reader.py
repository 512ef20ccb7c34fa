"""From a VCF file to rows of `variants` in Spark: counted twice, numbered, selected, refused."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgp.errors import EnvironmentProblem, FormatError
from kgp.genome import GRCH37, GRCH38
from kgp.io import splits
from kgp.io.vcf import Selection, glow, read_header, read_records, survey_records
from kgp.io.vcf.builtin import read_builtin
from kgp.params import Region
from kgp.table import conform
from kgp.tables import VARIANTS

pytestmark = pytest.mark.spark

HEADER = """##fileformat=VCFv4.2
##INFO=<ID=DB,Number=0,Type=Flag,Description="">
##contig=<ID=1,length=249250621>
##contig=<ID=2>
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB
"""


@pytest.fixture
def many_splits(monkeypatch):
    """Cut even the smallest file into several splits."""
    monkeypatch.setattr(splits, "_LEAST_BYTES", 1)


@pytest.fixture
def load(spark):
    """Survey and read a file; (survey, records)."""

    def run(path: Path | str, selection: Selection | None = None, reader: Any = "auto", build=GRCH37):
        chosen = selection or Selection()
        header = read_header(str(path))
        survey = survey_records(spark, str(path), header, build, chosen)
        records = read_records(
            spark,
            str(path),
            header,
            survey=survey,
            build=build,
            selection=chosen,
            callset="c",
            load_id="l",
            reader=reader,
        )
        return survey, records

    return run


def write(path: Path, *records: str) -> Path:
    path.write_text(HEADER + "".join(record + "\n" for record in records))
    return path


def record(pos: int | str, contig="1", ref="A", alt="C", info="DB", gts="0|1\t1|1") -> str:
    return f"{contig}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t{info}\tGT\t{gts}"


def test_rows_conform_and_nothing_is_lost(load, tmp_path, many_splits):
    lines = [record(pos) for pos in range(1, 200)]
    for place, bad in (
        (10, ""),
        (50, record("x")),
        (51, "#"),
        (120, record(7, gts="0|1")),
        (150, record(9, gts="0|2\t.")),
    ):
        lines[place] = bad
    survey, records = load(write(tmp_path / "a.vcf", *lines))
    assert (records.reader, records.reason) == ("builtin", "Glow's JAR is not on the class path")
    assert conform(records.variants, VARIANTS).columns == list(VARIANTS.columns)
    rows = records.variants.collect()
    rejects = records.rejects.orderBy("offset").collect()
    assert survey.n_records == 199 == len(rows) + len(rejects)
    assert survey.n_irregular == 3
    assert [row.reason.split(":")[0] for row in rejects] == [
        "The line is blank", "POS 'x' is no number", "Too few columns", "Too few columns",
        "GT '0|2' names an allele that the record does not have"]  # fmt: skip
    assert [bytes(row.line).decode() for row in rejects] == [lines[place] for place in (10, 50, 51, 120, 150)]
    ids = [row.record_id for row in rows]
    assert ids == sorted(set(ids))
    text = (tmp_path / "a.vcf").read_bytes()
    assert all(text[row.offset :].startswith(bytes(row.line) + b"\n") for row in rejects)
    assert text[rows[7].record_id :].startswith(lines[7].encode())


def test_repeated_ids_are_numbered_in_file_order(load, tmp_path, many_splits):
    """The second row of a name gets #2, whichever split it lies in, also within one record."""
    lines = [
        *(record(pos) for pos in range(1, 40)),
        *[record(40, info=f"N={n}") for n in range(60)],
        record(41, alt="<DEL>,<DEL>,C", info="END=50"),
        record(41, alt="<DEL>", info="END=51"),
    ]
    survey, records = load(write(tmp_path / "a.vcf", *lines))
    assert survey.repeated_variant_ids == ("1_40_A_C", "1_41_A_<DEL>_50")
    rows = records.variants.orderBy("record_id", "alt_index").collect()
    names = [row.variant_id for row in rows]
    assert len(set(names)) == len(names) == 39 + 60 + 4
    assert [(row.variant_id, row.info["N"]) for row in rows[39:99]] == [
        ("1_40_A_C" + (f"#{n + 1}" if n else ""), str(n)) for n in range(60)
    ]
    assert names[99:] == ["1_41_A_<DEL>_50", "1_41_A_<DEL>_50#2", "1_41_A_C", "1_41_A_<DEL>_51"]


def test_survey_of_rows_in_any_order(load, tmp_path, many_splits):
    rng = random.Random(5)
    places = [(rng.choice(["1", "2", "chr1", "HLA-A"]), rng.randint(1, 60)) for _ in range(300)]
    survey, records = load(write(tmp_path / "a.vcf", *(record(pos, contig) for contig, pos in places)))
    contigs = Counter(contig for contig, _ in places)
    assert survey.contigs == contigs
    assert survey.last_ends == {name: max(pos for c, pos in places if c == name) for name in contigs}
    ids = Counter(f"{contig.removeprefix('chr')}_{pos}_A_C" for contig, pos in places)
    assert survey.repeated_variant_ids == tuple(sorted(name for name, n in ids.items() if n > 1))
    assert records.variants.select("variant_id").distinct().count() == 300
    # out of order: a lower start than before on the contig, or a contig that was there before
    n = 0
    seen: set[str] = set()
    for before, (contig, pos) in zip([("", 0), *places], places, strict=False):
        n += pos < before[1] if contig == before[0] else contig in seen
        seen.add(contig)
    assert survey.warnings == {
        "row out of order": n,
        "contig unknown to the build": contigs["HLA-A"],
        "contig not declared in the header": contigs["HLA-A"] + contigs["chr1"],
    }


def test_survey_warnings(load, tmp_path, many_splits):
    lines = [
        record(1),
        record(2, info="DB;XY=1"),
        record(3, info="DB;DB"),
        record(3, info="."),
        record(3, info="END=9"),
    ]
    survey, _ = load(write(tmp_path / "a.vcf", *lines))
    assert survey.warnings == {"INFO key repeated in a record": 1, "undeclared INFO key": 2}
    assert survey.repeated_variant_ids == ("1_3_A_C",)


def test_an_empty_body(load, tmp_path):
    survey, records = load(write(tmp_path / "a.vcf"))
    assert (survey.n_records, survey.contigs, survey.warnings) == (0, {}, {})
    assert records.variants.count() == records.rejects.count() == 0


def test_selection_counts_the_same_in_survey_and_rows(load, shared_data, require_tool):
    path = shared_data / "geuvadis-eqtl-qtltools" / "genotypes.chr22.vcf.gz"
    region = Selection(regions=(Region(contig="22", start=19_999_999, end=20_100_000),))
    survey, records = load(path, region)
    command = [str(require_tool("bcftools")), "view", "-H", "-r", "chr22:20000000-20100000", str(path)]
    found = subprocess.run(command, capture_output=True, check=True)
    expected = found.stdout.count(b"\n")
    assert survey.n_records == records.variants.count() == expected > 100
    assert load(path, Selection(contigs=("21",)))[0].n_records == 0


def test_a_broken_block_is_found_before_anything_is_written(load, shared_data, tmp_path):
    whole = (shared_data / "phase3-grch37" / "vcf-merge" / "HG00096.vcf.bgz").read_bytes()
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(whole[:-1000])
    with pytest.raises(FormatError, match="The BGZF block is cut off") as caught:
        load(path)
    assert str(path) in str(caught.value)
    path.write_bytes(whole[:-28])
    assert load(path)[0].warnings["BGZF end marker missing"] == 1


def test_glow_without_its_jar_is_never_replaced_silently(load, tmp_path):
    path = write(tmp_path / "a.vcf", record(1))
    with pytest.raises(EnvironmentProblem, match=r"--packages io\.projectglow:glow-spark3_2\.12"):
        load(path, reader="glow")
    assert load(path, reader="builtin")[1].reason == "asked for"


def test_auto_takes_glow_only_where_it_reads_right(spark, load, tmp_path, monkeypatch):
    """With a JAR that answers: a file of plain shapes goes to glow, one that it misreads to builtin."""
    monkeypatch.setattr(glow, "is_available", lambda spark: True)
    asked = []

    def read_glow(spark, url, layout):
        asked.append(url)
        parts, _ = read_builtin(spark, url, layout)
        return splits.map_splits(spark, parts.splits, parts.function, VARIANTS.spark_schema)

    monkeypatch.setattr(glow, "read_glow", read_glow)
    path = tmp_path / "a.vcf"
    path.write_text(
        HEADER.replace("##contig", '##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n##contig', 1)
    )
    with path.open("a") as file:
        file.write(record(1) + "\n")
    _, records = load(path)
    assert (records.reader, asked) == ("glow", [str(path)])
    with path.open("a") as file:
        file.write(record(2, gts="0|1") + "\n" + record(3, gts="0|1\tx|1") + "\n")
    _, records = load(path)
    assert records.reader == "builtin"
    assert (
        records.reason == "Glow would misread the file: malformed genotype (1), wrong number of columns (1)"
    )
    with pytest.raises(FormatError, match="Use --reader builtin"):
        load(path, reader="glow")


def test_every_genotype_of_the_geuvadis_file(load, shared_data, require_tool):
    """85,485 records of 358 people: dosages cell by cell, AC and AN as bcftools reads them."""
    path = shared_data / "geuvadis-eqtl-qtltools" / "genotypes.chr22.vcf.gz"
    survey, records = load(path)
    table = records.variants.select(
        "record_id", "start", "ref", "alt", "ac", "an", "n_missing", "dosages"
    ).toPandas()
    assert survey.n_records == len(table) == 85_485
    assert survey.last_ends == {"chr22": 51_237_712}
    assert table["record_id"].is_monotonic_increasing
    dosages = np.stack(table["dosages"].to_numpy())
    assert dosages.shape == (85_485, 358)
    assert not table["n_missing"].any()

    command = [
        str(require_tool("bcftools")),
        "query",
        "-f",
        r"%POS\t%REF\t%ALT\t%AC\t%AN[\t%GT]\n",
        str(path),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for row, text in zip(table.itertuples(), process.stdout, strict=True):
            *site, gts = text.rstrip(b"\n").split(b"\t", 5)
            assert [row.start + 1, row.ref, row.alt, row.ac, row.an] == [
                int(site[0]), site[1].decode(), site[2].decode(), int(site[3]), int(site[4])]  # fmt: skip
            alleles = np.frombuffer(gts + b"\t", dtype="S4").view("S1").reshape(-1, 4)
            expected = (alleles[:, 0] == b"1").astype(np.int8) + (alleles[:, 2] == b"1")
            assert np.array_equal(dosages[row.Index], expected), site


def test_a_grch38_file_gets_that_builds_names(load, shared_data):
    survey, records = load(shared_data / "highcov30x-grch38" / "1kg_2020_chrM.vcf.gz", build=GRCH38)
    assert {row.contig for row in records.variants.select("contig").distinct().collect()} == {"chrM"}
    assert survey.n_records == 23
