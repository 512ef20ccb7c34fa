"""`kgp load annotations`: fields as bcftools +split-vep and Glow read them, records counted, joined to variants."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kgp.config import Config, load_config
from kgp.errors import BuildError, FormatError, InputError
from kgp.io.delta import Lake
from kgp.io.vcf.annotations import NO_ANNOTATION, OTHER_ALLELE
from kgp.job import Progress, Report, run_job
from kgp.jobs.load_annotations import LOAD_ANNOTATIONS
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.params import LoadAnnotations, LoadVariants
from kgp.tables import ANNOTATIONS, LOADS, QUARANTINE, VARIANTS

HEADER = (
    "##fileformat=VCFv4.2",
    "##contig=<ID=22,length=51304566,assembly=b37>",
    '##INFO=<ID=CSQ,Number=.,Type=String,Description="VEP. Format: Allele|Consequence|SYMBOL|Gene|Feature">',
    "\t".join(("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")),
)


def write_vcf(path: Path, *rows: str) -> str:
    """A small sites-only VCF; rows are written with blanks for tabs."""
    path.write_text("\n".join([*HEADER, *(row.replace(" ", "\t") for row in rows)]) + "\n")
    return str(path)


@pytest.fixture
def load(lake: Lake, config: Config) -> Callable[..., Report]:
    """Run the job on files with options."""

    def run(*vcf: str, **options: Any) -> Report:
        given = {"callset": "c", "build": "GRCh37", **options, "vcf": vcf}
        here = load_config(lake=lake.uri, environ={})
        quiet = Progress(quiet=True)
        return run_job(LOAD_ANNOTATIONS, config.params(LoadAnnotations, given), here, progress=quiet)

    return run


def fetch(lake: Lake) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.fetch(ANNOTATIONS).to_pylist(maps_as_pydicts="strict")
    return sorted(rows, key=lambda row: (row["record_id"], row["n"]))


def split_vep(path: Path, key: str) -> list[tuple[str, ...]]:
    """(POS, REF, ALT, fields …) of each annotation, '' where empty, as bcftools +split-vep has them.

    It does not know how snpEff describes its fields: their names are written here as VEP would.
    """
    whole = subprocess.run(["bcftools", "view", str(path)], check=True, capture_output=True).stdout.decode()
    whole = re.sub(
        r"Functional annotations: '(.*?)'",
        lambda found: (
            "Format: " + "|".join(["Allele", "Consequence", *map(str, range(found[1].count("|") - 1))])
        ),
        whole,
        count=1,
    )
    text = subprocess.run(
        ["bcftools", "+split-vep", "-a", key, "-d", "-A", "tab", "-f", f"%POS\t%REF\t%ALT\t%{key}\n", "-"],
        input=whole.encode(), check=True, capture_output=True,
    ).stdout.decode()  # fmt: skip
    return [tuple("" if one == "." else one for one in line.split("\t")) for line in text.splitlines()]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "key", "n_records", "n_without"),
    [
        ("vcf-odd/glow/vep.vcf", "CSQ", 2, 0),
        ("glow-test-data/vcf/loftee.vcf", "CSQ", 1, 0),
        ("glow-test-data/vcf/snpeff.vcf", "ANN", 1, 0),
        ("beacon/cineca_annotated/fully_annotated.vcf.gz", "ANN", 5002, 4),
    ],
    ids=["vep", "loftee", "snpeff", "cineca"],
)
def test_every_field_as_bcftools_reads_it(
    lake: Lake, load: Callable[..., Report], shared_data: Path, require_tool: Callable[[str], Path],
    name: str, key: str, n_records: int, n_without: int,
) -> None:  # fmt: skip
    require_tool("bcftools")
    path = shared_data / name
    load(str(path))
    rows = fetch(lake)
    names = list(dict.fromkeys(one for row in rows for one in row["fields"]))
    expected = split_vep(path, key)
    assert len(rows) == len(expected)
    for row, (pos, ref, alt, *fields) in zip(rows, expected, strict=True):
        assert (str(row["start"] + 1), row["ref"], row["alt"]) == (pos, ref, alt)
        # An annotation's own '.' is what bcftools prints for an empty field, too.
        assert [one for one in row["fields"].values() if one != "."] == [one for one in fields if one]
    assert set(names) >= {"Allele"}
    assert all(row["annotation_key"] == key and row["alt"] and row["consequences"] for row in rows)
    (ledger,) = lake.fetch(LOADS).to_pylist(maps_as_pydicts="strict")
    assert (ledger["rows_in"], ledger["rows_out"], ledger["rows_quarantined"]) == (n_records, n_records, 0)
    assert ledger["alleles_out"] == len(rows)
    assert ledger["warnings"].get(NO_ANNOTATION, 0) == n_without
    assert len({row["record_id"] for row in rows}) == n_records - n_without


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "golden", "column", "renamed"),
    [
        ("vcf-odd/glow/vep.vcf", "vcf-odd__glow__vep.vcf", "INFO_CSQ",
         {"impact": "IMPACT", "gene_name": "SYMBOL", "gene_id": "Gene", "feature_type": "Feature_type",
          "feature_id": "Feature", "biotype": "BIOTYPE", "consequences": "Consequence", "allele": "Allele"}),
        ("glow-test-data/vcf/snpeff.vcf", "glow-test-data__vcf__snpeff.vcf", "INFO_ANN",
         {"impact": "Annotation_Impact", "gene_name": "Gene_Name", "gene_id": "Gene_ID", "feature_type": "Feature_Type",
          "feature_id": "Feature_ID", "biotype": "Transcript_BioType", "consequences": "Annotation",
          "allele": "Allele"}),
    ],
    ids=["vep", "snpeff"],
)  # fmt: skip
def test_columns_as_glow_reads_them(
    lake: Lake, load: Callable[..., Report], shared_data: Path,
    name: str, golden: str, column: str, renamed: dict[str, str],
) -> None:  # fmt: skip
    load(str(shared_data / name))
    recorded = pq.read_table(shared_data / "glow-golden" / golden / "part.parquet")
    expected = [one for record in recorded[column].to_pylist() for one in record]
    assert expected
    got = [{theirs: row[ours] for ours, theirs in renamed.items()} for row in fetch(lake)]
    assert got == [{theirs: one[theirs] for theirs in renamed.values()} for one in expected]


def test_alleles_records_and_a_second_time(
    lake: Lake, load: Callable[..., Report], config: Config, tmp_path: Path
) -> None:
    path = write_vcf(
        tmp_path / "a.vcf",
        "22 100 . CT C,CTT,CA . PASS CSQ=TT|intron_variant|S1|G1|T1,-|stop_gained&splice_region_variant||G1|T1,G|x|||",
        "22 200 . A G . PASS AC=1",
        "22 x . A G . PASS CSQ=G|x|||",
        "22 300 . A . . PASS CSQ=.",
        "22 400 . A <DEL> . PASS END=500;CSQ=deletion|transcript_ablation|S2||",
    )
    report = load(path)
    rows = fetch(lake)
    assert [
        (row["variant_id"], row["n"], row["alt"], row["allele"], row["consequences"]) for row in rows
    ] == [
        ("22_100_CT_CTT", 1, "CTT", "TT", ["intron_variant"]),
        ("22_100_CT_C", 2, "C", "-", ["stop_gained", "splice_region_variant"]),
        (None, 3, None, "G", ["x"]),
        ("22_400_A_<DEL>_500", 1, "<DEL>", "deletion", ["transcript_ablation"]),
    ]
    assert (rows[0]["gene_name"], rows[0]["gene_id"], rows[0]["feature_id"]) == ("S1", "G1", "T1")
    assert rows[1]["fields"] == {
        "Allele": "-", "Consequence": "stop_gained&splice_region_variant", "Gene": "G1", "Feature": "T1",
    }  # fmt: skip
    (ledger,) = lake.fetch(LOADS).to_pylist(maps_as_pydicts="strict")
    assert (ledger["rows_in"], ledger["rows_out"], ledger["rows_quarantined"]) == (5, 4, 1)
    assert {key: ledger["warnings"][key] for key in (NO_ANNOTATION, OTHER_ALLELE)} == {
        NO_ANNOTATION: 2, OTHER_ALLELE: 1,
    }  # fmt: skip
    assert report.details["rows_quarantined"] == lake.fetch(QUARANTINE).num_rows == 1
    assert not load(path).changed

    given = {"callset": "c", "build": "GRCh37", "vcf": (path,)}
    here = load_config(lake=lake.uri, environ={})
    run_job(LOAD_VARIANTS, config.params(LoadVariants, given), here, progress=Progress(quiet=True))
    names = {row["variant_id"] for row in lake.fetch(VARIANTS).to_pylist()}
    assert {row["variant_id"] for row in rows if row["variant_id"]} <= names
    with pytest.raises(BuildError, match="Callset c is in GRCh37"):
        load(path, build="GRCh38")


def test_names_are_those_of_variants_where_they_repeat_and_lines_are_out_of_order(
    lake: Lake, load: Callable[..., Report], config: Config, tmp_path: Path
) -> None:
    sites = (
        (300, "A", "G", "first"),
        (100, "C", "T", "x"),
        (300, "A", "G", "second"),
        (300, "A", "C,G", "third"),
    )
    path = write_vcf(
        tmp_path / "a.vcf",
        *(f"22 {pos} . {ref} {alts} . PASS CSQ={alts[-1]}|{name}|||" for pos, ref, alts, name in sites),
    )
    load(path)
    found = {row["consequences"][0]: (row["record_id"], row["variant_id"]) for row in fetch(lake)}
    assert {name: variant_id for name, (_, variant_id) in found.items()} == {
        "first": "22_300_A_G", "x": "22_100_C_T", "second": "22_300_A_G#2", "third": "22_300_A_G#3",
    }  # fmt: skip
    given = {"callset": "c", "build": "GRCh37", "vcf": (path,)}
    here = load_config(lake=lake.uri, environ={})
    run_job(LOAD_VARIANTS, config.params(LoadVariants, given), here, progress=Progress(quiet=True))
    by_record: dict[int, set[str]] = defaultdict(set)
    for row in lake.fetch(VARIANTS).to_pylist():
        by_record[row["record_id"]].add(row["variant_id"])
    assert all(variant_id in by_record[record_id] for record_id, variant_id in found.values())


def test_what_is_refused(lake: Lake, load: Callable[..., Report], tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "a.vcf", "22 1oo . A G . PASS CSQ=G|x|||")
    with pytest.raises(InputError, match="POS '1oo' is no number"):
        load(path, strict=True)
    plain = tmp_path / "plain.vcf"
    plain.write_text("\n".join([HEADER[0], HEADER[3]]) + "\n")
    with pytest.raises(FormatError, match="Its header declares no annotation"):
        load(str(plain))
    assert lake.fetch(LOADS).num_rows == 0


def test_only_the_contig_that_is_asked_for(lake: Lake, load: Callable[..., Report], tmp_path: Path) -> None:
    rows: Sequence[str] = ("21 100 . A G . PASS CSQ=G|x|||", "22 100 . A G . PASS CSQ=G|y|||")
    load(write_vcf(tmp_path / "a.vcf", *rows), contig=("chr22",))
    assert [row["contig"] for row in fetch(lake)] == ["22"]
