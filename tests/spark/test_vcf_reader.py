"""From a VCF file to rows of `variants` in Spark: counted twice, numbered, selected, refused."""

from __future__ import annotations

import gzip
import random
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kgp.errors import EnvironmentProblem, FormatError
from kgp.genome import GRCH37, GRCH38
from kgp.io import tasks
from kgp.io.vcf import Layout, Records, Roots, Selection, Survey, glow, read_header, read_records
from kgp.io.vcf.builtin import read_rows
from kgp.io.vcf.parser import TORN
from kgp.params import Region
from kgp.tables import QUARANTINE, VARIANTS
from kgp.transforms.calls import decode_calls

pytestmark = pytest.mark.spark

HEADER = """##fileformat=VCFv4.2
##INFO=<ID=DB,Number=0,Type=Flag,Description="">
##contig=<ID=1,length=249250621>
##contig=<ID=2>
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB
"""
FORMAT_GT = '##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n'


@pytest.fixture
def many_splits(monkeypatch):
    """Cut even the smallest file into several splits."""
    monkeypatch.setattr(tasks, "_LEAST_BYTES", 1)


@dataclass(frozen=True)
class Loaded:
    """What became of a file: the records as the reader gives them, and the rows and rejects once they are committed."""

    records: Records
    rows: pa.Table
    rejects: list[dict[str, Any]]

    @property
    def survey(self) -> Survey:
        return self.records.survey


@pytest.fixture
def load(spark, lake):
    """Read a file and commit what the tasks have written."""

    def run(
        path: Path | str,
        selection: Selection | None = None,
        reader: Any = "auto",
        build: Any = GRCH37,
        samples: Sequence[str] | None = None,
    ) -> Loaded:
        header = read_header(str(path))
        layout = Layout.make(header, build, selection or Selection(), "c", "l", samples=samples)
        roots = Roots(lake.path(VARIANTS), lake.path(QUARANTINE))
        records = read_records(spark, str(path), header, layout, roots, reader=reader)
        if records.variants is None:
            lake.commit(VARIANTS, records.written, None)
        else:
            lake.replace(VARIANTS, records.variants, None)
        lake.commit(QUARANTINE, records.quarantined, None)
        order = [("record_id", "ascending"), ("alt_index", "ascending")]
        rejects = lake.fetch_all(QUARANTINE).sort_by("offset").to_pylist()
        return Loaded(records, lake.fetch_all(VARIANTS).sort_by(order), rejects)

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
    loaded = load(write(tmp_path / "a.vcf", *lines))
    records, rejects = loaded.records, loaded.rejects
    assert (records.reader, records.reason) == ("builtin", "Glow's JAR is not on the class path")
    assert loaded.survey.n_records == 198 == loaded.rows.num_rows + len(rejects)
    assert loaded.survey.warnings["blank line"] == 1
    assert [row["reason"].split(":")[0] for row in rejects] == [
        "POS 'x' is no number", "Too few columns", "Too few columns",
        "GT '0|2' names an allele that the record does not have"]  # fmt: skip
    assert [row["line"].decode() for row in rejects] == [lines[place] for place in (50, 51, 120, 150)]
    assert records.first_reject is not None
    assert records.first_reject.line == lines[50].encode()
    ids = loaded.rows["record_id"].to_pylist()
    assert ids == sorted(set(ids))
    text = (tmp_path / "a.vcf").read_bytes()
    assert all(text[row["offset"] :].startswith(row["line"] + b"\n") for row in rejects)
    assert text[ids[7] :].startswith(lines[7].encode())


def test_repeated_ids_are_numbered_in_file_order(load, tmp_path, many_splits):
    """The second row of a name gets #2, whichever split it lies in, also within one record."""
    lines = [
        *(record(pos) for pos in range(1, 40)),
        *[record(40, info=f"N={n}") for n in range(60)],
        record(41, alt="<DEL>,<DEL>,C", info="END=50"),
        record(41, alt="<DEL>", info="END=51"),
    ]
    loaded = load(write(tmp_path / "a.vcf", *lines))
    assert loaded.survey.has_open_ids, "the repeats lie in several splits"
    rows = loaded.rows.to_pylist(maps_as_pydicts="strict")
    names = [row["variant_id"] for row in rows]
    assert len(set(names)) == len(names) == 39 + 60 + 4
    assert [(row["variant_id"], row["info"]["N"]) for row in rows[39:99]] == [
        ("1_40_A_C" + (f"#{n + 1}" if n else ""), str(n)) for n in range(60)
    ]
    assert names[99:] == ["1_41_A_<DEL>_50", "1_41_A_<DEL>_50#2", "1_41_A_C", "1_41_A_<DEL>_51"]


