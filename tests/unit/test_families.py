"""Trios, relatives by degree, and the largest set without relatives: against brute force and the real pedigree."""

from __future__ import annotations

import csv
import itertools
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.io.pedigree import read_pedigree
from kgp.transforms.families import Trio, drop_related, find_relations, find_trios
from kgp.transforms.people import Person
from kgp.transforms.unrelated import MAX_EXACT, Graph, find_largest_unrelated


def family(**parents: str) -> dict[str, Person]:
    """``family(c="f m", f="", m="")``: person="father mother", ``-`` for one who is not named."""
    people: dict[str, Person] = {}
    for sample_id, text in parents.items():
        father, mother = [None if name == "-" else name for name in text.split()] or [None, None]
        people[sample_id] = {"sample_id": sample_id, "father_id": father, "mother_id": mother}
    return people


# -- trios


def test_trios_complete_partial_and_outside() -> None:
    people = family(b="f m", a="f -", c="- x", d="f x", f="", m="")
    trios = find_trios(people, {"a", "b", "c", "d", "f", "m"})
    assert trios == [
        Trio("a", "f", None, ()), Trio("b", "f", "m", ()), Trio("c", None, "x", ("x",)), Trio("d", "f", "x", ("x",)),
    ]  # fmt: skip
    assert [trio.status for trio in trios] == ["partial", "complete", "outside", "partial"]
    assert [trio.status for trio in find_trios(people, {"b"})] == ["outside"]
    assert find_trios(people, {"f", "m"}) == []


@pytest.fixture
def pedigree(shared_data: Path) -> dict[str, Person]:
    rows = read_pedigree(str(shared_data / "metadata" / "20130606_g1k.ped")).rows
    return {row["sample_id"]: row for row in rows}


def lines_of(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()[1:]]


@pytest.mark.shared
def test_the_trios_of_the_3202(shared_data: Path, pedigree: dict[str, Person]) -> None:
    raw = lines_of(shared_data / "metadata" / "reconstructed_20130606_g1k_3202_samples_ped_population.txt")
    present = {line[1] for line in raw}
    trios = find_trios(pedigree, present)
    both = {line[1] for line in raw if line[2] in present and line[3] in present}
    assert {trio.child for trio in trios if trio.status == "complete"} == both
    assert len(both) == 602
    outside = {parent for line in raw for parent in line[2:4] if parent != "0" and parent not in present}
    assert {parent for trio in trios for parent in trio.outside} == outside
    assert " ".join(sorted(outside)) == (
        "HG00144 HG00866 HG02567 HG03466 HG04067 NA19105 NA19432 NA19453 NA20909"
    )
    with (shared_data / "metadata" / "20130606_g1k.ped").open(newline="") as file:
        named = Counter(
            (row["Paternal ID"] != "0") + (row["Maternal ID"] != "0")
            for row in csv.DictReader(file, delimiter="\t")
        )
    everybody = Counter(trio.status for trio in find_trios(pedigree, set(pedigree)))
    assert everybody == {"complete": named[2], "partial": named[1]} == {"complete": 641, "partial": 121}


# -- relations


PEOPLE = family(
    # gg is the mother of g and gs. g has p and a with m, and h with m2. c is of p, b of a, hc of h, and z of c.
    gg="", g="- gg", gs="- gg", m="", m2="", p="g m", a="g m", h="g m2", w="", c="p w", b="a2 a", a2="", z="c -",
    hc="h -",
)  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "degree", "name"),
    [
        ("c", "p", 1, "child"),
        ("p", "c", 1, "parent"),
        ("p", "a", 1, "sibling"),
        ("g", "gs", 1, "sibling"),  # of both only the mother is named
        ("p", "h", 2, "half sibling"),
        ("c", "g", 2, "grandchild"),
        ("gg", "p", 2, "grandparent"),
        ("c", "a", 2, "niece or nephew"),
        ("gs", "p", 2, "uncle or aunt"),
        ("c", "b", 3, "first cousin"),
        ("c", "gg", 3, "great-grandchild"),
        ("gg", "c", 3, "great-grandparent"),
        ("c", "h", 3, "half niece or nephew"),
        ("gs", "c", 3, "great-uncle or great-aunt"),
        ("c", "gs", 3, "grandniece or grandnephew"),
    ],
)
def test_degrees(one: str, other: str, degree: int, name: str) -> None:
    found = find_relations(set(PEOPLE), PEOPLE, max_degree=3)
    assert (found[one][other].degree, found[one][other].name) == (degree, name)
    assert other not in find_relations(set(PEOPLE), PEOPLE, max_degree=degree - 1).get(one, {})


