"""What Glow's reader really returned, mapped to `variants`, equals what the builtin engine reads.

Compared are all columns but `record_id`: INFO and FORMAT, as far as the header declares them, by parsed
value, and `calls` by the genotypes that they give back. What remains different is listed in DIFFERENCES,
with its reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kgp.genome import GRCH37
from kgp.io.splits import plan_splits, read_chunks
from kgp.io.vcf import Selection, VcfHeader, read_header
from kgp.io.vcf.glow import find_misread_shapes, variants_from_glow
from kgp.io.vcf.parser import parse_chunk
from kgp.io.vcf.rows import Layout
from kgp.tables import VARIANTS
from kgp.transforms.calls import decode_calls

pytestmark = pytest.mark.spark

END = "Glow leaves END null; `end` says no more than REF does where END is not beyond REF"
ANNOTATION = "Glow cuts annotations into parts, and parts of parts; their text can't be put together again"
DOT = "Glow reads a value of dots as no value"
FRACTION = "Glow cuts the fraction off a value that is declared Integer"
COUNT = "Glow has no value where there are more than the declared number"
TYPE = "Glow has its own type for this FORMAT field; auto takes builtin"
UNDECLARED = "Glow drops FORMAT fields, GT too, that the header does not declare; auto takes builtin"
GENOTYPES = dict.fromkeys(("ac", "an", "n_missing", "dosages", "calls"), UNDECLARED)

# recording → column → why it differs
DIFFERENCES: dict[str, dict[str, str]] = {
    "glow-test-data__vcf__loftee.vcf": {"INFO CSQ": ANNOTATION},
    "glow-test-data__vcf__snpeff.vcf": {"INFO ANN": ANNOTATION},
    "gvcf-grch38-chr22__HG00187.hg38.g.vcf.gz": {"INFO END": END},
    "gvcf-grch38-chr22__HG00190.hg38.g.vcf.gz": {"INFO END": END},
    "gvcf-grch38-chr22__HG00313.hg38.g.vcf.gz": {"INFO END": END},
    "phase1-and-others__chr22.vcf.gz": {"INFO END": END, "INFO AA": DOT},
    "phase1-and-others__hapmap_exome_chr22.vcf.gz": {"INFO GC": FRACTION},
    "phase1-and-others__structural.vcf": {"INFO END": END, "FORMAT GQ": TYPE},
    "vcf-odd__bio2zarr__sample_missing_contig.vcf.gz": {"FORMAT HQ": DOT},
    "vcf-odd__glow__NA12878_21_10002403.g.vcf": {"INFO END": END},
    "vcf-odd__glow__misnumbered_info.vcf": {"INFO CUSTOM": COUNT},
    "vcf-odd__glow__test.chr17.vcf": {"FORMAT PS": TYPE},
    "vcf-odd__glow__vep.vcf": {"INFO CSQ": ANNOTATION},
    "vcf-odd__hail__noglgp.vcf": {"FORMAT GP": DOT, "FORMAT GL": DOT},
    "vcf-odd__opencga__variant-test-sample-mapping.vcf": {**GENOTYPES, "af": UNDECLARED},
    "vcf-odd__opencga__variant-test-sv.vcf": {"INFO END": END},
    "vcf-odd__opencga__variant-test-sv_2.vcf": {"INFO END": END},
    "vcf-odd__opencga__variant-test-unusual-contigs.vcf": {"FORMAT PS": TYPE},
    "vcf-odd__pyvcf3__example-4.1-ploidy.vcf": {"FORMAT HQ": DOT},
    "vcf-odd__pyvcf3__example-4.1-sv.vcf": {"INFO END": END, "FORMAT GQ": TYPE},
    "vcf-odd__pyvcf3__freebayes.vcf": {"FORMAT GQ": TYPE},
    "vcf-odd__pyvcf3__walk_refcall.vcf": {"FORMAT HQ": DOT},
    "vcf-odd__scikit-allel__sample.utf8.vcf": {"FORMAT GQ": COUNT, "FORMAT HQ": DOT},
    "vcf-odd__scikit-allel__test32.vcf": {"INFO GC": FRACTION},
    "vcf-odd__scikit-allel__test4.vcf": {"INFO MQ0FractionTest": FRACTION, "FORMAT HQ": DOT},
    "vcf-odd__scikit-allel__unsorted.vcf": {"FORMAT HQ": DOT},
    "vcf-odd__variantannotation__buffer_realloc.vcf": GENOTYPES,
}

# Read with every `make test`; the others with `make test-slow`.
FIRST = (
    "dragen__",
    "gvcf-grch38-chr22__HG00187",
    "highcov30x-grch38__",
    "phase1-and-others__chr22",
    "phase1-and-others__structural",
    "phase3-grch37__1000G.phase3.broad",
    "phase3-grch37__10k.chr22",
    "phase3-grch37__kidd",
    "vcf-odd__bio2zarr__mixed_ploidy",
    "vcf-odd__hail__x-chromosome",
    "vcf-odd__opencga__variant-test-sample-mapping",
)
# Left out: what adds nothing but minutes, and what Glow read wrong without a sound (see the last tests).
LEFT_OUT = (
    "beacon__",
    "phase3-grch37__batches__",
    "vcf-odd__variantannotation__no_GENO_row.vcf",
)


def recordings(shared_data: Path, *, is_first: bool) -> Iterator[Path]:
    for path in sorted((shared_data / "glow-golden").glob("*/part.parquet")):
        name = path.parent.name
        if name.startswith(FIRST) == is_first and not name.startswith(LEFT_OUT):
            yield path.parent


def builtin_rows(
    path: Path, header: VcfHeader, layout: Layout, n_records: int | None
) -> list[dict[str, Any]]:
    """Rows of the first records by the builtin engine."""
    rows: list[dict[str, Any]] = []
    for split in plan_splits(str(path), n=1):
        for chunk in read_chunks(split, chunk_bytes=1 << 20):
            batch, rejects = parse_chunk(chunk, layout)
            assert rejects == []
            rows += batch.to_pylist()
            records = sorted({row["record_id"] for row in rows})
            if n_records is not None and len(records) >= n_records:
                return [row for row in rows if row["record_id"] <= records[n_records - 1]]
    return rows


def parsed(text: str | None) -> list[float | str] | None:
    """A value as numbers where it is made of them."""
    return None if text is None else [number(part) for part in text.split(",")]


def number(text: str) -> float | str:
    try:
        value = float(text)
    except ValueError:
        return text
    return "nan" if math.isnan(value) else value


def differing(ours: dict[str, Any], theirs: dict[str, Any], header: VcfHeader) -> Iterator[str]:
    """Columns, and INFO and FORMAT keys, in which two rows differ."""
    for name in VARIANTS.columns:
        one, other = ours[name], theirs[name]
        if name == "info":
            one, other = dict(one), dict(other)
            yield from (
                f"INFO {key}" for key in header.infos if parsed(one.get(key)) != parsed(other.get(key))
            )
        elif name == "formats":
            one, other = dict(one or []), dict(other or [])
            for key in header.formats:
                if key != "GT":
                    pairs = [
                        [parsed(v) for v in values.get(key) or [None] * len(header.samples)]
                        for values in (one, other)
                    ]
                    if pairs[0] != pairs[1]:
                        yield f"FORMAT {key}"
        elif name == "calls" and one is not None and other is not None:
            if decode_calls(one, ours["dosages"]) != decode_calls(other, theirs["dosages"]):
                yield name
        elif name == "expected_dosages" and one is not None and other is not None:
            if one != pytest.approx(other, abs=1e-6, nan_ok=True):
                yield name
        elif name == "qual" and one is not None and math.isnan(one):
            if other is None or not math.isnan(other):
                yield name
        elif name != "record_id" and one != other:
            yield name


@pytest.mark.parametrize(
    "is_first", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["first", "others"]
)
def test_mapped_rows_equal_the_builtin_engines(spark, shared_data, is_first):
    found: dict[str, set[str]] = {}
    for folder in recordings(shared_data, is_first=is_first):
        meta = json.loads((folder / "meta.json").read_text())
        path = shared_data / meta["source"]
        header = read_header(str(path))
        layout = Layout.make(header, GRCH37, Selection(), "c", "l")
        ours = builtin_rows(path, header, layout, meta["limit_first_n"])
        mapped = variants_from_glow(spark.read.parquet(str(folder / "part.parquet")), layout)
        batches = mapped._collect_as_arrow()  # in file order, as the recording is
        theirs = pa.Table.from_batches(batches, schema=VARIANTS.arrow_schema).to_pylist() if batches else []
        assert len(ours) == len(theirs), folder.name
        names = {name for pair in zip(ours, theirs, strict=True) for name in differing(*pair, header)}
        if names:
            found[folder.name] = names
    listed = {
        name: set(columns) for name, columns in DIFFERENCES.items() if name.startswith(FIRST) == is_first
    }
    assert found == listed


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("vcf-odd/variantannotation/no_GENO_row.vcf", {"undeclared FORMAT key"}),
        ("beacon/legacy_pathogenic/test_pathogenic.vcf.gz", {"wrong number of columns"}),
        ("vcf-odd/glow/1row_not_bgz.vcf.gz", {"FORMAT '.'"}),
        ("vcf-odd/opencga/variant-test-sample-mapping.vcf", {"undeclared FORMAT key"}),
        ("vcf-odd/variantannotation/buffer_realloc.vcf", {"undeclared INFO key"}),
        ("vcf-odd/pyvcf3/freebayes.vcf", {"FORMAT GQ declared as Float"}),
        ("phase3-grch37/kidd.aisnp.1kg.vcf", set()),
        ("dragen/germline_cnv.dragen-3.5.7b.vcf", set()),
    ],
)
def test_what_glow_misreads_is_found_beforehand(spark, shared_data, name, shapes):
    path = str(shared_data / name)
    assert set(find_misread_shapes(spark, path, read_header(path))) == shapes


@pytest.mark.parametrize(
    ("samples", "shape"),
    [
        ("GT\t0|1\t0|1", None),
        ("GT\t0|1\t0|1\t0|1", "wrong number of columns"),
        ("GT:DP\t0|1:7:8\t0|1", "more values than FORMAT has keys"),
        ("DP:GT\t7:0|1\t0|1", "GT is not the first FORMAT key"),
        ("GT\t0|1\tx|1", "malformed genotype"),
        ("GT\t0|1\t0|2", "malformed genotype"),
        ("GT\t0|1/1\t0|1", "genotype phased in part"),
    ],
)
def test_each_shape_is_found(spark, tmp_path, samples, shape):
    path = tmp_path / "a.vcf"
    path.write_text(
        '##fileformat=VCFv4.2\n##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n'
        '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="">\n'
        f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB\n1\t7\t.\tA\tC\t.\t.\t.\t{samples}\n"
    )
    assert find_misread_shapes(spark, str(path), read_header(str(path))) == ({shape: 1} if shape else {})
