"""`kgp demo`: the whole pipeline on the bundled real slice, and then what to look at."""

from __future__ import annotations

import gzip
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import NoReturn

from kgp.config import Config
from kgp.io.catalog import Catalog
from kgp.io.delta import Lake
from kgp.job import Job, Progress, Report, run_job
from kgp.jobs.build_eqtl_matrices import BUILD_EQTL_MATRICES
from kgp.jobs.compute_quality import COMPUTE_QUALITY
from kgp.jobs.export_eqtl import EXPORT_EQTL
from kgp.jobs.load_expression import LOAD_EXPRESSION
from kgp.jobs.load_samples import LOAD_SAMPLES
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.jobs.write_report import WRITE_REPORT
from kgp.tables import ALL_TABLES

CALLSET, DATASET, SET_NAME = "phase3", "E-GEUV-1", "demo"


def run_demo(data: Path, lake: str, out: Path, config: Config, progress: Progress) -> Report:
    """Load people, genotypes and expression, build a matrix set, export it for two families of tools, and report.

    Args:
        data: directory of the slice: samples.panel, genotypes.chr22.vcf.gz, genes.50percent.chr22.bed.gz.
        lake: URI of the lake, for the commands that are shown.
        out: directory of the exports.
        config: the configuration, with the lake in it.
        progress: where to say what is going on.

    Returns:
        a report whose `text` shows tables, files and the next commands.
    """
    began = time.monotonic()
    lake_now = Lake(_no_spark, config.lake)
    before = {table.name: lake_now.version(table) for table in ALL_TABLES}
    steps: list[tuple[Job, dict[str, object]]] = [  # type: ignore[type-arg]
        (LOAD_SAMPLES, {"panel": (str(data / "samples.panel"),)}),
        (
            LOAD_VARIANTS,
            {"callset": CALLSET, "build": "GRCh37", "vcf": (str(data / "genotypes.chr22.vcf.gz"),)},
        ),
        (
            LOAD_EXPRESSION,
            {
                "dataset": DATASET,
                "build": "GRCh37",
                "unit": "rpkm",
                "kind": "gene",
                "processing": "none",
                "matrix": (str(data / "genes.50percent.chr22.bed.gz"),),
            },
        ),
        (COMPUTE_QUALITY, {"dataset": DATASET}),
        (BUILD_EQTL_MATRICES, {"name": SET_NAME, "callset": CALLSET, "dataset": DATASET, "cohort": "EUR"}),
        (EXPORT_EQTL, {"name": SET_NAME, "format": "tensorqtl", "out": str(out / "tensorqtl")}),
        (EXPORT_EQTL, {"name": SET_NAME, "format": "fastqtl", "out": str(out / "fastqtl")}),
        (WRITE_REPORT, {"out": str(out / "report.html")}),
    ]
    reports = [
        run_job(job, config.params(job.params, options), config, progress=progress) for job, options in steps
    ]
    after = {table.name: lake_now.version(table) for table in ALL_TABLES}
    changed = before != after or any(report.changed for report in reports)
    rows = {table["table"]: table["rows"] for table in Catalog(config.lake).overview()}
    report = Report(
        "demo",
        changed,
        "built" if changed else "everything was there already: no table was changed",
        rows=rows,
        details={
            "lake": lake,
            "out": str(out),
            "versions": {k: v for k, v in after.items() if v is not None},
        },
        seconds=time.monotonic() - began,
    )
    report.text = _render(report, reports, lake, out)
    return report


def _no_spark() -> NoReturn:
    raise AssertionError("versions and row counts are read without Spark")


def _render(report: Report, steps: list[Report], lake: str, out: Path) -> str:
    lines = ["", f"{'table':<18} {'rows':>12}  version"]
    for name, rows in report.rows.items():
        lines.append(f"{name:<18} {rows:>12,}  {report.details['versions'][name]:>7}")
    lines += ["", f"{'step':<22} {'seconds':>8}  what"]
    lines += [f"{step.job:<22} {step.seconds:>8.1f}  {step.summary}" for step in steps]
    lines += [f"{'all':<22} {report.seconds:>8.1f}  {report.summary}", ""]
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        lines.append(f"{path}  ({path.stat().st_size:,} bytes)")
        lines += [f"    {text}" for text in _first_lines(path)]
    at = f"--lake {shlex.quote(lake)}"
    kgp = _command()
    lines += [
        "",
        f"Open {out}/report.html in a browser: what is in the lake, with pictures. Next, try:",
        f"  {kgp} tables {at}",
        f"  {kgp} describe variants {at}",
        f'  {kgp} query {at} "SELECT contig, count(*) FROM variants GROUP BY contig"',
        f'  {kgp} query {at} "SELECT name, n_samples, n_variants, n_phenotypes, dropped FROM eqtl_matrices"',
        f"  QTLtools cis --vcf {out}/fastqtl/genotypes.vcf.gz --bed {out}/fastqtl/phenotypes.qtltools.bed.gz "
        f"--cov {out}/fastqtl/covariates.txt.gz --nominal 1e-5 --out nominal.txt",
        "",
    ]
    return "\n".join(lines)


def _command() -> str:
    """How kgp is called from here: by its name where it is on the PATH, else by the place of its script."""
    if shutil.which("kgp"):
        return "kgp"
    script = Path(sys.executable).parent / "kgp"
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))


def _first_lines(path: Path, n: int = 2, width: int = 100) -> list[str]:
    """The first lines of a text file, cut to a width; of a VCF those behind its ``##`` lines; none of a binary."""
    if path.suffix in (".tbi", ".csi", ".pgen", ".json", ".html"):
        return []
    opener = gzip.open if path.suffix == ".gz" else open
    shown: list[str] = []
    with opener(path, "rt", encoding="utf-8") as file:
        for line in file:
            if not line.startswith("##"):
                text = line.rstrip("\n").replace("\t", " ")
                shown.append(text if len(text) <= width else text[: width - 1] + "…")
            if len(shown) == n:
                break
    return shown
