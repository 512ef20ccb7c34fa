"""`kgp samples kinship`: relatives in a callset by their genotypes (KING-robust), from `variants` into `kinship`.

Counted are the common biallelic SNVs of autosomes. A task counts some parts of the variants for every two people; the
counts are whole numbers, so tasks sum them up in any order, and one matrix a count, samples × samples, reaches the
driver. `kinship` has the pairs that are related; `kinship_runs`, written last, says that a callset was looked at.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from kgp.eqtl.common_variants import CommonRule
from kgp.eqtl.kinship import MIN_KINSHIP, KingCounts, KinshipTable, degree_of, relatives
from kgp.eqtl.sample_quality import list_autosomes
from kgp.errors import InputError
from kgp.io.parts import TablePart
from kgp.io.predicates import in_list
from kgp.job import Context, Job, Report
from kgp.jobs.genotype_blocks import Selection, in_batches
from kgp.jobs.genotype_rows import read_genotypes
from kgp.jobs.genotype_tasks import Callset, fetch_callset, plan_contigs, sum_parts
from kgp.jobs.kinship_report import find_denied, report_kinship
from kgp.params import SamplesKinship
from kgp.tables import CALLSET_SAMPLES, KINSHIP, KINSHIP_RUNS, LOADS, SAMPLES, VARIANTS

# Raised where the same variants and parameters give other numbers.
RECIPE = "1"

# Variants that are multiplied at a time.
BATCH = 4096

# More pairs than this are no families, but people compared by too few variants, or no bound at all.
MAX_PAIRS = 200_000


@dataclass(eq=False)
class KinshipSums:
    """Counts of every two people, and the variants that were left out, by reason."""

    king: KingCounts
    dropped: Counter[str] = field(default_factory=Counter)


def run(context: Context, params: SamplesKinship) -> Report:
    """Compare everybody with everybody, unless the same was done before."""
    callset = fetch_callset(context, params.callset)
    people = {row["sample_id"]: row for row in context.fetch(SAMPLES)}
    parameters = _parameters(params, callset)
    where = in_list("callset", [callset.name])
    known = context.fetch(KINSHIP_RUNS, where=where)
    contigs = _list_autosomes(context, params, callset)
    if known and tuple(known[0]["load_ids"]) == callset.load_ids and known[0]["parameters"] == parameters:
        return report_kinship(context.fetch(KINSHIP, where=where), known[0], callset, people, contigs=contigs)
    sums = _count(context, params, callset)
    table = sums.king.table()
    rows = _make_rows(callset, relatives(table, params.min_kinship), parameters)
    made = {
        "callset": callset.name,
        "load_ids": list(callset.load_ids),
        "parameters": parameters,
        "n_samples": len(callset.sample_ids),
        "n_variants": sums.king.n_variants,
        "n_pairs": len(rows),
        "computed_at": datetime.datetime.now(datetime.UTC),
    }
    rows = [{**row, "computed_at": made["computed_at"]} for row in rows]
    if known:  # a run that is cut off between the two tables leaves none that is believed
        context.put(KINSHIP_RUNS, [], where)
    context.put(KINSHIP, rows, where)
    context.put(KINSHIP_RUNS, [made], where)
    denied = find_denied(table, callset, people)
    return report_kinship(
        rows, made, callset, people, contigs=contigs, table=table, dropped=sums.dropped, denied=denied
    )


def count_parts(parts: Sequence[TablePart], selection: Selection) -> KinshipSums:
    """Count in some parts of autosomes, in a task."""
    sums = KinshipSums(KingCounts(selection.n_samples))
    blocks = (
        selection.choose(found, sums.dropped).dosages
        for part in parts
        for found in read_genotypes(part, selection.n_callset)
    )
    for batch in in_batches(blocks, BATCH):
        sums.king.add(batch)
    return sums


def fetch_relatives(
    context: Context, callset: str, sample_ids: Sequence[str], load_ids: Sequence[str]
) -> dict[str, frozenset[str]]:
    """Who of some people is related to whom, of second degree or closer, by the table `kinship`.

    Args:
        context: of a job that reads `kinship` and `kinship_runs`.
        callset: its name.
        sample_ids: the people, in the order in which they are preferred where there is a choice.
        load_ids: loads that the callset's variants come from now.

    Returns:
        person → relatives, both ways, as `find_largest_unrelated` takes it; everybody is a key.

    Raises:
        InputError: kinship of the callset was not computed, is of other loads, or leaves out second-degree relatives.
    """
    where = in_list("callset", [callset])
    mend = f"Compute it: kgp samples kinship --callset {callset}"
    known = context.fetch(KINSHIP_RUNS, where=where)
    if not known:
        raise InputError("Its kinship is not known.", where=f"callset {callset}", mend=mend)
    if set(known[0]["load_ids"]) != set(load_ids):
        raise InputError(
            "Its kinship is stale: the callset's loads have changed.", where=f"callset {callset}", mend=mend
        )
    least = float(known[0]["parameters"]["min_kinship"])
    if least > MIN_KINSHIP:
        raise InputError(
            f"Its kinship was kept of pairs of at least {least:g}: relatives of second degree ({MIN_KINSHIP:g}) "
            "are not among them.",
            where=f"callset {callset}",
            mend=f"{mend} --min-kinship {MIN_KINSHIP:g}",
        )
    near: dict[str, set[str]] = {sample: set() for sample in sample_ids}
    for row in context.fetch(KINSHIP, ["sample_id_1", "sample_id_2", "kinship"], where):
        one, other = row["sample_id_1"], row["sample_id_2"]
        if row["kinship"] >= MIN_KINSHIP and one in near and other in near:
            near[one].add(other)
            near[other].add(one)
    return {sample: frozenset(others) for sample, others in near.items()}


def _count(context: Context, params: SamplesKinship, callset: Callset) -> KinshipSums:
    n_samples = len(callset.sample_ids)
    contigs = plan_contigs(context, callset.name, callset.build, asked=params.contig, ids=callset.load_ids)
    autosomes = list_autosomes(contigs, callset.build)
    parts = [part for contig in autosomes for part in contigs[contig]]
    if not parts:
        raise InputError(
            f"It has no variants on autosomes, but on {', '.join(contigs)}.",
            where=f"callset {callset.name}",
            mend="Load autosomes: kinship is told by them.",
        )
    selection = Selection(n_samples, CommonRule(params.min_maf, params.max_missing))
    n_rows = sum(part.n_rows for part in parts)
    with context.progress.step(f"comparing {n_samples:,} people at {n_rows:,} alleles"):
        sums = sum_parts(context, parts, n_samples, partial(count_parts, selection=selection), _merge)
    if not sums.king.n_variants:
        left_out = ", ".join(f"{n:,} {reason}" for reason, n in sorted(sums.dropped.items()) if n)
        raise InputError(
            f"None of its variants on autosomes tells of kinship: {left_out}.",
            where=f"callset {callset.name}",
            mend="Choose a lower --min-maf or a higher --max-missing.",
        )
    return sums


def _list_autosomes(context: Context, params: SamplesKinship, callset: Callset) -> list[str]:
    """Autosomes with variants, of those that are asked for, in karyotype order."""
    there = {contig for _, contig in context.count_rows(VARIANTS, {"callset": [callset.name]})}
    asked = {callset.build.canonical(contig) or contig for contig in params.contig}
    autosomes = list_autosomes(filter(None, there), callset.build)
    return sorted((c for c in autosomes if not asked or c in asked), key=callset.build.sort_index)


def _merge(one: KinshipSums, other: KinshipSums) -> KinshipSums:
    one.king.merge(other.king)
    one.dropped.update(other.dropped)
    return one


def _parameters(params: SamplesKinship, callset: Callset) -> dict[str, str]:
    contigs = {callset.build.canonical(contig) or contig for contig in params.contig}
    return {
        "recipe": RECIPE,
        "contigs": ",".join(sorted(contigs)) or "all",
        "min_maf": repr(params.min_maf),
        "max_missing": repr(params.max_missing),
        "min_kinship": repr(params.min_kinship),
    }


def _make_rows(callset: Callset, pairs: KinshipTable, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
    if len(pairs) > MAX_PAIRS:
        raise InputError(
            f"{len(pairs):,} pairs would be related: too few variants were compared, or the bound is too low.",
            where=f"callset {callset.name}",
            mend="Load more contigs, or choose a higher --min-kinship.",
        )
    ids = np.array(callset.sample_ids, dtype=object)
    named = np.sort(np.column_stack([ids[pairs.first], ids[pairs.second]]), axis=1).tolist()
    columns = (pairs.n_variants, pairs.het_het, pairs.ibs0, pairs.kinship)
    figures = zip(*(column.tolist() for column in columns), strict=True)
    return [
        {
            "callset": callset.name,
            "sample_id_1": one,
            "sample_id_2": other,
            "load_ids": list(callset.load_ids),
            "parameters": dict(parameters),
            "n_variants": n_variants,
            "het_het": het_het,
            "ibs0": ibs0,
            "kinship": kinship,
            "degree": degree_of(kinship),
        }
        for (one, other), (n_variants, het_het, ibs0, kinship) in zip(named, figures, strict=True)
    ]


COMPUTE_KINSHIP = Job(
    name="compute_kinship",
    summary="Find relatives in a callset by their genotypes, and compare with the pedigree.",
    params=SamplesKinship,
    reads=(LOADS, SAMPLES, CALLSET_SAMPLES, VARIANTS),
    writes=(KINSHIP, KINSHIP_RUNS),
    run=run,
)
