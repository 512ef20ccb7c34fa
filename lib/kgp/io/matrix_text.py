"""Rows of a matrix set as the lines that mapping tools read. Pure functions on Arrow batches.

`cells` are variants × samples, copies of ALT in diploid genotypes, -9 where missing. A missing genotype is ``./.`` and
``.``, never a number: some tools take -1 for a dosage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgp.errors import InputError
from kgp.genome import ReferenceBuild

Cells = NDArray[np.int8]

MISSING = -9
_CALLS = np.array([b"\t0/0:0", b"\t0/1:1", b"\t1/1:2", b"\t./.:."])

FASTQTL_COLUMNS = ("#Chr", "start", "end", "ID")
QTLTOOLS_COLUMNS = ("#chr", "start", "end", "pid", "gid", "strand")
TENSORQTL_COLUMNS = ("#chr", "start", "end", "phenotype_id")


def read_cells(values: pa.ListArray, n_samples: int) -> Cells:
    """The values of genotype rows as whole copies.

    Raises:
        InputError: a value is no whole number of copies from 0 to 2.
    """
    flat = pc.fill_null(values.flatten(), float(MISSING)).to_numpy(zero_copy_only=False)
    cells = np.asarray(flat, dtype=np.int8)
    is_strange = (cells != flat) | ((cells < 0) & (cells != MISSING)) | (cells > 2)
    if is_strange.any():
        raise InputError(
            f"A genotype row holds {flat[is_strange][0]:g}, which is no number of copies of a diploid genotype.",
            where="table eqtl_genotypes",
            mend="Only sets of called genotypes can be exported.",
        )
    return cells.reshape(len(values), n_samples)


def vcf_header(build: ReferenceBuild, sample_ids: Sequence[str], source: str) -> bytes:
    """Header of a VCF with the cohort's own AC, AN and AF, GT and DS."""
    lines = [
        "##fileformat=VCFv4.2",
        f"##source={source}",
        *(f"##contig=<ID={name},length={n},assembly={build.name}>" for name, n in build.contigs.items()),
        '##INFO=<ID=AC,Number=A,Type=Integer,Description="Copies of ALT among these people">',
        '##INFO=<ID=AN,Number=1,Type=Integer,Description="Called alleles among these people">',
        '##INFO=<ID=AF,Number=A,Type=Float,Description="AC / AN">',
        '##INFO=<ID=END,Number=1,Type=Integer,Description="Last base of a symbolic allele">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype, unphased">',
        '##FORMAT=<ID=DS,Number=1,Type=Float,Description="Copies of ALT">',
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *sample_ids]),
    ]
    return ("\n".join(lines) + "\n").encode()


def vcf_lines(rows: pa.RecordBatch, cells: Cells) -> bytes:
    """A line a variant; ID is `variant_id`, which is unique."""
    calls = _CALLS[np.where(cells < 0, 3, cells)]
    lines = []
    for row, texts in zip(_without_values(rows), calls, strict=True):
        end = f";END={row['end']}" if row["alt"].startswith("<") else ""
        lines.append(
            f"{row['contig']}\t{row['start'] + 1}\t{row['variant_id']}\t{row['ref']}\t{row['alt']}\t.\t.\t"
            f"AC={row['ac']};AN={row['an']};AF={row['af']:.6g}{end}\tGT:DS".encode()
        )
        lines.append(texts.tobytes())
        lines.append(b"\n")
    return b"".join(lines)


def pvar_header(build: ReferenceBuild) -> bytes:
    """Header of a PLINK 2 .pvar."""
    lines = [f"##contig=<ID={name},length={n}>" for name, n in build.contigs.items()]
    return ("\n".join([*lines, "#CHROM\tPOS\tID\tREF\tALT"]) + "\n").encode()


def pvar_lines(rows: pa.RecordBatch) -> bytes:
    """A line a variant; ID is `variant_id`."""
    return "".join(
        f"{row['contig']}\t{row['start'] + 1}\t{row['variant_id']}\t{row['ref']}\t{row['alt']}\n"
        for row in _without_values(rows)
    ).encode()


def psam_text(sample_ids: Iterable[str]) -> bytes:
    """A PLINK 2 .psam: people in order, sex left to the covariates."""
    return "".join(["#IID\tSEX\n", *(f"{sample_id}\tNA\n" for sample_id in sample_ids)]).encode()


def bed_header(columns: Sequence[str], sample_ids: Iterable[str]) -> bytes:
    """Header line of a phenotype BED."""
    return ("\t".join([*columns, *sample_ids]) + "\n").encode()


def bed_lines(
    rows: pa.RecordBatch, columns: Sequence[str], *, impute_missing: bool = False
) -> tuple[bytes, int]:
    """A line a phenotype at its TSS: start = tss - 1, end = tss.

    Args:
        rows: rows of `eqtl_phenotypes`.
        columns: leading columns; six for QTLtools, four for others.
        impute_missing: write the phenotype's mean instead of NA.

    Returns:
        the lines, and how many missing values there were.
    """
    lines, n_missing = [], 0
    for row, values in zip(_without_values(rows), rows.column("values").to_pylist(), strict=True):
        called = [value for value in values if value is not None]
        n_missing += len(values) - len(called)
        filling = repr(sum(called) / len(called)) if impute_missing and called else "NA"
        leading = [row["contig"], str(row["tss"] - 1), str(row["tss"]), row["phenotype_id"]]
        if len(columns) > len(leading):
            leading += [row["group_id"] or row["gene_id"] or row["phenotype_id"], row["strand"] or "+"]
        lines.append("\t".join(leading + [filling if value is None else repr(value) for value in values]))
    return "".join(line + "\n" for line in lines).encode(), n_missing


def covariate_text(covariates: Iterable[Mapping[str, Any]], sample_ids: Iterable[str]) -> bytes:
    """Covariates × samples with the id first: what FastQTL, QTLtools and tensorQTL read.

    >>> rows = [{"row_index": 0, "covariate_id": "sex_female", "values": [1.0, 0.5]}]
    >>> covariate_text(rows, ["HG1", "HG2"])
    b'id\\tHG1\\tHG2\\nsex_female\\t1\\t0.5\\n'
    """
    ordered = sorted(covariates, key=lambda row: int(row["row_index"]))
    lines = ["\t".join(["id", *sample_ids])]
    for row in ordered:
        values = (repr(int(v)) if float(v).is_integer() else repr(float(v)) for v in row["values"])
        lines.append("\t".join([str(row["covariate_id"]), *values]))
    return ("\n".join(lines) + "\n").encode()


def _without_values(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = rows.select([n for n in rows.schema.names if n != "values"]).to_pylist()
    return listed
