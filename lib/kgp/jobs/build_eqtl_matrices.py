"""`kgp eqtl build`: genotypes, phenotypes and covariates of one cohort, the same people in the same order."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from kgp.eqtl.covariates import Covariates, check_degrees_of_freedom, make_basic_covariates
from kgp.io.delta import in_list
from kgp.io.sample_list import read_cohort
from kgp.job import Context, Job, Report
from kgp.jobs.eqtl_covariates import Given, add_covariates, fetch_covariates, find_unknown
from kgp.jobs.eqtl_plan import MatrixPlan, plan_matrices
from kgp.jobs.eqtl_rows import Dropped, write_genotypes, write_phenotypes
from kgp.params import EqtlBuild
from kgp.tables import (
    CALLSET_SAMPLES,
    COVARIATES,
    EQTL_COVARIATES,
    EQTL_GENOTYPES,
    EQTL_MATRICES,
    EQTL_PHENOTYPES,
    EXPRESSION,
    LOADS,
    PHENOTYPES,
    QUANTIFICATIONS,
    RUNS,
    SAMPLES,
    VARIANTS,
)
from kgp.transforms.cohorts import Cohort
from kgp.transforms.families import drop_related
from kgp.transforms.join import SampleJoin, Sources, join_people
from kgp.transforms.people import Person

# How many names a note gives; the details have all.
N_NAMES = 5


def run(context: Context, params: EqtlBuild) -> Report:
    """Join the people, write the three matrices, and name the set in the ledger last."""
    versions = {table.name: context.version(table) for table in BUILD_EQTL_MATRICES.reads}
    cohort = read_cohort(params.cohort)
    plan = plan_matrices(context, params, cohort)
    if plan.is_built:
        return Report(
            "build_eqtl_matrices",
            False,
            f"set {params.name} is already built, nothing to do",
            details={"matrix_id": plan.matrix_id},
        )
    people: dict[str, Person] = {p["sample_id"]: p for p in context.fetch(SAMPLES)}
    given = fetch_covariates(context, params)
    joined = _join(context, params, plan, cohort, people, given)
    covariates = _make_covariates(joined, people, given)
    phenotypes, tss_by_contig = write_phenotypes(context, params, plan, joined)
    n_variants, genotypes = write_genotypes(context, params, plan, joined, tss_by_contig)
    _write_covariates(context, plan, covariates)
    counts = {
        "n_samples": len(joined.sample_ids),
        "n_variants": n_variants,
        "n_phenotypes": sum(map(len, tss_by_contig.values())),
        "n_covariates": len(covariates.names),
    }
    dropped = {
        f"{kind}: {reason}": n
        for kind, reasons in (
            ("people", Counter(joined.dropped.values())),
            ("phenotypes", phenotypes),
            ("variants", genotypes),
            ("covariates", Counter(covariates.dropped.values())),
        )
        for reason, n in sorted(reasons.items())
    }
    row = {
        "matrix_id": plan.matrix_id,
        "name": params.name,
        "callset": params.callset,
        "dataset": params.dataset,
        "build": plan.build.name,
        "parameters": dict(plan.parameters),
        "load_ids": list(plan.load_ids),
        "table_versions": {name: version for name, version in versions.items() if version is not None},
        "sample_ids": list(joined.sample_ids),
        "run_ids": list(joined.run_ids),
        **counts,
        "dropped": dropped,
        "dropped_samples": dict(joined.dropped),
        "seconds": context.seconds,
        "built_at": datetime.datetime.now(datetime.UTC),
    }
    # The ledger's row makes the set visible; where it replaces one of that name, the old rows become debris.
    context.put(EQTL_MATRICES, [row], in_list("name", [params.name]))
    context.remove_debris()
    return _report(params, plan, joined, covariates, counts, dropped)


def _join(
    context: Context,
    params: EqtlBuild,
    plan: MatrixPlan,
    cohort: Cohort,
    people: Mapping[str, Person],
    given: Sequence[Given],
) -> SampleJoin:
    samples = context.fetch(CALLSET_SAMPLES, ["callset", "sample_index", "sample_id"])
    runs = context.fetch(RUNS, ["dataset", "run_id", "sample_id"])
    join = partial(
        join_people,
        Sources(params.callset, params.dataset, cohort.name),
        [(r["sample_index"], r["sample_id"]) for r in samples if r["callset"] == params.callset],
        [
            (r["run_id"], r["sample_id"])
            for r in runs
            if r["dataset"] == params.dataset and r["run_id"] in plan.run_ids
        ],
        cohort.select(people.values()),
        people,
        needs=("sex", "population"),
    )
    unknown = find_unknown(given, join())

    def drop(sample_ids: Sequence[str]) -> dict[str, str]:
        # Whoever is left out anyway must not be the reason why a relative is.
        known = [sample_id for sample_id in sample_ids if sample_id not in unknown]
        return unknown | (drop_related(known, people) if params.related == "drop" else {})

    return join(drop=drop)


def _make_covariates(joined: SampleJoin, people: Mapping[str, Person], given: Sequence[Given]) -> Covariates:
    rows = [people[sample_id] for sample_id in joined.sample_ids]
    basic = make_basic_covariates([str(r["sex"]) for r in rows], [str(r["population"]) for r in rows])
    made = add_covariates(basic, given, joined)
    check_degrees_of_freedom(len(rows), len(made.names))
    return made


def _write_covariates(context: Context, plan: MatrixPlan, covariates: Covariates) -> None:
    rows = [
        {"matrix_id": plan.matrix_id, "covariate_id": name, "row_index": i, "values": column.tolist()}
        for i, (name, column) in enumerate(zip(covariates.names, covariates.values.T, strict=True))
    ]
    if rows:
        context.put(EQTL_COVARIATES, rows, plan.slice)


def _report(
    params: EqtlBuild,
    plan: MatrixPlan,
    joined: SampleJoin,
    covariates: Covariates,
    counts: dict[str, int],
    dropped: Dropped,
) -> Report:
    notes = _name_dropped("", joined.dropped)
    notes += [
        f"left out, {what}: {n:,}"
        for what, n in dropped.items()
        if not what.startswith(("people: ", "covariates: "))
    ]
    notes += [*_name_dropped("covariates: ", covariates.dropped), *covariates.notes]
    details: dict[str, Any] = {
        "matrix_id": plan.matrix_id,
        **counts,
        "dropped": dropped,
        "dropped_samples": dict(joined.dropped),
        "dropped_covariates": dict(covariates.dropped),
        "without_genotypes": list(joined.without_genotypes),
        "without_expression": list(joined.without_expression),
    }
    return Report(
        "build_eqtl_matrices",
        True,
        f"set {params.name}: {counts['n_samples']:,} people, {counts['n_phenotypes']:,} phenotypes, "
        f"{counts['n_variants']:,} variants, {counts['n_covariates']:,} covariates",
        rows={
            EQTL_PHENOTYPES.name: counts["n_phenotypes"],
            EQTL_GENOTYPES.name: counts["n_variants"],
            EQTL_COVARIATES.name: counts["n_covariates"],
            EQTL_MATRICES.name: 1,
        },
        notes=notes,
        details=details,
    )


def _name_dropped(kind: str, dropped: Mapping[str, str]) -> list[str]:
    """A note a reason, with how many there are and the first of their names."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in sorted(dropped.items()):
        by_reason.setdefault(reason, []).append(name)
    return [
        f"left out, {kind}{reason}: {len(names):,} "
        f"({', '.join(names[:N_NAMES])}{', …' * (len(names) > N_NAMES)})"
        for reason, names in sorted(by_reason.items())
    ]


BUILD_EQTL_MATRICES = Job(
    name="build_eqtl_matrices",
    summary="Build a matrix set: genotypes, phenotypes and covariates of the same people in the same order.",
    params=EqtlBuild,
    reads=(
        LOADS,
        SAMPLES,
        CALLSET_SAMPLES,
        VARIANTS,
        RUNS,
        QUANTIFICATIONS,
        PHENOTYPES,
        EXPRESSION,
        COVARIATES,
    ),
    writes=(EQTL_PHENOTYPES, EQTL_GENOTYPES, EQTL_COVARIATES, EQTL_MATRICES),
    run=run,
)
