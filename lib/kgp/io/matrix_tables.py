"""A matrix set for Matrix eQTL: matrices with an id and a column a person, positions beside them, and an R script.

https://www.bios.unc.edu/research/genomic_software/Matrix_eQTL/
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from kgp.io import matrix_text as text
from kgp.io.matrix_files import (
    ExportFiles,
    MatrixSet,
    Section,
    TextFile,
    Written,
    blocks_of,
    constant_lines,
    write_covariates,
)
from kgp.io.matrix_sets import GenotypeRows

_FILES = """\
SNP.txt                      id, then a column a person: copies of ALT, or expected copies; NA where missing
snpspos.txt                  snp chr pos (1-based)
expression.txt               id, then a column a person; NA where missing
genepos.txt                  geneid chr left right: both the TSS (1-based), so that the window is put around it
matrixeqtl.covariates.txt    a row a covariate, a column a person
matrixeqtl.R                 runs Matrix eQTL on these files
"""

_SCRIPT = """\
# Runs Matrix eQTL on the files beside this script: Rscript matrixeqtl.R; results go to the working directory.
library(MatrixEQTL)
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)))
read_matrix <- function(name) {
  matrix <- SlicedData$new()
  matrix$fileDelimiter <- "\\t"
  matrix$fileOmitCharacters <- "NA"
  matrix$fileSkipRows <- 1
  matrix$fileSkipColumns <- 1
  matrix$fileSliceSize <- 2000
  matrix$LoadFile(file.path(here, name))
  matrix
}
read_positions <- function(name, columns) {
  read.table(file.path(here, name), header = TRUE, sep = "\\t", quote = "", comment.char = "", colClasses = columns)
}
snps <- read_matrix("SNP.txt")
snpspos <- read_positions("snpspos.txt", c("character", "character", "numeric"))
map <- function(expression, genepos, covariates, out) {
  invisible(Matrix_eQTL_main(
    snps = snps, gene = read_matrix(expression),
    cvrt = if (nzchar(covariates)) read_matrix(covariates) else SlicedData$new(),
    output_file_name = NULL, pvOutputThreshold = 0, useModel = modelLINEAR, errorCovariance = numeric(),
    output_file_name.cis = out, pvOutputThreshold.cis = 1, snpspos = snpspos,
    genepos = read_positions(genepos, c("character", "character", "numeric", "numeric")), cisDist = WINDOW,
    verbose = TRUE, pvalue.hist = FALSE, min.pv.by.genesnp = FALSE, noFDRsaveMemory = FALSE
  ))
}
"""


def write_matrixeqtl(matrices: MatrixSet, directory: Path) -> Written:
    """Genotypes, phenotypes, covariates, positions, and the script."""
    written = Written()
    with (
        TextFile(directory / "SNP.txt") as snps,
        TextFile(directory / "snpspos.txt") as places,
    ):
        snps.write(text.bed_header(["id"], matrices.sample_ids))
        places.write(b"snp\tchr\tpos\n")
        n = 0
        for lines, positions, n_rows in matrices.make_pieces(_make_lines):
            snps.write(lines)
            places.write(positions)
            n += int.from_bytes(n_rows)
    written.rows |= {"SNP.txt": n, "snpspos.txt": n}
    written.counts["variants"] = n
    script = [_SCRIPT.replace("WINDOW", matrices.window)]
    for section in matrices.sections:
        _write_phenotypes(matrices, section, directory, written)
        covariates = section.name("matrixeqtl.covariates", ".txt")
        write_covariates(matrices, section, directory / covariates, written)
        names = (
            section.name("expression", ".txt"),
            section.name("genepos", ".txt"),
            covariates if covariates in written.rows else "",
            section.name("matrixeqtl", ".cis.txt"),
        )
        script.append(f"map({', '.join(f'{name!r}' for name in names)})\n".replace("'", '"'))
    (directory / "matrixeqtl.R").write_text("".join(script), encoding="utf-8")
    written.rows["matrixeqtl.R"] = 0
    return written


def _make_lines(found: GenotypeRows) -> tuple[bytes, ...]:
    rows = pa.RecordBatch.from_arrays(
        [found.rows.column("variant_id"), found.rows.column("contig"), pa.array(found.pos)],
        names=["variant_id", "contig", "pos"],
    )
    places = constant_lines(rows, rows.schema.names)
    return text.dosage_lines(found), places, found.rows.num_rows.to_bytes(8)


def _write_phenotypes(matrices: MatrixSet, section: Section, directory: Path, written: Written) -> None:
    names = section.name("expression", ".txt"), section.name("genepos", ".txt")
    n = 0
    with TextFile(directory / names[0]) as values, TextFile(directory / names[1]) as places:
        values.write(text.bed_header(["id"], matrices.sample_ids))
        places.write(b"geneid\tchr\tleft\tright\n")
        for found in matrices.read_section(section):
            for block in blocks_of(found):
                values.write(text.value_lines(block.rows.column("phenotype_id").to_pylist(), block.values))
                places.write(constant_lines(block.rows, ("phenotype_id", "contig", "tss", "tss")))
            n += len(found)
    written.rows |= dict.fromkeys(names, n)
    written.counts["phenotypes"] += n


def _list_commands(matrices: MatrixSet, at: Callable[[str], str]) -> list[str]:
    return [f"Rscript {at('matrixeqtl.R')}"]


MATRIXEQTL = ExportFiles(write_matrixeqtl, _list_commands, _FILES)
