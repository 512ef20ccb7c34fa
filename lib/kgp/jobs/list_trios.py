"""`kgp samples trios`: children with the parents who are named, and which of the three are there. Reads only."""

from __future__ import annotations

from collections import Counter

from kgp.amounts import name_first
from kgp.io.output import align
from kgp.io.sample_list import read_cohort
from kgp.job import Context, Job, Report
from kgp.jobs.list_cohort import N_NAMES, fetch_people
from kgp.params import SamplesTrios
from kgp.tables import CALLSET_SAMPLES, SAMPLES
from kgp.transforms.families import Status, find_trios

_COLUMNS = ("child", "father", "mother", "population", "status", "outside")
_SAID: dict[Status, str] = {
    "complete": "complete",
    "partial": "with one parent there",
    "outside": "with no parent there",
}


def run(context: Context, params: SamplesTrios) -> Report:
    """Find the trios of the cohort's children among the people who are there."""
    people, present, notes = fetch_people(context, params.callset)
    children = read_cohort(params.cohort).select(people.values())
    trios = [trio for trio in find_trios(people, present) if trio.child in children]
    counts = Counter(trio.status for trio in trios)
    outside = sorted({parent for trio in trios for parent in trio.outside})
    where = "samples" if params.callset is None else f"callset {params.callset}"
    summary = f"{len(trios):,} children with named parents in {where}: " + ", ".join(
        f"{counts[status]:,} {words}" for status, words in _SAID.items()
    )
    if outside:
        notes = [f"{len(outside):,} parents are not in {where}: {name_first(outside, N_NAMES)}", *notes]
    rows = [
        {
            "child": trio.child,
            "father": trio.father,
            "mother": trio.mother,
            "population": people[trio.child]["population"],
            "status": trio.status,
            "outside": list(trio.outside),
        }
        for trio in trios
    ]
    shown = [
        [*("-" if row[c] is None else row[c] for c in _COLUMNS[:-1]), " ".join(row["outside"])]
        for row in rows
    ]
    return Report(
        "list_trios",
        False,
        summary,
        details={"counts": {status: counts[status] for status in _SAID}, "outside": outside, "trios": rows},
        notes=notes,
        text="\n".join([align(_COLUMNS, shown), summary, *notes]),
    )


LIST_TRIOS = Job(
    name="list_trios",
    summary="List children and parents, complete and partial, and the parents who are not in the set.",
    params=SamplesTrios,
    reads=(SAMPLES, CALLSET_SAMPLES),
    writes=(),
    run=run,
)
