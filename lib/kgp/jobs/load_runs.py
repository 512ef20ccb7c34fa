"""`kgp load runs`: which run or array belongs to whom, into `run_records`, `runs` and `run_aliases`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kgp.job import Context, Job, Report
from kgp.jobs.reconcile_runs import RunListLoads, RunsSummary, load_run_lists, reconcile_runs
from kgp.params import LoadRuns
from kgp.tables import CALLSET_SAMPLES, LOADS, RUN_ALIASES, RUN_RECORDS, RUNS, SAMPLES

_SHOWN = 5


def run(context: Context, params: LoadRuns) -> Report:
    """Read the lists that are new, then say of each run whose it is by all that is known."""
    with context.progress.step(f"reading {len(params.file)} run lists of {params.dataset}"):
        loads = load_run_lists(context, params.dataset, params.file)
    with context.progress.step("saying whose each run is"):
        found = reconcile_runs(context, params.dataset)
    changed = bool(loads.loaded or found.written)
    rows = {RUN_RECORDS.name: sum(loads.loaded.values()), **found.written} if changed else {}
    summary = (
        _summary(params.dataset, found) if changed else f"{params.dataset} is already loaded, nothing to do"
    )
    notes = _notes(loads, found)
    return Report(
        "load_runs",
        changed,
        summary,
        rows=rows,
        details=_details(loads, found),
        notes=notes,
        text=_text(summary, found, notes),
    )


def _text(summary: str, found: RunsSummary, notes: Sequence[str]) -> str:
    """What a terminal shows: how many of each; the report as JSON lists them all."""
    counts = {
        "runs": len(found.runs),
        "people": len(found.people),
        "people with several runs": len(found.of_several_runs),
        "runs of nobody": len(found.of_nobody),
        "runs that sources give to different people": len(found.disputed),
        "people not among the known": len(found.not_known),
        "other words for a lab, batch or replicate": len(found.differences),
    }
    width = max(map(len, counts))
    lines = [f"load_runs: {summary}", *(f"  {name:<{width}}  {n:>7,}" for name, n in counts.items())]
    return "\n".join([*lines, *(f"  note: {note}" for note in notes)])


def _summary(dataset: str, found: RunsSummary) -> str:
    n_lost = len(found.of_nobody) + len(found.disputed)
    lost = f", {n_lost:,} of nobody" if n_lost else ""
    return f"{len(found.runs):,} runs of {len(found.people):,} people of {dataset}{lost}"


def _notes(loads: RunListLoads, found: RunsSummary) -> list[str]:
    notes = [
        f"{path}: {n} x {what}" for path, warnings in loads.warnings.items() for what, n in warnings.items()
    ]
    if found.disputed:
        run_id, problem = next(iter(found.disputed.items()))
        notes.append(f"{len(found.disputed)} runs that sources give to different people: {run_id}: {problem}")
    if found.of_nobody:
        notes.append(f"{len(found.of_nobody)} runs of nobody: {_some(found.of_nobody)}")
    if found.of_several_runs:
        notes.append(f"{len(found.of_several_runs)} people have several runs: {_some(found.of_several_runs)}")
    if found.n_known == 0 and found.runs:
        notes.append("no people are known yet: kgp load samples brings who they are")
    elif found.not_known:
        notes.append(
            f"{len(found.not_known)} people of runs are not among the known people: {_some(found.not_known)}"
        )
    if found.differences:
        first = found.differences[0]
        notes.append(
            f"{len(found.differences)} times sources differ in lab, batch or replicate: {first.run_id} has "
            f"{first.field} {first.kept} in {first.kept_from} and {first.other} in {first.other_from}"
        )
    return notes


def _details(loads: RunListLoads, found: RunsSummary) -> dict[str, Any]:
    return {
        "runs": len(found.runs),
        "people": len(found.people),
        "people_with_several_runs": dict(found.of_several_runs),
        "runs_of_nobody": dict(found.of_nobody),
        "runs_disputed": dict(found.disputed),
        "not_among_known_people": list(found.not_known),
        "differences": [
            {"run": d.run_id, "field": d.field, d.kept_from: d.kept, d.other_from: d.other}
            for d in found.differences
        ],
        "loaded": dict(loads.loaded),
        "already_loaded": list(loads.done),
        "warnings": {path: dict(warnings) for path, warnings in loads.warnings.items()},
    }


def _some(names: Mapping[str, object] | Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_SHOWN]) + (" …" if len(listed) > _SHOWN else "")


LOAD_RUNS = Job(
    name="load_runs",
    summary="Load which run or array belongs to whom, with all its names.",
    params=LoadRuns,
    reads=(SAMPLES, CALLSET_SAMPLES),
    writes=(RUN_RECORDS, RUNS, RUN_ALIASES, LOADS),
    run=run,
)
