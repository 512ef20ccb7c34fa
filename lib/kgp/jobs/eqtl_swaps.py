"""The swap gate of a matrix set: runs that look like other people's stop the build, unless that is only to be told."""

from __future__ import annotations

from kgp.errors import InputError
from kgp.job import Context
from kgp.jobs.eqtl_genotypes import GenotypesWritten
from kgp.jobs.eqtl_matching import Matches, MatchRequest, match_runs
from kgp.jobs.eqtl_people import SetPeople
from kgp.jobs.eqtl_phenotypes import SetPhenotypes
from kgp.jobs.eqtl_plan import MatrixPlan
from kgp.jobs.eqtl_variants import make_filter
from kgp.jobs.set_genotypes import FilteredGenotypes, SetGenotypes, WrittenGenotypes
from kgp.params import EqtlBuild
from kgp.tables import EQTL_GENOTYPES


def find_swaps(
    context: Context,
    params: EqtlBuild,
    plan: MatrixPlan,
    people: SetPeople,
    phenotypes: SetPhenotypes,
    genotypes: GenotypesWritten,
) -> Matches | None:
    """Whose runs they are; None where that is not asked for.

    Args:
        context: of a job that reads `variants` and writes `eqtl_genotypes`.
        params, plan, people, phenotypes: of the set.
        genotypes: its files; a dry run, which has none, filters the callset's variants again.
    """
    if params.swaps == "skip":
        return None
    which = make_filter(params, plan, people, phenotypes)
    found: SetGenotypes = (
        FilteredGenotypes(context, params.callset, which)
        if params.dry_run
        else WrittenGenotypes.of(context.path(EQTL_GENOTYPES), genotypes.files, len(which.sample_indices))
    )
    return match_runs(
        context,
        MatchRequest(
            matrix_id=plan.matrix_id,
            genotypes=found,
            callset=params.callset,
            column=which.genotype_column,
            callset_samples=people.callset_samples,
            sample_ids=people.joined.sample_ids,
            run_ids=people.joined.run_ids,
            phenotypes=phenotypes.rows,
            cis_window=params.cis_window,
        ),
    )


def refuse_swaps(params: EqtlBuild, matches: Matches | None) -> InputError | None:
    """What stops the build; None where nothing does."""
    said = None if matches is None else matches.describe_swaps()
    if said is None or params.swaps != "stop":
        return None
    return InputError(
        said,
        where="eqtl build",
        mend="Mend the run list (kgp load runs), leave these people out of the cohort, or give --swaps report.",
    )
