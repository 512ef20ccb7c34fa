"""`kgp samples qc`: what genotypes tell of each sample of a callset, from `variants` into `sample_quality`.

Call rate is that of all records but those of Y, which females have none of. Heterozygosity (F of autosomes) and sex (F
of X outside the pseudoautosomal regions) are those of common biallelic SNVs, the frequencies those of the callset. All
of it are sums of whole numbers over parts of the variants, made by tasks.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgp.eqtl.common_variants import CommonRule
from kgp.eqtl.sample_flags import flag_samples
from kgp.eqtl.sample_quality import CallCounts, HeterozygosityCounts, infer_sexes, role_of
from kgp.errors import InputError
from kgp.genome import ReferenceBuild, get_build
from kgp.io.parts import TablePart
from kgp.io.predicates import in_list
from kgp.job import Context, Job, Report
from kgp.jobs.genotype_blocks import Selection
from kgp.jobs.genotype_rows import GenotypeRows, read_genotypes
from kgp.jobs.genotype_tasks import Callset, fetch_callset, map_parts, plan_contigs
from kgp.jobs.samples_report import report_samples
from kgp.params import SamplesQc
from kgp.tables import CALLSET_SAMPLES, LOADS, SAMPLE_QUALITY, SAMPLES, VARIANTS

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

# Raised where the same variants and parameters give other numbers.
RECIPE = "1"

# F of X of fewer variants than this scatters too much to tell a sex by.
MIN_VARIANTS_X = 100


@dataclass(frozen=True)
class Counting:
    """What a task has to know.

    Args:
        selection: variants for heterozygosity and sex.
        build: name of the reference build.
        is_male: whether each sample is stated to be male.
    """

    selection: Selection
    build: str
    is_male: tuple[bool, ...]


@dataclass(eq=False)
class SampleSums:
    """What is counted of the samples.

    Args:
        calls: of all records but those of Y.
        autosomes, x: of the variants chosen.
        n_haploid_x: haploid genotypes of X a person.
        dropped: variants of autosomes and X that were not chosen, by reason.
    """

    calls: CallCounts
    autosomes: HeterozygosityCounts
    x: HeterozygosityCounts
    n_haploid_x: Ints
    dropped: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, n_samples: int) -> SampleSums:
        """Nothing counted yet."""
        autosomes, x = HeterozygosityCounts.of(n_samples), HeterozygosityCounts.of(n_samples)
        return cls(CallCounts.of(n_samples), autosomes, x, np.zeros(n_samples, dtype=np.int64))

    def merge(self, other: SampleSums) -> None:
        """Add what was counted in other variants."""
        self.calls.merge(other.calls)
        self.autosomes.merge(other.autosomes)
        self.x.merge(other.x)
        self.n_haploid_x += other.n_haploid_x
        self.dropped.update(other.dropped)


def run(context: Context, params: SamplesQc) -> Report:
    """Count, unless the same was counted before."""
    callset = fetch_callset(context, params.callset)
    people = {row["sample_id"]: row for row in context.fetch(SAMPLES)}
    known = [people.get(sample, {}) for sample in callset.sample_ids]
    parameters = _parameters(params, callset, known)
    where = in_list("callset", [callset.name])
    rows = context.fetch(SAMPLE_QUALITY, where=where)
    if _is_fresh(rows, callset, parameters):
        return report_samples(rows, callset.name, Counter(), is_new=False)
    sums = _count(context, params, callset, known)
    if not sums.calls.n_variants:
        raise InputError(
            "Its files have no genotypes.", where=f"callset {callset.name}", mend="Load files with FORMAT GT."
        )
    rows = _make_rows(callset, known, sums, parameters)
    context.put(SAMPLE_QUALITY, rows, where)
    return report_samples(rows, callset.name, sums.dropped, is_new=True, n_haploid_x=sums.n_haploid_x)


def count_parts(parts: Sequence[TablePart], counting: Counting) -> SampleSums:
    """Count in some parts, in a task."""
    build, is_male = get_build(counting.build), np.array(counting.is_male)
    n_samples = counting.selection.n_callset
    sums = SampleSums.of(n_samples)
    for part in parts:
        contig = str(part.values["contig"])
        if build.canonical(contig) == build.canonical("Y"):
            continue
        is_x = build.canonical(contig) == build.canonical("X")
        for found in read_genotypes(part, n_samples, with_calls=is_x):
            sums.calls.add(found.dosages[found.is_record])
            if is_x:
                _count_x(found, counting.selection, build, is_male, sums)
            elif role_of(contig, 0, build) == "autosome":
                sums.autosomes.add(counting.selection.choose(found, sums.dropped).dosages)
    return sums


def _count_x(
    found: GenotypeRows, selection: Selection, build: ReferenceBuild, is_male: Flags, sums: SampleSums
) -> None:
    roles = [role_of(found.contig, start, build) == "x" for start in found.starts.tolist()]
    is_wanted = np.array(roles, dtype=bool)
    block, n_haploid = selection.choose_x(found, is_wanted, is_male, sums.dropped)
    sums.x.add(block.dosages, is_male)
    sums.n_haploid_x += n_haploid


def _count(
    context: Context, params: SamplesQc, callset: Callset, known: Sequence[Mapping[str, Any]]
) -> SampleSums:
    n_samples = len(callset.sample_ids)
    contigs = plan_contigs(context, callset.name, callset.build, asked=params.contig, ids=callset.load_ids)
    if {callset.build.canonical(contig) for contig in contigs} == {callset.build.canonical("Y")}:
        raise InputError(
            f"Its variants are all on {', '.join(contigs)}, which females have none of: that tells neither a call rate "
            "nor heterozygosity nor sex.",
            where=f"callset {callset.name}",
            mend=f"Leave --contig {params.contig[0]} away."
            if params.contig
            else "Load other contigs, X for the sex.",
        )
    parts = [part for of_contig in contigs.values() for part in of_contig]
    counting = Counting(
        Selection(n_samples, CommonRule(params.min_maf, params.max_missing)),
        callset.build.name,
        tuple(person.get("sex") == "male" for person in known),
    )
    n_rows = sum(part.n_rows for part in parts)
    with context.progress.step(f"counting {n_rows:,} alleles of {n_samples:,} people"):
        counted = map_parts(context, parts, n_samples, partial(count_parts, counting=counting))
    sums = SampleSums.of(n_samples)
    for one in counted:
        sums.merge(one)
    return sums


def _parameters(params: SamplesQc, callset: Callset, known: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What the rows depend on besides the loads."""
    stated = json.dumps([(person.get("sex"), person.get("superpopulation")) for person in known])
    contigs = {callset.build.canonical(contig) or contig for contig in params.contig}
    return {
        "recipe": RECIPE,
        "contigs": ",".join(sorted(contigs)) or "all",
        "min_maf": repr(params.min_maf),
        "max_missing": repr(params.max_missing),
        "people_digest": hashlib.sha256(stated.encode()).hexdigest()[:32],
    }


