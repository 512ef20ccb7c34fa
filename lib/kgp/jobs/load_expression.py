"""`kgp load expression`: an expression matrix into `runs`, `phenotypes` and `expression`."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from kgp.errors import InputError, OverlapError
from kgp.genome import check_build, get_build
from kgp.io.expression import count_records, read_annotation, read_layout, read_records
from kgp.io.magetab import read_sdrf
from kgp.io.storage import content_id
from kgp.job import Context, Job, Report
from kgp.jobs.ledger import FileLoad, LoadCounts, finish_load, plan_load, quarantine
from kgp.params import LoadExpression
from kgp.tables import CALLSET_SAMPLES, EXPRESSION, HEADERS, LOADS, PHENOTYPES, QUARANTINE, RUNS, SAMPLES
from kgp.transforms.expression import name_runs, select_phenotypes, select_values

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def run(context: Context, params: LoadExpression) -> Report:
    """Load one matrix; its runs are named from the SDRF, or else by the people that are known."""
    build = get_build(params.build)
    layout = read_layout(params.matrix)
    if not layout.has_places and params.annotation is None:
        raise InputError(
            "The matrix does not say where its phenotypes lie.",
            where=params.matrix,
            mend="Give --annotation.",
        )
    runs = name_runs(layout.runs, owners=_owners(params), people=_known_people(context))
    load = plan_load(
        context,
        params.matrix,
        target=EXPRESSION.name,
        subject=params.dataset,
        build=build.name,
        recipe=_recipe(params, runs),
    )
    if load.is_done:
        return Report("load_expression", False, f"{params.dataset} is already loaded, nothing to do")
    if not any(r["sample_id"] for r in runs):
        raise OverlapError(
            f"No run belongs to a person that is known; the first run is {layout.runs[0]}.",
            where=params.matrix,
            mend="Load the panel first (kgp load samples), or give --sdrf.",
        )

    with context.progress.step(f"reading {params.matrix} ({layout.kind}, {len(layout.runs)} runs)"):
        places = None if params.annotation is None else read_annotation(params.annotation)
        records = read_records(context.spark, layout, places).persist()
        try:
            _check(records, params)
            rows = _write(context, load, records, params, layout.header, runs)
            rejects = records.where("reason IS NOT NULL").select("offset", "reason", "line")
            n_rejected = 0 if rejects.isEmpty() else quarantine(context, load, rejects)
        finally:
            records.unpersist()
    counts = LoadCounts(
        count_records(context.spark, params.matrix),
        rows[PHENOTYPES.name],
        n_rejected,
        rows[EXPRESSION.name],
        {},
    )
    finish_load(context, load, counts, reader=layout.kind, reason="by its header", seconds=context.seconds)
    return _report(params, rows, runs, n_rejected)


def _write(
    context: Context,
    load: FileLoad,
    records: DataFrame,
    params: LoadExpression,
    header: str,
    runs: list[dict[str, str | None]],
) -> dict[str, int]:
    build = get_build(params.build)
    kept = {
        r["run_id"]
        for r in context.fetch(RUNS)
        if r["dataset"] == params.dataset and r["load_id"] not in load.decision.supersedes
    }
    new_runs = [
        {**r, "dataset": params.dataset, "load_id": load.load_id} for r in runs if r["run_id"] not in kept
    ]
    context.put(HEADERS, [load.header_row(header)], load.slice)
    context.put(RUNS, new_runs, load.slice)
    phenotypes = select_phenotypes(
        records, dataset=params.dataset, build=build, unit=params.unit, load_id=load.load_id
    )
    context.replace(PHENOTYPES, phenotypes, [load.load_id])
    names = [str(r["run_id"]) for r in runs]
    values = select_values(records, dataset=params.dataset, runs=names, load_id=load.load_id)
    context.replace(EXPRESSION, values, [load.load_id])
    for table in (PHENOTYPES, EXPRESSION):
        context.check_key(table, load.slice)
    counts = {t.name: context.measure(t, load.slice, n="count(*)")["n"] for t in (PHENOTYPES, EXPRESSION)}
    return {RUNS.name: len(new_runs), **counts}


def _check(records: DataFrame, params: LoadExpression) -> None:
    """Refuse a matrix of another build, one without a good line, and one with a phenotype twice."""
    from pyspark.sql import functions as F

    ends = records.where("reason IS NULL").groupBy("source_contig").agg(F.max("end").alias("end")).collect()
    if not ends:
        first = records.where("reason IS NOT NULL").select("reason").first()
        why = f": {first['reason']}" if first is not None else ""
        raise InputError(
            f"No line of it can be loaded{why}.", where=params.matrix, mend="Look at its first lines."
        )
    check_build(
        get_build(params.build), where=params.matrix, last_ends={r["source_contig"]: r["end"] for r in ends}
    )
    twice = records.where("reason IS NULL").groupBy("phenotype_id").count().where("count > 1").first()
    if twice is not None:
        raise InputError(
            f"Phenotype {twice['phenotype_id']} has {twice['count']} lines.",
            where=params.matrix,
            mend="A phenotype has one line; give each its own id.",
        )


def _owners(params: LoadExpression) -> dict[str, tuple[str, str]] | None:
    if params.sdrf is None:
        return None
    return {run: (o.sample_id, f"SDRF {o.column}") for run, o in read_sdrf(params.sdrf).owners.items()}


def _known_people(context: Context) -> frozenset[str]:
    tables = (SAMPLES, CALLSET_SAMPLES)
    return frozenset(row["sample_id"] for table in tables for row in context.fetch(table, ["sample_id"]))


def _recipe(params: LoadExpression, runs: list[dict[str, str | None]]) -> str:
    """What the rows depend on besides the matrix: the owners of the runs, the annotation, the unit."""
    annotation = "" if params.annotation is None else content_id(params.annotation)
    parts = [[(r["run_id"], r["sample_id"]) for r in runs], annotation, params.unit]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _report(
    params: LoadExpression, rows: dict[str, int], runs: list[dict[str, str | None]], n_rejected: int
) -> Report:
    unowned = [str(r["run_id"]) for r in runs if r["sample_id"] is None]
    notes = []
    if unowned:
        notes.append(
            f"{len(unowned)} runs belong to nobody known: {', '.join(unowned[:5])}{' …' * (len(unowned) > 5)}"
        )
    if n_rejected:
        notes.append(f"{n_rejected} lines went into quarantine (table quarantine says why)")
    summary = f"{rows[PHENOTYPES.name]:,} phenotypes x {len(runs):,} runs of {params.dataset}"
    return Report(
        "load_expression",
        True,
        summary,
        rows=rows,
        notes=notes,
        details={"runs_of_nobody": unowned, "quarantined": n_rejected},
    )


LOAD_EXPRESSION = Job(
    name="load_expression",
    summary="Load an expression matrix into runs, phenotypes and expression.",
    params=LoadExpression,
    reads=(SAMPLES, CALLSET_SAMPLES),
    writes=(RUNS, PHENOTYPES, EXPRESSION, HEADERS, QUARANTINE, LOADS),
    run=run,
)
