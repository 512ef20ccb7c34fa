"""Run lists into `run_records`, and `runs` and `run_aliases` anew from all records that are valid.

`runs` and `run_aliases` of a dataset are always what the valid records and the people that are known by now say: the
order in which files are loaded does not matter, a file that is superseded leaves nothing, and a run that was cut off
between its commits is completed by the next one.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kgp.errors import InputError
from kgp.io.predicates import in_list
from kgp.io.run_lists import read_run_list
from kgp.job import Context
from kgp.jobs.ledger import FileLoad, LoadCounts, finish_load, plan_load
from kgp.sources.datasets import find_dataset
from kgp.table import Table
from kgp.tables import CALLSET_SAMPLES, LOADS, RUN_ALIASES, RUN_RECORDS, RUNS, SAMPLES
from kgp.transforms import runs as graph
from kgp.transforms.runs import AUTHORITY, MATRIX, Difference, Run, RunRecord

_KINDS = frozenset(AUTHORITY) - {MATRIX}


@dataclass(frozen=True)
class RunListLoads:
    """What loading run lists did.

    Args:
        loaded: place of each file that was read → its runs.
        done: places of files that were loaded before.
        warnings: place → what was odd but read, or passed over, and how often.
    """

    loaded: Mapping[str, int]
    done: tuple[str, ...]
    warnings: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class RunsSummary:
    """The runs of a dataset as they stand now.

    Args:
        runs: all of them.
        differences: labs, batches and replicates that sources give differently.
        not_known: people of runs who are not among those that the lake knows.
        n_known: people that the lake knows.
        written: table → rows, of the tables that were not yet so.
    """

    runs: tuple[Run, ...]
    differences: tuple[Difference, ...]
    not_known: tuple[str, ...]
    n_known: int
    written: Mapping[str, int] = field(default_factory=dict)

    @property
    def people(self) -> tuple[str, ...]:
        """People with a run."""
        return tuple(sorted({run.sample_id for run in self.runs if run.sample_id is not None}))

    @property
    def of_nobody(self) -> dict[str, str]:
        """Run → problem, where no source names somebody known."""
        return {
            run.run_id: run.problem for run in self.runs if run.problem is not None and not run.is_disputed
        }

    @property
    def disputed(self) -> dict[str, str]:
        """Run → problem, where sources name different people."""
        return {run.run_id: run.problem for run in self.runs if run.problem is not None and run.is_disputed}

    @property
    def of_several_runs(self) -> dict[str, int]:
        """Person → runs, where there are several; runs that were made from others are not counted."""
        counts = Counter(run.sample_id for run in self.runs if run.sample_id is not None and not run.combines)
        return {sample_id: n for sample_id, n in sorted(counts.items()) if sample_id and n > 1}


def load_run_lists(context: Context, dataset: str, urls: Sequence[str]) -> RunListLoads:
    """Read the run lists that are not loaded yet into `run_records`.

    Raises:
        FormatError: one is no run list, or damaged; none is loaded then.
        InputError: a file can't be read, or two have the same content.
    """
    descriptor = find_dataset(dataset)
    # Another descriptor reads the same file to other records.
    recipe = hashlib.sha256(repr(descriptor).encode()).hexdigest()[:16]
    plans = [plan_load(context, url, target=RUN_RECORDS.name, subject=dataset, recipe=recipe) for url in urls]
    _refuse_twice(plans)
    lists = [(plan, read_run_list(plan.url, descriptor)) for plan in plans if not plan.is_done]
    for plan, found in lists:
        rows = [as_row(record, dataset, plan.load_id) for record in found.records]
        n_rows = context.put(RUN_RECORDS, rows, plan.slice)
        n_used = sum(record.n_rows for record in found.records)
        counts = LoadCounts(found.n_rows, n_used, 0, n_rows, found.warnings)
        finish_load(
            context, plan, counts, reader=found.kind, reason="by its first lines", seconds=context.seconds
        )
    return RunListLoads(
        {plan.path: len(found.records) for plan, found in lists},
        tuple(plan.path for plan in plans if plan.is_done),
        {plan.path: found.warnings for plan, found in lists if found.warnings},
    )


def as_row(record: RunRecord, dataset: str, load_id: str) -> dict[str, Any]:
    """The row of `run_records` that holds a record."""
    return {
        "load_id": load_id,
        "dataset": dataset,
        "run_id": record.run_id,
        "evidence": record.evidence,
        "aliases": {kind: list(names) for kind, names in record.aliases.items()},
        "person_text": record.person_text,
        "lab": record.lab,
        "batch": record.batch,
        "replicate": record.replicate,
        "combines": list(record.combines) or None,
    }


def fetch_records(context: Context, dataset: str) -> tuple[RunRecord, ...]:
    """What all valid loads of a dataset say of its runs: run lists, and matrices of runs that no list has."""
    loads = {row["load_id"]: row for row in context.fetch(LOADS) if row["subject"] == dataset}
    rows = context.fetch(RUN_RECORDS, where=in_list("dataset", [dataset]))
    return tuple(_as_record(row, loads[row["load_id"]]) for row in rows if row["load_id"] in loads)


def fetch_people(context: Context) -> frozenset[str]:
    """Everybody whom the lake knows: people, and samples of callsets."""
    tables = (SAMPLES, CALLSET_SAMPLES)
    return frozenset(row["sample_id"] for table in tables for row in context.fetch(table, ["sample_id"]))


def reconcile_all_runs(context: Context) -> dict[str, int]:
    """`reconcile_runs` of every dataset that there is; table → rows, of the tables that were not yet so."""
    written: dict[str, int] = {}
    for dataset in sorted({row["dataset"] for row in context.fetch(RUN_RECORDS, ["dataset"])}):
        for name, n_rows in reconcile_runs(context, dataset).written.items():
            written[name] = written.get(name, 0) + n_rows
    return written


def reconcile_runs(context: Context, dataset: str) -> RunsSummary:
    """Make `runs` and `run_aliases` of a dataset anew, and write those that are not yet so, each in one commit."""
    people = fetch_people(context)
    runs, differences = graph.reconcile_runs(fetch_records(context, dataset), people)
    run_rows = [_run_row(run, dataset) for run in runs]
    alias_rows = [
        {
            "dataset": dataset,
            "alias": name,
            "alias_kind": kind,
            "run_id": run.run_id,
            "sample_id": run.sample_id,
        }
        for run in runs
        for kind, names in run.aliases.items()
        for name in names
    ]
    written = {}
    for table, rows in ((RUNS, run_rows), (RUN_ALIASES, alias_rows)):
        if _differ(table, context.fetch(table, where=in_list("dataset", [dataset])), rows):
            written[table.name] = context.put(table, rows, in_list("dataset", [dataset]))
    named = {run.sample_id for run in runs if run.sample_id is not None}
    return RunsSummary(runs, differences, tuple(sorted(named - people)), len(people), written)


def _run_row(run: Run, dataset: str) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "run_id": run.run_id,
        "evidence": run.evidence,
        "load_ids": list(run.load_ids),
        "sample_id": run.sample_id,
        "person_text": run.person_text,
        "problem": run.problem,
        "lab": run.lab,
        "batch": run.batch,
        "replicate": run.replicate,
        "combines": list(run.combines) or None,
    }


def _as_record(row: Mapping[str, Any], load: Mapping[str, Any]) -> RunRecord:
    is_list = load["target"] == RUN_RECORDS.name and load["reader"] in _KINDS
    return RunRecord(
        run_id=row["run_id"],
        person_text=row["person_text"],
        evidence=row["evidence"],
        lab=row["lab"],
        batch=row["batch"],
        replicate=row["replicate"],
        aliases={kind: tuple(names) for kind, names in row["aliases"].items()},
        combines=tuple(row["combines"] or ()),
        kind=load["reader"] if is_list else MATRIX,
        source=os.path.basename(load["path"]),
        load_id=row["load_id"],
    )


def _differ(table: Table, there: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> bool:
    def keyed(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
        return {tuple(row[name] for name in table.key): dict(row) for row in rows}

    return len(there) != len(wanted) or keyed(there) != keyed(wanted)


def _refuse_twice(plans: Sequence[FileLoad]) -> None:
    """Two files of one content would claim the same load."""
    seen: dict[str, str] = {}
    for plan in plans:
        if plan.load_id in seen:
            raise InputError(
                f"It has the same content as {seen[plan.load_id]}.",
                where=plan.path,
                mend="Give each list once.",
            )
        seen[plan.load_id] = plan.path
