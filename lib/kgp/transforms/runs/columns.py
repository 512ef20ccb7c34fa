"""Says of each column of a matrix which run it is, and whose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kgp.transforms.runs.graph import Run, enumerate_some, reconcile_runs
from kgp.transforms.runs.people import identify_person
from kgp.transforms.runs.records import MATRIX, SEVERAL, RunRecord


@dataclass(frozen=True)
class ColumnRun:
    """What a column of a matrix is.

    Args:
        column: its name.
        run_id: the run.
        sample_id: the person; None where nobody is.
        problem: why nobody is; None exactly where `sample_id` is set.
        record: for a run that no run list has (made from several runs, or a person's without a list, or unknown): what
            the matrix says of it; else None.
    """

    column: str
    run_id: str
    sample_id: str | None
    problem: str | None
    record: RunRecord | None = None

    @property
    def is_new(self) -> bool:
        """Whether the run needs a record of its own."""
        return self.record is not None


def resolve_columns(
    columns: Sequence[str], records: Iterable[RunRecord], people: Collection[str]
) -> list[ColumnRun]:
    """Say of each column of a matrix which run it is, and whose.

    A column is the run of that id; or the run that has it as an alias; or, where several runs of one person have that
    alias or the column is that person's id, a run of its own made from them. Runs of several people leave it without a
    person. Where there is no run list at all, a column named like a known person is that person's.

    Args:
        columns: as the matrix spells them.
        records: what the run lists of the dataset say; records that matrices made are passed over.
        people: known people.

    Returns:
        one a column, in order.
    """
    listed = [record for record in records if record.kind != MATRIX]
    known = frozenset(people)
    runs = {run.run_id: run for run in reconcile_runs(listed, known)[0]}
    by_alias: dict[str, dict[str, str]] = defaultdict(dict)
    by_person: dict[str, list[str]] = defaultdict(list)
    for run in runs.values():
        for kind, names in run.aliases.items():
            for name in names:
                by_alias[name].setdefault(run.run_id, kind)
        if run.sample_id is not None:
            by_person[run.sample_id].append(run.run_id)
    named = known | by_person.keys()
    return [_resolve(column, runs, by_alias, by_person, known, named) for column in columns]


def _resolve(
    column: str,
    runs: Mapping[str, Run],
    by_alias: Mapping[str, Mapping[str, str]],
    by_person: Mapping[str, Sequence[str]],
    people: Collection[str],
    named: Collection[str],
) -> ColumnRun:
    """What a column is, by the runs, their aliases, the runs of each person, the known and all named people."""
    found = by_alias.get(column, {})
    by = " and ".join(sorted({*found.values()}))
    if column in runs:
        others = [runs[run_id] for run_id in found if runs[run_id].sample_id != runs[column].sample_id]
        if others:
            return _of_runs(column, [runs[column], *others], f"run id and {by}")
        return ColumnRun(column, column, runs[column].sample_id, runs[column].problem)
    if found:
        return _of_runs(column, [runs[run_id] for run_id in found], by)
    identity = identify_person(column, named)
    if identity.sample_id in by_person:
        assert identity.sample_id is not None
        if (named_so := by_alias.get(identity.sample_id)) is not None:  # as its id itself would be read
            by = " and ".join(sorted({*named_so.values()}))
            return _of_runs(column, [runs[run_id] for run_id in named_so], by)
        return _of_runs(column, [runs[run_id] for run_id in by_person[identity.sample_id]], "the person's id")
    if runs:
        who = identity.sample_id or "that name"
        return _unknown(column, f"no run list knows a run of {who}")
    if identity.sample_id in people:
        evidence = "matrix column, named like the person" + (f" ({identity.rule})" if identity.rule else "")
        record = RunRecord(column, column, evidence, kind=MATRIX)
        return ColumnRun(column, column, identity.sample_id, None, record)
    return _unknown(column, "there is no run list, and no known person is named like it")


def _of_runs(column: str, runs: Sequence[Run], by: str) -> ColumnRun:
    """A column that is a name of these runs."""
    if len(runs) == 1:
        return ColumnRun(column, runs[0].run_id, runs[0].sample_id, runs[0].problem)
    names = tuple(sorted(run.run_id for run in runs))
    owners = {run.sample_id for run in runs}
    if len(owners) == 1 and None not in owners:
        (sample_id,) = owners
        record = RunRecord(
            column,
            sample_id,
            f"matrix column, made from runs of one person by {by}",
            lab=_shared(run.lab for run in runs),
            batch=_shared(run.batch for run in runs),
            combines=names,
            kind=MATRIX,
        )
        return ColumnRun(column, column, sample_id, None, record)
    whose = [f"{run.run_id} of {run.sample_id or 'nobody'}" for run in sorted(runs, key=lambda r: r.run_id)]
    problem = f"its name is that of {len(runs)} runs by {by}: {enumerate_some(whose)}"
    texts = SEVERAL.join(sorted(owner for owner in owners if owner is not None)) or None
    record = RunRecord(column, texts, f"matrix column, by {by}", combines=names, kind=MATRIX)
    return ColumnRun(column, column, None, problem, record)


def _unknown(column: str, problem: str) -> ColumnRun:
    return ColumnRun(column, column, None, problem, RunRecord(column, None, "matrix column", kind=MATRIX))


def _shared(values: Iterable[str | None]) -> str | None:
    """The value that all have, or None."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None
