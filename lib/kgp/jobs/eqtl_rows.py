"""Writes the phenotype and genotype rows of a matrix set, and checks what was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial

from kgp.eqtl.normalise import normalise_basic
from kgp.errors import CheckError, InputError
from kgp.genome import check_build
from kgp.io.delta import in_list
from kgp.job import Context
from kgp.jobs.eqtl_plan import MatrixPlan, autosomes
from kgp.params import EqtlBuild
from kgp.tables import EQTL_GENOTYPES, EQTL_PHENOTYPES, EXPRESSION, PHENOTYPES, VARIANTS
from kgp.transforms.genotypes import (
    OTHER_LENGTH,
    OUTSIDE_WINDOWS,
    REASONS,
    GenotypeFilter,
    gather_genotypes,
    keep_and_count,
)
from kgp.transforms.join import SampleJoin
from kgp.transforms.matrices import REPEATED_VALUE, gather_phenotypes, place_phenotypes

Dropped = Mapping[str, int]


def write_phenotypes(
    context: Context, params: EqtlBuild, plan: MatrixPlan, joined: SampleJoin
) -> tuple[Dropped, dict[str, list[int]]]:
    """Write the phenotypes; returns how many were dropped for what, and contig → TSS of the others."""
    from pyspark.sql import functions as F

    of_quantifications = plan.of_quantifications(params.dataset)
    normalise = partial(
        normalise_basic,
        min_expression=params.min_expression,
        min_expression_fraction=params.min_expression_fraction,
    )
    places = place_phenotypes(
        context.read(PHENOTYPES).where(of_quantifications),
        n_quantifications=len(plan.quantifications),
        asked=plan.asked,
        autosomes=autosomes(plan.build),
        with_genotypes=sorted(plan.rows_on),
    )
    values = context.read(EXPRESSION).where(of_quantifications)
    rows = gather_phenotypes(values, places, joined.run_ids, normalise).persist()
    dropped: Counter[str] = Counter()
    tss_by_contig: dict[str, list[int]] = {}
    try:
        with context.progress.step(f"phenotypes of {len(joined.sample_ids):,} people"):
            for row in rows.select("reason", "contig", "tss").collect():
                if row["reason"] is None:
                    tss_by_contig.setdefault(row["contig"], []).append(row["tss"])
                else:
                    dropped[row["reason"]] += 1
            kept = rows.where("reason IS NULL").drop("reason").withColumn("matrix_id", F.lit(plan.matrix_id))
            context.replace(EQTL_PHENOTYPES, kept.repartition("contig"), [plan.matrix_id])
    finally:
        rows.unpersist()
    if n := dropped[REPEATED_VALUE]:
        raise CheckError(f"{n} phenotypes have several values of one run.", where="table expression")
    context.check_key(EQTL_PHENOTYPES, plan.slice)
    if not tss_by_contig:
        said = ", ".join(f"{n:,} {reason}" for reason, n in sorted(dropped.items())) or "none is loaded"
        raise InputError(
            f"No phenotype of {params.dataset} is left: {said}.",
            where="eqtl build",
            mend="Lower --min-expression, or load genotypes of the phenotypes' contigs.",
        )
    last = {contig: max(tss) for contig, tss in tss_by_contig.items()}
    check_build(plan.build, where=f"the phenotypes of {params.dataset}", last_ends=last)
    return dropped, tss_by_contig


def write_genotypes(
    context: Context,
    params: EqtlBuild,
    plan: MatrixPlan,
    joined: SampleJoin,
    tss_by_contig: Mapping[str, list[int]],
) -> tuple[int, Dropped]:
    """Write the genotypes; returns how many rows there are, and how many were dropped for what."""
    from pyspark.sql import functions as F

    which = GenotypeFilter(
        sample_indices=joined.sample_indices,
        n_callset=joined.n_callset,
        tss_by_contig=tss_by_contig,
        cis_window=params.cis_window,
        min_maf=params.min_maf,
        max_missing=params.max_missing,
    )
    n_candidates = sum(plan.rows_on[contig] for contig in tss_by_contig)
    n_phenotypes = sum(map(len, tss_by_contig.values()))
    with context.progress.step(f"genotypes near {n_phenotypes:,} phenotypes, of {n_candidates:,} rows"):
        variants = context.read(VARIANTS).where(in_list("callset", [params.callset]))
        kept, observation = keep_and_count(gather_genotypes(variants, which))
        kept = kept.withColumn("matrix_id", F.lit(plan.matrix_id))
        n_variants = context.replace(EQTL_GENOTYPES, kept, [plan.matrix_id])
        counts = observation.get
        _check_each_once(context, params, plan)
    if counts[OTHER_LENGTH]:
        raise CheckError(
            f"{counts[OTHER_LENGTH]} variants have genotypes of another number of samples than the callset.",
            where="table variants",
            mend=f"Load callset {params.callset} again.",
        )
    dropped = {reason: counts[reason] for reason in REASONS if counts[reason]}
    # What lies beyond all windows was not read.
    if n_outside := n_candidates - n_variants - sum(counts[r] for r in REASONS if r != OUTSIDE_WINDOWS):
        dropped[OUTSIDE_WINDOWS] = n_outside
    if not n_variants:
        said = ", ".join(f"{n:,} {reason}" for reason, n in dropped.items())
        raise InputError(
            f"No variant of {params.callset} is left: {said}.",
            where="eqtl build",
            mend="Lower --min-maf or widen --cis-window.",
        )
    n_samples = len(joined.sample_ids)
    if n_variants != counts["kept"] or not counts["shortest"] == counts["longest"] == n_samples:
        raise CheckError("The written genotypes are not those that were gathered.", where="eqtl_genotypes")
    last = {
        contig: context.measure(
            EQTL_GENOTYPES, f"{plan.slice} AND {in_list('contig', [contig])}", last='max("end")'
        )["last"]
        for contig in tss_by_contig
    }
    check_build(plan.build, where=f"callset {params.callset}", last_ends=last)
    return n_variants, dropped


def _check_each_once(context: Context, params: EqtlBuild, plan: MatrixPlan) -> None:
    """Refuse a variant that two loads of the callset hold, with their names."""
    try:
        context.check_key(EQTL_GENOTYPES, plan.slice)
    except CheckError as problem:
        raise CheckError(
            problem.what,
            where=f"callset {params.callset}",
            mend=f"Loads of it overlap: keep one of {', '.join(plan.load_ids)}, in another lake or callset.",
        ) from problem
