"""`kgp eqtl build`: genotypes, phenotypes and covariates of one cohort, the same people in the same order."""

from __future__ import annotations

from kgp.io.sample_list import read_cohort
from kgp.job import Context, Job, Report
from kgp.jobs.eqtl_design import check_components, check_enough_people, make_covariates
from kgp.jobs.eqtl_genotypes import discard_genotypes
from kgp.jobs.eqtl_lineage import choose_versions
from kgp.jobs.eqtl_people import join_set
from kgp.jobs.eqtl_phenotypes import prepare_phenotypes
from kgp.jobs.eqtl_plan import MatrixPlan, plan_matrices
from kgp.jobs.eqtl_report import BuiltSet, report_built, report_dry, report_known
from kgp.jobs.eqtl_swaps import find_swaps, refuse_swaps
from kgp.jobs.eqtl_variants import choose_variants
from kgp.jobs.eqtl_write import write_set
from kgp.jobs.one_core import on_one_core
from kgp.params import EqtlBuild
from kgp.tables import (
    CALLSET_SAMPLES,
    COVARIATES,
    EQTL_COVARIATES,
    EQTL_CREDIBLE_SETS,
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


def run(context: Context, params: EqtlBuild) -> Report:
    """Choose the versions to read, plan, and build the set unless it is there."""
    with on_one_core():
        return _run(context, params)


def _run(context: Context, params: EqtlBuild) -> Report:
    versions = choose_versions(context, params.as_of)
    then = context.at(versions)
    cohort = read_cohort(params.cohort)
    plan = plan_matrices(then, params, cohort)
    if params.dry_run:
        built = _make(then, params, plan, cohort)
        return report_dry(params, built, _remarks(params, plan, built))
    if plan.is_built:
        return report_known(plan.matrix_id, f"set {params.name} is already built, nothing to do")
    if plan.in_use is not None and not params.replace:
        raise plan.in_use
    built = _make(then, params, plan, cohort)
    if not write_set(then, params, plan, built, versions):
        return report_known(
            plan.matrix_id, f"set {params.name} was built by another run meanwhile, nothing to do"
        )
    return report_built(params, built)


def _make(context: Context, params: EqtlBuild, plan: MatrixPlan, cohort: Cohort) -> BuiltSet:
    """All parts of the set; nothing is written but files of genotypes, which nobody knows of yet.

    Raises:
        InputError: runs look like other people's, and that is to stop the build.
    """
    people = join_set(context, params, plan, cohort)
    check_components(params, plan, people, ())
    check_enough_people(params, plan, people, None)
    phenotypes = prepare_phenotypes(context, params, plan, people.joined.run_ids)
    check_components(params, plan, people, phenotypes.contigs)
    check_enough_people(params, plan, people, phenotypes.factors)
    phenotypes, genotypes = choose_variants(context, params, plan, people, phenotypes)
    try:
        covariates = make_covariates(context, params, plan, people, phenotypes.factors, phenotypes.contigs)
        matches = find_swaps(context, params, plan, people, phenotypes, genotypes)
        refusal = refuse_swaps(params, matches)
        if refusal is not None and not params.dry_run:
            raise refusal
    except BaseException:
        discard_genotypes(context, genotypes)
        raise
    return BuiltSet(
        plan.matrix_id, people, phenotypes, genotypes, covariates, matches, _say_lineage(params, plan)
    )


def _say_lineage(params: EqtlBuild, plan: MatrixPlan) -> tuple[str, ...]:
    if params.as_of is None or params.as_of == plan.matrix_id:
        return ()
    told = f"built from the tables as of {params.as_of}"
    is_set = len(params.as_of) == len(plan.matrix_id) and ":" not in params.as_of
    return (f"{told}; with other options or another recipe it is not that set again" if is_set else told,)


def _remarks(params: EqtlBuild, plan: MatrixPlan, built: BuiltSet) -> list[str]:
    """What a dry run has to say of the real one."""
    remarks = []
    if plan.is_built:
        remarks.append(f"set {params.name} is already built so")
    if plan.in_use is not None and not params.replace:
        remarks.append(f"a real run would stop: {plan.in_use.what} {plan.in_use.mend}")
    if (refusal := refuse_swaps(params, built.matches)) is not None:
        remarks.append(f"a real run would stop: {refusal.what} {refusal.mend}")
    elif built.matches is not None and (said := built.matches.describe_swaps()) is not None:
        remarks.append(said)
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
        EQTL_CREDIBLE_SETS,
        EQTL_INTERACTION,
        EQTL_TRANS,
        EQTL_MAPS,
    ),
    run=run,
)
