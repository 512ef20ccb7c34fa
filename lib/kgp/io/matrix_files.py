"""A matrix set as the files that mapping tools read, streamed: never variants × samples in memory.

Spark sorts the rows by place and its tasks make the lines; the driver takes one partition after the other, compresses
and indexes. Phenotypes and genotypes are sorted by contig in karyotype order and by start.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pysam

from kgp.genome import ReferenceBuild
from kgp.io import matrix_text as text
from kgp.io.pgen import write_pgen

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Values of a partition, which its task gives to the driver at once, and of a block of lines in it.
PARTITION_VALUES = 20_000_000
BLOCK_VALUES = 1_000_000

_BLOCK = "first binary, second binary, n_rows long, n_missing long"

# Rows → two kinds of bytes, and a count of missing values.
Format = Callable[[pa.RecordBatch], tuple[bytes, bytes, int]]


@dataclass(frozen=True)
class MatrixSet:
    """A set as it is exported.

    Args:
        row: its row of `eqtl_matrices`.
        build: its reference build.
        genotypes: its rows of `eqtl_genotypes`.
        phenotypes: its rows of `eqtl_phenotypes`.
        covariates: its rows of `eqtl_covariates`.
    """

    row: Mapping[str, Any]
    build: ReferenceBuild
    genotypes: DataFrame
    phenotypes: DataFrame
    covariates: Sequence[Mapping[str, Any]]

    @property
    def sample_ids(self) -> list[str]:
        """People in the set's order."""
        return list(self.row["sample_ids"])


@dataclass
class Written:
    """What was written: file name → rows; missing values that had to be filled."""

    rows: dict[str, int]
    n_filled: int = 0


def write_fastqtl(matrices: MatrixSet, directory: Path) -> Written:
    """VCF, BED and covariates for FastQTL (four leading columns) and QTLtools (six), with their indices."""
    samples, n = matrices.sample_ids, len(matrices.sample_ids)
    written = Written({})
    source = f"kgp set {matrices.row['name']} {matrices.row['matrix_id']}"

    def format_genotypes(rows: pa.RecordBatch) -> tuple[bytes, bytes, int]:
        return text.vcf_lines(rows, text.read_cells(rows.column("values"), n)), b"", 0

    def format_phenotypes(rows: pa.RecordBatch) -> tuple[bytes, bytes, int]:
        four, n_missing = text.bed_lines(rows, text.FASTQTL_COLUMNS)
        return four, text.bed_lines(rows, text.QTLTOOLS_COLUMNS)[0], n_missing

    vcf = directory / "genotypes.vcf.gz"
    with _bgzip(vcf) as out:
        out.write(text.vcf_header(matrices.build, samples, source))
        written.rows[vcf.name] = 0
        for lines, _, n_rows, _ in _stream(
            matrices.genotypes, "start", "variant_id", matrices, format_genotypes
        ):
            out.write(lines)
            written.rows[vcf.name] += n_rows
    pysam.tabix_index(str(vcf), preset="vcf", force=True)

    beds = [directory / "phenotypes.qtltools.bed.gz", directory / "phenotypes.fastqtl.bed.gz"]
    with (
        _bgzip(beds[0]) as six,
        _bgzip(beds[1]) as four,
    ):
        six.write(text.bed_header(text.QTLTOOLS_COLUMNS, samples))
        four.write(text.bed_header(text.FASTQTL_COLUMNS, samples))
        total = 0
        for lines4, lines6, n_rows, _ in _stream(
            matrices.phenotypes, "tss", "phenotype_id", matrices, format_phenotypes
        ):
            four.write(lines4)
            six.write(lines6)
            total += n_rows
    for bed in beds:
        pysam.tabix_index(str(bed), preset="bed", force=True)
        written.rows[bed.name] = total
    if matrices.covariates:
        lines = text.covariate_text(matrices.covariates, samples)
        (directory / "covariates.txt.gz").write_bytes(gzip.compress(lines, mtime=0))
        written.rows["covariates.txt.gz"] = len(matrices.covariates)
    return written