def test_who_is_not_related() -> None:
    found = find_relations(set(PEOPLE), PEOPLE, max_degree=3)
    for one, other in (("w", "p"), ("m", "g"), ("hc", "b"), ("hc", "c"), ("m2", "p"), ("a2", "c")):
        assert other not in found.get(one, {})
    assert all(one not in related for one, related in found.items())
    assert all(one in found[other] for one, related in found.items() for other in related)


def listed(**columns: dict[str, list[str]]) -> dict[str, Person]:
    people: dict[str, dict[str, Any]] = {name: {"sample_id": name} for name in "abcd"}
    for column, of in columns.items():
        for name, others in of.items():
            people[name][column] = others
    return {**people, "e": {"sample_id": "e", "father_id": "a"}}


def test_lists_of_relatives_count_both_ways_and_carry_on() -> None:
    people = listed(siblings={"a": ["b"]}, second_order={"c": ["b", "x"]}, third_order={"d": ["c"]})
    found = find_relations({*people}, people, max_degree=3)
    as_text = {(one, other): f"{r.degree} {r.name}" for one, of in found.items() for other, r in of.items()}
    assert as_text == {
        ("a", "b"): "1 sibling", ("b", "a"): "1 sibling", ("e", "a"): "1 child", ("a", "e"): "1 parent",
        ("e", "b"): "2 niece or nephew", ("b", "e"): "2 uncle or aunt",
        ("b", "c"): "2 relative of second order", ("c", "b"): "2 relative of second order",
        ("c", "d"): "3 relative of third order", ("d", "c"): "3 relative of third order",
    }  # fmt: skip


# -- leaving relatives out


def test_each_reason_names_the_relative_who_is_kept() -> None:
    people = family(c="f m", f="", m="", d="x -", g="c -")
    assert drop_related(["c", "f", "m", "d", "g"], people) == {
        "c": "child of f",
        "g": "grandchild of f",
    }
    assert drop_related(["c", "f", "m", "g"], people, max_degree=1) == {"c": "child of f"}
    assert drop_related(["c", "d"], people) == {}
    assert drop_related(["g", "f", "stranger"], people) == {"g": "grandchild of f"}, (
        "through c, who is not asked for"
    )


def test_parents_are_preferred_where_there_is_a_choice() -> None:
    people = family(HG1="HG9 -", HG9="")
    assert drop_related(["HG1", "HG9"], people) == {"HG1": "child of HG9"}


@pytest.mark.shared
def test_relatives_of_the_real_sets(shared_data: Path, pedigree: dict[str, Person]) -> None:
    metadata = shared_data / "metadata"
    panel = [line[0] for line in lines_of(metadata / "integrated_call_samples_v3.20130502.ALL.panel")]
    more = [
        line[0] for line in lines_of(metadata / "integrated_call_samples_v3.20130502.ALL.panel.plus31related")
    ]
    all_3202 = [
        line[1] for line in lines_of(metadata / "reconstructed_20130606_g1k_3202_samples_ped_population.txt")
    ]
    assert drop_related(panel, pedigree) == {}, (
        "phase 3 released people who are not related by the second degree"
    )
    dropped = drop_related(more, pedigree)
    assert len(dropped) == 30
    assert len(drop_related(all_3202, pedigree)) == 617
    kept = set(all_3202) - drop_related(all_3202, pedigree).keys()
    # By hand from the raw columns: nobody kept has a parent, a listed sibling or a second-order relative who is kept.
    with (metadata / "20130606_g1k.ped").open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["Individual ID"] in kept:
                texts = [row[c] for c in ("Paternal ID", "Maternal ID", "Siblings", "Second Order")]
                near = {name.strip() for text in texts for name in text.replace(" to ", ",").split(",")}
                assert not near & kept, row
    for one, reason in dropped.items():
        assert reason.split(" of ")[-1] in set(more) - dropped.keys()
        assert one not in reason


