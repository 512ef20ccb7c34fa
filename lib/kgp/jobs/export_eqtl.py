"""`kgp eqtl export`: a matrix set as the files that mapping tools read."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kgp.errors import CheckError
from kgp.genome import get_build
from kgp.io.exports import ExportDirectory, ExportedFile, total_size
from kgp.io.matrix_files import ExportFiles, MatrixSet, Written
from kgp.io.matrix_parquet import PARQUET
from kgp.io.matrix_plink import PLINK2, TENSORQTL
from kgp.io.matrix_tables import MATRIXEQTL
from kgp.io.matrix_vcf import FASTQTL
from kgp.job import Context, Job, Report
from kgp.jobs.matrix_lookup import find_set
from kgp.params import EqtlExport
from kgp.tables import EQTL_COVARIATES, EQTL_GENOTYPES, EQTL_MATRICES, EQTL_PHENOTYPES, SAMPLES

# Raised where the same set gives other files.
VERSION = "2"

FORMATS: dict[str, ExportFiles] = {
    "fastqtl": FASTQTL,
    "tensorqtl": TENSORQTL,
    "plink2": PLINK2,
    "matrixeqtl": MATRIXEQTL,
    "parquet": PARQUET,
}


def run(context: Context, params: EqtlExport) -> Report:
    """Write the files aside, move them into place, and say how the tools are run on them."""
    row = find_set(context, params.name)
    out = ExportDirectory(params.out, params.name, row["matrix_id"])
    if (files := out.finished(params.format, VERSION)) is not None:
        said = f"set {params.name} is already exported to {params.out}, nothing to do"
        return _report(params, files, out.commands(params.format), said, changed=False)

    matrices = _open_set(context, row)
    outdated = [name for name in out.outdated if name != params.format]
    step = f"writing {params.format} files of set {params.name} to {params.out}"
    with context.progress.step(step), out.aside() as aside:
        written = FORMATS[params.format].write(matrices, aside)
        _check(written, matrices)
        commands = FORMATS[params.format].list_commands(matrices, lambda name: _quote(params.out, name))
        readme = f"README.{params.format}.txt"
        (aside / readme).write_text(_describe(matrices, params.format, commands), encoding="utf-8")
        files = out.put_in_place(aside, {**written.rows, readme: 0}, params.format, VERSION, commands)
    said = f"set {params.name} to {params.out}: {len(files)} files, {total_size(files):,} bytes"
    report = _report(params, files, commands, said, changed=True)
    report.notes += [
        f"the {name} files there are of an earlier build of the set: export them again" for name in outdated
    ]
    report.notes += written.notes
    return report


def _open_set(context: Context, row: Mapping[str, Any]) -> MatrixSet:
    matrix_id = str(row["matrix_id"])
    here = {"matrix_id": [matrix_id]}
    return MatrixSet(
        row=row,
        build=get_build(str(row["build"])),
        genotypes=context.parts(EQTL_GENOTYPES, partitions=here, ids=[matrix_id], target_rows=1),
        phenotypes=context.parts(EQTL_PHENOTYPES, partitions=here, ids=[matrix_id]),
        covariates=[one for one in context.fetch(EQTL_COVARIATES) if one["matrix_id"] == matrix_id],
        sexes={one["sample_id"]: one["sex"] for one in context.fetch(SAMPLES, ["sample_id", "sex"])},
        start_spark=lambda: context.spark,
    )


def _check(written: Written, matrices: MatrixSet) -> None:
    """Refuse files that have other rows than the set."""
    found = {**written.counts, "covariates": len(matrices.covariates)}
    for kind, n in found.items():
        if n != matrices.row[f"n_{kind}"]:
            raise CheckError(
                f"{n:,} {kind} were written instead of {matrices.row[f'n_{kind}']:,}.",
                where=f"set {matrices.row['name']}",
                mend="This is a defect of kgp: please report it.",
            )


def _describe(matrices: MatrixSet, export_format: str, commands: Sequence[str]) -> str:
    """The README of a format."""
    row = matrices.row
    lines = [
        f"Matrix set {row['name']} for {export_format}, by kgp eqtl export",
        "",
        f"matrix_id {row['matrix_id']}, {matrices.build.name}: {row['n_variants']:,} variants and "
        f"{row['n_phenotypes']:,} phenotypes of {row['n_samples']:,} people, in the same order in every file.",
        "The effect allele is ALT. A missing value is written as the format's own mark, never as -1.",
    ]
    if matrices.x_model is not None:
        copies = "0 or 2 copies" if matrices.x_model == "0_2" else "0 or 1 copy"
        lines.append(
            f"On X outside of the pseudo-autosomal regions, the set counts {copies} of ALT in men "
            f"(x_model {matrices.x_model})."
        )
    if len(matrices.sections) > 1:
        lines.append(
            "Some covariates are of one contig each (components without it): phenotypes and covariates are in files "
            "of their own for each contig, which go together."
        )
    files = FORMATS[export_format].files.rstrip("\n").split("\n")
    return "\n".join([*lines, "", *files, "", "How the tools are run:", *commands]) + "\n"


def _quote(out: str, name: str) -> str:
    return shlex.quote(str(Path(out) / name))


def _report(
    params: EqtlExport, files: list[ExportedFile], commands: list[str], summary: str, *, changed: bool
) -> Report:
    sizes = [f"{Path(params.out) / f.name}: {f.rows:,} rows, {f.size:,} bytes" for f in files if f.rows]
    return Report(
        "export_eqtl",
        changed,
        summary,
        rows={file.name: file.rows for file in files if file.rows},
        details={
            "out": params.out,
            "files": [{"name": f.name, "rows": f.rows, "bytes": f.size, "sha256": f.sha256} for f in files],
            "commands": commands,
        },
        notes=sizes + [f"run: {command}" for command in commands],
    )


EXPORT_EQTL = Job(
    name="export_eqtl",
    summary="Export a matrix set as the files that mapping tools read.",
    params=EqtlExport,
    reads=(EQTL_MATRICES, EQTL_PHENOTYPES, EQTL_GENOTYPES, EQTL_COVARIATES, SAMPLES),
    writes=(),
    run=run,
)
