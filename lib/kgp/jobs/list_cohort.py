"""`kgp samples cohort`: the people whom an expression names, without relatives or with them. Reads only."""

from __future__ import annotations

from typing import Any

from kgp.amounts import name_first
from kgp.errors import InputError
from kgp.io.output import align
from kgp.io.sample_list import read_cohort
from kgp.job import Context, Job, Report
from kgp.params import SamplesCohort
from kgp.tables import CALLSET_SAMPLES, SAMPLES
from kgp.transforms.families import drop_related

_COLUMNS = ("sample_id", "sex", "population", "superpopulation", "callsets")
N_NAMES = 10


def run(context: Context, params: SamplesCohort) -> Report:
    """Select the people, and leave out relatives where that is asked for."""
    people, present, notes = fetch_people(context, params.callset)
    cohort = read_cohort(params.cohort)
    named = cohort.select(people.values())
    chosen = named & present
    dropped = {} if params.related == "keep" else drop_related(chosen, people)
    kept = sorted(chosen - dropped.keys())
    where = "" if params.callset is None else f" of callset {params.callset}"
    summary = f"{len(kept):,} people{where} in {cohort.name}"
    if dropped:
        summary += f", {len(dropped):,} relatives of theirs left out"
    if absent := sorted(named - chosen):
        notes = [
            f"{len(absent):,} people of {cohort.name} are not in it: {name_first(absent, N_NAMES)}",
            *notes,
        ]
    rows = [{name: people[sample_id][name] for name in _COLUMNS} for sample_id in kept]
    shown = [
        [*("-" if row[c] is None else row[c] for c in _COLUMNS[:-1]), " ".join(row["callsets"])]
        for row in rows
    ]
    text = [align(_COLUMNS, shown)]
    if dropped:
        text.append(align(("left out", "why"), sorted(dropped.items())))
    return Report(
        "list_cohort",
        False,
        summary,
        details={"n_people": len(kept), "people": rows, "dropped": dropped, "absent": absent},
        notes=notes,
        text="\n".join([*text, summary, *notes]),
    )


def fetch_people(
    context: Context, callset: str | None
) -> tuple[dict[str, dict[str, Any]], set[str], list[str]]:
    """Everybody of whom a file speaks, those who are there, and what a person should know of the others.

    Args:
        context: of a job that reads `samples` and `callset_samples`.
        callset: only its people are there; None for everybody.

    Returns:
        sample_id → row of `samples`; ids of the people who are there; notes.

    Raises:
        InputError: nobody is known yet, or there is no such callset.
    """
    people = {row["sample_id"]: row for row in context.fetch(SAMPLES)}
    if not people:
        raise InputError(
            "Nobody is known in this lake.",
            where="samples",
            mend="Load who the people are: kgp load samples --panel URL",
        )
    if callset is None:
        return people, set(people), []
    places = context.fetch(CALLSET_SAMPLES, ["callset", "sample_id"])
    members = {row["sample_id"] for row in places if row["callset"] == callset}
    # What only a sample list says of a callset counts where the callset itself is not loaded.
    members = members or {name for name, row in people.items() if callset in row["callsets"]}
    if not members:
        there = sorted({name for row in people.values() for name in row["callsets"]})
        raise InputError(
            f"There is no callset {callset} in this lake.",
            where="--callset",
            mend=f"There are: {', '.join(there)}." if there else "Load it first: kgp load variants.",
        )
    strangers = sorted(members - people.keys())
    notes = []
    if strangers:
        notes.append(
            f"{len(strangers):,} people of callset {callset} are in no file of people: {name_first(strangers, N_NAMES)}"
        )
    return people, members, notes


LIST_COHORT = Job(
    name="list_cohort",
    summary="List the people whom a cohort expression names, without relatives of each other or with them.",
    params=SamplesCohort,
    reads=(SAMPLES, CALLSET_SAMPLES),
    writes=(),
    run=run,
)
