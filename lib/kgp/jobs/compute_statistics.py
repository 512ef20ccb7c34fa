"""`kgp stats`: allele statistics of groups of people, from the genotypes in `variants` into `allele_statistics`."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from kgp.errors import BuildError, InputError
from kgp.genome import get_build
from kgp.io.output import align
from kgp.io.parts import TARGET_ROWS, TablePart, read_part
from kgp.io.predicates import in_list
from kgp.io.sample_list import read_cohort
from kgp.io.tasks import SplitRows
from kgp.job import Context, Job, Report
from kgp.params import Stats
from kgp.tables import ALLELE_STATISTICS, CALLSET_SAMPLES, LOADS, SAMPLES, STATISTICS, VARIANTS
from kgp.transforms.cohorts import count_listed
from kgp.transforms.groups import CallsetPeople, Group, find_stale, loads_of, name_statistics
from kgp.transforms.statistics import SOURCE_COLUMNS, Membership, compute_statistics

FRESH, STALE, MISSING = "up to date", "stale", "not computed"

# A large callset gives large parts, so that a group does not fall into thousands of small files.
_MOST_ROWS = 250_000
_PARTS = 64


@dataclass(frozen=True)
class StatisticsPlan:
    """What there is and what there is to do.

    Args:
        build: reference build of the callset.
        n_callset: samples of the callset.
        n_alleles: rows of the callset in `variants`.
        load_ids: loads that they come from, ascending.
        asked: the groups that are asked for, and of each what its statistics are named by now.
        computed: group → its row of `statistics`, of all groups of the callset.
        stale: group → why its statistics are stale.
    """

    build: str
    n_callset: int
    n_alleles: int
    load_ids: tuple[str, ...]
    asked: Mapping[str, tuple[Group, str]]
    computed: Mapping[str, Mapping[str, Any]]
    stale: Mapping[str, str]

    def state(self, name: str) -> str:
        """How it stands with a group."""
        if name not in self.computed:
            return MISSING
        return f"{STALE}: {self.stale[name]}" if name in self.stale else FRESH

    @property
    def to_do(self) -> list[str]:
        """Groups that are asked for and not up to date."""
        return [name for name in self.asked if self.state(name) != FRESH]

    @property
    def stale_others(self) -> list[str]:
        """Stale groups that are not asked for."""
        return [name for name in self.stale if name not in self.asked]


def run(context: Context, params: Stats) -> Report:
    """Compute what is asked for and not there, and name it in the ledger last."""
    plan = _plan(context, params)
    if params.check:
        return _check(plan)
    if not plan.to_do:
        return _report(plan, False, f"{len(plan.asked)} groups are up to date, nothing to do")
    groups, ids = zip(*(plan.asked[name] for name in plan.to_do), strict=True)
    with context.progress.step(f"counting {plan.n_alleles:,} alleles in {len(groups)} groups"):
        n_variants = _write(context, plan, Membership(groups, ids, plan.n_callset), params.callset)
    _finish(context, plan, groups, ids, n_variants, params.callset)
    rows = {ALLELE_STATISTICS.name: n_variants * len(groups), STATISTICS.name: len(groups)}
    return _report(plan, True, f"{n_variants:,} alleles in {len(groups)} groups", rows=rows)


def _plan(context: Context, params: Stats) -> StatisticsPlan:
    loads, samples = context.fetch(LOADS), context.fetch(SAMPLES)
    places = context.fetch(CALLSET_SAMPLES, ["callset", "sample_index", "sample_id"])
    load_ids = loads_of(params.callset, loads)
    used = [row for row in loads if row["load_id"] in load_ids]
    if not used:
        there = sorted({row["subject"] for row in loads if row["target"] == VARIANTS.name})
        raise InputError(
            f"There is no callset {params.callset} in this lake.",
            where="--callset",
            mend=f"There are: {', '.join(there)}." if there else "Load it first: kgp load variants.",
        )
    builds = sorted({row["build"] for row in used})
    if len(builds) > 1:
        raise BuildError(f"Its loads lie in {' and '.join(builds)}.", where=f"callset {params.callset}")
    present = CallsetPeople.of_rows(params.callset, places, samples)
    rows = [row for row in context.fetch(STATISTICS) if row["callset"] == params.callset]
    reasons = find_stale(rows, loads, places, samples)
    asked = _asked(params, present, rows)
    return StatisticsPlan(
        builds[0],
        len(present.samples),
        sum(row["alleles_out"] for row in used),
        tuple(load_ids),
        {group.name: (group, name_statistics(params.callset, group, load_ids)) for group in asked},
        {row["group"]: row for row in rows},
        {row["group"]: reasons[row["statistics_id"]] for row in rows if row["statistics_id"] in reasons},
    )


def _asked(params: Stats, present: CallsetPeople, rows: Sequence[Mapping[str, Any]]) -> list[Group]:
    """The groups that the options name, or else those that are there and still have people."""
    if not params.by and not params.cohort and rows:
        there = [present.get_computed(row) for row in rows]
        return sorted((group for group in there if group is not None), key=lambda group: group.name)
    by = params.by or (() if params.cohort else ("superpopulation",))
    groups = [present.find_group(name) for name in present.name_groups(by, ())]
    return groups + [present.find_cohort(read_cohort(text)) for text in params.cohort]


def _write(context: Context, plan: StatisticsPlan, membership: Membership, callset: str) -> int:
    """Write the rows of all groups; returns how many a group has."""
    parts: Any = context.parts(
        VARIANTS,
        partitions={"callset": [callset]},
        ids=plan.load_ids,
        target_rows=min(max(plan.n_alleles // _PARTS, TARGET_ROWS), _MOST_ROWS),
    )
    if not parts:
        return 0
    function = partial(_compute_part, membership=membership, build=plan.build)
    n_rows = context.replace(ALLELE_STATISTICS, SplitRows(parts, function), membership.ids)
    # All groups have the same variants, and a variant's id begins with its contig: no more has to be compared.
    one_group = in_list("statistics_id", membership.ids[:1])
    for contig in sorted({part.values["contig"] for part in parts}):
        context.check_key(ALLELE_STATISTICS, f"{one_group} AND {in_list('contig', [contig])}")
    return n_rows // len(membership.ids)


def _compute_part(part: TablePart, *, membership: Membership, build: str) -> Iterator[pa.RecordBatch]:
    for batch in read_part(part, VARIANTS, SOURCE_COLUMNS):
        yield from compute_statistics(batch, membership, get_build(build))


def _finish(
    context: Context,
    plan: StatisticsPlan,
    groups: Sequence[Group],
    ids: Sequence[str],
    n_variants: int,
    callset: str,
) -> None:
    """Name the groups in the ledger, in the place of their older rows, which become debris."""
    now = datetime.datetime.now(datetime.UTC)
    rows = [
        {
            "statistics_id": statistics_id,
            "callset": callset,
            "group": group.name,
            "load_ids": list(plan.load_ids),
            "people_digest": group.digest,
            "sample_ids": list(group.sample_ids),
            "n_samples": len(group.sample_ids),
            "n_variants": n_variants,
            "seconds": context.seconds,
            "computed_at": now,
        }
        for group, statistics_id in zip(groups, ids, strict=True)
    ]
    older = [plan.computed[g.name]["statistics_id"] for g in groups if g.name in plan.computed]
    context.put(STATISTICS, rows, in_list("statistics_id", [*ids, *older]))
    context.remove_debris(older)


def _check(plan: StatisticsPlan) -> Report:
    names = sorted({*plan.asked, *plan.computed})
    n_fresh = sum(plan.state(name) == FRESH for name in names)
    report = _report(plan, False, f"{n_fresh} of {len(names)} groups are up to date")
    n_samples = {name: row["n_samples"] for name, row in plan.computed.items()}
    n_samples |= {name: len(group.sample_ids) for name, (group, _) in plan.asked.items()}
    rows = [(name, n_samples[name], plan.state(name)) for name in names]
    report.text = align(("group", "people", "state"), rows, max_width=200)
    return report


def _report(
    plan: StatisticsPlan, changed: bool, summary: str, *, rows: dict[str, int] | None = None
) -> Report:
    stale = {name: why for name, why in plan.stale.items() if not changed or name not in plan.asked}
    missing = [] if changed else [name for name in plan.asked if name not in plan.computed]
    notes = [
        f"stale: {name} ({plan.stale[name]}); kgp stats without --by renews all" for name in plan.stale_others
    ]
    notes += _count_absent(plan)
    return Report(
        "compute_statistics",
        changed,
        summary,
        rows=rows or {},
        notes=notes,
        details={"computed": plan.to_do if changed else [], "stale": stale, "missing": missing},
    )


def _count_absent(plan: StatisticsPlan) -> list[str]:
    """Lists of ids of which not everybody is in the callset."""
    notes = []
    for name, (group, _) in plan.asked.items():
        n_named = count_listed(name.removeprefix("cohort:"))
        if n_named is not None and n_named > len(group.sample_ids):
            notes.append(f"{name}: {len(group.sample_ids):,} of its {n_named:,} people are in the callset")
    return notes


COMPUTE_STATISTICS = Job(
    name="compute_statistics",
    summary="Count alleles in groups of people and test Hardy-Weinberg equilibrium.",
    params=Stats,
    reads=(LOADS, SAMPLES, CALLSET_SAMPLES, VARIANTS),
    writes=(ALLELE_STATISTICS, STATISTICS),
    run=run,
)
