"""What the files say of people, reconciled into one row a person. Pure functions.

A source of higher authority is believed; what others say beyond it is added; where they say something else, the
difference is a row of `sample_conflicts`. Files of the same kind go by their paths, so nothing depends on the order in
which files were loaded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgp.transforms.people import SUPERPOPULATION_OF, Row, describe_populations
from kgp.transforms.relationships import normalise_relationship

# The panel is what the phase 3 calls were made with; the pedigree of the 3,202 is the corrected and latest one.
AUTHORITY = ("panel", "pedigree_3202", "pedigree", "igsr_samples", "sample_list")

THE_26 = "the 26 populations of phase 3"

_LISTS = ("siblings", "second_order", "third_order")
# Remarks and callsets are not compared: they add up.
_FIELDS = (
    "sex", "population", "superpopulation", "family_id", "father_id", "mother_id", "relationship_text", *_LISTS,
)  # fmt: skip


@dataclass(frozen=True)
class Reconciled:
    """What all valid files together say.

    Args:
        samples, conflicts, populations: rows of `samples`, `sample_conflicts` and `populations`, by their keys.
        strangers: people of callsets of whom no file speaks.
    """

    samples: list[dict[str, Any]]
    conflicts: list[dict[str, Any]]
    populations: list[dict[str, Any]]
    strangers: list[str]


@dataclass(frozen=True)
class _Kept:
    """A person's row, and of each field the file that it is from."""

    row: dict[str, Any]
    origins: dict[str, str]


def reconcile(
    records: Iterable[Row],
    callset_samples: Iterable[Row],
    population_records: Iterable[Row],
    paths: Mapping[str, str],
) -> Reconciled:
    """One row a person of whom a file speaks; what differs, and what can't be, as conflicts.

    Args:
        records: valid rows of `sample_records`.
        callset_samples: valid rows of `callset_samples`.
        population_records: what population lists say, with their load ids.
        paths: load id → path of the file, of all these loads.
    """
    claims: dict[str, list[Row]] = defaultdict(list)
    for record in records:
        claims[record["sample_id"]].append(_complete(record))
    members: dict[str, dict[str, str]] = defaultdict(dict)
    for row in callset_samples:
        members[row["sample_id"]][row["callset"]] = paths[row["load_id"]]
    conflicts: list[dict[str, Any]] = []
    people: dict[str, _Kept] = {}
    for sample_id in sorted(claims):
        ordered = sorted(claims[sample_id], key=lambda claim: _rank(claim, paths))
        people[sample_id] = _merge(sample_id, ordered, members.get(sample_id, {}), paths, conflicts)
    conflicts += _check_superpopulations(people) + _check_parents(people)
    strangers = sorted(members.keys() - people.keys())
    for sample_id in strangers:
        conflicts += [
            _conflict(sample_id, "sample_id", None, None, f"in callset {callset}", path)
            for callset, path in members[sample_id].items()
        ]
    samples = [kept.row for kept in people.values()]
    return Reconciled(
        samples,
        _join_conflicts(conflicts),
        describe_populations(samples, claims, population_records, paths),
        strangers,
    )


def _rank(claim: Row, paths: Mapping[str, str]) -> tuple[int, str, str]:
    return AUTHORITY.index(claim["source_kind"]), paths[claim["load_id"]], claim["load_id"]


def _complete(record: Row) -> Row:
    """The record with the superpopulation that its population implies, where it names none."""
    if record.get("superpopulation") is None and record.get("population") in SUPERPOPULATION_OF:
        return {**record, "superpopulation": SUPERPOPULATION_OF[record["population"]]}
    return record


