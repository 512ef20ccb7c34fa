"""The builtin engine against bcftools on real files: sites, INFO, every genotype, and counts of alleles."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from kgp.genome import GRCH37
from kgp.io.splits import plan_splits, read_chunks
from kgp.io.vcf.header import read_header
from kgp.io.vcf.parser import parse_chunk
from kgp.io.vcf.rows import Layout
from kgp.io.vcf.selection import Selection

FILES = [
    "dragen/NA12878.dragen-3.7.6.hard-filtered.chr14-101769349-106795748.vcf.gz",
    "dragen/germline_cnv.dragen-3.5.7b.vcf",
    "gvcf-grch38-chr22/HG00187.hg38.g.vcf.gz",
    "highcov30x-grch38/1kg_2020_chrM.vcf.gz",
    "highcov30x-grch38/chr22.vcf.gz",
    "highcov30x-grch38/imputed_3202.chr21.vcf.gz",
    "highcov30x-grch38/nygc_3202_raw_GT_with_annot.chr21.vcf.gz",
    "phase1-and-others/chr22.vcf.gz",
    "phase1-and-others/hapmap_exome_chr22.vcf.gz",
    "phase3-grch37/1000G.phase3.broad.withGenotypes.chr20.10100000.vcf.gz",
    "phase3-grch37/batches/1-500.filtered.10k.chr22.phase3_shapeit2_mvncall_integrated_v5.20130502.genotypes.vcf.gz",
    "phase3-grch37/kidd.aisnp.1kg.vcf",
    "vcf-odd/bio2zarr/mixed_ploidy.vcf.gz",
    "vcf-odd/bio2zarr/sample_no_genotypes.vcf.gz",
    "vcf-odd/hail/x-chromosome.vcf",
]


@pytest.fixture(scope="module")
def bcftools(require_tool: Callable[[str], Path]) -> Callable[..., Iterator[list[str]]]:
    """Run bcftools and give back its lines, cut at tabs."""
    program = require_tool("bcftools")

    def run(*arguments: str, stdin: Any = None) -> Iterator[list[str]]:
        command = [str(program), *arguments]
        with subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            for text in process.stdout:
                yield text.rstrip("\n").split("\t")
        assert process.returncode == 0

    return run


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    layout = Layout.make(read_header(str(path)), GRCH37, Selection(), "callset", "load")
    for split in plan_splits(str(path), n=3):
        for chunk in read_chunks(split):
            parsed = parse_chunk(chunk, layout)
            assert parsed.rejects == []
            for batch in parsed.batches:
                yield from batch.to_pylist()


@pytest.mark.parametrize("name", FILES)
def test_sites_genotypes_and_counts(shared_data, bcftools, name):
    """Row by row: POS, ID, REF, ALT, QUAL, FILTER, dosages, and AC and AN as +fill-tags computes them."""
    path = shared_data / name
    has_samples = bool(read_header(str(path)).samples)
    columns = (
        r"%CHROM\t%POS\t%ID\t%REF\t%ALT\t%QUAL\t%FILTER\t%AC\t%AN"
        + (r"[\t%GT]" if has_samples else "")
        + r"\n"
    )
    if has_samples:
        command = ["bcftools", "+fill-tags", str(path), "-Ou", "--", "-t", "AC,AN"]
        filled = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        records = bcftools("query", "-f", columns, "-", stdin=filled.stdout)
    else:
        records = bcftools("query", "-f", columns, str(path))
    expected = (
        (record, alt_index, alt)
        for record in records
        for alt_index, alt in enumerate(record[4].split(","), start=1)
    )
    n = 0
    for row, (record, alt_index, alt) in zip_longest(rows_of(path), expected):
        chrom, pos, vcf_id, ref, _, qual, filters, ac, an, *gts = record
        assert (row["source_contig"], row["start"] + 1, row["ref"]) == (chrom, int(pos), ref)
        assert (row["alt"] or ".", row["vcf_id"] or ".", ";".join(row["filters"] or ["."])) == (
            alt,
            vcf_id,
            filters,
        )
        assert (row["qual"] is None) == (qual == ".")
        assert qual == "." or math.isclose(row["qual"], float(qual), rel_tol=1e-5)
        if gts and row["dosages"] is not None:
            assert row["dosages"] == [dosage(gt, alt_index if alt != "." else -1) for gt in gts]
            assert row["an"] == int(an)
            assert alt == "." or row["ac"] == int(ac.split(",")[alt_index - 1])
        else:
            assert set(gts) <= {"."}
        n += 1
    assert n > 0


@pytest.mark.parametrize("name", FILES)
def test_info_of_each_alt(shared_data, bcftools, name):
    """INFO against `bcftools norm -m-`, which cuts Number=A, R and G values to each ALT as we do."""
    path = shared_data / name
    whole = {key for key, one in read_header(str(path)).infos.items() if one.type == "Integer"}
    split = bcftools("norm", "-m-", "--force", str(path))
    ours: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows_of(path):
        key = (row["source_contig"], str(row["start"] + 1), row["ref"], row["alt"] or ".")
        ours.setdefault(key, []).append(dict(row["info"]))
    n = 0
    for record in split:
        if record[0].startswith("#"):
            continue
        pairs = dict(entry.partition("=")[::2] for entry in record[7].split(";")) if record[7] != "." else {}
        candidates = ours[record[0], record[1], record[3], record[4]]
        assert any(same_info(one, pairs, whole) for one in candidates), (record[:5], candidates, pairs)
        n += 1
    assert n == sum(map(len, ours.values()))


def same_info(one: dict[str, str], other: dict[str, str], whole: set[str]) -> bool:
    """Equal keys in the same order, and equal values; `whole` are the keys that are declared Integer."""
    return list(one) == list(other) and all(
        same_text(value, other[key], is_whole=key in whole) for key, value in one.items()
    )


def same_text(one: str, other: str, *, is_whole: bool) -> bool:
    """Equal texts, or equal lists of numbers.

    bcftools rounds to single precision, writes 6 digits, and cuts the fraction off where Integer is declared.
    """
    if one == other:
        return True
    ours, theirs = one.split(","), other.split(",")
    try:
        return len(ours) == len(theirs) and all(
            a == b
            or math.isclose(float(a), float(b), rel_tol=1e-4, abs_tol=1e-9)
            or (is_whole and int(float(a)) == int(b))
            for a, b in zip(ours, theirs, strict=True)
        )
    except ValueError:
        return False


def dosage(gt: str, alt_index: int) -> int | None:
    alleles = gt.replace("|", "/").split("/")
    return None if "." in alleles else sum(allele == str(alt_index) for allele in alleles)