# -- the largest set


def brute_force(graph: Graph) -> int:
    names = list(graph)
    return max(
        size
        for size in range(len(names) + 1)
        for some in itertools.combinations(names, size)
        if not any(other in graph[one] for one, other in itertools.combinations(some, 2))
    )


def graph_of(n: int, pairs: set[tuple[int, int]]) -> Graph:
    near: dict[str, set[str]] = {f"HG{i}": set() for i in range(n)}
    for a, b in pairs:
        if a != b:
            near[f"HG{a % n}"].add(f"HG{b % n}")
            near[f"HG{b % n}"].add(f"HG{a % n}")
    return {name: frozenset(others - {name}) for name, others in near.items()}


@settings(max_examples=120, deadline=None)
@given(n=st.integers(1, 11), pairs=st.sets(st.tuples(st.integers(0, 10), st.integers(0, 10)), max_size=28))
def test_the_set_is_valid_and_as_large_as_brute_force_finds(n: int, pairs: set[tuple[int, int]]) -> None:
    graph = graph_of(n, pairs)
    kept = find_largest_unrelated(graph)
    assert not any(graph[one] & kept for one in kept)
    assert len(kept) == brute_force(graph)


parents = st.lists(st.tuples(st.integers(-3, 9), st.integers(-3, 9)), min_size=1, max_size=10)


@settings(max_examples=60, deadline=None)
@given(named=parents, seed=st.integers(0, 5))
def test_relatives_are_left_out_whatever_the_families_and_the_order(
    named: list[tuple[int, int]], seed: int
) -> None:
    people: dict[str, Person] = {
        f"HG{i}": {
            "sample_id": f"HG{i}",
            "father_id": f"HG{f}" if 0 <= f < i else None,
            "mother_id": f"HG{m}" if 0 <= m < i and m != f else None,
        }
        for i, (f, m) in enumerate(named)
    }
    dropped = drop_related(list(people), people)
    relations = find_relations(set(people), people)
    graph = {one: frozenset(relations.get(one, {})) for one in people}
    kept = people.keys() - dropped.keys()
    assert not any(graph[one] & kept for one in kept)
    assert len(kept) == brute_force(graph)
    shuffled = list(people)
    random.Random(seed).shuffle(shuffled)
    assert drop_related(shuffled, {name: people[name] for name in shuffled}) == dropped


def test_a_cluster_at_the_exact_bound_takes_no_time() -> None:
    """A 3-regular graph of 40 people, the Möbius ladder: no leaf anywhere. Its largest set has 19 of 40."""
    n = MAX_EXACT
    graph = graph_of(n, {(i, (i + 1) % n) for i in range(n)} | {(i, i + n // 2) for i in range(n // 2)})
    began = time.perf_counter()
    kept = find_largest_unrelated(graph)
    assert time.perf_counter() - began < 2
    assert not any(graph[one] & kept for one in kept)
    assert len(kept) == n // 2 - 1


def test_a_huge_cluster_is_cut_and_still_good() -> None:
    """2,000 people around 20 who are related to 200 others each: leaving out the 20 keeps everybody else."""
    hubs = {(hub, other) for hub in range(20) for other in range(hub * 90 + 20, hub * 90 + 220)}
    graph = graph_of(2000, {(a, b % 2000) for a, b in hubs})
    began = time.perf_counter()
    kept = find_largest_unrelated(graph)
    assert time.perf_counter() - began < 5
    assert not any(graph[one] & kept for one in kept)
    assert kept == {f"HG{i}" for i in range(20, 2000)}


def test_a_long_path_and_a_large_clique() -> None:
    assert len(find_largest_unrelated(graph_of(501, {(i, i + 1) for i in range(500)}))) == 251
    clique = graph_of(60, set(itertools.combinations(range(60), 2)))
    assert find_largest_unrelated(clique) == {"HG0"}
    assert find_largest_unrelated({}) == set()
