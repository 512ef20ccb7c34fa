"""Makes `samples`, `sample_conflicts` and `populations` anew from what all valid files say.

It is done as a whole, on the driver, and written only where it differs from what is there: a file that superseded
another leaves nothing behind, files may come in any order, and what a run that was cut off did not write, the next one
writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgp.amounts import name_first
from kgp.io.sample_list import SAMPLE_LIST
from kgp.job import Context
from kgp.table import Table
from kgp.tables import (
    CALLSET_SAMPLES,
    LOADS,
    POPULATION_RECORDS,
    POPULATIONS,
    SAMPLE_CONFLICTS,
    SAMPLE_RECORDS,
    SAMPLES,
)
from kgp.transforms.reconcile import Reconciled, reconcile

# A job that reconciles declares them.
PEOPLE_READS: tuple[Table, ...] = (SAMPLE_RECORDS, POPULATION_RECORDS, CALLSET_SAMPLES, LOADS)
PEOPLE_WRITES: tuple[Table, ...] = (SAMPLES, SAMPLE_CONFLICTS, POPULATIONS)

# Another job may load a file between the look at the lake and the commit: whoever commits looks once more.
_MOST_LOOKS = 5


@dataclass(frozen=True)
class PeopleReport:
    """What became of the people.

    Args:
        written: table → rows, of the tables that were written.
        n_people: rows of `samples`.
        n_by_source: path → people of whom that file speaks.
        notes: differences between the sources, with the first few names.
        notes_on_strangers: people of callsets of whom no file speaks, likewise.
        details: the same figures for JSON.
    """

    written: dict[str, int]
    n_people: int
    n_by_source: dict[str, int]
    notes: list[str]
    notes_on_strangers: list[str]
    details: dict[str, Any]

    @property
    def all_notes(self) -> list[str]:
        """Both kinds of notes."""
        return self.notes + self.notes_on_strangers


def reconcile_people(context: Context) -> PeopleReport | None:
    """Bring the tables of people up to date with the valid loads; None where no file of people was loaded.

    The job must declare `PEOPLE_READS` and `PEOPLE_WRITES`. It takes no Spark.
    """
    written: dict[str, int] = {}
    for _ in range(_MOST_LOOKS):
        paths = {row["load_id"]: row["path"] for row in context.fetch(LOADS, ["load_id", "path"])}
        records, members, lists = (
            [row for row in context.fetch(table) if row["load_id"] in paths]
            for table in (SAMPLE_RECORDS, CALLSET_SAMPLES, POPULATION_RECORDS)
        )
        if not records:
            return None
        found = reconcile(records, members, lists, paths)
        now = _write(context, found)
        written |= now
        if not now:
            break
    return _report(found, records, members, paths, written)


def _write(context: Context, found: Reconciled) -> dict[str, int]:
    written = {}
    for table, rows in (
        (SAMPLE_CONFLICTS, found.conflicts),
        (POPULATIONS, found.populations),
        (SAMPLES, found.samples),
    ):
        whole = [{name: row.get(name) for name in table.columns} for row in rows]
        if context.version(table) is None or _sorted(context.fetch(table), table) != _sorted(whole, table):
            written[table.name] = context.put(table, whole, None)
    return written


def _sorted(rows: Iterable[Mapping[str, Any]], table: Table) -> list[Mapping[str, Any]]:
    return sorted(rows, key=lambda row: [row[name] for name in table.key])


def _report(
    found: Reconciled,
    records: Sequence[Mapping[str, Any]],
    members: Sequence[Mapping[str, Any]],
    paths: Mapping[str, str],
    written: dict[str, int],
) -> PeopleReport:
    n_by_source = Counter(paths[record["load_id"]] for record in records)
    by_field: dict[str, list[str]] = {}
    for conflict in found.conflicts:
        if conflict["sample_id"] not in found.strangers:
            by_field.setdefault(conflict["field"], []).append(conflict["sample_id"])
    notes = [
        f"{len(names):,} differences in {name} ({_first(names)}): SELECT * FROM sample_conflicts"
        for name, names in sorted(by_field.items())
    ]
    n, names = len(found.strangers), _first(found.strangers)
    strangers = [f"{n:,} people of callsets are in no file of people ({names})"] if n else []
    notes += _find_only_listed(records) + _compare_lists(records, members)
    details = {
        "conflicts": {name: len(names) for name, names in sorted(by_field.items())},
        "unknown_callset_members": len(found.strangers),
    }
    return PeopleReport(
        written, len(found.samples), dict(sorted(n_by_source.items())), notes, strangers, details
    )


def _find_only_listed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """People of whom nothing is known but that a sample list names them."""
    described = {record["sample_id"] for record in records if record["source_kind"] != SAMPLE_LIST}
    names = sorted({record["sample_id"] for record in records} - described)
    return [f"{len(names):,} people are in sample lists only ({_first(names)})"] if names else []


def _compare_lists(records: Sequence[Mapping[str, Any]], members: Sequence[Mapping[str, Any]]) -> list[str]:
    """What sample lists and loaded callsets differ in; `samples` counts both."""
    listed: dict[str, set[str]] = {}
    for record in records:
        for callset in record["callsets"] or ():
            listed.setdefault(callset, set()).add(record["sample_id"])
    loaded: dict[str, set[str]] = {}
    for row in members:
        loaded.setdefault(row["callset"], set()).add(row["sample_id"])
    notes = []
    for callset in sorted(listed.keys() & loaded.keys()):
        missing = sorted(listed[callset] - loaded[callset])
        extra = sorted(loaded[callset] - listed[callset])
        if missing:
            notes.append(
                f"callset {callset}: {len(missing):,} people of its sample list are not in what is loaded "
                f"({_first(missing)})"
            )
        if extra:
            notes.append(
                f"callset {callset}: {len(extra):,} people who are loaded are not in its sample list "
                f"({_first(extra)})"
            )
    return notes


def _first(names: Sequence[str]) -> str:
    return name_first(list(dict.fromkeys(names)))
