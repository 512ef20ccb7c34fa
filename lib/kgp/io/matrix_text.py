"""Rows of a matrix set as the lines that mapping tools read. Pure functions on arrays.

Dosages are variants × samples: int8 copies of ALT with -1 where missing, or float32 expected copies with NaN. What is
missing is written as the format's own mark, never as a number: some tools take -1 for a dosage. Expected dosages have
as few digits as read back as the same 32-bit number, phenotypes and covariates as the same 64-bit number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgp.genome import ReferenceBuild
from kgp.io.matrix_sets import GenotypeRows, PhenotypeRows, group_of

FASTQTL_COLUMNS = ("#Chr", "start", "end", "ID")
QTLTOOLS_COLUMNS = ("#chr", "start", "end", "pid", "gid", "strand")
TENSORQTL_COLUMNS = ("#chr", "start", "end", "phenotype_id")

_X_MODELS = {
    "0_2": "hemizygous men on X count 0 or 2 copies of ALT",
    "0_1": "hemizygous men on X count 0 or 1 copy of ALT",
}
# By copies of ALT; the last one, which is also that of -1, is missing.
_CALLS = np.array([b"\t0/0:0", b"\t0/1:1", b"\t1/1:2", b"\t./.:."])
_COPIES = np.array([b"\t0", b"\t1", b"\t2", b"\tNA"])


def vcf_header(
    build: ReferenceBuild, sample_ids: Sequence[str], source: str, *, x_model: str | None, is_expected: bool
) -> bytes:
    """Header of a VCF with the cohort's own AC, AN and AF, and GT and DS, or DS alone where that is all there is.

    Args:
        build: of the set.
        sample_ids: people, in order.
        source: what the file was made from.
        x_model: how hemizygous men are counted; None where the set has no X.
        is_expected: whether dosages are expected ones, which no genotype stands behind.
    """
    x_note = "" if x_model is None else f"; {_X_MODELS[x_model]}"
    genotype = f'##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype, unphased{x_note}">'
    dosage = "Expected copies of ALT" if is_expected else "Copies of ALT"
    lines = [
        "##fileformat=VCFv4.2",
        f"##source={source}",
        *(f"##contig=<ID={name},length={n},assembly={build.name}>" for name, n in build.contigs.items()),
        '##INFO=<ID=AC,Number=A,Type=Float,Description="Expected copies of ALT among these people">'
        if is_expected
        else '##INFO=<ID=AC,Number=A,Type=Integer,Description="Copies of ALT among these people">',
        '##INFO=<ID=AN,Number=1,Type=Integer,Description="Called alleles among these people">',
        '##INFO=<ID=AF,Number=A,Type=Float,Description="AC / AN">',
        '##INFO=<ID=END,Number=1,Type=Integer,Description="Last base of a symbolic allele">',
        *([] if is_expected else [genotype]),
        f'##FORMAT=<ID=DS,Number=1,Type=Float,Description="{dosage}{x_note}">',
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *sample_ids]),
    ]
    return ("\n".join(lines) + "\n").encode()


def vcf_lines(found: GenotypeRows) -> bytes:
    """A line a variant; ID is `variant_id`, which is unique."""
    is_expected = found.dosages.dtype != np.int8
    key = "DS" if is_expected else "GT:DS"
    leading = []
    for row in found.rows.to_pylist():
        end = f";END={row['end']}" if row["alt"].startswith("<") else ""
        leading.append(
            f"{row['contig']}\t{row['start'] + 1}\t{row['variant_id']}\t{row['ref']}\t{row['alt']}\t.\t.\t"
            f"AC={row['ac']:.10g};AN={row['an']};AF={row['af']:.6g}{end}\t{key}".encode()
        )
    cells = (
        _float_cells(found.dosages, ".") if is_expected else [one.tobytes() for one in _CALLS[found.dosages]]
    )
    return b"".join(b"%b%b\n" % pair for pair in zip(leading, cells, strict=True))


def pvar_header(build: ReferenceBuild) -> bytes:
    """Header of a PLINK 2 .pvar."""
    lines = [f"##contig=<ID={name},length={n}>" for name, n in build.contigs.items()]
    return ("\n".join([*lines, "#CHROM\tPOS\tID\tREF\tALT"]) + "\n").encode()


def pvar_lines(rows: pa.RecordBatch, contigs: Sequence[str] | None = None) -> bytes:
    """A line a variant; ID is `variant_id`.

    Args:
        rows: of `eqtl_genotypes`.
        contigs: what is written for the contig of each; None for their own.
    """
    columns = [rows.column(name).to_pylist() for name in ("contig", "start", "variant_id", "ref", "alt")]
    if contigs is not None:
        columns[0] = list(contigs)
    return "".join(
        f"{contig}\t{start + 1}\t{variant_id}\t{ref}\t{alt}\n"
        for contig, start, variant_id, ref, alt in zip(*columns, strict=True)
    ).encode()


def psam_text(sample_ids: Iterable[str], sexes: Mapping[str, str | None]) -> bytes:
    r"""A PLINK 2 .psam: people in order, sex as 1 (male), 2 (female) or NA.

    >>> psam_text(["HG1", "HG2"], {"HG1": "female", "HG2": None})
    b'#IID\tSEX\nHG1\t2\nHG2\tNA\n'
    """
    codes = {"male": "1", "female": "2"}
    lines = [f"{one}\t{codes.get(sexes.get(one) or '', 'NA')}\n" for one in sample_ids]
    return "".join(["#IID\tSEX\n", *lines]).encode()


def bed_header(columns: Sequence[str], sample_ids: Iterable[str]) -> bytes:
    """Header line of a phenotype BED."""
    return ("\t".join([*columns, *sample_ids]) + "\n").encode()


def bed_lines(found: PhenotypeRows, columns: Sequence[str]) -> bytes:
    """A line a phenotype at its TSS: start = tss - 1, end = tss.

    Args:
        found: the phenotypes.
        columns: leading columns; six for QTLtools, four for others.
    """
    leading = []
    for row in found.rows.to_pylist():
        cells = [row["contig"], str(row["tss"] - 1), str(row["tss"]), row["phenotype_id"]]
        if len(columns) > len(cells):
            cells += [group_of(row), row["strand"] or "+"]
        leading.append("\t".join(cells).encode())
    return b"".join(b"%b%b\n" % pair for pair in zip(leading, _float_cells(found.values, "NA"), strict=True))


def dosage_lines(found: GenotypeRows) -> bytes:
    """A line a variant, `variant_id` and the dosages: what Matrix eQTL reads; NA where missing."""
    if found.dosages.dtype != np.int8:
        cells = _float_cells(found.dosages, "NA")
    else:  # numpy fills up short cells with zero bytes
        cells = [one.tobytes().replace(b"\0", b"") for one in _COPIES[found.dosages]]
    ids = found.rows.column("variant_id").to_pylist()
    return b"".join(b"%b%b\n" % (name.encode(), one) for name, one in zip(ids, cells, strict=True))


def value_lines(ids: Iterable[str], values: NDArray[Any]) -> bytes:
    r"""A line a row: its id and its values, NA where missing.

    >>> value_lines(["sex_female"], np.array([[1.0, 0.5, np.nan]]))
    b'sex_female\t1\t0.5\tNA\n'
    """
    cells = _float_cells(values, "NA")
    return b"".join(b"%b%b\n" % (name.encode(), one) for name, one in zip(ids, cells, strict=True))


def fill_with_means(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Missing values as the mean of their row, and how many there were; a row without any value stays missing.

    >>> fill_with_means(np.array([[1.0, np.nan, 3.0]]))
    (array([[1., 2., 3.]]), 1)
    """
    is_missing = np.isnan(values)
    n = int(is_missing.sum())
    if not n:
        return values, 0
    sums = np.where(is_missing, 0, values).sum(axis=1)
    n_known = (~is_missing).sum(axis=1)
    means = np.divide(sums, n_known, out=np.full(len(values), np.nan), where=n_known > 0)
    return np.where(is_missing, means[:, None], values), n


def _float_cells(values: NDArray[Any], missing: str) -> list[bytes]:
    """The cells of each row, each with a tab before it, with as few digits as tell numbers apart."""
    n_rows, n_columns = values.shape
    flat = np.ascontiguousarray(values).reshape(-1)
    texts = pc.fill_null(pa.array(flat, mask=np.isnan(flat)).cast(pa.string()), missing)
    offsets = pa.array(np.arange(n_rows + 1, dtype=np.int32) * n_columns)
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, texts), "\t")
    return [b"\t" + one.encode() for one in joined.to_pylist()]