def _is_fresh(rows: Sequence[Mapping[str, Any]], callset: Callset, parameters: Mapping[str, str]) -> bool:
    return {row["sample_id"] for row in rows} == set(callset.sample_ids) and all(
        tuple(row["load_ids"]) == callset.load_ids and row["parameters"] == parameters for row in rows
    )


def _make_rows(
    callset: Callset, known: Sequence[Mapping[str, Any]], sums: SampleSums, parameters: Mapping[str, str]
) -> list[dict[str, Any]]:
    stated = [person.get("sex") for person in known]
    groups = [person.get("superpopulation") for person in known]
    n_people = len(known)
    inbreeding = sums.autosomes.f if sums.autosomes.n_variants else np.full(n_people, np.nan)
    on_x = sums.x.f if sums.x.n_variants else np.full(n_people, np.nan)
    inferred: Sequence[str | None] = [None] * n_people
    if sums.x.n_variants >= MIN_VARIANTS_X:
        inferred = infer_sexes(on_x)
    flags = flag_samples(sums.calls.call_rate, inbreeding, groups, stated, inferred)
    now = datetime.datetime.now(datetime.UTC)
    return [
        {
            "callset": callset.name,
            "sample_id": sample_id,
            "load_ids": list(callset.load_ids),
            "parameters": dict(parameters),
            "n_called": int(sums.calls.n_called[i]),
            "n_missing": int(sums.calls.n_variants - sums.calls.n_called[i]),
            "call_rate": float(sums.calls.call_rate[i]),
            "flags": flags[i],
            "n_hom": int(sums.autosomes.observed_hom[i]) if sums.autosomes.n_variants else None,
            "expected_hom": float(sums.autosomes.expected_hom[i]) if sums.autosomes.n_variants else None,
            "inbreeding": _number(inbreeding[i]),
            "inbreeding_x": _number(on_x[i]),
            "n_variants_x": int(sums.x.n_called[i]) if sums.x.n_variants else None,
            "sex_stated": stated[i],
            "sex_inferred": inferred[i],
            "computed_at": now,
        }
        for i, sample_id in enumerate(callset.sample_ids)
    ]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


CHECK_SAMPLES = Job(
    name="check_samples",
    summary="Tell from the genotypes of a callset each sample's call rate, heterozygosity and sex; flag what is amiss.",
    params=SamplesQc,
    reads=(LOADS, SAMPLES, CALLSET_SAMPLES, VARIANTS),
    writes=(SAMPLE_QUALITY,),
    run=run,
)
