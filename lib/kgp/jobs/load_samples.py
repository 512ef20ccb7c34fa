"""`kgp load samples`: what panels, pedigrees, IGSR's lists and sample lists say of people, reconciled into `samples`.

Each file is a load: its rows go to `sample_records` (those of a population list to `population_records`), and its row
in `loads` makes them valid. Only then, and each time, `samples` is made anew from all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from kgp.io.igsr import IGSR_SAMPLES, POPULATION_LIST, read_igsr_samples, read_populations
from kgp.io.output import align
from kgp.io.panel import PANEL, read_panel
from kgp.io.pedigree import PEDIGREE, read_pedigree
from kgp.io.people_text import People
from kgp.io.sample_list import SAMPLE_LIST, read_callset_list
from kgp.job import Context, Job, Report
from kgp.jobs.ledger import FileLoad, LoadCounts, finish_load, plan_load
from kgp.jobs.reconcile_people import PEOPLE_WRITES, PeopleReport, reconcile_people
from kgp.jobs.reconcile_runs import reconcile_all_runs
from kgp.params import LoadSamples
from kgp.tables import (
    CALLSET_SAMPLES,
    LOADS,
    POPULATION_RECORDS,
    RUN_ALIASES,
    RUN_RECORDS,
    RUNS,
    SAMPLE_RECORDS,
    SAMPLES,
)


@dataclass(frozen=True)
class _Source:
    """A file that was asked for.

    Args:
        subject: kind of file, as the ledger names it.
        url: where it lies.
        read: what reads it.
    """

    subject: str
    url: str
    read: Callable[[str], People]


def run(context: Context, params: LoadSamples) -> Report:
    """Load each file whole or not at all, then make the tables of people anew."""
    loads = [(plan_load(context, s.url, target=SAMPLES.name, subject=s.subject), s) for s in _sources(params)]
    to_do = {load.load_id: (load, source) for load, source in loads if not load.is_done}
    # All files are read before the first is written: one that is none leaves the lake as it was.
    files = []
    for load, source in to_do.values():
        with context.progress.step(f"reading {load.path}"):
            files.append((load, source.read(load.url)))
    rows: dict[str, int] = {}
    notes = []
    for load, found in files:
        table, n_rows = _write(context, load, found)
        rows[table] = rows.get(table, 0) + n_rows
        notes += [f"{load.path}: {n:,} x {what}" for what, n in found.warnings.items()]
    with context.progress.step("reconciling what the files say"):
        people = reconcile_people(context)
        rows |= reconcile_all_runs(context)  # a run may belong to somebody who is known only now
    return _report(people, rows, notes)


def _sources(params: LoadSamples) -> Iterator[_Source]:
    for url in params.panel:
        yield _Source(PANEL, url, read_panel)
    for url in params.pedigree:
        yield _Source(PEDIGREE, url, read_pedigree)
    for url in params.igsr_samples:
        yield _Source(IGSR_SAMPLES, url, read_igsr_samples)
    for url in params.populations:
        yield _Source(POPULATION_LIST, url, read_populations)
    for callset, url in params.sample_lists:
        yield _Source(f"{SAMPLE_LIST}:{callset}", url, partial(read_callset_list, callset=callset))


def _write(context: Context, load: FileLoad, found: People) -> tuple[str, int]:
    """Write a file's rows and then its row in the ledger; returns the table and the rows written."""
    if found.source_kind == POPULATION_LIST:
        table, marks = POPULATION_RECORDS, {"load_id": load.load_id}
    else:
        table, marks = SAMPLE_RECORDS, {"load_id": load.load_id, "source_kind": found.source_kind}
    context.put(table, [row | marks for row in found.rows], load.slice)
    context.check_key(table, load.slice)
    n_out = context.measure(table, load.slice, n="count(*)")["n"]
    counts = LoadCounts(found.n_lines, n_out, 0, n_out, found.warnings)
    reader, reason = load.identity.subject, f"{found.source_kind} by its header"
    finish_load(context, load, counts, reader=reader, reason=reason, seconds=context.seconds)
    return table.name, n_out


def _report(people: PeopleReport | None, rows: dict[str, int], notes: list[str]) -> Report:
    if people is None:
        return Report("load_samples", bool(rows), "no file of people is loaded yet", rows=rows, notes=notes)
    if not rows and not people.written:
        return Report("load_samples", False, "already loaded, nothing to do", notes=people.all_notes)
    n_people, n_by_source = people.n_people, people.n_by_source
    n_differences = sum(people.details["conflicts"].values())
    summary = f"{n_people:,} people from {len(n_by_source):,} files, {n_differences:,} differences"
    notes = notes + people.all_notes
    table = align(("file", "people"), n_by_source.items(), max_width=200)
    return Report(
        "load_samples",
        True,
        summary,
        rows=rows | people.written,
        details={"by_source": n_by_source, **people.details},
        notes=notes,
        text="\n".join([table, summary, *notes]),
    )


LOAD_SAMPLES = Job(
    name="load_samples",
    summary="Load who the people are: panels, pedigrees, sample lists into samples.",
    params=LoadSamples,
    reads=(CALLSET_SAMPLES, RUN_RECORDS),
    writes=(SAMPLE_RECORDS, POPULATION_RECORDS, *PEOPLE_WRITES, RUNS, RUN_ALIASES, LOADS),
    run=run,
)
