"""Families: trios, relatives up to the third degree, and the largest set of people who are not related. Pure functions.

Degrees are those of expected kinship: 1 for parents, children and full siblings, 2 for half siblings, grandparents,
uncles and nieces, 3 for first cousins, great-grandparents, great-uncles and half uncles. What a pedigree lists by
order of relation (`siblings`, `second_order`, `third_order`) counts as it says, whichever of the two lists it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from kgp.transforms.people import Person
from kgp.transforms.unrelated import Graph, find_largest_unrelated

Status = Literal["complete", "partial", "outside"]

# Second degree: as relatives are left out of eQTL mapping and of the 2,504 of phase 3.
MAX_DEGREE = 2


@dataclass(frozen=True)
class Trio:
    """A child with the parents who are named.

    Args:
        child: sample id.
        father, mother: sample ids; None where not named.
        outside: of the parents, those who are not in the set, father first.
    """

    child: str
    father: str | None
    mother: str | None
    outside: tuple[str, ...]

    @property
    def status(self) -> Status:
        """complete: both parents are in the set; partial: one is; outside: none is."""
        n_present = len([p for p in (self.father, self.mother) if p is not None]) - len(self.outside)
        return ("outside", "partial", "complete")[n_present]


def find_trios(people: Mapping[str, Person], present: Collection[str]) -> list[Trio]:
    """Children in the set who have a named parent, by their ids.

    Args:
        people: sample_id → person, with father_id and mother_id.
        present: ids of the people in the set.

    >>> people = {"c": {"father_id": "f", "mother_id": "m"}}
    >>> find_trios(people, {"c", "m"})[0].status, find_trios(people, {"c", "m"})[0].outside
    ('partial', ('f',))
    """
    inside = frozenset(present)
    trios = []
    for child, person in people.items():
        father, mother = person.get("father_id"), person.get("mother_id")
        if child in inside and (father is not None or mother is not None):
            outside = tuple(p for p in (father, mother) if p is not None and p not in inside)
            trios.append(Trio(child, father, mother, outside))
    return sorted(trios, key=lambda trio: trio.child)


@dataclass(frozen=True)
class Relation:
    """What one person is to another.

    Args:
        degree: 1, 2 or 3.
        name: ``child``, ``half sibling``, ``uncle or aunt``, …: what the one is of the other.
    """

    degree: int
    name: str


def drop_related(
    sample_ids: Iterable[str], people: Mapping[str, Person], *, max_degree: int = MAX_DEGREE
) -> dict[str, str]:
    """Who has to be left out so that nobody of the others is related, and as few as possible are.

    The rest is a largest set without relatives wherever relatives form clusters of up to
    `kgp.transforms.unrelated.MAX_EXACT` people; larger clusters are first cut as that module says. Where there is a
    choice, people without named parents are preferred, then those of lower id. The order of what is given changes
    nothing.

    Args:
        sample_ids: the people in question.
        people: sample_id → person, with father_id, mother_id, siblings, second_order and third_order; of everybody,
            for two people may be related through a third who is not in question.
        max_degree: greatest degree that counts as related, 1 to 3.

    Returns:
        id of each who is left out, ascending → why: the relation to a person who is kept, ``child of HG00501``.
    """
    asked = set(sample_ids)
    relations = find_relations(asked, people, max_degree=max_degree)
    order = sorted(asked, key=lambda one: (_has_parents(people.get(one, {})), one))
    graph: Graph = {one: frozenset(relations.get(one, {})) for one in order}
    kept = find_largest_unrelated(graph)
    reasons = {}
    for one in sorted(asked - kept):
        nearest = min(kept & graph[one], key=lambda other: (relations[one][other].degree, other))
        reasons[one] = f"{relations[one][nearest].name} of {nearest}"
    return reasons


def find_relations(
    asked: Collection[str], people: Mapping[str, Person], *, max_degree: int = MAX_DEGREE
) -> dict[str, dict[str, Relation]]:
    """What the people in question are to each other: one → other → the nearest relation of the one to the other.

    Args:
        asked: ids of the people in question.
        people: of everybody.
        max_degree: greatest degree that counts, 1 to 3.
    """
    found: dict[str, dict[str, Relation]] = defaultdict(dict)
    for one, other, relation in _relate(_Pedigree(people)):
        if one == other or relation.degree > max_degree or one not in asked or other not in asked:
            continue
        known = found[one].get(other)
        if known is None or relation.degree < known.degree:
            found[one][other] = relation
    return dict(found)


class _Pedigree:
    """Parents, children and siblings of everybody who is named anywhere."""

    def __init__(self, people: Mapping[str, Person]) -> None:
        self.people = people
        self.parents: dict[str, tuple[str, ...]] = {}
        self.children: dict[str, list[str]] = defaultdict(list)
        for one in sorted(people):
            named = (people[one].get("father_id"), people[one].get("mother_id"))
            self.parents[one] = tuple(parent for parent in named if parent is not None)
            for parent in self.parents[one]:
                self.children[parent].append(one)
        self.siblings: dict[str, set[str]] = defaultdict(set)
        self.half_siblings: dict[str, set[str]] = defaultdict(set)
        for one in sorted(people):
            self._add_siblings(one)

    def _add_siblings(self, one: str) -> None:
        for listed in self.people[one].get("siblings") or ():
            self.siblings[one].add(listed)
            self.siblings[listed].add(one)
        for parent in self.parents[one]:
            for other in self.children[parent]:
                if other != one:
                    # Where the second parent of one of them is not named, they may have both in common.
                    is_half = len({*self.parents[one], *self.parents[other]}) > 2
                    (self.half_siblings if is_half else self.siblings)[one].add(other)


def _relate(pedigree: _Pedigree) -> Iterator[tuple[str, str, Relation]]:
    """(one, other, what the one is of the other), both ways, nearer relations of a pair not necessarily first."""
    for one, parents in pedigree.parents.items():
        for parent in parents:
            yield from _both(one, parent, 1, "child", "parent")
            for grandparent in pedigree.parents.get(parent, ()):
                yield from _both(one, grandparent, 2, "grandchild", "grandparent")
                for great in pedigree.parents.get(grandparent, ()):
                    yield from _both(one, great, 3, "great-grandchild", "great-grandparent")
                for other in pedigree.siblings.get(grandparent, ()):
                    yield from _both(one, other, 3, "grandniece or grandnephew", "great-uncle or great-aunt")
            for other in pedigree.siblings.get(parent, ()):
                yield from _both(one, other, 2, "niece or nephew", "uncle or aunt")
                for cousin in pedigree.children.get(other, ()):
                    yield from _both(one, cousin, 3, "first cousin", "first cousin")
            for other in pedigree.half_siblings.get(parent, ()):
                yield from _both(one, other, 3, "half niece or nephew", "half uncle or aunt")
    for degree, name, related in (
        (1, "sibling", pedigree.siblings),
        (2, "half sibling", pedigree.half_siblings),
    ):
        for one, others in related.items():
            for other in others:
                yield from _both(one, other, degree, name, name)
    for degree, column in ((2, "second_order"), (3, "third_order")):
        name = f"relative of {'second' if degree == 2 else 'third'} order"
        for one, person in pedigree.people.items():
            for other in person.get(column) or ():
                yield from _both(one, other, degree, name, name)


def _both(one: str, other: str, degree: int, name: str, reverse: str) -> Iterator[tuple[str, str, Relation]]:
    yield one, other, Relation(degree, name)
    yield other, one, Relation(degree, reverse)


def _has_parents(person: Person) -> bool:
    return person.get("father_id") is not None or person.get("mother_id") is not None
