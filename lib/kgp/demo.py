"""`kgp demo`: the whole pipeline on the bundled real slice, and then what to look at."""

from __future__ import annotations

import gzip
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from kgp.config import Config
from kgp.io.catalog import Catalog
from kgp.io.delta import Lake
from kgp.io.output import align
from kgp.job import Job, Progress, Report, run_job
from kgp.jobs.build_eqtl_matrices import BUILD_EQTL_MATRICES
from kgp.jobs.compute_quality import COMPUTE_QUALITY
from kgp.jobs.export_eqtl import EXPORT_EQTL
from kgp.jobs.list_top import LIST_TOP
from kgp.jobs.load_expression import LOAD_EXPRESSION
from kgp.jobs.load_samples import LOAD_SAMPLES
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.jobs.map_eqtl import MAP_EQTL
from kgp.jobs.show_eqtl import SHOW_EQTL
from kgp.jobs.write_report import WRITE_REPORT
from kgp.tables import ALL_TABLES

CALLSET, DATASET, SET_NAME = "phase3", "E-GEUV-1", "demo"

_PERMUTATIONS = 1_000
_N_SHOWN = 5
_SHOWN = ("phenotype_id", "variant_id", "tss_distance", "slope", "p_beta", "q_value")

Step = tuple[Job[Any], dict[str, object]]


def run_demo(data: Path, lake: str, out: Path, config: Config, progress: Progress) -> Report:
    """Load people, genotypes and expression, build a matrix set, export it for two families of tools, map its eQTLs.

    Args:
        data: directory of the slice: samples.panel, genotypes.chr22.vcf.gz, genes.50percent.chr22.bed.gz.
        lake: URI of the lake, for the commands that are shown.
        out: directory of the exports and the pages.
        config: the configuration, with the lake in it.
        progress: where to say what is going on.

    Returns:
        a report whose `text` shows tables, files, the strongest genes and the next commands.
    """
    began = time.monotonic()
    lake_now = Lake(_no_spark, config.lake)
    before = {table.name: lake_now.version(table) for table in ALL_TABLES}

    def run(step: Step) -> Report:
        job, options = step
        return run_job(job, config.params(job.params, options), config, progress=progress)

    reports = [run(step) for step in [*_load(data), *_build(out), *_map()]]
    best = run((LIST_TOP, {"name": SET_NAME, "rows": _N_SHOWN})).details["rows"]
    shown = run((SHOW_EQTL, {"name": SET_NAME, "out": str(out / "eqtl.html")}))
    reports += [shown, *(run(step) for step in _draw(out, best[0]["phenotype_id"]))]
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
            "top": best,
        },
        seconds=time.monotonic() - began,
    )
    report.text = _render(report, reports, shown.summary, lake, out)
    return report


def _load(data: Path) -> list[Step]:
    variants: dict[str, object] = {
        "callset": CALLSET,
        "build": "GRCh37",
        "vcf": (str(data / "genotypes.chr22.vcf.gz"),),
    }
    expression: dict[str, object] = {
        "dataset": DATASET,
        "build": "GRCh37",
        "unit": "rpkm",
        "kind": "gene",
        "processing": "none",
        "matrix": (str(data / "genes.50percent.chr22.bed.gz"),),
    }
    return [
        (LOAD_SAMPLES, {"panel": (str(data / "samples.panel"),)}),
        (LOAD_VARIANTS, variants),
        (LOAD_EXPRESSION, expression),
        (COMPUTE_QUALITY, {"dataset": DATASET}),
    ]


def _build(out: Path) -> list[Step]:
    return [
        (BUILD_EQTL_MATRICES, {"name": SET_NAME, "callset": CALLSET, "dataset": DATASET, "cohort": "EUR"}),
        (EXPORT_EQTL, {"name": SET_NAME, "format": "tensorqtl", "out": str(out / "tensorqtl")}),
        (EXPORT_EQTL, {"name": SET_NAME, "format": "fastqtl", "out": str(out / "fastqtl")}),
    ]


def _map() -> list[Step]:
    return [
        (MAP_EQTL, {"name": SET_NAME, "mode": "nominal"}),
        (MAP_EQTL, {"name": SET_NAME, "mode": "permute", "permutations": _PERMUTATIONS}),
    ]


def _draw(out: Path, gene: str) -> list[Step]:
    return [
        (SHOW_EQTL, {"name": SET_NAME, "gene": gene, "out": str(out / "gene.html")}),
        (WRITE_REPORT, {"out": str(out / "report.html")}),
    ]


def _no_spark() -> NoReturn:
    raise AssertionError("versions and row counts are read without Spark")


def _render(report: Report, steps: Sequence[Report], found: str, lake: str, out: Path) -> str:
    lines = ["", f"{'table':<18} {'rows':>12}  version"]
    for name, rows in report.rows.items():
        lines.append(f"{name:<18} {rows:>12,}  {report.details['versions'][name]:>7}")
    lines += ["", f"{'step':<22} {'seconds':>8}  what"]
    lines += [f"{step.job:<22} {step.seconds:>8.1f}  {step.summary}" for step in steps]
    lines += [f"{'all':<22} {report.seconds:>8.1f}  {report.summary}", ""]
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        lines.append(f"{path}  ({path.stat().st_size:,} bytes)")
        lines += [f"    {text}" for text in _first_lines(path)]
    best: list[Mapping[str, Any]] = report.details["top"]
    lines += ["", f"eQTLs of {found}; the strongest:"]
    lines += align(_SHOWN, [[row[name] for name in _SHOWN] for row in best]).splitlines()
    at = f"--lake {shlex.quote(lake)}"
    kgp = _command()
    strongest, *others = [row["phenotype_id"].partition(".")[0] for row in best]
    gene = others[0] if others else strongest
    lines += [
        "",
        "Open in a browser:",
        f"  {out}/report.html  what is in the lake, with pictures",
        f"  {out}/eqtl.html    what mapping found for set {SET_NAME}",
        f"  {out}/gene.html    the strongest gene, {strongest}, and the variants near it",
        "Next, try:",
        f"  {kgp} tables {at}",
        f"  {kgp} describe variants {at}",
        f'  {kgp} query {at} "SELECT contig, count(*) FROM variants GROUP BY contig"',
        f'  {kgp} query {at} "SELECT name, n_samples, n_variants, n_phenotypes, dropped FROM eqtl_matrices"',
        f'  {kgp} query {at} "SELECT mode, n_phenotypes, n_pairs, figures, seconds FROM eqtl_maps"',
        f"  {kgp} eqtl top {SET_NAME} {at}",
        f"  {kgp} eqtl show {SET_NAME} {at} --gene {gene} --out {gene}.html",
        f"  {kgp} eqtl map {at} --name {SET_NAME} --mode independent --permutations {_PERMUTATIONS}",
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
