"""A matrix set for FastQTL and QTLtools: VCF, BEDs with four and six leading columns, covariates; bgzip and tabix."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pysam

from kgp.io import matrix_text as text
from kgp.io.bgzf import compress_blocks
from kgp.io.matrix_files import ExportFiles, MatrixSet, TextFile, Written, write_bed, write_covariates
from kgp.io.matrix_sets import GenotypeRows

_FILES = """\
genotypes.vcf.gz             variants; ID is variant_id, INFO has the cohort's AC, AN and AF. GT and DS are copies of
                             ALT, ./. and . where missing; of a set of expected dosages there is DS alone
phenotypes.fastqtl.bed.gz    #Chr start end ID, then a column a person; start = TSS - 1, end = TSS; NA where missing
phenotypes.qtltools.bed.gz   #chr start end pid gid strand, then the same; gid is the group, else the gene
covariates.txt.gz            a row a covariate, a column a person
"""


def write_fastqtl(matrices: MatrixSet, directory: Path) -> Written:
    """VCF, BEDs and covariates, with their indices."""
    written = Written()
    _write_vcf(matrices, directory / "genotypes.vcf.gz", written)
    for section in matrices.sections:
        for tool, columns in (("fastqtl", text.FASTQTL_COLUMNS), ("qtltools", text.QTLTOOLS_COLUMNS)):
            path = directory / section.name(f"phenotypes.{tool}", ".bed.gz")
            write_bed(matrices, section, path, columns, written)
        written.counts["phenotypes"] += written.rows[path.name]
        write_covariates(matrices, section, directory / section.name("covariates", ".txt.gz"), written)
    return written


def _write_vcf(matrices: MatrixSet, path: Path, written: Written) -> None:
    source = f"kgp set {matrices.row['name']} {matrices.row['matrix_id']}"
    header = text.vcf_header(
        matrices.build,
        matrices.sample_ids,
        source,
        x_model=matrices.x_model,
        is_expected=matrices.is_expected,
    )
    n = 0
    with TextFile(path) as out:
        out.write(header)
        for blocks, n_rows in matrices.make_pieces(_make_vcf):
            out.write_blocks(blocks)
            n += int.from_bytes(n_rows)
    pysam.tabix_index(str(path), preset="vcf", force=True)
    written.rows[path.name] = written.counts["variants"] = n


def _make_vcf(found: GenotypeRows) -> tuple[bytes, ...]:
    return compress_blocks(text.vcf_lines(found)), found.rows.num_rows.to_bytes(8)


def _list_commands(matrices: MatrixSet, at: Callable[[str], str]) -> list[str]:
    return [command for section in matrices.sections for command in _of_section(matrices, section.name, at)]


def _of_section(
    matrices: MatrixSet, name: Callable[[str, str], str], at: Callable[[str], str]
) -> tuple[str, str]:
    file = partial(_place, name, at)
    covariates = f" --cov {file('covariates', '.txt.gz')}" if matrices.covariates else ""
    both = f"--vcf {at('genotypes.vcf.gz')}{covariates} --window {matrices.window}"
    qtltools = (
        f"QTLtools cis {both} --bed {file('phenotypes.qtltools', '.bed.gz')} --nominal 1e-5 "
        f"--out {name('qtltools', '.txt')}"
    )
    fastqtl = f"fastQTL {both} --bed {file('phenotypes.fastqtl', '.bed.gz')}"
    n = len(matrices.contigs) if len(matrices.sections) == 1 else 1
    if n == 1:
        return qtltools, f"{fastqtl} --chunk 1 1 --out {name('fastqtl', '.txt.gz')}"
    # It wants a chunk a contig at least.
    return qtltools, f"for i in $(seq {n}); do {fastqtl} --chunk $i {n} --out fastqtl.$i.txt.gz; done"


def _place(name: Callable[[str, str], str], at: Callable[[str], str], stem: str, ending: str) -> str:
    return at(name(stem, ending))


FASTQTL = ExportFiles(write_fastqtl, _list_commands, _FILES)