def test_repeated_ids_within_one_split(load, tmp_path):
    """The same where one task sees them all, and numbers them itself."""
    lines = [record(7), record(7), record(7, alt="C,C"), record(8, alt="G"), record(8)]
    loaded = load(write(tmp_path / "a.vcf", *lines))
    assert loaded.records.variants is None
    assert loaded.rows["variant_id"].to_pylist() == [
        "1_7_A_C", "1_7_A_C#2", "1_7_A_C#3", "1_7_A_C#4", "1_8_A_G", "1_8_A_C"]  # fmt: skip


def test_survey_of_rows_in_any_order(load, tmp_path, many_splits):
    rng = random.Random(5)
    places = [(rng.choice(["1", "2", "chr1", "HLA-A"]), rng.randint(1, 60)) for _ in range(300)]
    loaded = load(write(tmp_path / "a.vcf", *(record(pos, contig) for contig, pos in places)))
    survey = loaded.survey
    contigs = Counter(contig for contig, _ in places)
    assert survey.contigs == contigs
    assert survey.last_ends == {name: max(pos for c, pos in places if c == name) for name in contigs}
    ids = Counter(f"{contig.removeprefix('chr')}_{pos}_A_C" for contig, pos in places)
    named = Counter(name.split("#")[0] for name in loaded.rows["variant_id"].to_pylist())
    assert named == ids
    assert len(set(loaded.rows["variant_id"].to_pylist())) == 300
    # out of order: a lower start than before on the contig, or a contig that was there before
    n = 0
    seen: set[str] = set()
    same = [(contig.removeprefix("chr"), pos) for contig, pos in places]
    for before, (contig, pos) in zip([("", 0), *same], same, strict=False):
        n += pos < before[1] if contig == before[0] else contig in seen
        seen.add(contig)
    warnings = {what: count for what, count in survey.warnings.items() if what != "variant occurs twice"}
    assert warnings == {
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
    path = write(tmp_path / "a.vcf", *lines)
    path.write_text(path.read_text().replace("##contig", FORMAT_GT + "##contig", 1))
    loaded = load(path)
    text = path.read_bytes()
    assert loaded.survey.warnings == {
        "INFO key repeated in a record": 1, "undeclared INFO key": 2, "variant occurs twice": 2}  # fmt: skip
    places = loaded.survey.warned_at["undeclared INFO key"]
    assert [text[at:].split(b"\n")[0].decode() for at in places] == [lines[1], lines[4]]
    assert loaded.rows["variant_id"].to_pylist()[2:] == ["1_3_A_C", "1_3_A_C#2", "1_3_A_C#3"]


def test_an_empty_body(load, tmp_path):
    loaded = load(write(tmp_path / "a.vcf"))
    assert (loaded.survey.n_records, loaded.survey.contigs, loaded.survey.warnings) == (0, {}, {})
    assert (loaded.rows.num_rows, loaded.rejects) == (0, [])


def test_selection_counts_the_same_in_survey_and_rows(load, shared_data, require_tool):
    path = shared_data / "geuvadis-eqtl-qtltools" / "genotypes.chr22.vcf.gz"
    region = Selection(regions=(Region(contig="22", start=19_999_999, end=20_100_000),))
    loaded = load(path, region)
    command = [str(require_tool("bcftools")), "view", "-H", "-r", "chr22:20000000-20100000", str(path)]
    found = subprocess.run(command, capture_output=True, check=True)
    expected = found.stdout.count(b"\n")
    assert loaded.survey.n_records == loaded.rows.num_rows == expected > 100
    assert load(path, Selection(contigs=("21",))).survey.n_records == 0


def test_damaged_text_goes_to_quarantine_and_the_rest_is_loaded(load, shared_data, tmp_path, many_splits):
    """A broken block, and a file that is cut off: the lines beside them are torn, all others come in."""
    whole = shared_data / "phase3-grch37" / "vcf-merge" / "HG00096.vcf.bgz"
    good = load(whole)
    lines = gzip.decompress(whole.read_bytes()).split(b"\n")
    body = [line for line in lines if line and not line.startswith(b"#")]
    assert good.rejects == []
    assert good.survey.n_records == len(body)

    stored = whole.read_bytes()
    begins = [at for at, _ in blocks_of(stored)]
    broken = bytearray(stored)
    broken[begins[1] + 30] ^= 0xFF
    for name, damaged in (("flipped", bytes(broken)), ("cut", stored[: begins[1] + 500])):
        path = tmp_path / f"{name}.vcf.gz"
        path.write_bytes(damaged)
        loaded = load(path)
        reasons = [row["reason"] for row in loaded.rejects]
        assert loaded.survey.n_records == count_records(loaded.rows) + len(loaded.rejects)
        assert sum("BGZF block is" in reason for reason in reasons) == 1
        assert sum(reason == TORN for reason in reasons) == (2 if name == "flipped" else 1)
        raw = next(row for row in loaded.rejects if "BGZF" in row["reason"])
        end = begins[2] if name == "flipped" else len(damaged)
        assert (raw["offset"], raw["line"]) == (begins[1] << 16, damaged[begins[1] : end])
        # What came in is what stands in front of the broken block and behind it, line by line.
        torn = [row["line"] for row in loaded.rejects if row["reason"] == TORN]
        front = b"".join(text for at, text in blocks_of(stored) if at < begins[1])
        back = (
            b"".join(text for at, text in blocks_of(stored) if at > begins[1]) if name == "flipped" else b""
        )
        expected = [line for line in front.split(b"\n")[:-1] if line and not line.startswith(b"#")]
        expected += [line for line in back.split(b"\n")[1:] if line]
        assert torn == [part for part in (front.split(b"\n")[-1], back.split(b"\n")[0]) if part]
        assert count_records(loaded.rows) == len(expected)
    path.write_bytes(stored[:-28])
    assert load(path).survey.warnings["BGZF end marker missing"] == 1


def blocks_of(stored: bytes) -> list[tuple[int, bytes]]:
    """(offset, text) of the BGZF blocks, read by gzip's own header."""
    found, at = [], 0
    while at < len(stored):
        size = int.from_bytes(stored[at + 16 : at + 18], "little") + 1
        found.append((at, gzip.decompress(stored[at : at + size])))
        at += size
    return found


def count_records(rows: pa.Table) -> int:
    return len(set(rows["record_id"].to_pylist()))


def test_a_chosen_part_of_the_samples(load, shared_data, require_tool):
    """Their genotypes as bcftools view -s gives them, in the order that is asked for."""
    path = shared_data / "phase3-grch37" / "1000G.phase3.broad.withGenotypes.chr20.10100000.vcf.gz"
    chosen = ("NA19240", "HG00096", "NA12878")
    loaded = load(path, samples=chosen)
    query = [
        str(require_tool("bcftools")),
        "query",
        "-f",
        r"%POS\t%ALT[\t%GT]\n",
        "-s",
        ",".join(chosen),
        str(path),
    ]
    text = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    expected = [line.split("\t") for line in text.splitlines()]
    rows = [row for row in loaded.rows.to_pylist() if row["alt_index"] == 1]
    assert [(str(r["start"] + 1), decode_calls(r["calls"], r["dosages"])) for r in rows] == [
        (one[0], one[2:]) for one in expected
    ]
    assert {len(row["dosages"]) for row in rows} == {3}


def test_glow_without_its_jar_is_never_replaced_silently(load, tmp_path):
    path = write(tmp_path / "a.vcf", record(1))
    with pytest.raises(EnvironmentProblem, match=r"--packages io\.projectglow:glow-spark3_2\.12"):
        load(path, reader="glow")
    assert load(path, reader="builtin").records.reason == "asked for"


def test_auto_takes_glow_only_where_it_reads_right(spark, load, tmp_path, monkeypatch):
    """With a JAR that answers: a file of plain shapes goes to glow, one that it misreads to builtin."""
    monkeypatch.setattr(glow, "is_available", lambda spark: True)
    asked = []

    def read_glow(spark, url, layout):
        asked.append(url)
        function = partial(read_rows, layout)
        return tasks.map_splits(spark, tasks.plan_tasks(spark, url), function, VARIANTS.spark_schema)

    monkeypatch.setattr(glow, "read_glow", read_glow)
    path = tmp_path / "a.vcf"
    path.write_text(HEADER.replace("##contig", FORMAT_GT + "##contig", 1))
    with path.open("a") as file:
        file.write(record(1) + "\n")
    records = load(path).records
    assert (records.reader, asked) == ("glow", [str(path)])
    with path.open("a") as file:
        file.write(record(2, gts="0|1") + "\n" + record(3, gts="0|1\tx|1") + "\n")
    records = load(path).records
    assert records.reader == "builtin"
    assert (
        records.reason == "Glow would misread the file: malformed genotype (1), wrong number of columns (1)"
    )
    with pytest.raises(FormatError, match="Use --reader builtin"):
        load(path, reader="glow")


def test_every_genotype_of_the_geuvadis_file(load, shared_data, require_tool):
    """85,485 records of 358 people: dosages cell by cell, AC and AN as bcftools reads them."""
    path = shared_data / "geuvadis-eqtl-qtltools" / "genotypes.chr22.vcf.gz"
    loaded = load(path)
    survey = loaded.survey
    table = loaded.rows.select(
        ["record_id", "start", "ref", "alt", "ac", "an", "n_missing", "dosages"]
    ).to_pandas()
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
    loaded = load(shared_data / "highcov30x-grch38" / "1kg_2020_chrM.vcf.gz", build=GRCH38)
    assert set(loaded.rows["contig"].to_pylist()) == {"chrM"}
    assert loaded.survey.n_records == 23