def write_tensorqtl(matrices: MatrixSet, directory: Path) -> Written:
    """PLINK 2 genotypes, BED and covariates for tensorQTL, which takes no missing phenotype: means fill them."""
    samples, n = matrices.sample_ids, len(matrices.sample_ids)
    n_variants = int(matrices.row["n_variants"])
    written = Written({"genotypes.pgen": n_variants})

    def format_genotypes(rows: pa.RecordBatch) -> tuple[bytes, bytes, int]:
        return text.pvar_lines(rows), text.read_cells(rows.column("values"), n).tobytes(), 0

    def format_phenotypes(rows: pa.RecordBatch) -> tuple[bytes, bytes, int]:
        lines, n_missing = text.bed_lines(rows, text.TENSORQTL_COLUMNS, impute_missing=True)
        return lines, b"", n_missing

    with (directory / "genotypes.pvar").open("wb") as pvar:
        pvar.write(text.pvar_header(matrices.build))

        def blocks() -> Iterator[text.Cells]:
            for lines, cells, _, _ in _stream(
                matrices.genotypes, "start", "variant_id", matrices, format_genotypes
            ):
                pvar.write(lines)
                yield np.frombuffer(cells, np.int8).reshape(-1, n)

        write_pgen(directory / "genotypes.pgen", n_variants, n, blocks())
    (directory / "genotypes.psam").write_bytes(text.psam_text(samples))
    written.rows |= {"genotypes.pvar": n_variants, "genotypes.psam": n}

    bed = directory / "phenotypes.bed.gz"
    with _bgzip(bed) as out:
        out.write(text.bed_header(text.TENSORQTL_COLUMNS, samples))
        written.rows[bed.name] = 0
        for lines, _, n_rows, n_missing in _stream(
            matrices.phenotypes, "tss", "phenotype_id", matrices, format_phenotypes
        ):
            out.write(lines)
            written.rows[bed.name] += n_rows
            written.n_filled += n_missing
    pysam.tabix_index(str(bed), preset="bed", force=True)
    if matrices.covariates:
        (directory / "covariates.txt").write_bytes(text.covariate_text(matrices.covariates, samples))
        written.rows["covariates.txt"] = len(matrices.covariates)
    return written


@contextmanager
def _bgzip(path: Path) -> Iterator[Any]:
    file = pysam.BGZFile(str(path), "wb", index=None)
    try:
        yield file
    finally:
        file.close()


def _stream(
    rows: DataFrame, place: str, tie: str, matrices: MatrixSet, make: Format
) -> Iterator[tuple[bytes, bytes, int, int]]:
    """Blocks of lines in the order of contig, place and id, one partition at a time."""
    from pyspark.sql import functions as F

    n_samples = len(matrices.sample_ids)
    counted = "n_variants" if place == "start" else "n_phenotypes"
    n_partitions = -(-int(matrices.row[counted]) * n_samples // PARTITION_VALUES)
    places = (F.when(F.col("contig") == contig, i) for i, contig in enumerate(matrices.build.contigs))
    ordered = rows.withColumn("contig_index", F.coalesce(*places))
    if n_partitions > 1:
        ordered = ordered.repartitionByRange(n_partitions, "contig_index", place)
    else:
        ordered = ordered.coalesce(1)
    ordered = ordered.sortWithinPartitions("contig_index", place, tie).drop("contig_index")
    blocks = ordered.mapInArrow(
        _make_blocks(make, max(1, BLOCK_VALUES // n_samples)),
        "first binary, second binary, n_rows long, n_missing long",
    )
    for block in blocks.toLocalIterator(prefetchPartitions=True):
        yield bytes(block["first"]), bytes(block["second"]), block["n_rows"], block["n_missing"]


def _make_blocks(
    make: Format, block_rows: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def make_blocks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for begin in range(0, batch.num_rows, block_rows):
                rows = batch.slice(begin, block_rows)
                first, second, n_missing = make(rows)
                yield pa.RecordBatch.from_pydict(
                    {
                        "first": [first],
                        "second": [second],
                        "n_rows": [rows.num_rows],
                        "n_missing": [n_missing],
                    }
                )

    return make_blocks
