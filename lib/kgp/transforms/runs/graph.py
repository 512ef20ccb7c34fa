"""Hears all sources of each run, and says whose it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kgp.transforms.runs.people import Identity, identify_person, is_cell_line
from kgp.transforms.runs.records import AUTHORITY, RunRecord

_FIELDS = ("lab", "batch", "replicate")


@dataclass(frozen=True)
class Run:
    """A run after all its sources were heard.

    Args:
        run_id: its accession or name.
        sample_id: the person; None where the sources name nobody, nobody known, or different people.
        problem: why nobody is named; None exactly where `sample_id` is set.
        person_text, lab, batch, replicate: of the source of highest authority that says them.
        evidence: every source that names the person, with the rule that its text was read by.
        aliases: all other names, by where they come from.
        combines: runs that the values were made from; empty for a single run.
        load_ids: loads that speak of it, ascending.
        is_disputed: whether sources name different people.
    """

    run_id: str
    sample_id: str | None
    problem: str | None
    person_text: str | None
    lab: str | None
    batch: str | None
    replicate: str | None
    evidence: str
    aliases: Mapping[str, tuple[str, ...]]
    combines: tuple[str, ...]
    load_ids: tuple[str, ...]
    is_disputed: bool = False


@dataclass(frozen=True)
class Difference:
    """A lab, batch or replicate that a source of less authority gives otherwise."""

    run_id: str
    field: str
    kept: str
    kept_from: str
    other: str
    other_from: str


def reconcile_runs(
    records: Iterable[RunRecord], people: Collection[str]
) -> tuple[tuple[Run, ...], tuple[Difference, ...]]:
    """Hear all sources of each run.

    Args:
        records: of one dataset, in any order.
        people: known people.

    Returns:
        the runs by id, and where labs, batches and replicates differ between sources: the word of the source of higher
        authority is kept.
    """
    by_run: dict[str, list[RunRecord]] = defaultdict(list)
    for record in records:
        by_run[record.run_id].append(record)
    known = frozenset(people)
    runs: dict[str, Run] = {}
    differences = []
    for run_id in sorted(by_run):
        ordered = sorted(by_run[run_id], key=_rank)
        runs[run_id] = _reconcile_one(run_id, ordered, known)
        differences += [d for name in _FIELDS for d in _find_differences(run_id, ordered, name)]
    return tuple(_follow_parts(run, runs) for run in runs.values()), tuple(differences)


def enumerate_some(parts: Sequence[str], most: int = 6) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(parts) - most} more" if len(parts) > most else ""
    return ", ".join(parts[:most]) + more


def _reconcile_one(run_id: str, records: Sequence[RunRecord], people: frozenset[str]) -> Run:
    claims = _read_claims(records, people)
    sample_ids = {identity.sample_id for _, _, identity in claims}
    problem, sample_id = None, None
    if not claims:
        problem = "no source says whose it is"
    elif len(sample_ids) == 1 and None not in sample_ids:
        (sample_id,) = sample_ids
    elif sample_ids == {None}:
        texts = sorted({text for _, text, _ in claims})
        problem = f"nobody is known as {enumerate_some([repr(text) for text in texts])}{_hint(texts)}"
    else:
        problem = f"sources differ: {enumerate_some([_describe(*claim) for claim in claims])}"
    return Run(
        run_id=run_id,
        sample_id=sample_id,
        problem=problem,
        person_text=next((r.person_text for r in records if r.person_text is not None), None),
        **{name: next((v for r in records if (v := getattr(r, name)) is not None), None) for name in _FIELDS},
        evidence=_evidence(records, claims),
        aliases=_merge_aliases(run_id, records),
        combines=next((r.combines for r in records if r.combines), ()),
        load_ids=tuple(sorted({r.load_id for r in records if r.load_id})),
        is_disputed=len(sample_ids) > 1,
    )


def _follow_parts(run: Run, runs: Mapping[str, Run]) -> Run:
    """A run that was made from others belongs to their person, as their lists have it by now."""
    if not run.combines:
        return run
    if gone := [part for part in run.combines if part not in runs]:
        problem = f"{enumerate_some(gone)}, which it was made from, is in no run list"
        return replace(run, sample_id=None, problem=problem)
    owners = {runs[part].sample_id for part in run.combines}
    if len(owners) == 1 and None not in owners:
        return replace(run, sample_id=owners.pop(), problem=None, is_disputed=False)
    whose = [f"{part} of {runs[part].sample_id or 'nobody'}" for part in run.combines]
    problem = f"it was made from runs of different people: {enumerate_some(whose)}"
    return replace(run, sample_id=None, problem=problem, is_disputed=len(owners) > 1)


def _read_claims(
    records: Sequence[RunRecord], people: frozenset[str]
) -> list[tuple[RunRecord, str, Identity]]:
    """(source, its text, who that is) of everybody who is named.

    A person that another source of the run names is known here: GM12878 beside NA12878 is no contradiction.
    """
    named = [(record, text) for record in records for text in record.person_texts]
    first = [identify_person(text, people).sample_id for _, text in named]
    known = people | {sample_id for sample_id in first if sample_id is not None}
    return [(record, text, identify_person(text, known)) for record, text in named]


def _hint(texts: Sequence[str]) -> str:
    if not any(is_cell_line(text) for text in texts):
        return ""
    return "; the DNA of a GM cell line is NA…, which is not among the known people"


def _describe(record: RunRecord, text: str, identity: Identity) -> str:
    who = identity.sample_id or f"{text!r} (nobody known)"
    where = f"{record.source}, " if record.source else ""
    return f"{who} by {where}{record.evidence}"


def _evidence(records: Sequence[RunRecord], claims: Sequence[tuple[RunRecord, str, Identity]]) -> str:
    if not claims:
        return "; ".join(dict.fromkeys(record.evidence for record in records))
    parts = [
        f"{record.evidence} ({identity.rule})" if identity.rule else record.evidence
        for record, _, identity in claims
    ]
    return "; ".join(dict.fromkeys(parts))


def _merge_aliases(run_id: str, records: Sequence[RunRecord]) -> dict[str, tuple[str, ...]]:
    merged: dict[str, dict[str, None]] = defaultdict(dict)
    for record in records:
        for kind, names in record.aliases.items():
            merged[kind].update(dict.fromkeys(name for name in names if name != run_id))
    return {kind: tuple(sorted(merged[kind])) for kind in sorted(merged) if merged[kind]}


def _find_differences(run_id: str, records: Sequence[RunRecord], name: str) -> list[Difference]:
    told = [(str(value), r) for r in records if (value := getattr(r, name)) is not None]
    if not told:
        return []
    kept, first = told[0]
    return [
        Difference(run_id, name, kept, first.source, value, record.source)
        for value, record in told[1:]
        if value != kept
    ]


def _rank(record: RunRecord) -> tuple[int, str, str]:
    return AUTHORITY.index(record.kind), record.source, record.load_id
