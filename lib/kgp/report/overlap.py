"""Which people several callsets and datasets have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Overlap:
    """People by the sets that they belong to.

    Args:
        sets: (name, kind), as ``("phase3", "callset")``, the largest first.
        sizes: people of each set.
        intersections: people who are in exactly these sets and no other: (a flag a set, people), most people first.
        n_outside: people who are in none of the sets.
    """

    sets: tuple[tuple[str, str], ...]
    sizes: tuple[int, ...]
    intersections: tuple[tuple[tuple[bool, ...], int], ...]
    n_outside: int


def find_overlap(members: Mapping[tuple[str, str], Collection[str]], everybody: Collection[str]) -> Overlap:
    """Count people by the exact combination of sets that they are in.

    Args:
        members: (name, kind) of a set → its people.
        everybody: people who are known, in a set or not.

    >>> found = find_overlap({("a", "callset"): {"x", "y"}, ("b", "dataset"): {"y"}}, ["x", "y", "z"])
    >>> found.intersections, found.n_outside
    ((((True, False), 1), ((True, True), 1)), 1)
    """
    people = {name: frozenset(ids) for name, ids in members.items() if ids}
    sets = tuple(sorted(people, key=lambda name: (-len(people[name]), name)))
    anybody = frozenset().union(*people.values())
    counts = Counter(tuple(person in people[name] for name in sets) for person in anybody)
    ordered = sorted(
        counts.items(), key=lambda one: (-one[1], sum(one[0]), tuple(not flag for flag in one[0]))
    )
    return Overlap(
        sets, tuple(len(people[name]) for name in sets), tuple(ordered), len(set(everybody) - anybody)
    )
