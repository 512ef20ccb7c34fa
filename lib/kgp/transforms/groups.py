"""Groups of people whose allele statistics are kept: who belongs to one, and whether its statistics still hold.

Statistics are named by a hash of all that they depend on: the callset's loads, and the group's people with their places
in the callset's arrays and their sexes. They are stale where that name, made again from the tables as they are now, is
another one: a load was added or replaced, or the panel puts other people into the group. A panel that is loaded again
with the same people changes nothing. Nothing has to be marked when a table changes, so no mark can be forgotten. A
group that was given as a list of ids has its people in the ledger, so it is judged, and computed anew, without the
file. Pure functions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kgp.errors import InputError, UsageError
from kgp.transforms.cohorts import Cohort, check_ids, count_listed, select_cohort
from kgp.transforms.people import Person

# Raised where the same people and loads give other numbers: all statistics are then stale.
RECIPE = "1"

EVERYBODY = "all"
_COHORT = "cohort:"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    """People of a callset.

    Args:
        name: ``all``, ``sex:female``, ``population:CEU``, ``superpopulation:EUR``, ``cohort:EUR,-FIN``,
            ``cohort:ids:91:0123456789ab``.
        sample_indices: their places in the callset's arrays, ascending.
        sample_ids: who they are.
        sexes: male, female, or None where not known.
    """

    name: str
    sample_indices: tuple[int, ...]
    sample_ids: tuple[str, ...]
    sexes: tuple[str | None, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the people, their places and their sexes."""
        return _hash([self.sample_indices, self.sample_ids, self.sexes])


@dataclass(frozen=True)
class CallsetPeople:
    """Who is in a callset, and what the panel says of everybody.

    Args:
        callset: its name.
        samples: (sample_index, sample_id) of the callset.
        people: sample_id → person.
    """

    callset: str
    samples: Sequence[tuple[int, str]]
    people: Mapping[str, Person]

    @classmethod
    def of_rows(cls, callset: str, callset_samples: Iterable[Row], samples: Iterable[Row]) -> CallsetPeople:
        """From rows of `callset_samples` and `samples`."""
        places = sorted(
            (r["sample_index"], r["sample_id"]) for r in callset_samples if r["callset"] == callset
        )
        return cls(callset, places, {r["sample_id"]: r for r in samples})

    def name_groups(self, by: Iterable[str], cohorts: Iterable[str]) -> list[str]:
        """Names of the groups that some groupings fall into, and of cohorts, each once.

        Args:
            by: of all, sex, population and superpopulation.
            cohorts: cohort expressions.

        Raises:
            InputError: nothing is known of the callset's people that a grouping could go by.
        """
        names = []
        for word in by:
            found = [EVERYBODY] if word == EVERYBODY else [f"{word}:{value}" for value in self._values(word)]
            if not found:
                raise InputError(
                    f"No {word} is known of anybody in callset {self.callset}.",
                    where="--by",
                    mend="Load who the people are: kgp load samples --panel URL",
                )
            names += found
        names += [f"cohort:{expression.replace(' ', '')}" for expression in cohorts]
        return list(dict.fromkeys(names))

    def get_group(self, name: str) -> Group | None:
        """The people of the callset who belong to a group, or None where nobody does."""
        try:
            return self.find_group(name)
        except UsageError:
            return None

    def get_computed(self, row: Row) -> Group | None:
        """The people, as they are known now, of a group that was computed, or None where nobody is left.

        Args:
            row: of the ledger `statistics`.
        """
        if count_listed(str(row["group"]).removeprefix(_COHORT)) is None:
            return self.get_group(row["group"])
        members = set(row["sample_ids"])
        return self._group(row["group"], members) if members & self._ids else None

    def find_cohort(self, cohort: Cohort) -> Group:
        """The people of the callset whom a cohort names.

        Raises:
            UsageError: nobody of the callset is among them.
            InputError: a list has an id that nobody has.
        """
        if cohort.ids is None:
            return self.find_group(f"{_COHORT}{cohort.name}")
        check_ids(cohort.ids, self._ids | self.people.keys())
        return self._group(f"{_COHORT}{cohort.name}", set(cohort.ids))

    def find_group(self, name: str) -> Group:
        """The people of the callset who belong to a group.

        Raises:
            UsageError: nobody does.
        """
        kind, _, value = name.partition(":")
        if kind == EVERYBODY:
            members = self._ids
        elif kind == "cohort":
            members = select_cohort(value, self.people.values())
        else:
            members = {sample_id for sample_id, person in self.people.items() if person.get(kind) == value}
        return self._group(name, members)

    def _group(self, name: str, members: set[str]) -> Group:
        chosen = [(index, sample_id) for index, sample_id in self.samples if sample_id in members]
        if not chosen:
            raise UsageError(
                f"Nobody in callset {self.callset} belongs to {name}.",
                where="--cohort" if name.startswith(_COHORT) else "--by",
                mend='See who is in it: kgp query "SELECT * FROM callset_samples JOIN samples USING (sample_id)"',
            )
        indices, sample_ids = zip(*chosen, strict=True)
        sexes = tuple(self.people.get(sample_id, {}).get("sex") for sample_id in sample_ids)
        return Group(name, indices, sample_ids, sexes)

    @property
    def _ids(self) -> set[str]:
        return {sample_id for _, sample_id in self.samples}

    def _values(self, column: str) -> list[str]:
        values = {self.people.get(sample_id, {}).get(column) for _, sample_id in self.samples}
        return sorted(value for value in values if value is not None)


def name_statistics(callset: str, group: Group, load_ids: Iterable[str]) -> str:
    """`statistics_id`: the first 32 hexadecimal digits of the SHA-256 of all that the statistics depend on."""
    return _hash([RECIPE, callset, group.name, group.digest, sorted(load_ids)])[:32]


def loads_of(callset: str, loads: Iterable[Row]) -> list[str]:
    """Ids of the loads that a callset's variants come from, ascending."""
    return sorted(r["load_id"] for r in loads if r["target"] == "variants" and r["subject"] == callset)


def find_stale(
    statistics: Iterable[Row], loads: Iterable[Row], callset_samples: Iterable[Row], samples: Iterable[Row]
) -> dict[str, str]:
    """Statistics that are not what they would be if they were computed now: statistics_id → why.

    Args:
        statistics: rows of the ledger `statistics`.
        loads, callset_samples, samples: valid rows of these tables as they are now.
    """
    computed, loads, places, panel = list(statistics), list(loads), list(callset_samples), list(samples)
    stale = {}
    for callset in sorted({row["callset"] for row in computed}):
        present = CallsetPeople.of_rows(callset, places, panel)
        load_ids = loads_of(callset, loads)
        for row in computed:
            if row["callset"] == callset and (reason := _why_stale(row, present, load_ids)) is not None:
                stale[row["statistics_id"]] = reason
    return stale


def _why_stale(row: Row, present: CallsetPeople, load_ids: list[str]) -> str | None:
    if sorted(row["load_ids"]) != load_ids:
        return "the callset's loads have changed"
    group = present.get_computed(row)
    if group is None:
        return "nobody belongs to it any more"
    if group.digest != row["people_digest"]:
        return "its people, or what is known of their sexes, have changed"
    if row["statistics_id"] != name_statistics(row["callset"], group, load_ids):
        return "this version of kgp computes it in another way"
    return None


def _hash(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
