"""A matrix set for tensorQTL and for PLINK 2: .pgen, .pvar, .psam, and phenotypes and covariates beside them.

PLINK 2 keeps hemizygous men on X as 0 or 2 copies, halves them where ``--xchr-model 1`` asks for it, and wants the
pseudo-autosomal regions as contigs PAR1 and PAR2; so that is what its files have. tensorQTL takes the numbers as they
are: its files have those of the set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgp.errors import InputError
from kgp.genome import ReferenceBuild, get_build
from kgp.io import matrix_text as text
from kgp.io.matrix_files import (
    ExportFiles,
    MatrixSet,
    Section,
    TextFile,
    Written,
    blocks_of,
    write_bed,
    write_covariates,
)
from kgp.io.matrix_sets import Dosages, GenotypeRows
from kgp.io.pgen import write_pgen

_TENSORQTL_FILES = """\
genotypes.pgen .pvar .psam   PLINK 2: variants by variant_id; of a set of expected dosages these, to 1/16384 of a copy
phenotypes.bed.gz            #chr start end phenotype_id, then a column a person; start = TSS - 1, end = TSS. tensorQTL
                             reads no missing value: each is written as the mean of its phenotype
covariates.txt               a row a covariate, a column a person
"""
_PLINK2_FILES = """\
plink2.pgen .pvar .psam      variants by variant_id; a set of expected dosages has dosages, to 1/16384 of a copy. On X,
                             hemizygous men have 0 or 2 copies, as PLINK 2 wants them whatever the model; the
                             pseudo-autosomal regions are contigs PAR1 and PAR2
plink2.phenotypes.C.txt      #IID, then a column a phenotype of contig C; NA where missing. A phenotype of nothing but
                             0, 1 and 2 would be taken for one of cases and controls
