"""`kgp load expression`: expression matrices into `quantifications`, `phenotypes` and `expression`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kgp.errors import CheckError, KgpError
from kgp.genome import get_build
from kgp.io.expression import NO_PLACE, MatrixRecords, MatrixTask, Roots, Subject, read_array, read_matrix
from kgp.io.places import Annotation, read_annotation
from kgp.io.urls import place_of
from kgp.job import Context, Job, Report
from kgp.jobs.expression_plan import (
    Matrix,
    check_content,
    check_loaded,
    check_name,
    check_names,
    describe_matrix,
    plan_matrix,
    record_columns,
    resolve,
)
from kgp.jobs.ledger import FileLoad, LoadCounts, finish_load
from kgp.jobs.reconcile_runs import load_run_lists, reconcile_runs
from kgp.params import LoadExpression
from kgp.tables import (
    CALLSET_SAMPLES,
    EXPRESSION,
    HEADERS,
    LOADS,
    PHENOTYPES,
    QUANTIFICATIONS,
    QUARANTINE,
    RUN_ALIASES,
    RUN_RECORDS,
    RUNS,
    SAMPLES,
)
from kgp.transforms.runs import ColumnRun

_FEW = 5


def run(context: Context, params: LoadExpression) -> Report:
    """Load the matrices one after the other; each is whole, or not there."""
    matrices = [describe_matrix(url, params) for url in params.matrix]
    check_names(matrices)
    report = Report("load_expression", False, f"{params.dataset} holds all of it already, nothing to do")
    lists = load_run_lists(context, params.dataset, params.sdrf)
    # Also where nothing is to be loaded: a run that was cut off behind its last load left this to the next one.
    runs = reconcile_runs(context, params.dataset)
    if lists.loaded or runs.written:
        _add_rows(report, runs.written)
        report.changed = True
        report.summary = f"{len(lists.loaded)} run lists of {params.dataset}; the matrices are loaded already"
    contents: dict[str, str] = {}
    summaries = []
    for matrix in matrices:
        columns = resolve(context, matrix.layout, params)
        load = plan_matrix(context, matrix, columns, params)
        check_content(contents, load)
        if load.is_done:
            check_loaded(context, load, params)
            context.progress.say(f"{load.path} is already loaded, nothing to do")
            continue
        summaries.append(_load(context, load, matrix, columns, params, report))
    if summaries:
        report.changed = True
        report.summary = "; ".join(summaries)
    return report


def _load(
    context: Context,
    load: FileLoad,
    matrix: Matrix,
    columns: Sequence[ColumnRun],
    params: LoadExpression,
    report: Report,
) -> str:
    """Load one matrix; gives what was done, and adds the details to the report."""
    began = context.seconds
    layout, facts = matrix.layout, matrix.facts
    annotation = _read_places(context, matrix, params)
    task = MatrixTask(
        layout=layout,
        subject=Subject(params.dataset, matrix.name, facts.kind, facts.unit, facts.build, load.load_id),
        run_ids=tuple(column.run_id for column in columns),
        roots=Roots(context.path(PHENOTYPES), context.path(EXPRESSION), context.path(QUARANTINE)),
        annotation=annotation,
        refuses_bad=params.bad_lines == "refuse",
        refuses_unplaced=params.unplaced == "refuse",
        allows_missing=params.missing == "allow",
        allows_negative=facts.allows_negative,
    )
    with context.progress.step(f"loading {load.path} ({layout.form}, {len(columns):,} runs)"):
        records = read_matrix(lambda: context.spark, task)
        if annotation is not None:
            records = replace(records, warnings={**records.warnings, **_of_annotation(annotation)})
        counts = _commit(context, load, matrix, columns, records, annotation, params.dataset)
    replaced = _names_of(context, load.decision.supersedes)
    check_name(context, matrix, load, params.dataset)  # another load may have taken it meanwhile
    finish_load(
        context, load, counts, reader=layout.form, reason=f"by its header, read by the {records.reader}",
        seconds=context.seconds - began,
    )  # fmt: skip
    runs = reconcile_runs(context, params.dataset)
    written = {PHENOTYPES.name: counts.rows_out, EXPRESSION.name: counts.alleles_out}
    _add_rows(report, {**written, QUARANTINE.name: counts.rows_quarantined, **runs.written})
    _add_notes(
        report, load.path, columns, records, replaced=[name for name in replaced if name != matrix.name]
    )
    return f"{counts.rows_out:,} {facts.kind}s x {len(columns):,} runs of {params.dataset}, {matrix.name}"


def _read_places(context: Context, matrix: Matrix, params: LoadExpression) -> Annotation | None:
    """Where the phenotypes lie, but for what the matrix says of it."""
    if params.annotation is None:
        return None
    build = get_build(matrix.facts.build)
    kind = matrix.facts.kind if params.design is None else "gene"
    with context.progress.step(f"reading {place_of(params.annotation)}"):
        annotation = read_annotation(params.annotation, kind=kind, build=build)
    if params.design is None:
        return annotation
    with context.progress.step(f"reading {place_of(params.design)}"):
        return read_array(params.design, annotation, build)


def _commit(
    context: Context,
    load: FileLoad,
    matrix: Matrix,
    columns: Sequence[ColumnRun],
    records: MatrixRecords,
    annotation: Annotation | None,
    dataset: str,
) -> LoadCounts:
    """Put everything but the ledger's row in place.

    Raises:
        CheckError: there is not one value for each phenotype and run; nothing becomes valid then.
    """
    try:
        context.put(HEADERS, [load.header_row(matrix.layout.header)], load.slice)
        context.put(RUN_RECORDS, record_columns(columns, dataset, load.load_id), load.slice)
    except KgpError:
        records.discard()
        raise
    n_quarantined = 0
    if records.quarantined:
        context.commit(QUARANTINE, records.quarantined, [load.load_id])
        context.check_key(QUARANTINE, load.slice)
        n_quarantined = int(context.measure(QUARANTINE, load.slice, n="count(*)")["n"])
    context.commit(PHENOTYPES, records.phenotypes, [load.load_id])
    n_values = context.commit(EXPRESSION, records.expression, [load.load_id])
    n_phenotypes = int(context.measure(PHENOTYPES, load.slice, n="count(*)")["n"])
    if n_values != n_phenotypes * len(columns):
        raise CheckError(
            f"{n_values:,} values were written of {n_phenotypes:,} phenotypes x {len(columns):,} runs.",
            where=load.path,
            mend="This is a defect of kgp: please report it with the file.",
        )
    facts = matrix.facts
    row = {
        "dataset": dataset,
        "quantification": matrix.name,
        "kind": facts.kind,
        "unit": facts.unit,
        "processing": facts.processing,
        "build": facts.build,
        "annotation": facts.annotation if annotation is None else annotation.name,
        "n_phenotypes": n_phenotypes,
        "run_ids": [column.run_id for column in columns],
        "columns": [column.column for column in columns],
        "load_id": load.load_id,
    }
    context.put(QUANTIFICATIONS, [row], load.slice)
    return LoadCounts(records.n_records, n_phenotypes, n_quarantined, n_values, records.warnings)


def _of_annotation(annotation: Annotation) -> dict[str, int]:
    return {f"annotation: {what}": n for what, n in annotation.warnings.items()}


def _names_of(context: Context, load_ids: Sequence[str]) -> list[str]:
    return [row["quantification"] for row in context.fetch(QUANTIFICATIONS) if row["load_id"] in load_ids]


# ------------------------------------------------------------------------------------------------ the report


def _add_rows(report: Report, rows: Mapping[str, int]) -> None:
    for table, n in rows.items():
        # runs are written as a whole each time, everything else is added
        is_whole = table in (RUNS.name, RUN_ALIASES.name)
        report.rows[table] = n if is_whole else report.rows.get(table, 0) + n


def _add_notes(
    report: Report,
    path: str,
    columns: Sequence[ColumnRun],
    records: MatrixRecords,
    *,
    replaced: Sequence[str],
) -> None:
    notes = [f"{n:,} x {what}" for what, n in records.warnings.items() if what != NO_PLACE]
    n_unplaced = sum(records.n_unplaced.values())
    if n_unplaced:
        whys = ", ".join(f"{why}: {n:,}" for why, n in sorted(records.n_unplaced.items()))
        firsts = ", ".join(records.first_unplaced[:_FEW]) + " …" * (n_unplaced > _FEW)
        notes.append(f"{n_unplaced:,} phenotypes are loaded without a place ({whys}): {firsts}")
    if records.n_bad:
        n = sum(records.n_bad.values())
        kinds = ", ".join(f"{kind}: {n_kind:,}" for kind, n_kind in sorted(records.n_bad.items()))
        firsts = "; ".join(f"line {one.index:,}: {one.reason}" for one in records.first_bad[:_FEW])
        notes.append(f"{n:,} lines went into quarantine ({kinds}): {firsts}{' …' * (n > _FEW)}")
    unowned = [column for column in columns if column.sample_id is None]
    if unowned:
        listed = "; ".join(f"{column.column}: {column.problem}" for column in unowned[:_FEW])
        notes.append(f"{len(unowned):,} runs belong to nobody known: {listed}{' …' * (len(unowned) > _FEW)}")
    notes += [f"it takes the place of quantification {name}, which had the same content" for name in replaced]
    report.notes += [f"{path}: {note}" for note in notes]
    details = report.details
    details["quarantined"] = details.get("quarantined", 0) + sum(records.n_bad.values())
    details["without_place"] = details.get("without_place", 0) + n_unplaced
    details["runs_of_nobody"] = [*details.get("runs_of_nobody", []), *(c.column for c in unowned)]


LOAD_EXPRESSION = Job(
    name="load_expression",
    summary="Load expression matrices into quantifications, phenotypes and expression.",
    params=LoadExpression,
    reads=(SAMPLES, CALLSET_SAMPLES),
    writes=(
        RUN_RECORDS, RUNS, RUN_ALIASES, QUANTIFICATIONS, PHENOTYPES, EXPRESSION, HEADERS, QUARANTINE, LOADS,
    ),
    run=run,
)  # fmt: skip
