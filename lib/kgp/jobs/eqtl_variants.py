"""The variants of a matrix set: those near its phenotypes, which in turn need enough variants near them."""

from __future__ import annotations

import numpy as np

from kgp.job import Context
from kgp.jobs.eqtl_genotypes import GenotypesWritten, discard_genotypes, write_genotypes
from kgp.jobs.eqtl_people import SetPeople
from kgp.jobs.eqtl_phenotypes import SetPhenotypes, drop_few_variants, nothing_left
from kgp.jobs.eqtl_plan import MatrixPlan
from kgp.params import EqtlBuild
from kgp.transforms.genotypes import GenotypeFilter, is_in_window


def choose_variants(
    context: Context, params: EqtlBuild, plan: MatrixPlan, people: SetPeople, phenotypes: SetPhenotypes
) -> tuple[SetPhenotypes, GenotypesWritten]:
    """Write files of the variants near phenotypes; phenotypes with too few, and then their variants, are left out.

    A dry run writes none.

    Raises:
        InputError: no phenotype or no variant is left.
    """

    def write(near: SetPhenotypes) -> GenotypesWritten:
        which = make_filter(params, plan, people, near)
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
    is_complete = bool(len(kept.rows)) and not _has_strays(written, kept, params.cis_window)
    if not is_complete:
        discard_genotypes(context, written)
    if not len(kept.rows):
        raise nothing_left(plan, kept.dropped)
    return kept, written if is_complete else write(kept)


def make_filter(
    params: EqtlBuild, plan: MatrixPlan, people: SetPeople, phenotypes: SetPhenotypes
) -> GenotypeFilter:
    """Which variants of the callset go into the set, and whose genotypes."""
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