plink2.covariates.txt        #IID, then a column a covariate
"""


def write_tensorqtl(matrices: MatrixSet, directory: Path) -> Written:
    """PLINK 2 genotypes, BED and covariates."""
    written = Written()
    _write_genotypes(matrices, directory / "genotypes", written, None)
    for section in matrices.sections:
        path = directory / section.name("phenotypes", ".bed.gz")
        write_bed(matrices, section, path, text.TENSORQTL_COLUMNS, written, fills_missing=True)
        written.counts["phenotypes"] += written.rows[path.name]
        write_covariates(matrices, section, directory / section.name("covariates", ".txt"), written)
    if written.n_filled:
        written.notes.append(
            f"{written.n_filled:,} missing phenotype values were written as the phenotype's mean: tensorQTL reads none"
        )
    return written


def write_plink2(matrices: MatrixSet, directory: Path) -> Written:
    """PLINK 2 genotypes, a phenotype file a contig, and covariates, people in rows."""
    written = Written()
    men = np.array([matrices.sexes.get(one) == "male" for one in matrices.sample_ids])
    _write_genotypes(matrices, directory / "plink2", written, men)
    n_binary = 0
    for contig in matrices.contigs:
        n_binary += _write_phenotypes(matrices, contig, directory, written)
    if n_binary:
        written.notes.append(
            f"{n_binary:,} phenotypes have no values but 0, 1 and 2: PLINK 2 takes them for case and control"
        )
    for section in matrices.sections:
        names, values = matrices.read_covariates(section)
        path = directory / section.name("plink2.covariates", ".txt")
        if names:
            path.write_bytes(text.bed_header(["#IID"], names) + text.value_lines(matrices.sample_ids, values))
            written.rows[path.name] = matrices.n_samples
    return written


def _write_genotypes(
    matrices: MatrixSet, prefix: Path, written: Written, men: NDArray[np.bool_] | None
) -> None:
    """The three files; where `men` are given, X is written as PLINK 2 wants it."""
    n_variants = int(matrices.row["n_variants"])
    kind: Any = np.float32 if matrices.is_expected else np.int8
    doubled = men if men is not None and matrices.x_model == "0_1" else None
    make = partial(_make_pgen, build=matrices.build.name, splits_par=men is not None, doubled=doubled)
    with TextFile(prefix.with_suffix(".pvar")) as pvar:
        pvar.write(text.pvar_header(matrices.build))

        def blocks() -> Iterator[Dosages]:
            for lines, dosages in matrices.make_pieces(make):
                pvar.write(lines)
                block: Dosages = np.frombuffer(dosages, kind).reshape(-1, matrices.n_samples)
                yield block

        path = prefix.with_suffix(".pgen")
        write_pgen(path, n_variants, matrices.n_samples, blocks(), has_dosages=matrices.is_expected)
    prefix.with_suffix(".psam").write_bytes(text.psam_text(matrices.sample_ids, matrices.sexes))
    written.counts["variants"] = n_variants
    written.rows |= {f"{prefix.name}.pgen": n_variants, f"{prefix.name}.pvar": n_variants}
    written.rows[f"{prefix.name}.psam"] = matrices.n_samples


def _make_pgen(
    found: GenotypeRows, *, build: str, splits_par: bool, doubled: NDArray[np.bool_] | None
) -> tuple[bytes, ...]:
    """Lines of .pvar, and dosages as bytes; `doubled` are hemizygous men whose copies are written twice."""
    reference = get_build(build)
    contigs = [_par(reference, row["contig"], row["start"]) for row in found.rows.to_pylist()]
    dosages = found.dosages
    if doubled is not None:
        is_x = np.array([reference.canonical(contig) == reference.canonical("X") for contig in contigs], bool)
        dosages = _double(found, is_x, doubled)
    lines = text.pvar_lines(found.rows, contigs if splits_par else None)
    return lines, np.ascontiguousarray(dosages).tobytes()


def _par(build: ReferenceBuild, contig: str, start: int) -> str:
    """The contig, or PAR1 or PAR2 where a place on X lies in those.

    >>> _par(get_build("GRCh37"), "X", 60_000), _par(get_build("GRCh37"), "X", 3_000_000)
    ('PAR1', 'X')
    """
    if not build.is_par(contig, start):
        return contig
    return f"PAR{1 + next(i for i, (begin, end) in enumerate(build.par) if begin <= start < end)}"


def _double(found: GenotypeRows, is_x: NDArray[np.bool_], men: NDArray[np.bool_]) -> Dosages:
    cells = np.ix_(is_x, men)
    hemizygous = found.dosages[cells]
    if (hemizygous > 1).any():
        row = int(np.flatnonzero(is_x)[np.argmax((hemizygous > 1).any(axis=1))])
        raise InputError(
            f"A man has two copies at variant {found.rows.column('variant_id')[row]}, where he has one X.",
            where="table eqtl_genotypes",
            mend="Check the people's sex (kgp samples qc), or build the set with --x-model 0_2 or drop.",
        )
    dosages = found.dosages.copy()
    dosages[cells] = np.where(hemizygous > 0, 2 * hemizygous, hemizygous)
    return dosages


def _write_phenotypes(matrices: MatrixSet, contig: str, directory: Path, written: Written) -> int:
    """A row a person; gives how many phenotypes PLINK 2 would take for case and control."""
    found = matrices.read_contig(contig)
    path = directory / f"plink2.phenotypes.{contig}.txt"
    with TextFile(path) as out:
        out.write(text.bed_header(["#IID"], found.rows.column("phenotype_id").to_pylist()))
        n = max(1, matrices.n_samples // max(1, len(list(blocks_of(found)))))
        for begin in range(0, matrices.n_samples, n):
            people = matrices.sample_ids[begin : begin + n]
            out.write(text.value_lines(people, found.values[:, begin : begin + n].T))
    written.rows[path.name] = matrices.n_samples
    written.counts["phenotypes"] += len(found)
    values = found.values
    return int((np.isnan(values) | (values == 0) | (values == 1) | (values == 2)).all(axis=1).sum())


def _list_tensorqtl(matrices: MatrixSet, at: Callable[[str], str]) -> list[str]:
    commands = []
    for section in matrices.sections:
        covariates = f" --covariates {at(section.name('covariates', '.txt'))}" if matrices.covariates else ""
        dosages = " --dosages" if matrices.is_expected else ""
        files = f"{at('genotypes')} {at(section.name('phenotypes', '.bed.gz'))}"
        prefix = at(section.name(str(matrices.row["name"]), "")).rpartition("/")[2]
        commands.append(
            f"python3 -m tensorqtl {files} {prefix}{covariates}{dosages} --window {matrices.window} --mode cis"
        )
    return commands


def _list_plink2(matrices: MatrixSet, at: Callable[[str], str]) -> list[str]:
    commands = []
    for contig in matrices.contigs:
        section = Section(contig if len(matrices.sections) > 1 else matrices.sections[0].contig)
        names, _ = matrices.read_covariates(section)
        glm, chromosomes, model = "--glm omit-ref hide-covar", contig, ""
        if names:
            covariates = (
                f" --covar {at(section.name('plink2.covariates', '.txt'))} --covar-variance-standardize"
            )
        else:
            glm, covariates = f"{glm} allow-no-covars", ""
        if contig.removeprefix("chr") == "X":
            # Its own sex covariate would be a second one.
            glm += " no-x-sex" if any(name.startswith("sex") for name in names) else ""
            chromosomes, model = f"{contig},PAR1,PAR2", f" --xchr-model {1 + (matrices.x_model != '0_1')}"
        commands.append(
            f"plink2 --pfile {at('plink2')} --chr {chromosomes} --pheno {at(f'plink2.phenotypes.{contig}.txt')} "
            f"--no-input-missing-phenotype{covariates}{model} {glm} --out plink2.{contig}"
        )
    return commands


TENSORQTL = ExportFiles(write_tensorqtl, _list_tensorqtl, _TENSORQTL_FILES)
PLINK2 = ExportFiles(write_plink2, _list_plink2, _PLINK2_FILES)
