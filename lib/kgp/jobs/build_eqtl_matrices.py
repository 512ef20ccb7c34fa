"""`kgp eqtl build`: genotypes, phenotypes and covariates of one cohort, the same people in the same order."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import numpy as np

from kgp.amounts import count
from kgp.errors import InputError, KgpError, LakeError
from kgp.io.delta import in_list
from kgp.io.sample_list import read_cohort
from kgp.job import Context, Job, Report
from kgp.jobs.eqtl_design import check_enough_people, make_covariates, write_covariates
from kgp.jobs.eqtl_genotypes import GenotypesWritten, write_genotypes
from kgp.jobs.eqtl_lineage import choose_versions
from kgp.jobs.eqtl_matching import Matches, MatchRequest, match_runs
from kgp.jobs.eqtl_people import SetPeople, join_set
from kgp.jobs.eqtl_phenotypes import (
    SetPhenotypes,
    drop_few_variants,
    nothing_left,
    prepare_phenotypes,
    write_phenotypes,
)
from kgp.jobs.eqtl_plan import MatrixPlan, plan_matrices
from kgp.jobs.eqtl_report import BuiltSet, report_built, report_dry
from kgp.params import EqtlBuild
from kgp.tables import (
    CALLSET_SAMPLES,
    COVARIATES,
    EQTL_COVARIATES,
    EQTL_GENOTYPES,
    EQTL_INDEPENDENT,
    EQTL_INTERACTION,
    EQTL_MAPS,
    EQTL_MATCHES,
    EQTL_MATRICES,
    EQTL_NOMINAL,
    EQTL_PHENOTYPES,
    EQTL_TOP,
    EQTL_TRANS,
    EXPRESSION,
    KINSHIP,
    KINSHIP_RUNS,
    LOADS,
    PHENOTYPES,
    QUANTIFICATIONS,
    RUNS,
    SAMPLES,
    VARIANTS,
)
from kgp.transforms.cohorts import Cohort
from kgp.transforms.genotypes import GenotypeFilter, is_in_window

# How many runs a refusal names.
N_SWAPS = 10


def run(context: Context, params: EqtlBuild) -> Report:
    """Choose the versions to read, plan, and build the set unless it is there."""
    versions = choose_versions(context, params.as_of)
    then = context.at(versions)
    cohort = read_cohort(params.cohort)
    plan = plan_matrices(then, params, cohort)
    if plan.is_built and not params.dry_run:
        return Report(
            "build_eqtl_matrices",
            False,
            f"set {params.name} is already built, nothing to do",
            details={"matrix_id": plan.matrix_id},
        )
    if plan.in_use is not None and not (params.replace or params.dry_run):
        raise plan.in_use
    try:
        built = _make(then, params, plan, cohort)
        if params.dry_run:
            return report_dry(params, built, _remarks(params, plan))
        _write(then, params, plan, built, versions)
    except KgpError:
        if not params.dry_run:
            context.remove_debris()
        raise
    return report_built(params, built)


def _make(context: Context, params: EqtlBuild, plan: MatrixPlan, cohort: Cohort) -> BuiltSet:
    """All parts of the set; the genotypes are written, the others are not yet."""
    people = join_set(context, params, plan, cohort)
    check_enough_people(params, plan, people, None)
    phenotypes = prepare_phenotypes(context, params, plan, people.joined.run_ids)
    check_enough_people(params, plan, people, phenotypes.factors)
    phenotypes, genotypes = _write_genotypes(context, params, plan, people, phenotypes)
    covariates = make_covariates(context, params, plan, people, phenotypes.factors, phenotypes.contigs)
    matches = None
    if params.swaps != "skip" and not params.dry_run:
        matches = _match(context, params, plan, people, phenotypes)
    return BuiltSet(
        plan.matrix_id, people, phenotypes, genotypes, covariates, matches, _say_lineage(params, plan)
    )


def _write_genotypes(
    context: Context, params: EqtlBuild, plan: MatrixPlan, people: SetPeople, phenotypes: SetPhenotypes
) -> tuple[SetPhenotypes, GenotypesWritten]:
    """Write the variants near phenotypes; phenotypes with too few of them, and then their variants, are left out."""

    def write(near: SetPhenotypes) -> GenotypesWritten:
        which = _filter(params, plan, people, near)
        return write_genotypes(
            context, plan.matrix_id, params.callset, which, plan.rows_on, dry_run=params.dry_run
        )

    written = write(phenotypes)
    kept = drop_few_variants(
        phenotypes,
        written.starts,
        cis_window=params.cis_window,
        min_cis_variants=params.min_cis_variants,
    )
    if not len(kept.rows):
        raise nothing_left(plan, kept.dropped)
    if _has_strays(written, kept, params.cis_window):
        written = write(kept)
    return kept, written


def _filter(
    params: EqtlBuild, plan: MatrixPlan, people: SetPeople, phenotypes: SetPhenotypes
) -> GenotypeFilter:
    return GenotypeFilter(
        sample_indices=people.joined.sample_indices,
        n_callset=people.joined.n_callset,
        sexes=people.sexes,
        build=plan.build.name,
        tss_by_contig=phenotypes.tss_by_contig,
        cis_window=params.cis_window,
        source=params.genotypes,
        min_maf=params.min_maf,
        min_mac=params.min_mac,
        max_missing=params.max_missing,
        min_hwe_p=params.min_hwe_p,
        multiallelic=params.multiallelic,
        missing_genotypes=params.missing_genotypes,
        x_model=params.x_model,
    )


def _has_strays(written: GenotypesWritten, phenotypes: SetPhenotypes, cis_window: int) -> bool:
    """Whether a variant lies in no window any more."""
    tss = phenotypes.tss_by_contig
    return any(
        not is_in_window(starts + 1, np.sort(np.array(tss.get(contig, []), dtype=np.int64)), cis_window).all()
        for contig, starts in written.starts.items()
    )


def _match(
    context: Context, params: EqtlBuild, plan: MatrixPlan, people: SetPeople, phenotypes: SetPhenotypes
) -> Matches:
    """Whose runs they are.

    Raises:
        InputError: runs look like other people's, and that is to stop the build.
    """
    matches = match_runs(
        context,
        MatchRequest(
            matrix_id=plan.matrix_id,
            callset=params.callset,
            callset_samples=people.callset_samples,
            sample_ids=people.joined.sample_ids,
            run_ids=people.joined.run_ids,
            phenotypes=phenotypes.rows,
            cis_window=params.cis_window,
        ),
    )
    if not matches.swaps or params.swaps == "report":
        return matches
    rows = {row["run_id"]: row for row in matches.rows}
    said = "; ".join(
        f"{run_id} is said to be of {said_of} (score {rows[run_id]['match_score']:.2f}) and fits {best} "
        f"({rows[run_id]['best_score']:.2f})"
        for run_id, said_of, best in matches.swaps[:N_SWAPS]
    )
    more = f"; and {len(matches.swaps) - N_SWAPS:,} more" if len(matches.swaps) > N_SWAPS else ""
    looks = count(len(matches.swaps), "run looks", "runs look")
    raise InputError(
        f"{looks} like another person's, at {matches.n_loci:,} cis eQTLs: {said}{more}.",
        where="eqtl build",
        mend="Mend the run list (kgp load runs), leave these people out of the cohort, or give --swaps report.",
    )


def _write(
    context: Context,
    params: EqtlBuild,
    plan: MatrixPlan,
    built: BuiltSet,
    versions: Mapping[str, int | None],
) -> None:
    """Write what is not written yet, and name the set in the ledger last."""
    write_phenotypes(context, plan.matrix_id, built.phenotypes.rows)
    write_covariates(context, plan, built.covariates)
    if built.matches is not None and built.matches.rows:
        context.put(EQTL_MATCHES, built.matches.rows, plan.slice)
    _check_complete(context, plan, built)
    joined = built.people.joined
    row = {
        "matrix_id": plan.matrix_id,
        "name": params.name,
        "callset": params.callset,
        "dataset": plan.source.dataset,
        "build": plan.build.name,
        "parameters": dict(plan.parameters),
        "load_ids": list(plan.load_ids),
        "table_versions": {name: version for name, version in versions.items() if version is not None},
        "sample_ids": list(joined.sample_ids),
        "run_ids": list(joined.run_ids),
        **built.counts,
        "dropped": built.dropped,
        "dropped_samples": dict(joined.dropped),
        "notes": list(built.notes),
        "seconds": context.seconds,
        "built_at": datetime.datetime.now(datetime.UTC),
    }
    # The ledger's row makes the set visible; where it replaces one of that name, the old rows become debris.
    context.put(EQTL_MATRICES, [row], in_list("name", [params.name]))
    _forget_mappings(context)
    context.remove_debris()


def _forget_mappings(context: Context) -> None:
    """Remove mappings of sets that are no more from the ledger; their rows become debris, too."""
    known = {row["matrix_id"] for row in context.fetch(EQTL_MATRICES, ["matrix_id"])}
    mapped = {row["matrix_id"] for row in context.fetch(EQTL_MAPS, ["matrix_id"])}
    if gone := sorted(mapped - known):
        context.put(EQTL_MAPS, [], in_list("matrix_id", gone))


def _check_complete(context: Context, plan: MatrixPlan, built: BuiltSet) -> None:
    """Refuse to name a set whose rows are not all there: a job that began meanwhile took them for debris.

    Raises:
        LakeError: rows are gone.
    """
    counts = built.counts
    expected = (
        (EQTL_PHENOTYPES, counts["n_phenotypes"]),
        (EQTL_GENOTYPES, counts["n_variants"]),
        (EQTL_COVARIATES, counts["n_covariates"]),
        (EQTL_MATCHES, 0 if built.matches is None else len(built.matches.rows)),
    )
    for table, n in expected:
        found = context.measure(table, plan.slice, n="count(*)")["n"] if n else 0
        if found != n:
            raise LakeError(
                f"{found:,} of the {n:,} rows that were written for this set are there: another job on matrix sets "
                "ran at the same time and removed what no set names yet.",
                where=f"table {table.name}",
                mend="Build it again when no other job on matrix sets runs in this lake.",
            )


def _say_lineage(params: EqtlBuild, plan: MatrixPlan) -> tuple[str, ...]:
    if params.as_of is None or params.as_of == plan.matrix_id:
        return ()
    told = f"built from the tables as of {params.as_of}"
    is_set = len(params.as_of) == len(plan.matrix_id) and ":" not in params.as_of
    return (f"{told}; with other options or another recipe it is not that set again" if is_set else told,)


def _remarks(params: EqtlBuild, plan: MatrixPlan) -> list[str]:
    """What a dry run has to say of the real one."""
    remarks = []
    if plan.is_built:
        remarks.append(f"set {params.name} is already built so")
    if plan.in_use is not None and not params.replace:
        remarks.append(f"a real run would stop: {plan.in_use.what} {plan.in_use.mend}")
    if params.swaps != "skip":
        remarks.append("sample mix-ups are looked for in a real run only: they need the written genotypes")
    return remarks


BUILD_EQTL_MATRICES = Job(
    name="build_eqtl_matrices",
    summary="Build a matrix set: genotypes, phenotypes and covariates of the same people in the same order.",
    params=EqtlBuild,
    reads=(
        LOADS,
        SAMPLES,
        CALLSET_SAMPLES,
        VARIANTS,
        KINSHIP,
        KINSHIP_RUNS,
        RUNS,
        QUANTIFICATIONS,
        PHENOTYPES,
        EXPRESSION,
        COVARIATES,
    ),
    writes=(
        EQTL_PHENOTYPES,
        EQTL_GENOTYPES,
        EQTL_COVARIATES,
        EQTL_MATCHES,
        EQTL_MATRICES,
        EQTL_NOMINAL,
        EQTL_TOP,
        EQTL_INDEPENDENT,
        EQTL_INTERACTION,
        EQTL_TRANS,
        EQTL_MAPS,
    ),
    run=run,
)