def _merge(
    sample_id: str,
    claims: Sequence[Row],
    callsets: Iterable[str],
    paths: Mapping[str, str],
    conflicts: list[dict[str, Any]],
) -> _Kept:
    """Believe the first that says something; what others say instead becomes conflicts."""
    row: dict[str, Any] = {"sample_id": sample_id, "load_ids": sorted({c["load_id"] for c in claims})}
    origins: dict[str, str] = {}
    for name in _FIELDS:
        said = [(claim[name], paths[claim["load_id"]]) for claim in claims if claim.get(name) is not None]
        if name == "family_id":
            # Who has no family carries the own id as one, in either pedigree: that contradicts no family's name.
            said = [one for one in said if one[0] != sample_id] or said[:1]
        row[name], origins[name] = said[0] if said else (None, "")
        conflicts += [
            _conflict(sample_id, name, row[name], origins[name], other, path)
            for other, path in said[1:]
            if _comparable(name, other) != _comparable(name, row[name])
        ]
    text = row["relationship_text"]
    row["relationship"] = None if text is None else normalise_relationship(text)
    row["remarks"] = "; ".join(dict.fromkeys(c["remarks"] for c in claims if c.get("remarks"))) or None
    row["callsets"] = sorted({*callsets, *(name for c in claims for name in c.get("callsets") or ())})
    return _Kept(row, origins)


def _comparable(name: str, value: Any) -> Any:
    """Lists are compared as sets, relationships in one spelling."""
    if name in _LISTS:
        return frozenset(value)
    return (normalise_relationship(value) or value) if name == "relationship_text" else value


def _conflict(
    sample_id: str, name: str, kept: Any, kept_from: str | None, other: Any, other_from: str
) -> dict[str, Any]:
    def as_text(value: Any) -> str | None:
        return ",".join(sorted(value)) if isinstance(value, list | tuple) else value

    return {
        "sample_id": sample_id, "field": name, "kept": as_text(kept), "kept_from": kept_from,
        "other": as_text(other), "other_from": other_from,
    }  # fmt: skip


def _join_conflicts(conflicts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each person, field and other file, by these."""
    joined: dict[tuple[str, str, str], dict[str, Any]] = {}
    for conflict in conflicts:
        key = (conflict["sample_id"], conflict["field"], conflict["other_from"])
        known = joined.setdefault(key, conflict)
        if known["other"] != conflict["other"]:
            known["other"] += f"; {conflict['other']}"
    return [joined[key] for key in sorted(joined)]


def _check_superpopulations(people: Mapping[str, _Kept]) -> list[dict[str, Any]]:
    found = []
    for sample_id, kept in people.items():
        expected = SUPERPOPULATION_OF.get(kept.row["population"], kept.row["superpopulation"])
        if expected != kept.row["superpopulation"]:
            stated, origin = kept.row["superpopulation"], kept.origins["superpopulation"]
            found.append(_conflict(sample_id, "superpopulation", stated, origin, expected, THE_26))
    return found


def _check_parents(people: Mapping[str, _Kept]) -> list[dict[str, Any]]:
    """Fathers who are women, mothers who are men, who is both, and parents who descend from their child."""
    found = []
    child_of: dict[str, str] = {}  # father → first child
    for sample_id, kept in people.items():
        child_of.setdefault(kept.row["father_id"], sample_id)
    for sample_id, kept in people.items():
        mother = kept.row["mother_id"]
        is_sex_known = mother in people and people[mother].row["sex"] is not None
        if mother in child_of and mother is not None and not is_sex_known:
            child = child_of[mother]
            said, origin = f"{mother} is the father of {child}", kept.origins["mother_id"]
            where = people[child].origins["father_id"]
            found.append(_conflict(sample_id, "mother_id", mother, origin, said, where))
        for name, wrong in (("father_id", "female"), ("mother_id", "male")):
            parent = kept.row[name]
            origin = kept.origins[name]
            known = people.get(parent)
            if known is not None and known.row["sex"] == wrong:
                said = f"{parent} is {wrong}"
                found.append(_conflict(sample_id, name, parent, origin, said, known.origins["sex"]))
            if parent is not None and sample_id in _find_ancestors(parent, people):
                said = f"{parent} descends from {sample_id}"
                found.append(_conflict(sample_id, name, parent, origin, said, origin))
    return found


def _find_ancestors(sample_id: str, people: Mapping[str, _Kept]) -> set[str]:
    """The person and everybody whom the person descends from, as far as they are named."""
    found, to_see = {sample_id}, [sample_id]
    while to_see:
        kept = people.get(to_see.pop())
        if kept is not None:
            parents = {kept.row["father_id"], kept.row["mother_id"]} - {None} - found
            found |= parents
            to_see += sorted(parents)
    return found
