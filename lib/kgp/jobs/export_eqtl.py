"""`kgp eqtl export`: a matrix set as the files that FastQTL, QTLtools or tensorQTL read."""

from __future__ import annotations

import shlex
from pathlib import Path

from kgp.errors import CheckError, InputError
from kgp.genome import get_build
from kgp.io.delta import in_list
from kgp.io.exports import ExportDirectory, ExportedFile, total_size
from kgp.io.matrix_files import MatrixSet, Written, write_fastqtl, write_tensorqtl
from kgp.job import Context, Job, Report
from kgp.params import EqtlExport
from kgp.tables import EQTL_COVARIATES, EQTL_GENOTYPES, EQTL_MATRICES, EQTL_PHENOTYPES

# Raised where the same set gives other files.
VERSION = "1"

_WRITERS = {"fastqtl": write_fastqtl, "tensorqtl": write_tensorqtl}


def run(context: Context, params: EqtlExport) -> Report:
    """Write the files aside, move them into place, and say how the tools are run on them."""
    sets = {row["name"]: row for row in context.fetch(EQTL_MATRICES)}
    if params.name not in sets:
        raise InputError(
            f"There is no matrix set {params.name} in this lake.",
            where="--name",
            mend=f"There are: {', '.join(sorted(sets))}." if sets else "Build it first: kgp eqtl build.",
        )
    row = sets[params.name]
    out = ExportDirectory(params.out, params.name, row["matrix_id"])
    if (files := out.finished(params.format, VERSION)) is not None:
        said = f"set {params.name} is already exported to {params.out}, nothing to do"
        return _report(params, files, out.commands(params.format), said, changed=False)

    only_set = in_list("matrix_id", [row["matrix_id"]])
    matrices = MatrixSet(
        row=row,
        build=get_build(row["build"]),
        genotypes=context.read(EQTL_GENOTYPES).where(only_set),
        phenotypes=context.read(EQTL_PHENOTYPES).where(only_set),
        covariates=[r for r in context.fetch(EQTL_COVARIATES) if r["matrix_id"] == row["matrix_id"]],
    )
    outdated = [name for name in out.outdated if name != params.format]
    step = f"writing {params.format} files of set {params.name} to {params.out}"
    with context.progress.step(step), out.aside() as aside:
        written = _WRITERS[params.format](matrices, aside)
        _check(written, row)
        n_contigs = matrices.phenotypes.select("contig").distinct().count()
        commands = _commands(params, row["parameters"]["cis_window"], n_contigs, set(written.rows))
        files = out.put_in_place(aside, written.rows, params.format, VERSION, commands)
    said = f"set {params.name} to {params.out}: {len(files)} files, {total_size(files):,} bytes"
    report = _report(params, files, commands, said, changed=True)
    report.notes += [
        f"the {name} files there are of an earlier build of the set: export them again" for name in outdated
    ]
    if written.n_filled:
        report.notes.append(
            f"{written.n_filled:,} missing phenotype values were written as the phenotype's mean: tensorQTL reads none"
        )
    return report


def _check(written: Written, row: dict[str, object]) -> None:
    """Refuse files that have other rows than the set."""
    expected = {
        "genotypes": row["n_variants"],
        "phenotypes": row["n_phenotypes"],
        "covariates": row["n_covariates"],
    }
    for name, n in written.rows.items():
        if not name.endswith(".psam") and n != expected[name.split(".")[0]]:
            raise CheckError(
                f"{n:,} rows were written instead of {expected[name.split('.')[0]]:,}.",
                where=name,
                mend="This is a defect of kgp: please report it.",
            )


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


def _commands(params: EqtlExport, cis_window: str, n_contigs: int, names: set[str]) -> list[str]:
    """Command lines that run the tools on the files."""

    def at(name: str) -> str:
        return shlex.quote(str(Path(params.out) / name))

    if params.format == "tensorqtl":
        covariates = f" --covariates {at('covariates.txt')}" if "covariates.txt" in names else ""
        files = f"{at('genotypes')} {at('phenotypes.bed.gz')} {shlex.quote(params.name)}{covariates}"
        return [f"python3 -m tensorqtl {files} --window {cis_window} --mode cis"]
    covariates = f" --cov {at('covariates.txt.gz')}" if "covariates.txt.gz" in names else ""
    both = f"--vcf {at('genotypes.vcf.gz')}{covariates} --window {cis_window}"
    fastqtl = f"fastQTL {both} --bed {at('phenotypes.fastqtl.bed.gz')}"
    if n_contigs == 1:
        fastqtl += " --chunk 1 1 --out fastqtl.txt.gz"
    else:  # it wants a chunk a contig at least
        fastqtl += f" --chunk $i {n_contigs} --out fastqtl.$i.txt.gz"
        fastqtl = f"for i in $(seq {n_contigs}); do {fastqtl}; done"
    qtltools = (
        f"QTLtools cis {both} --bed {at('phenotypes.qtltools.bed.gz')} --nominal 1e-5 --out qtltools.txt"
    )
    return [qtltools, fastqtl]


EXPORT_EQTL = Job(
    name="export_eqtl",
    summary="Export a matrix set as the files that FastQTL, QTLtools or tensorQTL read.",
    params=EqtlExport,
    reads=(EQTL_MATRICES, EQTL_PHENOTYPES, EQTL_GENOTYPES, EQTL_COVARIATES),
    writes=(),
    run=run,
)
